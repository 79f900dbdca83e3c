"""The answers of the API: the envelope of a result, and every refusal with its status, code and message.

Users and SDKs quote these codes from real answers: 10000, 10009, 10011, 10012, 10013, 10029, 10034, 10048, 10405, 971,
7003 and 6003. wrangler 1 listed 10022, 10024 and 10030 as the codes of limits; we assigned them. No public source has a
code for a wrong limit, cursor, absolute expiration or key name: we chose 10028, 10041, 10033 and 10042. For these a
client should rely on the status alone.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

JSON = "application/json"
BYTES = "application/octet-stream"

_encode = msgspec.json.encode


class Answer(Struct):
    """One answer, and the effect of its request.

    pairs: keys in the request. stored, read, removed: keys with that effect. lists: 1 for a listing.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = {}
    pairs: int = 0
    stored: int = 0
    read: int = 0
    removed: int = 0
    lists: int = 0


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """An answer of the envelope with `success: false`."""

    def __init__(self, status: int, code: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.errors: list[dict[str, Any]] = [{"code": code, "message": message}]
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pairs = 0

    def answer(self) -> Answer:
        body = _encode({"result": None, "success": False, "errors": self.errors, "messages": []})
        return Answer(body, self.status, headers=self.headers, pairs=self.pairs)


def envelope(result: Any, **more: Any) -> bytes:
    """Return the body of a successful answer; `more` are fields beside the result."""
    return _encode({"result": result, "success": True, "errors": [], "messages": [], **more})


# --- credentials and paths ----------------------------------------------------------------------------


def unauthenticated() -> Refusal:
    return Refusal(401, 10000, "Authentication error")


def unauthorized() -> Refusal:
    """Refuse an account that the token has no permission for."""
    return Refusal(403, 10000, "Authentication error")


def malformed_authorization() -> Refusal:
    refusal = Refusal(400, 6003, "Invalid request headers")
    refusal.errors[0]["error_chain"] = [{"code": 6111, "message": "Invalid format for Authorization header"}]
    return refusal


def no_route(path: str) -> Refusal:
    refusal = Refusal(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")
    refusal.errors.append({"code": 7000, "message": "No route for that URI"})
    return refusal


def method_not_allowed(method: str, allowed: list[str]) -> Refusal:
    words = f"{method} method not allowed for the api_token authentication scheme"
    return Refusal(405, 10405, words, allow=", ".join(allowed))


def malformed_namespace(namespace: str) -> Refusal:
    words = f"could not parse UUID from request's namespace_id: 'invalid namespace format: {namespace}'"
    return Refusal(400, 10011, words)


def no_namespace(action: str) -> Refusal:
    return Refusal(404, 10013, f"{action}: 'namespace not found'")


def no_key(action: str) -> Refusal:
    return Refusal(404, 10009, f"{action}: 'key not found'")


# --- limits of rate and quota -------------------------------------------------------------------------


def throttled(wait: int) -> Refusal:
    return Refusal(429, 971, "Please wait and consider throttling your request speed", retry_after=str(wait))


def quota_spent() -> Refusal:
    return Refusal(429, 10048, "your account has reached the free usage limit for this operation for today")


def too_often() -> Refusal:
    return Refusal(429, 10022, "put: 'Too Many Requests'")


# --- what is wrong with a request ---------------------------------------------------------------------


def wrong_body(message: str) -> Refusal:
    return Refusal(400, 10012, message)


def too_large(message: str) -> Refusal:
    return Refusal(413, 10024, message)


def wrong_limit() -> Refusal:
    return Refusal(400, 10028, "list keys: 'Invalid limit argument'")


def wrong_cursor() -> Refusal:
    return Refusal(400, 10041, "list keys: 'Invalid list cursor'")


def wrong_bulk_get(message: str) -> Refusal:
    return Refusal(400, 10029, f"bulk get keys: '{message}'")
