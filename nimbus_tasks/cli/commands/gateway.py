"""The gateway's commands. Each returns the exit status."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nimbus_tasks.backends import concurrency
from nimbus_tasks.cli.commands import server
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.cli.messages import Retries, count, rate_limited
from nimbus_tasks.gateway import worker_files as files
from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.gateway.local_worker import Process
    from nimbus_tasks.pipeline.pipeline import Pipeline
    from nimbus_tasks.project.secrets import Secret

T = TypeVar("T")

OK = 0
_SERVICE = "the service"


class GatewayCommands:
    """The commands of one process, with one pipeline and one console."""

    def __init__(self, console: Console, pipeline: Pipeline) -> None:
        self.console = console
        self.pipeline = pipeline

    # --- the Worker -----------------------------------------------------------------------------------

    def init(self, folder: str, *, force: bool, as_json: bool = False) -> int:
        """Bring the Worker's files in the project up to date."""
        written = files.write_worker(self.pipeline.settings, folder, force=force)
        made, updated = written.paths("made"), written.paths("updated", "replaced")
        for verb, paths in (("written", made), ("updated", updated)):
            if paths:
                self.console.line(f"✅ {written.folder}: {count(len(paths), 'file')} {verb}")
                for path in paths if verb == "updated" else ():
                    self.console.line(f"   {path}")
        if not made and not updated:
            self.console.line(f"{written.folder}: nothing changed")
        for path in written.paths("changed"):
            self.console.warn(f"{path} was changed here, and stays as it is (--force replaces a module)")
        for path in written.paths("foreign"):
            self.console.warn(f"{path} was not made by this command, and stays as it is")
        for path in written.paths("yours"):
            self.console.line(f"   {path} is yours, and stays as it is")
        if made:
            self._say_next(written.folder)
        give_document(written, as_json=as_json)
        return OK

    def _say_next(self, folder: str) -> None:
        for line in (
            "   Next:",
            f"     cd {folder}",
            "     npx wrangler deploy",
            "     npx wrangler secret put NIMBUS_ADMIN_SECRET",
            f'   then in {PROJECT_FILE}: [target] store = "gateway", worker_url = "https://... as wrangler printed it"',
            "   and, with NIMBUS_ADMIN_SECRET in the environment: doit nimbus:key:create --name=ci",
            "   Or try it on this machine first: doit nimbus:worker:dev",
        ):
            self.console.line(line)

    def dev(self, port: int, folder: str, *, as_json: bool = False) -> int:
        """Run the Worker on this machine until Ctrl-C."""
        from nimbus_tasks.gateway import local_worker, miniflare

        namespaces = [name for name, id_ in sorted(self.pipeline.settings.target.namespaces.items()) if id_]
        worker = self._worker(folder)
        local_worker.check_port(port)
        node = miniflare.find_node()
        with local_worker.only_one() as lock:
            environment = miniflare.without_credentials() | {
                "NIMBUS_ADMIN_SECRET": self._admin_secret().reveal(),
                "NIMBUS_CONTENT_PROJECT": self.pipeline.settings.project.id,
            }
            seen_from = miniflare.find_miniflare(Path(), Path(folder), Path(miniflare.NODE_FOLDER))
            seen_from = seen_from or miniflare.install_miniflare(lambda text: self.console.line(f"📦 {text}"))
            command = [node, str(files.SHIPPED / "dev.mjs"), "--port", str(port), "--worker", str(worker.absolute())]
            command += ["--persist", str(Path(local_worker.PERSIST).absolute())]
            command += ["--namespaces", ",".join(["NIMBUS_KV", *namespaces])]
            try:
                with local_worker.Process(command, seen_from.absolute(), environment, lock) as running:
                    self._show(running, worker, as_json=as_json)
                    status = running.end()
            except KeyboardInterrupt:
                self.console.line()
                self.console.line(f"👀 The Worker has ended; what it stored stays in {local_worker.PERSIST}")
                return OK
        raise StateError(f"The Worker ended by itself (exit status {status}).", "Run the same command again.")

    def _worker(self, folder: str) -> Path:
        own = files.check_folder(folder) / files.MAIN
        if own.is_file():
            return own
        if folder != files.FOLDER:
            raise SettingsError(f"There is no {own}.", f"Make it: doit nimbus:worker:init --folder={folder}")
        return files.SHIPPED / files.MAIN

    def _admin_secret(self) -> Secret:
        from nimbus_tasks.gateway import admin_secret
        from nimbus_tasks.project.secrets import CREDENTIALS_FILE

        secret = admin_secret.find_admin_secret(Path())
        if secret is None:
            secret = admin_secret.make_admin_secret(Path())
            self.console.line(f"✅ Made {admin_secret.ADMIN_SECRET} for this machine, in {CREDENTIALS_FILE}")
        return secret

    def _show(self, running: Process, worker: Path, *, as_json: bool) -> None:
        """Print how to reach the Worker, then its own output until it ends."""
        from nimbus_tasks.gateway.local_worker import PERSIST, RunningWorker

        url = running.ready()
        shown = "the Worker that Nimbus Tasks ships" if worker.is_absolute() else str(worker)
        for line in (
            f"👀 The Worker runs at {url} (Ctrl-C ends it)",
            f"   Worker: {shown}",
            f"   To publish through it, in {PROJECT_FILE}:",
            "     [target]",
            '     store = "gateway"',
            f'     worker_url = "{url}"',
            "   then make an API key: doit nimbus:key:create --name=dev",
        ):
            self.console.line(line)
        give_document(RunningWorker(url, str(worker), PERSIST), as_json=as_json)
        for line in running.lines():
            self.console.line(f"   {line}", "dim")

    # --- the keys -------------------------------------------------------------------------------------

    def create_key(
        self,
        name: str,
        user: str,
        email: str,
        *,
        content: bool,
        service: bool = False,
        program: bool = False,
        as_json: bool,
    ) -> int:
        """Make an API key, and show it once."""
        from nimbus_tasks.gateway import keys
        from nimbus_tasks.gateway.key_options import KeyOptions
        from nimbus_tasks.model.clock import now
        from nimbus_tasks.project.secrets import Secret

        options = KeyOptions(name, user, email, content, program)
        options.check()
        if program and not service:
            raise SettingsError("--program is for keys of the service.", "Add --service: no other keys log in.")
        settings = self.pipeline.settings
        if service:
            if content:
                raise SettingsError("--content and --service are mutually exclusive.")
            made = server.create_key(options)
        else:
            secret = Secret(keys.new_key())
            made = self._at_target(lambda store: keys.create(store, settings, options, secret, now()))
        self.pipeline.log.event("info", "api key created", key_name=made.name, hash=made.hash, user_id=made.user_id)
        shown = keys.ShownKey(made.key.reveal(), made.hash, made.name, made.user_id, made.created)
        give_document(shown, as_json=as_json)
        if as_json:
            return OK
        where = _SERVICE if service else f"{settings.project.id} at {self._where()}"
        self.console.line(f"✅ API key {made.name} of {made.user_id}, for {where}")
        # With --quiet too: it cannot be shown again.
        self.console.line(f"   {made.key.reveal()}", matters=True)
        if content:
            self.console.line("   It is shown only once. It reads pages by their address (/content/), and nothing else")
            return OK
        variable = "NIMBUS_SERVICE_KEY" if service else "NIMBUS_API_KEY"
        self.console.line(f"   It is shown only once. Set it as {variable} where uploads run: in a secret of the CI,")
        self.console.line("   the environment, or .nimbus/credentials.toml (mode 0600)")
        return OK

    def list_keys(self, *, service: bool = False, user: str = "", as_json: bool) -> int:
        """Show the keys of the project's owner, or of a user of the service."""
        from nimbus_tasks.batches.times import local
        from nimbus_tasks.gateway import keys

        project = self.pipeline.settings.project.id
        found = server.list_keys(user) if service else self._at_target(lambda store: keys.keys_of_owner(store, project))
        give_document(found, as_json=as_json)
        if as_json:
            return OK
        owner, known, where = found.user_id, found.keys, _SERVICE if service else self._where()
        if not known:
            option = " --service" if service else ""
            self.console.line(f"{owner or project} has no API key at {where} yet: doit nimbus:key:create{option}")
            return OK
        self.console.line(f"{count(len(known), 'API key')} of {owner} at {where}")
        width = max(len(key.name) for key in known)
        for key in known:
            state, style = ("active", "") if key.active else ("revoked", "dim")
            use = "no use recorded"
            if key.last_used:
                requests = f"{key.usage.requests_today} today, {key.usage.requests_total} in total"
                use = f"used {local(key.last_used)}, {requests}"
            limits = {"content": "  only reads content", "program": "  does not log in"}.get(str(key.scope), "")
            line = f"   {key.name:<{width}}  {key.short}  {local(key.created)}  {state:<7}  {use}{limits}"
            self.console.line(line, style)
        return OK

    def revoke_key(
        self, name: str, hashed: str, *, service: bool = False, user: str = "", as_json: bool = False
    ) -> int:
        """Revoke an API key."""
        from nimbus_tasks.gateway import keys
        from nimbus_tasks.gateway.key_options import check_choice

        with server.of_service() if service else contextlib.nullcontext():
            check_choice(name, hashed)
        project = self.pipeline.settings.project.id
        if service:
            done = server.revoke_key(user, name, hashed)
        else:
            done = self._at_target(lambda store: keys.revoke(store, project, name, hashed))
        if not done.already:
            self.pipeline.log.event("info", "api key revoked", key_name=done.key.name, hash=done.key.hash)
        give_document(done, as_json=as_json)
        if as_json:
            return OK
        which = f"API key {done.key.name} ({done.key.short})"
        if done.already:
            self.console.line(f"{which} is revoked already: nothing changed")
            return OK
        self.console.line(f"✅ {which} is revoked")
        lag = "a few seconds until every process" if service else "a minute until every location"
        self.console.line(f"   It can take {lag} refuses it.")
        return OK

    def _at_target(self, ask: Callable[[Store], Awaitable[T]]) -> T:
        """Return what `ask` returns, called with the target's store as its admin."""
        from nimbus_tasks.backends.kv.open import KV_FILE, Connection, connect

        settings = self.pipeline.settings
        if settings.target.store == "sqlite":
            raise SettingsError(
                f"An embedded store ({KV_FILE}) has no API keys: file permissions protect it.",
                f'Keys are for [target] store = "gateway" or "cloudflare" in {PROJECT_FILE}.',
            )

        async def run() -> T:
            connection = Connection(
                waiting=lambda seconds, why: rate_limited(self.console, seconds, why),
                retrying=Retries(self.console),
                warn=self.pipeline.warn,
                as_admin=True,
            )
            async with await connect(settings, connection) as store:
                return await ask(store)

        return concurrency.run(run())

    def _where(self) -> str:
        target = self.pipeline.settings.target
        return target.worker_url if target.store == "gateway" else target.store
