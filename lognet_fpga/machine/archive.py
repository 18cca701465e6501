"""Archives (.zip) that are the same bytes for the same content, whenever and wherever they are written."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from os import PathLike
from typing import IO

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that the format knows
_UNIX = 3
FILE, PROGRAM, ARRAY = 0o644, 0o755, 0o600  # ARRAY: as NumPy has them in an .npz


def write_zip(target: str | PathLike[str] | IO[bytes], files: Mapping[str, bytes], mode: int = FILE) -> None:
    """Write files, name in the archive to content, in the order of their names.

    mode: what chmod would be given for each when it is unpacked; of FILEs those that end in .sh are PROGRAMs.  Raises
    OSError.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in sorted(files.items()):
            member = zipfile.ZipInfo(name, _DATE)
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, _UNIX
            member.external_attr = (PROGRAM if mode == FILE and name.endswith(".sh") else mode) << 16
            archive.writestr(member, data)
