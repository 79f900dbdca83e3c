"""Signed addresses for uploads without the token: what they grant, and until when."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request


class Signer:
    """Signs for one account, with its token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def address(self, base_url: str, asked: dict[str, Any]) -> str:
        """Return a signed address for one upload."""
        grant = {**asked, "until": int(asked["date"]) + int(asked["expires"])}
        encoded = base64.urlsafe_b64encode(json.dumps(grant).encode()).decode()
        return f"{base_url}v3/files?X-Grant={encoded}&X-Signature={self._mac(encoded)}"

    def signed(self, request: Request) -> bool:
        """Return whether a URL was signed for this account."""
        grant = request.query_params.get("X-Grant", "")
        return bool(grant) and hmac.compare_digest(self._mac(grant), request.query_params.get("X-Signature", ""))

    def granted(self, request: Request) -> dict[str, str] | None:
        """Return what the address of a request says of its file; None where it is not a signed one."""
        grant = request.query_params.get("X-Grant")
        if grant is None:
            return None
        granted = json.loads(base64.urlsafe_b64decode(grant))
        if granted["until"] < time.time():
            raise HTTPException(403, "the URL has expired")
        if int(request.headers.get("content-length", "0")) > granted.get("max_file_size", 1 << 60) + 4096:
            raise HTTPException(413, "the file is larger than the URL grants")
        # Sent later, these would be ignored.
        labels = json.dumps(granted["keyvalues"]) if "keyvalues" in granted else "{}"
        named = {name: granted[name] for name in ("group_id", "network") if name in granted}
        return {"keyvalues": labels, "name": granted.get("filename", ""), "group_id": "", "network": "private"} | named

    def _mac(self, text: str) -> str:
        return hmac.digest(self._token.encode(), text.encode(), hashlib.sha256).hex()
