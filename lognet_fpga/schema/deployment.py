"""What is written of a model before and at its deployment: lognet-inspect, lognet-deploy."""

from __future__ import annotations

from lognet_fpga.schema.parts import ERROR, ONLY_ERROR, PROBLEM, SHAPE, STRIDE
from lognet_fpga.schema.types import Schema, by_name, fields, flag, items, number, or_null, part, share, text, whole

REPORT: dict[str, Schema] = {
    "model": text("file name of the model"),
    "board": text("as `--board` takes it"),
    "calibration": fields(
        {
            "frames": whole("how many frames calibrated the quantizer"),
            "source": text("the file's name, or `random noise`"),
        }
    ),
    "judged": or_null(
        fields({"frames": whole("how many frames the accuracy was counted on"), "source": text("the file's name")}),
        "null without frames",
    ),
    "input": fields(
        {
            "shape": SHAPE,
            "preprocessing": part("preprocessing"),
            "inside_model": items(text(), "names of the nodes that scale the input in the model itself"),
            "mean_image": or_null(
                fields(
                    {
                        "file": text(),
                        "largest_deviation": number("the largest deviation of a pixel from its channel's mean"),
                    }
                )
            ),
        }
    ),
    "partition": items(part("placement")),
    "layer_choice": fields(
        {
            "layers": whole("how many layers go onto the FPGA"),
            "stopped_by": items(fields(PROBLEM), "the problems that kept the usual layers off the FPGA"),
            "candidates": items(part("candidate"), "with `--fpga-layers auto`, what was chosen from; otherwise empty"),
        }
    ),
    "act_bits": or_null(
        fields(
            {
                "budget": share("how much the chosen bits may add, as a share of the squared error with 8 bits"),
                "error": number("relative root mean square error of what leaves the FPGA, on calibration frames"),
                "error_8_bits": number("the same with 8 bits everywhere"),
                "layers": items(
                    fields(
                        {
                            "name": text(),
                            "bits": whole(),
                            "error_added": or_null(
                                number(), "as a share of the squared error; null if there was no choice"
                            ),
                            "error_added_4_bits": or_null(number(), "what 4 bits would add"),
                            "hurts": flag("whether 4 bits in this layer alone would exceed the budget"),
                        }
                    )
                ),
            }
        ),
        "how the bits of activations were chosen; null if the user or the model gave all of them",
    ),
    "layers": items(
        fields(
            {
                "name": text(),
                "in_shape": SHAPE,
                "out_shape": SHAPE,
                "nmse": or_null(number(), "squared error of the weights relative to their squares"),
                "sparsity": share("share of zero weights"),
                "in_bits": whole("bits of the activations that the layer takes"),
                "act_bits": whole("bits of the layer's activations, in front of the pool"),
                "out_bits": whole("bits of the activations that leave the layer"),
                "shift": whole("bits dropped by requantize"),
                "alpha_min": number("real value of a weight's LSB, the smallest among the channels"),
                "alpha_max": number(),
                "weight_codes": items(items(whole()), "pairs of a code and the number of weights that have it"),
                "out_zero": whole("the activation that stands for zero; 0 after a ReLU"),
                "activation_codes": or_null(
                    items(whole()),
                    "how many activations of the bundle's vectors have code 0, 1, ...; null for whole sums",
                ),
            }
        ),
        "one entry for each FPGA layer",
    ),
    "chip": part("chip"),
    "plan": part("plan"),
    "host": fields(
        {
            "only_onnxruntime": items(
                text(),
                "nodes of the host's part that run only in onnxruntime; if there are none, NumPy can run it, too",
            ),
            "estimated": or_null(
                fields(
                    {
                        "runtime": text("what the board runs it in", among=("NumPy", "onnxruntime")),
                        "frame_ms": items(or_null(number()), "the least and the most milliseconds per frame"),
                    }
                ),
                "null if shapes are not known, or the board cannot run it",
            ),
        },
        "The host's part",
    ),
    "output": part("output"),
    "verification": or_null(
        fields(
            {
                "passed": flag(),
                "frames": whole(),
                "bits": whole("how many bits were compared"),
                "differing_bits": whole(),
                "counts": items(
                    fields(
                        {
                            "level": text(),
                            "layer": text(),
                            "frames": whole(),
                            "bits": whole(),
                            "differing_bits": whole(),
                        }
                    )
                ),
                "first_difference": or_null(
                    fields(
                        {
                            "level": text(),
                            "layer": text(),
                            **{name: whole() for name in ("frame", "channel", "y", "x", "expected", "got")},
                        }
                    )
                ),
                "cycles": fields(
                    {
                        "latency_cycles": or_null(whole(), "simulated"),
                        "planned_latency_cycles": whole(),
                        "intervals": items(whole(), "between the last output beats of frames, simulated"),
                        "planned_cycles_per_frame": whole(),
                        "run_cycles": whole(),
                    }
                ),
                "problems": items(text()),
                "seed": whole("seed of the run with stalls"),
                "idle_percent": whole("percentage of the cycles in which the source paused"),
                "stall_percent": whole("percentage of the cycles in which the sink refused data"),
            }
        ),
        "null with `--no-verify`",
    ),
    "synthesis": or_null(
        fields(
            {
                "tool": text("Yosys' version"),
                "parts": by_name(part("counts")),
                "total": part("counts"),
                "longest_paths": by_name(
                    fields(
                        {
                            "levels": whole("LUTs and LUT memories"),
                            "carries": whole(),
                            "ns": number("estimated, including setup"),
                            "begin": text(),
                            "end": text(),
                            "control_loads": whole("loads of the net that resets, sets or enables the most registers"),
                            "control_net": text(),
                        }
                    ),
                    "the longest path of each part, estimated",
                ),
            }
        ),
        "null without `--synth`",
    ),
    "accuracy": or_null(part("accuracy"), "null without frames"),
    "answers": or_null(
        fields(
            {
                "truth": text(among=("labels", "float model")),
                "class_names": or_null(items(text())),
                "confusion": or_null(
                    items(items(whole())),
                    "frames by true class, a list each, and by deployed class; null for more than 32 classes",
                ),
                "confused": items(
                    fields(
                        {
                            "truth": whole(),
                            "class": whole(),
                            "frames": whole(),
                            "float_frames": whole("how many frames the float model confuses in this way"),
                        }
                    ),
                    "the ten most frequent errors",
                ),
                "changed": fields(
                    {
                        "frames": whole(
                            "how many frames the deployed model puts into a different class than the float model does"
                        ),
                        "lost": or_null(whole()),
                        "gained": or_null(whole()),
                        "shown": items(
                            fields(
                                {
                                    "frame": whole(),
                                    "name": or_null(text(), "of its file"),
                                    "label": or_null(whole()),
                                    "float_class": whole(),
                                    "deployed_class": whole(),
                                    "picture": or_null(text(), "in the bundle"),
                                }
                            ),
                            "up to 12",
                        ),
                    }
                ),
            }
        ),
        "null without frames and without classes",
    ),
    "bitstream": or_null(part("bitstream"), "null without one"),
    "verilog_sha256": text(),
}

DEPLOYMENT: dict[str, Schema] = {
    "lognet-inspect": {
        "description": "What would become of a model; all sizes and rates are estimates.",
        "anyOf": [
            fields(
                {
                    "model": text("file name of the model"),
                    "input_shape": SHAPE,
                    "conv_layers": whole(
                        "convolutions in sequence from the input; with `--fpga-layers all`, also fully connected layers"
                    ),
                    "dense_layers": whole("how many of them are fully connected"),
                    "possible_layers": whole("how many of them can go onto the FPGA, judging by their operators"),
                    "possible_counts": items(
                        whole(), "the numbers of layers that can go; a cut must not lie inside a residual block"
                    ),
                    "cut": or_null(
                        fields({"layers": whole(), "tensor": text("the tensor from which the host's part starts")}),
                        "null if it is impossible",
                    ),
                    "left_out": items(text(), "names of outputs that the host's part cannot compute"),
                    "operators": items(part("placement")),
                    "obstacles": items(
                        fields(
                            {
                                **PROBLEM,
                                "layers": items(whole(), "the numbers of layers that meet this obstacle"),
                                "remedy": text("what would help"),
                            }
                        )
                    ),
                    "layers": items(
                        fields(
                            {
                                "name": text(),
                                "kernel": items(whole()),
                                "stride": STRIDE,
                                "in_shape": SHAPE,
                                "out_shape": SHAPE,
                                "groups": whole(),
                                "weights": whole("number of weights, counted within groups"),
                                "zeros": share("share of the weights that are zero"),
                                "zeros_log2": or_null(
                                    share(),
                                    "zeros after pruning and rounding; null for layers far too large for any board",
                                ),
                                "act_bits": or_null(whole(), "bits of its activations, with which sizes are estimated"),
                                "macs": or_null(whole(), "multiply-accumulates per frame"),
                                "macs_share": or_null(share(), "as a share of the model's"),
                            }
                        ),
                        "each layer that could go",
                    ),
                    "host": fields(
                        {
                            "macs": or_null(whole(), "multiply-accumulates per frame"),
                            "parameters": whole(),
                            "fpga_macs_share": or_null(
                                share(), "share of the model's multiply-accumulates that the FPGA does"
                            ),
                        },
                        "What is behind the cut",
                    ),
                    "boards": items(
                        fields(
                            {
                                "board": text(),
                                "chip": part("chip"),
                                "clk_mhz": number(),
                                "layers_that_fit": whole("the greatest number of layers that fits"),
                                "best_layers": or_null(whole()),
                                "candidates": items(part("candidate")),
                            }
                        )
                    ),
                    "error": ERROR,
                }
            ),
            ONLY_ERROR,
        ],
    },
    "lognet-deploy": {
        "description": "A deployment. `error` is present only if the bitstream could not be made.",
        "anyOf": [fields({**REPORT, "bundle": text("its folder")}, optional={"error": ERROR}), ONLY_ERROR],
    },
}
