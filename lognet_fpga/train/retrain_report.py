"""What a retraining did, as a report."""

from __future__ import annotations

from lognet_fpga.report import Report, Section, Table
from lognet_fpga.train.config import RetrainConfig
from lognet_fpga.train.retrain import Retrained

_NAMES = ("float", "deployed as it is", "retrained")


def build(config: RetrainConfig, done: Retrained) -> Report:
    top1, data, shown = done.top1(), [], []
    for which, name in enumerate(_NAMES):
        lost, error = done.lost(which) if which else (0.0, None)
        share = None if top1 is None else top1[which]
        data.append({"model": name, "top1": share, "points_lost": lost, "standard_error": error})
        shown.append(
            (
                name,
                f"{1 - lost / 100 if share is None else share:.2%}",
                "" if error is None else f"{lost:+.2f} +- {error:.2f}",
            )
        )
    judge = "agrees with the float model" if top1 is None else "top-1"
    layers = [
        {"layer": index, "act_bits": bits, "zeros_before": before, "zeros": after, "codes_changed": changed}
        for index, (bits, before, after, changed) in enumerate(
            zip(done.act_bits, done.zeros_before, done.zeros_after, done.codes_changed), start=1
        )
    ]
    least, most = min(done.act_bits), max(done.act_bits)
    of_bits = f"{least}-bit" if least == most else f"{least}- to {most}-bit"
    by = "Algorithm 1" if config.method == "paper" else "straight-through gradients"
    return Report(
        f"{config.model.name} retrained",
        (
            Section(
                "",
                (
                    f"log2 4-bit weights, {of_bits} activations; {by}, {len(done.history)} epochs of "
                    f"{done.frames:,} frames, learning rate {config.learning_rate:g}, seed {config.seed}",
                    f"judged on {done.judged:,} frames" + ("" if config.eval_frames else " kept from training"),
                ),
            ),
            Section("Accuracy", (), Table(("model", judge, "points lost"), tuple(shown))),
            Section(
                "FPGA layers",
                (),
                Table(
                    ("layer", "bits", "zeros before", "zeros", "codes changed"),
                    tuple(
                        (
                            row["layer"],
                            row["act_bits"],
                            *(f"{row[name]:.1%}" for name in ("zeros_before", "zeros", "codes_changed")),
                        )
                        for row in layers
                    ),
                ),
            ),
        ),
        {
            "model": str(config.model),
            "out": str(done.path),
            "method": config.method,
            "learning_rate": config.learning_rate,
            "seed": config.seed,
            "frames": done.frames,
            "judged": done.judged,
            "accuracy": data,
            "layers": layers,
            "history": [
                {"epoch": e.number, "loss": e.loss, "top1": e.accuracy, "zeros": e.zeros} for e in done.history
            ],
        },
    )
