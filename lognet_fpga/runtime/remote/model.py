"""The model that a server serves, whatever the protocol: its metadata, and what becomes of a request."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.runtime.device import Device, DeviceRun
from lognet_fpga.runtime.images import read_pictures
from lognet_fpga.runtime.remote import tensors
from lognet_fpga.runtime.remote.inference import CODES, Answer, FrameLimits, Inference, Wanted
from lognet_fpga.runtime.remote.protocol import (
    ACTIVATIONS,
    CLK_MHZ,
    DEVICE_S,
    FRAMES,
    PICTURES,
    PL_CYCLES,
    PREDICTIONS,
    WAIT_S,
    DeviceInfo,
)
from lognet_fpga.runtime.remote.refusal import Refusal
from lognet_fpga.runtime.session import Session

PLATFORM = "lognet_fpga"
_OURS = (ACTIVATIONS, PREDICTIONS)
_T = TypeVar("_T")


class ServedModel:
    """device: open.  max_body_bytes: how many of frames, or pictures, a request may have.

    name, version: of the bundle, its name and its digest.  limits: of a request.
    """

    def __init__(self, bundle: Bundle, device: Device, max_body_bytes: int) -> None:
        self._bundle, self._device = bundle, device
        self._session: Session | None = None
        preprocessing = bundle.preprocessing
        frame_bytes = math.prod(bundle.input_shape) * np.dtype(preprocessing.dtype or CODES).itemsize
        self.name, self.version = bundle.name, bundle.digest
        self.limits = FrameLimits(bundle.input_shape, max(1, max_body_bytes // frame_bytes), preprocessing)
        self.max_input_bytes = max(self.limits.max_frames * frame_bytes, max_body_bytes)
        self._output = bundle.model_output or self._settled()
        self._names = tuple(f"model_{t.name}" if t.name in _OURS else t.name for t in self._output.tensors)
        figure = device.figure(1.0, "fps")
        pl_us = 1 / bundle.clk_mhz
        self.info = DeviceInfo(
            bundle.digest,
            device.kind,
            device.description,
            device.power(),
            figure.source,
            figure.how,
            self.limits.max_frames,
            1e6 / (bundle.cycles_per_frame * pl_us),
            bundle.latency_cycles * pl_us,
        )

    def __enter__(self) -> ServedModel:
        # One thread for the device, so that it is asked one thing at a time, and one for what its host does beside it.
        self._device_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._host_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="host")
        return self

    def __exit__(self, *exception: object) -> None:
        self._device_thread.shutdown()
        self._host_thread.shutdown()

    def metadata(self) -> dict[str, object]:
        """As of `$metadata_model_response`, with the figures as parameters."""
        channels, height, width = self._bundle.output_shape
        outputs = [
            {"name": name, "datatype": tensors.datatype_of(tensor.dtype), "shape": [-1, *tensor.shape]}
            for name, tensor in zip(self._names, self._output.tensors)
        ]
        if self._output.has_classes:
            outputs.append({"name": PREDICTIONS, "datatype": "INT64", "shape": [-1]})
        dtype = self.limits.dtype
        inputs: list[dict[str, object]] = [
            {"name": FRAMES, "datatype": tensors.datatype_of(dtype), "shape": [-1, *self._bundle.input_shape]}
        ]
        if dtype == CODES:  # pixels
            inputs.append({"name": PICTURES, "datatype": tensors.BYTES, "shape": [-1]})
        kind = tensors.datatype_of(np.dtype(self._bundle.sink.dtype).name)
        outputs.append({"name": ACTIVATIONS, "datatype": kind, "shape": [-1, height, width, channels]})
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": PLATFORM,
            "inputs": inputs,
            "outputs": outputs,
            "parameters": self.info.to_dict(),
        }

    def check_name(self, name: str, version: str | None) -> None:
        """Raise Refusal for a model that is not this one."""
        if name != self.name or version not in (None, "", self.version):
            raise Refusal(404, f"this server has the model {self.name}, version {self.version}")

    def wanted(self, request: Inference) -> tuple[Wanted, ...]:
        """The outputs that the answer has.  Raises Refusal for one that there is not."""
        if request.wanted is None:
            return tuple(Wanted(name, request.binary) for name in self._names)
        known = (*self._names, ACTIVATIONS, *((PREDICTIONS,) if self._output.has_classes else ()))
        for output in request.wanted:
            if output.name not in known:
                raise Refusal(400, f"the model has no output {output.name[:60]!r}; it has {', '.join(known)}")
        return request.wanted

    async def infer(self, request: Inference) -> Answer:
        """Raises Refusal for pictures that are none and outputs that there are not, and what device and tail raise."""
        wanted = self.wanted(request)
        frames = request.frames
        if frames is None:
            frames = await self.beside(lambda: self._read(request.pictures or []))
        asked = time.perf_counter()
        begin, end, run = await self._in(self._device_thread, lambda: self._run(frames))
        arrays = {ACTIVATIONS: run.activations}
        if any(output.name != ACTIVATIONS for output in wanted):
            arrays |= await self.beside(lambda: self._tail(run.activations))
        figures = {
            PL_CYCLES: int(run.pl_cycles),
            CLK_MHZ: float(run.clk_mhz),
            WAIT_S: round(begin - asked, 6),
            DEVICE_S: round(end - begin, 6),
        }
        return Answer([(output.name, arrays[output.name], output.binary) for output in wanted], figures)

    async def beside(self, work: Callable[[], _T]) -> _T:
        """Do what takes a while in the thread beside the device's."""
        return await self._in(self._host_thread, work)

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    def _read(self, pictures: list[bytes]) -> np.ndarray:
        shape, preprocessing = self._bundle.input_shape, self._bundle.preprocessing
        return preprocessing.reorder(read_pictures(pictures, shape, preprocessing))

    def _run(self, frames: np.ndarray) -> tuple[float, float, DeviceRun]:
        begin = time.perf_counter()
        run = self._device.run(frames)
        return begin, time.perf_counter(), run

    def _tail(self, activations: np.ndarray) -> dict[str, np.ndarray]:
        if self._session is None:  # a board whose tail runs elsewhere needs no memory for it
            self._session = Session(self._bundle, self._device)
        outputs = self._session.outputs(activations)
        arrays = {name: _rectangular(name, output) for name, output in zip(self._names, outputs)}
        predictions = self._session.output.predictions(outputs)
        return arrays if predictions is None else {**arrays, PREDICTIONS: predictions}

    def _settled(self) -> ModelOutput:
        """Of a bundle that does not say it."""
        channels, height, width = self._bundle.output_shape
        self._session = Session(self._bundle, self._device)
        self._session.outputs(np.zeros((1, height, width, channels), self._bundle.sink.dtype))
        return self._session.output


def _rectangular(name: str, output: np.ndarray) -> np.ndarray:
    """An output of frames whose sizes may differ, as one tensor, which the protocol wants."""
    if output.dtype != object:
        return output
    frames = list(output)
    if len({frame.shape for frame in frames}) > 1:
        raise Refusal(400, f"output {name} is of another size for each of these frames; send them one by one")
    return np.stack(frames)
