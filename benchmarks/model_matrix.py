"""The matrix of small models the whole way: onnxruntime on the file, float graph, NumPy, golden.onnx, Verilog.

    python benchmarks/model_matrix.py                      # all models; half an hour the first time
    python benchmarks/model_matrix.py --only dilated       # those whose description holds the word
    python benchmarks/model_matrix.py --json result.json   # each model's figures, too
    python benchmarks/model_matrix.py --networks           # whole networks up to their scores, 104 directed graphs

The adder graphs, Verilog and simulators are kept in the cache: a run that was stopped takes up where it was.
tests/model_matrix.py and tests/network_matrix.py make the models and say what is compared.  Exit status 1 where a
single bit differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from lognet_fpga.errors import LogNetError  # noqa: E402
from tests import network_matrix  # noqa: E402
from tests.model_matrix import ModelSpec, check_model, specs, verify_model  # noqa: E402
from tests.network_matrix import NetworkSpec  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", action="store_true", help="the matrix of whole networks instead")
    parser.add_argument("--only", default="", help="models whose description holds this word")
    parser.add_argument("--limit", type=int, help="the first so many of them")
    parser.add_argument("--json", type=Path, help="file for each model's figures")
    args = parser.parse_args()

    every = network_matrix.specs() if args.networks else specs()
    chosen = [spec for spec in every if args.only in str(spec)][: args.limit]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for count, spec in enumerate(chosen, 1):
            start = time.monotonic()
            result = run(spec, Path(folder))
            results.append(result)
            state = result["error"] or f"{result['bits']:,} bits, {result['differing_bits']} differ"
            print(
                f"{count}/{len(chosen)} {spec} ({time.monotonic() - start:.1f} s): {state}", file=sys.stderr, flush=True
            )
            if args.json:
                args.json.write_text(json.dumps(results, indent=1) + "\n")
    done = [result for result in results if "bits" in result]
    print("| models | failed | largest float error | bits compared | bits differing | cycles as planned |")
    print("|---|---|---|---|---|---|")
    failed = sum(bool(result["error"]) for result in results)
    print(
        f"| {len(results)} | {failed} | {max((r['float_error'] for r in done), default=0):.0e} "
        f"| {sum(r['bits'] for r in done):,} | {sum(r['differing_bits'] for r in done)} "
        f"| {sum(r['cycles_as_planned'] for r in done)} |"
    )
    return int(failed > 0)


def run(spec: ModelSpec | NetworkSpec, folder: Path) -> dict[str, Any]:
    """One model's figures; bits: NumPy with golden.onnx on 16 frames, and every level of the verification on 4."""
    try:
        if isinstance(spec, NetworkSpec):
            checked = network_matrix.check_network(spec, folder)
            verdict = network_matrix.verify_network(spec, checked)
        else:
            checked = check_model(spec, folder)
            verdict = verify_model(spec, checked)
    except (LogNetError, AssertionError) as error:
        return {"model": str(spec), "error": f"{type(error).__name__}: {error}"}
    return {
        "model": str(spec),
        "error": "; ".join(verdict.failures()),
        "float_error": checked.float_error,
        "bits": checked.bits + verdict.bits,
        "differing_bits": checked.differing_bits + verdict.differing_bits,
        "cycles_as_planned": verdict.cycles.as_planned,
    }


if __name__ == "__main__":
    sys.exit(main())
