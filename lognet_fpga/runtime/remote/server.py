"""The server beside a device, on aiohttp's HTTP.

Who has no token gets no further than the gate (token_gate.py, listener.py).  Nothing that a client sends or leaves out
takes memory without limit, keeps others out for longer than a timeout, or ends the server.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import LogNetError, MissingToolError, UsageError
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.remote.listener import Limits, Listener
from lognet_fpga.runtime.remote.protocol import CLOCK_MHZ, CYCLES, DEVICE_PATH, RUN_PATH, VERSION, DeviceInfo
from lognet_fpga.runtime.remote.request_body import BODY_S, Bodies, Refusal, body_length, require_plain
from lognet_fpga.runtime.remote.token_gate import knows_token

if TYPE_CHECKING:
    from aiohttp import web

MAX_BODY_BYTES = 16 << 20
IDLE_S = 60.0  # that a client which has shown the token may stay without a request
NAME = "lognet-serve"  # in place of what aiohttp says of itself

_Handler = Callable[["web.BaseRequest"], Awaitable["web.Response"]]


@dataclass
class Counts:
    """What a server did.  refused: requests answered with an error."""

    frames: int = 0
    requests: int = 0
    refused: int = 0


class DeviceServer:
    """bundle, device: the device is open.  token: what clients must know.  max_body_bytes: frames that do not fit into
    that are refused.  on_request: gets the counts after every request.  Raises MissingToolError without aiohttp."""

    def __init__(
        self,
        bundle: Bundle,
        device: Device,
        token: str,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        limits: Limits = Limits(),
        body_s: float = BODY_S,
        on_request: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        try:
            from aiohttp import web
        except ImportError as error:
            raise MissingToolError(
                "aiohttp is not installed, and lognet-serve serves with it", hint="pip install 'lognet-fpga[serve]'"
            ) from error
        self._web = web
        self._bundle, self._device, self._token = bundle, device, token
        self._frame_bytes = int(np.prod(bundle.input_shape))
        self._max_frames = max(1, max_body_bytes // self._frame_bytes)
        self._limits, self._body_s, self._on_request = limits, body_s, on_request
        self._routes: Mapping[str, Mapping[str, _Handler]] = {
            DEVICE_PATH: {"GET": self._describe},
            RUN_PATH: {"POST": self._run},
        }
        self.counts = Counts()
        figure = device.figure(1.0, "fps")
        self._info = DeviceInfo(
            VERSION,
            bundle.digest,
            device.kind,
            device.description,
            device.power(),
            figure.source,
            figure.how,
            self._max_frames,
        )

    async def serve(
        self,
        host: str,
        port: int,
        stop: asyncio.Event,
        *,
        tls: ssl.SSLContext | None = None,
        on_ready: Callable[[str, int], None] = lambda host, port: None,
    ) -> None:
        """Serve until `stop` is set.  on_ready gets the address; port 0 takes a free one.  Raises BoardError where the
        address cannot be had."""
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # of broken connections
        self._bodies = Bodies(self._body_s)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        http = self._web.Server(
            self._guarded,
            access_log=None,
            logger=_quiet(),
            keepalive_timeout=IDLE_S,
            lingering_time=self._limits.farewell_s,
            auto_decompress=False,  # what is encoded is refused: it could be a thousand times its size
        )
        listener = Listener(self._token, http, limits=self._limits, tls=tls, on_refused=self._refused_at_the_gate)
        try:
            on_ready(*await listener.open(host, port))
            await stop.wait()
        finally:
            await listener.close()
            http.pre_shutdown()
            await http.shutdown(self._limits.farewell_s)
            self._thread.shutdown()

    def _refused_at_the_gate(self) -> None:
        self.counts.requests += 1
        self._count_refused()

    def _count_refused(self) -> None:
        self.counts.refused += 1
        self._on_request(self.counts)

    async def _guarded(self, request: web.BaseRequest) -> web.Response:
        """Every request behind the gate comes through here: who may, and what becomes of errors.  On a connection that
        has shown the token every further request must as well."""
        self.counts.requests += 1
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        try:
            if not knows_token(given, self._token.encode()):
                raise Refusal(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})
            require_plain(request)
            return await self._handler(request)(request)
        except Refusal as refusal:
            return self._refuse(refusal)
        except LogNetError as error:
            return self._refuse(Refusal(500, str(error)))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # a defect here must not end the server, nor show its inside
            return self._refuse(Refusal(500, f"defect in the server: {type(error).__name__}"))

    def _handler(self, request: web.BaseRequest) -> _Handler:
        methods = self._routes.get(request.path)
        if methods is None:
            raise Refusal(404, "there is nothing at this path")
        if request.method not in methods:
            raise Refusal(405, f"here it is {', '.join(methods)}", {"Allow": ", ".join(methods)})
        return methods[request.method]

    def _refuse(self, refusal: Refusal) -> web.Response:
        self._count_refused()
        response = self._web.json_response(
            {"error": refusal.reason}, status=refusal.status, headers={"Server": NAME, **refusal.headers}
        )
        response.force_close()  # whatever else was sent is not read
        return response

    async def _describe(self, request: web.BaseRequest) -> web.Response:
        headers = {"Server": NAME}
        return self._web.Response(text=self._info.to_json(), content_type="application/json", headers=headers)

    async def _run(self, request: web.BaseRequest) -> web.Response:
        length = body_length(request)
        count, rest = divmod(length, self._frame_bytes)
        if count > self._max_frames:
            raise Refusal(413, f"{count:,} frames are more than {self._max_frames:,} at a time")
        if rest or not count:
            raise Refusal(400, f"{length:,} bytes are no whole number of frames of {self._frame_bytes:,} bytes")
        async with self._bodies.read(request, length) as body:
            frames = np.frombuffer(body, np.uint8).reshape(count, *self._bundle.input_shape)
            run = await asyncio.get_running_loop().run_in_executor(self._thread, self._device.run, frames)
        self.counts.frames += count
        self._on_request(self.counts)
        return self._web.Response(
            body=np.ascontiguousarray(run.activations).tobytes(),
            headers={CYCLES: str(run.pl_cycles), CLOCK_MHZ: repr(float(run.clk_mhz)), "Server": NAME},
            content_type="application/octet-stream",
        )


def _quiet() -> logging.Logger:
    """What aiohttp has to say of bad requests, with tracebacks, goes nowhere: clients could fill a disk with it."""
    logger = logging.getLogger("lognet_fpga.serve")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer with a certificate and its key in PEM files.  Raises UsageError where they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"{certificate} and {key} are no certificate and its key: {' '.join(str(error).split())}",
            hint="give PEM files; docs/board.md has a command that makes them",
        ) from error
    return context
