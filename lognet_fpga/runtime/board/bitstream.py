"""Where the driver finds a bundle's bitstream.

In the bundle it is bitstream/NAME.bit with bitstream/NAME.hwh beside it.  PYNQ wants files, so they are copied to the
cache, which checks them before each use, under a name that carries the hash of their content: PYNQ takes files of one
name for the same.
"""

from __future__ import annotations

from pathlib import Path

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BoardError
from lognet_fpga.machine.cache import cached_folder, digest

FOLDER = "bitstream"


def bitstream_of(bundle: Bundle, place: Path | None = None) -> Path:
    """Path of the .bit file to load, its .hwh beside it.

    place: a .bit file, or a folder with one, to use instead of the bundle's own.  Raises BoardError where there is
    none.
    """
    if place is not None:
        return _given(Path(place))
    names = sorted(name for name in bundle.files if name.startswith(f"{FOLDER}/") and name.endswith(".bit"))
    if not names:
        raise BoardError(
            f"the bundle {bundle.name} has no bitstream: no {FOLDER}/NAME.bit is in it",
            hint="make one with lognet-bitstream (docs/bitstream.md), or give the path of one, "
            "or use the simulated device",
        )
    if len(names) > 1:
        raise BoardError(
            f"the bundle {bundle.name} has {len(names)} bitstreams: {', '.join(names)}", hint="give the path of one"
        )
    bit, hwh = (bundle.file(str(Path(names[0]).with_suffix(suffix).as_posix())) for suffix in (".bit", ".hwh"))
    key = digest(bit, hwh)
    stem = f"{bundle.name}-{key[:12]}"

    def make(folder: Path) -> None:
        (folder / f"{stem}.bit").write_bytes(bit)
        (folder / f"{stem}.hwh").write_bytes(hwh)

    return cached_folder("bitstream", key, make) / f"{stem}.bit"


def _given(place: Path) -> Path:
    files = sorted(place.glob("*.bit")) if place.is_dir() else [place]
    if len(files) != 1 or not files[0].is_file():
        raise BoardError(
            f"there is no bitstream at {place}"
            if len(files) < 2
            else f"there are {len(files)} bitstreams in {place}: {', '.join(file.name for file in files)}",
            hint="give a .bit file, or a folder that holds one",
        )
    if not files[0].with_suffix(".hwh").is_file():
        raise BoardError(
            f"{files[0].name} has no {files[0].stem}.hwh beside it, which says what is in the bitstream",
            hint="copy the .hwh of the same design there",
        )
    return files[0].absolute()
