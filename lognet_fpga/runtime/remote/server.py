"""The server beside a device, on aiohttp.

Who has no token gets no further than the headers.  Nothing that a client sends or leaves out takes memory without
limit, keeps others out for longer than a timeout, or ends the server.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BoardError, LogNetError, MissingToolError, UsageError
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.remote.protocol import CLOCK_MHZ, CYCLES, DEVICE_PATH, RUN_PATH, VERSION, DeviceInfo

if TYPE_CHECKING:
    from aiohttp import web

MAX_BODY_BYTES = 16 << 20
MAX_CONNECTIONS = 32
AT_WORK = 2  # requests whose frames are held in memory: one on the device, one on its way
MAX_WAITING = 8  # requests that wait for one of those to end
REQUEST_S = 10.0  # from a connection to its first request, and for a TLS handshake
BODY_S = 30.0  # for a request's frames
END_S = 1.0  # for what a refused client still sends, and for what is being answered when the server ends


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
        request_s: float = REQUEST_S,
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
        self._bundle, self._device, self._token = bundle, device, token.encode()
        self._frame_bytes = int(np.prod(bundle.input_shape))
        self._max_frames = max(1, max_body_bytes // self._frame_bytes)
        self._request_s, self._body_s, self._on_request = request_s, body_s, on_request
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}  # what has not sent a request yet
        self._waiting = 0
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
        web = self._web
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # of broken connections
        self._slots = asyncio.Semaphore(AT_WORK)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")

        @web.middleware
        async def guarded(request: web.Request, handler: Callable) -> web.StreamResponse:
            return await self._guarded(request, handler)

        app = web.Application(middlewares=[guarded])
        app.router.add_get(DEVICE_PATH, self._describe)
        app.router.add_post(RUN_PATH, self._run)
        runner = web.AppRunner(
            app, access_log=None, logger=_quiet(), keepalive_timeout=60.0, lingering_time=END_S, shutdown_timeout=END_S
        )
        await runner.setup()
        handshake = {"ssl_handshake_timeout": self._request_s} if tls else {}
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: self._connection(runner.server), host, port, ssl=tls, **handshake
            )
        except OSError as error:
            await runner.cleanup()
            raise BoardError(
                f"{host}:{port} cannot be served: {error.strerror or error}",
                hint="give an address of this machine (0.0.0.0 is all of them) and a port that is free (0 takes one)",
            ) from error
        try:
            on_ready(*server.sockets[0].getsockname()[:2])
            await stop.wait()
        finally:
            server.close()
            await runner.cleanup()
            self._thread.shutdown()

    def _connection(self, server: web.Server) -> asyncio.Protocol:
        """The protocol of a new connection, which must soon send a request."""
        if len(server.connections) >= MAX_CONNECTIONS:
            return _Refusing()
        connection = server()
        later = asyncio.get_running_loop().call_later(self._request_s, self._close_silent, connection)
        self._silent[connection] = later
        return connection

    def _close_silent(self, connection: web.RequestHandler) -> None:
        del self._silent[connection]
        if connection.transport is not None:
            connection.transport.abort()

    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every request comes through here: who may, and what becomes of errors."""
        web = self._web
        if request.protocol in self._silent:
            self._silent.pop(request.protocol).cancel()
        self.counts.requests += 1
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return self._refuse(request, 401, "the token is wrong or missing")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._refuse(request, error.status, error.reason)
        except LogNetError as error:
            return self._refuse(request, 500, str(error))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # a defect here must not end the server, nor show its inside
            return self._refuse(request, 500, f"defect in the server: {type(error).__name__}")

    def _refuse(self, request: web.Request, status: int, message: str) -> web.Response:
        self.counts.refused += 1
        self._on_request(self.counts)
        response = self._web.json_response({"error": message}, status=status)
        response.force_close()  # whatever else was sent is not read
        return response

    async def _describe(self, request: web.Request) -> web.Response:
        return self._web.Response(text=self._info.to_json(), content_type="application/json")

    async def _run(self, request: web.Request) -> web.Response:
        length = request.content_length
        if length is None:
            return self._refuse(request, 411, "a request must say its length")
        count, rest = divmod(length, self._frame_bytes)
        if count > self._max_frames:
            return self._refuse(request, 413, f"{count:,} frames are more than {self._max_frames:,} at a time")
        if rest or not count:
            return self._refuse(
                request, 400, f"{length:,} bytes are no whole number of frames of {self._frame_bytes:,} bytes"
            )
        if self._waiting >= MAX_WAITING:
            return self._refuse(request, 503, "too many requests are waiting")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            try:
                body = await asyncio.wait_for(request.content.readexactly(length), self._body_s)
            except asyncio.TimeoutError:
                return self._refuse(request, 408, "the frames did not come in time")
            except asyncio.IncompleteReadError:
                return self._refuse(request, 400, "the frames are not whole")
            frames = np.frombuffer(body, np.uint8).reshape(count, *self._bundle.input_shape)
            run = await asyncio.get_running_loop().run_in_executor(self._thread, self._device.run, frames)
        finally:
            self._slots.release()
        self.counts.frames += count
        self._on_request(self.counts)
        return self._web.Response(
            body=np.ascontiguousarray(run.activations).tobytes(),
            headers={CYCLES: str(run.pl_cycles), CLOCK_MHZ: repr(float(run.clk_mhz))},
            content_type="application/octet-stream",
        )


def _quiet() -> logging.Logger:
    """What aiohttp has to say of bad requests, with tracebacks, goes nowhere: clients could fill a disk with it."""
    logger = logging.getLogger("lognet_fpga.serve")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


class _Refusing(asyncio.Protocol):
    """Closes what connects."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.abort()


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
