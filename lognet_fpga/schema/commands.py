"""The documents: what each command writes with --json, the bundle's files, and the events of --progress json."""

from __future__ import annotations

from lognet_fpga.schema.parts import PROBLEM, SHAPE, STRIDE
from lognet_fpga.schema.types import Schema, by_name, fields, flag, items, number, or_null, part, share, text, whole

_ERROR = or_null(part("error"), "what went wrong, if anything did")
_ONLY_ERROR = fields({"error": part("error")}, "Where there is no report.")

_REPORT: dict[str, Schema] = {
    "model": text("file name of the model"),
    "board": text("as `--board` takes it"),
    "calibration": fields(
        {
            "frames": whole("that the quantizer was calibrated with"),
            "source": text("the file's name, or `random noise`"),
        }
    ),
    "judged": or_null(
        fields({"frames": whole("that the accuracy was counted on"), "source": text("the file's name")}),
        "null without frames",
    ),
    "input": fields(
        {
            "shape": SHAPE,
            "preprocessing": part("preprocessing"),
            "inside_model": items(text(), "names of the nodes that scale the input in the model itself"),
            "mean_image": or_null(
                fields({"file": text(), "largest_deviation": number("of a pixel from its channel's mean")})
            ),
        }
    ),
    "partition": items(part("placement")),
    "layer_choice": fields(
        {
            "layers": whole("on the FPGA"),
            "stopped_by": items(fields(PROBLEM), "the problems that kept the usual ones away"),
            "candidates": items(part("candidate"), "with `--fpga-layers auto` what was chosen from, else empty"),
        }
    ),
    "act_bits": or_null(
        fields(
            {
                "budget": share("of the squared error with 8 bits: what the chosen ones may add"),
                "error": number("root mean square error of what leaves the FPGA, relative, on calibration frames"),
                "error_8_bits": number("the same with 8 bits everywhere"),
                "layers": items(
                    fields(
                        {
                            "name": text(),
                            "bits": whole(),
                            "error_added": or_null(number(), "as a share of the squared error; null for no choice"),
                            "error_added_4_bits": or_null(number(), "what 4 bits would add"),
                            "hurts": flag("whether 4 bits there alone would take more than the budget"),
                        }
                    )
                ),
            }
        ),
        "how the bits of activations were chosen; null where all were given, by the user or the model",
    ),
    "layers": items(
        fields(
            {
                "name": text(),
                "in_shape": SHAPE,
                "out_shape": SHAPE,
                "nmse": or_null(number(), "squared error of the weights relative to their squares"),
                "sparsity": share("of zero weights"),
                "in_bits": whole("of the activations"),
                "act_bits": whole("of the activations, in front of the pool"),
                "out_bits": whole("of the activations"),
                "shift": whole("bits dropped by requantize"),
                "alpha_min": number("real value of a weight's LSB, the least of the channels"),
                "alpha_max": number(),
                "weight_codes": items(items(whole()), "pairs: a code, and how many weights have it"),
                "out_zero": whole("the activation that stands for zero: 0 behind a ReLU"),
                "activation_codes": or_null(
                    items(whole()),
                    "how many activations of the bundle's vectors have code 0, 1, ...; null for whole sums",
                ),
            }
        ),
        "an FPGA layer each",
    ),
    "chip": part("chip"),
    "plan": part("plan"),
    "host": fields(
        {
            "only_onnxruntime": items(
                text(), "nodes of the host's part that run in onnxruntime only; where there are none, NumPy runs it too"
            ),
            "estimated": or_null(
                fields(
                    {
                        "runtime": text("what the board runs it in", among=("NumPy", "onnxruntime")),
                        "frame_ms": items(or_null(number()), "the least and the most milliseconds a frame"),
                    }
                ),
                "null where shapes are not known or the board cannot run it",
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
                "bits": whole("compared"),
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
                "seed": whole("of the run with stalls"),
                "idle_percent": whole("of the cycles, in which the source paused"),
                "stall_percent": whole("of the cycles, in which the sink refused data"),
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
                            "ns": number("estimated, setup included"),
                            "begin": text(),
                            "end": text(),
                            "control_loads": whole("of the net that resets, sets or enables the most registers"),
                            "control_net": text(),
                        }
                    ),
                    "of each part, estimated",
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
                    "frames by true class, a list each, and by class of the deployed model; null for more than 32",
                ),
                "confused": items(
                    fields(
                        {
                            "truth": whole(),
                            "class": whole(),
                            "frames": whole(),
                            "float_frames": whole("of the float model"),
                        }
                    ),
                    "the ten most frequent errors",
                ),
                "changed": fields(
                    {
                        "frames": whole("that the deployed model puts into another class than the float one"),
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

_STREAM_FORMAT = fields(
    {name: whole() for name in ("bits", "channels_per_beat", "tdata_bits", "beats_per_frame")} | {"shape": SHAPE}
)
_STREAM_FIGURES = {
    "load_rate": "loading and preprocessing alone; of frames with a pace it is the pace",
    "pl_rate": "the programmable logic, batch by batch",
    "pl_latency": "one frame, from its first beat in to its last beat out",
    "device_rate": "the FPGA with the transfers; on the simulated device the time of simulating is in it",
    "tail_rate": "the host's part alone",
    "wall_rate": "all together as it ran; includes the time of simulating",
    "latency_p50": "from the source to the class: half of the frames took no longer",
    "latency_p99": "99% of the frames took no longer",
}
_PHASE = fields({"mean_w": number(), "error_w": or_null(number()), "samples": whole(), "seconds": number()})
_STUDY_ROW = {
    "what": text(),
    "quantizer": or_null(text()),
    "bits": or_null(whole()),
    "fsr_by": or_null(text(), "what the full scale range was chosen by"),
    "top1": or_null(share()),
    "top5": or_null(share()),
    "points_lost": number(),
    "standard_error": number(),
    "zeros": share(),
}
_MEASURES = {name: number() for name in ("lut_all", "power_all", "lut_lane", "power_lane")}

DOCUMENTS: dict[str, Schema] = {
    "lognet-inspect": {
        "description": "What would become of a model; all sizes and rates are estimates.",
        "anyOf": [
            fields(
                {
                    "model": text("file name of the model"),
                    "input_shape": SHAPE,
                    "conv_layers": whole("in sequence from the input; with `--fpga-layers all` fully connected, too"),
                    "possible_layers": whole("of them, that can go onto the FPGA by their operators"),
                    "possible_counts": items(
                        whole(), "the numbers of layers that can go: a cut must not lie inside a residual block"
                    ),
                    "cut": or_null(
                        fields({"layers": whole(), "tensor": text("that the host's part starts from")}),
                        "null where it is impossible",
                    ),
                    "left_out": items(text(), "names of outputs that the host's part cannot compute"),
                    "operators": items(part("placement")),
                    "obstacles": items(
                        fields(
                            {
                                **PROBLEM,
                                "layers": items(whole(), "the numbers of layers that meet it"),
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
                                "weights": whole("within groups"),
                                "zeros": share("of the weights"),
                                "zeros_log2": or_null(
                                    share(), "after pruning and rounding; null for layers far beyond every board"
                                ),
                                "act_bits": or_null(whole(), "of its activations, that sizes are estimated with"),
                                "macs": or_null(whole(), "multiply-accumulates a frame"),
                                "macs_share": or_null(share(), "of the model's"),
                            }
                        ),
                        "each layer that could go",
                    ),
                    "host": fields(
                        {
                            "macs": or_null(whole(), "a frame"),
                            "parameters": whole(),
                            "fpga_macs_share": or_null(share(), "what the FPGA does of the model's"),
                        },
                        "Behind the cut",
                    ),
                    "boards": items(
                        fields(
                            {
                                "board": text(),
                                "chip": part("chip"),
                                "clk_mhz": number(),
                                "layers_that_fit": whole("the most"),
                                "best_layers": or_null(whole()),
                                "candidates": items(part("candidate")),
                            }
                        )
                    ),
                    "error": _ERROR,
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-deploy": {
        "description": "A deployment. `error` is there only where the bitstream could not be made.",
        "anyOf": [fields({**_REPORT, "bundle": text("its folder")}, optional={"error": _ERROR}), _ONLY_ERROR],
    },
    "lognet-stream": {
        "description": "Frames through a bundle; `error` says what ended the stream, if anything did.",
        "anyOf": [
            fields(
                {
                    "bundle": text("its name"),
                    "digest": text("its SHA-256"),
                    "device": text("`simulated`, `rtl` or the board's name; `several` for servers that differ"),
                    "source": text("where the frames came from, in words"),
                    "frames": whole("that were classified"),
                    "batch": whole("frames at a time"),
                    "policy": text(among=("block", "drop")),
                    "dropped": whole("frames that were let go of"),
                    "interrupted": flag("whether Ctrl-C ended it"),
                    **{name: part("figure", said) for name, said in _STREAM_FIGURES.items()},
                    "limited_by": text(among=("load", "fpga", "driver", "simulation", "wire", "tail")),
                    "pl_share": number("`wall_rate` relative to `pl_rate`"),
                    "boards": or_null(
                        items(
                            fields(
                                {
                                    "name": text("its address"),
                                    "frames": whole(),
                                    "requests": whole(),
                                    "resent": whole("requests that went elsewhere again"),
                                    "fps": number("of the time in which it had something to do"),
                                    "busy_s": number("that time"),
                                    "pl_s": number("seconds of its programmable logic"),
                                    "device_s": number("seconds in which it had a request"),
                                    "latency_p50_ms": or_null(number(), "of a request"),
                                    "latency_p99_ms": or_null(number()),
                                    "wire_p50_ms": or_null(number(), "the same without the device"),
                                    "aside": whole("how often it was set aside"),
                                    "away_s": number("for how long"),
                                    "reason": text("the last time; else empty"),
                                }
                            )
                        ),
                        "of devices over the network",
                    ),
                    "gigabit_fps": or_null(
                        number(), "with `boards` the most frames a second that one gigabit Ethernet can carry, computed"
                    ),
                    "power": text("what is known of it, in words"),
                    "power_measured": or_null(
                        fields(
                            {
                                "sensor": text(),
                                "idle": or_null(_PHASE),
                                "running": or_null(_PHASE),
                                "difference_w": or_null(number()),
                                "difference_error_w": or_null(number()),
                                "energy_mj": or_null(number(), "a frame, above idle"),
                                "energy_error_mj": or_null(number()),
                                "total_energy_mj": or_null(number(), "a frame, with idle"),
                                "failure": text("of the sensor, empty for none"),
                            }
                        ),
                        "null without a sensor",
                    ),
                    "top1": or_null(share(), "null without labels and without classes"),
                    "top5": or_null(share(), "null also for up to five classes"),
                    "auc": or_null(share(), "of a binary score with labels of both classes"),
                    "accuracy_at_deploy": or_null({"type": "object"}, "`accuracy` as the bundle's manifest has it"),
                    "output": part("output"),
                    "predictions": or_null(
                        items(whole()), "class of every frame; null where the model's output has no classes"
                    ),
                    "saved_outputs": or_null(text(), "the file of `--save-outputs`"),
                    "error": _ERROR,
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-selftest": {
        "description": "The bundle's vectors on a device.",
        "anyOf": [
            fields(
                {
                    "bundle": text("its name"),
                    "digest": text("its SHA-256"),
                    "device": text("in words"),
                    "passed": flag("whether nothing differs"),
                    "frames": whole(),
                    "tensors": items(
                        fields({"name": text(), "elements": whole(), "differing": whole()}),
                        "the last FPGA layer, then the model's outputs",
                    ),
                    "first": or_null(
                        fields(
                            {
                                "tensor": text(),
                                "index": items(whole(), "frame, channel, row, column; frame, class of scores"),
                                "got": {"description": "the element"},
                                "expected": {"description": "the element"},
                            }
                        ),
                        "the first that differs",
                    ),
                    "pl_cycles": or_null(whole(), "of the frames sent at once"),
                    "planned_cycles": or_null(whole()),
                    "error": _ERROR,
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-explain": {
        "description": "What a bit of the Verilog is.",
        "anyOf": [
            fields(
                {"signal": text(), "text": items(text(), "in words")},
                optional={
                    "layer": text("its name"),
                    "bit": whole("of a digit"),
                    "node": whole("of the adder graph"),
                    "channel": whole("of the window"),
                    "row": whole("of the window"),
                    "column": whole("of the window"),
                    "output": whole("channel"),
                    "leg": whole(),
                    "cycle": whole("in which its first digit comes, from that of a slot's first digits on the taps"),
                    "carry": flag(),
                    "shows": text(),
                },
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-serve": {
        "description": "At its end.",
        "anyOf": [fields({"frames": whole(), "requests": whole(), "refused": whole("requests")}), _ONLY_ERROR],
    },
    "lognet-mlperf": {
        "description": "A deployment of a task of MLPerf Tiny.",
        "anyOf": [fields({**_REPORT, "mlperf_tiny": part("mlperf_tiny"), "bundle": text("its folder")}), _ONLY_ERROR],
    },
    "lognet-dut": {
        "description": "At its end.",
        "anyOf": [fields({"inferences": whole(), "port": text("where the runner found it")}), _ONLY_ERROR],
    },
    "lognet-submit": {
        "description": "A submission's folders.",
        "anyOf": [
            fields({"folder": text("the organization's"), "results": items(text(), "the files of results, below it")}),
            _ONLY_ERROR,
        ],
    },
    "lognet-bitstream": {
        "description": "A bitstream that was made.",
        "anyOf": [fields({"bitstream": part("bitstream"), "bundle": text("its folder")}), _ONLY_ERROR],
    },
    "lognet-retrain": {
        "description": "A retraining.",
        "anyOf": [
            fields(
                {
                    "model": text(),
                    "out": text("the file that was written"),
                    "method": text(among=("ste", "paper")),
                    "learning_rate": number(),
                    "seed": whole(),
                    "frames": whole("trained on"),
                    "judged": whole("frames judged on"),
                    "accuracy": items(
                        fields(
                            {
                                "model": text(among=("float", "deployed as it is", "retrained")),
                                "top1": or_null(share(), "null without labels"),
                                "points_lost": number("against the float model, of top-1 or of agreement"),
                                "standard_error": or_null(number()),
                            }
                        )
                    ),
                    "layers": items(
                        fields(
                            {
                                "layer": whole(),
                                "act_bits": whole("of its activations"),
                                "zeros_before": share(),
                                "zeros": share(),
                                "codes_changed": share(),
                            }
                        )
                    ),
                    "history": items(
                        fields(
                            {
                                "epoch": whole(),
                                "loss": or_null(number()),
                                "top1": or_null(share()),
                                "zeros": {"description": "share of each layer"},
                            }
                        )
                    ),
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-study": {
        "description": "A study; study.json has the same.",
        "anyOf": [
            fields(
                {
                    "model": text(),
                    "sha256": text(),
                    "frames": or_null(whole(), "judged on"),
                    "errors": items(
                        fields(
                            {
                                "layer": text(),
                                "quantizer": text(),
                                "bits": whole(),
                                "fsr_by": text(),
                                "nmse": number("squared error relative to the squares"),
                                "zeros": share(),
                            }
                        )
                    ),
                    "float": or_null(fields(_STUDY_ROW)),
                    "all_layers": items(fields(_STUDY_ROW)),
                    "layers": items(
                        fields(
                            {
                                "layer": text(),
                                "linear_nmse": number(),
                                "log_nmse": number(),
                                **{name: fields(_STUDY_ROW) for name in ("linear", "log", "equal")},
                            }
                        ),
                        "each layer quantized alone",
                    ),
                    "activations": items(fields(_STUDY_ROW)),
                    "log_addition": or_null(
                        fields(
                            {
                                "frames": whole(),
                                "rows": items(
                                    fields(
                                        {
                                            "mode": text(),
                                            "top1": or_null(share()),
                                            "lost": number(),
                                            "error": number(),
                                            "agreement": share(),
                                        }
                                    )
                                ),
                                "errors": items(
                                    fields(
                                        {
                                            "layer": text(),
                                            "terms": whole(),
                                            "mode": text(),
                                            "one_sided": number("mean relative error of sums of one sign"),
                                            "difference": number("root mean square, relative to the exact one's"),
                                            "remaining": number("without each channel's mean"),
                                        }
                                    )
                                ),
                            }
                        ),
                        "null without `--log-add`",
                    ),
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-cost": {
        "description": "The cost of a matrix-vector product; cost.json has the same, and cost.csv the points.",
        "anyOf": [
            fields(
                {
                    "rows": whole(),
                    "cols": whole(),
                    "clk_mhz": number("that the power is estimated for"),
                    "tool": text("Yosys' version"),
                    "power_model": fields(
                        {name: number() for name in ("output_pf", "load_pf", "clock_pf", "port_pf", "volts")}
                    ),
                    "points": items(
                        fields(
                            {
                                "kind": text(among=("binary", "linear", "log2", "log-domain")),
                                "bits": whole(),
                                "pes_per_lane": whole(),
                                "lanes": whole(),
                                "cycles": whole("of a product"),
                                "sum_bits": whole(),
                                "lut": number(),
                                "lut_sites": number(),
                                "ff": number(),
                                "bram36": number(),
                                "power_mw_estimate": number(),
                                "energy_uj_estimate": number(),
                                "lane_lut": number(),
                                "lane_lut_sites": number(),
                                "lane_ff": number(),
                                "lane_array_mw_estimate": number(),
                                "lane_array_mw_estimate_no_glitches": number(),
                                "lane_memory_mw_estimate": number(),
                                **{f"relative_{name}": number("to 1 bit") for name in _MEASURES},
                            }
                        ),
                        "a circuit each",
                    ),
                    "claims": items(
                        fields(
                            {
                                "kind": text(),
                                "bits": whole(),
                                "paper": number("the cost that the paper gives"),
                                **_MEASURES,
                            }
                        )
                    ),
                    "log_domain_errors": items(
                        fields(
                            {
                                "bits": whole(),
                                "weights": text("how they were drawn"),
                                "one_sided": number("mean relative error of the sum of one sign"),
                                "difference": number("root mean square error, relative to that of the exact one"),
                            }
                        )
                    ),
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "lognet-doctor": {
        "description": "What is installed.",
        "anyOf": [
            fields(
                {
                    "version": text(),
                    "python": text(),
                    "machine": text(),
                    "cache": fields(
                        {"folder": or_null(text()), "free_bytes": or_null(whole()), "text": text("the same in words")}
                    ),
                    "uses": items(
                        fields(
                            {
                                "name": text(),
                                "what": text(),
                                "ready": flag(),
                                "needs": items(
                                    fields(
                                        {
                                            "name": text(),
                                            "found": or_null(text(), "a version"),
                                            "present": or_null(text(), "a version that does not do"),
                                            "getting": text("how to get it"),
                                        }
                                    )
                                ),
                            }
                        )
                    ),
                    "error": _ERROR,
                }
            ),
            _ONLY_ERROR,
        ],
    },
    "report": {
        "description": "report.json of a bundle: what lognet-deploy writes, without the bundle's path.",
        **fields(_REPORT),
    },
    "manifest": fields(
        {
            "format": text(among=("lognet-bundle",)),
            "format_version": whole(),
            "name": text("of the bundle"),
            "made_by": text("the toolkit's version"),
            "digest": text("SHA-256 over the manifest without this field"),
            "files": by_name(fields({"sha256": text(), "size": whole("bytes")}), "every file but the manifest"),
            "board": {"type": "object", "description": "the board's description, of overlays/NAME/board.json"},
            "clk_mhz": number("of the overlay"),
            "model": fields({"file": text(), "sha256": text()}, "the ONNX file"),
            "core_sha256": text("what the overlay's registers identify it by"),
            "input": fields(
                {"shape": SHAPE, "dtype": text(), "preprocessing": part("preprocessing")},
                optional={"class_names": items(text())},
            ),
            "output": fields(
                {
                    "shape": SHAPE,
                    "bits": whole(),
                    "zero": whole("the activation that stands for zero"),
                    "scale": items(number(), "(x - zero) * scale of its channel is what x stands for"),
                },
                "The activations that leave the FPGA",
            ),
            "model_output": part("output"),
            "source": _STREAM_FORMAT,
            "sink": _STREAM_FORMAT,
            "plan": part("plan"),
            "verification": fields(
                {"done": flag()},
                optional={
                    "passed": flag(),
                    "frames": whole(),
                    "bits": whole(),
                    "differing_bits": whole(),
                    "hardware": text(),
                },
            ),
            "bitstream": or_null(part("bitstream")),
        },
        "manifest.json of a bundle.",
        optional={"accuracy": part("accuracy")},
    ),
    "event": {
        "description": "A line on stderr with `--progress json`; `event` says which.",
        "anyOf": [
            fields(
                {
                    "event": text(among=("stage",)),
                    "stage": text("its name"),
                    "depth": whole("of stages inside others"),
                    "state": text(among=("begun", "running", "done", "failed", "interrupted")),
                    "seconds": number(),
                    "done": or_null(whole(), "items, where they are counted"),
                    "total": or_null(whole()),
                    "detail": text(),
                }
            ),
            fields({"event": text(among=("note",)), "stage": text(), "text": text("a line that a stage leaves")}),
            fields(
                {
                    "event": text(among=("section",)),
                    "report": text("its title"),
                    "heading": text(),
                    "lines": items(text()),
                    "columns": items(text()),
                    "rows": items(items(text()), "every value as it is shown"),
                }
            ),
            fields({"event": text(among=("warning",)), "message": text()}),
            fields({"event": text(among=("error",)), "kind": text(), "message": text(), "exit_code": whole()}),
        ],
    },
}
