"""The most memory that a process has had, for programs that tests run.

Not `resource.ru_maxrss`: that of a new process begins with what the one that started it has had.
"""

from __future__ import annotations

PEAK_KB = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"  # an expression, of Linux
