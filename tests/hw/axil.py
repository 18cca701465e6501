"""An AXI4-Lite master that works through a list of accesses, one after the other."""

from __future__ import annotations

import random
from dataclasses import dataclass

from lognet_fpga.hw.axi import AxiLite


@dataclass(frozen=True)
class Write:
    address: int
    data: int
    strobe: int = 0xF


@dataclass(frozen=True)
class Read:
    address: int


class Master:
    """accesses may be appended to while it runs.  answers: data of every read; done: accesses finished.

    pause: percent of cycles by which each of its five channels is late.
    """

    def __init__(self, port: AxiLite, accesses: list[Write | Read], *, pause: int = 0, seed: int = 1) -> None:
        self.signals = vars(port)
        self.accesses, self.percent, self.random = accesses, pause, random.Random(seed)
        self.done, self.answers = 0, []
        self.open: set[str] = set()  # channels that the current access still has to go through
        self.offered: set[str] = set()

    def drive(self) -> None:
        s = self.signals
        if not self.open and self.done < len(self.accesses):
            self.open = {"aw", "w", "b"} if isinstance(self.accesses[self.done], Write) else {"ar", "r"}
            self.offered = set()
        self.offered |= {name for name in sorted(self.open) if self.random.randrange(100) >= self.percent}
        access = self.accesses[self.done] if self.open else None
        for name in ("aw", "w", "ar"):
            s[f"{name}valid"].next = name in self.open & self.offered
        for name in ("b", "r"):
            s[f"{name}ready"].next = name in self.open & self.offered
        if isinstance(access, Write):
            s["awaddr"].next, s["wdata"].next, s["wstrb"].next = access.address, access.data, access.strobe
        elif access is not None:
            s["araddr"].next = access.address

    def observe(self) -> None:
        s = self.signals
        # A response may come only behind the request.
        assert not (s["bvalid"] and self.open & {"aw", "w"}) and not (s["rvalid"] and "ar" in self.open)
        for name in sorted(self.open):
            if s[f"{name}valid"] and s[f"{name}ready"]:
                if name == "r":
                    self.answers.append(int(s["rdata"]))
                if name in "br":
                    assert s[f"{name}resp"] == 0
                self.open.discard(name)
                if not self.open:
                    self.done += 1
