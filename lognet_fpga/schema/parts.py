"""Objects that several documents have."""

from __future__ import annotations

from lognet_fpga.schema.types import (
    Schema,
    by_name,
    fields,
    flag,
    items,
    number,
    one_or_several,
    or_null,
    part,
    share,
    text,
    whole,
)

SHAPE = items(whole(), "channels, height and width; for a vector, its length")
STRIDE = items(whole(), "down, across")
PROBLEM: dict[str, Schema] = {
    "node": text(),
    "op_type": text(),
    "why": text("in words"),
    "kind": text("the same in a form for programs"),
}

_RESOURCES = {
    "lut": number("LUT6 sites"),
    "positions": number("positions of slices for LUT sites and lone flip-flops"),
    "m_lut": number("LUT6 sites that hold memory or shift registers"),
    "ff": number("flip-flops"),
    "bram36": number("block RAMs of 36 Kbit; halves count 0.5"),
}
_FIFO = {"depth": whole("beats"), "reserve": whole(), "peak": whole(), "stride": STRIDE}
_CLB = {
    "digit_bits": whole("`clb` only: bits of a number that a leg processes in one cycle"),
    "leg_cycles": whole("`clb` only: digits of a leg"),
    "legs": whole("`clb` only: legs of an accumulator"),
    "in_digits": whole("`clb` only: digits of an input activation"),
    "in_legs": whole("`clb` only: legs of an input activation"),
    "adders": whole(
        "`clb` only: two-operand adders in the layer's graph, before any are combined into three-operand ones"
    ),
}
_BRAM = {
    "pe": whole("`bram` only: output channels that are processed in parallel"),
    "simd": whole("`bram` only: input channels that each of these takes in one cycle, or of a word that it looks up"),
    "in_words": whole("`bram` only: words of a position"),
    "weight_words": whole("`bram` only: depth of the weights' memory"),
    "table_words": whole("`bram` only: words of a window whose products are looked up in one cycle"),
}
_PLANNED_LAYER = fields(
    {
        "name": text(),
        "weights": text("where they are", among=("clb", "bram")),
        "ii_cycles": whole("cycles of a slot, in which one output position is made"),
        "slots_per_frame": whole(),
        "cycles_per_frame": whole(),
        "in_bits": whole("bits of the activations that it takes"),
        "act_bits": whole("bits of its activations, in front of the pool"),
        "out_bits": whole("bits of what leaves it"),
        "acc_bits": whole("bits of the accumulator"),
        "in_channels_per_beat": whole(),
        "in_beats": whole("beats of a position"),
        "channels_per_beat": whole("channels per beat of its results"),
        "nonzero_weights": whole(),
        "fifo_depth": whole("beats"),
        "fifo_reserve": whole("beats"),
        "fifo_peak": whole("beats"),
        "fifo_stride": items(whole(), "which positions go into it: every how many, down and across"),
        "branches": items(
            fields(_FIFO), "if several layers take its results, the FIFOs to all of these layers but the first"
        ),
        "sources": items(
            fields({"layer": or_null(text()), "stride": STRIDE}),
            "what its input is made of, in order; a `layer` of null stands for the frames",
        ),
        "estimate": part("estimate"),
    },
    optional={**_CLB, **_BRAM},
)
_LAYER_SCORE = {name: or_null(number()) for name in ("top1", "top5", "agreement", "lost", "lost_error")}

PARTS: dict[str, Schema] = {
    "error": fields(
        {"kind": text("class of the error"), "message": text("what, where, and what to do"), "exit_code": whole()},
        "What went wrong",
    ),
    "resources": fields(_RESOURCES, "Parts of a chip"),
    "estimate": fields(
        {**_RESOURCES, "lone_ffs": number("flip-flops without a LUT in front")}, "Estimated parts of a chip"
    ),
    "chip": fields(
        {
            "title": text("the board's name, written out"),
            "part": text(),
            "has": part("resources", "what the chip has"),
            "may_take": part("resources", "what a plan may take of it"),
        },
        "A board's FPGA",
    ),
    "preprocessing": fields(
        {
            "scale": one_or_several(
                number(), "model input = ((number - zero_point) * scale - mean) / std; a list has one value per channel"
            ),
            "mean": items(number()),
            "std": items(number()),
        },
        "From a picture to the model's input",
        optional={
            "dtype": text("type of the frames' numbers", among=("uint8", "int8", "float32")),
            "zero_point": one_or_several(whole(), "the number (for float32 frames, the code) that stands for 0"),
            "channel_order": text(among=("rgb", "bgr")),
            "resize": or_null(items(whole()), "one number is the length of the shorter side; two are height and width"),
            "crop": flag("whether the centre is cut out"),
            "interpolation": text(among=("bilinear", "nearest", "bicubic")),
        },
    ),
    "mlperf_tiny": fields(
        {
            "task": text(among=("ic", "ic02", "kws", "vww", "ad")),
            "model_id": text("as the benchmark's runner knows it"),
            "reference": items(fields({"path": text("in mlcommons/tiny"), "sha256": text()}), "the model's files"),
            "target": share("the quality that the closed division demands"),
            "quality": or_null(
                fields(
                    {
                        "metric": text(among=("top-1", "AUC")),
                        "float_model": or_null(share()),
                        "deployed": or_null(share(), "null if it cannot be told from the frames"),
                        "reached": or_null(flag("whether the quality reaches the target")),
                        "frames": whole("how many frames were judged"),
                        "files": whole("how many files they come from"),
                        "frames_calibrated": whole("how many of these the calibration used, too"),
                        "float_error": or_null(number(), "for an autoencoder: mean square error of the float model"),
                        "error": or_null(number(), "for an autoencoder: mean square error of the deployed model"),
                    }
                ),
                "null without frames",
            ),
        },
        "A task of MLPerf Tiny",
    ),
    "output": fields(
        {
            "kind": text(among=("scores", "class number", "binary score", "raw")),
            "tensors": items(
                fields(
                    {
                        "name": text(),
                        "dtype": text(),
                        "shape": items(whole(), "shape for one frame, with -1 for a size that varies"),
                        "rows": flag("whether the file's first axis counts frames"),
                    }
                )
            ),
            "classes": or_null(whole(), "null if unknown, or if there are none"),
            "threshold": or_null(number(), "threshold of a binary score"),
            "tail_batch": or_null(
                whole(), "frames that the host's part takes at a time: 1 for frame by frame, null for any number"
            ),
            "reason": text("why the output is of this kind"),
            "left_out": items(text(), "names of outputs that the host's part cannot compute"),
        },
        "What the model gives for a frame; see [what comes out](models.md#what-comes-out)",
    ),
    "placement": fields(
        {
            "node": text(),
            "op_type": text(),
            "where": text(among=("FPGA", "host")),
            "reason": text(),
            "inputs": items(text(), "names of the nodes whose outputs it takes"),
        },
        "Where a node of the model runs",
    ),
    "candidate": fields(
        {
            "layers": whole(),
            "fits": flag(),
            "pl_fps": or_null(number(), "frames per second of the FPGA; null if the layers do not fit"),
            "host_fps": or_null(number(), "the middle of its range; null if unknown or unlimited"),
            "host_fps_range": or_null(items(or_null(number())), "least and most; null if unknown"),
            "fps": or_null(number(), "frames per second of both together"),
            "host_macs": or_null(whole(), "multiply-accumulates of the host's part, per frame"),
            "estimate": or_null(
                part("estimate"), "if no plan fits, that of the smallest one; null if no engines reach --fps"
            ),
            "prune": or_null(
                share(), "the least share of zeros with which it would fit; null if it fits, or never would"
            ),
        },
        "A number of layers on a board, estimated",
    ),
    "plan": fields(
        {
            "fps": number("frames per second"),
            "cycles_per_frame": whole(),
            "latency_cycles": whole("latency of one frame, from its first pixel to its last result"),
            "clk_mhz": number(),
            "estimate": part("estimate", "estimate for the overlay"),
            "shell": part("estimate", "the part of it that belongs to no layer"),
            "entry_fifos": items(fields(_FIFO), "the FIFOs behind the entry, if several layers take the frames"),
            "layers": items(_PLANNED_LAYER),
        },
        "The plan of the hardware",
    ),
    "accuracy": fields(
        {
            "frames": whole("how many frames were judged"),
            "frames_calibrated": whole("how many of these the calibration used, too"),
            "float_top1": or_null(share(), "top-1 of the float model"),
            "float_top5": or_null(share()),
            "weights_top1": or_null(share(), "top-1 with log2 weights and float activations"),
            "weights_top5": or_null(share()),
            "weights_agreement": or_null(share(), "agreement with the float model's classes"),
            "weights_lost": or_null(number(), "points lost against the float model"),
            "weights_lost_error": or_null(number(), "its standard error"),
            "deployed_top1": or_null(share(), "top-1 of the deployed model"),
            "deployed_top5": or_null(share()),
            "agreement": or_null(share()),
            "lost": or_null(number()),
            "lost_error": or_null(number()),
            "float_auc": or_null(share(), "AUC of the float model, for a binary score with labels of both classes"),
            "weights_auc": or_null(share()),
            "deployed_auc": or_null(share()),
            "by_layer_frames": whole(),
            "by_layer": items(
                fields(
                    {"layer": or_null(text(), "null stands for the float model")},
                    optional={**_LAYER_SCORE, "cosine": or_null(number()), "relative_error": or_null(number())},
                ),
                "the FPGA's layers up to this one are quantized; points lost are relative to the previous row",
            ),
        },
        "Shares are 0..1, points are percent of the frames, what is not known is null; see [accuracy]"
        "(commands.md#accuracy)",
        optional={
            "cosine": or_null(
                number(), "only for a model without classes: the deployed model compared with the float one"
            ),
            "relative_error": or_null(number()),
            "weights_cosine": or_null(number()),
            "weights_relative_error": or_null(number()),
            "outputs": items(
                fields(
                    {
                        "name": text(),
                        "cosine": or_null(number()),
                        "relative_error": or_null(number()),
                        "equal": share("share of the frames with equal outputs"),
                        "comparable": share("share of the frames with comparable outputs"),
                    }
                ),
                "each output of it",
            ),
        },
    ),
    "bitstream": fields(
        {
            "flow": text(among=("vivado", "open")),
            "versions": by_name(text(), "versions of the tools"),
            "experimental": flag("whether no board has run a bitstream of this toolchain"),
            "hardware": text("a statement that it was not run on hardware"),
            "timing_met": flag("whether the routed design meets its clock"),
            "timing_violation_allowed": flag("whether it does not, and the user accepted it nevertheless"),
            "made_from": text("identifies the project"),
            "figures": fields(
                {
                    "total": part("placed", "the whole programmable logic"),
                    "overlay": or_null(part("placed"), "the overlay alone; null if the tool cannot tell"),
                    "timing": fields(
                        {
                            "period_ns": number("period of the bundle's clock"),
                            "slack_ns": number("slack relative to that period"),
                            "hold_slack_ns": or_null(number()),
                            "pulse_slack_ns": or_null(number()),
                            "failing": or_null(whole(), "endpoints that miss their time"),
                            "constraint_ns": or_null(number(), "the period that the tool was given"),
                        }
                    ),
                    "power": or_null(
                        fields({"total_w": number(), "static_w": number()}), "the tool's estimate for the whole chip"
                    ),
                    "path": or_null(
                        fields(
                            {
                                "start": text(),
                                "end": text(),
                                "logic_ns": number(),
                                "wire_ns": number(),
                                "cells": whole(),
                                "net": text("the slowest one"),
                                "net_ns": number(),
                            }
                        ),
                        "the longest path, from block to block",
                    ),
                    "fmax_mhz": number(),
                    "timing_met": flag(),
                }
            ),
        },
        "A bitstream, and what its tools say about it",
    ),
    "placed": fields(
        {"lut": number(), "ff": number(), "bram36": number(), "dsp": or_null(number()), "m_lut": or_null(number())},
        "Parts of a chip that a placed design takes",
    ),
    "figure": fields(
        {
            "value": or_null(number()),
            "unit": text(),
            "source": text(among=("simulated", "measured", "estimated")),
            "how": text("in words"),
        },
        "A figure, and what it is based on",
    ),
    "counts": fields(
        {
            "cells": by_name(whole(), "by type"),
            "carry_luts": whole(),
            "lut_pairs": whole(),
            "lut": whole("cells, as Yosys counts them"),
            "lut_sites": number("LUT6 sites, counted as in estimates"),
            "m_lut": number(),
            "ff": whole(),
            "lone_ffs": whole("flip-flops without a LUT in front"),
            "dual_sites": whole("LUT sites without a bypass for such a flip-flop"),
            "positions": number("positions of slices"),
            "control_sets": whole(),
            "bram36": number(),
            "dsp": whole(),
            "carry4": whole(),
            "muxf": whole(),
            "srl": whole(),
            "lutram": whole(),
        },
        "A netlist's cells",
    ),
}

ERROR = or_null(part("error"), "what went wrong, if anything did")
ONLY_ERROR = fields({"error": part("error")}, "Where there is no report.")
STREAM_FORMAT = fields(
    {name: whole() for name in ("bits", "channels_per_beat", "tdata_bits", "beats_per_frame")} | {"shape": SHAPE}
)
