"""A headless Chromium that the tests look at pages with, driven over its own pipe (the DevTools protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import HANG_S

AXE = "axe-core@4.14.1"
VIOLATIONS = """axe.run({preload: false}).then(found =>
  found.violations.map(each => [each.id, each.nodes.map(node => node.html)]))"""
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --remote-debugging-pipe"
).split()


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def find_axe(folder: Path) -> str | None:
    """axe-core's source: of the file that LOGNET_AXE names, else from npm by way of the folder, checked by npm."""
    if path := os.environ.get("LOGNET_AXE"):
        return Path(path).read_text(encoding="utf-8")
    command = ["npm", "pack", AXE, "--silent"]
    if shutil.which("npm") is None or subprocess.run(command, cwd=folder, capture_output=True, timeout=300).returncode:
        return None
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        content = archive.extractfile("package/axe.min.js")
        assert content is not None
        return content.read().decode()


class Page:
    """A tab.  complaints: what the console and the browser's log have said; requests: addresses that were asked for."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._number, self._rest = write, read, 0, b""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, page: Path | str) -> None:
        """Load a file or an address, and wait until all of it is there."""
        self._loaded = False
        self.call("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        while not self._loaded:
            self._next()

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, or the promise that it is."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def violations(self, axe: str) -> Any:
        """Rules for screen readers that the page breaks, each with the elements that do."""
        self.value(f"{axe};0")  # by the browser's own hand, which the page's policy does not bind
        return self.value(VIOLATIONS)

    def resize(self, width: int, height: int = 900) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """All of the page, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(message)
        self._note(found.get("method"), found.get("params", {}))
        return found

    def _note(self, method: str | None, told: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(told["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])


@contextmanager
def browser(program: str) -> Iterator[Page]:
    """A browser of its own with nothing remembered; ended behind the block."""
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # It reads from descriptor 3 and writes to 4.
        script = f'exec "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
        process = subprocess.Popen(
            ["timeout", str(HANG_S), "bash", "-c", script, "-", program, *_FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(to_browser[0], from_browser[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Page(to_browser[1], from_browser[0])
        finally:
            os.close(to_browser[1])  # at the end of its pipe it ends itself
            os.close(from_browser[0])
            process.wait()
