"""Settings from `.nimbus/project.toml` and the environment. Secrets are never among them.

Environment variables win over the file. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.model.errors import NoProjectError, SettingsError
from nimbus_tasks.project.settings import mistakes
from nimbus_tasks.project.settings.files import Assets, BlobStoreName, Embeddings, Images
from nimbus_tasks.project.settings.server import Server
from nimbus_tasks.project.settings.tables import (
    DEFAULT_INCLUDE,
    Content,
    Dimensions,
    Log,
    LogLevelName,
    OpenAISettings,
    ProcessSettings,
    Project,
    Settings,
    Source,
    StoreName,
    Target,
    Upload,
)
from nimbus_tasks.project.settings.values import MOST_SLOTS, MOST_WORKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_INCLUDE", "ENVIRONMENT", "GATEWAY_FOLDER", "LIKELY_SOURCES", "MAPS_FOLDER", "MOST_SLOTS"]
__all__ += ["MOST_WORKERS", "PROJECT_FILE", "REPORTS_FOLDER", "STATE_FOLDER", "SUMMARY_REPORT", "UPLOAD_REPORT"]
__all__ += [
    "VALIDATION_REPORT",
    "Assets",
    "BlobStoreName",
    "Content",
    "Dimensions",
    "Embeddings",
    "Images",
    "Log",
    "LogLevelName",
    "OpenAISettings",
    "ProcessSettings",
    "Project",
    "Server",
]
__all__ += ["Settings", "Source", "StoreName", "Target", "Upload", "load", "parse"]
__all__ += ["project_above", "refuse_bad_domain"]

STATE_FOLDER = ".nimbus"
PROJECT_FILE = f"{STATE_FOLDER}/project.toml"
#: Where the gateway Worker's files are in a project.
GATEWAY_FOLDER = "nimbus-gateway"
MAPS_FOLDER = f"{STATE_FOLDER}/maps"
REPORTS_FOLDER = f"{STATE_FOLDER}/reports"
VALIDATION_REPORT = f"{REPORTS_FOLDER}/validation.json"
UPLOAD_REPORT = f"{REPORTS_FOLDER}/upload.json"
SUMMARY_REPORT = f"{REPORTS_FOLDER}/summary.json"

#: Where a site generator is likely to put its HTML, likeliest first.
LIKELY_SOURCES = (
    *("_build/html", "build/html", "docs/_build/html", "docs/build/html"),  # Sphinx; also holds other formats
    *("docs/.vitepress/dist", ".vitepress/dist", ".output/public", "docs/.vuepress/dist", "book/html", "docs/book"),
    *("dist", "build", "_site", "public", "out", "site", "output", "htdocs", "book", "www", "_book", "html"),
)

#: Of a dotted key. No setting has more than three, and the TOML parser takes 28 seconds for 40,000.
_MAX_PARTS = 100
_STRING = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'')
_ENDLESS_KEY = re.compile(rf'(?:(?:[\w-]++|"")[ \t]*+\.[ \t]*+){{{_MAX_PARTS}}}')

_DOMAIN = re.compile(r"(?:(?:https?:)?//)?[\w-]+(?:\.[\w-]+)*\.?(?::\d+)?(?:/\S*)?", re.IGNORECASE)

_WEB_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?", re.IGNORECASE)

#: environment variable -> (table, key) that it overrides
ENVIRONMENT = {
    "NIMBUS_TARGET": ("target", "store"),
    "NIMBUS_WORKER_URL": ("target", "worker_url"),
    "CLOUDFLARE_ACCOUNT_ID": ("target", "account_id"),
    "KV_NAMESPACE_ID": ("target", "namespace_id"),
}

#: Begins the variables that override `[server]`.
SERVER_VARIABLE = "NIMBUS_SERVER_"


def load(root: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the project in `root`.

    Raises:
        NoProjectError: there is no project file.
        SettingsError: it cannot be read, or a key or value is not allowed.
    """
    try:
        # Some editors on Windows begin a file with a byte order mark.
        text = (root / PROJECT_FILE).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NoProjectError(str(project_above(root) or "")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PROJECT_FILE} cannot be read: {_reason(error)}.") from None
    return parse(text, os.environ if environment is None else environment)


def project_above(folder: Path) -> Path | None:
    """Return the nearest folder above that has a project; None where `folder` itself has one, or there is none."""
    folder = folder.absolute()
    if (folder / PROJECT_FILE).exists():
        return None
    return next((parent for parent in folder.parents if (parent / PROJECT_FILE).exists()), None)


def parse(text: str, environment: Mapping[str, str]) -> Settings:
    """Return the settings in a project file's text, overridden by the environment."""
    if _ENDLESS_KEY.search(_STRING.sub('""', text)):
        raise SettingsError(f"{PROJECT_FILE}: a key has more than {_MAX_PARTS} parts.")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise mistakes.invalid_toml(PROJECT_FILE, text, str(error)) from None
    except RecursionError:
        raise SettingsError(f"{PROJECT_FILE}: its arrays or tables are nested too deep.") from None
    mistakes.refuse_unknown_keys(PROJECT_FILE, tables)
    for variable, (table, key) in ENVIRONMENT.items():
        if value := environment.get(variable):
            tables.setdefault(table, {})[key] = value
    _read_server_variables(tables, environment)
    try:
        settings = msgspec.convert(tables, Settings)
    except msgspec.ValidationError as error:
        message = str(error)
        # The only variable whose value may be invalid: the others are any text.
        where = "NIMBUS_TARGET" if "$.target.store" in message and environment.get("NIMBUS_TARGET") else PROJECT_FILE
        raise mistakes.wrong_value(where, message, tables) from None
    refuse_bad_domain(f"{PROJECT_FILE}: [project] domain", settings.project.domain)
    _refuse_bad_addresses(settings)
    _refuse_climbing("folder", settings.source.folder)
    _refuse_climbing("known_as", settings.source.known_as)
    return settings


def refuse_bad_domain(where: str, domain: str) -> None:
    """Refuse what is not a host, as people write it: `https://example.com/` is one too.

    Raises:
        SettingsError: names `where` it was given.
    """
    if domain and not _DOMAIN.fullmatch(domain):
        raise SettingsError(f"{where} `{domain}` is not a domain.", "Write the host, such as example.com.")


def _refuse_bad_addresses(settings: Settings) -> None:
    # A variable may have set that of the service, so no file is named.
    assets, server = f"{PROJECT_FILE}: [assets]", "[server]"
    for table, address in ((assets, settings.assets.public_url), (server, settings.server.public_url)):
        if address and not _WEB_ADDRESS.fullmatch(address):
            raise SettingsError(
                f"{table} public_url `{address}` is not an address.", "Write all of it: https://img.example.com"
            )
    for proxy in settings.server.trusted_proxies:
        import ipaddress  # takes some milliseconds, and few have a proxy

        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            if proxy != "*":
                raise SettingsError(
                    f"[server] trusted_proxies: `{proxy}` is not an address.", "Such as 10.0.0.7 or 10.0.0.0/24."
                ) from None


def _read_server_variables(tables: dict[str, dict[str, object]], environment: Mapping[str, str]) -> None:
    """Let variables such as NIMBUS_SERVER_PORT override `[server]`. Lists have commas between their items."""
    fields = msgspec.structs.fields(Server)
    mistakes.refuse_unknown_variables(SERVER_VARIABLE, [field.name for field in fields], environment)
    for field in fields:
        name = f"{SERVER_VARIABLE}{field.name.upper()}"
        text = environment.get(name, "").strip()
        if not text:
            continue
        given = [part.strip() for part in text.split(",")] if isinstance(field.default, tuple) else text
        try:
            value = msgspec.convert(given, field.type, strict=False)
        except msgspec.ValidationError:
            raise mistakes.not_allowed(name, "server", field.name, given) from None
        tables.setdefault("server", {})[field.name] = msgspec.to_builtins(value)


def _refuse_climbing(name: str, folder: str) -> None:
    if folder and (folder.startswith("/") or "\\" in folder or ".." in folder.split("/")):
        raise SettingsError(
            f"{PROJECT_FILE}: [source] {name} `{folder}` must be a folder inside the project, such as `dist`."
        )


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not UTF-8"
