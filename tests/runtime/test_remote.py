"""lognet-serve's server against good and bad clients, and its client against good and bad servers."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from lognet_fpga.errors import BoardError, UsageError
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.remote.client import RemoteDevice
from lognet_fpga.runtime.remote.listener import Limits
from lognet_fpga.runtime.remote.protocol import read_token
from lognet_fpga.runtime.selftest import run_selftest
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.streaming import stream
from lognet_fpga.runtime.values import Simulated
from tests import small_bundle
from tests.patience import HANG_S
from tests.served import (
    AUTHORIZED,
    FRAME_BYTES,
    TOKEN,
    Served,
    get,
    infer,
    make_certificate,
    post,
    serving,
    still_works,
)

INFER = "/v2/models/small/infer"


@pytest.fixture(scope="module")
def bundle(require_tool) -> Bundle:
    for name in ("aiohttp", "onnx", "onnxruntime"):
        require_tool(name)
    return make_bundle(small_bundle.files(), small_bundle.manifest())


@pytest.fixture
def served(bundle) -> Iterator[Served]:
    with serving(bundle, max_body_bytes=10 * FRAME_BYTES) as served:
        yield served


@pytest.fixture
def hasty(bundle) -> Iterator[Served]:
    """A server that soon gives up on those that fall silent."""
    with serving(bundle, limits=Limits(head_s=0.3), body_s=0.3) as served:
        yield served


@pytest.mark.parametrize("count", [1, 10, 25])
def test_values_and_cycles_are_the_device_s(served, bundle, count):
    """Ten frames go into a request."""
    frames = small_bundle.frames(count, seed=count)
    device = RemoteDevice(bundle, served.url, TOKEN)
    device.open()
    run, expected = device.run(frames), small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)
    assert np.array_equal(run.activations, expected) and run.clk_mhz == small_bundle.CLK_MHZ
    requests = -(-count // 10)
    cycles = requests * small_bundle.LATENCY_CYCLES + (count - requests) * small_bundle.CYCLES_PER_FRAME
    assert run.pl_cycles == cycles and served.server.counts.frames == count
    assert isinstance(device.figure(1.0, "fps"), Simulated) and device.kind == "simulated"
    assert served.url in device.description and "not measured" in device.power()


def test_a_stream_and_a_self_test_over_the_network(served, bundle):
    frames = small_bundle.frames(40)
    labels = small_bundle.expected_scores(frames).argmax(axis=1)
    device = RemoteDevice(bundle, served.url, TOKEN)
    with Session(bundle, device) as session:
        result = stream(session, Frames(frames, labels), 3)
    assert result.top1 == 1.0 and len(result) == 40
    assert run_selftest(bundle, device).passed


def test_while_one_batch_is_on_the_device_the_next_travels(served, bundle):
    """The device waits in its first run until the second request is in the server."""
    original, seen = served.device.run, []

    def run(frames):
        deadline = time.monotonic() + HANG_S
        while not seen and served.server.counts.requests < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(served.server.counts.requests)
        return original(frames)

    served.device.run = run
    device = RemoteDevice(bundle, served.url, TOKEN)
    device.open()
    results = [len(result.activations) for result in device.runs(small_bundle.frames(2) for _ in range(2))]
    assert results == [2, 2] and seen == [3, 3]


@pytest.mark.parametrize(
    "data, status",
    [
        (post(b"", length=1 << 40), 413),
        (infer(bytes(11 * FRAME_BYTES)), 413),
        (infer(bytes(FRAME_BYTES - 1), 1), 400),
        (post(b""), 400),
        (post(bytes(FRAME_BYTES), path="/v2/shell"), 404),
        (post(bytes(FRAME_BYTES), path="/v2/models/other/infer"), 404),
        (post(bytes(FRAME_BYTES), path="/v2/models/small/versions/1/infer"), 404),
        (post(bytes(FRAME_BYTES), path="/v2/models/small"), 405),
        (get("/v2/models/small/infer"), 405),
        (
            f"POST {INFER} HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n5a\r\n".encode()
            + bytes(FRAME_BYTES)
            + b"\r\n0\r\n\r\n",
            411,
        ),
        (post(b"", length=-5), 400),
        (infer(headers=f"{AUTHORIZED}Expect: the-unexpected\r\n"), 417),
        (infer(headers=f"{AUTHORIZED}Content-Encoding: gzip\r\n"), 415),
        (infer(headers=f"{AUTHORIZED}content-encoding: identity, br\r\n"), 415),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, int) else "",
)
def test_a_bad_request_is_refused_and_the_next_good_one_served(served, bundle, data, status):
    answer = served.send(data)
    assert answer.startswith((f"HTTP/1.1 {status} ".encode(), f"HTTP/1.0 {status} ".encode())), answer[:200]
    assert list(json.loads(answer.partition(b"\r\n\r\n")[2])) == ["error"]
    assert b"Traceback" not in answer and TOKEN.encode() not in answer
    assert served.server.counts.frames == 0
    still_works(served, bundle)


@pytest.mark.parametrize("seed", range(4))
def test_garbage(served, bundle, seed):
    """Random bytes, and good requests with some bytes changed or cut off."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    good = infer()
    for _ in range(12):
        data = bytearray(good if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 2000)))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        served.send(bytes(data[: rng.randrange(1, len(data) + 1)]), end=True)
    assert served.thread.is_alive()
    still_works(served, bundle)


@pytest.mark.parametrize(
    "data, answer",
    [(b"", b""), (b"POST /v2/mod", b""), (infer()[:60], b""), (infer(b"", rest=FRAME_BYTES), b"HTTP/1.1 408 ")],
    ids=["nothing", "line", "head", "body"],
)
def test_a_client_that_falls_silent_is_let_go(hasty, data, answer):
    """send comes back when the server has closed the connection."""
    assert hasty.send(data).partition(b"Request")[0] == answer


@pytest.mark.parametrize("cut", [1, 60, 130, 400])
def test_a_client_that_goes_away_in_the_middle(served, bundle, cut):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.port)) as link:
            link.sendall(infer()[:cut])
    still_works(served, bundle)


def test_a_device_that_fails_says_why_and_serves_the_next(served, bundle):
    original = served.device.run

    def run(frames):
        served.device.run = original
        raise errors.pop()

    errors = [ValueError("secret inside"), BoardError("TLAST lost", hint="try again")]
    device = RemoteDevice(bundle, served.url, TOKEN)
    for message in ("TLAST lost What to do: try again", "defect in the server: ValueError"):
        served.device.run = run
        with pytest.raises(BoardError, match="refused") as caught:
            device.run(small_bundle.frames(1))
        assert message in str(caught.value) and "secret" not in str(caught.value)
    still_works(served, bundle)


def test_another_bundle_and_another_token_are_refused(served, bundle):
    other = make_bundle({**bundle.files, "empty.txt": b"else"}, small_bundle.manifest())
    with pytest.raises(BoardError, match="serves another bundle"):
        RemoteDevice(other, served.url, TOKEN).open()
    with pytest.raises(BoardError, match="token is wrong") as caught:
        RemoteDevice(bundle, served.url, "another-token-than-that").open()
    assert "--token-file" in str(caught.value)


def test_a_kept_connection_that_was_closed_is_opened_again(served, bundle):
    device = RemoteDevice(bundle, served.url, TOKEN)
    device.open()
    (connection,) = device._connections.queue
    connection.sock.shutdown(socket.SHUT_RDWR)
    assert len(device.run(small_bundle.frames(2)).activations) == 2


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_who_waits_can_be_let_go(bundle, request, encrypted):
    """From another thread, and at once; the next request is a good one."""
    certificate = request.getfixturevalue("certificate") if encrypted else None
    from lognet_fpga.runtime.remote.server import server_tls

    with serving(bundle, tls=server_tls(*certificate) if certificate else None) as served:
        original, begun, go_on = served.device.run, threading.Event(), threading.Event()

        def run(frames):
            begun.set()
            assert go_on.wait(HANG_S)
            return original(frames)

        served.device.run = run
        device = RemoteDevice(bundle, served.url, TOKEN, certificate=certificate[0] if certificate else None)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(device.run, small_bundle.frames(2))
            assert begun.wait(HANG_S)
            device.abort()
            with pytest.raises(BoardError, match="does not answer"):
                waiting.result(HANG_S)
        go_on.set()
        served.device.run = original
        assert served.server.counts.requests == 2  # what it is, and the frames once
        assert len(device.run(small_bundle.frames(2)).activations) == 2
        device.close()


# --- bad servers ------------------------------------------------------------------------------------------------------


@contextmanager
def answering(answer: bytes | Callable[[], bytes]) -> Iterator[str]:
    """The address of a server that says the same to everyone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.recv(1 << 16)
                    link.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhel",
        b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"parameters": {}}',
        b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000000),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00\x00",
    ],
)
def test_a_server_that_is_none(bundle, answer):
    with answering(answer) as url, pytest.raises(BoardError, match="127.0.0.1|no lognet-serve"):
        RemoteDevice(bundle, url, TOKEN, timeout_s=5).open()


def test_nobody_there(bundle):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BoardError, match="does not answer") as caught:
        RemoteDevice(bundle, f"http://127.0.0.1:{port}", TOKEN).open()
    assert "check that lognet-serve runs" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://x/path", "http://a:b@x", "http://x:port", "x:1", "http://["]
)
def test_an_address_that_is_none(bundle, url):
    with pytest.raises(UsageError, match="no address"):
        RemoteDevice(bundle, url, TOKEN)


# --- TLS and tokens ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory, require_tool):
    require_tool("openssl")
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_tls(bundle, certificate):
    from lognet_fpga.runtime.remote.server import server_tls

    with serving(bundle, tls=server_tls(*certificate), limits=Limits(head_s=2.0)) as served:
        device = RemoteDevice(bundle, served.url, TOKEN, certificate=certificate[0])
        assert len(device.run(small_bundle.frames(2)).activations) == 2
        with pytest.raises(BoardError, match="CERTIFICATE_VERIFY_FAILED"):
            RemoteDevice(bundle, served.url, TOKEN).open()
        assert b"HTTP" not in served.send(infer())  # without TLS
        served.send(b"")  # comes back when the handshake has taken too long
        assert len(device.run(small_bundle.frames(2)).activations) == 2
        device.close()


def test_certificates_that_are_none(bundle, certificate, tmp_path):
    from lognet_fpga.runtime.remote.server import server_tls

    (tmp_path / "x.pem").write_text("no certificate")
    for pair in ((tmp_path / "x.pem", certificate[1]), (certificate[0], tmp_path / "missing.pem")):
        with pytest.raises(UsageError, match="no certificate and its key"):
            server_tls(*pair)
    with pytest.raises(UsageError, match="no certificate"):
        RemoteDevice(bundle, "https://x", TOKEN, certificate=tmp_path / "x.pem")


def test_tokens(tmp_path, monkeypatch):
    monkeypatch.delenv("LOGNET_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("LOGNET_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    (tmp_path / "token").write_text("another-token-of-a-file\n")
    assert read_token(tmp_path / "token") == "another-token-of-a-file"
    for text in ("", "short", "two words are no good token", "line\n" * 8, "x" * 300):
        (tmp_path / "token").write_text(text)
        with pytest.raises(UsageError, match="no token"):
            read_token(tmp_path / "token")
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "missing")
