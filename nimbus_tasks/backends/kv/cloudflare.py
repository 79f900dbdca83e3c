"""Cloudflare KV through its REST API (developers.cloudflare.com/api/resources/kv).

Bulk requests, packed by count and bytes; keys in `unsuccessful_keys` are sent again. There is no compare-and-set: a
swap reads, stores and reads again. A token bucket keeps below the API's limit of 1,200 requests in five minutes, above
which everything is refused for five minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiolimiter import AsyncLimiter
from msgspec import Struct

from nimbus_tasks.backends.kv import Limits, Names, Stored, Swap, Traits, Write
from nimbus_tasks.backends.kv.wire import Name, bulk_body, encode, listed, quote
from nimbus_tasks.model import lenient
from nimbus_tasks.model.assets import namespace_of, namespace_of_names
from nimbus_tasks.model.errors import StoreError, TransientError
from nimbus_tasks.model.keys import user_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.backends.http.response import Response

#: Until a write is visible everywhere.
LAG_SECONDS = 60
#: The API allows 10,000 pairs and 100 MB. Smaller bodies are confirmed sooner, and several go in parallel.
LIMITS = Limits(pairs=10_000, bytes=8 * 1024 * 1024, keys=100)
#: At most BURST + 5 * A_MINUTE = 1,140 requests in five minutes: the limit of 1,200 is for everything a token does.
BURST = A_MINUTE = 190
DAILY_QUOTA_SPENT = 10048
KEY_NOT_FOUND = 10009
_HINT = "Check CLOUDFLARE_API_TOKEN: it needs the permission Workers KV Storage: Edit, for this account."


class CloudflareStore:
    """One namespace, or some for single kinds of records."""

    limits = LIMITS
    traits = Traits(atomic=False, lag=LAG_SECONDS, billed=True, rate=A_MINUTE / 60, burst=BURST, swap_requests=3)

    def __init__(self, http: Http, identity: str, account: str, namespace: str, namespaces: Mapping[str, str]) -> None:
        """`namespace` holds the kinds that `namespaces` (such as NIMBUS_PAGES -> its id) does not name."""
        self._http = http
        self._account = account
        self._namespace = namespace
        self._namespaces = namespaces
        self._bucket = AsyncLimiter(BURST, 60)
        self.identity = identity
        #: The API knows accounts, not users: one user an account.
        self.owner = user_id(account)

    async def open(self) -> None:
        """Do nothing: the API keeps no sessions."""

    async def put(self, writes: Sequence[Write]) -> Stored:
        by_namespace: dict[str, list[Write]] = {}
        for write in writes:
            by_namespace.setdefault(self._namespace_of(write.key), []).append(write)
        confirmed: list[str] = []
        again: list[str] = []
        for namespace, some in by_namespace.items():
            unsuccessful = await self._put(namespace, some)
            confirmed += [write.key for write in some if write.key not in unsuccessful]
            again += [write.key for write in some if write.key in unsuccessful]
        return Stored(
            tuple(confirmed), dict.fromkeys(again, "Cloudflare could not store it just now."), frozenset(again)
        )

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        by_namespace: dict[str, list[str]] = {}
        for key in keys:
            by_namespace.setdefault(self._namespace_of(key), []).append(key)
        found: dict[str, bytes] = {}
        for namespace, some in by_namespace.items():
            found |= await (self._get_one(namespace, some[0]) if len(some) == 1 else self._get(namespace, some))
        return found

    async def names(self, prefix: str, cursor: str = "") -> Names:
        query = f"prefix={quote(prefix)}&limit=1000" + (f"&cursor={quote(cursor)}" if cursor else "")
        namespace = self._namespaces.get(namespace_of_names(prefix), self._namespace)
        response = await self._send("GET", f"{self._path(namespace)}/keys?{query}")
        page = self._http.decode(response, _Listing)
        found = listed(page.result)
        return Names(found, page.result_info.cursor or "")

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        return frozenset([swap.key for swap in swaps if await self._swap(swap.key, swap.expected, swap.value)])

    async def _swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        namespace = self._namespace_of(key)
        if (await self._get_one(namespace, key)).get(key) != expected:
            return False
        if await self._put(namespace, [Write(key, value)]):
            raise TransientError(f"Cloudflare could not store {key} just now.")
        # Where KV lags, the old value is still visible; only a third value means that another program won.
        return (await self._get_one(namespace, key)).get(key) in (value, expected)

    def warn(self, message: str) -> None:
        """Do nothing: warnings are for the wrapper that knows the user."""

    async def close(self) -> None:
        await self._http.close()

    async def _put(self, namespace: str, writes: Sequence[Write]) -> frozenset[str]:
        """Return the keys that were not stored."""
        body = bulk_body(writes)
        response = await self._send("PUT", f"{self._path(namespace)}/bulk", body)
        return frozenset(self._http.decode(response, _BulkPut).result.unsuccessful_keys)

    async def _get(self, namespace: str, keys: Sequence[str]) -> dict[str, bytes]:
        body = encode({"keys": keys, "type": "text"})
        response = await self._send("POST", f"{self._path(namespace)}/bulk/get", body)
        values = self._http.decode(response, _BulkGet).result.values
        return {key: value.encode() for key, value in values.items() if value is not None}

    async def _get_one(self, namespace: str, key: str) -> dict[str, bytes]:
        """Read one value raw: a bulk response is limited to less than a value may take."""
        async with self._bucket:
            response = await self._http.send("GET", f"{self._path(namespace)}/values/{quote(key)}")
        if response.status == 404 and KEY_NOT_FOUND in self._codes(response):
            return {}
        if response.status != 200:
            raise self._failure(response)
        if response.headers.get("content-type", "").startswith("text/html"):
            raise TransientError(f"{self._http.host} answered with a web page.")
        return {key: response.body}

    async def _send(self, method: str, path: str, body: bytes = b"") -> Response:
        async with self._bucket:
            response = await self._http.send(method, path, body)
        if response.status != 200:
            raise self._failure(response)
        return response

    def _failure(self, response: Response) -> StoreError:
        if DAILY_QUOTA_SPENT in self._codes(response):
            return StoreError(
                f"The daily writes of Cloudflare's free plan are spent (error {DAILY_QUOTA_SPENT}).",
                "They are back at 00:00 UTC: run the same command again then, or change the plan.",
            )
        return self._http.failure(response, hint=_HINT)

    def _codes(self, response: Response) -> set[int]:
        try:
            return {error.code for error in msgspec.json.decode(response.body, type=_Errors).errors}
        except lenient.UNDECODABLE:
            return set()

    def _namespace_of(self, key: str) -> str:
        return self._namespaces.get(namespace_of(key) or "", self._namespace)

    def _path(self, namespace: str) -> str:
        return f"/accounts/{quote(self._account)}/storage/kv/namespaces/{quote(namespace)}"


class _Error(Struct):
    code: int


class _Errors(Struct):
    errors: tuple[_Error, ...]


class _Unsuccessful(Struct):
    unsuccessful_keys: tuple[str, ...] = ()


class _BulkPut(Struct):
    result: _Unsuccessful


class _Values(Struct):
    values: dict[str, str | None]


class _BulkGet(Struct):
    result: _Values


class _Cursor(Struct):
    cursor: str | None = None


class _Listing(Struct):
    result: tuple[Name, ...]
    result_info: _Cursor
