"""The overview's row of the HTTP API."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.units import BytesIEC, PercentUnit, RequestsPerSecond, Seconds

from grafana.panels import EVENTS, Panel, Query, lines, number, rate, select, states

_POSTS: Final = ('method="POST"', 'route=~"/logs|/logs/batch|/v1/logs"')
_QUESTIONS: Final = ('method="GET"', 'route=~"/list-logs|/logs|/logs/.id.|/results/.id.|/search|/stats"')
_OPEN: Final = select("logsluice_api_breaker_state", 'state="open"')


def api() -> list[Panel]:
    """What comes in and goes out over HTTP, how fast, and what is refused."""
    return [
        lines(
            "Requests",
            Query(f"sum by (method, route) ({rate('logsluice_api_requests_total')})", "{{method}} {{route}}"),
            unit=RequestsPerSecond,
            width=12,
        ),
        lines(
            "Answers by status",
            Query(f"sum by (status) ({rate('logsluice_api_requests_total')})", "{{status}}"),
            unit=RequestsPerSecond,
            width=12,
            stacked=True,
            description="499: the client went away before it was answered.",
        ),
        lines("Time of a post", *_quantiles(*_POSTS), unit=Seconds, width=12),
        lines("Time of a question", *_quantiles(*_QUESTIONS), unit=Seconds, width=12),
        lines(
            "Posted events",
            Query(f"sum by (kind, outcome) ({rate('logsluice_api_events_total')})", "{{kind}}: {{outcome}}"),
            unit=EVENTS,
            width=12,
        ),
        lines(
            "Refused by the guard",
            Query(f"sum by (reason) ({rate('logsluice_api_refused_total')})", "{{reason}}"),
            unit=RequestsPerSecond,
            width=12,
        ),
        states(
            "Parts that the API counts on",
            Query(f"1 - max by (part) ({_OPEN})", "{{part}}"),
            description="Down while the breaker of a part is open: posts are refused, or buffered.",
        ),
        lines(
            "Answers from the cache",
            Query(
                f"sum by (environment) ({rate('logsluice_api_cache_total', _HIT)})"
                f" / sum by (environment) ({rate('logsluice_api_cache_total')})",
                "{{environment}}",
            ),
            unit=PercentUnit,
            most=1,
            description="Of the questions whose answers do not change.",
        ),
        number("Waiting on disk", f"sum({select('logsluice_api_buffer_bytes')})", unit=BytesIEC, none="0", bad_above=1),
        number("Followers of the tail", f"sum({select('logsluice_api_tails')})", none="0"),
    ]


_HIT: Final = 'outcome="hit"'


def _quantiles(*matchers: str) -> list[Query]:
    durations = f"sum by (le) ({rate('logsluice_api_request_duration_seconds_bucket', *matchers)})"
    shares = {"median": 0.5, "95 %": 0.95, "99 %": 0.99}
    return [Query(f"histogram_quantile({share}, {durations})", name) for name, share in shares.items()]
