"""The server on loopback: answers, refusals, batches, readiness, keys."""

import importlib.util
import json
import os
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.serving import (
    BLUE,
    CARD,
    GREEN,
    RED,
    Gate,
    as_json,
    encode,
    form,
    head,
    score_colours,
    serving,
    status_of,
    talk,
)

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("uvicorn") and not os.environ.get("CI"),
    reason="no graft[serve]: `make runtimes`",
)
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
BIG = encode("red", (1000, 1000))
COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}


@pytest.fixture(scope="module")
def server():
    with serving(max_bytes=200_000, max_pixels=1000, max_files=4, queue=100) as started:
        yield started


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.opened.set()


def labels(response):
    assert response.status_code == 200, response.text
    return [row["label"] for row in response.json()["predictions"]]


@given(names=st.lists(st.sampled_from([*COLOURS]), min_size=1, max_size=4), as_form=st.booleans())
def test_rows_are_in_the_order_of_the_images(server, names, as_form):
    images = [COLOURS[name] for name in names]
    body = {"files": form(*images)} if as_form else {"json": as_json(*images)}
    response = server.client.post("/v1/predict", **body)
    assert labels(response) == names
    rows = response.json()["predictions"]
    assert [row["name"] for row in rows] == [f"{i}.png" if as_form else str(i) for i in range(len(names))]
    alone = [
        server.client.post("/v1/predict", files=form(image)).json()["predictions"][0] for image in images
    ]
    assert [row["scores"] for row in rows] == [row["scores"] for row in alone]
    assert all(row["score"] == row["scores"][row["label"]] for row in rows)


def test_scores_are_those_of_the_classifier(server):
    from graft.serving.classifier import Classifier

    image = encode((90, 80, 70), kind="JPEG")
    classifier = Classifier(CARD, score_colours)
    expected = classifier.score(classifier.decode(image)[np.newaxis]).scores[0]
    (row,) = server.client.post("/v1/predict", files=form(image)).json()["predictions"]
    assert [*row["scores"].values()] == pytest.approx(expected, abs=1e-6)


REFUSED = {
    "junk": (422, "not an image", {"files": form(b"junk")}),
    "an empty file": (422, "empty file", {"files": form(b"")}),
    "a truncated image": (422, "truncated", {"files": form(RED[:-40])}),
    "too many pixels": (413, "1000 x 1000 pixels exceed max_pixels=1000", {"files": form(BIG)}),
    "too many files": (413, "at most 4 images", {"files": form(*[RED] * 5)}),
    "too many in JSON": (413, "at most 4 images", {"json": as_json(*[RED] * 5)}),
    "no file": (422, "at least one image", {"json": {"images": []}}),
    "many parts without a name": (
        413, "at most 4", {"content": b"--b\r\nA: b\r\n\r\n\r\n" * 9000 + b"--b--\r\n", "headers": FORM},
    ),
    "no base64": (422, "images.1: expected base64", {"json": {"images": ["aaaa", "data:,"]}}),
    "other JSON": (422, "expected {", {"json": {"image": "aaaa"}}),
    "numbers": (422, "expected {", {"json": {"images": [1]}}),
    "nested JSON": (422, "expected {", {"content": b"[" * 100_000, "headers": JSON}),
    "broken JSON": (422, "expected {", {"content": b'{"images', "headers": JSON}),
    "another type": (415, "received a/b", {"content": b"a", "headers": {"Content-Type": "a/b"}}),
    "no type": (415, "received none", {"content": b"a"}),
    "no boundary": (422, "boundary", {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}}),
    "a damaged form": (422, "multipart", {"content": b"a", "headers": FORM}),
    "a form that does not end": (
        422, "last boundary is missing",
        {"content": b"--b\r\n\r\nx", "headers": FORM},
    ),
    "a form of text": (422, "at least one image", {"files": {"text": (None, "x")}}),
    "a long text": (422, "expected a file", {"files": {"text": (None, "x" * 5000)}}),
    "a large body": (413, "at most 200,000 bytes", {"files": form(b"0" * 200_000)}),
    "a large chunked body": (
        413, "at most 200,000 bytes",
        {"content": iter([b"0" * 100_000] * 3), "headers": JSON},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_a_status_and_a_sentence(server, name):
    status, said, request = REFUSED[name]
    response = server.client.post("/v1/predict", **request)
    assert response.status_code == status
    assert said in response.json()["detail"]
    assert labels(server.client.post("/v1/predict", files=form(RED))) == ["red"]


def test_a_bad_file_among_several_is_a_row(server):
    rows = server.client.post("/v1/predict", files=form(RED, b"junk", BIG, BLUE)).json()["predictions"]
    assert [row.get("label") for row in rows] == ["red", None, None, "blue"]
    assert [row.get("status") for row in rows] == [None, 422, 413, None]
    assert rows[1]["error"].startswith("not an image")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/predict", 405),
        ("POST", "/", 405),
        ("GET", "/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/page/..%2f..%2fapp.py", 404),
        ("GET", "/%2e%2e/app.py", 404),
    ],
)
def test_other_paths_are_sentences(server, method, path, status):
    answer = talk(server.port, head(path, method, Connection="close"))
    assert status_of(answer)[0] == status
    assert "/docs" in status_of(answer)[1]


def test_nothing_is_written_to_disk(monkeypatch):
    with serving() as server:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # where a temporary file cannot be made
        with pytest.raises(FileNotFoundError):
            tempfile.mkstemp()
        big = encode("red", (2000, 2000), "BMP")  # 12 MB, which Starlette would spool
        assert labels(server.client.post("/v1/predict", files=form(big))) == ["red"]


def test_what_waits_is_scored_together(gate):
    with serving(gate) as server, ThreadPoolExecutor(4) as pool:
        gate.shut()
        first = pool.submit(server.client.post, "/v1/predict", files=form(RED))
        assert gate.entered.wait(30)
        others = [pool.submit(server.client.post, "/v1/predict", files=form(each)) for each in (GREEN, BLUE)]
        while queued(server) < 3:
            pass
        while len(server_of(server).batcher._waiting) < 2:
            pass
        gate.opened.set()
        assert [labels(each.result()) for each in (first, *others)] == [["red"], ["green"], ["blue"]]
        assert gate.batches == [1, 2]


def server_of(server):
    """The service behind a server."""
    return server.server.config.app.state.service


def queued(server):
    return server_of(server).queue.used


def test_a_full_queue_is_a_503_with_retry_after(gate):
    with serving(gate, queue=2) as server, ThreadPoolExecutor(2) as pool:
        gate.shut()
        waiting = [pool.submit(server.client.post, "/v1/predict", files=form(RED)) for _ in range(2)]
        while queued(server) < 2:
            pass
        refused = server.client.post("/v1/predict", files=form(RED))
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        gate.opened.set()
        assert [labels(each.result()) for each in waiting] == [["red"]] * 2
        assert queued(server) == 0


def test_a_request_has_its_time(gate):
    with serving(gate, timeout=0.2) as server:
        gate.shut()
        refused = server.client.post("/v1/predict", files=form(RED))
        assert (refused.status_code, "within 0.2 s" in refused.json()["detail"]) == (503, True)
        while queued(server):
            pass
        gate.opened.set()


def test_who_goes_away_gives_his_place_back(gate):
    with serving(gate, queue=2) as server:
        gate.shut()
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                body = json.dumps(as_json(RED)).encode()
                head_ = head(Content_Type="application/json", Content_Length=len(body))
                connection.sendall(head_ + body)
                assert gate.entered.wait(30)
        while queued(server):
            pass
        gate.opened.set()
        assert labels(server.client.post("/v1/predict", files=form(RED))) == ["red"]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_trickles_is_cut(chunked):
    framing = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": 1000}
    start = head(Content_Type="application/json", Connection="close", **framing)
    with serving(timeout=0.2) as server:
        assert status_of(talk(server.port, start, b"1\r\n{\r\n"))[0] == 408
        assert server_of(server).memory.used == 0


def test_a_head_that_trickles_is_cut():
    with serving(head_seconds=0.2) as server:
        assert status_of(talk(server.port, b"GET / HTTP/1.1\r\nHost: a\r\n"))[0] == 408
        assert talk(server.port) == b""
        answered = talk(server.port, head("/healthz", "GET"))
        assert b'{"ok":true}' in answered
        # The rest of a second request's head never comes, on a connection that was in use.
        assert talk(server.port, head("/healthz", "GET"), b"GET").count(b"HTTP/1.1 ") == 2


def test_connections_are_bounded():
    with serving(connections=3) as server:
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        assert status_of(talk(server.port))[0] == 503
        for each in held:
            each.close()
        while len(server.server.server_state.connections) > 1:
            pass
        assert server.client.get("/healthz").status_code == 200


def test_bodies_in_memory_are_bounded():
    with serving(max_bytes=1000, bodies=1) as server:
        start = head(Content_Type="application/json", Content_Length=900)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(start + b"x" * 800)
            while server_of(server).memory.used < 800:
                pass
            refused = server.client.post("/v1/predict", files=form(RED))
            assert (refused.status_code, "busy" in refused.json()["detail"]) == (503, True)
        while server_of(server).memory.used:
            pass
        assert labels(server.client.post("/v1/predict", files=form(RED))) == ["red"]


SMUGGLED = {
    "two framings": head(Content_Length=3, Transfer_Encoding="chunked"),
    "two lengths": head(Content_Length="3\r\nContent-Length: 4"),
    "a length of words": head(Content_Length="+3"),
    "another coding": head(Transfer_Encoding="xchunked"),
    "a space before the colon": b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "a long head": head(X="x" * 70_000)[:-4],
    "a long head at once": head(X="x" * 20_000),
    "a long path at once": head("/" + "x" * 20_000),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_no_proper_http_is_a_400_and_the_end_of_the_connection(server, name):
    heard = talk(server.port, SMUGGLED[name])
    assert heard.count(b"HTTP/1.1 ") == 1
    assert status_of(heard)[0] == 400


def test_a_broken_chunk_ends_the_connection(server):
    start = head(Content_Type="application/json", Transfer_Encoding="chunked")
    assert status_of(talk(server.port, start, b"zz\r\n"))[0] == 400


def test_a_body_that_nobody_reads_harms_nobody(server):
    start = head("/healthz", "GET", Content_Length=1_000_000)
    assert (
        talk(server.port, start, b"0" * 1_000_000, head("/healthz", "GET", Connection="close")).count(b"true")
        == 2
    )


def test_the_key_is_asked_for():
    with serving(api_key="sécret") as server:
        for path in ("/v1/model", "/metrics", "/nothing"):
            refused = server.client.get(path)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "Bearer KEY" in refused.json()["detail"]
        key = "sécret".encode()
        for headers in ({"Authorization": b"bearer " + key}, {"X-API-Key": key}):
            assert server.client.get("/v1/model", headers=headers).status_code == 200
        for headers in ({"Authorization": b"Basic " + key}, {"X-API-Key": key + b"x"}, {"X-API-Key": b""}):
            assert server.client.get("/v1/model", headers=headers).status_code == 401
        assert server.client.post("/v1/predict", files=form(RED)).status_code == 401
        assert {server.client.get(path).status_code for path in ("/", "/docs", "/healthz", "/readyz")} == {
            200
        }


def test_other_pages_may_call_only_where_they_are_named():
    origin = "https://example.org"
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    with serving(cors=[origin], api_key="k") as server:
        assert (
            server.client.options("/v1/predict", headers=asked).headers["access-control-allow-origin"]
            == origin
        )
        refused = server.client.post("/v1/predict", headers={"Origin": origin})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)
        other = server.client.get("/healthz", headers={"Origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers
    with serving() as server:
        assert "access-control-allow-origin" not in server.client.get("/healthz", headers=asked).headers


def test_it_is_ready_when_it_is_warm():
    from graft.serving.classifier import Classifier
    from graft.serving.server.service import Loaded

    may_load = threading.Event()

    def load():
        assert may_load.wait(30)
        return Loaded(Classifier(CARD, score_colours), "numpy")

    with serving(load=load) as server:
        try:
            assert server.client.get("/healthz").status_code == 200
            for response in (
                server.client.get("/readyz"),
                server.client.post("/v1/predict", files=form(RED)),
            ):
                assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        finally:
            may_load.set()
        while server.client.get("/readyz").status_code != 200:
            pass
        assert labels(server.client.post("/v1/predict", files=form(RED))) == ["red"]


def test_a_model_that_cannot_be_loaded_ends_the_server():
    def load():
        raise ValueError("no model")

    with serving(load=load) as server:
        server.thread.join()
        assert str(server.server.failure) == "no model"


def test_metrics_count():
    with serving(max_files=4) as server:
        server.client.post("/v1/predict", files=form(RED, RED, BLUE, b"junk"))
        server.client.post("/v1/predict", files=form(b"junk"))
        server.client.get("/nothing")
        said = server.client.get("/metrics").text
    assert 'graft_predictions_total{label="red"} 2.0' in said
    assert 'graft_rejected_total{reason="not_an_image"} 2.0' in said
    assert 'graft_requests_total{path="/v1/predict",status="422"} 1.0' in said
    assert 'graft_requests_total{path="other",status="404"} 1.0' in said
    assert "graft_queue_images 0.0" in said
    assert 'graft_request_seconds_count{path="/v1/predict"} 2.0' in said
    assert "graft_batch_images_sum 3.0" in said


def test_the_card_and_the_interface(server):
    model = server.client.get("/v1/model").json()
    assert (model["card"], model["runtime"], model["heat_maps"]) == (CARD, "numpy", False)
    assert model["limits"] == {"max_bytes": 200_000, "max_pixels": 1000, "max_files": 4}
    api = server.client.get("/openapi.json").json()
    docs = server.client.get("/docs").text
    assert all(path in docs for path in api["paths"])
    assert "//" not in docs.replace("https://", "").replace("http://", "")
    assert "default-src 'none'" in server.client.get("/").headers["Content-Security-Policy"]


def test_heat_maps_are_drawn_where_the_runtime_can(server):
    assert server.client.post("/v1/explain", files=form(RED)).status_code == 404

    def explain(pixels, number):
        assert pixels.shape == (16, 16, 3)
        return np.full((2, 2), number / 2, np.float32)

    with serving(explain=explain) as able:
        predicted = able.client.post("/v1/explain", files=form(BLUE))
        named = able.client.post("/v1/explain", files=form(RED), data={"label": "blue"})
        assert (predicted.status_code, predicted.headers["Content-Type"]) == (200, "image/png")
        assert named.content.startswith(b"\x89PNG")
        assert able.client.post("/v1/explain", files=form(RED), data={"label": "x"}).status_code == 422
        assert able.client.post("/v1/explain", files=form(RED, RED)).status_code == 413


def test_what_is_scored_is_logged_and_closed():
    class Log:
        def __init__(self):
            self.rows, self.closed, self.dropped = [], False, 3

        def add(self, features, scores, times):
            self.rows += [*zip(features, scores, times, strict=True)]

        def close(self):
            self.closed = True

    log = Log()
    with serving(log=log) as server:
        server.client.post("/v1/predict", files=form(RED, BLUE, b"junk"))
        assert "graft_log_dropped_rows 3.0" in server.client.get("/metrics").text
    assert log.closed
    assert [int(scores.argmax()) for _, scores, _ in log.rows] in ([0, 2], [2, 0])


def test_the_names_of_uvicorn_that_are_not_public_are_there():
    from uvicorn.protocols.http.h11_impl import H11Protocol

    names = "connection_made connection_lost handle_events on_response_complete pause_writing resume_writing"
    assert all(callable(getattr(H11Protocol, name)) for name in [*names.split(), "send_400_response"])
