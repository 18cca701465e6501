"""The server beside a device, on aiohttp's HTTP: the Open Inference Protocol v2.

Who has no token gets no further than the gate (token_gate.py, listener.py).  Nothing that a client sends or leaves out
takes memory without limit, keeps others out for longer than a timeout, or ends the server.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import InputError, LogNetError, MissingToolError, UsageError
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.power import Meter
from lognet_fpga.runtime.remote.inference import MAX_JSON_BYTES, Inference, encode_answer, parse_inference
from lognet_fpga.runtime.remote.listener import Limits, Listener
from lognet_fpga.runtime.remote.model import ServedModel
from lognet_fpga.runtime.remote.protocol import DEVICE_S, HEADER_LENGTH, is_loopback
from lognet_fpga.runtime.remote.refusal import Refusal
from lognet_fpga.runtime.remote.request_body import BODY_S, Bodies, body_length, require_plain
from lognet_fpga.runtime.remote.token_gate import knows_token

if TYPE_CHECKING:
    from aiohttp import web

    from lognet_fpga.runtime.remote.grpc_server import GrpcServer
    from lognet_fpga.runtime.remote.metrics import Metrics

MAX_BODY_BYTES = 16 << 20
IDLE_S = 60.0  # that a client which has shown the token may stay without a request
NAME = "lognet-serve"  # in place of what aiohttp says of itself
VERSION = "2"  # of the protocol
EXTENSIONS = ("binary_tensor_data",)
NO_METRICS, METRICS_HINT = "prometheus_client is not installed", "pip install 'lognet-fpga[metrics]'"
_LARGE_JSON = 16 << 10  # bytes; reading more would keep the others waiting
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?")
_DIGITS = re.compile(r"[0-9]{1,9}")

_Handler = Callable[["web.BaseRequest"], Awaitable["web.Response"]]


@dataclass
class Counts:
    """What a server did.  refused: requests answered with an error."""

    frames: int = 0
    requests: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Grpc:
    """That gRPC is served too.  port: 0 takes a free one, and on_ready gets it.  pem: what the files of a certificate
    and its key hold, for TLS."""

    port: int
    pem: tuple[bytes, bytes] | None = None
    on_ready: Callable[[int], None] = lambda port: None


class DeviceServer:
    """bundle, device: the device is open.  token: what clients must know; None lets in whoever comes, which is for
    addresses of this machine only.  max_body_bytes: frames and pictures that do not fit into that are refused.  meter:
    a power sensor for /metrics.  on_request: gets the counts after every request.  Raises MissingToolError without
    aiohttp, and of a bundle that does not say what its outputs are what its tail raises."""

    def __init__(
        self,
        bundle: Bundle,
        device: Device,
        token: str | None,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        limits: Limits = Limits(),
        body_s: float = BODY_S,
        meter: Meter | None = None,
        on_request: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        try:
            from aiohttp import web

            from lognet_fpga.runtime.remote.http_server import HttpServer
        except ImportError as error:
            raise MissingToolError(
                "aiohttp is not installed; lognet-serve needs it", hint="pip install 'lognet-fpga[serve]'"
            ) from error
        self._web, self._http_server, self._token = web, HttpServer, token
        self._model = ServedModel(bundle, device, max_body_bytes)
        self._limits, self._body_s, self._on_request = limits, body_s, on_request
        self._routes: dict[str, tuple[str, _Handler]] = {
            "/v2": ("GET", self._describe_server),
            "/v2/health/live": ("GET", self._say_live),
            "/v2/health/ready": ("GET", self._say_ready),
            "/metrics": ("GET", self._show_metrics),
        }
        self._model_routes: dict[str | None, tuple[str, _Handler]] = {
            None: ("GET", self._describe_model),
            "ready": ("GET", self._say_model_ready),
            "infer": ("POST", self._infer),
        }
        self._metrics = _metrics(self._model, meter)
        self.counts = Counts()

    async def serve(
        self,
        host: str,
        port: int,
        stop: asyncio.Event,
        *,
        tls: ssl.SSLContext | None = None,
        on_ready: Callable[[str, int], None] = lambda host, port: None,
        grpc: Grpc | None = None,
    ) -> None:
        """Serve until `stop` is set.  on_ready gets the address; port 0 takes a free one.  grpc: by it as well.  Raises
        BoardError where the address cannot be had, UsageError for one that others can reach where no token is asked
        for, MissingToolError for gRPC without grpcio."""
        if self._token is None:
            require_loopback(host)
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # of broken connections
        self._bodies = Bodies(self._body_s)
        http = self._http_server(
            self._guarded, self._refuse_unread, keepalive_timeout=IDLE_S, lingering_time=self._limits.farewell_s
        )
        listener = Listener(self._token, http, limits=self._limits, tls=tls, on_refused=self._refused_at_the_gate)
        by_grpc = None if grpc is None else self._by_grpc()
        with self._model:
            try:
                if grpc is not None and by_grpc is not None:
                    grpc.on_ready(await by_grpc.open(host, grpc.port, grpc.pem))
                on_ready(*await listener.open(host, port))
                await stop.wait()
            finally:
                if by_grpc is not None:
                    await by_grpc.close(self._limits.farewell_s)
                await listener.close()
                http.pre_shutdown()
                await http.shutdown(self._limits.farewell_s)

    def _by_grpc(self) -> GrpcServer:
        try:
            from lognet_fpga.runtime.remote.grpc_server import GrpcServer, ServerInfo
        except ImportError as error:
            raise MissingToolError("grpcio is not installed", hint="pip install 'lognet-fpga[grpc]'") from error
        return GrpcServer(
            self._model,
            self._bodies,
            self._token,
            ServerInfo(NAME, VERSION, ()),
            on_answer=self._answered_by_grpc,
            on_inferred=self._inferred,
        )

    def _answered_by_grpc(self, status: int) -> None:
        self.counts.requests += 1
        self._answered(status)

    def _answered(self, status: int) -> None:
        if status >= 400:
            self.counts.refused += 1
        if self._metrics is not None:
            self._metrics.answered(status)
        if status >= 400:
            self._on_request(self.counts)

    def _inferred(self, frames: int, seconds: float, device_s: float) -> None:
        self.counts.frames += frames
        if self._metrics is not None:
            self._metrics.inferred(frames, seconds, device_s)
        self._on_request(self.counts)

    def _refused_at_the_gate(self, status: int) -> None:
        self.counts.requests += 1
        self._answered(status)

    async def _guarded(self, request: web.BaseRequest) -> web.Response:
        """Every request behind the gate comes through here: who may, and what becomes of errors.  On a connection that
        has shown the token every further request must as well."""
        self.counts.requests += 1
        try:
            self._require_leave(request)
            require_plain(request)
            answer = await self._handler(request)(request)
            self._answered(answer.status)
            return answer
        except Refusal as refusal:
            return self._refuse(refusal)
        except InputError as error:
            return self._refuse(Refusal(400, str(error)))
        except LogNetError as error:
            return self._refuse(Refusal(500, str(error)))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # a defect here must not end the server, nor show its inside
            return self._refuse(Refusal(500, f"defect in the server: {type(error).__name__}"))

    def _require_leave(self, request: web.BaseRequest) -> None:
        if self._token is None:
            # A page in this machine's browser may send requests here, under its own site's name or from there.
            asked = _host_name(request.headers.get("Host", "localhost"))
            origin = _host_name(request.headers.get("Origin", "//localhost").partition("//")[2])
            if not is_loopback(asked) or not is_loopback(origin):
                raise Refusal(403, "without a token this server is asked by an address of this machine only")
            return
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not knows_token(given, self._token.encode()):
            raise Refusal(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})

    def _handler(self, request: web.BaseRequest) -> _Handler:
        path = request.path
        if model := _MODEL.fullmatch(path):
            name, version, what = model.groups()
            self._model.check_name(name, version)
            method, handler = self._model_routes[what]
        elif path in self._routes:
            method, handler = self._routes[path]
        else:
            raise Refusal(404, "there is nothing at this path")
        if request.method != method:
            raise Refusal(405, f"here it is {method}", {"Allow": method})
        return handler

    def _refuse_unread(self, status: int) -> web.Response:
        self.counts.requests += 1
        return self._refuse(Refusal(status, "the request is no HTTP that can be read"))

    def _refuse(self, refusal: Refusal) -> web.Response:
        self._answered(refusal.status)
        response = self._json({"error": refusal.reason}, refusal.status, refusal.headers)
        response.force_close()  # whatever else was sent is not read
        return response

    def _json(self, content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        return self._web.json_response(content, status=status, headers={"Server": NAME, **(headers or {})})

    async def _describe_server(self, request: web.BaseRequest) -> web.Response:
        return self._json({"name": NAME, "version": VERSION, "extensions": EXTENSIONS})

    async def _say_live(self, request: web.BaseRequest) -> web.Response:
        return self._json({"live": True})

    async def _say_ready(self, request: web.BaseRequest) -> web.Response:
        return self._json({"ready": True})

    async def _describe_model(self, request: web.BaseRequest) -> web.Response:
        return self._json(self._model.metadata())

    async def _say_model_ready(self, request: web.BaseRequest) -> web.Response:
        return self._json({"name": self._model.name, "ready": True})

    async def _show_metrics(self, request: web.BaseRequest) -> web.Response:
        if self._metrics is None:
            raise Refusal(404, f"there are no metrics: {NO_METRICS} ({METRICS_HINT})")
        from lognet_fpga.runtime.remote.metrics import CONTENT_TYPE

        text = await self._model.beside(self._metrics.text)
        return self._web.Response(body=text, headers={"Server": NAME, "Content-Type": CONTENT_TYPE})

    async def _infer(self, request: web.BaseRequest) -> web.Response:
        begin = time.perf_counter()
        length = body_length(request)
        json_bytes = _json_bytes(request, length)
        if json_bytes > MAX_JSON_BYTES or length - json_bytes > self._model.max_input_bytes:
            raise Refusal(
                413,
                f"a request may have {MAX_JSON_BYTES:,} bytes of JSON and {self._model.max_input_bytes:,} of tensors, "
                f"this one has {json_bytes:,} and {length - json_bytes:,}",
            )
        async with self._bodies.place():
            body = memoryview(await self._bodies.read(request, length))

            def read() -> Inference:
                return parse_inference(body, json_bytes, self._model.limits)

            asked = read() if json_bytes < _LARGE_JSON else await self._model.beside(read)
            answer = await self._model.infer(asked)
            head, behind = encode_answer(answer, asked.id, self._model.name, self._model.version)
        self._inferred(len(asked), time.perf_counter() - begin, answer.parameters[DEVICE_S])
        if not behind:
            return self._web.Response(body=head, headers={"Server": NAME, "Content-Type": "application/json"})
        headers = {"Server": NAME, "Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        return self._web.Response(body=b"".join((head, *behind)), headers=headers)


def _metrics(model: ServedModel, meter: Meter | None) -> Metrics | None:
    """None without prometheus_client.  Raises MissingToolError where a sensor is to be shown."""
    try:
        from lognet_fpga.runtime.remote.metrics import Metrics
    except ImportError as error:
        if meter is None:
            return None
        raise MissingToolError(f"{NO_METRICS}, which shows the sensor", hint=METRICS_HINT) from error
    return Metrics(model.name, model.version, model.info.description, meter)


def _json_bytes(request: web.BaseRequest, length: int) -> int:
    """How many bytes of the body are JSON."""
    given = request.headers.get(HEADER_LENGTH)
    if given is None:
        return length
    if not _DIGITS.fullmatch(given) or not 0 < int(given) <= length:
        raise Refusal(400, f"{HEADER_LENGTH} must be how many of the body's {length:,} bytes are JSON")
    return int(given)


def require_loopback(host: str) -> None:
    """Raise UsageError for an address that other machines can reach."""
    if not is_loopback(host):
        raise UsageError(
            f"without a token only this machine is served, not {host}", hint="leave out --no-token, or --host"
        )


def _host_name(host: str) -> str:
    """Of a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


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
