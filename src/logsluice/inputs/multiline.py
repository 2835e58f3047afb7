"""Multiline events: joins the lines of stack traces, tracebacks, panics and indented continuations.

A line is joined only on evidence that it continues the one before; where there is none, a line is an event.
What is decided depends on nothing but the lines since the event began, so that reading may start anew at any
event and finds the same ones. :class:`~logsluice.inputs.streams.StreamJoiner` uses it for each stream of a file.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, NamedTuple

from logsluice.event.limits import MAX_VALUE_BYTES, Headers
from logsluice.inputs.files import Line

MAX_LINES: Final = 500
_MAX_UNDECIDED: Final = 20
_LEVEL: Final = (
    rb"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|CRIT|FATAL"
    rb"|SEVERE|ALERT|EMERG|CONFIG|FINE(?:R|ST)?)"
)

# How an event begins: a time, a level, a priority or a JSON object. Padding of up to three blanks is that of
# a right-aligned level; what is indented further belongs to the line before.
_BEGINS = re.compile(
    rb"""
    \ {0,3}
    (?: [\[(<]* (?:[A-Z][a-z]{2},?\ )?                       # a bracket and a weekday may precede a time
        (?: \d{4}[-/.]\d\d?[-/.]\d\d?                        # 2026-11-22, 2026/11/22
          | \d{1,2}[-/.](?:\d{1,2}|[A-Za-z]{3})[-/.]\d{2,4}  # 22/11/26, 22-Nov-2026
          | \d{2}[-.]\d{2}\ \d{2}:\d{2}:\d{2}                # 11-22 10:14:13
          | \d{6,8}[ T-]\d{2}:?\d{2}:?\d{2}                  # 081109 203615, 20261122T101413
          | \d{1,2}:\d{2}:\d{2}\b                            # 10:14:13
          | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\ {1,2}\d{1,2},?\ (?:\d{4}|\d{2}:\d{2})
          | \d{1,2}\ (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\ (?:\d{4}|\d{2}:\d{2})
          | \ *\d{1,7}\.\d{3,9}\]                            # the kernel's [    1.234567]
          | \d{1,7}:\d{8}:\d{6}                              # a padded process id and a compact time
          | 1\d{9}(?:\.\d+|\d{3})?\b                         # seconds or milliseconds since the epoch
        )
      | <\d{1,3}>                                            # a syslog priority
      | [IWEF]\d{4}\ \d\d:\d\d                               # klog
      | \[?"""
    + _LEVEL
    + rb"""\b[]:,|\ \t-]
      | (?:trace|trce|debug|dbug|info|warn|warning|error|fail|crit|critical|fatal)(?::\ |\ +\[|\[\d)
    )
    | \{\s*"                                                 # a JSON object
    | (?:time|timestamp|ts|t|at|level|lvl|msg)="?\S          # logfmt
    | -\ 1\d{9}\                                             # BGL and its like
    | \S+\ \S+\ \S+\ \[\d{1,2}/[A-Z][a-z]{2}/\d{4}:          # an access log
    | [DIWEFA],\ \[\d{4}-                                    # Ruby's Logger
    | type=[A-Z_]+\ msg=audit\(
    | \#\ Time:\ | =[A-Z ]+\ REPORT====[ ]
    """,
    re.VERBOSE,
)
# java.util.logging's two lines, month and half of the day in the words of any language.
_JUL_HEAD = re.compile(
    rb"[A-Za-z\x80-\xff]{3,20}\.? \d{1,2}, \d{4},? \d{1,2}:\d\d:\d\d "
    rb"(?:[^\s\d]{1,12}(?:\xc2\xa0|\xe2\x80\xaf| )?[Mm]?\.? )?[\w.$<>]+(?: [\w.$<>-]+)?$"
)
# Erlang, Oracle's alert log (a line with a time and nothing else), Android's logcat in its long form.
_REPORT_HEAD = re.compile(
    rb"=[A-Z ]+ REPORT==== "
    rb"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[A-Z]{2,5} )?\d{4}$"
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[+-]\d\d:\d\d$"
    rb"|\[ \d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +\d+: *\d+ [VDIWEFA]/.*\]$"
)
_LOGCAT_HEAD = b"[ "
_FAILURE = re.compile(rb"\b(?:ERROR|WARN|FATAL|SEVERE|CRITICAL)", re.IGNORECASE)
_SLOW_QUERY_HEAD = b"# User@Host: "
_JUL_LEVEL = re.compile(rb"[A-Za-z\x80-\xff]{2,36}: ")

_EXCEPTION_NAME = (
    rb"(?:[A-Za-z_]\w*[.:]{1,2})*"
    rb"[A-Z][\w$]*(?:Exception|Error|Throwable|Failure|Fault|Interrupt|Exit|Warning)[\w$]*"
)
_KINDS = re.compile(
    rb"""
      (?P<traceback> Traceback\ \(most\ recent\ call\ last\): | \s*\+\ Exception\ Group\ Traceback\ )
    | (?P<frame> \s+at\s+\S | \s+from\s+\S+:\d+: | \s*\.\.\.\ \d+\ (?:more|common\ frames\ omitted)
               | \s*Caused\ by:\s | \s*Suppressed:\s | \s*Wrapped\ by:\s
               | ---\ End\ of\ (?:inner\ exception\ )?stack\ trace | \s+---\ End\ of\ )
    | (?P<chain> During\ handling\ of\ the\ above\ exception,\ another
               | The\ above\ exception\ was\ the\ direct\ cause )
    | (?P<caret> \s+[\^~]+\s*$ )
    | (?P<indent> [ \t] )
    | (?P<closer> "?[\]})]+[;,]?\s*$ )
    | (?P<elixir> \*\*\ \([A-Z]|Last\ message|State:\ |Function:\ |\ *Args:\ |Queue:\ |Initial\ Call:\ )
    | (?P<goroutine> goroutine\ \d+\ .*\[ )
    | (?P<panic> panic:\ | fatal\ error:\ | SIG[A-Z]+:\  | unexpected\ fault\ address\ )
    | (?P<go> created\ by\ \S | \[signal\ SIG | \[originating\ from[ ] | exit\ status\ \d
            | r\w\w?\ +0x[0-9a-f]+$
            | [\w./$%*()\[\]{},\x80-\xff~-]+\((?:[0-9a-fx, .{}?_]*|\.\.\.)\)$ )
    | (?P<stack> (?:Stack\ trace|stack\ backtrace|Backtrace):$ | \[stacktrace\]$ | \#\d+\ +\S
               | note:\ run\ with\ `RUST_BACKTRACE | Node\.js\ v\d )
    | (?P<ruby> \S+\.rb:\d+:in\ )
    | (?P<rust> thread\ '[^']*'.*\ panicked\ at\  )
    | (?P<uncaught> Exception\ in\ thread\ "[^"]*"\ | Unhandled\ exception\.\  )
    | (?P<exception> (?:Uncaught\ )?"""
    + _EXCEPTION_NAME
    + rb"""(?::|\ \(|\ \[|$) )
    | (?P<word> [A-Za-z_][\w.]*(?::\ |:?$) )
    """,
    re.VERBOSE,
)
# Nearly every line begins with a digit, a bracket or the like and can be none of the above.
_MAY_CONTINUE = frozenset(b' \t.-])}"#_rnuptABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz[\x0b\x0c/*(%=')


class JoinedEvent(NamedTuple):
    """One event of a file.

    Attributes:
        value: Its lines, with a line feed between two.
        offset: Where its first line begins, in bytes of the uncompressed file.
        end: Where what follows its last line begins.
        lines: How many lines it has, blank ones inside included.
        blank: How many of them are blank.
        headers: Length and hash of the original where it was cut.
        gaps: Begins and ends of what lies between its lines and is other events'.
    """

    value: bytes
    offset: int
    end: int
    lines: int = 1
    blank: int = 0
    headers: Headers = ()
    gaps: tuple[tuple[int, int], ...] = ()


class _In(Enum):
    """What the event at hand has shown itself to be, as far as later lines depend on it."""

    PLAIN = auto()
    JUL = auto()
    """A java.util.logging head, whose second line has the level."""
    JUL_MESSAGE = auto()
    EXCEPTION = auto()
    """An exception's first line; its message may have more, before the frames."""
    TRACE = auto()
    """A stack trace."""
    TRACEBACK = auto()
    """A Python traceback, whose exception comes last."""
    TRACEBACK_DONE = auto()
    CHAINED = auto()
    """Between two tracebacks of one exception."""
    GO = auto()
    RUST = auto()
    """A Rust panic, whose message is the next line."""
    RUBY = auto()
    SLOW_QUERY = auto()
    """A statement in MySQL's slow query log, below its comments."""
    REPORT = auto()
    """What stands below a head of its own, until a blank line or the next head."""
    CARET = auto()
    """Source code with a marker below; the exception follows."""
    ELIXIR = auto()
    """An exception of Elixir or Erlang, with what the process was and had."""


class LineJoiner:
    """Takes the lines of one stream one by one and gives events.

    Args:
        enabled: Whether lines are joined at all; where not, every line that is not blank is an event.
        max_lines: The most lines of an event.
        max_bytes: The most bytes of an event; a single longer line stays as it is.
    """

    def __init__(self, *, enabled: bool = True, max_lines: int = MAX_LINES, max_bytes: int = MAX_VALUE_BYTES) -> None:
        self._enabled = enabled
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: list[Line] = []
        self._bytes = 0
        self._in = _In.PLAIN
        self._undecided: list[Line] = []
        self.blank = 0
        """Blank lines outside events so far."""

    @property
    def holds(self) -> bool:
        """Whether an event is at hand that may still grow."""
        return bool(self._lines)

    @property
    def begin(self) -> int | None:
        """Where the event at hand begins."""
        return self._lines[0].offset if self._lines else None

    def feed(self, line: Line) -> list[JoinedEvent]:
        """Take the next line; gives the events that it shows to be complete."""
        data = line.data
        if not data or data.isspace():
            return self._feed_blank(line)
        if not self._lines:
            self._begin(line)
            return []
        following = self._following(data) if self._enabled else None
        if following is not None and self._fits(line):
            for waiting in self._undecided:
                self._append(waiting)
            self._undecided = []
            self._append(line)
            self._in = following
            return []
        if following is None and self._may_be_message(data):
            self._undecided.append(line)
            return []
        if self._undecided:
            return self._release() + self.feed(line)
        events = self._end()
        self._begin(line)
        return events

    def flush(self) -> list[JoinedEvent]:
        """End the event at hand; gives it, and what waited behind it."""
        events = self._release() + self._end()
        self.blank += len(self._undecided)
        self._undecided = []
        return events

    def _feed_blank(self, line: Line) -> list[JoinedEvent]:
        """A blank line may be one inside a trace: what follows decides."""
        if not self._lines:
            self.blank += 1
            return []
        self._undecided.append(line)
        return self._release() if len(self._undecided) > _MAX_UNDECIDED else []

    def _may_be_message(self, data: bytes) -> bool:
        """Whether a line may belong to the message of an exception, whose frames are still to come.

        So may an exception that a blank line parts from the event (Spring Boot's console).
        """
        if self._in is _In.PLAIN and self._undecided and len(self._lines) == 1:
            first = self._lines[0].data
            blank = all(not line.data or line.data.isspace() for line in self._undecided)
            return blank and begins_event(first) and _FAILURE.search(first) is not None and _kind(data) == "exception"
        return (
            self._in is _In.EXCEPTION
            and len(self._undecided) < _MAX_UNDECIDED
            and not begins_event(data)
            and _beginning(data) is _In.PLAIN
        )

    def _release(self) -> list[JoinedEvent]:
        """Give up waiting: what is undecided continues nothing."""
        waiting, self._undecided = self._undecided, []
        events = self._end() if waiting else []
        for line in waiting:
            events += self.feed(line)
        return events

    def _begin(self, line: Line) -> None:
        self.blank += len(self._undecided)
        self._undecided = []
        self._lines = [line]
        self._bytes = len(line.data)
        self._in = _beginning(line.data)

    def _append(self, line: Line) -> None:
        self._lines.append(line)
        self._bytes += 1 + len(line.data)

    def _fits(self, line: Line) -> bool:
        waiting = sum(1 + len(other.data) for other in self._undecided)
        return (
            not line.headers
            and len(self._lines) + len(self._undecided) < self._max_lines
            and self._bytes + waiting + 1 + len(line.data) <= self._max_bytes
        )

    def _end(self) -> list[JoinedEvent]:
        lines = self._lines
        if not lines:
            return []
        self._lines = []
        first = lines[0]
        if len(lines) == 1:
            return [JoinedEvent(first.data, first.offset, first.end, 1, 0, first.headers)]
        blank = sum(not line.data or line.data.isspace() for line in lines)
        value = b"\n".join([line.data for line in lines])
        return [JoinedEvent(value, first.offset, lines[-1].end, len(lines), blank)]

    def _following(self, data: bytes) -> _In | None:
        """What the event is when this line continues it; ``None`` when it does not."""
        now = self._in
        if now is _In.JUL:
            return _In.JUL_MESSAGE if _JUL_LEVEL.match(data) and not self._undecided else None
        if now is _In.RUST and not self._undecided and len(self._lines) == 1:
            return None if begins_event(data) else _In.RUST
        if now in (_In.SLOW_QUERY, _In.REPORT):
            own_head = data.startswith(_SLOW_QUERY_HEAD) and len(self._lines) > 1
            if now is _In.REPORT and self._lines[0].data.startswith(_LOGCAT_HEAD):
                # A message may begin with a level's word, as "FATAL EXCEPTION: main" does.
                begins = data.startswith(_LOGCAT_HEAD) or (begins_event(data) and not data[:1].isalpha())
                return None if self._undecided or begins else now
            return None if self._undecided or own_head or begins_event(data) else now
        if data[0] not in _MAY_CONTINUE:
            return None
        kind = _kind(data)
        if kind is None or begins_event(data):
            return None
        first = self._lines[0].data
        alone = not self._undecided and len(self._lines) == (2 if now is _In.JUL_MESSAGE else 1)
        match kind:
            case "frame":
                return _In.TRACEBACK if now is _In.TRACEBACK else _In.GO if now is _In.GO else _In.TRACE
            case "caret":
                return now if now in (_In.TRACEBACK, _In.TRACE) else _In.CARET
            case "indent":
                if now is _In.PLAIN and first[0] in b" \t" and not begins_event(first):
                    return None
                return _In.TRACE if now is _In.EXCEPTION and not self._undecided else now
            case "closer":
                last = self._lines[-1].data
                open_value = data[:1] == b'"' and now is _In.TRACE
                return now if len(self._lines) > 1 and (open_value or last[:1] in (b" ", b"\t")) else None
            case "elixir":
                return _In.ELIXIR if now is _In.ELIXIR or (data[0] == 0x2A and alone and begins_event(first)) else None
            case "traceback":
                return _In.TRACEBACK if now is _In.CHAINED or (alone and begins_event(first)) else None
            case "chain":
                return _In.CHAINED if now is _In.TRACEBACK_DONE else None
            case "goroutine":
                return _In.GO if now is _In.GO or (alone and begins_event(first)) else None
            case "panic" | "go":
                return _In.GO if now is _In.GO else None
            case "stack":
                return _In.TRACE if now is not _In.PLAIN or (alone and begins_event(first)) else None
            case "ruby":
                return _In.RUBY if now in (_In.RUBY, _In.EXCEPTION) and not data.endswith(b")") else None
            case "exception" | "word" if now is _In.TRACEBACK and not self._undecided:
                return _In.TRACEBACK_DONE
            case "exception" if now is _In.CARET or (alone and (now is _In.JUL_MESSAGE or begins_event(first))):
                return _In.EXCEPTION
            case _:
                return None


def begins_event(data: bytes) -> bool:
    """Whether a line shows by itself that it begins an event: by a time, a level, a priority, an object."""
    return _BEGINS.match(data) is not None


def _kind(data: bytes) -> str | None:
    match = _KINDS.match(data)
    return match.lastgroup if match else None


def _beginning(data: bytes) -> _In:
    """What an event is, going by its first line."""
    if data[0] not in _MAY_CONTINUE:
        return _In.REPORT if _REPORT_HEAD.match(data) else _In.PLAIN
    if _JUL_HEAD.match(data):
        return _In.JUL
    if data.startswith((b"# Time: ", _SLOW_QUERY_HEAD)):
        return _In.SLOW_QUERY
    if _REPORT_HEAD.match(data):
        return _In.REPORT
    match _kind(data):
        case "traceback":
            return _In.TRACEBACK
        case "exception" | "uncaught":
            return _In.EXCEPTION
        case "panic" | "goroutine":
            return _In.GO
        case "ruby":
            return _In.RUBY
        case "rust":
            return _In.RUST
        case _:
            return _In.PLAIN
