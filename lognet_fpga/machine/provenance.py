"""Which code makes a result: for the keys of the cache.

One rule for all results: a module, everything of this package that it imports, directly or through others, and the
data files beside them; with Python and the packages from outside that are named.
"""

from __future__ import annotations

import ast
import functools
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lognet_fpga.machine.cache import digest

_ROOT = Path(__file__).parents[1]  # of this package
_PACKAGE = __name__.partition(".")[0]
# They hand results on, say something or carry errors, but decide about no result.
_WITHOUT = {
    f"{_PACKAGE}.{name}"
    for name in (
        "api",
        "errors",
        "machine.cache",
        "machine.output_file",
        "machine.provenance",
        "machine.signals",
        "machine.tools",
        "progress",
        "report",
    )
}


@functools.lru_cache(maxsize=None)
def made_by(module: str, *packages: str) -> str:
    """Digest of the source of `module`, of all modules of this package that it needs, and of the versions of Python and
    of packages from outside, by the names that they are installed by."""
    versions = [f"{name} {_version(name)}" for name in ("python", *packages)]
    return digest(
        *versions, *(part for path in _files(module) for part in (str(path.relative_to(_ROOT)), path.read_bytes()))
    )


def _version(name: str) -> str:
    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _files(module: str) -> list[Path]:
    """Of the module, of those that it needs, and the files without code in their folders; in a fixed order."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if path is None or name in found:
            continue
        waiting += name.rpartition(".")[:1] if "." in name else ()  # the package around it is loaded, too
        if any(name == left or name.startswith(f"{left}.") for left in _WITHOUT):
            continue
        found[name] = path
        waiting += _imports(path)
    data = {beside for path in found.values() for beside in path.parent.iterdir() if _is_data(beside)}
    return sorted({*found.values(), *data})


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".py", ".pyc", ".pyi") and not path.name.startswith(".")


def _path(module: str) -> Path | None:
    """Its file; None for what is no module of this package."""
    if module != _PACKAGE and not module.startswith(f"{_PACKAGE}."):
        return None
    stem = _ROOT.joinpath(*module.split(".")[1:])
    return next((path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()), None)


@functools.lru_cache(maxsize=None)
def _imports(path: Path) -> frozenset[str]:
    """Names that may be modules, of all import statements in a file; this package has no relative ones."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in names if name.startswith(f"{_PACKAGE}."))
