#!/usr/bin/env python3
"""Instructions that the host's part takes in NumPy, operator by operator: lognet_fpga/plan/host_time.py is made of it.

    python benchmarks/host_time.py

Counted by Valgrind's callgrind on this machine, in one process, without vector instructions beyond SSE: a processor of
32-bit ARM takes more where the x86 one works on four numbers at a time, and about as many elsewhere.  A frame's
instructions at batch 16, without what the first call of an operator takes; beside them the estimate for 32-bit ARM.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BATCH, CALLS = 16, 3
CHILD = "--count"
# Of NumPy and OpenBLAS: one thread, and what every x86-64 processor has.
PLAIN = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "SSE42 AVX AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_ICL X86_V3 X86_V4",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True)
class Case:
    """shape: of a frame.  constants: shapes of the node's other inputs."""

    op_type: str
    shape: tuple[int, ...]
    constants: tuple[tuple[int, ...], ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        sizes = [" x ".join(map(str, shape)) for shape in (self.shape, *self.constants[:1])]
        return f"{self.op_type} {', '.join(sizes)}"

    def model(self):
        """The case as an ONNX model of one node."""
        from onnx import TensorProto, helper, numpy_helper, shape_inference

        rng = np.random.default_rng(0)
        names = [f"c{i}" for i in range(len(self.constants))]
        constants = [
            numpy_helper.from_array(rng.uniform(0.1, 1, shape).astype(np.float32), name)
            for name, shape in zip(names, self.constants)
        ]
        node = helper.make_node(self.op_type, ["x", *names], ["y"], **self.attributes)
        infos = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shape]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ]
        graph = helper.make_graph([node], "case", infos[:1], infos[1:], constants)
        return shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def conv(channels: int, size: int, kernel: int, filters: int, group: int = 1) -> Case:
    pads = [kernel // 2] * 4
    weight = (filters, channels // group, kernel, kernel)
    return Case("Conv", (channels, size, size), (weight, (filters,)), {"pads": pads, "group": group})


def pool(op_type: str, channels: int, size: int, kernel: int) -> Case:
    return Case(op_type, (channels, size, size), (), {"kernel_shape": [kernel] * 2, "strides": [2] * 2})


CASES = (
    Case("Gemm", (1024,), ((256, 1024), (256,)), {"transB": 1}),
    Case("Gemm", (256,), ((10, 256), (10,)), {"transB": 1}),
    Case("MatMul", (1024,), ((1024, 256),)),
    conv(64, 16, 3, 64),
    conv(16, 16, 3, 16),
    conv(64, 16, 1, 64),
    conv(256, 8, 1, 64),
    conv(3, 32, 5, 32),
    conv(64, 16, 3, 64, group=64),
    conv(64, 8, 3, 64, group=4),
    pool("MaxPool", 64, 16, 2),
    pool("MaxPool", 64, 17, 3),
    pool("AveragePool", 64, 17, 3),
    Case("GlobalAveragePool", (256, 8, 8)),
    Case("Relu", (64, 16, 16)),
    Case("Clip", (64, 16, 16), ((), ())),
    Case("Mul", (64, 16, 16), ((64, 1, 1),)),
    Case("Transpose", (16, 16, 64), (), {"perm": [0, 3, 1, 2]}),
    Case("BatchNormalization", (64, 16, 16), ((64,),) * 4),
    Case("LeakyRelu", (64, 16, 16)),
    Case("HardSwish", (64, 16, 16)),
    Case("Sigmoid", (64, 16, 16)),
    Case("Tanh", (64, 16, 16)),
    Case("Exp", (64, 16, 16)),
    Case("LRN", (64, 16, 16), (), {"size": 5}),
    Case("Softmax", (1000,)),
    Case("Relu", (1,)),
)


def count_here() -> None:
    """In the process that callgrind watches: after each case its numbers are written to a file of their own."""
    from lognet_fpga.runtime.numpy_function import NumpyFunction

    def mark(name: str) -> None:
        command = [shutil.which("callgrind_control"), f"--dump={name}", str(os.getpid())]
        subprocess.run(command, check=True, capture_output=True)

    mark("start")
    mark("nothing")
    for number, case in enumerate(CASES):
        function = NumpyFunction(case.model().SerializeToString(), case.title)
        frames = np.random.default_rng(1).uniform(0, 1, (BATCH, *case.shape)).astype(np.float32)
        function(frames)
        mark(f"before_{number}")
        for _ in range(CALLS):
            function(frames)
        mark(f"case_{number}")


def counted() -> list[float]:
    """Instructions a frame of every case."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, __file__, CHILD]
        subprocess.run(command, check=True, env={**os.environ, **PLAIN}, capture_output=True)
        totals = {}
        for path in Path(folder).glob("callgrind.*"):
            text = path.read_text()
            trigger = re.search(r"^desc: Trigger: dump (\w+)", text, re.MULTILINE)
            if trigger:
                totals[trigger[1]] = int(re.search(r"^totals: (\d+)", text, re.MULTILINE)[1])
    return [(totals[f"case_{number}"] - totals["nothing"]) / CALLS / BATCH for number in range(len(CASES))]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options.add_argument(CHILD, action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.count:
        count_here()
        return 0
    from lognet_fpga.partition.work import model_work
    from lognet_fpga.plan.host_time import NUMPY_ARM32

    rows = []
    for case, count in zip(CASES, counted()):
        work = model_work(case.model())["y"].host
        rows.append({"case": case.title, "x86": count, "arm32_estimated": NUMPY_ARM32.count(work), **asdict(work)})
    if arguments.json:
        print(json.dumps({"batch": BATCH, "cases": rows}))
        return 0
    print(f"{'':45}{'x86, counted':>14}{'32-bit ARM, estimated':>24}")
    for row in rows:
        print(f"{row['case']:45}{row['x86']:14,.0f}{row['arm32_estimated']:24,.0f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
