"""The Open Inference Protocol: Triton's own clients, unchanged, and the specification case by case."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from lognet_fpga.errors import BoardError, MissingToolError, UsageError
from lognet_fpga.ir.output import ModelOutput, OutputTensor
from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.remote.inference import MAX_JSON_BYTES
from lognet_fpga.runtime.remote.server import DeviceServer
from lognet_fpga.runtime.simulated import SimulatedDevice
from tests import small_bundle
from tests.patience import HANG_S
from tests.served import NAME, TOKEN, Served, serving

INFER = f"/v2/models/{NAME}/infer"
COUNT = 5


@pytest.fixture(scope="module")
def bundle(require_tool) -> Bundle:
    for name in ("aiohttp", "onnx", "onnxruntime", "PIL"):
        require_tool(name)
    return make_bundle(small_bundle.files(), small_bundle.manifest(model_output=small_bundle.model_output()))


@pytest.fixture(scope="module")
def served(bundle) -> Iterator[Served]:
    with serving(bundle, max_body_bytes=1 << 20) as served:
        yield served


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return small_bundle.frames(COUNT, seed=11)


def token() -> dict[str, str]:
    """New ones each time, for tritonclient adds to those that it gets."""
    return {"Authorization": f"Bearer {TOKEN}"}


def expected(frames: np.ndarray) -> dict[str, np.ndarray]:
    """By NumPy alone."""
    scores = small_bundle.expected_scores(frames)
    activations = small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)
    return {"activations": activations, "scores": scores, "predictions": scores.argmax(axis=1)}


def assert_right(name: str, got: np.ndarray, frames: np.ndarray) -> None:
    wanted = expected(frames)[name]
    if name == "scores":
        assert got.dtype == np.float32 and np.allclose(got, wanted, rtol=1e-5, atol=1e-3)
    else:
        assert np.array_equal(got, wanted)


def png(frame: np.ndarray) -> bytes:
    """(channels, height, width) uint8 as a file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def asked(served: Served, method: str, path: str, body: bytes | None = None, **more: str) -> tuple[int, dict]:
    link = http.client.HTTPConnection("127.0.0.1", served.port)
    try:
        link.request(method, path, body, token() | {name.replace("_", "-"): text for name, text in more.items()})
        answer = link.getresponse()
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.status, json.loads(answer.read())
    finally:
        link.close()


def inferred(served: Served, request: object, behind: bytes = b"", path: str = INFER) -> tuple[int, dict]:
    head = json.dumps(request).encode()
    more = {"Inference_Header_Content_Length": str(len(head))} if behind else {}
    return asked(served, "POST", path, head + behind, **more)


def as_json(frames: np.ndarray, **more: object) -> dict[str, object]:
    return {"name": "frames", "datatype": "UINT8", "shape": list(frames.shape), "data": frames.tolist(), **more}


# --- Triton's clients -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def triton(require_tool, served) -> Iterator:
    require_tool("tritonclient")
    import tritonclient.http

    with tritonclient.http.InferenceServerClient(f"127.0.0.1:{served.port}", concurrency=4) as client:
        yield client


def test_triton_asks_what_is_there(triton, bundle):
    assert triton.is_server_live(headers=token()) and triton.is_server_ready(headers=token())
    assert triton.is_model_ready(NAME, headers=token())
    assert triton.is_model_ready(NAME, bundle.digest, headers=token())
    assert not triton.is_model_ready("other", headers=token())
    assert triton.get_server_metadata(headers=token())["extensions"] == ["binary_tensor_data"]
    metadata = triton.get_model_metadata(NAME, headers=token())
    assert metadata["versions"] == [bundle.digest] and metadata["name"] == NAME
    assert metadata["inputs"] == [
        {"name": "frames", "datatype": "UINT8", "shape": [-1, 3, 6, 5]},
        {"name": "pictures", "datatype": "BYTES", "shape": [-1]},
    ]
    assert metadata["outputs"] == [
        {"name": "scores", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "predictions", "datatype": "INT64", "shape": [-1]},
        {"name": "activations", "datatype": "UINT8", "shape": [-1, 6, 5, 3]},
    ]
    # 30 and 47 cycles of 10 ns.
    assert metadata["parameters"]["fps"] == pytest.approx(1e9 / 300)
    assert metadata["parameters"]["latency_us"] == pytest.approx(0.47)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("names", [["activations"], ["scores", "activations"], ["predictions"]])
def test_triton_infers(triton, frames, binary_in, binary_out, names):
    import tritonclient.http as http

    tensor = http.InferInput("frames", list(frames.shape), "UINT8")
    tensor.set_data_from_numpy(frames, binary_data=binary_in)
    outputs = [http.InferRequestedOutput(name, binary_data=binary_out) for name in names]
    result = triton.infer(NAME, [tensor], outputs=outputs, headers=token(), request_id="a request")
    assert result.get_response()["id"] == "a request"
    assert [output["name"] for output in result.get_response()["outputs"]] == names
    for name in names:
        assert_right(name, result.as_numpy(name), frames)


def test_triton_gets_the_model_s_outputs_where_it_asks_for_none(triton, frames, bundle):
    import tritonclient.http as http

    tensor = http.InferInput("frames", list(frames.shape), "UINT8")
    tensor.set_data_from_numpy(frames)
    result = triton.infer(NAME, [tensor], bundle.digest, headers=token())
    response = result.get_response()
    assert [output["name"] for output in response["outputs"]] == ["scores"]
    assert response["model_version"] == bundle.digest
    cycles = small_bundle.LATENCY_CYCLES + (COUNT - 1) * small_bundle.CYCLES_PER_FRAME
    assert response["parameters"]["pl_cycles"] == cycles
    assert_right("scores", result.as_numpy("scores"), frames)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_sends_pictures(triton, frames, binary):
    """As bytes, or in JSON as base64."""
    import tritonclient.http as http

    files = [png(frame) for frame in frames]
    tensor = http.InferInput("pictures", [COUNT], "BYTES")
    content = files if binary else [base64.b64encode(file).decode() for file in files]
    tensor.set_data_from_numpy(np.array(content, object), binary_data=binary)
    result = triton.infer(NAME, [tensor], outputs=[http.InferRequestedOutput("activations")], headers=token())
    assert_right("activations", result.as_numpy("activations"), frames)


def test_triton_sends_several_at_a_time(triton, frames):
    import tritonclient.http as http

    sent = []
    for frame in frames:
        tensor = http.InferInput("frames", [1, *frame.shape], "UINT8")
        tensor.set_data_from_numpy(frame[None])
        sent.append(triton.async_infer(NAME, [tensor], headers=token()))
    for frame, request in zip(frames, sent):
        assert_right("scores", request.get_result().as_numpy("scores"), frame[None])


def test_triton_is_told_what_is_wrong(triton, frames):
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    def infer(shape: tuple[int, ...], dtype: str = "UINT8", headers: dict | None = None, **options) -> None:
        tensor = http.InferInput("frames", list(shape), dtype)
        tensor.set_data_from_numpy(np.zeros(shape, np.uint8 if dtype == "UINT8" else np.float32))
        triton.infer(NAME, [tensor], headers=token() if headers is None else headers, **options)

    for shape, dtype, message in (
        ((1, 3, 6, 4), "UINT8", r"shape \[n, 3, 6, 5\]"),
        ((1, 3, 6, 5), "FP32", "datatype UINT8"),
        ((0, 3, 6, 5), "UINT8", "n at least 1"),
    ):
        with pytest.raises(InferenceServerException, match=message) as caught:
            infer(shape, dtype)
        assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="without Content-Encoding"):
        infer((1, 3, 6, 5), request_compression_algorithm="gzip")
    with pytest.raises(InferenceServerException) as caught:
        infer((1, 3, 6, 5), headers={})
    assert caught.value.status() == "401"
    infer((1, 3, 6, 5), response_compression_algorithm="gzip")  # which it may leave


# --- the specification ------------------------------------------------------------------------------------------------


def test_health_and_metadata(served, bundle):
    assert asked(served, "GET", "/v2/health/live") == (200, {"live": True})
    assert asked(served, "GET", "/v2/health/ready") == (200, {"ready": True})
    assert asked(served, "GET", f"/v2/models/{NAME}/ready") == (200, {"name": NAME, "ready": True})
    status, server = asked(served, "GET", "/v2")
    assert status == 200 and set(server) == {"name", "version", "extensions"}
    for path in (f"/v2/models/{NAME}", f"/v2/models/{NAME}/versions/{bundle.digest}"):
        status, model = asked(served, "GET", path)
        assert status == 200 and {"name", "versions", "platform", "inputs", "outputs"} <= set(model)


def test_data_may_be_flat_or_nested(served, frames):
    answers = []
    for data in (frames.tolist(), frames.ravel().tolist(), frames.reshape(COUNT, -1).tolist()):
        status, answer = inferred(served, {"inputs": [as_json(frames, data=data)]})
        assert status == 200 and "id" not in answer
        answers.append(answer["outputs"])
    assert answers[0] == answers[1] == answers[2]
    (output,) = answers[0]
    assert (output["name"], output["datatype"], output["shape"]) == ("scores", "FP32", [COUNT, 4])
    assert_right("scores", np.array(output["data"], np.float32).reshape(output["shape"]), frames)


def test_parameters_that_mean_nothing_here_are_let_be(served, frames):
    request = {"inputs": [as_json(frames, parameters={"x": 1})], "parameters": {"priority": 3}, "extra": None, "id": ""}
    status, answer = inferred(served, request)
    assert status == 200 and answer["id"] == ""


FRAME = np.zeros((1, 3, 6, 5), np.uint8)
REFUSED = {
    "no object": [],
    "no inputs": {},
    "inputs that are no list": {"inputs": as_json(FRAME)},
    "an empty list": {"inputs": []},
    "two inputs": {"inputs": [as_json(FRAME), as_json(FRAME)]},
    "another input": {"inputs": [as_json(FRAME, name="x")]},
    "a name that is none": {"inputs": [as_json(FRAME, name=["frames"])]},
    "another datatype": {"inputs": [as_json(FRAME, datatype="INT8")]},
    "no datatype": {"inputs": [{"name": "frames", "shape": [1, 3, 6, 5], "data": [0] * 90}]},
    "no shape": {"inputs": [{"name": "frames", "datatype": "UINT8", "data": [0] * 90}]},
    "channels last": {"inputs": [as_json(FRAME, shape=[1, 6, 5, 3])]},
    "no frames": {"inputs": [as_json(FRAME, shape=[0, 3, 6, 5], data=[])]},
    "fewer than none": {"inputs": [as_json(FRAME, shape=[-1, 3, 6, 5])]},
    "half a frame": {"inputs": [as_json(FRAME, shape=[1.0, 3, 6, 5])]},
    "true frames": {"inputs": [as_json(FRAME, shape=[True, 3, 6, 5])]},
    "too few data": {"inputs": [as_json(FRAME, data=[0] * 89)]},
    "too many data": {"inputs": [as_json(FRAME, data=[0] * 91)]},
    "a number too large": {"inputs": [as_json(FRAME, data=[0] * 89 + [256])]},
    "a huge number": {"inputs": [as_json(FRAME, data=[0] * 89 + [10**35])]},
    "a number below 0": {"inputs": [as_json(FRAME, data=[0] * 89 + [-1])]},
    "fractions": {"inputs": [as_json(FRAME, data=[0.0] * 90)]},
    "truth": {"inputs": [as_json(FRAME, data=[True] * 90)]},
    "text": {"inputs": [as_json(FRAME, data="0" * 90)]},
    "objects": {"inputs": [as_json(FRAME, data=[{}] * 90)]},
    "no data": {"inputs": [as_json(FRAME, data=None)]},
    "data in no place": {"inputs": [as_json(FRAME, parameters={"binary_data_size": 90})]},
    "parameters that are none": {"inputs": [as_json(FRAME)], "parameters": 3},
    "an output that there is not": {"inputs": [as_json(FRAME)], "outputs": [{"name": "x"}]},
    "an output without a name": {"inputs": [as_json(FRAME)], "outputs": [{}]},
    "an output twice": {"inputs": [as_json(FRAME)], "outputs": [{"name": "scores"}] * 2},
    "outputs that are names": {"inputs": [as_json(FRAME)], "outputs": ["scores"]},
    "a flag that is none": {"inputs": [as_json(FRAME)], "parameters": {"binary_data_output": 1}},
    "Triton's classification": {
        "inputs": [as_json(FRAME)],
        "outputs": [{"name": "scores", "parameters": {"classification": 2}}],
    },
    "Triton's shared memory": {"inputs": [as_json(FRAME, parameters={"shared_memory_region": "a"})]},
    "an id that is none": {"inputs": [as_json(FRAME)], "id": 7},
    "a long id": {"inputs": [as_json(FRAME)], "id": "x" * 1000},
    "a picture that is none": {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], "data": ["aGk="]}]},
    "a picture without base64": {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], "data": ["!!"]}]},
    "pictures that are numbers": {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], "data": [1]}]},
    "more pictures": {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], "data": ["", ""]}]},
}


@pytest.mark.parametrize("request_json", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_with_a_reason(served, request_json):
    status, answer = inferred(served, request_json)
    assert status == 400 and list(answer) == ["error"] and "defect" not in answer["error"]


def picture_of(size: tuple[int, int]) -> bytes:
    return png(np.zeros((3, *size), np.uint8))


@pytest.mark.parametrize(
    "shape, behind",
    [
        ([1], b""),
        ([1], b"\1\0\0"),
        ([1], b"\xff\xff\xff\xffabc"),
        ([2], b"\3\0\0\0abc"),
        ([1], b"\0\0\0\0" * 2),
        ([1], len(picture_of((6, 4))).to_bytes(4, "little") + picture_of((6, 4))),
    ],
    ids=["nothing", "no length", "a length beyond", "too few", "too many", "another size"],
)
def test_bytes_that_are_no_pictures(served, shape, behind):
    tensor = {"name": "pictures", "datatype": "BYTES", "shape": shape}
    status, answer = inferred(served, {"inputs": [{**tensor, "parameters": {"binary_data_size": len(behind)}}]}, behind)
    assert status == 400 and list(answer) == ["error"] and "defect" not in answer["error"]


@pytest.mark.parametrize("size", [89, 91, -1, "90", None, 1e3, True])
def test_binary_sizes_that_do_not_fit(served, size):
    tensor = {"name": "frames", "datatype": "UINT8", "shape": [1, 3, 6, 5], "parameters": {"binary_data_size": size}}
    status, answer = inferred(served, {"inputs": [tensor]}, bytes(90))
    assert status == 400 and list(answer) == ["error"]


@pytest.mark.parametrize("length", ["0", "-1", "x", "1e3", "99999", "", "9" * 5000, "10"])
def test_header_lengths_that_cannot_be(served, length):
    body = json.dumps({"inputs": [as_json(FRAME)]}).encode()
    status, answer = asked(served, "POST", INFER, body, Inference_Header_Content_Length=length)
    assert status == 400 and list(answer) == ["error"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff\xfe{}", b"[" * 100_000, b'{"id": ' + b"9" * 1_000_000 + b"}", b"nul", b'{"a": "\xed\xa0\x80"}'],
    ids=range(7),
)
def test_what_is_no_json(served, body):
    status, answer = asked(served, "POST", INFER, body)
    assert status == 400 and list(answer) == ["error"] and "defect" not in answer["error"]


def test_json_has_a_limit(served):
    status, answer = asked(served, "POST", INFER, b" " * (MAX_JSON_BYTES + 1))
    assert status == 413 and f"{MAX_JSON_BYTES:,} bytes of JSON" in answer["error"]


# --- outputs of all kinds ---------------------------------------------------------------------------------------------


class _Tail:
    """Stands for the host's part: gives what the test wants."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self._arrays = arrays

    def all(self, activations: np.ndarray) -> list[np.ndarray]:
        return self._arrays


@pytest.mark.parametrize(
    "array, datatype, varies",
    [
        (np.array([[1.5], [np.nan]], np.float32), "FP32", False),
        (np.array([[1.5], [2]], np.float16), "FP16", False),
        (np.array([[1 << 60], [-1]], np.int64), "INT64", False),
        (np.array([[True], [False]]), "BOOL", False),
        (np.array([["a"], ["ö"]]), "BYTES", False),
        (np.array([[1, 2], [3, 4]], np.float64), "FP64", True),
    ],
    ids=["nan", "half", "int64", "bool", "text", "varies"],
)
def test_outputs_of_every_kind(bundle, triton, array, datatype, varies, monkeypatch):
    import tritonclient.http as http

    dtype = "str" if array.dtype.kind == "U" else array.dtype.name
    tensor = OutputTensor("activations", dtype, (-1,) if varies else (1,))  # a name that is taken
    raw = replace(ModelOutput("raw", (tensor,)), batch=None)
    manifest = small_bundle.manifest(model_output=raw.to_dict())
    with serving(make_bundle(bundle.files, manifest)) as served:
        monkeypatch.setattr("lognet_fpga.runtime.session.OnnxFunction", lambda *_: _Tail([array]))
        with http.InferenceServerClient(f"127.0.0.1:{served.port}") as client:
            names = [output["name"] for output in client.get_model_metadata(NAME, headers=token())["outputs"]]
            assert names == ["model_activations", "activations"]
            frames = http.InferInput("frames", [2, 3, 6, 5], "UINT8")
            frames.set_data_from_numpy(np.zeros((2, 3, 6, 5), np.uint8))
            result = client.infer(NAME, [frames], headers=token())
            assert result.get_response()["outputs"][0]["datatype"] == datatype
            got = result.as_numpy("model_activations")
            if datatype == "BYTES":
                got = np.char.decode(got.astype(bytes), "utf-8")
            assert np.array_equal(got, array, equal_nan=array.dtype.kind == "f")
        status, answer = inferred(served, {"inputs": [as_json(np.zeros((2, 3, 6, 5), np.uint8))]})
        if array.dtype.kind == "f" and np.isnan(array).any():
            assert status == 500 and "binary_data" in answer["error"]
        else:
            assert status == 200 and answer["outputs"][0]["data"] == array.ravel().tolist()


def test_outputs_of_several_sizes_come_one_by_one(bundle, monkeypatch):
    raw = ModelOutput("raw", (OutputTensor("found", "float32", (-1, 2), rows=False),), batch=1)
    sizes = iter([3, 1, 3])
    tail = _Tail([])
    tail.all = lambda activations: [np.zeros((next(sizes), 2), np.float32)]
    monkeypatch.setattr("lognet_fpga.runtime.session.OnnxFunction", lambda *_: tail)
    with serving(make_bundle(bundle.files, small_bundle.manifest(model_output=raw.to_dict()))) as served:
        status, answer = inferred(served, {"inputs": [as_json(np.zeros((2, 3, 6, 5), np.uint8))]})
        assert status == 400 and "one by one" in answer["error"]
        status, answer = inferred(served, {"inputs": [as_json(FRAME)]})
        assert status == 200 and answer["outputs"][0]["shape"] == [1, 3, 2]


def test_a_board_without_onnxruntime_gives_the_same(bundle, frames, monkeypatch):
    """Its tail runs in NumPy."""
    monkeypatch.setattr("lognet_fpga.runtime.session.find_spec", lambda name: None)
    with serving(bundle) as served:
        status, answer = inferred(served, {"inputs": [as_json(frames)]})
        (output,) = answer["outputs"]
        assert status == 200
        assert_right("scores", np.array(output["data"], np.float32).reshape(output["shape"]), frames)


# --- crowds -----------------------------------------------------------------------------------------------------------


@contextmanager
def held(served: Served) -> Iterator[threading.Event]:
    """While inside, its device does not come back before the event is set."""
    original, go_on = served.device.run, threading.Event()

    def run(batch: np.ndarray) -> DeviceRun:
        assert go_on.wait(HANG_S)
        return original(batch)

    served.device.run = run
    try:
        yield go_on
    finally:
        go_on.set()
        served.device.run = original


def test_ten_requests_wait_and_the_next_is_told_to_come_again(bundle, frames):
    """Two are at work, eight wait."""
    request = {"inputs": [as_json(frames)]}
    with serving(bundle) as served, held(served) as go_on, ThreadPoolExecutor(13) as threads:
        first = [threads.submit(inferred, served, request) for _ in range(13)]
        told = [future.result() for future in islice(as_completed(first, HANG_S), 3)]
        assert [status for status, _ in told] == [503] * 3 and "waiting" in told[0][1]["error"]
        go_on.set()
        assert sorted(future.result()[0] for future in first) == [200] * 10 + [503] * 3


def test_by_grpc_four_calls_are_served_at_a_time(bundle, frames, require_tool):
    require_tool("grpc")
    require_tool("google.protobuf")
    import grpc

    from lognet_fpga.runtime.remote.grpc_messages import SERVICE, messages

    kinds = messages()
    entry = {"name": "frames", "datatype": "UINT8", "shape": frames.shape}
    request = kinds.ModelInferRequest(model_name=NAME, inputs=[entry], raw_input_contents=[frames.tobytes()])
    with (
        serving(bundle, grpc=True) as served,
        held(served) as go_on,
        grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel,
    ):
        call = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=kinds.ModelInferRequest.SerializeToString,
            response_deserializer=kinds.ModelInferResponse.FromString,
        )
        calls = [call.future(request, metadata=[("authorization", f"Bearer {TOKEN}")]) for _ in range(7)]
        refused = []
        for future in calls:
            future.add_done_callback(lambda done: refused.append(done) if done.code() != grpc.StatusCode.OK else None)
        deadline = time.monotonic() + HANG_S
        while len(refused) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        go_on.set()
        codes = Counter(future.code() for future in calls)
        assert codes == {grpc.StatusCode.OK: 4, grpc.StatusCode.RESOURCE_EXHAUSTED: 3}


# --- without a token --------------------------------------------------------------------------------------------------


def test_without_a_token_this_machine_is_served_and_no_site_of_its_browser(bundle, frames):
    with serving(bundle, token=None) as served:
        assert asked(served, "GET", "/v2/health/live")[0] == 200
        for host in ("localhost:80", "127.0.0.1", "[::1]:1"):
            assert asked(served, "GET", "/v2/health/live", Host=host)[0] == 200
        for host in ("example.org", "127.0.0.1.example.org", "[2001:db8::1]", ""):
            assert asked(served, "GET", "/v2/health/live", Host=host)[0] == 403
        assert asked(served, "GET", "/v2/health/live", Origin="http://localhost:3000")[0] == 200
        for origin in ("https://example.org", "null", "http://127.0.0.1.example.org:80"):
            assert asked(served, "GET", "/v2/health/live", Origin=origin)[0] == 403


def test_without_a_token_others_are_not_served(bundle):
    server = DeviceServer(bundle, SimulatedDevice(bundle), None)
    with pytest.raises(UsageError, match="without a token"):
        asyncio.run(server.serve("0.0.0.0", 0, asyncio.Event()))


# --- figures ----------------------------------------------------------------------------------------------------------


class _Meter:
    """A sensor with these values to give."""

    name = "a sensor of the test"

    def __init__(self, *values: list[float] | None) -> None:
        self._values = list(values)

    def samples(self) -> list[float]:
        value = self._values.pop(0)
        if value is None:
            raise BoardError("the sensor is gone")
        return value

    def close(self) -> None:
        pass


def metrics(served: Served) -> dict[str, float]:
    """As Prometheus' own parser reads them."""
    from prometheus_client.parser import text_string_to_metric_families

    link = http.client.HTTPConnection("127.0.0.1", served.port)
    link.request("GET", "/metrics", headers=token())
    answer = link.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.read().decode())
    found = {
        sample.name + "".join(sample.labels.values()): sample.value for family in families for sample in family.samples
    }
    link.close()
    return found


def test_metrics(bundle, frames, require_tool):
    require_tool("prometheus_client")
    with serving(bundle, meter=_Meter([1.0, 2.0], [], None)) as served:
        assert asked(served, "GET", "/v2/health/live")[0] == 200
        for _ in range(3):
            assert inferred(served, {"inputs": [as_json(frames)]})[0] == 200
        assert inferred(served, {})[0] == 400
        served.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")  # without the token: 401
        found = metrics(served)
        assert found["lognet_frames_total"] == 3 * COUNT
        assert (found["lognet_requests_total200"], found["lognet_requests_total400"]) == (4, 1)
        assert found["lognet_requests_total401"] == 1
        assert found["lognet_request_seconds_count"] == found["lognet_device_seconds_count"] == 3
        assert found["lognet_request_seconds_sum"] > found["lognet_device_seconds_sum"] > 0
        assert found["lognet_power_watts"] == 1.5
        assert metrics(served)["lognet_power_watts"] == metrics(served)["lognet_power_watts"] == 1.5


def test_without_prometheus_client_it_says_so(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "lognet_fpga.runtime.remote.metrics", raising=False)
    with serving(bundle) as served:
        status, answer = asked(served, "GET", "/metrics")
        assert status == 404 and "lognet-fpga[metrics]" in answer["error"]
    with pytest.raises(MissingToolError, match="prometheus_client"):
        DeviceServer(bundle, SimulatedDevice(bundle), TOKEN, meter=_Meter())


def test_no_power_is_made_up(bundle, require_tool):
    require_tool("prometheus_client")
    with serving(bundle) as served:
        assert not any("watts" in name for name in metrics(served))


# --- gRPC -------------------------------------------------------------------------------------------------------------


def lower_token() -> dict[str, str]:
    """gRPC has no capitals in names."""
    return {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def by_grpc(bundle, require_tool) -> Iterator[Served]:
    for name in ("grpc", "google.protobuf"):
        require_tool(name)
    with serving(bundle, max_body_bytes=1 << 20, grpc=True) as served:
        yield served


@pytest.fixture(scope="module")
def triton_grpc(require_tool, by_grpc) -> Iterator:
    require_tool("tritonclient")
    import tritonclient.grpc

    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{by_grpc.grpc_port}") as client:
        yield client


def test_triton_asks_by_grpc(triton_grpc, bundle):
    assert triton_grpc.is_server_live(headers=lower_token()) and triton_grpc.is_server_ready(headers=lower_token())
    assert triton_grpc.is_model_ready(NAME, bundle.digest, headers=lower_token())
    metadata = triton_grpc.get_model_metadata(NAME, headers=lower_token())
    assert metadata.versions == [bundle.digest]
    assert [(entry.name, entry.datatype, list(entry.shape)) for entry in metadata.outputs] == [
        ("scores", "FP32", [-1, 4]),
        ("predictions", "INT64", [-1]),
        ("activations", "UINT8", [-1, 6, 5, 3]),
    ]
    assert triton_grpc.get_server_metadata(headers=lower_token()).name == "lognet-serve"


@pytest.mark.parametrize("names", [[], ["activations"], ["predictions", "scores"]])
def test_triton_infers_by_grpc(triton_grpc, frames, names):
    import tritonclient.grpc as grpc

    tensor = grpc.InferInput("frames", list(frames.shape), "UINT8")
    tensor.set_data_from_numpy(frames)
    outputs = [grpc.InferRequestedOutput(name) for name in names]
    result = triton_grpc.infer(NAME, [tensor], outputs=outputs or None, headers=lower_token(), request_id="a request")
    response = result.get_response()
    assert response.id == "a request" and [output.name for output in response.outputs] == (names or ["scores"])
    assert response.parameters["pl_cycles"].int64_param == small_bundle.LATENCY_CYCLES + 30 * (COUNT - 1)
    for name in names or ["scores"]:
        assert_right(name, result.as_numpy(name), frames)


def test_triton_sends_pictures_by_grpc(triton_grpc, frames):
    import tritonclient.grpc as grpc

    tensor = grpc.InferInput("pictures", [COUNT], "BYTES")
    tensor.set_data_from_numpy(np.array([png(frame) for frame in frames], object))
    result = triton_grpc.infer(
        NAME, [tensor], outputs=[grpc.InferRequestedOutput("activations")], headers=lower_token()
    )
    assert_right("activations", result.as_numpy("activations"), frames)


def test_triton_is_told_what_is_wrong_by_grpc(triton_grpc):
    import tritonclient.grpc as grpc
    from tritonclient.utils import InferenceServerException

    def infer(shape: tuple[int, ...], model: str = NAME, headers: dict | None = None, **options) -> None:
        tensor = grpc.InferInput("frames", list(shape), "UINT8")
        tensor.set_data_from_numpy(np.zeros(shape, np.uint8))
        triton_grpc.infer(model, [tensor], headers=lower_token() if headers is None else headers, **options)

    infer((1, 3, 6, 5))
    for arguments, options, status, message in (
        (((1, 3, 6, 4),), {}, "INVALID_ARGUMENT", "has shape"),
        (((0, 3, 6, 5),), {}, "INVALID_ARGUMENT", "n at least 1"),
        (((1, 3, 6, 5), "other"), {}, "NOT_FOUND", "has the model small"),
        (((1, 3, 6, 5),), {"headers": {}}, "UNAUTHENTICATED", "token"),
        (((1, 3, 6, 5),), {"headers": {"authorization": "Bearer x"}}, "UNAUTHENTICATED", "token"),
        (((1, 3, 6, 5),), {"model_version": "1"}, "NOT_FOUND", "version"),
        (((1 << 15, 3, 6, 5),), {}, "RESOURCE_EXHAUSTED", "larger"),
        (((1, 3, 6, 5),), {"request_id": "x" * 300}, "INVALID_ARGUMENT", "id must be"),
        (((1000, 3, 6, 5),), {"compression_algorithm": "gzip"}, "UNIMPLEMENTED", "ompression"),
        (((1, 3, 6, 5),), {"outputs": [grpc.InferRequestedOutput("x")]}, "INVALID_ARGUMENT", "no output"),
        (
            ((1, 3, 6, 5),),
            {"outputs": [grpc.InferRequestedOutput("scores", class_count=2)]},
            "INVALID_ARGUMENT",
            "there",
        ),
    ):
        with pytest.raises(InferenceServerException, match=message) as caught:
            infer(*arguments, **options)
        assert caught.value.status() == f"StatusCode.{status}"
    infer((1, 3, 6, 5))


def test_the_messages_are_those_of_the_specification(require_tool):
    """Triton's, generated by protoc from its file, read ours and write what we read, whatever is in them."""
    require_tool("tritonclient")
    from tritonclient.grpc import service_pb2

    from lognet_fpga.runtime.remote.grpc_messages import messages

    for name, ours in vars(messages()).items():
        nested = {"TensorMetadata": "ModelMetadataResponse", "InferInputTensor": "ModelInferRequest"}
        nested |= {"InferRequestedOutputTensor": "ModelInferRequest", "InferOutputTensor": "ModelInferResponse"}
        holder = getattr(service_pb2, nested[name]) if name in nested else service_pb2
        theirs = getattr(holder, name).DESCRIPTOR
        for field in ours.DESCRIPTOR.fields:
            other = theirs.fields_by_name[field.name]
            assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)


def test_parts_of_a_message_that_tritonclient_does_not_write(by_grpc, frames):
    """Contents by elements, as KServe's clients have them; and several of what must be one."""
    import grpc

    from lognet_fpga.runtime.remote.grpc_messages import SERVICE, messages

    kinds = messages()
    with grpc.insecure_channel(f"127.0.0.1:{by_grpc.grpc_port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=kinds.ModelInferRequest.SerializeToString,
            response_deserializer=kinds.ModelInferResponse.FromString,
        )
        entry = {"name": "frames", "datatype": "UINT8", "shape": frames.shape}
        contents = {"uint_contents": frames.ravel().tolist()}
        outputs = [{"name": "activations"}]
        request = kinds.ModelInferRequest(model_name=NAME, inputs=[{**entry, "contents": contents}], outputs=outputs)
        metadata = [("authorization", f"Bearer {TOKEN}")]
        answer = call(request, metadata=metadata)
        got = np.frombuffer(answer.raw_output_contents[0], np.uint8).reshape(answer.outputs[0].shape)
        assert_right("activations", got, frames)
        files = {"name": "pictures", "datatype": "BYTES", "shape": [COUNT]}
        pictures = {**files, "contents": {"bytes_contents": [png(frame) for frame in frames]}}
        answer = call(kinds.ModelInferRequest(model_name=NAME, inputs=[pictures], outputs=outputs), metadata=metadata)
        assert answer.raw_output_contents[0] == got.tobytes()
        for wrong in (
            {"inputs": [entry]},
            {"inputs": []},
            {"inputs": [entry] * 2},
            {"inputs": [{**entry, "contents": {"uint_contents": [256] * frames.size}}]},
            {"inputs": [entry], "raw_input_contents": [frames.tobytes()] * 2},
            {"inputs": [entry], "raw_input_contents": [frames.tobytes()[:-1]]},
            {"inputs": [files], "raw_input_contents": [b"\xff\xff\xff\xff"]},
            {"inputs": [{**files, "contents": {"bytes_contents": [b""]}}]},
            {"inputs": [{**entry, "parameters": {"shared_memory_region": {"string_param": "x"}}}]},
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call(kinds.ModelInferRequest(model_name=NAME, **wrong), metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, wrong
