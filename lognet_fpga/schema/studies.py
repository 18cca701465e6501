"""What is written of training, quantizers, costs and this machine: lognet-retrain, -study, -cost, -doctor."""

from __future__ import annotations

from lognet_fpga.schema.parts import ERROR, ONLY_ERROR
from lognet_fpga.schema.types import Schema, fields, flag, items, number, or_null, share, text, whole

_STUDY_ROW = {
    "what": text(),
    "quantizer": or_null(text()),
    "bits": or_null(whole()),
    "fsr_by": or_null(text(), "how the full scale range was chosen"),
    "top1": or_null(share()),
    "top5": or_null(share()),
    "points_lost": number(),
    "standard_error": number(),
    "zeros": share(),
}
_MEASURES = {name: number() for name in ("lut_all", "power_all", "lut_lane", "power_lane")}

STUDIES: dict[str, Schema] = {
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
                    "frames": whole("frames trained on"),
                    "judged": whole("frames judged on"),
                    "accuracy": items(
                        fields(
                            {
                                "model": text(among=("float", "deployed as it is", "retrained")),
                                "top1": or_null(share(), "null without labels"),
                                "points_lost": number("points of top-1 or of agreement lost against the float model"),
                                "standard_error": or_null(number()),
                            }
                        )
                    ),
                    "layers": items(
                        fields(
                            {
                                "layer": whole(),
                                "act_bits": whole("bits of its activations"),
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
            ONLY_ERROR,
        ],
    },
    "lognet-study": {
        "description": "A study; study.json has the same.",
        "anyOf": [
            fields(
                {
                    "model": text(),
                    "sha256": text(),
                    "frames": or_null(whole(), "frames judged on"),
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
                                            "difference": number(
                                                "root mean square error, relative to the exact result's"
                                            ),
                                            "remaining": number("the same after removing each channel's mean"),
                                        }
                                    )
                                ),
                            }
                        ),
                        "null without `--log-add`",
                    ),
                }
            ),
            ONLY_ERROR,
        ],
    },
    "lognet-cost": {
        "description": "The cost of a matrix-vector product; cost.json has the same, and cost.csv the points.",
        "anyOf": [
            fields(
                {
                    "rows": whole(),
                    "cols": whole(),
                    "clk_mhz": number("clock for which the power is estimated"),
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
                                "cycles": whole("cycles of a product"),
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
                                **{f"relative_{name}": number("relative to 1 bit") for name in _MEASURES},
                            }
                        ),
                        "one entry for each circuit",
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
                                "one_sided": number("mean relative error of sums of one sign"),
                                "difference": number("root mean square error, relative to the exact result's"),
                            }
                        )
                    ),
                }
            ),
            ONLY_ERROR,
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
                                            "present": or_null(text(), "a version that is not suitable"),
                                            "getting": text("how to get it"),
                                        }
                                    )
                                ),
                            }
                        )
                    ),
                    "error": ERROR,
                }
            ),
            ONLY_ERROR,
        ],
    },
}
