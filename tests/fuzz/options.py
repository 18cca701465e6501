"""Random command lines of all commands: nonsense, extremes and contradictions as values, options doubled and cut.

Options are read off the parsers themselves, so that a new one takes part by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lognet_fpga.cli import bitstream, cost, deploy, inspect, retrain, selftest, serve, stream, study
from tests.fuzz.bundles import _WHOLE as WHOLE_BUNDLE
from tests.fuzz.bundles import archive
from tests.fuzz.case import Case, one_of
from tests.fuzz.models import _BASES
from tests.small_bundle import frames

_COMMANDS = (deploy, deploy, inspect, inspect, stream, stream, selftest, serve, study, retrain, cost, bitstream)
_VALUES = (
    "", " ", "nan", "inf", "-inf", "-1", "0", "1", "3", "1e308", "1e400", "-0", "+1", "1_000", "0x10", "1/0", "1/255",
    "1e-310", "99999999999999999999", "9" * 5000, "٣", "１", "½", "1,2,,3", ",", "1,2", "0,0,0", "1..9", "9..1", "1..",
    "all", "auto", "none", "é\u202e", "a" * 3000, "\udcff", "--", "-", "x", "1;2", "%s%n", "{}", "\n",
)  # fmt: skip
_USUAL = ("1", "2", "4", "8", "100", "1000", "0.5", "1/255", "3,8,8", "1,8,8", "64", "1..4", "0.1,0.2,0.3", "12", "8,8")
_PATHS = (
    "", ".", "nowhere", "/dev/null", "/proc/self/nowhere", "a" * 300, "\udcff", "new/sub", "m.onnx", "f.npy", "f.npz:x",
    "small.lognet.zip", "é", "http://127.0.0.1:1", "camera:99", "synthetic", "a\nb", "~",
)  # fmt: skip
# Whatever would rightly run for minutes, wait, or write where nobody looks.
_NEVER = {"--help", "-h", "--pace", "--epochs", "--log-add", "--dask", "--synth", "--remote", "--host"}
_ENDLESS = ("synthetic",)


def make(rng: np.random.Generator, folder: Path) -> Case:
    (folder / "m.onnx").write_bytes(_BASES[0])
    (folder / "small.lognet.zip").write_bytes(archive(WHOLE_BUNDLE))
    np.save(folder / "f.npy", frames(4))
    command = one_of(rng, _COMMANDS)
    actions = [action for action in command.parser()._actions if not _NEVER & set(action.option_strings)]
    arguments: list[str] = []
    for action in actions:
        if not action.option_strings:
            arguments.append(_positional(command, rng))
        elif action.required or rng.random() < 2 / len(actions):
            arguments += _given(action, rng)
    if command is stream and "--frames" not in arguments:
        arguments += ["--frames", "f.npy"]
    if command is stream:
        arguments += ["--idle", "0", "--limit", "4"]
    if command is deploy:
        arguments += ["--no-verify", "--fpga-layers", "1", "--weights", "bram"]
    if command in (cost, serve, retrain):  # which run for long where nothing is wrong
        arguments += [one_of(rng, ("--nonsense", "--out=/dev/null/x", "--port=-1", "--bits=0", "--batch=x"))]
    if rng.random() < 0.1:
        rng.shuffle(arguments)
    return Case(command.main, tuple(arguments))


def _positional(command, rng: np.random.Generator) -> str:
    usual = "small.lognet.zip" if command in (stream, selftest, serve, bitstream) else "m.onnx"
    return usual if rng.random() < 0.6 else one_of(rng, _PATHS)


def _given(action: argparse.Action, rng: np.random.Generator) -> list[str]:
    option = one_of(rng, action.option_strings)
    if rng.random() < 0.02:
        option = option[:-1]
    if action.nargs == 0:
        return [option]
    if action.choices and rng.random() < 0.8:
        value = str(one_of(rng, list(action.choices)))
    elif action.type is Path and rng.random() < 0.7:
        value = one_of(rng, [path for path in _PATHS if path not in _ENDLESS])
    else:
        value = one_of(rng, _VALUES if rng.random() < 0.4 else _USUAL)
    if value == "rtl":  # which compiles a simulator
        value = "simulated"
    return [f"{option}={value}"] if rng.random() < 0.6 else [option, value]
