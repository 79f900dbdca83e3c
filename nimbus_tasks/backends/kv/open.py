"""From the settings to the store they name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nimbus_tasks.backends.http import Http, Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.pacing import Pacing
    from nimbus_tasks.project.settings import Settings, Target

KV_FILE = f"{STATE_FOLDER}/kv.db"
CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"
#: wrangler's own name for it: where Cloudflare's API is, for rehearsals against another server.
API_VARIABLE = "CLOUDFLARE_API_BASE_URL"

# Each store is imported only where it is used: a run with nothing to do must not pay for an HTTP client.


def open_store(
    root: Path, target: Target, record: Callable[[Recorded], None] = lambda _: None, *, as_admin: bool = False
) -> Store:
    """Return the store that the settings name, without having spoken to it. `record` is told of each request.

    `as_admin`: with the gateway's admin secret in place of an API key.

    Raises:
        SettingsError: the settings or the credentials are not enough.
        StoreError: it cannot be opened.
    """
    if target.store == "sqlite":
        from nimbus_tasks.backends.kv.sqlite import SqliteStore

        return SqliteStore(root / KV_FILE)
    http = open_http(root, target, record, as_admin=as_admin)
    if target.store == "gateway":
        from nimbus_tasks.backends.kv.gateway import GatewayStore

        return GatewayStore(http, _gateway_credential(as_admin=as_admin))
    from nimbus_tasks.backends.kv.cloudflare import CloudflareStore

    return CloudflareStore(http, _cloudflare_identity(target), target.account_id, target.namespace_id, _own(target))


def open_http(
    root: Path, target: Target, record: Callable[[Recorded], None] = lambda _: None, *, as_admin: bool = False
) -> Http:
    """Return the client that the store of a target in the network speaks through. Nothing is sent.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    if target.store == "gateway":
        if not target.worker_url:
            raise _missing("worker_url", "NIMBUS_WORKER_URL", "the address of your gateway Worker")
        return _http(root, target, target.worker_url, _gateway_credential(as_admin=as_admin), record)
    if not target.account_id:
        raise _missing("account_id", "CLOUDFLARE_ACCOUNT_ID", "the id of your Cloudflare account")
    if not target.namespace_id:
        raise _missing("namespace_id", "KV_NAMESPACE_ID", "the id of a KV namespace")
    return _http(root, target, _cloudflare_api(), "CLOUDFLARE_API_TOKEN", record)


async def open_steadily(
    root: Path,
    settings: Settings,
    pacing: Pacing,
    say: Callable[[float, str], None] = lambda _seconds, _why: None,
    record: Callable[[Recorded], None] = lambda _: None,
    *,
    as_admin: bool = False,
) -> Store:
    """Return the store that the settings name, made contact with, paced and tried again.

    Raises:
        SettingsError: the settings or the credentials are not enough.
        StoreError: it cannot be opened, or does not answer.
    """
    from nimbus_tasks.backends.kv.pacing import Pace
    from nimbus_tasks.backends.kv.retry import RetryStore

    store = RetryStore(
        open_store(root, settings.target, record, as_admin=as_admin),
        Pace(pacing, say),
        settings.upload.tries,
        settings.upload.retry_wait / 1000,
    )
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


def known_identity(root: Path, target: Target) -> str:
    """Return which store the settings name, if that is known without asking or making one; else empty."""
    if target.store == "cloudflare" and target.account_id and target.namespace_id:
        return _cloudflare_identity(target)
    # Which namespace is behind a gateway, only the gateway can say.
    if target.store != "sqlite" or not (root / KV_FILE).exists():
        return ""
    from nimbus_tasks.backends.kv.sqlite import read_identity

    return read_identity(root / KV_FILE)


def _http(root: Path, target: Target, base: str, token: str, record: Callable[[Recorded], None]) -> Http:
    from nimbus_tasks.backends.http import Http, Timeouts
    from nimbus_tasks.project.secrets import read_secret

    timeouts = Timeouts(target.connect_timeout, target.read_timeout)
    try:
        return Http(base, read_secret(token, root), timeouts, record)
    except SettingsError as error:
        if base != os.environ.get(API_VARIABLE, "").rstrip("/"):
            raise
        raise SettingsError(f"{API_VARIABLE}: {error.message}", error.next_step) from None


def _gateway_credential(*, as_admin: bool) -> str:
    return "NIMBUS_ADMIN_SECRET" if as_admin else "NIMBUS_API_KEY"


def _cloudflare_api() -> str:
    return os.environ.get(API_VARIABLE, "").rstrip("/") or CLOUDFLARE_API


def _cloudflare_identity(target: Target) -> str:
    api = _cloudflare_api()
    own = "".join(f" {name}={id_}" for name, id_ in sorted(_own(target).items()))
    return f"cloudflare:{'' if api == CLOUDFLARE_API else f'{api} '}{target.account_id}:{target.namespace_id}{own}"


def _own(target: Target) -> dict[str, str]:
    """Return the kinds of records that have a namespace of their own."""
    return {name: id_ for name, id_ in target.namespaces.items() if id_}


def _missing(key: str, variable: str, what: str) -> SettingsError:
    return SettingsError(f"{PROJECT_FILE}: [target] {key} is not set: {what}.", f"Set it there, or {variable}.")
