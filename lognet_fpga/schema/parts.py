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

SHAPE = items(whole(), "channels, height, width; of a vector its length")
STRIDE = items(whole(), "down and across")
PROBLEM: dict[str, Schema] = {
    "node": text(),
    "op_type": text(),
    "why": text("in words"),
    "kind": text("the same for programs"),
}

_RESOURCES = {
    "lut": number("LUT6 sites"),
    "positions": number("of slices, for LUT sites and lone flip-flops"),
    "m_lut": number("LUT6 sites that hold memory or shift registers"),
    "ff": number("flip-flops"),
    "bram36": number("block RAMs of 36 Kbit; halves count 0.5"),
}
_FIFO = {"depth": whole("beats"), "reserve": whole(), "peak": whole(), "stride": STRIDE}
_CLB = {
    "digit_bits": whole("of `clb`: bits of a number that a leg works on in one cycle"),
    "leg_cycles": whole("of `clb`: digits of a leg"),
    "legs": whole("of `clb`: of an accumulator"),
    "in_digits": whole("of `clb`: of an input activation"),
    "in_legs": whole("of `clb`: of an input activation"),
    "adders": whole("of `clb`: of two operands, in the layer's graph before any are joined to three"),
}
_BRAM = {
    "pe": whole("of `bram`: output channels worked on side by side"),
    "simd": whole("of `bram`: input channels that each of these meets in a cycle"),
    "in_words": whole("of `bram`: words of a position"),
    "weight_words": whole("of `bram`: depth of the weights' memory"),
}
_PLANNED_LAYER = fields(
    {
        "name": text(),
        "weights": text("where they are", among=("clb", "bram")),
        "ii_cycles": whole("cycles of a slot, in which one output position is made"),
        "slots_per_frame": whole(),
        "cycles_per_frame": whole(),
        "in_bits": whole("of the activations that it takes"),
        "act_bits": whole("of its activations, in front of the pool"),
        "out_bits": whole("of what leaves it"),
        "acc_bits": whole("of the accumulator"),
        "in_channels_per_beat": whole(),
        "in_beats": whole("of a position"),
        "channels_per_beat": whole("of its results"),
        "nonzero_weights": whole(),
        "fifo_depth": whole("beats"),
        "fifo_reserve": whole("beats"),
        "fifo_peak": whole("beats"),
        "fifo_stride": items(whole(), "of which positions, down and across, come into it"),
        "branches": items(fields(_FIFO), "where several layers take its results, the FIFOs to those behind the first"),
        "sources": items(
            fields({"layer": or_null(text()), "stride": STRIDE}),
            "what its input is made of, in order; a layer that is null: the frames",
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
            "title": text("the board's name as people write it"),
            "part": text(),
            "has": part("resources", "what the chip has"),
            "may_take": part("resources", "what a plan may take of it"),
        },
        "A board's FPGA",
    ),
    "preprocessing": fields(
        {
            "scale": one_or_several(
                number(), "model input = ((number - zero_point) * scale - mean) / std; a list has one a channel"
            ),
            "mean": items(number()),
            "std": items(number()),
        },
        "From a picture to the model's input",
        optional={
            "dtype": text("what the frames' numbers are", among=("uint8", "int8", "float32")),
            "zero_point": one_or_several(whole(), "the number, of float32 frames the code, that stands for 0"),
            "channel_order": text(among=("rgb", "bgr")),
            "resize": or_null(items(whole()), "one size: of the shorter side; two: height and width"),
            "crop": flag("whether the centre is cut out"),
            "interpolation": text(among=("bilinear", "nearest", "bicubic")),
        },
    ),
    "mlperf_tiny": fields(
        {
            "task": text(among=("ic", "ic02", "kws", "vww", "ad")),
            "model_id": text("as the benchmark's runner knows it"),
            "reference": items(fields({"path": text("in mlcommons/tiny"), "sha256": text()}), "the model's files"),
            "target": share("of quality, in the closed division"),
            "quality": or_null(
                fields(
                    {
                        "metric": text(among=("top-1", "AUC")),
                        "float_model": or_null(share()),
                        "deployed": or_null(share(), "null where the frames do not tell"),
                        "reached": or_null(flag("whether it is the target or more")),
                        "frames": whole("that were judged"),
                        "files": whole("that they are of"),
                        "frames_calibrated": whole("those of them that the calibration used, too"),
                        "float_error": or_null(number(), "of an autoencoder: mean square of what it is off, float"),
                        "error": or_null(number(), "and deployed"),
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
                        "shape": items(whole(), "of a frame, with -1 for a size that varies"),
                        "rows": flag("whether the file's first axis counts frames"),
                    }
                )
            ),
            "classes": or_null(whole(), "null where unknown or none"),
            "threshold": or_null(number(), "of a binary score"),
            "tail_batch": or_null(
                whole(), "frames that the host's part takes at a time, 1 for frame by frame; null for any number"
            ),
            "reason": text("why this kind"),
            "left_out": items(text(), "names of outputs that the host's part cannot compute"),
        },
        "What the model gives for a frame, see [what comes out](models.md#what-comes-out)",
    ),
    "placement": fields(
        {
            "node": text(),
            "op_type": text(),
            "where": text(among=("FPGA", "host")),
            "reason": text(),
            "inputs": items(text(), "names of the nodes that it takes something from"),
        },
        "Where a node of the model runs",
    ),
    "candidate": fields(
        {
            "layers": whole(),
            "fits": flag(),
            "pl_fps": or_null(number(), "of the FPGA; null where it does not fit"),
            "host_fps": or_null(number(), "the middle of its range; null where not known or without limit"),
            "host_fps_range": or_null(items(or_null(number())), "least and most; null where not known"),
            "fps": or_null(number(), "of both together"),
            "host_macs": or_null(whole(), "multiply-accumulates of the host's part, a frame"),
            "estimate": or_null(
                part("estimate"), "of the smallest plan where none fits; null where no engines reach --fps"
            ),
            "prune": or_null(
                share(), "the least share of zeros with which it would fit; null where it fits, or never would"
            ),
        },
        "A number of layers on a board, estimated",
    ),
    "plan": fields(
        {
            "fps": number("frames a second"),
            "cycles_per_frame": whole(),
            "latency_cycles": whole("of one frame, from its first pixel to its last result"),
            "clk_mhz": number(),
            "estimate": part("estimate", "of the overlay"),
            "shell": part("estimate", "of that, what is no layer's"),
            "entry_fifos": items(fields(_FIFO), "where several layers take the frames"),
            "layers": items(_PLANNED_LAYER),
        },
        "The plan of the hardware",
    ),
    "accuracy": fields(
        {
            "frames": whole("that were judged"),
            "frames_calibrated": whole("those of them that the calibration used, too"),
            "float_top1": or_null(share(), "of the float model"),
            "float_top5": or_null(share()),
            "weights_top1": or_null(share(), "of log2 weights with float activations"),
            "weights_top5": or_null(share()),
            "weights_agreement": or_null(share(), "with the float model's classes"),
            "weights_lost": or_null(number(), "points lost against the float model"),
            "weights_lost_error": or_null(number(), "its standard error"),
            "deployed_top1": or_null(share(), "of the deployed model"),
            "deployed_top5": or_null(share()),
            "agreement": or_null(share()),
            "lost": or_null(number()),
            "lost_error": or_null(number()),
            "float_auc": or_null(share(), "of a binary score with labels of both classes"),
            "weights_auc": or_null(share()),
            "deployed_auc": or_null(share()),
            "by_layer_frames": whole(),
            "by_layer": items(
                fields(
                    {"layer": or_null(text(), "null: the float model")},
                    optional={**_LAYER_SCORE, "cosine": or_null(number()), "relative_error": or_null(number())},
                ),
                "the FPGA's layers up to each one quantized; points lost are against the row before",
            ),
        },
        "Shares are 0..1, points are percent of the frames, what is not known is null; see [accuracy]"
        "(commands.md#accuracy)",
        optional={
            "cosine": or_null(number(), "only of a model without classes: the deployed model beside the float one"),
            "relative_error": or_null(number()),
            "weights_cosine": or_null(number()),
            "weights_relative_error": or_null(number()),
            "outputs": items(
                fields(
                    {
                        "name": text(),
                        "cosine": or_null(number()),
                        "relative_error": or_null(number()),
                        "equal": share("of the frames, those with equal outputs"),
                        "comparable": share("of the frames, those with comparable ones"),
                    }
                ),
                "each output of it",
            ),
        },
    ),
    "bitstream": fields(
        {
            "flow": text(among=("vivado", "open")),
            "versions": by_name(text(), "of the tools"),
            "experimental": flag("whether no board has run a bitstream of this toolchain"),
            "hardware": text("that it was not run on hardware"),
            "timing_met": flag("whether the routed design keeps its clock"),
            "timing_violation_allowed": flag("whether it does not, and the user took it all the same"),
            "made_from": text("identifies the project"),
            "figures": fields(
                {
                    "total": part("placed", "of the programmable logic"),
                    "overlay": or_null(part("placed"), "of the overlay alone; null where the tool cannot tell"),
                    "timing": fields(
                        {
                            "period_ns": number("of the bundle's clock"),
                            "slack_ns": number("judged at that"),
                            "hold_slack_ns": or_null(number()),
                            "pulse_slack_ns": or_null(number()),
                            "failing": or_null(whole(), "endpoints that miss their time"),
                            "constraint_ns": or_null(number(), "the period that the tool was told"),
                        }
                    ),
                    "power": or_null(
                        fields({"total_w": number(), "static_w": number()}),
                        "an estimate by the tool for the whole chip",
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
                        "the longest one, from block to block",
                    ),
                    "fmax_mhz": number(),
                    "timing_met": flag(),
                }
            ),
        },
        "A bitstream, and what its tools say of it",
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
        "A figure, and what it rests on",
    ),
    "counts": fields(
        {
            "cells": by_name(whole(), "by type"),
            "carry_luts": whole(),
            "lut_pairs": whole(),
            "lut": whole("cells, as Yosys counts"),
            "lut_sites": number("LUT6 sites, as estimates count"),
            "m_lut": number(),
            "ff": whole(),
            "lone_ffs": whole("flip-flops without a LUT in front"),
            "dual_sites": whole("LUT sites without a bypass for such a flip-flop"),
            "positions": number("of slices"),
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
