"""Posts with an ``Idempotency-Key``: sent again, they are stored once and answered alike, whichever instance has them.

What is known of a key lies in Redis before its events are handed to Kafka: that it is pending, until when whoever has
it may take, and where the topic ended. Whoever finds a pending key whose time is over looks in the topic from there
first.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import re
import uuid
import zlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

import orjson

from logsluice.api.ingest.topic_offsets import DeliveryAttempt, EndOffsets
from logsluice.api.problems import ProblemError, unavailable
from logsluice.api.redis_store import RedisRefusedError, RedisUnavailableError, SharedStore, text
from logsluice.runtime import metrics

HEADER: Final = "Idempotency-Key"
_REFUSED_SECONDS: Final = 30
_AWAY_SECONDS: Final = 5
_FORM: Final = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?', re.ASCII)

# Replies: new | other | done <answer> | busy <ms> | taken <last> <topic> <starts>. Times are the server's own.
_CLAIM: Final = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'state', 'pending', 'fingerprint', ARGV[1], 'owner', ARGV[2],
    'until', ms + ARGV[3], 'last', ms, 'topic', ARGV[5], 'starts', ARGV[6])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  return {'new'}
end
local known = redis.call('HMGET', KEYS[1], 'fingerprint', 'state', 'answer', 'until', 'last', 'topic', 'starts')
if known[1] ~= ARGV[1] then return {'other'} end
if known[2] == 'done' then return {'done', known[3]} end
if tonumber(known[4]) > ms then return {'busy', tostring(tonumber(known[4]) - ms)} end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'until', ms + ARGV[3])
return {'taken', known[5], known[6], known[7]}
"""
# Whoever lost the key to another must not write; replies whether it was still theirs.
_IF_OWNED: Final = "if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end"
_RENEW: Final = f"""{_IF_OWNED}
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], 'until', ms + ARGV[2], 'last', ms)
return 1
"""
_FINISH: Final = f"""{_IF_OWNED}
redis.call('HSET', KEYS[1], 'state', 'done', 'answer', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
_GIVE_UP: Final = f"""{_IF_OWNED}
if ARGV[2] == 'forget' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'until', 0)
return 1
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is this request's to work on.

    Attributes:
        post: The id that marks the post's records.
        owner: Tells this attempt from others.
        again: The earlier attempt, which may have stored something; None for the first one.
    """

    post: str
    owner: str
    again: DeliveryAttempt | None = None


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """A key whose post was stored, and what was answered."""

    answer: Any


class IdempotencyKeys:
    """Keys as all instances know them; another may take over from an attempt that takes longer than its lease."""

    def __init__(self, shared: SharedStore, remember_seconds: int, lease_seconds: float) -> None:
        self._shared = shared
        self._remember = remember_seconds
        self._lease_ms = round(lease_seconds * 1_000)

    async def claim(self, post: str, fingerprint: str, end: EndOffsets) -> Claim | RecordedResponse:
        """Take a post's key, before anything is handed to Kafka; ``end`` is where the topic ended, now or a little ago.

        Raises:
            ProblemError: 409 while another attempt is at work, 422 where the key was used for something else, 503
                without Redis.
        """
        owner = uuid.uuid4().hex
        reply = await self._run_script(
            _CLAIM, post, fingerprint, owner, self._lease_ms, self._remember, end.topic_id, end.packed()
        )
        outcome: Literal["new", "other", "done", "busy", "taken"] = text(reply[0])  # type: ignore[assignment]
        metrics.API_KEYED_POSTS.labels(outcome).inc()
        if outcome == "new":
            return Claim(post, owner)
        if outcome == "done":
            return RecordedResponse(orjson.loads(zlib.decompress(reply[1])))
        if outcome == "taken":
            return Claim(post, owner, DeliveryAttempt(int(reply[1]), EndOffsets.unpacked(text(reply[2]), reply[3])))
        if outcome == "busy":
            raise ProblemError(
                HTTPStatus.CONFLICT,
                "a post with this Idempotency-Key is being worked on; ask again for its answer",
                retry_after=int(reply[1]) / 1_000,
            )
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "this Idempotency-Key was used for something else; take a new one"
        )

    async def renew(self, claim: Claim) -> None:
        """Have the whole time again, before events are handed to Kafka once more.

        Raises:
            ProblemError: 409 where another attempt has the key by now, 503 without Redis.
        """
        if not await self._run_script(_RENEW, claim.post, claim.owner, self._lease_ms):
            raise ProblemError(HTTPStatus.CONFLICT, "another attempt has this Idempotency-Key by now", retry_after=1)

    async def finish(self, claim: Claim, answer: Any) -> bool:
        """Remember the answer, for as long as answers are remembered.

        Returns:
            Whether the key was still this attempt's.

        Raises:
            ProblemError: 503 without Redis.
        """
        packed = zlib.compress(orjson.dumps(answer), 1)
        return bool(await self._run_script(_FINISH, claim.post, claim.owner, packed, self._remember))

    async def give_up(self, claim: Claim, *, nothing_sent: bool) -> None:
        """Let another attempt begin at once: as if there had been none, where nothing was handed to Kafka."""
        forget = nothing_sent and claim.again is None
        try:
            await self._run_script(_GIVE_UP, claim.post, claim.owner, "forget" if forget else "keep")
        except ProblemError:
            # Its time will be over by itself.
            metrics.API_KEYED_POSTS.labels("unremembered").inc()

    async def _run_script(self, script: str, post: str, *arguments: str | bytes | int) -> Any:
        key = self._shared.key("post", post)
        try:
            return await self._shared.run(script, [key], list(arguments))
        except RedisUnavailableError as error:
            # What it remembers is not lost when it refuses: whoever comes later finds it, once there is room.
            again = _REFUSED_SECONDS if isinstance(error, RedisRefusedError) else _AWAY_SECONDS
            raise unavailable(f"posts with an Idempotency-Key need Redis: {error}", again) from None


def post_id(caller: str, path: str, key: str) -> str:
    """The id of a post to a path with a key, bare or in quotes (RFC 8941): callers cannot meet each other's keys.

    Raises:
        ProblemError: 400 where it is none.
    """
    match = _FORM.fullmatch(key.strip())
    if match is None:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "an Idempotency-Key has 1 to 255 visible ASCII characters; a UUID does well"
        )
    return hashlib.sha256("\0".join((caller, path, match[1])).encode()).hexdigest()[:32]


def fingerprint_of(content_type: str, body: bytes) -> str:
    """Tells posts apart."""
    return hashlib.sha256(content_type.encode() + b"\0" + body).hexdigest()
