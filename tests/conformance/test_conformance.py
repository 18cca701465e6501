"""Whole generated overlays against a client that is not ours: cocotbext-axi's streams and AXI4-Lite master."""

from __future__ import annotations

import pytest

from tests.conformance.overlays import NETS, overlay
from tests.conformance.simulation import Outcome, build, simulate
from tests.shallow import shallow

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


# Edges and registers are the same in all; "mixed" has both stores, "serial" is the one that is broken on purpose.
QUICK = ("serial", "mixed")
OVERLAYS = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NETS]


@pytest.fixture(scope="module")
def outcome(request, tmp_path_factory) -> Outcome:
    """All cases on an overlay, in one simulation."""
    made = shallow(overlay, request.param)
    executable = build(made.design)
    return simulate(executable, made.case(SEED, soak_frames=20), ".*", tmp_path_factory.mktemp("overlay"))


def check(outcome: Outcome, case: str, seed: int) -> None:
    print(f"seed {seed}")
    if case not in outcome.passed:
        pytest.fail(f"{case}, seed {seed}: {outcome.failures.get(case, 'was not run')}\n{outcome.log}", pytrace=False)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("outcome", OVERLAYS, indirect=True)
def test_overlay(outcome, case):
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
