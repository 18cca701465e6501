"""The overlay's own registers; `python -m lognet_fpga.ir.core_registers` prints the table that docs/stream.md has.

What of them changes what a driver sees is a new MAP_VERSION.
"""

from __future__ import annotations

from lognet_fpga.ir.registers import READ_WRITE, Field, Register, RegisterMap

LOGN = 0x4C4F474E  # the letters, the first in the highest byte
MAP_VERSION = 1
PACKET_BITS = 16  # of the number of frames in a packet
MAX_FRAMES_PER_PACKET = 1 << PACKET_BITS

RESET = Field("reset", 0, "writing 1 resets the stream part and the counters, not the status; reads 1 while that lasts")
TOO_SHORT = Field("too_short", 0, "a frame was too short (TLAST early)")
TOO_LONG = Field("too_long", 1, "a packet was too long (TLAST missing at its end)")
MORE = Field("more", 0, "0 to 65,535", PACKET_BITS)

IDENTIFICATION = Register("identification", 0x00, "identification, 0x4C4F474E", reset=LOGN)
VERSION = Register("version", 0x04, "version of this map", reset=MAP_VERSION)
CONTROL = Register("control", 0x08, "control", READ_WRITE, (RESET,), remark="1 until 1,023 cycles behind `rst`")
STATUS = Register("status", 0x0C, "what was wrong; writing 1 to a bit clears it", READ_WRITE, (TOO_SHORT, TOO_LONG))
FRAMES_BEGUN = Register("frames_begun", 0x10, "frames begun")
FRAMES_FINISHED = Register("frames_finished", 0x14, "frames finished")
CYCLES = Register("cycles", 0x18, "clock cycles since reset", remark="from the end of its 1,023 cycles")
SINK_STALLS = Register("sink_stalls", 0x1C, "cycles in which the sink did not take a beat that was offered")
SOURCE_IDLES = Register(
    "source_idles", 0x20, "cycles in which the overlay could have taken a beat and none was offered"
)
MORE_FRAMES = Register(
    "more_frames",
    0x24,
    "frames of a packet beyond the first",
    READ_WRITE,
    (MORE,),
    remark="kept by the soft reset; to be written while no frame is on its way",
)
PACKET_BEGUN = Register("packet_begun", 0x28, "cycle, as in cycles, in which the last packet's first beat came in")
PACKET_FINISHED = Register(
    "packet_finished",
    0x2C,
    "cycle in which the last frame's last beat left",
    remark="minus packet_begun the time of the packet",
)
MODEL_SHA256 = Register(
    "model_sha256",
    0x40,
    "SHA-256 of golden.onnx",
    reset=None,
    words=8,
    remark="the first four bytes (little-endian) in the first word; the driver ([board.md](board.md)) refuses a "
    "bitstream that is not the bundle's",
)

CORE_REGISTERS = RegisterMap(
    (
        IDENTIFICATION,
        VERSION,
        CONTROL,
        STATUS,
        FRAMES_BEGUN,
        FRAMES_FINISHED,
        CYCLES,
        SINK_STALLS,
        SOURCE_IDLES,
        MORE_FRAMES,
        PACKET_BEGUN,
        PACKET_FINISHED,
        MODEL_SHA256,
    )
)

if __name__ == "__main__":
    print(CORE_REGISTERS.table(), end="")
