"""tclsh by Python's tkinter, for machines without one: python tcl_shell.py SCRIPT ARGUMENT..."""

from __future__ import annotations

import os
import sys
import tkinter


def leave(status: str = "0") -> None:
    """Tcl's exit, which tkinter takes away."""
    shell.eval("flush stdout")
    os._exit(int(status))


if __name__ == "__main__":
    shell = tkinter.Tcl()
    shell.createcommand("exit", leave)
    shell.setvar("argv0", sys.argv[1])
    shell.setvar("argv", shell.eval("list " + " ".join("{" + word + "}" for word in sys.argv[2:])))
    shell.evalfile(sys.argv[1])
