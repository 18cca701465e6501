"""A new user's walk: the commands of README and the how-to pages, as they are written, from a model to its classes."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.docs.markdown import FENCE, ROOT, files
from tests.models import ModelBuilder, save
from tests.patience import HANG_S

# Pages whose commands are run one after the other, in one folder.
WALK = ("README.md", "docs/howto/own_model.md", "docs/howto/study.md")


def code(path: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of each block of code; of an indented block the language is empty."""
    block, language = None, ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if FENCE.match(line):
            if block is None:
                block, language = [], line.strip("` ")
            else:
                yield language, "\n".join(block)
                block = None
        elif block is not None:
            block.append(line)
        elif line.startswith("    ") and not line.lstrip().startswith(("*", "-", "|")):
            yield "", line.strip()


def commands(path: Path) -> Iterator[list[str]]:
    """The words of each command in the page's blocks, without what stands in front of it for the environment."""
    for language, text in code(path):
        for line in text.splitlines() if language in ("", "sh", "bash") else ():
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # no command
                continue
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words.pop(0)
            if words and re.fullmatch(r"lognet-[a-z]+|make|pip", words[0]) and "[options]" not in words:
                yield words


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_is_one(path):
    """lognet-* with options that it has, make with targets that there are."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in commands(path):
        if words[0] == "make":
            for target in (word for word in words[1:] if "=" not in word):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), words
        elif words[0] != "pip" and "USE" not in " ".join(words) and not {"BUNDLE", "MODEL"} & set(words):
            parser = importlib.import_module(f"lognet_fpga.cli.{words[0].removeprefix('lognet-')}").parser()
            parser.parsed(words[1:])  # raises UsageError


@pytest.fixture(scope="module")
def place(tmp_path_factory, require_tool) -> Path:
    """What a new user brings: a model, and pictures in a folder for each class."""
    for tool in ("verilator", "g++", "myhdl", "onnxruntime", "PIL"):
        require_tool(tool)
    from PIL import Image

    folder = tmp_path_factory.mktemp("walk")
    chain = ModelBuilder((3, 8, 8), seed=3).conv(3).relu().pool().flatten().gemm(3 * 16, 2)
    save(chain.model(), folder)
    random = np.random.default_rng(5)
    for name in ("my_images", "photos", "test"):
        for kind, base in (("cat", 60), ("dog", 160)):
            (folder / name / kind).mkdir(parents=True)
            for number in range(6):
                pixels = np.clip(random.normal(base, 30, (12, 12, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels[:8, :8] if name == "my_images" else pixels).save(
                    folder / name / kind / f"{number}.png"
                )
    return folder


def run(words: list[str], place: Path) -> subprocess.CompletedProcess:
    module = words[0].removeprefix("lognet-")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOGNET_CACHE": str(place / "cache")}
    return subprocess.run(
        [sys.executable, "-m", f"lognet_fpga.cli.{module}", *words[1:]],
        cwd=place, env=environment, capture_output=True, text=True, timeout=HANG_S,
    )  # fmt: skip


@pytest.mark.parametrize("name", WALK)
def test_the_commands_run_as_written(place, name):
    """Up to classified pictures, where the page goes so far."""
    for words in commands(ROOT / name):
        if words[0].startswith("lognet-"):
            done = run(words, place)
            assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
            if words[0] == "lognet-stream":
                assert "Predictions, the first 10" in done.stdout and {"cat", "dog"} & set(done.stdout.split())


def test_the_three_lines_of_python(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("LOGNET_CACHE", str(place / "cache"))
    (text,) = [text for language, text in code(ROOT / "README.md") if language == "python"]
    exec(compile(text.replace('"photos/"', '"my_images/"'), "README.md", "exec"), {})  # pictures of the model's size
    assert len(re.findall(r"[01]", capsys.readouterr().out)) == 12


@pytest.mark.slow
def test_a_clone_makes_the_demo(tmp_path):
    """The first command of all, in a clone of what git knows here."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LOGNET_CACHE")}
    environment["LOGNET_CACHE"] = str(tmp_path / "cache")
    done = subprocess.run(
        ["make", "demo"], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True, timeout=4 * HANG_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agrees bit by bit" in done.stdout and len(done.stdout.splitlines()) < 30
    assert "Predictions, the first 10" in (tmp_path / "clone" / "build" / "demo" / "stream.txt").read_text()
