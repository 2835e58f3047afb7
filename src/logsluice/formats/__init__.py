"""Formats: how a log line begins, and which fields its header gives."""

from logsluice.formats.json_events import read_json
from logsluice.formats.keyed import KeyedEvent, labels_text
from logsluice.formats.levels import LEVEL_BY_SPELLING, SYSLOG_SEVERITIES, normalize_level, split_priority
from logsluice.formats.logfmt import read_logfmt
from logsluice.formats.model import Format
from logsluice.formats.normalization import TIME_REMARKS, normalize
from logsluice.formats.pairs import with_pairs
from logsluice.formats.registry import load_formats
from logsluice.formats.timestamps import parse_timestamp, parse_timestamps, read_timestamp, read_timestamps

__all__ = [
    "LEVEL_BY_SPELLING",
    "SYSLOG_SEVERITIES",
    "TIME_REMARKS",
    "Format",
    "KeyedEvent",
    "labels_text",
    "load_formats",
    "normalize",
    "normalize_level",
    "parse_timestamp",
    "parse_timestamps",
    "read_json",
    "read_logfmt",
    "read_timestamp",
    "read_timestamps",
    "split_priority",
    "with_pairs",
]
