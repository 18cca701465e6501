"""What is written where a bundle runs or gets its bitstream: lognet-stream, lognet-selftest, and others."""

from __future__ import annotations

from lognet_fpga.schema.deployment import REPORT
from lognet_fpga.schema.parts import ERROR, ONLY_ERROR
from lognet_fpga.schema.types import Schema, fields, flag, items, number, or_null, part, share, text, whole

_STREAM_FIGURES = {
    "load_rate": "loading and preprocessing alone; for frames that come at a pace, that pace",
    "pl_rate": "the programmable logic, batch by batch",
    "pl_latency": "one frame, from its first beat in to its last beat out",
    "device_rate": "the FPGA with the transfers; for the simulated device this includes the time of simulating",
    "tail_rate": "the host's part alone",
    "wall_rate": "everything together, as it ran; this includes the time of simulating",
    "latency_p50": "time from the source to the class that half of the frames did not exceed",
    "latency_p99": "the same for 99% of the frames",
}
_PHASE = fields({"mean_w": number(), "error_w": or_null(number()), "samples": whole(), "seconds": number()})

RUNNING: dict[str, Schema] = {
    "lognet-stream": {
        "description": "A stream of frames through a bundle; `error` says what ended it, if anything did.",
        "anyOf": [
            fields(
                {
                    "bundle": text("its name"),
                    "digest": text("its SHA-256"),
                    "device": text("`simulated`, `rtl` or the board's name; `several` for servers that differ"),
                    "source": text("where the frames came from, in words"),
                    "frames": whole("how many frames were classified"),
                    "batch": whole("frames at a time"),
                    "policy": text(among=("block", "drop")),
                    "dropped": whole("frames that were discarded"),
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
                                    "resent": whole("requests that were sent again, to another board"),
                                    "fps": number("frames per second of the time in which it had something to do"),
                                    "busy_s": number("that time"),
                                    "pl_s": number("seconds in which its programmable logic worked"),
                                    "device_s": number("seconds in which it had a request"),
                                    "latency_p50_ms": or_null(number(), "the median time of a request"),
                                    "latency_p99_ms": or_null(number()),
                                    "wire_p50_ms": or_null(number(), "the same without the device"),
                                    "aside": whole("how often it was set aside"),
                                    "away_s": number("seconds for which it was set aside"),
                                    "reason": text("why it was set aside the last time; otherwise empty"),
                                }
                            )
                        ),
                        "null unless devices were used over the network",
                    ),
                    "gigabit_fps": or_null(
                        number(), "with `boards`, the most frames per second that gigabit Ethernet can carry, computed"
                    ),
                    "power": text("what is known of the power, in words"),
                    "power_measured": or_null(
                        fields(
                            {
                                "sensor": text(),
                                "idle": or_null(_PHASE),
                                "running": or_null(_PHASE),
                                "difference_w": or_null(number()),
                                "difference_error_w": or_null(number()),
                                "energy_mj": or_null(number(), "per frame, above idle"),
                                "energy_error_mj": or_null(number()),
                                "total_energy_mj": or_null(number(), "per frame, including idle"),
                                "failure": text("why the sensor failed; empty if it did not"),
                            }
                        ),
                        "null without a sensor",
                    ),
                    "top1": or_null(share(), "null without labels and without classes"),
                    "top5": or_null(share(), "null also for five classes or fewer"),
                    "auc": or_null(share(), "for a binary score with labels of both classes"),
                    "accuracy_at_deploy": or_null({"type": "object"}, "`accuracy` from the bundle's manifest"),
                    "output": part("output"),
                    "predictions": or_null(
                        items(whole()), "class of every frame; null if the model's output has no classes"
                    ),
                    "saved_outputs": or_null(text(), "the file of `--save-outputs`"),
                    "error": ERROR,
                }
            ),
            ONLY_ERROR,
        ],
    },
    "lognet-selftest": {
        "description": "A run of the bundle's vectors on a device.",
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
                                "index": items(whole(), "frame, channel, row and column; for scores, frame and class"),
                                "got": {"description": "the element"},
                                "expected": {"description": "the element"},
                            }
                        ),
                        "the first that differs",
                    ),
                    "pl_cycles": or_null(whole(), "cycles for the frames sent at once"),
                    "planned_cycles": or_null(whole()),
                    "error": ERROR,
                }
            ),
            ONLY_ERROR,
        ],
    },
    "lognet-explain": {
        "description": "What a bit of the Verilog is.",
        "anyOf": [
            fields(
                {"signal": text(), "text": items(text(), "in words")},
                optional={
                    "layer": text("its name"),
                    "bit": whole("bit of the digit"),
                    "node": whole("node of the adder graph"),
                    "channel": whole("channel in the window"),
                    "row": whole("row in the window"),
                    "column": whole("column in the window"),
                    "output": whole("output channel"),
                    "leg": whole(),
                    "cycle": whole("cycle of its first digit, counted from that of a slot's first digits on the taps"),
                    "carry": flag(),
                    "shows": text(),
                },
            ),
            ONLY_ERROR,
        ],
    },
    "lognet-serve": {
        "description": "What the command writes when it ends.",
        "anyOf": [
            fields({"frames": whole(), "requests": whole(), "refused": whole("requests that were refused")}),
            ONLY_ERROR,
        ],
    },
    "lognet-mlperf": {
        "description": "A deployment of a task of MLPerf Tiny.",
        "anyOf": [fields({**REPORT, "mlperf_tiny": part("mlperf_tiny"), "bundle": text("its folder")}), ONLY_ERROR],
    },
    "lognet-dut": {
        "description": "What the command writes when it ends.",
        "anyOf": [fields({"inferences": whole(), "port": text("where the runner found it")}), ONLY_ERROR],
    },
    "lognet-submit": {
        "description": "A submission's folders.",
        "anyOf": [
            fields(
                {
                    "folder": text("the organization's folder"),
                    "results": items(text(), "the result files, relative to it"),
                }
            ),
            ONLY_ERROR,
        ],
    },
    "lognet-bitstream": {
        "description": "A bitstream that was made.",
        "anyOf": [fields({"bitstream": part("bitstream"), "bundle": text("its folder")}), ONLY_ERROR],
    },
}
