"""docs/deploy/: the page that runs an ONNX file in a browser, with everything served from loopback."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helpers.browser import AXE, PHONE, faults_of_access, faults_of_headings, faults_of_width, show
from helpers.pages import make_image
from helpers.repository import ROOT

PAGE = ROOT / "docs/deploy.md"
RUNTIME = next(Path(sys.prefix).glob("onnxruntime-web-*.tgz"), None)
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

pytestmark = pytest.mark.long


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(trained, tmp_path_factory):
    """A folder as docs/deploy.md lays it out, and its address."""
    pytest.importorskip("onnxruntime")
    if RUNTIME is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no onnxruntime-web: `make browser`")
    from graft.export import onnx_file
    from graft.models.card import read_card

    folder = tmp_path_factory.mktemp("site")
    for name in ("browser.html", "graft.mjs"):
        shutil.copy(ROOT / "docs/deploy" / name, folder)
    with tarfile.open(RUNTIME) as archive:
        for name in FILES:
            (folder / name).write_bytes(archive.extractfile(f"package/dist/{name}").read())
    made = trained["two_stage"]
    none = np.empty((0, 32, 32, 3), np.uint8)
    onnx_file.write(made.outcome.model, read_card(made.model), folder / "model.onnx", "float32", none)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def tab(browser, site):
    """The page of that folder, its model loaded; `trouble` is what the console and scripts said."""
    page = browser.new_page()
    page.trouble = []
    with tarfile.open(AXE) as archive:
        page.add_init_script(archive.extractfile("package/axe.min.js").read().decode())
    page.on("console", lambda said: page.trouble.append(said.text))
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("request", lambda request: page.trouble.extend([request.url] * (site not in request.url)))
    page.goto(f"{site}/browser.html")
    page.wait_for_selector("#files:enabled")
    return page


@pytest.fixture(scope="module")
def photos(images, tmp_path_factory):
    """Ten photos of the demo, as their files."""
    folder = tmp_path_factory.mktemp("photos")
    table = pq.read_table(images, columns=["key", "image"], partitioning=None).slice(0, 10)
    for key, image in zip(*(table[name].to_pylist() for name in ("key", "image")), strict=True):
        (folder / f"{key[:8]}.jpg").write_bytes(image)
    return sorted(folder.iterdir())


def predict(tab, files):
    """What the page shows of files: (image, label, score) a row, and all the scores (n, n_classes)."""
    tab.set_input_files("#files", files)
    tab.wait_for_function(f"document.getElementById('status').textContent === '{len(files)} predicted'")
    rows = tab.locator("#rows tr").all()
    texts = [[cell.inner_text() for cell in row.locator("td").all()] for row in rows]
    scores = [json.loads(row.get_attribute("data-scores") or "null") for row in rows]
    return texts, scores


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_ten_photos_get_the_answers_of_keras(tab, photos, trained, tmp_path, kind):
    import graft

    files = photos
    if kind == "PNG":  # which no decoder reads otherwise than another
        files = [tmp_path / f"{file.stem}.png" for file in photos]
        for photo, file in zip(photos, files, strict=True):
            Image.open(photo).save(file)
    expected = graft.load(trained["two_stage"].model).predict(files)
    texts, scores = predict(tab, files)
    assert [row[:2] for row in texts] == [
        [Path(path).name, label] for path, label in zip(expected["path"], expected["label"], strict=True)
    ]
    np.testing.assert_allclose(scores, expected.iloc[:, 3:], atol=1e-5 if kind == "PNG" else 1e-3)
    assert np.ptp(np.array(scores), axis=0).max() > 0.02  # it tells images apart
    assert tab.trouble == []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("width", "height"), [(128, 128), (375, 500), (20, 301), (1, 3), (32, 64), (7, 9)])
def test_it_resizes_to_the_bytes_of_pillow(tab, width, height, channels):
    from graft.data.images import resize

    pixels = make_image(0, (height, width), channels)
    expected = np.asarray(resize(Image.fromarray(pixels), 32)).reshape(-1)
    code = """async ([pixels, width, height, channels]) => {
        const { resize } = await import("./graft.mjs");
        return Array.from(resize(Uint8Array.from(pixels), width, height, 32, channels));
    }"""
    assert tab.evaluate(code, [pixels.reshape(-1).tolist(), width, height, channels]) == expected.tolist()


def test_what_is_no_image_is_a_row_that_says_so(tab, photos, tmp_path):
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    texts, scores = predict(tab, [tmp_path / "junk.jpg", photos[0]])
    assert texts[0][0] == "junk.jpg"
    assert texts[0][1].startswith("not an image")
    assert scores[0] is None
    assert texts[1][0] == photos[0].name


def test_a_phone_and_a_screen_reader_can_use_it(tab, photos):
    predict(tab, photos)
    show(tab, PHONE)
    assert faults_of_width(tab) + faults_of_access(tab) + faults_of_headings(tab) == []


def test_a_file_that_is_no_model_is_named(tab, site):
    tab.goto(f"{site}/browser.html?model=graft.mjs")
    tab.wait_for_function("document.getElementById('status').textContent.startsWith('The model cannot')")
    tab.goto(f"{site}/browser.html?model=missing.onnx")
    tab.wait_for_function("document.getElementById('status').textContent.includes('404')")


SNIPPETS = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
FORMATS_OF_SNIPPETS = ("onnx", "litert", "openvino", "saved_model")


@pytest.mark.parametrize(("name", "code"), list(zip(FORMATS_OF_SNIPPETS, SNIPPETS, strict=True)))
def test_a_snippet_of_the_page_answers_without_graft(name, code, trained, photos, tmp_path):
    import graft
    from graft.export.registry import FORMATS
    from graft.models.card import read_card

    made, format = trained["two_stage"], FORMATS[name]
    for package in format.packages:
        pytest.importorskip(package.replace("-", "_"))
    file = tmp_path / f"two_stage-float32{format.suffix}"
    none = np.empty((0, 32, 32, 3), np.uint8)
    format.load().write(made.outcome.model, read_card(made.model), file, "float32", none)
    shutil.copy(photos[0], tmp_path / "photo.jpg")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (expected,) = graft.load(made.model).predict(photos[0])["label"]
    assert done.stdout.splitlines()[-1] == expected
    assert "graft" not in code.replace("graft.json", "").replace('"graft", "card"', "")
