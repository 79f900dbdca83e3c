"""The commands of the service. Each returns the exit status."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import msgspec

from nimbus_tasks.backends import concurrency
from nimbus_tasks.cli.console import write
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.server.options import Role, Running, ServeOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.gateway.key_options import KeyOptions, ListedKeys
    from nimbus_tasks.gateway.keys import NewKey, Revoked

T = TypeVar("T")

OK = 0
_KEY_COMMAND = re.compile(r"doit nimbus:key:\w+")
#: Packages that the extra brings.
_EXTRA = {"alembic", "litestar", "multipart", "numpy", "prometheus_client", "psycopg", "sqlalchemy", "redis", "uvicorn"}


class ServerCommands:
    """The commands of one process, with one console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def serve(self, host: str, port: int, role: str, workers: int, *, as_json: bool) -> int:
        """Run the service until it is stopped."""
        with _ExtraNeeded():
            from nimbus_tasks.server.serve import serve
        if role not in get_args(Role):
            raise SettingsError(f"--role={role} must be one of {', '.join(get_args(Role))}.")
        if not 1 <= workers <= 64:
            raise SettingsError("--workers must be 1 to 64.")
        if not -1 <= port <= 65_535:
            raise SettingsError(f"--port={port} must be 0 to 65535.")
        options = msgspec.convert({"role": role, "workers": workers, "host": host, "port": port}, ServeOptions)
        serve(options, lambda running: self._show(running, as_json=as_json))
        self.console.line()
        self.console.line("👀 The service has stopped")
        return OK

    def _show(self, running: Running, *, as_json: bool) -> None:
        if as_json:
            # On one line, at once: who started us reads it.
            write(sys.stdout, msgspec.json.encode(running).decode() + "\n")
            sys.stdout.flush()
            return
        processes = "one process" if running.workers == 1 else f"{running.workers} processes"
        if not running.url:
            self.console.line(f"👀 Working on jobs in {processes} (Ctrl-C ends it)")
            return
        self.console.line(f"👀 The service runs at {running.url}, in {processes} (Ctrl-C ends it)")
        self.console.line(f"   Log in, once, within 15 minutes: {running.login_url}")
        self.console.line("   For programs: doit nimbus:key:create --service --name=ci --program")


def create_key(options: KeyOptions) -> NewKey:
    """Make an API key for the service: of the user who is named or has this address, else of its first user."""
    from nimbus_tasks.gateway import keys
    from nimbus_tasks.model.clock import now
    from nimbus_tasks.project.secrets import Secret

    async def create(store: Store) -> NewKey:
        user = options.user or (await keys.user_of_email(store, options.email) if options.email else "")
        if not user and options.email:
            user = keys.new_user()
        return await keys.create_for(store, user or _first_user(), options, Secret(keys.new_key()), now())

    return _at_service(create)


def list_keys(user: str) -> ListedKeys:
    from nimbus_tasks.gateway import keys

    return _at_service(lambda store: keys.keys_of_user(store, user or _first_user()))


def revoke_key(user: str, name: str, hashed: str) -> Revoked:
    from nimbus_tasks.gateway import keys

    async def revoke(store: Store) -> Revoked:
        return await keys.revoke_among(store, await keys.keys_of_user(store, user or _first_user()), name, hashed)

    return _at_service(revoke)


def _first_user() -> str:
    from nimbus_tasks.model.keys import LOCAL_USER

    return LOCAL_USER


def _at_service(ask: Callable[[Store], Awaitable[T]]) -> T:
    """Return what `ask` returns, called with the records of the service's database."""
    with _ExtraNeeded():
        from nimbus_tasks.server.records_store import RecordsStore
        from nimbus_tasks.server.service import open_database

    async def run() -> T:
        return await ask(RecordsStore(database))

    database = open_database(Path())
    try:
        with of_service():
            return concurrency.run(run())
    finally:
        database.close()


@contextlib.contextmanager
def of_service() -> Iterator[None]:
    """Let the next step of an error name the commands about the service's keys, not about the gateway's."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(error.message, _KEY_COMMAND.sub(r"\g<0> --service", error.next_step)) from None


class _ExtraNeeded:
    """Tells how to install what the service needs, where an import does not find it."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _EXTRA:
            raise SettingsError(
                "The service needs more packages.", 'Install them: pip install "nimbus-tasks[server]"'
            ) from None
