"""A bundle with a bitstream in it: the files, the manifest's word on how it was made, and the report continued."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from lognet_fpga.bitstream.bitstream_report import HEADING, bitstream_data, bitstream_section
from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BundleError
from lognet_fpga.page.deployment import NOT_A_REPORT, PAGE, PICTURES, deployment_page
from lognet_fpga.report import Report, Section

FOLDER = "bitstream/"
REPORT_TEXT, REPORT_DATA = "report.txt", "report.json"


def attached(bundle: Bundle, made: Bitstream) -> tuple[dict[str, bytes], dict[str, object]]:
    """(files, manifest) of the bundle with the bitstream, in place of one that it had.  The same input gives the same
    bytes."""
    files = {name: data for name, data in bundle.files.items() if not name.startswith(FOLDER)}
    files |= {f"{FOLDER}{bundle.name}.bit": made.bit, f"{FOLDER}{bundle.name}.hwh": made.hwh}
    files |= {f"{FOLDER}{name}": data for name, data in made.reports.items()}
    if REPORT_DATA in files:
        data = report_data(bundle) | {"bitstream": bitstream_data(made)}
        files[REPORT_DATA] = (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
    if PAGE in files:
        files[PAGE] = _page(bundle, report_data(bundle) | {"bitstream": bitstream_data(made)})
    if REPORT_TEXT in files:
        before = files[REPORT_TEXT].decode(errors="replace").partition(f"\n{HEADING}\n")[0]
        files[REPORT_TEXT] = f"{before}\n{_text(section_of(bundle, made))}".encode()
    return files, {**bundle.manifest, "bitstream": bitstream_data(made)}


def require_report(bundle: Bundle) -> None:
    """Raise BundleError where the bundle's report cannot be continued."""
    data = report_data(bundle)
    if PAGE in bundle.files:
        _page(bundle, data)


def section_of(bundle: Bundle, made: Bitstream) -> Section:
    """The report's section on the bitstream."""
    board = bundle.manifest.get("board")
    return bitstream_section(made, report_data(bundle), board if isinstance(board, Mapping) else {})


def report_data(bundle: Bundle) -> dict[str, object]:
    """The bundle's report.json; what little the manifest has of it where there is none."""
    if REPORT_DATA not in bundle.files:
        return {"plan": bundle.manifest.get("plan")}
    try:
        data = json.loads(bundle.file(REPORT_DATA), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        why = str(error)[:200]
        raise BundleError(f"{REPORT_DATA} of the bundle is not JSON: {why}; deploy the model again") from error
    if not isinstance(data, dict):
        raise BundleError(f"{REPORT_DATA} of the bundle is not an object; deploy the model again")
    return data


def _page(bundle: Bundle, data: Mapping[str, object]) -> bytes:
    pictures = {name: content for name, content in bundle.files.items() if name.startswith(PICTURES)}
    try:
        return deployment_page(data, pictures).encode()
    except NOT_A_REPORT as error:
        raise BundleError(
            f"{REPORT_DATA} of the bundle is not what lognet-deploy writes; deploy the model again"
        ) from error


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a number")
    return number


def _text(section: Section) -> str:
    """Without the title of a report."""
    return Report("", (section,)).text().split("\n", 3)[3]
