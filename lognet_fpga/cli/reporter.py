"""Everything the commands print: progress and errors on stderr, results on stdout."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from lognet_fpga.errors import EXIT_OK, LogNetError, OutputError
from lognet_fpga.machine import signals
from lognet_fpga.report import WIDTH, Report, Section, heading

TICK_S = 0.2  # between two redraws of the line on a terminal
HEARTBEATS_S = (2.0, 5.0, 10.0, 20.0, 30.0)  # from one sign of life to the next elsewhere; the last one repeats
SPINNER = "|/-\\"


class Reporter:
    """Shows stages and what is known early (it is a Progress), results and errors.

    as_json: stdout gets exactly one JSON object and nothing else; without it a report's sections as soon as they are
    known.  Every stage that ends has a lasting line, and a heading before it where it has something inside.  On a
    terminal the running stage also has a line that is redrawn; elsewhere it gives a sign of life now and then.
    events: stderr gets a JSON object a line instead, for programs (docs/commands.md, "Progress for programs").
    """

    def __init__(self, program: str, as_json: bool = False, events: bool = False) -> None:
        self._program = program
        self._as_json = as_json
        self._events = events
        self._told: list[Section] = []  # sections of the report that are known, as far as they were said
        self._titled = False
        self._lost: OutputError | None = None  # where stdout did not take them
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._tty = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn = False
        self._answered = False  # whether stdout has its JSON object
        self._stages: list[_Stage] = []  # the running ones, outermost first

    @contextmanager
    def stage(self, name: str) -> Iterator[_Stage]:
        """Progress.stage: shows name, elapsed seconds and what the stage says of itself."""
        signals.check()
        if self._stages:
            self._stages[-1].head()
        stage = _Stage(self, name, len(self._stages))
        self._stages.append(stage)
        self._event(stage.event("begun"))
        stopped = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(stage, stopped), daemon=True)
        ticker.start()
        outcome = "failed"
        try:
            yield stage
            outcome = "done"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            self._stages.pop()
            stopped.set()
            ticker.join()
            self._line(f"{stage.indent}{name}: {outcome}, {stage.elapsed_s:.1f} s", stage.event(outcome))

    def known(self, title: str, *sections: Section) -> None:
        """Progress.known: on stdout, or as events."""
        for section in sections:
            if section in self._told:
                continue
            self._told.append(section)
            if not self._as_json:
                text = ("" if self._titled else heading(title)) + f"\n{section.text(_page_width())}"
                self._titled = True
                try:
                    print_out(text)
                except OutputError as error:  # the work goes on, and says so in the end
                    self._lost = self._lost or error
            self._event({"event": "section", "report": title, **section.to_json()})

    def result(self, report: Report, extra: Mapping[str, object] | None = None) -> None:
        """Print what is new of the report on stdout; as JSON, its data with `extra` added.  Raises OutputError when
        stdout is full."""
        self.known(report.title, *report.sections)
        if self._as_json:
            self._object({**report.data, **(extra or {})})
        elif self._lost is not None:
            raise self._lost

    def verdict(self, report: Report, error: LogNetError | None, extra: Mapping[str, object] | None = None) -> int:
        """The result, and error with it: on stderr, and as JSON in a field of the object.  Returns the exit code."""
        data = None if error is None else error.to_json()
        self.result(report, {**(extra or {}), "error": data})
        if error is None:
            return EXIT_OK
        detail = "".join(traceback.format_exception(error)) if error.__traceback__ and debugging() else ""
        self._line(f"{detail}{self._program}: error: {error.for_people()}", {"event": "error", **(data or {})})
        return error.exit_code

    def text(self, text: str) -> None:
        """Print on stdout, as it is, what takes the report's place.  Raises OutputError when stdout is full."""
        print_out(text)

    def after(self, text: str) -> None:
        """What the user may want to do next, behind the report; programs do not want it."""
        if not self._as_json:
            print_out(f"\n{text}\n")

    def warning(self, message: str) -> None:
        self._line(f"{self._program}: warning: {message}", {"event": "warning", "message": message})

    def error(self, message: str, *, kind: str, exit_code: int, detail: str = "", for_people: str = "") -> None:
        """Say an error on stderr and, as JSON, on stdout too.  detail: a traceback, stderr only.  for_people: what
        stderr gets in place of message."""
        data = {"kind": kind, "message": message, "exit_code": exit_code}
        self._line(f"{detail}{self._program}: error: {for_people or message}", {"event": "error", **data})
        if self._as_json and not self._answered:
            self._object({"error": data})

    def _object(self, data: Mapping[str, object]) -> None:
        text = json.dumps(_finite(data), allow_nan=False) + "\n"
        self._answered = True
        print_out(text)

    def _tick(self, stage: _Stage, stopped: threading.Event) -> None:
        turn = 0
        drawn = self._tty and not self._events
        while not stopped.wait(TICK_S if drawn else HEARTBEATS_S[min(turn, len(HEARTBEATS_S) - 1)]):
            if self._stages[-1:] == [stage]:  # the innermost one has the word
                text = f"{stage.name}{stage.state()}, {stage.elapsed_s:.0f} s"
                if drawn:
                    self._draw(f"{stage.indent}{SPINNER[turn % len(SPINNER)]} {text}")
                else:
                    self._line(f"{stage.indent}{text} ...", stage.event("running"))
            turn += 1

    def _event(self, event: Mapping[str, object]) -> None:
        """A line on stderr where events are asked for."""
        if self._events:
            with self._lock:
                _write(sys.stderr, json.dumps(_finite(event), allow_nan=False, default=str) + "\n")

    def _line(self, text: str, event: Mapping[str, object]) -> None:
        """One lasting line on stderr, or the event."""
        if self._events:
            self._event(event)
            return
        with self._lock:
            clear = "\r\x1b[K" if self._drawn else ""
            self._drawn = False
            _write(sys.stderr, f"{clear}{text}\n")

    def _draw(self, text: str) -> None:
        """The passing line of a terminal."""
        with self._lock:
            self._drawn = True
            _write(sys.stderr, f"\r\x1b[K{text[: max(20, _terminal_width(sys.stderr, 80) - 1)]}")


class _Stage:
    """A running stage, see lognet_fpga.progress.Stage."""

    def __init__(self, reporter: Reporter, name: str, depth: int) -> None:
        self.name = name
        self.depth = depth
        self._reporter = reporter
        self._start = time.monotonic()
        self._state = ""
        self._done: tuple[int, int | None, str] | None = None
        self._headed = False

    @property
    def indent(self) -> str:
        return "  " * self.depth

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._start

    def head(self) -> None:
        """The stage's name on a line of its own, above what is inside; once."""
        if not self._headed:
            self._headed = True
            if not self._reporter._events:  # which have told of its begin
                self._reporter._line(f"{self.indent}{self.name} ...", {})

    def note(self, text: str) -> None:
        self.head()
        self._reporter._line(f"{self.indent}  {text}", {"event": "note", "stage": self.name, "text": text})

    def update(self, done: int, total: int | None, state: str = "") -> None:
        signals.check()
        of = "" if total is None else f" of {total:,}"
        self._state = f": {done:,}{of}{state and ', '}{state}"
        self._done = done, total, state

    def event(self, what: str) -> dict[str, object]:
        """The stage as it is, for programs."""
        done, total, state = self._done or (None, None, "")
        return {
            "event": "stage",
            "stage": self.name,
            "depth": self.depth,
            "state": what,
            "seconds": round(self.elapsed_s, 3),
            "done": done,
            "total": total,
            "detail": state,
        }

    def state(self) -> str:
        return self._state


def _finite(data: object) -> object:
    """JSON has no word for NaN and infinity: null."""
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def print_out(text: str) -> None:
    """Print on stdout.  Raises OutputError when it is full or closed, but not when nobody reads on."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough
        _point_away(sys.stdout)
    except OSError as error:
        _point_away(sys.stdout)
        raise OutputError(
            f"standard output cannot be written: {error.strerror or error}",
            hint="redirect it to a file or program that can take it",
        ) from error


def escape_output() -> None:
    """Have characters that stdout and stderr cannot show escaped: names of files may be any bytes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def debugging() -> bool:
    """Whether errors are to have their tracebacks, by LOGNET_DEBUG."""
    return os.environ.get("LOGNET_DEBUG", "0") not in ("", "0")


def _write(stream: TextIO, text: str) -> None:
    """Write what may be lost: a closed or full stderr stops no work."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        _point_away(stream)


def _point_away(stream: TextIO) -> None:
    """Send the rest, and what is still buffered, nowhere: else Python complains about it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _terminal_width(stream: TextIO, otherwise: int) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return otherwise


def _page_width() -> int:
    """Of reports on stdout, in columns: of a terminal its own, as far as lines of that length can be read."""
    return min(max(80, _terminal_width(sys.stdout, WIDTH)), WIDTH)
