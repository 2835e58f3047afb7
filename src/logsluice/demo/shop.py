"""What happens in a made-up shop: users log in, browse, pay and take back; services say so.

A record knows nothing of time or of how a line looks. Everything follows from the random numbers given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

SERVICES: Final = ("gateway", "auth", "catalog", "checkout", "payment", "shipping", "inventory")
"""Every service there is."""

Level = Literal["debug", "info", "warn", "error", "critical"]
Value = str | int | float

_CURRENCIES: Final = ("EUR", "EUR", "EUR", "USD", "USD", "GBP", "JPY")
_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "ShopApp/7.3.1 (Android 16)",
    "curl/8.11.0",
)
_SEARCHES: Final = ("shoes", "red+dress", "coffee", "usb-c", "gift", "tent", "lego", "caf%C3%A9")
_USERS: Final = 5_000
_PRODUCTS: Final = 2_000
_MILLISECOND: Final = 1_000_000
_CRITICAL_SHARE: Final = 0.04
_UNREACHED_SHARE: Final = 0.02
_DEBUG_SHARE: Final = 0.08
_SLOW_SHARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as a service reports it, with class and message of the one behind it, where there is one."""

    kind: str
    message: str
    cause: tuple[str, str] | None = None


@dataclass(slots=True)
class LogRecord:
    """One thing that a service logs, with ECS fields; ``key`` keeps those of a session or service in order."""

    service: str
    level: Level
    logger: str
    message: str
    fields: dict[str, Value] = field(default_factory=dict)
    failure: Failure | None = None
    is_access: bool = False
    key: str = ""


FAILURES: Final[dict[str, tuple[Failure, ...]]] = {
    "gateway": (
        Failure("UpstreamError", "upstream timed out (110: Connection timed out)"),
        Failure("UpstreamError", "no live upstreams while connecting to upstream"),
    ),
    "auth": (
        Failure("redis.exceptions.ConnectionError", "Error 111 connecting to redis:6379. Connection refused."),
        Failure("KeyError", "'jwks'"),
        Failure("sqlalchemy.exc.OperationalError", "server closed the connection unexpectedly"),
    ),
    "catalog": (
        Failure("*net.OpError", "dial tcp 10.1.4.7:5432: connect: connection refused"),
        Failure("*errors.errorString", "context deadline exceeded"),
    ),
    "checkout": (
        Failure(
            "java.lang.IllegalStateException",
            "cart is locked",
            ("java.util.concurrent.TimeoutException", "lock not acquired within 2000 ms"),
        ),
        Failure(
            "org.springframework.dao.DuplicateKeyException",
            "order exists",
            (
                "org.postgresql.util.PSQLException",
                'ERROR: duplicate key value violates unique constraint "orders_pkey"',
            ),
        ),
        Failure("java.lang.NullPointerException", 'Cannot invoke "Cart.total()" because "cart" is null'),
    ),
    "payment": (
        Failure(
            "com.acme.shop.payment.GatewayException",
            "card processor does not answer",
            ("java.net.SocketTimeoutException", "Read timed out"),
        ),
        Failure("com.acme.shop.payment.FraudCheckException", "score service returned HTTP 503"),
    ),
    "shipping": (Failure("CarrierError", "label service returned HTTP 502"),),
    "inventory": (Failure("StockError", "reservation lost: version conflict"),),
}

Step = list[LogRecord]


def session(random: Random, services: frozenset[str], fails: Callable[[str], int]) -> Iterator[Step]:
    """What one user does, request by request; ``fails`` says how many errors a service has in one."""
    user = _User(random)
    for name, path, method, action in _plan(random):
        if name in services or "gateway" in services:
            yield _request(user, name, method, path, action, services, fails)


def _plan(random: Random) -> Iterator[tuple[str, str, str, str]]:
    """Service, path, method and action of each request of a session."""
    for _ in range(1 if random.random() < 0.85 else 3):
        yield "auth", "/api/auth/login", "POST", "login"
    for _ in range(1 + int(random.expovariate(0.35))):
        chance = random.random()
        if chance < 0.3:
            yield "catalog", f"/api/catalog/search?q={random.choice(_SEARCHES)}", "GET", "search"
        elif chance < 0.9:
            yield "catalog", f"/api/catalog/products/{random.randrange(_PRODUCTS)}", "GET", "view"
        else:
            yield "inventory", f"/api/inventory/{random.randrange(_PRODUCTS)}", "GET", "stock"
    if random.random() < 0.6:
        yield "checkout", "/api/checkout/cart", "PUT", "cart"
        yield "checkout", "/api/checkout/orders", "POST", "order"
        yield "payment", "/api/payment/charges", "POST", "payment"
        yield "shipping", "/api/shipping/labels", "POST", "label"
        if random.random() < 0.12:
            yield "payment", "/api/payment/refunds", "POST", "refund"
    if random.random() < 0.3:
        yield "auth", "/api/auth/session", "DELETE", "logout"


class _User:
    """Who is behind a session: the same in each of its events."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.id = f"u-{10_000 + random.randrange(_USERS)}"
        self.session = f"{random.getrandbits(64):016x}"
        if random.random() < 0.95:
            net = random.choice(("203.0.113", "198.51.100", "192.0.2"))
            self.ip = f"{net}.{random.randrange(1, 255)}"
        else:
            self.ip = f"2001:db8::{random.randrange(1, 65_536):x}"
        self.agent = random.choice(_AGENTS)
        self.currency = random.choice(_CURRENCIES)
        cents = int(random.lognormvariate(8.3, 0.9)) + 99
        self.amount = str(cents) if self.currency == "JPY" else f"{cents // 100}.{cents % 100:02d}"
        self.order = f"o-{random.getrandbits(40):010x}"


@dataclass(frozen=True, slots=True)
class _Request:
    """One request and how it came out.

    Attributes:
        speaker: The service that logs it, besides the gateway's access line.
        refused: Whether it was turned down: a wrong password, a declined card.
        duration: Nanoseconds.
    """

    user: _User
    speaker: str
    action: str
    method: str
    path: str
    errors: int
    refused: bool
    common: dict[str, Value]
    duration: int

    def outcome(self) -> LogRecord:
        """How it came out, in the words of the service."""
        user, action = self.user, self.action
        money = f"{action} of {user.amount} {user.currency}"
        match action:
            case "login" if self.refused:
                words = f"login failed for user {user.id} from {user.ip}: wrong password"
            case "login":
                words = f"login ok for user {user.id} from {user.ip}"
            case "payment" if self.refused:
                words = f"{money} declined for user {user.id}, order {user.order}"
            case "payment" | "refund":
                words = f"{money} for user {user.id}, order {user.order}"
            case _:
                words = f"{action} for user {user.id}"
        words += f" session={user.session} took {self.duration // _MILLISECOND}ms"
        facts = self.http() | self._facts("failure" if self.refused else "success")
        return self._record("warn" if self.refused else "info", words, facts)

    def error(self, attempt: int) -> LogRecord:
        """One of its errors."""
        random = self.user.random
        failure = random.choice(FAILURES[self.speaker])
        words = f"{self.action} failed for user {self.user.id}: {failure.message}"
        if attempt:
            words = f"retry {attempt}: {words}"
        level: Level = "critical" if random.random() < _CRITICAL_SHARE else "error"
        facts = self._facts("failure") | {"error.type": failure.kind}
        return self._record(level, words, facts, failure)

    def handling(self) -> LogRecord:
        """What a service says at debug level before it does anything."""
        return self._record("debug", f"handling {self.method} {self.path}", {})

    def slow_query(self) -> LogRecord:
        """A remark on the database behind the service."""
        random = self.user.random
        milliseconds = random.randrange(1_000, 9_000)
        table = random.choice(("orders", "users", "products", "payments"))
        number = random.randrange(10**6)
        words = f"slow query: {milliseconds} ms: SELECT * FROM {table} WHERE id = {number}"  # noqa: S608
        facts: dict[str, Value] = {"event.duration": milliseconds * _MILLISECOND, "event.action": "slow-query"}
        return self._record("warn", words, facts)

    def access(self) -> LogRecord:
        """The gateway's access line."""
        facts = self.http()
        facts["http.response.body.bytes"] = self.user.random.randrange(120, 40_000)
        facts["user_agent.original"] = self.user.agent
        status, milliseconds = facts["http.response.status_code"], self.duration // _MILLISECOND
        words = f"{self.method} {self.path} {status} in {milliseconds}ms"
        key = self.user.session
        return LogRecord("gateway", "info", "access", words, self.common | facts, is_access=True, key=key)

    def http(self) -> dict[str, Value]:
        """Its HTTP fields."""
        path, _, query = self.path.partition("?")
        facts: dict[str, Value] = {
            "http.request.method": self.method,
            "http.response.status_code": self._status(),
            "url.path": path,
            "event.duration": self.duration,
        }
        return facts | {"url.query": query} if query else facts

    def _status(self) -> int:
        if self.errors:
            return (500, 502, 503, 504)[self.duration % 4]
        if self.refused:
            return 401 if self.action == "login" else 402
        if self.action == "view" and self.duration % 50 == 0:
            return 404
        return {"POST": 201, "DELETE": 204}.get(self.method, 200)

    def _record(self, level: Level, words: str, facts: dict[str, Value], failure: Failure | None = None) -> LogRecord:
        logger = f"{self.speaker}.{self.action}"
        fields = self.common | facts
        return LogRecord(self.speaker, level, logger, words, fields, failure, key=self.user.session)

    def _facts(self, outcome: str) -> dict[str, Value]:
        facts: dict[str, Value] = {"event.action": self.action, "event.outcome": outcome}
        if self.action in ("payment", "refund"):
            facts["labels.amount"] = self.user.amount
            facts["labels.currency"] = self.user.currency
            facts["labels.order_id"] = self.user.order
        return facts


def _request(
    user: _User,
    service: str,
    method: str,
    path: str,
    action: str,
    services: frozenset[str],
    fails: Callable[[str], int],
) -> Step:
    """The lines of one request: those of the service behind it, then the access line of the gateway."""
    random = user.random
    has_gateway = "gateway" in services
    # Now and then a request does not even reach its service.
    reached = service in services and not (has_gateway and random.random() < _UNREACHED_SHARE)
    speaker = service if reached else "gateway"
    errors = fails(speaker)
    common: dict[str, Value] = {
        "trace.id": f"{random.getrandbits(128):032x}",
        "session.id": user.session,
        "user.id": user.id,
        "source.ip": user.ip,
    }
    refusal = {"login": 0.12, "payment": 0.05}.get(action, 0.0)
    refused = not errors and random.random() < refusal
    duration = int(random.lognormvariate(3.3, 0.8) * (12 if errors else 1) * _MILLISECOND)
    request = _Request(user, speaker, action, method, path, errors, refused, common, duration)
    step: Step = []
    if reached and random.random() < _DEBUG_SHARE:
        step.append(request.handling())
    if reached and random.random() < _SLOW_SHARE:
        step.append(request.slow_query())
    step += [request.error(attempt) for attempt in range(errors)]
    if reached and not errors:
        step.append(request.outcome())
    if has_gateway:
        step.append(request.access())
    return step


def background(random: Random, services: tuple[str, ...]) -> LogRecord:
    """What a service does on its own: health checks, warnings about itself."""
    service = random.choice(services)
    chance = random.random()
    if chance < 0.7:
        duration = random.randrange(200_000, 9_000_000)
        facts: dict[str, Value] = {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "url.path": "/healthz",
            "event.duration": duration,
            "source.ip": f"10.1.{random.randrange(8)}.{random.randrange(1, 255)}",
            "http.response.body.bytes": 2,
            "user_agent.original": "kube-probe/1.34",
        }
        words = f"GET /healthz 200 in {duration // _MILLISECOND}ms"
        return LogRecord(service, "info", "access", words, facts, is_access=True, key=service)
    if chance < 0.85:
        words = f"memory at {random.randrange(70, 95)}% of its limit"
        return LogRecord(service, "warn", f"{service}.runtime", words, {"event.action": "memory"}, key=service)
    words = f"cache refreshed: {random.randrange(100, 9_000)} entries in {random.randrange(3, 400)}ms"
    return LogRecord(service, "debug", f"{service}.cache", words, {"event.action": "cache"}, key=service)
