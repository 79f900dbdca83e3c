"""Cloudflare KV through a Worker: ours, which knows bulk requests, listings and compare-and-set, or a classic one.

A classic gateway knows `PUT /kv/{key}` and `GET /kv/{key}` and nothing else; which one it is, it says when it is asked
for `GET /`, once a run. The protocol is described in `worker/README.md`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from nimbus_tasks.backends.kv import Limits, Names, Stored, Swap, Traits, Write
from nimbus_tasks.backends.kv.wire import Name, bulk_body, encode, listed, quote
from nimbus_tasks.model.errors import StoreError, TransientError
from nimbus_tasks.model.records import user_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.backends.http import Answer, Http

#: The version of the extended protocol that this speaks, as `GET /` tells it.
PROTOCOL = 1
#: KV's own, for all that goes through a Worker: a write may take a minute to be seen elsewhere, and costs.
LAG_SECONDS = 60
_CLASSIC_LIMITS = Limits(pairs=1, bytes=1, keys=1)
_CLASSIC = Traits(atomic=False, lists=False, lag=LAG_SECONDS, billed=True, swap_requests=3)
_EXTENDED = Traits(lag=LAG_SECONDS, billed=True)
#: Codes of the gateway for what may go well another time.
_PASSING = frozenset({"rate_limited", "store_unavailable"})


class GatewayStore:
    """The store behind a gateway Worker."""

    def __init__(self, http: Http, credential: str = "NIMBUS_API_KEY") -> None:
        """`credential` is the name of what the requests carry, for the errors."""
        self._http = http
        self._hint = f"Check {credential} and [target] worker_url; doit nimbus:key:create makes API keys."
        self._extended = False
        #: The version that the gateway speaks; 0: the classic part alone.
        self.protocol = 0
        self.limits = _CLASSIC_LIMITS
        self.traits = _CLASSIC
        self.identity = f"gateway:{http.base}"
        #: A classic gateway does not say whose key it is: one user a gateway.
        self.owner = user_id(http.base)

    async def open(self) -> None:
        answer = await self._http.send("GET", "/")
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise self._failure(answer)
        if answer.status == 200:
            self._refuse_web_page(answer)
        if answer.headers.get("content-type", "").startswith("application/json"):
            # Ours says who it is in JSON. Cut short, it must not pass for a classic one, which can do less.
            self._http.decode(answer, Raw)
        try:
            told = msgspec.json.decode(answer.body, type=_Capabilities)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        self._extended = True
        self.protocol = told.protocol
        self.limits = Limits(pairs=told.limits.pairs, bytes=told.limits.bytes, keys=told.limits.keys)
        self.traits = _EXTENDED
        self.identity = f"gateway:{self._http.base}:{told.store}"
        self.owner = told.user or self.owner

    async def put(self, writes: Sequence[Write]) -> Stored:
        if len(writes) == 1:
            # On its own a value may be as large as KV takes it; a bulk body is limited as a whole.
            return await self._put_one(writes[0])
        body = bulk_body(writes)
        answer = await self._http.send("PUT", "/bulk", body)
        if answer.status != 200:
            raise self._failure(answer)
        told = self._http.decode(answer, _Put)
        failed = {key: self._http.plain(complaint.message) for key, complaint in told.failed.items()}
        again = frozenset(key for key, complaint in told.failed.items() if complaint.code in _PASSING)
        return Stored(told.confirmed, failed, again)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        if len(keys) == 1:
            value = await self._get_one(keys[0])
            return {} if value is None else {keys[0]: value}
        answer = await self._http.send("POST", "/bulk/get", encode({"keys": keys}))
        if answer.status != 200:
            raise self._failure(answer)
        values = self._http.decode(answer, _Got).values
        return {key: value.encode() for key, value in values.items() if value is not None}

    async def names(self, prefix: str, cursor: str = "") -> Names:
        if not self._extended:
            raise StoreError(
                f"The gateway at {self._http.host} cannot list what it holds.", "Deploy ours: doit nimbus:worker:init"
            )
        answer = await self._http.send("GET", f"/keys?prefix={quote(prefix)}&cursor={quote(cursor)}")
        if answer.status != 200:
            raise self._failure(answer)
        page = self._http.decode(answer, _Keys)
        return Names(listed(page.keys), page.cursor)

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        return frozenset([swap.key for swap in swaps if await self._swap(swap.key, swap.expected, swap.value)])

    async def _swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        if not self._extended:
            return await self._swap_and_look(key, expected, value)
        condition = {"if-none-match": "*"} if expected is None else {"if-match": f'"{_etag(expected)}"'}
        answer = await self._http.send("PUT", _path(key), encode({"value": value.decode()}), condition)
        if answer.status == 412:
            return False
        self._check_put(answer)
        return True

    async def close(self) -> None:
        await self._http.close()

    async def _put_one(self, write: Write) -> Stored:
        content: dict[str, object] = {"value": write.value.decode()}
        if write.metadata:
            content["options"] = {"metadata": Raw(write.metadata)}
        self._check_put(await self._http.send("PUT", _path(write.key), encode(content)))
        return Stored((write.key,))

    async def _get_one(self, key: str) -> bytes | None:
        answer = await self._http.send("GET", _path(key))
        self._refuse_web_page(answer)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._failure(answer)
        return answer.body

    async def _swap_and_look(self, key: str, expected: bytes | None, value: bytes) -> bool:
        """Compare, store, and look whether somebody else stored at the same time: the best there is without more."""
        if await self._get_one(key) != expected:
            return False
        await self._put_one(Write(key, value))
        # What was there before is seen where KV lags behind; only a third value is somebody else's.
        return await self._get_one(key) in (value, expected)

    def _check_put(self, answer: Answer) -> None:
        if not 200 <= answer.status < 300:
            raise self._failure(answer)
        self._refuse_web_page(answer)

    def _refuse_web_page(self, answer: Answer) -> None:
        """Where a login page of the network stands in between, nothing was stored whatever the status says."""
        if answer.headers.get("content-type", "").startswith("text/html"):
            raise TransientError(f"{self._http.host} answered {answer.status} with a web page.")

    def _failure(self, answer: Answer) -> StoreError:
        return self._http.failure(answer, hint=self._hint)


class _Most(Struct):
    pairs: int
    bytes: int
    keys: int


class _Capabilities(Struct):
    """What `GET /` says. `store`: which namespace is behind it. `user`: whose key it is, empty for the admin's."""

    protocol: int
    store: str
    user: str
    limits: _Most


class _Complaint(Struct):
    code: str
    message: str


class _Put(Struct):
    confirmed: tuple[str, ...]
    failed: dict[str, _Complaint]


class _Got(Struct):
    values: dict[str, str | None]


class _Keys(Struct):
    keys: tuple[Name, ...]
    cursor: str


def _etag(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _path(key: str) -> str:
    return f"/kv/{quote(key)}"
