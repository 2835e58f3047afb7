"""The methods of requests: HTTP's and those of the protocols that follow it.

Sources: IANA's registry of HTTP methods (RFC 9110, RFC 5789, WebDAV and its versioning and calendars), RTSP (RFC 7826),
UPnP (``NOTIFY``, ``M-SEARCH``), caches (``PURGE``), CouchDB and Solr (``VIEW``).
"""

from __future__ import annotations

from typing import Final

METHODS: Final = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH",
    "MKCOL", "MKCALENDAR", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL", "BIND", "UNBIND", "REBIND",
    "CHECKOUT", "CHECKIN", "UNCHECKOUT", "VERSION-CONTROL", "MERGE", "MKACTIVITY", "MKWORKSPACE", "LABEL",
    "UPDATE", "BASELINE-CONTROL", "ORDERPATCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH", "PURGE", "QUERY",
    "LINK", "UNLINK", "DESCRIBE", "VIEW",
)  # fmt: skip
"""In upper case, the commonest first."""
