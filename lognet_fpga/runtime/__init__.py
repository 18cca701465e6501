"""Run a bundle: frames, devices, sessions, streaming."""

from lognet_fpga.runtime.frames import Frames, load_frames
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.runtime.stream import StreamResult, stream

__all__ = ["Frames", "Session", "SimulatedDevice", "StreamResult", "load_frames", "stream"]
