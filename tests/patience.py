"""How long tests wait for something that should come by itself."""

from __future__ import annotations

HANG_S = 900.0  # of real time, for a process or a thread: only one that hangs takes as long, on any machine
