"""A correction of labels, as a person makes it: look, decide in edits.csv, run again."""

import json

import pandas as pd
import pytest

from graft.data.edits import read_edits
from helpers.repository import dvc, executed, run


@pytest.mark.long
def test_a_decision_is_honoured_and_embeds_nothing(copy_of_built):
    repo, file = copy_of_built, copy_of_built / "edits.csv"
    before = pd.read_csv(repo / "data/manifest.csv").set_index("key")
    said = run(repo, "graft", "curate", "--edits", "--top", "5")
    assert "rows added" in said
    assert (repo / "reports/curate.html").stat().st_size > 10_000
    run(repo, "git", "diff", "--exit-code", "--stat", "--", ":!edits.csv")  # all else is ignored by Git
    relabelled, dropped, *_ = edits = read_edits(file)
    label = next(label for label in before["label"] if label != before["label"][relabelled])
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[1] = f"{relabelled},relabel,{label},,looked at"
    lines[2] = f"{dropped},drop,,,not a flower"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert len(edits) >= 3
    assert "edits.csv" in run(repo, "graft", "status", fails=True)
    assert executed(dvc(repo, "repro", "extract_features")) == ["prepare", "split", "extract_features"]
    counts = json.loads((repo / "metrics/timing/extract_features.json").read_text())["values"]
    after = pd.read_csv(repo / "data/manifest.csv").set_index("key")
    new = after.index.difference(before.index)  # which come up to `split.max_per_class` instead
    assert (counts["embedded"], counts["from_store"]) == (len(new), len(after) - len(new))
    assert relabelled not in new
    images = pd.read_parquet(repo / "data/images", columns=["key", "label"]).set_index("key")["label"]
    assert images[relabelled] == label
    assert dropped not in images
    found = json.loads((repo / "metrics/data.json").read_text())
    assert (found["edits"]["drop"], found["edits"]["relabel"]) == (1, 1)
    assert found["rejects"] == [
        {"path": before["path"][dropped], "reason": "dropped by edits.csv: not a flower"}
    ]
