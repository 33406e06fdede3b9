"""`graft serve` as a process, with a model of the pipeline; and its page in a browser."""

import base64
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pandas as pd
import pytest

from helpers.browser import (
    AXE,
    CHROMIUM,
    DESKTOP,
    PHONE,
    faults_of_access,
    faults_of_headings,
    faults_of_images,
    faults_of_width,
    show,
)
from helpers.repository import ROOT, environment, run
from helpers.serving import form

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not importlib.util.find_spec("uvicorn") and not os.environ.get("CI"),
        reason="no graft[serve]: `make runtimes`",
    ),
]


@contextmanager
def started(repo, *arguments, **variables):
    """`graft serve` on a free port, once it is ready: an HTTP client, and the process."""
    command = ["graft", "serve", *arguments, "--port", "0"]
    with subprocess.Popen(
        command, cwd=repo, env=environment(repo) | variables, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            line = process.stderr.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+", line).group()
            with httpx.Client(base_url=url, timeout=60) as client:
                while process.poll() is None and client.get("/readyz").status_code != 200:
                    pass
                client.line = line
                yield client, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def served(built):
    with started(built.repo, "two_stage", "--runtime", "keras", GRAFT_API_KEY="") as (client, _):
        yield client


@pytest.fixture(scope="module")
def photos(built):
    """Some test images of the built repository: (label, encoded image)."""
    manifest = pd.read_csv(built.repo / "data/manifest.csv").set_index("key")
    rows = pd.read_parquet(built.repo / "data/images", columns=["key", "image"]).set_index("key")
    keys = manifest[manifest["split"] == "test"].index[:4]
    return [rows.loc[key, "image"] for key in keys], keys


def test_its_scores_are_those_of_the_predictions(built, served, photos):
    images, keys = photos
    assert "model.keras (keras)" in served.line
    rows = served.post("/v1/predict", files=form(*images)).json()["predictions"]
    predicted = pd.read_parquet(built.repo / "predictions/two_stage.parquet")
    predicted = predicted[predicted["seed"] == predicted["seed"].min()].set_index("key")
    for row, key in zip(rows, keys, strict=True):
        expected = {name: predicted.loc[key, f"y_score.{name}"] for name in row["scores"]}
        assert row["scores"] == pytest.approx(expected, abs=2e-3)


def test_a_heat_map_and_a_log(built, photos, tmp_path):
    log = tmp_path / "log"
    with started(built.repo, "two_stage", "--runtime", "keras", "--log", str(log)) as (client, process):
        drawn = client.post("/v1/explain", files=form(photos[0][0]))
        assert drawn.content.startswith(b"\x89PNG")
        client.post("/v1/predict", files=form(*photos[0]))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    kept = pd.concat(map(pd.read_parquet, log.glob("*.parquet")))
    assert len(kept) == 5
    assert not [name for name in kept.columns if "image" in name]


def test_sigterm_finishes_what_runs(built, photos):
    serving = started(built.repo, "two_stage", "--runtime", "keras")
    with serving as (client, process), ThreadPoolExecutor(16) as pool:
        url, files = f"{client.base_url}/v1/predict", form(photos[0][0])
        answers = [pool.submit(httpx.post, url, files=files, timeout=60) for _ in range(200)]
        assert answers[0].result().status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "stopped" in process.stderr.read()
        failed = [error for answer in answers if (error := answer.exception())]
        assert {answer.result().status_code for answer in answers if not answer.exception()} == {200}
    late = httpx.ConnectError | httpx.ReadError | httpx.RemoteProtocolError  # sent after the end
    assert all(isinstance(error, late) for error in failed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected a method"),
        (["nothing"], "expected a method of linear"),
        (["two_stage", "--model", "a.onnx"], "expected a method"),
        (["--model", "a.onnx"], "a.onnx does not exist"),
        (["--model", "README.md"], "no model file of a known format"),
        (["two_stage", "--runtime", "onnx"], "graft export two_stage --format onnx"),
        (["two_stage", "--host", "203.0.113.1"], "cannot serve"),
    ],
)
def test_what_is_wrong_is_a_sentence(built, arguments, said):
    output = run(built.repo, "graft", "serve", *arguments, fails=True)
    assert said in " ".join(output.split())
    assert "Traceback" not in output


@pytest.fixture
def page(served, playwright):
    """A tab with the page, a camera that is not there, and what the console said."""
    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with tarfile.open(AXE) as archive:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=fakes)
        tab = browser.new_context(bypass_csp=False).new_page()
        tab.axe = archive.extractfile("package/axe.min.js").read().decode()
        tab.trouble = []
        tab.on("console", lambda said: tab.trouble.append(said.text))
        tab.on("pageerror", lambda error: tab.trouble.append(str(error)))
        own = str(served.base_url)
        tab.on(
            "request",
            lambda asked: asked.url.startswith((own, "blob:", "data:")) or tab.trouble.append(asked.url),
        )
        tab.goto(own)
        tab.locator("#about", has_text="classes").wait_for()
        yield tab
        browser.close()


def upload(tab, photos):
    """Choose files on the page, and wait for all answers."""
    files = [
        {"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": photo} for n, photo in enumerate(photos)
    ]
    tab.set_input_files("#files", files)
    for file in files:
        card = tab.locator("#results > li", has_text=file["name"])
        card.locator(".bars li").first.wait_for()


def test_the_page_shows_what_the_api_answers(page, served, photos):
    upload(page, photos[0][:2])
    rows = served.post("/v1/predict", files=form(*photos[0][:2])).json()["predictions"]
    shown = page.locator(".answer").all_inner_texts()[::-1]  # the newest is on top
    assert shown == [f"{row['label']}, {100 * row['score']:.1f} %" for row in rows]
    assert rows[1]["label"] in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Show where the model looks in 1.jpg").click()
    page.locator(".heat:visible").wait_for()
    for width, scheme in ((PHONE, "dark"), (DESKTOP, "light")):
        show(page, width, scheme)
        page.evaluate(page.axe)
        assert faults_of_access(page) + faults_of_width(page) + faults_of_headings(page) == []
    assert faults_of_images(page) == []
    assert page.trouble == []


def test_the_page_says_why_a_file_has_no_answer(page):
    page.set_input_files("#files", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"junk"}])
    page.get_by_text("not an image").first.wait_for()
    assert [said for said in page.trouble if "422" not in said and "blob:" not in said] == []


def test_the_page_takes_what_is_dropped(page, photos):
    page.evaluate(
        """encoded => {
            const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0)), all = new DataTransfer();
            all.items.add(new File([bytes], "dropped.jpg", {type: "image/jpeg"}));
            const event = new DragEvent("drop", {dataTransfer: all, bubbles: true});
            document.querySelector("#drop").dispatchEvent(event);
        }""",
        base64.b64encode(photos[0][0]).decode(),
    )
    page.get_by_role("heading", name="dropped.jpg").wait_for()
    page.locator(".bars li").first.wait_for()
    assert page.trouble == []


def test_the_page_takes_photos_by_keyboard_alone(page):
    page.get_by_role("button", name="Use the camera").focus()
    page.keyboard.press("Enter")
    while not page.evaluate("document.querySelector('#video').videoWidth"):
        pass
    assert page.evaluate("document.activeElement.id") == "shoot"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="camera 1.jpg").wait_for()
    page.locator(".bars li").first.wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Use the camera").wait_for()
    assert page.trouble == []


def test_the_page_and_the_interface_are_complete_without_scripts_from_elsewhere(page, served):
    page.goto(f"{served.base_url}/docs")
    show(page, PHONE, "dark")
    page.evaluate(page.axe)
    assert faults_of_access(page) + faults_of_width(page) + faults_of_headings(page) + page.trouble == []


def test_the_page_asks_for_the_key(built, page, photos):
    with started(built.repo, "two_stage", "--runtime", "keras", GRAFT_API_KEY="sécret") as (client, process):
        assert client.get("/v1/model").status_code == 401
        said = Path(f"/proc/{process.pid}/cmdline").read_text() if sys.platform == "linux" else ""
        assert "cret" not in said
        key = {"Authorization": "Bearer sécret".encode()}
        assert client.post("/v1/predict", files=form(photos[0][0]), headers=key).status_code == 200
        page.goto(str(client.base_url))
        page.locator("#about", has_text="asks for an API key").wait_for()
        for typed, told in (("wrong", "does not take this key"), ("sécret", "")):
            page.get_by_label("API key").fill(typed)
            page.keyboard.press("Enter")
            page.get_by_role("status").filter(has_text=told).wait_for(state="attached")
        page.locator("#about", has_text="classes").wait_for()
        assert page.evaluate("document.activeElement.id") == "files"
        upload(page, photos[0][:1])


def test_the_examples_of_the_page_of_docs(served, photos, tmp_path):
    page = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    for name, photo in zip(("rose.jpg", "tulip.jpg"), photos[0], strict=False):
        (tmp_path / name).write_bytes(photo)
    here = page.replace("http://127.0.0.1:8000", str(served.base_url).rstrip("/"))
    asked = re.findall(r"^curl .+", here, re.MULTILINE)
    answers = [
        json.loads(run(tmp_path, "sh", "-ec", command.replace("curl", "curl -sS"))) for command in asked
    ]
    assert [len(answer.get("predictions", [])) for answer in answers] == [1, 2, 1, 0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", here, re.MULTILINE | re.DOTALL)
    said = run(tmp_path, sys.executable, "-c", code).split()
    assert said[:2] == ["rose.jpg", answers[0]["predictions"][0]["label"]]


def test_the_limits_of_the_page_of_docs_are_those_of_the_code():
    from graft.serving.server.limits import Limits

    page, limits = (ROOT / "docs/serve.md").read_text(encoding="utf-8"), Limits()
    cells = [f"{limits.max_bytes >> 20} MiB", f"{limits.max_pixels:,}", f"{limits.max_files}, or"]
    cells += [
        f"{limits.queue} |",
        f"{limits.timeout} |",
        f"{limits.head_seconds}; 5",
        f"{limits.connections} |",
    ]
    cells += [f"{limits.max_head >> 10} KiB", f"{limits.bodies} bodies"]
    assert [cell for cell in cells if f"| {cell}" not in page] == []
