"""What the user asks of a deployment, checked once at the door."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lognet_fpga.errors import UsageError
from lognet_fpga.ir.preprocessing import MAX_INPUT_SIZE, MeanImage, Preprocessing

ACT_BITS = (4, 5, 6, 7, 8)
AUTO_BITS: Literal["auto"] = "auto"  # for act_bits: each layer's chosen by the error that they make
# For fpga_layers: the number with the best predicted rate; all that can go, fully connected layers among them.
AUTO_LAYERS: Literal["auto"] = "auto"
ALL_LAYERS: Literal["all"] = "all"
# For output.
OUTPUTS = SCORES_OUTPUT, CLASS_OUTPUT = "scores", "class"
MAX_CLK_MHZ = 1000.0
EVAL_FRAMES = 1000
_HOST = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True)
class BitstreamRequest:
    """How to make a bitstream.  Raises UsageError for what cannot be meant.

    flow: by which tools.  remote: user@host, for ssh, where Vivado is; None: this machine.  results: a folder with what
    Vivado has made of the bundle's project elsewhere, instead of making it.  allow_timing_violation: take a design that
    misses its clock, and mark the bundle.
    """

    flow: Literal["vivado", "open"] = "vivado"
    remote: str | None = None
    results: Path | None = None
    allow_timing_violation: bool = False

    def __post_init__(self) -> None:
        if self.flow != "vivado" and self.remote is not None:
            raise UsageError("--remote is for Vivado", hint="leave it out, or take Vivado")
        if self.remote is not None and self.results:
            raise UsageError("--remote and --results do not go together", hint="take one of them")
        if self.remote is not None and not _HOST.fullmatch(self.remote):
            raise UsageError(f"{self.remote!r} is not a machine for ssh", hint="for example --remote me@server")


@dataclass(frozen=True)
class DeployConfig:
    """One run of lognet-deploy.  Raises UsageError for a value out of range.

    model: the float ONNX file.  board: name of the board.  out: folder that gets the bundle, the current one
    when None.  fps: least frames per second asked for; None plans the fastest that fits.  frames: to calibrate
    with and to judge the accuracy on, those that calibration leaves, as lognet_fpga.runtime.frames reads them; None
    draws random ones.  calibration_frames: to calibrate with and never to judge on; then frames are all judged.
    eval_frames: the other way round, to judge on, and frames all calibrate.  eval_limit: the most frames to judge;
    None: all.
    fpga_layers: number of layers on the FPGA, 1 or more, convolutions first and then fully connected ones; None: as
    many of the first three convolutions as can go; AUTO_LAYERS: the number of convolutions with the best predicted
    rate; ALL_LAYERS: all that can go.  act_bits: bits of the activations between layers, one of ACT_BITS; AUTO_BITS:
    layer by layer, those that a retrained model has, else as few as their error allows (`quantize.act_bits`).
    weights: the store that they go to (`engines.stores`); "auto", layer by layer what is cheaper.
    prune: share of the weights set to zero before quantizing, 0 <= prune < 1.  clk_mhz: the most that the overlay's
    clock may have, the board's own when None.  synth: synthesize for resource figures.  verify: simulate the Verilog.
    input_shape: (channels, height, width), for a model that leaves one of them open.  preprocessing: from a picture to
    the model's input.  mean_image: where preprocessing.mean comes from a mean image.
    max_drop: points of top-1 accuracy, 0..100, that the deployed model may lose against the float one; None: any.
    output: SCORES_OUTPUT, what the model gives, or CLASS_OUTPUT, the number of the largest of its scores.
    bitstream: how to make one of the written bundle; None: not at all.
    """

    model: Path
    board: str = "pynq-z2"
    out: Path | None = None
    fps: float | None = None
    frames: Path | None = None
    calibration_frames: Path | None = None
    eval_frames: Path | None = None
    eval_limit: int | None = EVAL_FRAMES
    fpga_layers: int | Literal["auto", "all"] | None = None
    act_bits: int | Literal["auto"] = AUTO_BITS
    weights: str = "auto"
    prune: float = 0.0
    clk_mhz: float | None = None
    synth: bool = False
    verify: bool = True
    preprocessing: Preprocessing = Preprocessing()
    mean_image: MeanImage | None = None
    input_shape: tuple[int, int, int] | None = None
    max_drop: float | None = None
    output: Literal["scores", "class"] = "scores"
    bitstream: BitstreamRequest | None = None

    def __post_init__(self) -> None:
        if self.input_shape is not None and not (
            len(self.input_shape) == 3 and all(0 < size <= MAX_INPUT_SIZE for size in self.input_shape)
        ):
            raise UsageError(
                "the input shape must be three whole numbers, CHANNELS,HEIGHT,WIDTH, "
                f"from 1 to {MAX_INPUT_SIZE}, not {','.join(map(str, self.input_shape))}",
                hint="for example --input-shape 3,32,32",
            )
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise UsageError(f"the frame rate must be greater than 0, not {self.fps}")
        if self.layers_asked is not None and self.layers_asked < 1:
            raise UsageError(f"the number of FPGA layers must be 1 or more, not {self.fpga_layers}")
        if self.act_bits not in (AUTO_BITS, *ACT_BITS):
            raise UsageError(
                f"the activation bits must be {ACT_BITS[0]} to {ACT_BITS[-1]}, or {AUTO_BITS}, not {self.act_bits}"
            )
        if not 0 <= self.prune < 1:
            raise UsageError(f"the share of weights to prune must be at least 0 and below 1, not {self.prune}")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise UsageError(f"the greatest drop must be 0 to 100 points of accuracy, not {self.max_drop}")
        if None not in (self.frames, self.calibration_frames, self.eval_frames):
            raise UsageError(
                f"{self.calibration_frames} calibrates and {self.eval_frames} is judged, which leaves nothing for "
                f"{self.frames}",
                hint="give --calibrate and --frames, or --frames and --eval",
            )
        if self.max_drop is not None and self.judged_source is None:
            raise UsageError(
                "--max-drop needs frames to measure the accuracy on", hint="give labelled --frames or --eval"
            )
        if self.eval_limit is not None and self.eval_limit < 1:
            raise UsageError(f"the number of frames to judge must be 1 or more, not {self.eval_limit}")
        if self.clk_mhz is not None and not 0 < self.clk_mhz <= MAX_CLK_MHZ:
            raise UsageError(f"the clock must be above 0 and at most {MAX_CLK_MHZ:g} MHz, not {self.clk_mhz}")

    @property
    def layers_asked(self) -> int | None:
        """fpga_layers where it is a number."""
        return self.fpga_layers if isinstance(self.fpga_layers, int) else None

    @property
    def calibration_source(self) -> Path | None:
        """Where the frames to calibrate with are; None: noise."""
        return self.calibration_frames or self.frames

    @property
    def judged_source(self) -> Path | None:
        """Where the frames to judge the accuracy on are; None: there are none."""
        return self.eval_frames or self.frames

    @property
    def judged_apart(self) -> bool:
        """Whether all frames of judged_source are judged, for others calibrate."""
        return self.eval_frames is not None or self.calibration_frames is not None

    @property
    def out_folder(self) -> Path:
        """The folder that gets the bundle."""
        return self.out if self.out is not None else Path(".")
