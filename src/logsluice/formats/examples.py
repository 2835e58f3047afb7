"""Holds formats to their own examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from logsluice.formats.json_events import read_json
from logsluice.formats.keyed import KeyedEvent
from logsluice.formats.logfmt import read_logfmt
from logsluice.formats.model import Example, Format
from logsluice.formats.normalization import normalize
from logsluice.formats.pairs import with_pairs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_examples(formats: Sequence[Format], of: Sequence[Format] | None = None) -> list[str]:
    """Read examples with all formats in order of precedence.

    Args:
        formats: All there are.
        of: Those whose examples are read; all where left out.

    Returns:
        One line for each example that another format takes, or of which something else is read than it says.
    """
    owners = formats if of is None else of
    return [problem for own in owners for example in own.examples for problem in _problems(own, example, formats)]


def _problems(own: Format, example: Example, formats: Sequence[Format]) -> Iterator[str]:
    reference_ms = int(datetime.fromisoformat(example.reference).timestamp() * 1000)
    found = first_match(example.line, formats, reference_ms)
    if found is None:
        yield f"{own.name}: no format takes {example.line!r}"
        return
    winner, fields = found
    if winner.name != own.name:
        yield f"{own.name}: {winner.name} takes {example.line!r}"
        return
    for field, expected in example.fields.items():
        actual = fields.get(field)
        if field == "@timestamp" and expected is not None:
            since = datetime.fromisoformat(str(expected)).astimezone(UTC) - _EPOCH
            expected = str(since // timedelta(microseconds=1))
        if actual != (None if expected is None else str(expected)):
            yield f"{own.name}: {field} of {example.line!r} is {actual!r}, not {expected!r}"


def first_match(
    text: str, formats: Sequence[Format], reference_ms: int, zone: str = "UTC"
) -> tuple[Format, dict[str, str]] | None:
    """Find the first format that takes an event, and the texts it gives by field.

    ``@timestamp`` comes as microseconds since the epoch, labels as ``labels.<key>``. What wraps is not opened.
    """
    for candidate in formats:
        if candidate.kind != "regex":
            read = read_json if candidate.kind == "json" else read_logfmt
            event = read(text, (candidate,))
            if event is not None:
                return candidate, _of_keyed(event, text, reference_ms, zone)
        elif candidate.regex is not None and (match := candidate.regex.python.fullmatch(text)):
            texts = {candidate.fields[name]: part for name, part in match.groupdict().items() if part is not None}
            texts = with_pairs(candidate, match.groupdict(), texts)
            return candidate, normalize({"message": text} | texts, candidate, reference_ms, zone)
    return None


def _of_keyed(event: KeyedEvent, text: str, reference_ms: int, zone: str) -> dict[str, str]:
    texts = {"message": text, **event.fields, **{f"labels.{key}": label for key, label in event.labels.items()}}
    if event.timestamp is not None:
        texts["@timestamp"] = event.timestamp
    if event.level is not None:
        texts["log.level"] = event.level
    if event.message is not None:
        texts["message"] = event.message
    return normalize(texts, event.format, reference_ms, zone)
