"""Cloudflare KV through a gateway Worker: ours, or a classic one.

A classic gateway has only `PUT /kv/{key}` and `GET /kv/{key}`. Ours adds bulk requests, listings and compare-and-set,
and says so when it is asked for `GET /`; any other answer there is that of a classic one, unless it is a failure.
`gateway/worker/README.md` describes the protocol.
"""

from __future__ import annotations

import codecs
import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from nimbus_tasks.backends.http import PASSING
from nimbus_tasks.backends.kv import Limits, Names, Stored, Swap, Traits, Write
from nimbus_tasks.backends.kv.wire import Name, bulk_body, encode, listed, quote
from nimbus_tasks.model import lenient
from nimbus_tasks.model.assets import names_of_pointer, namespace_of_names
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError
from nimbus_tasks.model.keys import user_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.backends.http.response import Response

#: The version of the extended protocol that this client speaks.
PROTOCOL = 1
#: Seconds until everybody sees a write to KV.
LAG_SECONDS = 60
#: A key that no classic gateway holds.
_PROBED_KEY = "store:identity"
#: The header that names the project of a pointer.
_PROJECT = "nimbus-project"
_CLASSIC_LIMITS = Limits(pairs=1, bytes=1, keys=1)
_CLASSIC = Traits(atomic=False, lists=False, lag=LAG_SECONDS, billed=True, swap_requests=3)
_EXTENDED = Traits(lag=LAG_SECONDS, billed=True)
#: The gateway's codes for failures that a retry may solve.
_TRANSIENT = frozenset({"rate_limited", "store_unavailable"})


class GatewayStore:
    """The store behind a gateway Worker.

    `open` asks the gateway who it is once. A store that is opened again after `close` does not ask again.
    """

    def __init__(self, http: Http, credential: str = "NIMBUS_API_KEY", project: str = "") -> None:
        """Nothing is sent.

        Args:
            http: speaks to the gateway.
            credential: names the setting of the bearer token, for error messages.
            project: the project that pointers are written and listed for.
        """
        self._http = http
        self._project = project
        self._pointers = False
        self._hint = f"Check {credential} and [target] worker_url; doit nimbus:key:create makes API keys."
        self._known = False
        #: The version that the gateway speaks; 0: the classic part only.
        self.protocol = 0
        self.limits = _CLASSIC_LIMITS
        self.traits = _CLASSIC
        self.identity = f"gateway:{http.base}"
        #: A classic gateway does not say whose key it is: one user for each gateway.
        self.owner = user_id(http.base)

    async def open(self) -> None:
        if self._known:
            return
        response = await self._http.send("GET", "/")
        if response.status in (401, 403) or _is_passing(response):
            raise self._failure(response)
        if 300 <= response.status < 400 or _is_web_page(response):
            # The Worker's home page, or the login page of a network, which answers every request.
            response = await self._http.send("GET", _path(_PROBED_KEY))
            if 300 <= response.status < 400 or _is_passing(response):
                raise self._failure(response)
            self._refuse_web_page(response)
        elif response.status == 200 and response.headers.get("content-type", "").startswith("application/json"):
            # Ours answers in JSON. If that is cut short, it must not pass for a classic gateway, which can do less.
            self._http.decode(response, Raw)
        try:
            greeting = msgspec.json.decode(response.body, type=_Greeting)
        except lenient.UNDECODABLE:
            self._known = True
            return
        self._known = True
        self.protocol = greeting.protocol
        self.limits = greeting.limits
        self.traits = _EXTENDED
        self.identity = f"gateway:{self._http.base}:{greeting.store}"
        self.owner = greeting.user or self.owner
        self._pointers = greeting.pointers

    async def put(self, writes: Sequence[Write]) -> Stored:
        if len(writes) == 1:
            # A single put takes a value as large as KV does; the body of a bulk put has a lower limit.
            return await self._put_one(writes[0])
        response = await self._send("PUT", "/bulk", bulk_body(writes), self._named(write.key for write in writes))
        result = self._http.decode(response, _Put)
        failed = {key: self._http.plain(failure.message) for key, failure in result.failed.items()}
        again = frozenset(key for key, failure in result.failed.items() if failure.code in _TRANSIENT)
        return Stored(result.confirmed, failed, again)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        self._named(keys)
        if len(keys) == 1:
            value = await self._get_one(keys[0])
            return {} if value is None else {keys[0]: value}
        response = await self._send("POST", "/bulk/get", encode({"keys": keys}))
        values = self._http.decode(response, _Got).values
        return {key: value.encode() for key, value in values.items() if value is not None}

    async def names(self, prefix: str, cursor: str = "") -> Names:
        if not self.protocol:
            raise StoreError(
                f"The gateway at {self._http.host} cannot list what it holds.", "Deploy ours: doit nimbus:worker:init"
            )
        of_pointers = namespace_of_names(prefix) == "NIMBUS_POINTERS"
        headers = {_PROJECT: self._project} if of_pointers and self._project else {}
        response = await self._send("GET", f"/keys?prefix={quote(prefix)}&cursor={quote(cursor)}", headers=headers)
        page = self._http.decode(response, _Keys)
        return Names(listed(page.keys), page.cursor)

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        if len(swaps) > 1 and self.limits.swaps > 1:
            return await self._swap_many(swaps)
        # An older Worker has no bulk swap.
        swap_one = self._swap_one if self.protocol else self._swap_and_check
        return frozenset([swap.key for swap in swaps if await swap_one(swap)])

    def warn(self, message: str) -> None:
        """Do nothing: warnings are for the wrapper that knows the user."""

    async def close(self) -> None:
        await self._http.close()

    async def _swap_many(self, swaps: Sequence[Swap]) -> frozenset[str]:
        body = [{"key": swap.key, "expected": _digest(swap.expected), "value": swap.value.decode()} for swap in swaps]
        headers = self._named(swap.key for swap in swaps)
        response = await self._send("POST", "/bulk/swap", encode({"swaps": body}), headers)
        result = self._http.decode(response, _Swapped)
        if result.failed and not result.swapped:
            # What failed beside a success counts as a lost race, so that the success is not lost. The caller reads
            # those keys again, and the next request fails as a whole if they fail again.
            refused = [each for each in result.failed.values() if each.code not in _TRANSIENT]
            failure = (refused or list(result.failed.values()))[0]
            message = f"{self._http.host} did not store a value: {self._http.plain(failure.message)}"
            raise RefusedError(message) if refused else TransientError(message)
        return result.swapped

    async def _swap_one(self, swap: Swap) -> bool:
        digest = _digest(swap.expected)
        condition = {"if-none-match": "*"} if digest is None else {"if-match": f'"{digest}"'}
        body = encode({"value": swap.value.decode()})
        response = await self._http.send("PUT", _path(swap.key), body, condition | self._named([swap.key]))
        if response.status == 412:
            return False
        self._check_put(response, swap.key)
        return True

    async def _swap_and_check(self, swap: Swap) -> bool:
        """Compare, store, and check whether another program stored a value meanwhile: a classic gateway has no swap."""
        if await self._get_one(swap.key) != swap.expected:
            return False
        await self._put_one(Write(swap.key, swap.value))
        # Where KV lags behind, the old value is still visible; only a third value is another program's.
        return await self._get_one(swap.key) in (swap.value, swap.expected)

    async def _put_one(self, write: Write) -> Stored:
        content: dict[str, object] = {"value": write.value.decode()}
        if write.metadata:
            content["options"] = {"metadata": Raw(write.metadata)}
        response = await self._http.send("PUT", _path(write.key), encode(content), self._named([write.key]))
        self._check_put(response, write.key)
        return Stored((write.key,))

    async def _get_one(self, key: str) -> bytes | None:
        response = await self._http.send("GET", _path(key))
        self._refuse_web_page(response)
        if response.status == 404:
            return None
        if response.status != 200:
            raise self._failure(response)
        return response.body

    async def _send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        response = await self._http.send(method, path, body, headers)
        if response.status != 200:
            raise self._failure(response)
        return response

    def _named(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the header that names the project, where one of these keys is a pointer's.

        Raises:
            StoreError: this gateway is an older one of ours, which takes no pointers.
        """
        if not self.protocol or not any(map(names_of_pointer, keys)):
            return {}
        if not self._pointers:
            raise StoreError(
                f"The Worker at {self._http.host} is of an earlier release, without pointers.",
                "Deploy this one: doit nimbus:worker:init, then npx wrangler deploy.",
            )
        return {_PROJECT: self._project} if self._project else {}

    def _check_put(self, response: Response, key: str) -> None:
        if response.status == 403 and names_of_pointer(key) and self.protocol:
            # The API key is good: the pointer, or its project, is another's.
            message = self._http.decode(response, _Refused).error.message
            raise RefusedError(f"{key} cannot be written: {self._http.plain(message)} Choose another group or variant.")
        if not 200 <= response.status < 300:
            raise self._failure(response)
        self._refuse_web_page(response)

    def _refuse_web_page(self, response: Response) -> None:
        """Raise where a login page of the network answers: nothing was stored, whatever the status says."""
        if _is_web_page(response):
            raise TransientError(f"{self._http.host} answered {response.status} with a web page.")

    def _failure(self, response: Response) -> StoreError:
        return self._http.failure(response, hint=self._hint)


class _Greeting(Struct):
    """The response to `GET /`: which namespace is behind the gateway, and whose key this is (empty: the admin's)."""

    protocol: int
    store: str
    user: str
    limits: Limits
    pointers: bool = False


class _Failure(Struct):
    code: str
    message: str


class _Refused(Struct):
    error: _Failure


class _Put(Struct):
    confirmed: tuple[str, ...]
    failed: dict[str, _Failure]


class _Swapped(Struct):
    swapped: frozenset[str]
    failed: dict[str, _Failure]


class _Got(Struct):
    values: dict[str, str | None]


class _Keys(Struct):
    keys: tuple[Name, ...]
    cursor: str


def _is_passing(response: Response) -> bool:
    return response.status in PASSING or response.status >= 500


def _is_web_page(response: Response) -> bool:
    """Return whether a person is to read this. Many servers call values and empty bodies HTML by default."""
    markup = response.body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")
    return markup and response.headers.get("content-type", "").startswith("text/html")


def _digest(value: bytes | None) -> str | None:
    return None if value is None else hashlib.sha256(value).hexdigest()


def _path(key: str) -> str:
    return f"/kv/{quote(key)}"
