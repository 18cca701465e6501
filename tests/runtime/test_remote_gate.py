"""What strangers get out of lognet-serve and keep others from: raw sockets, and clients as people use."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import socket
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from lognet_fpga.runtime.remote.client import RemoteDevice
from lognet_fpga.runtime.remote.listener import Limits, origin
from lognet_fpga.runtime.remote.token_gate import MAX_HEAD_BYTES, Verdict, judge
from tests import small_bundle
from tests.patience import HANG_S
from tests.served import (
    AUTHORIZED,
    FRAME_BYTES,
    NAME,
    TOKEN,
    Served,
    get,
    infer,
    make_certificate,
    post,
    question,
    serving,
    still_works,
)

NO_TOKEN = b'{"error": "the token is wrong or missing: send Authorization: Bearer TOKEN"}'
HEAD_401 = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(NO_TOKEN)
)
EXPECT = "Expect: 100-continue\r\n"


@pytest.fixture(scope="module")
def bundle(require_tool) -> Bundle:
    for name in ("aiohttp", "onnx", "onnxruntime"):
        require_tool(name)
    return make_bundle(small_bundle.files(), small_bundle.manifest())


@pytest.fixture
def served(bundle) -> Iterator[Served]:
    with serving(bundle, max_body_bytes=10 * FRAME_BYTES) as served:
        yield served


@pytest.fixture(scope="module")
def certificate(tmp_path_factory, require_tool) -> tuple[Path, Path]:
    require_tool("openssl")
    return make_certificate(tmp_path_factory.mktemp("tls"))


# --- nothing before the token -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # TLS where none is
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",  # HTTP/0.9
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n",
        b"hello\r\n",
        b"GET / HTTP/1.1\r\n no field\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
        f"GET / HTTP/1.1\r\nbad name: 1\r\n{AUTHORIZED}\r\n".encode(),
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
        b"G" * 100_000,
        bytes(range(256)),
    ],
)
def test_what_is_no_http_is_closed_without_an_answer(served, bundle, data):
    assert served.send(data) == b""
    assert served.server.counts.requests == 0
    still_works(served, bundle)


@pytest.mark.parametrize(
    "data",
    [
        infer(headers=""),
        infer(headers="Authorization: Bearer a-token-for-the-testz\r\n"),
        infer(headers=f"Authorization: Bearer {TOKEN}x\r\n"),
        infer(headers=f"Authorization: Basic {TOKEN}\r\n"),
        infer(headers="Authorization: Basic \xff\xfe\r\n"),
        infer(headers="Authorization:\r\n"),
        infer(headers="Authorization: Bearer x\r\n" + AUTHORIZED),
        infer(headers=f"X-{AUTHORIZED}"),
        post(b"", length=1 << 40, headers=""),
        post(b"", length=-5, headers=""),
        infer(headers=EXPECT),
        post(b"", length=FRAME_BYTES, headers=EXPECT, path="/nowhere"),
        post(gzip.compress(bytes(FRAME_BYTES)), headers="Content-Encoding: gzip\r\n"),
        post(b"no gzip", headers="Content-Encoding: gzip\r\n"),
        b"GET / HTTP/1.0\r\n\r\n",
        f"GET /{TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n{AUTHORIZED}".encode(),
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_a_request_without_the_token_gets_a_401_and_no_more(served, bundle, data):
    assert served.send(data) == HEAD_401 + (b"" if data.startswith(b"HEAD ") else NO_TOKEN)
    assert served.server.counts.refused == served.server.counts.requests == 1
    still_works(served, bundle)


@pytest.mark.parametrize("second", ["Authorization: Bearer another-token-of-a-client\r\n", ""])
def test_every_further_request_of_a_connection_needs_the_token_too(served, second):
    """No 100-continue for one that has none."""
    first = get("/v2")
    answer = served.send(first + post(b"", length=FRAME_BYTES, headers=second + EXPECT))
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 401 " in answer and b"100 Continue" not in answer


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_head_may_come_in_pieces(served, cut):
    data = infer().replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(data[:cut])
        link.sendall(data[cut:])
        assert link.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("cut", range(0, 200, 3))
def test_no_beginning_of_a_good_request_is_refused(cut):
    data = infer()
    head = data.index(b"\r\n\r\n") + 4
    assert judge(data[:cut], TOKEN.encode()) is (Verdict.AUTHORIZED if cut >= head else Verdict.INCOMPLETE)


def test_the_longest_head():
    def head(size: int) -> bytes:
        begin = f"GET / HTTP/1.1\r\n{AUTHORIZED}X: ".encode()
        return begin + b"x" * (size - len(begin)) + b"\r\n\r\n"

    assert judge(head(MAX_HEAD_BYTES), TOKEN.encode()) is Verdict.AUTHORIZED
    assert judge(head(MAX_HEAD_BYTES + 1), TOKEN.encode()) is Verdict.NOT_HTTP


# --- behind the token -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress), ("gzip", lambda data: b"no gzip at all")]
)
def test_encoded_bodies_are_refused_unread(served, bundle, encoding, pack):
    """Broken ones as well: nobody looks."""
    body = pack(bytes(FRAME_BYTES))
    answer = served.send(post(body, headers=f"{AUTHORIZED}Content-Encoding: {encoding}\r\n"))
    assert answer.startswith(b"HTTP/1.1 415 ") and b"Accept-Encoding: identity" in answer
    still_works(served, bundle)


def test_an_identity_encoding_is_none(served):
    data = infer(headers=f"{AUTHORIZED}Content-Encoding: Identity\r\nConnection: close\r\n")
    assert served.send(data).startswith(b"HTTP/1.1 200 OK")


def test_100_continue_comes_when_the_body_may(served):
    data = infer(headers=AUTHORIZED + EXPECT + "Connection: close\r\n")
    head = data.index(b"\r\n\r\n") + 4
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as link:
        link.sendall(data[:head])
        assert link.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(data[head:])
        assert link.recv(15) == b"HTTP/1.1 200 OK"
    for refused in (
        post(b"", length=1 << 40, headers=AUTHORIZED + EXPECT),
        post(b"", headers=AUTHORIZED + EXPECT, path="/"),
    ):
        answer = served.send(refused)
        assert answer.count(b"HTTP/1.1 ") == 1 and b"100 Continue" not in answer


def test_no_answer_tells_the_versions_behind(served):
    import aiohttp

    device = get("/v2", f"{AUTHORIZED}Connection: close\r\n")
    for data in (post(b""), device):
        answer = served.send(data)
        assert b"Server: lognet-serve\r\n" in answer and aiohttp.__version__.encode() not in answer


# --- clients as people use --------------------------------------------------------------------------------------------


@pytest.fixture
def curl(require_tool, served):
    require_tool("curl")

    def run(*arguments: str, path: str = f"/v2/models/{NAME}/infer", data: bytes = b"") -> tuple[str, bytes]:
        """Status and body."""
        command = [shutil.which("curl"), "-sS", "-w", "\n%{http_code}", *arguments, served.url + path]
        out = subprocess.run(command, input=data, check=True, capture_output=True, timeout=HANG_S).stdout
        body, _, status = out.rpartition(b"\n")
        return status.decode(), body

    return run


def test_curl(curl, served):
    """In JSON, and with a body that it asks for leave to send."""
    token = ("-H", f"Authorization: Bearer {TOKEN}")
    upload = ("--data-binary", "@-", "-H", "Expect: 100-continue")
    assert curl(path="/v2/health/live") == ("401", NO_TOKEN)
    assert curl(*upload, data=bytes(1 << 20)) == ("401", NO_TOKEN)
    assert curl(*token, path="/v2/health/live") == ("200", b'{"live": true}')
    frames = small_bundle.frames(3)
    entry = {"name": "frames", "datatype": "UINT8", "shape": list(frames.shape), "data": frames.tolist()}
    asked = json.dumps({"inputs": [entry], "outputs": [{"name": "activations"}]}).encode()
    status, body = curl(*token, "--data-binary", "@-", data=asked)
    (output,) = json.loads(body)["outputs"]
    expected = small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)
    assert status == "200" and np.array_equal(np.reshape(output["data"], output["shape"]), expected)
    asked = question(3, frames.size)
    header = ("-H", f"Inference-Header-Content-Length: {len(asked)}")
    status, body = curl(*token, *header, *upload, data=asked + frames.tobytes())
    assert status == "200" and body.endswith(expected.tobytes())
    assert curl(*token, *upload, "-H", "Content-Encoding: gzip", data=bytes(FRAME_BYTES))[0] == "415"
    assert curl(*token, "-X", "PUT")[0] == "405"


def test_aiohttp_s_own_client(served):
    """As a user of Python writes one: kept connections, several at a time, a body that is sent compressed."""
    import aiohttp

    asked = question(1, FRAME_BYTES)

    async def use() -> list[int]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Inference-Header-Content-Length": str(len(asked))}
        async with aiohttp.ClientSession(served.url, headers=headers) as session:

            async def status(**more) -> int:
                url = f"/v2/models/{NAME}/infer"
                async with session.post(url, data=asked + bytes(FRAME_BYTES), **more) as answer:
                    await answer.read()
                    return answer.status

            good = await asyncio.gather(*(status() for _ in range(8)))
            return [*good, await status(expect100=True), await status(compress="gzip"), await status()]

    assert asyncio.run(use()) == [200] * 9 + [415, 200]


# --- crowds -----------------------------------------------------------------------------------------------------------


@contextmanager
def crowd(served: Served, count: int, source: str, data: bytes = b"") -> Iterator[None]:
    """So many sockets from there, each opened again as soon as the server closes it."""
    stop = threading.Event()

    async def occupy() -> None:
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", served.port, local_addr=(source, 0))
                begun.set()
                writer.write(data)
                while await asyncio.wait_for(reader.read(1 << 16), 1):
                    pass
            except (OSError, asyncio.TimeoutError):
                pass
            else:
                writer.close()

    async def occupy_all() -> None:
        await asyncio.gather(*(occupy() for _ in range(count)))

    begun = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(occupy_all()), daemon=True)
    thread.start()
    assert begun.wait(HANG_S)
    yield
    stop.set()
    thread.join(HANG_S)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.9"])
@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n", post(b"", headers="")], ids=["silent", "slow", "wrong"])
def test_sockets_that_reopen_keep_nobody_out(served, bundle, source, data):
    """Forty, from the client's own address and another one."""
    with crowd(served, 40, source, data):
        for _ in range(8):
            still_works(served, bundle)


def test_nor_with_tls(bundle, certificate):
    from lognet_fpga.runtime.remote.server import server_tls

    with serving(bundle, tls=server_tls(*certificate)) as served, crowd(served, 40, "127.0.0.1", b"\x16\x03\x01"):
        for _ in range(5):
            still_works(served, bundle, certificate[0])


def test_a_client_that_has_shown_the_token_stays_in_any_crowd(served, bundle):
    device = RemoteDevice(bundle, served.url, TOKEN)
    device.open()
    (kept,) = device._connections.queue
    with crowd(served, 200, "127.0.0.1"):
        for _ in range(50):
            device.run(small_bundle.frames(1))
        (still,) = device._connections.queue
    assert still is kept
    device.close()


def test_of_one_address_the_oldest_stranger_goes(bundle):
    """Those of another address stay as they are."""
    with serving(bundle, limits=Limits(strangers=6, strangers_of_one=3)) as served, ExitStack() as links:

        def connect(source: str) -> socket.socket:
            link = socket.create_connection(("127.0.0.1", served.port), HANG_S, (source, 0))
            return links.enter_context(link)

        others = [connect("127.0.0.2") for _ in range(3)]
        mine = [connect("127.0.0.3") for _ in range(5)]
        wait_for_the_end(mine[0])
        wait_for_the_end(mine[1])
        third = connect("127.0.0.4")  # the house is full: the oldest of one that has three goes
        wait_for_the_end(others[0])
        assert all(map(is_open, (*others[1:], *mine[2:], third)))


def wait_for_the_end(link: socket.socket) -> None:
    with suppress(ConnectionError):
        assert link.recv(1) == b""


def is_open(link: socket.socket) -> bool:
    """Whether the server still listens: it answers then."""
    try:
        link.sendall(post(b"", headers=""))
        return link.recv(1) == b"H"
    except ConnectionError:
        return False


def test_with_the_token_there_is_room_for_so_many(bundle):
    request = get("/v2")
    with serving(bundle, limits=Limits(known=3, known_of_one=2)) as served, ExitStack() as links:

        def status(source: str) -> bytes:
            link = links.enter_context(socket.create_connection(("127.0.0.1", served.port), HANG_S, (source, 0)))
            link.sendall(request)
            return link.recv(12)[-3:]

        assert [status("127.0.0.2") for _ in range(3)] == [b"200", b"200", b"503"]
        assert [status("127.0.0.3") for _ in range(2)] == [b"200", b"503"]
        links.close()
        still_works(served, bundle)  # asks again while its 503 lasts


@pytest.mark.parametrize(
    "address, expected",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address, expected):
    assert origin(address) == expected
