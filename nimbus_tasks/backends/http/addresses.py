"""Which addresses credentials may be sent to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import httpx

from nimbus_tasks.model.errors import SettingsError

#: Of what was given as an address, so much is shown again.
MOST_WORDS = 200
_EXAMPLE = "https://nimbus.example.workers.dev"


def check_address(base: str, example: str = _EXAMPLE) -> tuple[str, bool]:
    """Return an address without its last slash, and whether it is this machine. `example`: one of the right form.

    Raises:
        SettingsError: credentials may not be sent there.
    """
    try:
        parts = urlsplit(base)
        # The host as the client that connects reads it: there must be no second opinion.
        host, _ = httpx.URL(base).host, parts.port
    except (ValueError, httpx.InvalidURL):
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or not base.isprintable() or " " in base:
        raise SettingsError(f"`{_without_secrets(base)}` is not an address.", f"It must look like {example}")
    if "@" in parts.netloc:
        raise SettingsError(
            f"The address of {host} has a password in it.", "Take it out: credentials come from the environment."
        )
    if "?" in base or "#" in base:
        raise SettingsError(
            f"More than an address is set: {_without_secrets(base)} and more.", "Leave out what stands behind ? and #."
        )
    loopback = _is_loopback(host)
    if parts.scheme == "http" and not loopback:
        raise SettingsError(
            f"{base} is not encrypted: the credentials could be read on the way.", f"Use https://{parts.netloc}"
        )
    return base.rstrip("/"), loopback


def _without_secrets(base: str) -> str:
    """Return what was given as an address, as a message may have it: one line, and no password or query."""
    shown = base.partition("?")[0].partition("#")[0].rpartition("@")[2]
    return "".join(each if each.isprintable() else " " for each in shown)[:MOST_WORDS]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
