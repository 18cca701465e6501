"""The Open Inference Protocol by gRPC, beside the HTTP server and with the same model."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from lognet_fpga.errors import BoardError, InputError, LogNetError
from lognet_fpga.runtime.remote import tensors
from lognet_fpga.runtime.remote.grpc_messages import SERVICE, messages
from lognet_fpga.runtime.remote.inference import (
    MAX_TENSORS,
    Inference,
    Wanted,
    check_id,
    check_parameters,
    check_tensor,
    check_wanted,
    frames_of,
    pictures_of,
    the_input,
)
from lognet_fpga.runtime.remote.model import ServedModel
from lognet_fpga.runtime.remote.protocol import DEVICE_S, FRAMES
from lognet_fpga.runtime.remote.refusal import Refusal
from lognet_fpga.runtime.remote.request_body import AT_WORK, Bodies
from lognet_fpga.runtime.remote.token_gate import knows_token

AT_A_TIME = 2 * AT_WORK  # calls, each of which may hold a request in memory
SPARE_BYTES = 64 << 10  # of a request beside its tensors
IDLE_MS = 60_000
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_Call = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]


@dataclass(frozen=True)
class ServerInfo:
    """What it says of itself."""

    name: str
    version: str
    extensions: tuple[str, ...]


class GrpcServer:
    """bodies: places for requests, those of the HTTP server.  token: None where clients need none.  on_answer: gets the
    HTTP status that an answer would have.  on_inferred: gets frames, and seconds of the request and of the device."""

    def __init__(
        self,
        model: ServedModel,
        bodies: Bodies,
        token: str | None,
        info: ServerInfo,
        *,
        on_answer: Callable[[int], None],
        on_inferred: Callable[[int, float, float], None],
    ) -> None:
        self._model, self._bodies, self._token, self._info = model, bodies, token, info
        self._on_answer, self._on_inferred = on_answer, on_inferred
        self._server: grpc.aio.Server | None = None

    async def open(self, host: str, port: int, pem: tuple[bytes, bytes] | None) -> int:
        """Serve there, and say at which port.  pem: what the files of a certificate and its key hold, for TLS.  Raises
        BoardError where the address cannot be had."""
        most = self._model.max_input_bytes + SPARE_BYTES
        options = {
            "grpc.max_receive_message_length": most,
            "grpc.max_send_message_length": -1,
            "grpc.compression_enabled_algorithms_bitset": 1,  # none: a message could be a thousand times its size
            "grpc.max_connection_idle_ms": IDLE_MS,
            "grpc.so_reuseport": 0,
        }
        server = grpc.aio.server(
            interceptors=[_Gate(self._token, self._on_answer)],
            options=list(options.items()),
            maximum_concurrent_rpcs=AT_A_TIME,
        )
        server.add_generic_rpc_handlers((self._handlers(),))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if pem is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, grpc.ssl_server_credentials([(pem[1], pem[0])]))
        except RuntimeError as error:
            raise BoardError(
                f"{address} cannot be served by gRPC",
                hint="give an address of this machine (0.0.0.0 for all of them) and a free port (0 for any)",
            ) from error
        await server.start()
        self._server = server
        return port

    async def close(self, farewell_s: float) -> None:
        if self._server is not None:
            await self._server.stop(farewell_s)
            self._server = None

    def _handlers(self) -> grpc.GenericRpcHandler:
        calls: dict[str, _Call] = {
            "ServerLive": self._say_live,
            "ServerReady": self._say_ready,
            "ServerMetadata": self._describe_server,
            "ModelReady": self._say_model_ready,
            "ModelMetadata": self._describe_model,
            "ModelInfer": self._infer,
        }
        kinds = vars(messages())
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._guarded(call),
                    request_deserializer=kinds[f"{name}Request"].FromString,
                    response_serializer=kinds[f"{name}Response"].SerializeToString,
                )
                for name, call in calls.items()
            },
        )

    def _guarded(self, call: _Call) -> _Call:
        """What becomes of errors."""

        async def guarded(request: Any, context: grpc.aio.ServicerContext) -> Any:
            try:
                answer = await call(request, context)
            except Refusal as error:
                refusal = error
            except InputError as error:
                refusal = Refusal(400, str(error))
            except LogNetError as error:
                refusal = Refusal(500, str(error))
            except Exception as error:  # a defect here must not show its inside
                refusal = Refusal(500, f"defect in the server: {type(error).__name__}")
            else:
                self._on_answer(200)
                return answer
            self._on_answer(refusal.status)
            return await context.abort(_CODES.get(refusal.status, grpc.StatusCode.INTERNAL), refusal.reason)

        return guarded

    async def _say_live(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        return messages().ServerLiveResponse(live=True)

    async def _say_ready(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        return messages().ServerReadyResponse(ready=True)

    async def _describe_server(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        info = self._info
        return messages().ServerMetadataResponse(name=info.name, version=info.version, extensions=info.extensions)

    async def _say_model_ready(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        self._model.check_name(request.name, request.version)
        return messages().ModelReadyResponse(ready=True)

    async def _describe_model(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        self._model.check_name(request.name, request.version)
        metadata = self._model.metadata()
        del metadata["parameters"]  # of which the service has none
        return messages().ModelMetadataResponse(**metadata)

    async def _infer(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        begin = time.perf_counter()
        self._model.check_name(request.model_name, request.model_version)
        async with self._bodies.place():
            asked = self._read(request)
            answer = await self._model.infer(asked)
            kinds = messages()
            response = kinds.ModelInferResponse(model_name=self._model.name, model_version=self._model.version)
            response.id = request.id
            for name, value in answer.parameters.items():
                kind = "int64_param" if isinstance(value, int) else "double_param"
                setattr(response.parameters[name], kind, value)
            for name, array, _ in answer.outputs:
                response.outputs.add(name=name, datatype=tensors.datatype(array), shape=array.shape)
                response.raw_output_contents.append(tensors.to_binary(array))
        self._on_inferred(len(asked), time.perf_counter() - begin, answer.parameters[DEVICE_S])
        return response

    def _read(self, request: Any) -> Inference:
        check_id(request.id)
        if len(request.outputs) > MAX_TENSORS:
            raise Refusal(400, f"outputs must be a list of at most {MAX_TENSORS}")
        for part in (request, *request.inputs, *request.outputs):
            check_parameters(part.parameters)
        entry = the_input(request.inputs)
        limits = self._model.limits
        name, dtype, count = check_tensor(entry.name, entry.datatype, list(entry.shape), limits)
        raw = request.raw_input_contents
        if len(raw) > 1:
            raise Refusal(400, f"there are {len(raw)} raw_input_contents for one input")
        binary = memoryview(raw[0]) if raw else None
        frames, pictures = None, None
        try:
            if name == FRAMES:
                written = getattr(entry.contents, _CONTENTS[dtype])
                frames = frames_of(list(written), binary, count, dtype, limits)
            elif binary is not None:
                pictures = pictures_of(None, binary, count)
            else:
                pictures = list(entry.contents.bytes_contents)
                if len(pictures) != count:
                    raise ValueError(f"its shape has {count:,} elements, its data {len(pictures):,}")
        except ValueError as error:
            raise Refusal(400, f"input {name}: {error}") from None
        wanted = check_wanted([Wanted(output.name, True) for output in request.outputs])
        return Inference(request.id, frames, pictures, wanted, True)


# Of a tensor's contents, the field that has the numbers of a type.
_CONTENTS = {"uint8": "uint_contents", "int8": "int_contents", "float32": "fp32_contents"}


class _Gate(grpc.aio.ServerInterceptor):
    """Before a call without the token is read, it is refused."""

    def __init__(self, token: str | None, on_answer: Callable[[int], None]) -> None:
        self._token, self._on_answer = token, on_answer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        given = dict(handler_call_details.invocation_metadata or ()).get("authorization", "")
        given = given if isinstance(given, bytes) else given.encode("utf-8", "surrogateescape")
        if self._token is None or knows_token(given, self._token.encode()):
            return await continuation(handler_call_details)
        return grpc.stream_unary_rpc_method_handler(self._refuse)

    async def _refuse(self, requests: Any, context: grpc.aio.ServicerContext) -> None:
        self._on_answer(401)
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is wrong or missing")
