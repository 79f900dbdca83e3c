"""From the settings to the store that they name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from nimbus_tasks.backends.http import Http, Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.retry import RetryStore
    from nimbus_tasks.project.settings import Settings, Target

KV_FILE = f"{STATE_FOLDER}/kv.db"
CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"
#: wrangler's own name for it: the address of Cloudflare's API, for tests against another server.
API_VARIABLE = "CLOUDFLARE_API_BASE_URL"


def ignore_wait(_seconds: float, _why: str) -> None:
    """Report no waits."""


def ignore_retry(_attempt: int, _attempts: int, _why: str) -> None:
    """Report no retries."""


def ignore_warning(_: str) -> None:
    """Show no warnings."""


def ignore_request(_: Recorded) -> None:
    """Record no requests."""


class Connection(Struct, frozen=True, kw_only=True):
    """How a command connects to its target.

    waiting: called with the seconds and the reason whenever all requests wait.
    retrying: called before a request is sent again: the attempt that failed, the maximum, and why it failed.
    record: called with each request that is sent over a network.
    warn: called with each warning about what the target holds, once.
    concurrency: requests at a time; None: [upload] concurrency.
    delay: milliseconds between the starts of two requests in a slot; None: [upload] delay.
    as_admin: whether to use the gateway's admin secret in place of an API key.
    """

    waiting: Callable[[float, str], None] = ignore_wait
    retrying: Callable[[int, int, str], None] = ignore_retry
    record: Callable[[Recorded], None] = ignore_request
    warn: Callable[[str], None] = ignore_warning
    concurrency: int | None = None
    delay: int | None = None
    as_admin: bool = False

    def slots(self, settings: Settings) -> int:
        return settings.upload.concurrency if self.concurrency is None else self.concurrency


_DEFAULTS = Connection()


# Each store is imported only where it is used, so that a run with nothing to do does not load an HTTP client.


async def connect(settings: Settings, connection: Connection, root: Path | None = None) -> RetryStore:
    """Return the store that the settings name, opened, with retries and pacing; `async with` closes it.

    Raises:
        SettingsError: settings or credentials are missing.
        StoreError: it cannot be opened, or does not answer.
    """
    from nimbus_tasks.backends.kv.pacing import Pace, Pacing
    from nimbus_tasks.backends.kv.retry import RetryStore

    delay = settings.upload.delay if connection.delay is None else connection.delay
    pacing = Pacing(connection.slots(settings), delay / 1000, settings.upload.give_up_after)
    store = RetryStore(
        open_store(root or Path(), settings.target, connection, settings.project.id),
        Pace(pacing, connection.waiting),
        settings.upload.tries,
        settings.upload.retry_wait / 1000,
        connection.retrying,
        connection.warn,
    )
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


def open_store(root: Path, target: Target, connection: Connection = _DEFAULTS, project: str = "") -> Store:
    """Return the store that the settings name. Nothing is sent. `project`: whose pointers are written and listed.

    Raises:
        SettingsError: settings or credentials are missing.
        StoreError: it cannot be opened.
    """
    if target.store == "sqlite":
        from nimbus_tasks.backends.kv.sqlite import SqliteStore

        return SqliteStore(root / KV_FILE)
    http = open_http(root, target, connection)
    if target.store == "gateway":
        from nimbus_tasks.backends.kv.gateway import GatewayStore

        return GatewayStore(http, _gateway_credential(connection), project)
    from nimbus_tasks.backends.kv.cloudflare import CloudflareStore

    return CloudflareStore(http, _cloudflare_identity(target), target.account_id, target.namespace_id, _own(target))


def open_http(root: Path, target: Target, connection: Connection = _DEFAULTS) -> Http:
    """Return the HTTP client of a target that is not embedded. Nothing is sent.

    Raises:
        SettingsError: settings or credentials are missing.
    """
    if target.store == "gateway":
        if not target.worker_url:
            raise _missing("worker_url", "NIMBUS_WORKER_URL", "the address of your gateway Worker")
        return _http(root, target, target.worker_url, _gateway_credential(connection), connection)
    if not target.account_id:
        raise _missing("account_id", "CLOUDFLARE_ACCOUNT_ID", "the id of your Cloudflare account")
    if not target.namespace_id:
        raise _missing("namespace_id", "KV_NAMESPACE_ID", "the id of a KV namespace")
    return _http(root, target, _cloudflare_api(), "CLOUDFLARE_API_TOKEN", connection)


def known_identity(root: Path, target: Target) -> str:
    """Return the identity of the store that the settings name; empty where only the store itself can tell."""
    if target.store == "cloudflare" and target.account_id and target.namespace_id:
        return _cloudflare_identity(target)
    if target.store != "sqlite" or not (root / KV_FILE).exists():
        return ""
    from nimbus_tasks.backends.kv.sqlite import read_identity

    return read_identity(root / KV_FILE)


def _http(root: Path, target: Target, base: str, token: str, connection: Connection) -> Http:
    from nimbus_tasks.backends.http import Http, Timeouts
    from nimbus_tasks.project.secrets import read_secret

    timeouts = Timeouts(target.connect_timeout, target.read_timeout)
    try:
        return Http(base, read_secret(token, root), timeouts, connection.record)
    except SettingsError as error:
        if base != os.environ.get(API_VARIABLE, "").rstrip("/"):
            raise
        raise SettingsError(f"{API_VARIABLE}: {error.message}", error.next_step) from None


def _gateway_credential(connection: Connection) -> str:
    return "NIMBUS_ADMIN_SECRET" if connection.as_admin else "NIMBUS_API_KEY"


def _cloudflare_api() -> str:
    return os.environ.get(API_VARIABLE, "").rstrip("/") or CLOUDFLARE_API


def _cloudflare_identity(target: Target) -> str:
    api = _cloudflare_api()
    own = "".join(f" {name}={id_}" for name, id_ in sorted(_own(target).items()))
    return f"cloudflare:{'' if api == CLOUDFLARE_API else f'{api} '}{target.account_id}:{target.namespace_id}{own}"


def _own(target: Target) -> dict[str, str]:
    """Return the namespaces of the record kinds that have their own."""
    return {name: id_ for name, id_ in target.namespaces.items() if id_}


def _missing(key: str, variable: str, what: str) -> SettingsError:
    return SettingsError(f"{PROJECT_FILE}: [target] {key} is not set: {what}.", f"Set it there, or {variable}.")
