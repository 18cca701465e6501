"""The simulated device beside onnxruntime on the float layers that the FPGA was given: a section of tool_time.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.figures import noise
from lognet_fpga.bundle import EXECUTION, GOLDEN, Bundle
from lognet_fpga.frontend import load
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import MaxPool
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition import Partition, partition
from lognet_fpga.progress import Progress
from lognet_fpga.quantize import quantize
from lognet_fpga.report import Section, Table
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.verify.onnx_session import OnnxSession
from tests.models import ModelBuilder, save

SHIPPED = Path(__file__).parents[1] / "models" / "cifar10_64x3" / "model_log2.onnx"
THREADS = 1  # of each: several wait for each other, and waiting is processor time
CALIBRATION_FRAMES = 32
BATCH = 16
ROUNDS = 20
LEAST_ROUND_S = 0.05


def section(progress: Progress) -> tuple[Section, object]:
    """Frames a processor second of the device by golden.onnx and by execution.onnx, and of the float layers."""
    rows, data = [], {}
    for name, (model, act_bits) in models().items():
        with progress.stage(name):
            rates = measured(model, act_bits)
        device, golden, floats = (rates[key] for key in ("execution", "golden", "float"))
        rows.append(
            (name, round(floats), round(golden), f"{golden / floats:.2f}", round(device), f"{device / floats:.2f}")
        )
        data[name] = {**rates, "ratio_golden": golden / floats, "ratio": device / floats}
    columns = ("layers", "float onnxruntime", "device by golden.onnx", "ratio", "device by execution.onnx", "ratio")
    note = (
        f"frames a processor second, {BATCH} at a time, {THREADS} thread each, in turn, fastest of {ROUNDS} rounds; "
        "the float layers (convolution, ReLU, pool) get frames that are float32 already"
    )
    return Section("The simulated device", (note,), Table(columns, tuple(rows))), data


def models() -> dict[str, tuple[onnx.ModelProto, int]]:
    """The model and the bits of its activations, by name."""
    resnet = ModelBuilder((3, 32, 32), seed=8).conv(16).relu().residual(lambda block: block.conv(16).relu().conv(16))
    vgg = ModelBuilder((3, 64, 64), seed=16).conv(64).relu().conv(64).relu().pool().conv(128).relu()
    mobile = ModelBuilder((3, 64, 64), seed=3).conv(8, strides=[2, 2]).relu().conv(8, group=8).relu().conv(16, 1).relu()
    shipped = onnx.load(SHIPPED)
    return {
        "shipped model, 4 bits": (shipped, 4),
        "the first 3 of ResNet-8, 8 bits": (resnet.relu().model(), 8),
        "VGG's first 3 at 64 x 64, 8 bits": (vgg.model(), 8),
        "the first 3 of MobileNetV1 0.25 at 64 x 64, 8 bits": (mobile.model(), 8),
    }


def measured(model: onnx.ModelProto, act_bits: int) -> dict[str, float]:
    """Frames a processor second of the float layers and of the device by golden.onnx and by execution.onnx."""
    with TemporaryDirectory() as folder:
        graph = load(save(model, Path(folder)))
    parts = partition(graph)
    shape = parts.layers[0].in_shape
    quant = quantize(parts, noise(shape, CALIBRATION_FRAMES), Preprocessing(), act_bits=act_bits)
    frames = noise(shape, BATCH)
    pixels, floats = frames.astype(np.float32), OnnxSession(float_layers(parts), "the float layers", THREADS)
    devices = {"golden": device(quant, {}), "execution": device(quant, {EXECUTION: execution_onnx(quant)})}
    golden, execution = (each.run(frames).activations for each in devices.values())
    if not np.array_equal(golden, execution):
        raise AssertionError("execution.onnx differs from golden.onnx")
    runs = {"float": lambda: floats.run(pixels)}
    runs |= {name: lambda each=each: each.run(frames) for name, each in devices.items()}
    return {name: BATCH / seconds for name, seconds in fastest(runs).items()}


def device(quant: QuantGraph, files: Mapping[str, bytes]) -> SimulatedDevice:
    """One with these files beside golden.onnx."""
    manifest = {
        "board": {"name": "none", "power_sensor": "none"},
        "clk_mhz": 100,
        "output": {"shape": list(quant.out_shape), "bits": quant.layers[-1].out_bits},
        "sink": {
            "shape": list(quant.out_shape),
            "bits": quant.layers[-1].out_bits,
            "channels_per_beat": 1,
            "tdata_bits": 8,
        },
        "plan": {"cycles_per_frame": 1, "latency_cycles": 1},
    }
    return SimulatedDevice(Bundle(manifest, {GOLDEN: golden_onnx(quant), **files}), THREADS)


def float_layers(parts: Partition) -> bytes:
    """The layers that the FPGA was given as a float ONNX model."""
    nodes, tensors, source = [], [], "frames"
    for layer in parts.layers:
        values = {"weight": layer.weight.astype(np.float32), "bias": layer.bias.astype(np.float32)}
        tensors += [numpy_helper.from_array(value, f"{layer.name}/{name}") for name, value in values.items()]
        inputs = [source, *(tensor.name for tensor in tensors[-2:])]
        places = {"pads": layer.pads, "strides": layer.stride, "group": layer.groups}
        nodes.append(helper.make_node("Conv", inputs, [f"{layer.name}/sum"], **places))
        nodes.append(helper.make_node("Relu", [f"{layer.name}/sum"], [f"{layer.name}/relu"]))
        source = f"{layer.name}/relu"
        if layer.pool is not None:
            kind = "MaxPool" if isinstance(layer.pool, MaxPool) else "AveragePool"
            window = {"kernel_shape": layer.pool.kernel, "strides": layer.pool.stride, "pads": layer.pool.pads}
            nodes.append(helper.make_node(kind, [source], [layer.name], **window))
            source = layer.name
    frames = helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", *parts.layers[0].in_shape])
    last = helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch", *parts.layers[-1].out_shape])
    graph = helper.make_graph(nodes, "float", [frames], [last], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def fastest(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Processor seconds of one call of each: all in turn, round by round, the fastest round of each."""
    for run in runs.values():
        run()
    best = dict.fromkeys(runs, np.inf)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            calls, began = 0, time.process_time()
            while calls == 0 or time.process_time() - began < LEAST_ROUND_S:
                run()
                calls += 1
            best[name] = min(best[name], (time.process_time() - began) / calls)
    return best
