"""An alert, its document as it is stored and sent, and the notification of a transition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from logsluice.alerts.conditions import EVERY_SERVICE
from logsluice.alerts.evaluator import Evaluation
from logsluice.alerts.rules import Rule, Severity
from logsluice.alerts.states import Detection, Episode, Key, Transition
from logsluice.alerts.windows import WINDOW_SECONDS, minute_of, moment_of
from logsluice.event.identity import bounded_id
from logsluice.event.moments import iso

_LINK_MARGIN_MINUTES: Final = 5
_EMPTY_PARAMETER: Final = re.compile(r"(?<=[?&])[a-z]+=(?:&|$)")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of a rule; ``pending`` are the outputs still to be notified, as ``<output>:<transition>``."""

    key: Key
    severity: Severity
    description: str
    episode: Episode
    url: str
    pending: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Its identity: rule, service, and the minute it opened; for a class of error, that too."""
        return alert_id(self.key, self.episode.opened)

    @property
    def status(self) -> str:
        """``open`` or ``resolved``."""
        return "open" if self.episode.resolved is None else "resolved"


class Notification(NamedTuple):
    """A transition of an alert, as it was at that moment, to be sent to the outputs."""

    alert: Alert
    transition: Transition

    @property
    def id(self) -> str:
        """The same however often it is sent."""
        return f"{self.alert.id}|{self.transition}"

    @property
    def at(self) -> datetime:
        """When the alert opened, or when what it was about ended."""
        episode = self.alert.episode
        return moment_of(episode.opened if self.transition == "opened" or not episode.resolved else episode.resolved)


def alert_id(key: Key, opened: int) -> str:
    """An alert's identity."""
    return bounded_id("|".join(filter(None, (key.rule, key.service, iso(moment_of(opened)), key.error_type))))


def alert_of(evaluation: Evaluation, link: str, pending: frozenset[str] = frozenset()) -> Alert:
    """The alert that an evaluation is about; ``link`` is the template of its link, as in the settings."""
    rule, key, episode, _ = evaluation
    return Alert(key, rule.severity, rule.description, episode, link_of(rule, key, episode, link), pending)


def link_of(rule: Rule, key: Key, episode: Episode, link: str) -> str:
    """The URL of the logs around an alert."""
    filled = link.format_map(
        {
            "from": quote(iso(moment_of(episode.opened - _LINK_MARGIN_MINUTES)), safe=""),
            "to": quote(iso(moment_of(episode.last + 1 + _LINK_MARGIN_MINUTES)), safe=""),
            "service": "" if key.service == EVERY_SERVICE else quote(key.service, safe=""),
            "level": rule.LEVEL,
            "rule": quote(rule.name, safe=""),
        }
    )
    return _EMPTY_PARAMETER.sub("", filled).rstrip("?&")


def document_of(alert: Alert) -> dict[str, Any]:
    """An alert as JSON: Elastic Common Schema, and ``alert.*`` for what that lacks."""
    key, episode = alert.key, alert.episode
    opened = moment_of(episode.opened)
    document: dict[str, Any] = {
        "@timestamp": iso(opened),
        "alert": {
            "id": alert.id,
            "status": alert.status,
            "severity": alert.severity,
            "value": episode.detection.value,
            "threshold": episode.detection.threshold,
            "last_seen": iso(moment_of(episode.last)),
            "pending": sorted(alert.pending),
        },
        "event": {"kind": "alert", "start": iso(opened), "url": alert.url},
        "message": episode.detection.text,
        "rule": {"name": key.rule, "description": alert.description},
        "service": {"name": key.service},
    }
    if key.error_type is not None:
        document["error"] = {"type": key.error_type}
    if episode.resolved is not None:
        document["event"]["end"] = iso(moment_of(episode.resolved))
        document["event"]["duration"] = (episode.resolved - episode.opened) * WINDOW_SECONDS * 1_000_000_000
    return document


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert's document for others than the job: which outputs are still to be notified is nobody's business."""
    document = document_of(alert)
    del document["alert"]["pending"]
    return document


def alert_from(document: Mapping[str, Any]) -> Alert:
    """An alert from its document."""
    alert, event = document["alert"], document["event"]
    key = Key(document["rule"]["name"], document["service"]["name"], document.get("error", {}).get("type"))
    return Alert(
        key,
        alert["severity"],
        document["rule"]["description"],
        Episode(
            _minute(event["start"]),
            _minute(alert["last_seen"]),
            Detection(alert["value"], alert["threshold"], document["message"]),
            _minute(event["end"]) if "end" in event else None,
        ),
        event["url"],
        frozenset(alert.get("pending", ())),
    )


def _minute(text: str) -> int:
    return minute_of(datetime.fromisoformat(text))


def headline(notification: Notification) -> str:
    """What happened, in a line: for people."""
    alert, episode = notification.alert, notification.alert.episode
    if notification.transition == "opened":
        return f"{alert.severity}: {episode.detection.text}"
    minutes = (episode.resolved or episode.last + 1) - episode.opened
    return f"resolved after {minutes} min: {episode.detection.text}"
