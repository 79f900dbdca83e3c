"""A secret as programs, proxies and people write it, and a search for what is left of it."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

ODD_FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "percent": lambda key: quote(key, safe=""),
    "percent, twice": lambda key: quote(quote(key, safe=""), safe=""),
    "percent, all of it": lambda key: "".join(f"%{ord(each):02x}" for each in key),
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "JSON, slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON, all of it": lambda key: "".join(f"\\u{ord(each):04X}" for each in key),
    "repr": lambda key: repr(f"{key}'"),
    "HTML": html.escape,
    "HTML, all of it": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "HTML, hex": lambda key: "".join(f"&#x{ord(each):x};" for each in key),
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64, URL": lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "base64, one before": lambda key: base64.b64encode(b"x" + key.encode() + b"yz").decode(),
    "base64, two before": lambda key: base64.b64encode(b"xy" + key.encode() + b"z").decode(),
    "base64 in a URL": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "start": lambda key: key[:20],
    "end": lambda key: key[-14:],
    "middle": lambda key: f"...{key[8:30]}...",
    "start of base64": lambda key: base64.b64encode(b"Bearer " + key.encode()).decode()[:40],
}

#: Characters in a row that are no coincidence.
_RUN = 14


def leaks(said: bytes, secret: str) -> list[str]:
    """Return the forms of which a part is in these bytes."""
    found = []
    for name, form in ODD_FORMS.items():
        written = form(secret).encode()
        if any(written[at : at + 2 * _RUN] in said for at in range(max(1, len(written) - 2 * _RUN + 1))):
            found.append(name)
    if any(secret[at : at + _RUN].encode() in said for at in range(len(secret) - _RUN + 1)):
        found.append("a part of it")
    return found
