"""A study's figures as rows: the one source of its CSV files, its report and its plots' captions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, fields

from lognet_fpga.report import Report, Section, Table
from lognet_fpga.study.experiments import LAYER_BITS, Row
from lognet_fpga.study.log_addition import AddError, AddRow, LogAddition
from lognet_fpga.study.nmse import heat_map
from lognet_fpga.study.schemes import CHOICES
from lognet_fpga.study.simulations import Study

CHOICE_WORDS = {"max": "the greatest weight", "nmse": "least NMSE", "output": "least error of the layer's sums"}


def csv_files(study: Study) -> dict[str, str]:
    """File name -> text."""
    files = {
        "nmse.csv": _csv(
            ("layer", "quantizer", "bits", "fsr_by", "nmse", "zeros"),
            (
                (p.layer, p.scheme.kind, p.scheme.bits, p.scheme.choice, f"{p.nmse:.6g}", f"{p.zeros:.6g}")
                for p in study.errors
            ),
        ),
        "boundaries.csv": _csv(
            ("layer", "quantizer", "bits", "level", "upper_boundary"),
            (
                (
                    study.boundaries.weights.layer,
                    scheme.kind,
                    scheme.bits,
                    f"{level:.6g}",
                    "" if upper is None else f"{upper:.6g}",
                )
                for scheme, levels, edges in study.boundaries.rows
                for level, upper in zip(levels, [*edges, None])
            ),
        ),
    }
    files["distribution.csv"] = _csv(
        ("layer", "from", "to", "weights"),
        (
            (shown.layer, f"{low:.6g}", f"{high:.6g}", count)
            for shown in study.distributions
            for low, high, count in zip(shown.edges, shown.edges[1:], shown.counts)
        ),
    )
    if study.float_model is not None:
        rows = (study.float_model, *study.table1, *study.activations)
        files["accuracy.csv"] = _csv(_ROW_NAMES, map(_row_cells, rows))
        files["layers.csv"] = _csv(
            ("layer", "linear_nmse", "log_nmse", *(f"{kind}_{name}" for kind in _KINDS for name in _ROW_NAMES[4:])),
            (
                (r.layer, f"{r.linear_nmse:.6g}", f"{r.log_nmse:.6g}")
                + tuple(cell for row in (r.linear, r.log, r.equal) for cell in _row_cells(row)[4:])
                for r in study.layers
            ),
        )
    if study.log_addition is not None:
        files["log_add.csv"] = _fields_csv(study.log_addition.rows)
        files["log_add_layers.csv"] = _fields_csv(study.log_addition.errors)
    return files


def study_report(study: Study) -> Report:
    """What the command prints, and for programs."""
    sections = [Section("Weights", tuple(_weights_lines(study)), _heat_table(study))]
    if study.float_model is not None:
        by = CHOICE_WORDS[study.choice]
        sections += [
            Section(
                "All layers, weights only, no retraining (Table 1)",
                (f"on {study.frames:,} frames; points lost against the float model, and their standard error",),
                _accuracy_table((study.float_model, *study.table1)),
            ),
            Section(
                f"One layer at {LAYER_BITS} bits, the others in float (Fig. 3)",
                (f"full scale range by {by}; equal: log with as many zeros as linear",),
                Table(
                    (
                        "layer",
                        "NMSE lin %",
                        "NMSE log %",
                        "lost lin",
                        "lost log",
                        "lost equal",
                        "zeros lin %",
                        "zeros log %",
                    ),
                    tuple(
                        (
                            r.layer,
                            100 * r.linear_nmse,
                            100 * r.log_nmse,
                            r.linear.lost,
                            r.log.lost,
                            r.equal.lost,
                            100 * r.linear.zeros,
                            100 * r.log.zeros,
                        )
                        for r in study.layers
                    ),
                ),
            ),
            Section(
                "Activations only, weights in float",
                ("zeros: of the activations into all layers but the first (Table 2)",),
                _accuracy_table(study.activations),
            ),
        ]
    if study.log_addition is not None:
        sections += _log_addition_sections(study.log_addition)
    data = {
        "model": study.name,
        "sha256": study.sha256,
        "frames": study.frames,
        "errors": [
            {
                "layer": p.layer,
                "quantizer": p.scheme.kind,
                "bits": p.scheme.bits,
                "fsr_by": p.scheme.choice,
                "nmse": p.nmse,
                "zeros": p.zeros,
            }
            for p in study.errors
        ],
        "float": None if study.float_model is None else _row_data(study.float_model),
        "all_layers": [_row_data(row) for row in study.table1],
        "layers": [
            {
                "layer": r.layer,
                "linear_nmse": r.linear_nmse,
                "log_nmse": r.log_nmse,
                **{kind: _row_data(row) for kind, row in zip(_KINDS, (r.linear, r.log, r.equal))},
            }
            for r in study.layers
        ],
        "activations": [_row_data(row) for row in study.activations],
        "log_addition": None if study.log_addition is None else asdict(study.log_addition),
    }
    return Report(f"Quantization of {study.name}", tuple(sections), data)


_ROW_NAMES = ("what", "quantizer", "bits", "fsr_by", "top1", "top5", "points_lost", "standard_error", "zeros")
_KINDS = ("linear", "log", "equal")


def _row_cells(row: Row) -> tuple[object, ...]:
    scheme = row.scheme
    names = ("float", "", "") if scheme is None else (scheme.kind, scheme.bits, scheme.choice)
    shares = ("" if share is None else f"{share:.6g}" for share in (row.top1, row.top5))
    return row.what, *names, *shares, f"{row.lost:.4g}", f"{row.error:.4g}", f"{row.zeros:.6g}"


def _row_data(row: Row) -> dict[str, object]:
    scheme = row.scheme
    return {
        "what": row.what,
        "quantizer": None if scheme is None else scheme.kind,
        "bits": None if scheme is None else scheme.bits,
        "fsr_by": None if scheme is None else scheme.choice,
        "top1": row.top1,
        "top5": row.top5,
        "points_lost": row.lost,
        "standard_error": row.error,
        "zeros": row.zeros,
    }


def _accuracy_table(rows: Iterable[Row]) -> Table:
    return Table(
        ("quantizer", "range by", "top-1 %", "top-5 %", "lost", "error", "zeros %"),
        tuple(
            (
                "float" if row.scheme is None else str(row.scheme),
                "" if row.scheme is None else row.scheme.choice,
                None if row.top1 is None else 100 * row.top1,
                None if row.top5 is None else 100 * row.top5,
                row.lost,
                row.error,
                100 * row.zeros,
            )
            for row in rows
        ),
    )


def _log_addition_sections(found: LogAddition) -> tuple[Section, Section]:
    errors = Table(
        ("layer", "terms", "activations", "one sign, bias %", "difference, error %", "without its means %"),
        tuple(
            (e.layer, e.terms, e.mode, 100 * e.one_sided, 100 * e.difference, 100 * e.remaining) for e in found.errors
        ),
    )
    rows = Table(
        ("sums of the deployed layers", "top-1 %", "lost", "error", "as exact %"),
        tuple(
            (r.mode, None if r.top1 is None else 100 * r.top1, r.lost, r.error, 100 * r.agreement) for r in found.rows
        ),
    )
    return (
        Section(
            "Sums in the log domain, layer by layer",
            ("relative to the exact sums of the same terms; without its means: what a bias could not make up for",),
            errors,
        ),
        Section(
            "Sums in the log domain, accuracy",
            (f"on {found.frames:,} frames, log2 weights of 4 bits; points lost against the first row",),
            rows,
        ),
    )


def _weights_lines(study: Study) -> list[str]:
    lines = [
        "table: NMSE of linear minus NMSE of log2, in points; above 0 log2 is better; range by the greatest weight"
    ]
    for choice in CHOICES:
        layers, bits, values = heat_map(study.errors, choice)
        for width, column in zip(bits, values.T):
            if width == LAYER_BITS:
                better = sum(bool(value > 0) for value in column)
                lines.append(
                    f"range by {CHOICE_WORDS[choice]}: at {width} bits log2 has the smaller error in {better} of "
                    f"{len(layers)} layers"
                )
    return lines


def _heat_table(study: Study) -> Table:
    layers, bits, values = heat_map(study.errors, "max")
    rows = tuple((layer, *(float(100 * value) for value in row)) for layer, row in zip(layers, values))
    return Table(("layer", *(f"{width}b" for width in bits)), rows)


def _fields_csv(rows: Sequence[AddRow] | Sequence[AddError]) -> str:
    return _csv((field.name for field in fields(rows[0])), map(astuple, rows))


def _csv(names: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()
