"""The oracle of extraction: one line at a time with Python's ``re``; slow, plain, and right by definition."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from logsluice.extract import decode
from logsluice.extract.bounded import unbounded_search
from logsluice.extract.facts import find_facts
from logsluice.extract.registry import Registry
from logsluice.extract.schema import FOUND, LABELS, REASON, TAGS, output_schema
from logsluice.extract.values import read_value
from logsluice.formats import Format, KeyedEvent, normalize, read_json, read_logfmt
from logsluice.regex.timeout import RegexTimeoutError, time_limit

LINE_SECONDS: Final = 10.0
"""How long all of a line may take."""

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
        if found.wraps and texts.get("message"):
            found, texts, labels = self._unwrap(found, texts, labels, reference_ms)
        texts.setdefault("message", text)
        instant = texts.pop("@timestamp", None)
        row["@timestamp"] = None if instant is None else int(instant)
        if self._put_header(texts, labels, row):
            row[TAGS].append(decode.WRONG_TYPE)
        row["event.dataset"] = found.name
        if row["@timestamp"] is not None:
            tag = decode.timestamp_tag(row["@timestamp"], reference_ms)
            row[TAGS] += [tag] if tag else []
        patterns = self._registry.patterns.patterns
        row[FOUND], facts = find_facts(patterns, row["message"], reference_ms, self._zone, unbounded_search)
        row |= {field: value for field, value in facts.items() if row.get(field) is None}
        if row["@timestamp"] is None:
            row["@timestamp"] = reference_ms * 1000
        row[LABELS] = decode.labels_text(labels) if labels else None

    def _unwrap(self, outer: Format, texts: _Texts, labels: _Texts, reference_ms: int) -> tuple[Format, _Texts, _Texts]:
        """Detect the format of the message as a line of its own; what it says wins over what is around it."""
        message = decode.bare(texts["message"])
        try:
            inner, inner_texts, inner_labels = self._detect(message, reference_ms, True)
        except _RejectedError:
            return outer, texts, labels
        inner_texts.setdefault("message", message)
        plain = inner is self._registry.formats[-1]
        return outer if plain else inner, {**texts, **inner_texts}, {**labels, **inner_labels}

    def _detect(self, text: str, reference_ms: int, cut: bool) -> tuple[Format, _Texts, _Texts]:
        """The format that takes the line, its texts by field (``@timestamp`` in microseconds), its labels."""
        if text.startswith("{"):
            event = read_json(text, (entry for entry in self._registry.formats if entry.kind == "json"))
            if event is not None:
                return self._of_keyed(event, reference_ms)
            if not cut and decode.claims_json(text):
                raise _RejectedError(decode.INVALID_JSON)
        for entry in self._registry.formats:
            if entry.kind == "regex" and entry.regex is not None:
                match = entry.regex.python.fullmatch(text)
                if match is not None:
                    texts = {entry.fields[group]: part for group, part in match.groupdict().items() if part is not None}
                    return self._of_texts(entry, texts, {}, reference_ms)
            elif entry.kind == "logfmt":
                event = read_logfmt(text, (entry,))
                if event is not None:
                    return self._of_keyed(event, reference_ms)
        raise AssertionError("the last format takes every line")

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
        return found, normalize(there, found, reference_ms, self._zone), labels

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
