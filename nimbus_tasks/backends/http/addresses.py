"""Checks that an address may receive credentials."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import httpx

from nimbus_tasks.model.errors import SettingsError

#: Characters of an invalid address that a message shows.
MOST_WORDS = 200
#: What keys look like: ours, and those of many services.
_KEY = re.compile(r"\b(?:sk|pk|rk)(?:[_-]|%5f|%2d)(?=[\w%-]*\d)[\w%-]{16,}", re.IGNORECASE)
_EXAMPLE = "https://nimbus.example.workers.dev"


def check_address(base: str, example: str = _EXAMPLE) -> tuple[str, bool]:
    """Return an address without its last slash, and whether it is loopback. `example`: a valid one, for the error.

    Raises:
        SettingsError: credentials may not be sent there.
    """
    try:
        parts = urlsplit(base)
        # Parse the host as the client does that connects to it.
        host, _ = httpx.URL(base).host, parts.port
    except (ValueError, httpx.InvalidURL):
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or not base.isprintable() or " " in base:
        raise SettingsError(f"`{_without_secrets(base)}` is not an address.", f"It must look like {example}")
    if "@" in parts.netloc:
        raise SettingsError(
            f"The address of {host} has a password in it.", "Remove it: credentials come from the environment."
        )
    if key := _KEY.search(parts.path):
        raise SettingsError(
            f"The address {_without_secrets(base)} has a key in it ({key.group()[:3]}...).",
            "Remove it, and replace the key if others could see it: credentials come from the environment.",
        )
    if "?" in base or "#" in base:
        raise SettingsError(
            f"The address {_without_secrets(base)} has a query or fragment.", "Remove everything from ? or # on."
        )
    loopback = _is_loopback(host)
    if parts.scheme == "http" and not loopback:
        raise SettingsError(
            f"{base} is not encrypted: the credentials could be read in transit.", f"Use https://{parts.netloc}"
        )
    return base.rstrip("/"), loopback


def _without_secrets(base: str) -> str:
    """Return an invalid address for a message: one line, without password, query and keys."""
    shown = _KEY.sub("***", base.partition("?")[0].partition("#")[0].rpartition("@")[2])
    return "".join(each if each.isprintable() else " " for each in shown)[:MOST_WORDS]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
