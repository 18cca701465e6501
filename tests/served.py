"""lognet-serve's server in a thread, and what tests send to it."""

from __future__ import annotations

import asyncio
import json
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
NAME, FRAME_BYTES = small_bundle.MANIFEST["name"], 90
AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n"


class Served:
    """A server in a thread of its own."""

    def __init__(
        self, bundle: Bundle, tls: ssl.SSLContext | None, token: str | None, grpc: bool, options: dict
    ) -> None:
        from lognet_fpga.runtime.remote.server import DeviceServer, Grpc

        self.device = SimulatedDevice(bundle)
        self.device.open()
        self.server = DeviceServer(bundle, self.device, token, **options)
        self.port = self.grpc_port = 0
        self._grpc = Grpc(0, on_ready=lambda port: setattr(self, "grpc_port", port)) if grpc else None
        self._ready = threading.Event()
        self._tls = tls
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.thread.start()
        assert self._ready.wait(HANG_S)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self.server.serve("127.0.0.1", 0, self._stop, tls=self._tls, on_ready=self._is_ready, grpc=self._grpc)

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
def serving(
    bundle: Bundle, tls: ssl.SSLContext | None = None, token: str | None = TOKEN, grpc: bool = False, **options
) -> Iterator[Served]:
    served = Served(bundle, tls, token, grpc, options)
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


def post(
    body: bytes, length: int | None = None, headers: str = AUTHORIZED, path: str = f"/v2/models/{NAME}/infer"
) -> bytes:
    size = f"Content-Length: {len(body) if length is None else length}\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}{size}\r\n".encode() + body


def infer(
    frames: bytes = bytes(FRAME_BYTES), count: int | None = None, headers: str = AUTHORIZED, *, rest: int | None = None
) -> bytes:
    """A request for the activations of frames, as the protocol's binary extension has it.  count: of frames, as it
    says; rest: bytes behind the JSON, as the request says."""
    size = len(frames) if rest is None else rest
    head = question(size // FRAME_BYTES if count is None else count, size)
    return post(head + frames, len(head) + size, f"{headers}Inference-Header-Content-Length: {len(head)}\r\n")


def question(count: int, size: int) -> bytes:
    frames = {"name": "frames", "datatype": "UINT8", "shape": [count, *small_bundle.SHAPE]}
    outputs = [{"name": "activations", "parameters": {"binary_data": True}}]
    return json.dumps({"inputs": [{**frames, "parameters": {"binary_data_size": size}}], "outputs": outputs}).encode()


def get(path: str, headers: str = AUTHORIZED) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=board -addext subjectAltName=IP:127.0.0.1"
    names = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([shutil.which("openssl"), *command.split(), *names], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"
