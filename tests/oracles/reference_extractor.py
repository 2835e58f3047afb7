"""The oracle of extraction: one line at a time with Python's ``re``; slow, plain, and right by definition."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from logsluice.event.addresses import ADDRESS_FIELDS, find_addresses, sole_source
from logsluice.extract import decode
from logsluice.extract.bounded import unbounded_search
from logsluice.extract.event_time import is_same_clock
from logsluice.extract.facts import find_facts
from logsluice.extract.layers import MOST_LAYERS, inner_reference_ms, names_zone, settled_instant
from logsluice.extract.registry import Registry
from logsluice.extract.schema import FOUND, LABELS, REASON, RELATED, TAGS, output_schema
from logsluice.extract.severity import STATUS, outcome_of
from logsluice.extract.text_names import names_in_text
from logsluice.extract.urls import PATH, WHOLE, url_parts
from logsluice.extract.values import read_value
from logsluice.formats import (
    TIME_REMARKS,
    Format,
    KeyedEvent,
    labels_text,
    normalize,
    read_json,
    read_logfmt,
    with_pairs,
)
from logsluice.formats.timestamps import DATELESS
from logsluice.regex.timeout import RegexTimeoutError, time_limit

LINE_SECONDS: Final = 10.0
"""How long all of a line may take."""

_WRITTEN: Final = "timestamp as written"

_Texts = dict[str, str]


class _RejectedError(Exception):
    """The line cannot be read; the argument is the reason."""


class ReferenceExtractor:
    """Extracts line by line what :class:`logsluice.extract.ColumnarExtractor` does column by column."""

    def __init__(self, registry: Registry, time_zone: str = "UTC") -> None:
        self._registry = registry
        self._zone = time_zone
        self._fields = registry.fields
        self.schema = output_schema(self._fields)

    def extract(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Extract from a batch of :data:`~logsluice.extract.schema.INPUT_SCHEMA`."""
        decoded = decode.decode(batch["value"])
        rows = []
        lines = zip(
            decoded.texts.to_pylist(),
            *(batch[name].to_pylist() for name in ("reference_ms", "original_length", "original_sha256")),
            strict=True,
        )
        for number, (text, reference_ms, length, digest) in enumerate(lines):
            row: dict[str, Any] = {TAGS: [], "event.original": text}
            if number in decoded.undecodable:
                row[TAGS].append(decode.INVALID_UTF8)
                row["logsluice.original_bytes"] = decoded.undecodable[number]
            if length is not None:
                row[TAGS].append(decode.CUT)
                row |= {"logsluice.original_length": length, "event.hash": digest}
            try:
                with time_limit(LINE_SECONDS):
                    self._read_line(text, reference_ms, length is not None, row)
            except RegexTimeoutError:
                row = {REASON: decode.REGEX_TIMEOUT, TAGS: [], "event.original": text}
            except _RejectedError as rejected:
                row = {REASON: rejected.args[0], TAGS: [], "event.original": text}
            rows.append({name: value for name, value in row.items() if value != []})
        columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _read_line(self, original: str | None, reference_ms: int, cut: bool, row: dict[str, Any]) -> None:
        if original is None:
            raise _RejectedError(decode.TOMBSTONE)
        if not original.strip(decode.BLANK):
            raise _RejectedError(decode.EMPTY)
        text = decode.bare(original)
        found, texts, labels = self._detect(text, reference_ms, cut)
        innermost: Format | None = found
        for _ in range(MOST_LAYERS):
            if innermost is None or not innermost.wraps or not texts.get("message"):
                break
            innermost, texts, labels = self._unwrap(texts, labels, reference_ms)
            found = innermost or found
        texts.setdefault("message", text)
        texts.pop(_WRITTEN, None)
        instant, remarks = texts.pop("@timestamp", None), int(texts.pop(TIME_REMARKS, "0"))
        row["@timestamp"] = None if instant is None else int(instant)
        if self._put_header(texts, labels, row):
            row[TAGS].append(decode.WRONG_TYPE)
        row["event.dataset"] = found.name
        dateless = row["@timestamp"] if remarks == DATELESS else None
        if dateless is not None:
            row["@timestamp"] = None
        self._put_facts(row, reference_ms, remarks, dateless)
        row[LABELS] = labels_text(labels) if labels else None

    def _put_facts(self, row: dict[str, Any], reference_ms: int, remarks: int, dateless: int | None) -> None:
        """What patterns find, where the header has not said it; a time with a date wins over one without."""
        patterns, own = self._registry.patterns.patterns, self._registry.patterns.own
        row[FOUND] = []
        for several in (patterns[:own], None, patterns[own:]):
            if several is None:
                values = names_in_text(self._registry.vocabulary, self._fields, row["message"])
            else:
                known = {field for field, value in row.items() if value is not None}
                facts = find_facts(several, row["message"], reference_ms, self._zone, unbounded_search, known)
                row[FOUND] += facts.patterns
                values = facts.values
                if row["@timestamp"] is None:
                    remarks = facts.time_remarks
            row |= {field: value for field, value in values.items() if row.get(field) is None}
        in_message = find_addresses(row["message"])
        roles = {row.get("source.ip"), row.get("client.ip")}
        if roles == {None} and len(in_message) == 1 and in_message[0] != row.get("destination.ip"):
            row["source.ip"] = sole_source(row["message"], in_message[0])
        by_field = [row[field] for field in ADDRESS_FIELDS if row.get(field) is not None]
        row[RELATED] = list(dict.fromkeys([*by_field, *in_message]))
        if row.get(WHOLE) is not None and row.get(PATH) is None:
            row |= {field: part for field, part in url_parts(row[WHOLE]).items() if row.get(field) is None}
        if row.get(STATUS) is not None and row.get("event.outcome") is None:
            row["event.outcome"] = outcome_of(row[STATUS])
        instant = row["@timestamp"]
        if dateless is not None and (instant is None or not is_same_clock(instant, dateless)):
            row["@timestamp"], remarks = dateless, DATELESS
        if row["@timestamp"] is None:
            row[TAGS].append(decode.TIMESTAMP_MISSING)
            row["@timestamp"] = reference_ms * 1000
        else:
            row[TAGS] += decode.timestamp_tags(row["@timestamp"], remarks, reference_ms)

    def _unwrap(self, texts: _Texts, labels: _Texts, reference_ms: int) -> tuple[Format | None, _Texts, _Texts]:
        """Detect the format of the message as a line of its own; what it says wins over what is around it."""
        message = decode.bare(texts["message"])
        outer = int(texts["@timestamp"]) if "@timestamp" in texts else None
        zoned = texts.get(_WRITTEN) is not None and names_zone(texts[_WRITTEN])
        seen_ms = inner_reference_ms(outer, reference_ms)
        found = self._detected(message, seen_ms, inside=True)
        if found is None:
            return None, {**texts, "message": message}, labels
        inner, inner_texts, inner_labels = found
        inner_texts.setdefault("message", message)
        if "@timestamp" in inner_texts:
            instant = settled_instant(inner_texts.get(_WRITTEN), int(inner_texts.pop("@timestamp")), outer, zoned)
            remarks = int(inner_texts.pop(TIME_REMARKS, "0"))
            if instant is not None:
                inner_texts["@timestamp"] = str(instant)
                inner_texts[TIME_REMARKS] = str(remarks if outer is None else remarks & ~DATELESS)
        return inner, {**texts, **inner_texts}, {**labels, **inner_labels}

    def _detect(self, text: str, reference_ms: int, cut: bool) -> tuple[Format, _Texts, _Texts]:
        """The format that takes the line, its texts by field (``@timestamp`` in microseconds), its labels."""
        if not cut and decode.claims_json(text) and self._json_event(text) is None:
            raise _RejectedError(decode.INVALID_JSON)
        found = self._detected(text, reference_ms, inside=False)
        assert found is not None, "the last format takes every line"
        return found

    def _json_event(self, text: str) -> KeyedEvent | None:
        return read_json(text, (entry for entry in self._registry.formats if entry.kind == "json"))

    def _detected(self, text: str, reference_ms: int, *, inside: bool) -> tuple[Format, _Texts, _Texts] | None:
        if text.startswith("{"):
            event = self._json_event(text)
            if event is not None:
                return self._of_keyed(event, reference_ms)
        for entry in self._registry.formats:
            if inside and entry.standalone:
                continue
            if entry.kind == "regex" and entry.regex is not None:
                match = entry.regex.python.fullmatch(text)
                if match is not None:
                    texts = {entry.fields[group]: part for group, part in match.groupdict().items() if part is not None}
                    texts = with_pairs(entry, match.groupdict(), texts)
                    return self._of_texts(entry, texts, {}, reference_ms)
            elif entry.kind == "logfmt":
                event = read_logfmt(text, (entry,))
                if event is not None:
                    return self._of_keyed(event, reference_ms)
        return None

    def _of_keyed(self, event: KeyedEvent, reference_ms: int) -> tuple[Format, _Texts, _Texts]:
        texts = dict(event.fields)
        for field, text in (
            ("@timestamp", event.timestamp),
            ("log.level", event.level),
            ("message", event.message),
        ):
            if text is not None:
                texts[field] = text
        return self._of_texts(event.format, texts, dict(event.labels), reference_ms)

    def _of_texts(
        self, found: Format, texts: _Texts, labels: _Texts, reference_ms: int
    ) -> tuple[Format, _Texts, _Texts]:
        there = {field: text for field, text in texts.items() if text or field == "message"}
        normal = normalize(there, found, reference_ms, self._zone)
        if "@timestamp" in there:
            normal[_WRITTEN] = there["@timestamp"]
        return found, normal, labels

    def _put_header(self, texts: _Texts, labels: _Texts, row: dict[str, Any]) -> bool:
        """Give the header's texts their types; what does not fit becomes a label. Whether anything did not."""
        wrong = False
        for field, text in texts.items():
            value = read_value(text, self._fields[field])
            if value is None:
                labels[field] = text
                wrong = True
            row[field] = value
        return wrong
