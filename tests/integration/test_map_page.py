"""The map that moves, in a browser: by pointer, by keys, on a phone, in the dark, with any names."""

import pytest

from graft.report.mapping import build_map_page
from helpers.browser import (
    DESKTOP,
    PHONE,
    faults_of_access,
    faults_of_headings,
    faults_of_loading,
    faults_of_width,
    show,
)
from helpers.pages import MANY, make_inputs, mapped

ABOUT, VIEW = "document.querySelector('#about p').textContent", "[scale, shiftX, shiftY]"


@pytest.fixture(scope="module")
def shown():
    return mapped(make_inputs(MANY, n_test=10)).mapped


@pytest.fixture
def tab(open_page, shown, tmp_path):
    (tmp_path / "map.html").write_text(build_map_page(shown), encoding="utf-8")
    tab = open_page(tmp_path / "map.html")
    show(tab, DESKTOP)
    tab.wait_for_function("sheet.complete && scale > 0")
    return tab


def place(tab, row):
    """Where an image lies on the screen."""
    x, y = tab.evaluate(f"place(points[{row}]).map((each) => each + canvas.clientLeft)")  # within its border
    box = tab.locator("#map").bounding_box()
    return box["x"] + x, box["y"] + y


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_it_loads_without_a_word_and_can_be_read(tab, width, scheme):
    show(tab, width, scheme)
    assert (
        faults_of_loading(tab) + faults_of_headings(tab) + faults_of_width(tab) + faults_of_access(tab) == []
    )


def test_pointing_at_an_image_says_what_it_is(tab, shown):
    wrong = int(shown.points.index[shown.points["wrong"]][0])
    for row in (0, wrong):
        tab.locator("#map").scroll_into_view_if_needed()
        tab.mouse.move(*place(tab, row))
        said = tab.evaluate(ABOUT)
        point = shown.points.loc[tab.evaluate("chosen")]
        assert said.startswith(f"{point['label']} ({point['split']})")
        assert said.endswith(point["path"])
        assert (", wrong" in said) == point["wrong"]
    tab.mouse.move(*place(tab, wrong))
    assert tab.evaluate("[points[chosen][0], points[chosen][1]]") == list(shown.points.loc[wrong, ["x", "y"]])


@pytest.mark.long
def test_the_wheel_zooms_at_the_pointer_and_dragging_moves(tab):
    tab.locator("#map").scroll_into_view_if_needed()
    x, y = place(tab, 3)
    tab.mouse.move(x, y)
    before = tab.evaluate("scale")
    tab.mouse.wheel(0, -500)
    tab.wait_for_function(f"scale > {2 * before}")
    assert place(tab, 3) == pytest.approx((x, y), abs=3)  # a pointer has whole pixels
    after = place(tab, 3)
    tab.mouse.down()
    tab.mouse.move(x + 40, y - 30, steps=4)
    tab.mouse.up()
    assert place(tab, 3) == pytest.approx((after[0] + 40, after[1] - 30), abs=1)


def test_keys_move_zoom_and_lead_to_each_mistake_and_outlier(tab, shown):
    whole = tab.evaluate(VIEW)
    tab.locator("#map").focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("+")
    scale, *_ = tab.evaluate(VIEW)
    assert scale == pytest.approx(1.5 * whole[0])
    tab.keyboard.press("0")
    assert tab.evaluate(VIEW) == pytest.approx(whole)
    rows = {"mistake": set(shown.points.index[shown.points["wrong"]]), "outlier": set(shown.outliers)}
    for name, expected in rows.items():
        tab.locator(f"#{name}").focus()
        seen = set()
        for _ in expected:
            tab.keyboard.press("Enter")
            seen.add(tab.evaluate("chosen"))
        assert seen == expected
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("labels[only]") == min(shown.points["label"])


@pytest.mark.long
def test_two_fingers_zoom(tab):
    tab.evaluate("""() => {
        canvas.setPointerCapture = () => {};
        const send = (type, pointerId, x) => {
            const {left, top} = canvas.getBoundingClientRect();
            canvas.dispatchEvent(new PointerEvent(type, {pointerId, clientX: left + x, clientY: top + 100}));
        };
        window.before = scale;
        send("pointerdown", 1, 100); send("pointerdown", 2, 200); send("pointermove", 2, 300);
        send("pointerup", 1, 100); send("pointerup", 2, 300);
    }""")
    assert tab.evaluate("scale / before") == pytest.approx(2)
    assert tab.evaluate("held.size") == 0
