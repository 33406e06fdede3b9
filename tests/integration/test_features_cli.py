"""`graft features`: what it says of a cache, what it finds wrong with it, and what it drops."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dvc.utils.serialize import dump_yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from graft.cli.main import app
from graft.data.manifest import write_manifest
from graft.features.format import read_features, read_metadata, write_features
from graft.features.gc import needed_images
from graft.features.inventory import Cached, CachedFile
from graft.features.revisions import open_revision
from graft.features.store import FeatureStore, fingerprint_id
from helpers.repository import VIEWS, dvc, edit, run
from helpers.tiers import long_but_for

N_IMAGES, N_TRAIN, SHAPE = 40, 20, (8, 8, 128)
N_VIEWS = N_TRAIN * VIEWS
N_ROWS = N_IMAGES + N_VIEWS
TOLERANCE = 2.0**-10


@pytest.fixture(autouse=True)
def _user(tmp_path, monkeypatch):
    """A terminal of 80 columns, and no configuration of DVC or Git but the repository's."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


@pytest.fixture
def root(params, images, cached, manifest, tmp_path):
    """A work tree after its extractions: params.yaml, data/ and the store; neither Git nor DVC."""
    root = tmp_path / "work tree"
    shutil.copytree(images, root / "data/images")
    for name in ("features", "views"):
        shutil.copytree(cached / name, root / "data" / name)
    shutil.copytree(cached / "store", root / ".graft/features")
    write_manifest(manifest, root / "data/manifest.csv")
    dump_yaml(root / "params.yaml", params.model_dump(mode="json"))
    return root


def graft(root, *arguments, answer=None, exit_code=0):
    """Run `graft features`; what it printed."""
    command, *options = arguments
    result = CliRunner().invoke(app, ["features", command, "--root", str(root), *options], input=answer)
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result.output


def flat(output):
    return " ".join(output.split())


def size(folder):
    return sum(file.stat().st_size for file in folder.glob("*.parquet"))


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def damage(file):
    """Change a bit; what is still readable may look right."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-100])


def entry_of(root):
    return min(root.glob(".graft/features/*/*.parquet"))


class TestInfo:
    def test_the_store_and_the_shards_as_json(self, root):
        report = json.loads(graft(root, "info", "--json"))
        in_store = sorted(report["store"], key=lambda summary: summary["views"])
        numbers = list(range(1, VIEWS + 1))
        for stored, name, n_rows, n_images, expected in zip(
            in_store,
            ("data/features", "data/views"),
            (N_IMAGES, N_VIEWS),
            (N_IMAGES, N_TRAIN),
            ([0], numbers),
            strict=True,
        ):
            fingerprint = read_metadata(root / name / "0.parquet")["fingerprint"]
            for summary in (stored, report[name]):
                assert summary["fingerprint"] == fingerprint
                assert summary["id"] == fingerprint_id(fingerprint)
                assert (summary["rows"], summary["images"], summary["views"]) == (n_rows, n_images, expected)
                assert summary["float32_bytes"] == n_rows * math.prod(SHAPE) * 4
                assert summary["bytes"] == size(Path(summary["folder"])) > 0
                assert summary["ratio"] == pytest.approx(summary["float32_bytes"] / summary["bytes"])
                assert summary["damaged"] == 0

    def test_the_table_fits_80_columns(self, root):
        output = graft(root, "info")
        assert max(map(len, output.splitlines())) <= 80
        assert "…" not in output
        parts = ("plain", "flip", "rotation 0.05", "data/features", "data/views", "random", "VGG16", "1-3")
        for part in (*parts, "float32", f" {N_IMAGES} ", f" {N_VIEWS} "):
            assert part in flat(output)

    def test_damage_is_counted_and_left_alone(self, root):
        entry = entry_of(root)
        damage(entry)
        truncate(root / "data/features/0.parquet")
        before = contents(root)
        report = json.loads(graft(root, "info", "--json"))
        assert sum(summary["damaged"] for summary in report["store"]) == 1
        assert report["data/features"]["damaged"] == 1
        assert report["data/features"]["fingerprint"] is None
        assert report["data/views"]["damaged"] == 0
        assert "1 of 1 files damaged" in flat(graft(root, "info"))
        assert contents(root) == before

    def test_nothing_cached(self, tmp_path):
        assert "nothing is cached" in graft(tmp_path, "info")
        nothing = {"store": [], "data/features": None, "data/views": None}
        assert json.loads(graft(tmp_path, "info", "--json")) == nothing

    @pytest.mark.parametrize(("arguments", "light"), [(["info"], ["dvc"]), (["verify", "--sample", "0"], [])])
    def test_it_does_not_import_tensorflow(self, root, arguments, light):
        code = (
            "import sys; from graft.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
            f"assert not {{'tensorflow', 'keras', *{light}}} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code, "features", *arguments], cwd=root, check=True)


def rewrite(root, change=lambda *_: None, folder="features", **fingerprint):
    """Write the only shard of data/features or data/views again, with other values or fingerprint."""
    shard = root / "data" / folder / "0.parquet"
    made_with = read_metadata(shard)["fingerprint"]
    rows, features = read_features(shard)
    features = features.copy()
    rows = change(rows, features) or rows
    write_features(shard, rows, features[: len(rows)], made_with | fingerprint)


def shift(place, by):
    """A change of one value of a row, relative to the row's largest."""

    def change(_, features):
        largest = np.abs(features[place].astype(np.float32)).max()
        features[place].reshape(-1)[7] += np.float16(by * largest)

    return change


class TestVerify:
    def test_a_sound_cache(self, root):
        before = contents(root)
        output = flat(graft(root, "verify"))
        assert "0 damaged" in output
        assert f": 16 of {N_ROWS} rows checked, 8 of them augmented views" in output
        assert "(tolerance 9.8e-04 for float32" in output
        assert contents(root) == before

    @pytest.mark.parametrize(("folder", "place"), [("features", 0), ("views", N_VIEWS - 1)])
    def test_a_changed_value_is_found_and_its_row_named(self, root, folder, place):
        rewrite(root, shift(place, 2 * TOLERANCE), folder)
        key, view = read_features(root / "data" / folder / "0.parquet")[0][place]
        output = flat(graft(root, "verify", "--sample", "all", exit_code=1))
        assert f"beyond it: key {key}, view {view}:" in output
        assert f"1 of {N_ROWS} rows exceed the tolerance" in output

    def test_a_change_within_the_tolerance_passes(self, root):
        rewrite(root, shift(17, TOLERANCE / 4))
        graft(root, "verify", "--sample", "all")

    def test_a_value_that_is_no_number_is_found_without_the_backbone(self, root):
        rewrite(root, lambda _, features: features[3].fill(np.nan))
        output = flat(graft(root, "verify", "--sample", "0", exit_code=1))
        assert "features/0.parquet: 1 of 40 features hold NaN or an infinite value" in output

    def test_other_rows_each_time_unless_a_seed_is_given(self, root):
        seeds = [re.search(r"--seed (\d+)", graft(root, "verify", "--sample", "1"))[1] for _ in range(2)]
        assert seeds[0] != seeds[1]
        assert f"with --seed {seeds[0]}: 1 of" in flat(
            graft(root, "verify", "--sample", "1", "--seed", seeds[0])
        )

    @pytest.mark.parametrize("sample", ["some", "-1", "1.5", ""])
    def test_a_sample_is_a_number_or_all(self, root, sample):
        output = flat(graft(root, "verify", f"--sample={sample}", exit_code=1))
        assert f"--sample={sample!r}: expected a number of rows, 0 or more, or all" in output

    @pytest.mark.parametrize(
        ("changes", "names"),
        [
            ({"seed": 1, "backbones.vgg16.batch_size": 4}, ["batch_size", "weights_sha256"]),
            ({"augmentation.rotation": 0.3}, ["augmentation"]),
        ],
    )
    def test_features_of_other_parameters_are_refused(self, root, changes, names):
        edit(root, changes)
        output = graft(root, "verify", exit_code=1)
        folder = "views" if "augmentation" in names else "features"
        assert f"data/{folder} was made with another fingerprint than params.yaml gives now" in flat(output)
        assert "run `dvc repro` first" in flat(output)
        keys = [line.split(":")[0].strip() for line in output.splitlines() if ", now " in line]
        assert keys == names

    def test_another_version_of_tensorflow_is_said_and_measured(self, root):
        rewrite(root, folder="views", tensorflow="2.0.0")
        output = flat(graft(root, "verify"))
        assert "made with tensorflow 2.0.0, now 2." in output
        assert f"16 of {N_ROWS} rows checked" in output

    def test_a_damaged_entry_is_reported_and_left(self, root):
        entry = entry_of(root)
        damage(entry)
        before = contents(root)
        output = graft(root, "verify", "--sample", "0", exit_code=1)
        assert "1 damaged" in output
        assert f"{entry.parent.name}/{entry.name}: its sha256 is not its name" in flat(output)
        assert contents(root) == before

    def test_a_damaged_shard_stops_before_the_backbone(self, root):
        truncate(root / "data/features/0.parquet")
        output = flat(graft(root, "verify", exit_code=1))
        assert "features/0.parquet: not a Parquet file of features" in output
        assert "embedded again" not in output

    def test_rows_are_held_against_the_manifest(self, root):
        rewrite(root, lambda rows, _: rows[:-3])
        output = flat(graft(root, "verify", "--sample", "0", exit_code=1))
        assert "3 rows that the manifest asks for are not in features" in output
        edit(root, {"features.views": 1})
        output = flat(graft(root, "verify", "--sample", "0", exit_code=1))
        assert "40 rows of views are not asked for by the manifest" in output

    def test_no_views_are_none_to_verify(self, root):
        for shard in (root / "data/views").iterdir():
            shard.unlink()
        edit(root, {"features.views": 0})
        assert f"16 of {N_IMAGES} rows checked, 0 of them augmented views" in flat(graft(root, "verify"))

    def test_without_features_it_says_what_to_do(self, root):
        shutil.rmtree(root / "data/features")
        assert "run `dvc repro extract_features`" in flat(graft(root, "verify", exit_code=1))

    def test_the_md5s_that_dvc_recorded(self, root):
        assert "md5s not checked, DVC has none here" in flat(graft(root, "verify", "--sample", "0"))
        run(root, "git", "init", "--quiet")
        dvc(root, "init", "--quiet")
        dvc(root, "add", "--quiet", "data/features")
        output = flat(graft(root, "verify", "--sample", "0"))
        assert "data/features: md5s as DVC recorded them" in output
        assert "data/views: readable, md5s not checked, DVC has none here" in output

        shard = root / "data/features/0.parquet"
        times = shard.stat().st_atime_ns, shard.stat().st_mtime_ns
        sound = shard.read_bytes()
        damage(shard)
        os.utime(shard, ns=times)  # what DVC itself would take for unchanged
        (root / "data/features/1.parquet").write_bytes(sound)
        output = flat(graft(root, "verify", "--sample", "0", exit_code=1))
        assert "features/0.parquet: its md5 is not the one that DVC recorded" in output
        assert "features/1.parquet: not among the files that DVC recorded" in output
        shard.unlink()
        output = flat(graft(root, "verify", "--sample", "0", exit_code=1))
        assert "features/0.parquet: missing, though DVC recorded it" in output
        assert "`dvc checkout --force data/features data/views` brings back what dvc.lock records" in output
        dvc(root, "checkout", "--force", "data/features")
        graft(root, "verify", "--sample", "0")


ROWS = st.sets(st.tuples(st.text("abc", min_size=1, max_size=3), st.integers(0, 3)), min_size=1)


@given(ROWS, st.integers(1, 40), st.integers(0, 5), st.randoms())
def test_the_sample_is_half_views_and_does_not_depend_on_the_order_of_rows(rows, n, seed, random):
    from graft.features.comparison import choose_rows

    chosen = choose_rows(sorted(rows), n, seed)
    assert len(set(chosen)) == len(chosen) == min(n, len(rows))
    assert set(chosen) <= rows
    kinds = [sum((view > 0) == augmented for _, view in rows) for augmented in (False, True)]
    found = [sum((view > 0) == augmented for _, view in chosen) for augmented in (False, True)]
    if min(kinds) >= n:
        assert found == [n - n // 2, n // 2]
    shuffled = random.sample(sorted(rows), len(rows))
    assert choose_rows(shuffled, n, seed) == chosen


def key_of(name):
    return sha256(name.encode()).hexdigest()


FINGERPRINT = {
    **{"application": "VGG16", "layer": "block2_pool", "pooling": "none", "image_size": 32},
    **{"weights": "random", "precision": "float32", "augmentation": {"flip": "horizontal"}},
}


def put(root, *names, view=0, **fingerprint):
    """Add an entry with a row for each image to the store; its file."""
    before = set(root.glob("*/*.parquet"))
    rows = [(key_of(name), view) for name in names]
    FeatureStore(root, FINGERPRINT | fingerprint, (4,)).put(rows, np.ones((len(rows), 4), np.float16))
    (entry,) = set(root.glob("*/*.parquet")) - before
    return entry


def write_images(repo, *names):
    rows = [{"key": key_of(name), "path": name, "label": 'x, "y"', "split": "train"} for name in names]
    write_manifest(pd.DataFrame(rows), repo / "data/manifest.csv")


def commit(repo, *names):
    """Commit a manifest of some images, tracked by DVC."""
    write_images(repo, *names)
    dvc(repo, "add", "--quiet", "data/manifest.csv")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", " ".join(names))


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A repository of which each revision needs another image, and a DVC remote that has the manifests.

    work tree: ``work``; main (HEAD): ``main``; branch side: ``side``, and twin with the same manifest;
    tag v1: ``tagged``; origin/theirs: ``theirs``; planned: a stage that never ran; empty: no manifest.
    """
    repo = tmp_path_factory.mktemp("history") / "repo"
    repo.mkdir()
    run(repo, "git", "init", "--quiet", "--initial-branch", "main")
    dvc(repo, "init", "--quiet")
    dvc(repo, "remote", "add", "--quiet", "--default", "shared", str(repo.parent / "remote"))
    (repo / ".gitignore").write_text(".graft/\n")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", "empty")
    run(repo, "git", "branch", "empty")
    run(repo, "git", "switch", "--quiet", "--create", "planned")
    (repo / "dvc.yaml").write_text("stages: {split: {cmd: echo, outs: [data/manifest.csv]}}")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", "planned")
    run(repo, "git", "switch", "--quiet", "main")
    commit(repo, "tagged")
    run(repo, "git", "tag", "--annotate", "--message", "first", "v1")
    commit(repo, "theirs")
    run(repo, "git", "update-ref", "refs/remotes/origin/theirs", "HEAD")
    commit(repo, "side", "also side")
    run(repo, "git", "branch", "side")
    run(repo, "git", "commit", "--quiet", "--allow-empty", "--message", "same manifest")
    run(repo, "git", "branch", "twin")
    commit(repo, "main")
    dvc(repo, "push", "--quiet", "--all-commits")
    write_images(repo, "work")
    return repo


@pytest.fixture
def repo(history, tmp_path):
    return Path(shutil.copytree(history, tmp_path / "repo", symlinks=True))


@contextmanager
def unreachable(remote):
    away = remote.rename(remote.with_name("away"))
    yield
    away.rename(remote)


NEEDED = ("work", "main", "side", "tagged", "theirs")


@pytest.fixture
def entries(repo):
    """An entry for each image that is needed, by its name; one of two images; and two that nobody needs."""
    store = repo / ".graft/features"
    found = {name: put(store, name) for name in NEEDED}
    found["mixed"] = put(store, "main", "none")
    found["none"] = put(store, "none", view=1)
    found["none too"] = put(store, "none", weights="imagenet")
    return found


def kept(entries):
    return {name for name, file in entries.items() if file.exists()}


class TestGarbage:
    def test_what_nobody_needs_goes_when_one_says_so(self, repo, entries):
        before = contents(repo / ".graft")
        for options, answer, exit_code in ((["--dry-run"], None, 0), ([], "n", 1), ([], None, 1)):
            output = graft(repo, "gc", *options, answer=answer, exit_code=exit_code)
            assert contents(repo / ".graft") == before
            size = sum(entries[name].stat().st_size for name in ("none", "none too"))
            said = f"to drop: 2 entries with 1 images, 0 leftover temporary files; {size:,} bytes"
            assert said in output
            assert "6 images are needed by work tree, HEAD, main, " in flat(output)
            assert {"empty", "origin/theirs", "planned", "side", "twin", "v1"} < set(
                flat(output.replace(",", "")).split()
            )
            assert entries["none too"].parent.name[:12] in output
        assert "dropped" in graft(repo, "gc", answer="y")
        assert kept(entries) == {*NEEDED, "mixed"}
        assert {file.parent for file in repo.glob(".graft/features/*/*.parquet")} == {entries["main"].parent}
        assert not entries["none too"].parent.exists()  # nothing is left of that fingerprint
        assert "to drop: 0 entries" in graft(repo, "gc")

    @pytest.mark.parametrize(
        ("commands", "lost"),
        [
            (["git tag --delete v1"], {"tagged"}),
            (["git update-ref refs/exps/aa/bb/fast v1", "git tag --delete v1"], {"tagged"}),  # an experiment
            (["git update-ref -d refs/remotes/origin/theirs"], {"theirs"}),
            (["git branch --delete --force side"], set()),  # twin needs the same
            (["git branch --delete --force side", "git branch --delete --force twin"], {"side"}),
            (["git checkout --quiet --detach", "git branch --delete --force main"], set()),  # HEAD
            (["rm data/manifest.csv"], {"work"}),
        ],
    )
    def test_a_revision_that_is_gone_needs_nothing(self, repo, entries, commands, lost):
        for command in commands:
            run(repo, *command.split())
        graft(repo, "gc", "--yes")
        assert kept(entries) == {*NEEDED, "mixed"} - lost

    def test_manifests_come_from_the_remote_where_the_cache_lacks_them(self, repo, entries):
        shutil.rmtree(repo / ".dvc/cache")
        graft(repo, "gc", "--yes")
        assert kept(entries) == {*NEEDED, "mixed"}

    def test_an_unreadable_manifest_stops_it(self, repo, entries, history):
        shutil.rmtree(repo / ".dvc/cache")
        before = contents(repo / ".graft")
        with unreachable(history.parent / "remote"):
            output = flat(graft(repo, "gc", "--yes", exit_code=1))
        for revision in ("HEAD, main", "side", "twin", "v1", "origin/theirs"):
            assert f"the manifest of {revision} cannot be read" in output
        assert "nothing was dropped" in output
        assert contents(repo / ".graft") == before
        assert "`dvc fetch --all-commits data/manifest.csv`" in output
        dvc(repo, "fetch", "--all-commits", "data/manifest.csv")
        with unreachable(history.parent / "remote"):
            graft(repo, "gc", "--yes")
            assert kept(entries) == {*NEEDED, "mixed"}
            shutil.rmtree(repo / ".dvc/cache")
            graft(repo, "gc", "--yes", "--ignore-unreadable")
        assert kept(entries) == {"work"}

    def test_a_store_that_projects_share_is_cleaned_when_all_are_named(
        self, repo, history, entries, monkeypatch
    ):
        monkeypatch.setattr("graft.cli.features.SHARED_STORE", "of all")
        assert "may hold what other projects need" in graft(repo, "gc", "--yes", exit_code=1)
        assert len(kept(entries)) == len(entries)
        write_images(history, "none")
        graft(repo, "gc", "--yes", "--project", str(history))
        assert kept(entries) == {*entries}  # an entry of one fingerprint is needed as that of another
        write_images(history, "work")
        graft(repo, "gc", "--yes", "--project", str(repo))
        assert kept(entries) == {*NEEDED, "mixed"}

    def test_a_tag_of_no_commit_stops_it(self, repo, entries):
        file = run(repo, "git", "hash-object", "-w", ".gitignore").strip()
        run(repo, "git", "tag", "file", file)
        assert "the manifest of file cannot be read" in graft(repo, "gc", "--yes", exit_code=1)
        assert len(kept(entries)) == len(entries)

    def test_a_manifest_that_is_none_stops_it(self, repo, entries):
        (repo / "data/manifest.csv").write_text("path,label\na,b\n")
        output = graft(repo, "gc", "--yes", exit_code=1)
        assert "the manifest of work tree cannot be read: KeyError: 'key'" in flat(output)
        assert len(kept(entries)) == len(entries)

    def test_leftovers_and_damaged_entries_go_and_a_running_process_keeps_its_file(self, repo, entries):
        folder = entries["main"].parent
        old, young = folder / "1.tmp", folder / "2.tmp"
        for file in (old, young):
            file.write_bytes(b"half")
        os.utime(old, (0, 0))
        damage(entries["main"])
        assert "1 leftover temporary files" in graft(repo, "gc", "--yes")
        assert (old.exists(), young.exists()) == (False, True)
        assert kept(entries) == {*NEEDED, "mixed"} - {"main"}

    def test_outside_of_a_repository(self, tmp_path):
        for _ in range(2):
            assert "is no Git and DVC repository" in flat(graft(tmp_path, "gc", exit_code=1))
            run(tmp_path, "git", "init", "--quiet")

    def test_what_commits_brought_goes_on_demand(self, repo, entries):
        store = FeatureStore(repo / ".graft/features", FINGERPRINT, (4,))
        for commit in ("aaa", "bbb"):
            with store.receive() as received:
                received.put([(key_of("main"), ord(commit[0]))], np.ones((1, 4), np.float16))
                store.adopt(received, commit)
        output = graft(repo, "info")
        assert "1 rows from commit aaa" in flat(output)
        assert "commits go with --from-commits" in graft(repo, "gc", "aa", exit_code=1)
        for commits, n in ((["x"], 0), (["b"], 1), ([], 1), ([], 0)):
            assert f"to drop: {n} entries" in graft(repo, "gc", "--from-commits", "--yes", *commits)
        assert kept(entries) == {*entries}
        assert {file.parent.parent for file in repo.glob(".graft/**/*.parquet")} == {repo / ".graft/features"}

    def test_what_a_killed_process_received_goes_and_what_one_receives_stays(self, repo, entries):
        folder = entries["main"].parent
        for name in ("old.tmp", "young.tmp"):
            FeatureStore(folder / name, FINGERPRINT, (4,)).put([("k", 0)], np.ones((1, 4), np.float16))
        for file in (folder / "old.tmp", *(folder / "old.tmp").rglob("*")):
            os.utime(file, (0, 0))
        os.utime(folder / "young.tmp", (0, 0))  # it receives for hours
        assert "1 leftover temporary files" in graft(repo, "gc", "--from-commits", "--yes")
        assert sorted(file.name for file in folder.glob("*.tmp")) == ["young.tmp"]


def in_a_folder(tmp_path, prefix):
    """A project in a folder of a larger Git repository; v1 needs an image that the work tree does not."""
    repo = tmp_path / "large" / prefix
    repo.mkdir(parents=True)
    run(tmp_path / "large", "git", "init", "--quiet")
    dvc(repo, "init", "--quiet", "--subdir")
    commit(repo, "tagged")
    run(repo, "git", "tag", "v1")
    write_images(repo, "work")
    return repo


class TestPlaces:
    """Another commit is looked into wherever the project lies."""

    @pytest.mark.parametrize("prefix", long_but_for([" größer  /é "], ["ml/graft", " größer  /é ", "[a]*"]))
    def test_in_a_folder_of_a_larger_git_repository(self, tmp_path, prefix, monkeypatch):
        repo = in_a_folder(tmp_path, prefix)
        entries = {name: put(repo / ".graft/features", name) for name in ("tagged", "work", "none")}
        (tmp_path / "link").symlink_to(repo)
        monkeypatch.chdir(repo / "data")
        graft(tmp_path / "link", "gc", "--yes")
        assert kept(entries) == {"tagged", "work"}

    def test_in_a_linked_work_tree_beside_another_project_that_is_broken(self, tmp_path):
        repo = in_a_folder(tmp_path, "ml/graft")
        (repo.parent / "dvc.yaml").write_text("stages: [")
        run(repo, "git", "add", repo.parent / "dvc.yaml")
        run(repo, "git", "commit", "--quiet", "--message", "not ours")
        run(repo, "git", "worktree", "add", "--quiet", "--detach", tmp_path / "tree")
        tree = tmp_path / "tree/ml/graft"
        shutil.copytree(repo / ".dvc/cache", tree / ".dvc/cache")
        with open_revision(tree, "HEAD") as files:
            assert key_of("tagged") in files.read_text("/data/manifest.csv")
        assert needed_images(tree).unreadable == {}
        assert needed_images(tree).keys == {key_of("tagged")}

    def test_a_project_that_was_moved_needs_what_it_needed(self, tmp_path):
        repo = in_a_folder(tmp_path, "ml/graft")
        run(repo, "git", "rm", "--quiet", "--cached", "data/manifest.csv.dvc")
        (repo / "data/manifest.csv.dvc").unlink()
        made = "stages: {split: {cmd: cp kept data/manifest.csv, outs: [data/manifest.csv]}}"
        (repo / "dvc.yaml").write_text(made)
        shutil.copy(repo / "data/manifest.csv", repo / "kept")
        dvc(repo, "repro", "--quiet")
        run(repo, "git", "add", "--all")
        run(repo, "git", "commit", "--quiet", "--message", "before")
        run(repo, "git", "branch", "before")
        run(repo.parent, "git", "mv", "graft", "moved")
        run(repo.parent, "git", "commit", "--quiet", "--message", "moved")
        moved = repo.with_name("moved")
        unreadable = needed_images(moved).unreadable
        assert [*unreadable] == ["before"]
        assert "was the project moved from ml/graft/dvc.lock?" in unreadable["before"]


@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1)), st.sets(st.sampled_from("abcdef")))
def test_an_entry_goes_exactly_if_none_of_its_images_is_needed(batches, needed):
    from graft.features.gc import unneeded

    files = [CachedFile(Path(str(i)), 1, [(key, 0) for key in keys]) for i, keys in enumerate(batches)]
    dropped = [file for cached in unneeded([Cached(Path(), files)], needed) for file in cached.files]
    assert dropped == [file for file, keys in zip(files, batches, strict=True) if not keys & needed]
