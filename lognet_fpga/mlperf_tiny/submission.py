"""The folders of an MLPerf Tiny submission, out of what the benchmark's runner has written about a bundle on a board.

    DIVISION/ORGANIZATION/systems/SYSTEM.json
                          code/BENCHMARK/IMPLEMENTATION/    the bundle, and how it was made
                          results/SYSTEM/BENCHMARK/MODE/    the runner's files, as they are

Results are copies of the runner's files or are not there: nothing is computed, filled in or made up here, and sessions
with a simulated device are refused.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import InputError, OutputError, UsageError
from lognet_fpga.mlperf_tiny.reference import COMMIT, REPOSITORY
from lognet_fpga.mlperf_tiny.tasks import Task
from lognet_fpga.runtime.device import Device
from lognet_fpga.version import __version__

LOG, RESULTS, FIGURES = "log.txt", "results.txt", "results.json"
MODES = {"performance": "Median throughput is", "accuracy": "Top 1%", "energy": "Median energy cost is"}
"""The runner's modes, each with what its results have in them."""
IMPLEMENTATION = "lognet-fpga"
DIVISIONS = ("closed", "open")
_MEASURED = "measured"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DIGEST = 12  # characters of a bundle's digest that name it
# What a description of a system has, by the results' repositories; what is not known here is for people to fill in.
_EMPTY_FIELDS = (
    *("Submitter", "Division", "Status", "Board Name"),
    "Board Memory capacity (not including SoC, processor, or accelerator)",
    *("Board Memory type", "Board storage capacity", "Board storage type", "SoC Name"),
    "SoC Memory capacity (not including processor or accelerator)",
    *("SoC Memory type", "SoC storage capacity", "SoC storage type"),
    *("Processor(s) Name", "Processor(s) Frequencies", "Processor memory type and capacity"),
    *("Processor storage type and capacity", "Accelerator", "Accelerator(s) Frequencies"),
    *("Accelerator memory type and capacity", "Accelerator storage type and capacity", "Hardware Notes"),
    *("Software", "Software Libraries", "Operating System", "Other Software Stack", "Software Notes"),
    *("Quantization Method", "Training framework (open division)", "ML Model Compiler(s)", "General Compiler(s)"),
    *("Other Software", "Training and Quantization Notes"),
)


def device_name(bundle: Bundle, device: Device) -> str:
    """What the runner writes into its log: the board, where figures are from, and which bundle."""
    source = device.figure(1.0, "fps").source
    return f"lognet-fpga, {bundle.board_title}, {source}, {bundle.digest[:_DIGEST]}"


@dataclass(frozen=True)
class Submission:
    """organization, system: as their folders are called.  sessions: by mode of `MODES`, the folders that the runner
    wrote.  description: fields of the system's description to add or replace."""

    bundle: Bundle
    bundle_path: Path
    task: Task
    organization: str
    system: str
    sessions: Mapping[str, Path]
    division: str = "closed"
    description: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        for what, name in (("organization", self.organization), ("system", self.system)):
            if not _NAME.fullmatch(name):
                raise UsageError(
                    f"{name!r} names no folder for the {what}", hint="give letters, digits and . _ - without spaces"
                )
        if not self.sessions:
            raise UsageError("there is nothing measured to submit", hint="give the runner's folder of a session")

    def write(self, out: Path) -> Path:
        """The organization's folder below out.  Raises InputError for a session that is not one of this bundle on a
        board, in its mode, OutputError where it cannot be written."""
        files = {mode: self._files(mode, folder) for mode, folder in self.sessions.items()}
        place = out / self.division / self.organization
        try:
            for mode, contents in files.items():
                folder = place / "results" / self.system / self.task.name / mode
                folder.mkdir(parents=True, exist_ok=True)
                for name, content in contents.items():
                    (folder / name).write_bytes(content)
            code = place / "code" / self.task.name / IMPLEMENTATION
            code.mkdir(parents=True, exist_ok=True)
            self._copy_bundle(code)
            (code / "README.md").write_text(self._readme(), encoding="utf-8")
            (place / "systems").mkdir(exist_ok=True)
            described = json.dumps(self._described(), indent=4, ensure_ascii=False)
            (place / "systems" / f"{self.system}.json").write_text(described + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{error.filename} cannot be written: {error.strerror}", hint="give another --out"
            ) from error
        return place

    def _files(self, mode: str, folder: Path) -> dict[str, bytes]:
        contents = {}
        for name in (LOG, RESULTS, FIGURES):
            try:
                contents[name] = (folder / name).read_bytes()
            except OSError as error:
                if name == FIGURES:
                    continue
                raise InputError(
                    f"{folder / name} cannot be read: {error.strerror}",
                    hint="give the folder that the runner wrote below sessions/",
                ) from error
        self._require_ours(folder / LOG, contents[LOG].decode(errors="replace"))
        if MODES[mode] not in contents[RESULTS].decode(errors="replace"):
            raise InputError(
                f"{folder / RESULTS} has no line {MODES[mode]!r}: it is no result of the mode {mode}, or the runner "
                "refused the run",
                hint="give each session to the option of its mode",
            )
        return contents

    def _require_ours(self, place: Path, log: str) -> None:
        names = re.findall(r"^(?:.*)Device name retrieved: (.*)$", log, re.MULTILINE)
        if not names:
            raise InputError(f"{place} names no device under test", hint="give a session of the runner with lognet-dut")
        for name in names:
            *_, source, digest = (part.strip() for part in ("", "", *name.split(",")))
            if digest != self.bundle.digest[:_DIGEST]:
                raise InputError(
                    f"{place} is of another bundle or device: {name[:80]}",
                    hint=f"give a session with {self.bundle.name}, SHA-256 {self.bundle.digest[:_DIGEST]}",
                )
            if source != _MEASURED:
                raise InputError(
                    f"{place} was not measured on a board: {name[:80]}",
                    hint="run lognet-dut with --device pynq, or with a board's address",
                )

    def _copy_bundle(self, code: Path) -> None:
        if self.bundle_path.is_dir():
            shutil.copytree(self.bundle_path, code / self.bundle_path.name, dirs_exist_ok=True)
        else:
            shutil.copy(self.bundle_path, code)

    def _readme(self) -> str:
        return f"""\
# {self.task.title}, by lognet-fpga {__version__}

The float reference model of github.com/{REPOSITORY} at {COMMIT}, quantized after training: weights
as signs and powers of two in 4 bits (15 values a weight, none retrained), activations linear.
`{self.bundle_path.name}` is the whole: Verilog, test vectors, the integers as ONNX (`golden.onnx`), the host's part,
and in `report.txt` what became of each layer.

    lognet-mlperf {self.task.name} --models CHECKOUT --data DATASETS     # makes the bundle
    lognet-bitstream {self.bundle_path.name} vivado                      # its bitstream
    lognet-dut {self.bundle_path.name} --task {self.task.name} --port PORT --device pynq     # answers the runner
"""

    def _described(self) -> dict[str, str]:
        board = self.bundle.manifest.get("board")
        board = board if isinstance(board, Mapping) else {}
        known = {
            "Submitter": self.organization,
            "Division": self.division,
            "Board Name": self.bundle.board_title,
            "SoC Name": str(board.get("part", "")),
            "Processor(s) Name": str(board.get("processor", "")),
            "Accelerator": "lognet-fpga overlay in the programmable logic",
            "Accelerator(s) Frequencies": f"{self.bundle.clk_mhz:g} MHz",
            "Software": f"lognet-fpga {__version__}",
            "Quantization Method": "after training: log2 weights of 4 bits (a sign and a power), linear activations",
        }
        given = dict(self.description or {})
        return {**dict.fromkeys(_EMPTY_FIELDS, ""), **known, **given}
