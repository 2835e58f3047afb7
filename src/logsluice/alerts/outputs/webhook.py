"""Notifications over HTTP, in the format of Slack's incoming webhooks.

The headers are those of Standard Webhooks (https://www.standardwebhooks.com, version 1): ``webhook-id`` is the same
however often a notification is sent, ``webhook-timestamp`` the moment of sending in seconds since the epoch, and, where
there is a secret, ``webhook-signature`` is ``v1,`` and the base64 of the HMAC-SHA256 (RFC 2104) of
``<id>.<timestamp>.<body>``. A receiver works it out anew, compares in constant time, and turns away old timestamps.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from binascii import Error as Base64Error
from html import escape
from http import HTTPStatus
from typing import Any, Final

import httpx
import orjson

from logsluice import __version__
from logsluice.alerts.documents import Notification, headline
from logsluice.alerts.outputs.notification_worker import NotificationRefusedError, RetryLaterError
from logsluice.errors import LogsluiceError
from logsluice.settings import AlertSettings

_SECONDS: Final = 10.0
_LONGEST_TEXT: Final = 2_000
_LONGEST_ABOUT: Final = 800
_LONGEST_WAIT: Final = 3_600.0
_KEY_PREFIX: Final = "whsec_"
_ICONS: Final = {"critical": ":red_circle:", "warning": ":warning:"}
# Of this body the receiver says that it is wrong; other 4xx mean that the URL or its rights are.
_NEVER: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)


class WebhookOutput:
    """A POST for each alert that opens or resolves.

    Raises:
        LogsluiceError: The URL is none, or the secret not what it looks like.
    """

    name = "webhook"

    def __init__(self, settings: AlertSettings) -> None:
        if settings.webhook_url is None:
            raise LogsluiceError("there is no webhook", hint="set LOGSLUICE_ALERTS__WEBHOOK_URL")
        self._url = settings.webhook_url.get_secret_value()
        if not self._url.startswith(("https://", "http://")):
            raise LogsluiceError("is no URL", where="LOGSLUICE_ALERTS__WEBHOOK_URL", hint="it begins with https://")
        self._key = key_of(settings.webhook_secret.get_secret_value()) if settings.webhook_secret else None
        self._client = httpx.Client(timeout=_SECONDS, headers={"user-agent": f"logsluice/{__version__}"})

    def notify(self, notification: Notification) -> None:
        """Send it.

        Raises:
            NotificationRefusedError: The receiver says that it is malformed.
            RetryLaterError: The receiver asks for time.
            httpx.HTTPError: It did not arrive.
        """
        body = orjson.dumps(slack_message(notification))
        name, now = webhook_id(notification), int(time.time())
        headers = {"content-type": "application/json", "webhook-id": name, "webhook-timestamp": str(now)}
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, name, now, body)
        try:
            response = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from None
        if response.is_success:
            return
        reason = f"the webhook answered {response.status_code}"
        if response.status_code in _NEVER:
            raise NotificationRefusedError(f"{reason}: {response.text[:200]!r}")
        raise RetryLaterError(reason, _retry_after(response))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def webhook_id(notification: Notification) -> str:
    """A notification's name in a header: ASCII, without dots."""
    return "alert_" + hashlib.sha256(notification.id.encode()).hexdigest()[:32]


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: ``whsec_`` and base64, or any other text as it is.

    Raises:
        LogsluiceError: What follows ``whsec_`` is not base64.
    """
    if not secret.startswith(_KEY_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
    except Base64Error:
        raise LogsluiceError(
            "is not base64 after whsec_", where="LOGSLUICE_ALERTS__WEBHOOK_SECRET", hint="copy it anew, or use any text"
        ) from None


def sign(key: bytes, name: str, timestamp: int, body: bytes) -> str:
    """The signature of a message, as Standard Webhooks has it."""
    digest = hmac.new(key, b"%b.%d.%b" % (name.encode(), timestamp, body), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def slack_message(notification: Notification) -> dict[str, Any]:
    """A notification in the format of Slack's incoming webhooks: ``text`` for previews, ``blocks`` for the page."""
    alert = notification.alert
    icon = ":white_check_mark:" if notification.transition == "resolved" else _ICONS[alert.severity]
    words = (
        f"{icon} *{notification.transition.capitalize()}* {escape(headline(notification)[:_LONGEST_TEXT], quote=False)}"
    )
    # Slack's address of a link ends at the first bar.
    link = f"<{escape(alert.url.replace('|', '%7C'), quote=False)}|Logs>"
    rule = f"{alert.key.rule} · {alert.key.service} · {alert.description}"[:_LONGEST_ABOUT]
    about = f"{link} · {escape(rule, quote=False)}"
    return {
        "text": words,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": words}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": about}]},
        ],
    }


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT) if text.isdigit() else 0.0
