import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from graft.evaluation.confusion import count_confusions
from graft.report.words import describe_test, most_confused, warn_no_better, warn_untrained
from helpers.comparison import make_comparison

PAIR = {"first": "two_stage", "second": "inline", "n_first_only": 9, "n_second_only": 14}
PAIR |= {"p_value": 0.404873, "p_value_holm": 0.404873}
COUNTS = st.integers(0, 30)


def describe_mistakes(confused):
    return list(map(str, most_confused(confused)))


def confuse(matrix, classes):
    """The confusions of as many images of each class (row) and prediction (column)."""
    counts, names = np.array(matrix), np.array(classes)
    places = np.indices(counts.shape).reshape(2, -1)
    truth, predicted = (np.repeat(names[place], counts.ravel()) for place in places)
    return count_confusions(truth, predicted)


def test_a_verdict_is_the_sentence_of_the_issue():
    assert describe_test(PAIR, 0.05) == (
        "inline is better than two_stage on 14 images and worse on 9: no significant difference, p = 0.40"
    )


def test_holms_p_decides_and_is_said_where_it_differs():
    pair = PAIR | {"n_second_only": 25, "p_value": 0.0093, "p_value_holm": 0.056}
    assert describe_test(pair, 0.05) == (
        "inline is better than two_stage on 25 images and worse on 9: no significant difference, "
        "p = 0.0093 (0.056 after Holm's adjustment)"
    )
    assert ": a significant difference, p = 0.0093" in describe_test(pair, 0.06)


def test_small_numbers_of_images_and_of_p():
    pair = PAIR | {"n_first_only": 1, "n_second_only": 0, "p_value": 1.0, "p_value_holm": 1.0}
    assert describe_test(pair, 0.05) == (
        "two_stage is better than inline on 1 image and worse on 0: no significant difference, p = 1.0"
    )
    assert describe_test(pair | {"n_first_only": 0}, 0.05) == (
        "two_stage and inline are right on the same images: no significant difference, p = 1.0"
    )
    assert describe_test(pair | {"n_second_only": 1}, 0.05) == (
        "two_stage and inline are each better on 1 image: no significant difference, p = 1.0"
    )
    surely = PAIR | {"p_value": 1e-9, "p_value_holm": 6e-9}
    assert describe_test(surely, 0.05).endswith("a significant difference, p < 0.0001")
    assert describe_test(surely | {"p_value_holm": 0.001}, 0.05).endswith(
        "p < 0.0001 (0.0010 after Holm's adjustment)"
    )


@given(COUNTS, COUNTS, st.floats(0, 1), st.floats(1e-3, 0.5))
def test_the_sentence_names_the_better_method(n_first, n_second, p, significance):
    pair = PAIR | {"n_first_only": n_first, "n_second_only": n_second, "p_value": p, "p_value_holm": p}
    said = describe_test(pair, significance)
    assert ("no significant" in said) == (p >= significance) != (": a significant" in said)
    if n_first != n_second:
        better = PAIR["first"] if n_first > n_second else PAIR["second"]
        assert said.startswith(f"{better} is better than ")


def test_most_confused_pairs_in_words():
    classes = ["daisy", "rose", "tulip"]
    metrics = {
        "two_stage": confuse([[20, 0, 0], [1, 18, 1], [0, 7, 13]], classes),
        "inline": confuse([[18, 2, 0], [0, 20, 0], [3, 0, 17]], classes),
    }
    assert describe_mistakes(metrics) == [
        "two_stage predicted rose for 7 of 20 tulip images",
        "inline predicted daisy for 3 of 20 tulip images",
        "inline predicted rose for 2 of 20 daisy images",
        "two_stage predicted daisy for 1 of 20 rose images",
        "two_stage predicted tulip for 1 of 20 rose images",
    ]


def test_of_equal_counts_the_larger_share_comes_first():
    metrics = {"inline": confuse([[8, 2, 0], [2, 2, 0], [1, 0, 0]], ["cat", "dog", "<b>x"])}
    assert describe_mistakes(metrics) == [
        "inline predicted cat for 2 of 4 dog images",
        "inline predicted dog for 2 of 10 cat images",
        "inline predicted cat for the only <b>x image",
    ]


def test_without_a_mistake():
    assert describe_mistakes({"inline": confuse([[3, 0], [0, 4]], ["cat", "dog"])}) == []


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3), st.integers(1, 9)
)
def test_the_pairs_are_the_largest_off_the_diagonal(matrix, limit):
    found = most_confused({"inline": confuse(matrix, ["a", "b", "c"])}, limit)
    off = sorted((n for i, row in enumerate(matrix) for j, n in enumerate(row) if n and i != j), reverse=True)
    assert [pair.n for pair in found] == off[:limit]
    assert all(pair.n <= pair.support for pair in found)


def test_a_backbone_with_random_weights_is_warned_of_once():
    assert warn_untrained(make_comparison()["methods"]) == [
        "The backbone vgg19 was NOT pre-trained (weights: random): this shows that the machinery works, not "
        "what transfer is worth."
    ]
    assert warn_untrained(make_comparison(pretrained=True, weights="imagenet")["methods"]) == []


def test_a_method_that_one_answer_for_all_would_equal_is_named():
    rows = [{"method": m, "test_accuracy_low": low} for m, low in {"linear": 0.81, "scratch": 0.8}.items()]
    (said,) = warn_no_better(rows, pd.Series({"cat": 8, "dog": 2}))
    assert "show that scratch learned anything: the answer cat for all of them is right on 80.0 %" in said
    assert warn_no_better(rows[:1], pd.Series({"cat": 8, "dog": 2})) == []
