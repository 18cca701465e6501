"""Run a bundle: frames, devices, sessions, streaming."""

from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.frames import Frames, load_frames
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.runtime.sources import open_source
from lognet_fpga.runtime.streaming import StreamResult, StreamUpdate, stream

__all__ = [
    "FrameSource",
    "Frames",
    "Session",
    "SimulatedDevice",
    "StreamResult",
    "StreamUpdate",
    "load_frames",
    "open_source",
    "stream",
]
