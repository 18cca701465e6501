"""Whole generated overlays against a client that is not ours: cocotbext-axi's streams and AXI4-Lite master."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.overlays import NETS, overlay
from tests.conformance.simulation import Outcome, build, simulate

SEED = 1
CASES = (
    "steady_frames",
    "paused_frames",
    "results_do_not_wait_for_ready",
    "registers",
    "registers_under_traffic",
    "packets_of_frames",
    "short_and_long_frames",
    "ragged_frames_in_a_row",
    "resets_by_the_pin",
    "resets_by_the_register",
    "soak",
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Overlay -> all cases on it, in one simulation; two of them side by side."""
    with ThreadPoolExecutor(2) as pool:
        futures = {}
        for name in NETS:
            made = overlay(name)
            executable = build(made.design)
            case, folder = made.case(SEED, soak_frames=20), tmp_path_factory.mktemp(name)
            futures[name] = pool.submit(simulate, executable, case, ".*", folder)
        yield {name: future.result() for name, future in futures.items()}


def check(outcome: Outcome, case: str, seed: int) -> None:
    print(f"seed {seed}")
    if case not in outcome.passed:
        pytest.fail(f"{case}, seed {seed}: {outcome.failures.get(case, 'was not run')}\n{outcome.log}", pytrace=False)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NETS)
def test_overlay(outcomes, name, case):
    outcome = outcomes[name]
    assert {*outcome.passed, *outcome.failures} <= {*CASES}
    check(outcome, case, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("name", NETS)
def test_soak(name, seed, tmp_path):
    """Some hundred frames with random idles, stalls, bad frames, resets and register traffic."""
    made = overlay(name)
    outcome = simulate(build(made.design), made.case(seed, soak_frames=300), r"\.soak$", tmp_path)
    check(outcome, "soak", seed)
    print(outcome.log)
