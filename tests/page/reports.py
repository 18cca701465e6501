"""Data of reports, made by hand: of any size, and with any names."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

HOSTILE = "<script>alert(1)</script>\"'>&amp;\x00\u202e]]><img src=http://evil.example/x onerror=alert(2)>\udcff"


def deployment(layers: int = 3, classes: int = 10, changed: int = 3, name: str = "conv", **changes: object) -> dict:
    """As report.json of a bundle.  name: what all names begin with."""
    resources = {"lut": 1000.0, "ff": 2000.0, "bram36": 1.5, "m_lut": 100.0, "lone_ffs": 90.0, "positions": 1000.0}
    names = [f"{name}{number}" for number in range(1, layers + 1)]
    total = {key: value * (layers + 1) for key, value in resources.items()}
    step = {"top1": 0.9, "top5": 0.99, "agreement": 0.95, "lost": 0.5, "lost_error": 0.25}
    nodes = [{"node": f"{name}{number}", "op_type": "Conv", "where": "FPGA"} for number in range(1, layers + 1)]
    nodes += [{"node": f"{name}fc{number}", "op_type": "Gemm", "where": "host"} for number in range(2)]
    for before, node in zip([None, *nodes], nodes):
        node |= {"reason": f"because {name}", "inputs": [before["node"]] if before else []}
    data = {
        "model": f"{name}.onnx",
        "board": "pynq-z2",
        "calibration": {"frames": 256, "source": "frames.npz"},
        "partition": nodes,
        "layer_choice": {
            "layers": layers,
            "stopped_by": [{"node": f"{name}stop", "op_type": "Resize", "why": f"no {name}", "kind": "operator"}],
            "candidates": [],
        },
        "layers": [
            {
                "name": each,
                "in_shape": [3, 32, 32],
                "out_shape": [64, 16, 16],
                "nmse": 0.0123,
                "sparsity": 0.75,
                "in_bits": 8,
                "out_bits": 8,
                "shift": 7,
                "alpha_min": 0.001,
                "alpha_max": 0.25,
                "weight_codes": [[-64, 5], [0, 75], [1, 20]],
                "activation_codes": [500, *range(1, 256)],
            }
            for each in names
        ],
        "chip": {
            "title": "PYNQ-Z2",
            "part": "xc7z020clg400-1",
            "has": {"lut": 53200, "positions": 53200, "ff": 106400, "bram36": 140, "m_lut": 17400},
            "may_take": {"lut": 45220.0, "positions": 45220.0, "ff": 95760.0, "bram36": 133.0, "m_lut": 14790.0},
        },
        "plan": {
            "fps": 91575.1,
            "cycles_per_frame": 1092,
            "latency_cycles": 1506,
            "clk_mhz": 100.0,
            "estimate": total,
            "shell": resources,
            "layers": [
                {
                    "name": each,
                    "weights": "clb",
                    "cycles_per_frame": 1092 - 7 * number,
                    "nonzero_weights": 1234 + number,
                    "sources": [{"layer": names[number - 1] if number else None, "stride": [1, 1]}],
                    "estimate": resources,
                }
                for number, each in enumerate(names)
            ],
        },
        "host": {"only_onnxruntime": [], "estimated": {"runtime": "NumPy", "frame_ms": [0.5, 2.0]}},
        "verification": {
            "passed": True,
            "frames": 8,
            "bits": 1622016,
            "differing_bits": 0,
            "cycles": {"intervals": [1092, 1092], "latency_cycles": 1506},
        },
        "synthesis": None,
        "accuracy": {
            "frames": 1000,
            "frames_calibrated": 0,
            "float_top1": 0.8651,
            "float_top5": 0.99,
            "weights_top1": 0.861,
            "weights_top5": 0.989,
            "weights_agreement": 0.98,
            "weights_lost": 0.41,
            "weights_lost_error": 0.2,
            "deployed_top1": 0.8635,
            "deployed_top5": 0.988,
            "float_auc": None,
            "weights_auc": None,
            "deployed_auc": None,
            "agreement": 0.97,
            "lost": 0.16,
            "lost_error": 0.08,
            "by_layer_frames": 500,
            "by_layer": [{"layer": None, **step}, *({"layer": each, **step} for each in names)],
        },
        "answers": {
            "truth": "labels",
            "class_names": [f"{name} class {number}" for number in range(classes)],
            "confusion": [
                [77 if row == place else row * place % 5 for place in range(classes)] for row in range(classes)
            ],
            "confused": [{"truth": 1, "class": 2, "frames": 19, "float_frames": 17}],
            "changed": {
                "frames": 30,
                "lost": 11,
                "gained": 9,
                "shown": [
                    {
                        "frame": 100 + number,
                        "name": f"{name}{number}.png",
                        "label": 1,
                        "float_class": 1,
                        "deployed_class": 2,
                        "picture": f"changed/{number}.bmp",
                    }
                    for number in range(changed)
                ],
            },
        },
        "bitstream": None,
    }
    return data | changes


def pictures(changed: int = 3) -> dict[str, bytes]:
    """As large as they come: 40 x 40 pixels in colour."""
    noise = np.random.default_rng(1)
    return {f"changed/{number}.bmp": _bitmap(noise.bytes(3 * 40 * 40)) for number in range(changed)}


BITSTREAM: Mapping[str, Any] = {
    "flow": "vivado",
    "versions": {"Vivado": "2022.1"},
    "experimental": False,
    "hardware": "not run on hardware",
    "timing_met": True,
    "figures": {
        "total": {"lut": 9999, "ff": 8888, "bram36": 7.5, "dsp": 0, "m_lut": 666},
        "overlay": None,
        "timing": {"period_ns": 10.0, "slack_ns": 0.412},
        "power": {"total_w": 1.234, "static_w": 0.123},
        "fmax_mhz": 104.3,
    },
}


def _bitmap(pixels: bytes) -> bytes:
    """40 x 40 pixels as a BMP."""
    head = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, 40, 40, 1, 24, 0, len(pixels), 2835, 2835, 0, 0) + pixels
