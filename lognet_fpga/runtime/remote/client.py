"""A device behind lognet-serve, as a Device: the Open Inference Protocol by Python's own HTTP client."""

from __future__ import annotations

import functools
import http.client
import json
import math
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, LifoQueue
from urllib.parse import urlsplit

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BoardError, UsageError
from lognet_fpga.runtime.device import BoardFigures, DeviceRun
from lognet_fpga.runtime.remote.protocol import (
    ACTIVATIONS,
    BINARY_DATA,
    BINARY_SIZE,
    CLK_MHZ,
    DEFAULT_PORT,
    DEVICE_S,
    FRAMES,
    HEADER_LENGTH,
    PL_CYCLES,
    TOKEN_VARIABLE,
    WAIT_S,
    DeviceInfo,
    is_loopback,
    model_path,
)
from lognet_fpga.runtime.remote.request_times import RequestTimes
from lognet_fpga.runtime.values import Measured, Simulated, Value

TIMEOUT_S = 60.0
CONNECT_S = 5.0
BUSY_S, AGAIN_S = 5.0, 0.05
TRIES = 3  # of a request whose connection was closed without an answer: a kept one, or one that had to make room
COPIED_BYTES = 32 << 10  # of a request, to send it in one piece
AHEAD = 2  # requests on their way at a time: while one is on the device, the next one's frames travel
MAX_ANSWER_BYTES = 1 << 16  # of one that holds no activations
_Body = tuple[bytes, memoryview]  # JSON, and the tensor behind it
_CLOSED = (ConnectionError, http.client.BadStatusLine, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class _Link(http.client.HTTPConnection):
    """A connection on which a request goes in one piece: the server then need not wait for a second packet."""

    answer_s = TIMEOUT_S
    _behind: tuple[bytes | memoryview, ...] = ()

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: tuple[bytes | memoryview, ...]) -> None:
        self._behind = body
        self.request(method, path, headers=headers)

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.answer_s)

    def abort(self) -> None:
        """Let who waits on it go on, with an error; from any thread."""
        link = self.sock
        if link is not None:
            with suppress(OSError):  # not connected any more
                socket.socket.shutdown(link, socket.SHUT_RDWR)  # below TLS, which its reader is at work with

    def send(self, data) -> None:
        """data: the request's head, which is all that http.client knows of."""
        if sum(map(len, self._behind)) <= COPIED_BYTES:
            return super().send(b"".join((data, *self._behind)))
        first, *rest = self._behind
        super().send(data + first)
        for part in rest:
            super().send(part)


class _TlsLink(_Link, http.client.HTTPSConnection):
    pass


class RemoteDevice:
    """The device at url, http://HOST[:PORT] or https://HOST[:PORT], where lognet-serve runs with the same bundle.

    token: the server's, None where it asks for none.  certificate: a PEM file to trust instead of the system's
    authorities.  Raises UsageError for an address that is none, and without a token for one of another machine;
    everything else shows in open and run, as BoardError.
    """

    def __init__(
        self,
        bundle: Bundle,
        url: str,
        token: str | None,
        *,
        certificate: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._bundle, self._timeout_s = bundle, timeout_s
        self._host, self._port, self._tls = _address(url, certificate)
        if token is None and not is_loopback(self._host):
            raise UsageError(
                f"the token of the server at {url} is missing", hint=f"give --token-file, or set {TOKEN_VARIABLE}"
            )
        self.url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._active: set[_Link] = set()
        self._aborted = 0
        self._lock = threading.Lock()
        self._times = RequestTimes()
        self._infer_path = f"{model_path(bundle.name, bundle.digest)}/infer"  # so that no other bundle can answer
        self._connections: LifoQueue[_Link] = LifoQueue()
        self._info: DeviceInfo | None = None
        self.kind = "remote"
        self.description = f"the device behind {url}"

    def open(self) -> None:
        """Ask what is there.  Raises BoardError where nothing answers, or it has another bundle."""
        self._info = self._meet()

    def _meet(self) -> DeviceInfo:
        _, body = self._request("GET", model_path(self._bundle.name), None, MAX_ANSWER_BYTES)
        info = DeviceInfo.from_metadata(body)
        if info.digest != self._bundle.digest:
            raise BoardError(
                f"{self.url} serves another bundle",
                context=(f"there: SHA-256 {info.digest[:64]}", f"here:  SHA-256 {self._bundle.digest}"),
                hint="use the bundle that lognet-serve was started with",
            )
        self.kind = info.kind
        self.description = f"{info.description}; over the network at {self.url}"
        return info

    def run(self, frames: np.ndarray) -> DeviceRun:
        parts = [
            self._run(frames[first : first + self._opened.max_frames])
            for first in range(0, len(frames), self._opened.max_frames)
        ]
        if len(parts) == 1:
            return parts[0]
        activations = np.concatenate([part.activations for part in parts])
        return DeviceRun(activations, sum(part.pl_cycles for part in parts), parts[0].clk_mhz)

    def runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        pending: deque[Future[DeviceRun]] = deque()
        with ThreadPoolExecutor(max_workers=AHEAD, thread_name_prefix="network") as threads:
            for batch in batches:
                if batch is not None:
                    pending.append(threads.submit(self.run, batch))
                while pending and (batch is None or len(pending) >= AHEAD):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def figure(self, value: float, unit: str) -> Value:
        kind = Measured if self._opened.source == Measured.source else Simulated
        return kind(value, unit, self._opened.how)

    def power(self) -> str:
        return self._opened.power

    def count_anew(self) -> None:
        self._times.count_anew()

    def boards(self) -> tuple[BoardFigures, ...]:
        return (self._times.figures(self.url),)

    def abort(self) -> None:
        """End what is on its way, with errors for those who wait for it."""
        with self._lock:
            self._aborted += 1
            for link in self._active:
                link.abort()

    def close(self) -> None:
        self._info = None
        while not self._connections.empty():
            self._connections.get().close()

    @property
    def _opened(self) -> DeviceInfo:
        if self._info is None:
            self._info = self._meet()
        return self._info

    def _run(self, frames: np.ndarray) -> DeviceRun:
        begun = self._times.begin()
        try:
            run, device_s, wait_s = self._answer(frames)
        except BaseException:
            self._times.end(begun)
            raise
        pl_s = run.pl_cycles / run.clk_mhz * 1e-6
        self._times.end(begun, len(frames), pl_s=pl_s, device_s=device_s, wait_s=wait_s)
        return run

    def _answer(self, frames: np.ndarray) -> tuple[DeviceRun, float, float]:
        """The run, and the seconds for which the request had the device and waited for it."""
        channels, height, width = self._bundle.output_shape
        shape, dtype = (len(frames), height, width, channels), np.dtype(self._bundle.sink.dtype).newbyteorder("<")
        question = _question(frames.shape)
        sent = question, np.ascontiguousarray(frames).data.cast("B")
        headers, body = self._request(
            "POST", self._infer_path, sent, math.prod(shape) * dtype.itemsize + MAX_ANSWER_BYTES
        )
        try:
            json_bytes = int(headers[HEADER_LENGTH])
            answer = json.loads(body[:json_bytes])
            (output,), figures = answer["outputs"], answer["parameters"]
            if output["name"] != ACTIVATIONS or output["parameters"][BINARY_SIZE] != len(body) - json_bytes:
                raise ValueError("not the activations")
            activations = np.frombuffer(body, dtype, offset=json_bytes).reshape(shape)
            run = DeviceRun(activations, int(figures[PL_CYCLES]), float(figures[CLK_MHZ]))
            return run, float(figures[DEVICE_S]), float(figures[WAIT_S])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BoardError(f"{self.url} gave an answer that is none: {len(body):,} bytes") from error

    def _request(self, method: str, path: str, body: _Body | None, most: int) -> tuple[http.client.HTTPMessage, bytes]:
        """Headers and body of the answer, of which more than `most` bytes are not read.  A server that has too much to
        do is asked again for BUSY_S."""
        deadline = time.monotonic() + BUSY_S
        while True:
            status, headers, content = self._ask(method, path, body, most)
            if status == 200:
                return headers, content
            if status == 401:
                raise BoardError(
                    f"{self.url} refused: the token is wrong or missing (status 401)",
                    hint="give the server's token (LOGNET_TOKEN or --token-file)",
                )
            if status == 404:
                raise BoardError(
                    f"{self.url} serves another bundle, or is no lognet-serve",
                    context=(f"there: {_message(content)}", f"here:  {self._bundle.name}, {self._bundle.digest}"),
                    hint="use the bundle that lognet-serve was started with",
                )
            if status != 503 or time.monotonic() > deadline:
                raise BoardError(f"{self.url} refused: {_message(content)} (status {status})")
            time.sleep(AGAIN_S)

    def _ask(self, method: str, path: str, body: _Body | None, most: int) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of one answer."""
        try:
            connection, response = self._answered(method, path, body)
            try:
                content = response.read(most if response.status == 200 else MAX_ANSWER_BYTES)
                whole = response.isclosed() or not response.read(1)
            except (OSError, http.client.HTTPException):
                connection.close()
                raise
            finally:
                self._let_go(connection)
        except (OSError, http.client.HTTPException) as error:
            raise BoardError(
                f"{self.url} does not answer: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
                hint="check that lognet-serve runs there, the address, whether it is http or https, and for https the "
                "certificate (--certificate)",
            ) from error
        if response.status == 200 and whole:
            self._connections.put(connection)
            return 200, response.headers, content
        connection.close()
        if response.status == 200:
            raise BoardError(f"{self.url} gave an answer that is none: more than {most:,} bytes")
        return response.status, response.headers, content

    def _answered(self, method: str, path: str, body: _Body | None) -> tuple[_Link, http.client.HTTPResponse]:
        """A connection that was kept, or a new one, and its answer, of which nothing is read but its head."""
        headers = self._headers
        if body is not None:
            more = {"Content-Length": str(sum(map(len, body))), HEADER_LENGTH: str(len(body[0]))}
            headers = {**headers, "Content-Type": "application/octet-stream", **more}
        tries, aborted = 0, self._aborted
        while True:
            tries += 1
            try:
                connection = self._connections.get_nowait()
            except Empty:
                connection = self._connect()
            with self._lock:
                self._active.add(connection)
            try:
                connection.ask(method, path, headers, body or ())
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._let_go(connection)
                connection.close()
                again = isinstance(error, _CLOSED) and not isinstance(error, ConnectionRefusedError)
                if not again or tries == TRIES or aborted != self._aborted:
                    raise
            time.sleep(AGAIN_S)

    def _connect(self) -> _Link:
        link: _Link
        if self._tls is None:
            link = _Link(self._host, self._port, timeout=CONNECT_S)
        else:
            link = _TlsLink(self._host, self._port, timeout=CONNECT_S, context=self._tls)
        link.answer_s = self._timeout_s
        return link

    def _let_go(self, link: _Link) -> None:
        with self._lock:
            self._active.discard(link)


def is_silent(error: BoardError) -> bool:
    """Whether the other side did not answer, or not in time; where it refused, later will be no different."""
    return isinstance(error.__cause__, (OSError, http.client.HTTPException))


def _address(url: str, certificate: Path | None) -> tuple[str, int, ssl.SSLContext | None]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/") or parts.query or parts.username:
        raise UsageError(f"{url} is no address of a server", hint="give http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.scheme == "http":
        return host, port or DEFAULT_PORT, None
    try:
        return host, port or DEFAULT_PORT, ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise UsageError(f"{certificate} is no certificate: {' '.join(str(error).split())}") from error


@functools.lru_cache(maxsize=64)
def _question(shape: tuple[int, ...]) -> bytes:
    """The JSON in front of frames of that shape."""
    size = math.prod(shape)
    frames = {"name": FRAMES, "datatype": "UINT8", "shape": shape, "parameters": {BINARY_SIZE: size}}
    activations = {"name": ACTIVATIONS, "parameters": {BINARY_DATA: True}}
    return json.dumps({"inputs": [frames], "outputs": [activations]}, separators=(",", ":")).encode()


def _message(content: bytes) -> str:
    """The error in an answer, of which nothing is taken for granted."""
    try:
        return " ".join(str(json.loads(content)["error"]).split())[:500]
    except (ValueError, TypeError, KeyError):
        return "no reason given"
