"""lognet-serve's server in a thread, and what tests send to it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.runtime.remote.client import RemoteDevice
from lognet_fpga.runtime.simulated import SimulatedDevice
from tests import small_bundle
from tests.patience import HANG_S

TOKEN = "a-token-for-the-tests"
FRAME_BYTES = 90
AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n"


class Served:
    """A server in a thread of its own."""

    def __init__(self, bundle: Bundle, tls: ssl.SSLContext | None, options: dict) -> None:
        from lognet_fpga.runtime.remote.server import DeviceServer

        self.device = SimulatedDevice(bundle)
        self.device.open()
        self.server = DeviceServer(bundle, self.device, TOKEN, **options)
        self.port = 0
        self._ready = threading.Event()
        self._tls = tls
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.thread.start()
        assert self._ready.wait(HANG_S)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self.server.serve("127.0.0.1", 0, self._stop, tls=self._tls, on_ready=self._is_ready)

    def _is_ready(self, host: str, port: int) -> None:
        self.port = port
        self._ready.set()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self.thread.join(HANG_S)
        assert not self.thread.is_alive()

    def send(self, data: bytes, *, end: bool = False) -> bytes:
        """What comes back until the server closes the connection.  end: tell it that nothing follows."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S) as link:
            answer = b""
            try:
                link.sendall(data)
                if end:
                    link.shutdown(socket.SHUT_WR)
                while chunk := link.recv(1 << 16):
                    answer += chunk
            except OSError as error:
                assert not isinstance(error, TimeoutError)
            return answer


@contextmanager
def serving(bundle: Bundle, tls: ssl.SSLContext | None = None, **options) -> Iterator[Served]:
    served = Served(bundle, tls, options)
    try:
        yield served
    finally:
        served.end()


def still_works(served: Served, bundle: Bundle, certificate: Path | None = None) -> None:
    frames = small_bundle.frames(3, seed=5)
    device = RemoteDevice(bundle, served.url, TOKEN, certificate=certificate)
    expected = small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)
    assert np.array_equal(device.run(frames).activations, expected)
    device.close()


def post(body: bytes, length: int | None = None, headers: str = AUTHORIZED, path: str = "/v1/run") -> bytes:
    size = f"Content-Length: {len(body) if length is None else length}\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}{size}\r\n".encode() + body


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=board -addext subjectAltName=IP:127.0.0.1"
    names = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([shutil.which("openssl"), *command.split(), *names], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"
