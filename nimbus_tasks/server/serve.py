"""Runs the service until it is stopped: one process, or several that share one port.

Roles: `web` answers requests, `worker` works on jobs, `all` does both. At a stop no new requests are taken, those
under way end, and jobs are given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.model.errors import NimbusError, SettingsError, StateError
from nimbus_tasks.project.settings import load
from nimbus_tasks.server import accounts, live, live_routes, sweep
from nimbus_tasks.server.app import create_app
from nimbus_tasks.server.options import Role, Running, ServeOptions
from nimbus_tasks.server.service import Service, open_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from litestar import Litestar

#: Seconds between two writes of the keys' use, and two sweeps of abandoned uploads.
UPKEEP_SECONDS = 60.0
#: Seconds between two listings of the storage.
ORPHANS_SECONDS = 24 * 3600.0
#: All addresses of this machine -> the one that is reachable from here.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not listened on here
_READY = "ready"
_LONGEST_START = 120.0


def serve(options: ServeOptions, started: Callable[[Running], None]) -> None:
    """Run the service until SIGINT or SIGTERM. started: is called once it accepts requests.

    Raises:
        SettingsError: a setting is missing or malformed, or the port is taken.
        StoreError: the database or Redis does not answer.
    """
    root = Path(options.root)
    settings = load(root)
    host, port = options.host or settings.server.host, settings.server.port if options.port < 0 else options.port
    service = open_service(settings, root, processes=options.workers)
    try:
        if options.role == "worker":
            running, listening = Running("", "", options.role, options.workers), None
        else:
            asyncio.run(_check_host(service, host))
            asyncio.run(_check_limits(service))
            listening = _listen(host, port)
            shown = _ANY.get(host, f"[{host}]" if ":" in host else host)
            url = settings.server.public_url.rstrip("/") or f"http://{shown}:{listening.getsockname()[1]}"
            link = asyncio.run(accounts.make_login_link(service))
            running = Running(url, url + link, options.role, options.workers)
    except BaseException:
        service.close()
        raise
    with listening or contextlib.nullcontext():
        if options.workers == 1:
            _run(service, options.role, listening, lambda: started(running))
        else:
            service.close()
            _run_several(structs.replace(options, root=str(root.absolute())), listening, lambda: started(running))


async def _check_host(service: Service, host: str) -> None:
    """See that others than this machine can only come with a key.

    Raises:
        SettingsError: there is none yet.
    """
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host == "localhost":
        return
    async for _ in all_names(service.records, "apikey:"):
        return
    raise SettingsError(
        f"--host={host} lets other machines in, and there is no API key yet.",
        "Make one first: doit nimbus:key:create --service --name=admin",
    )


async def _check_limits(service: Service) -> None:
    """See that Redis answers, where it counts rate limits: no upload would work without it.

    Raises:
        TransientError: it does not.
    """
    try:
        await service.buckets.check()
    finally:
        await service.buckets.close()  # its connections belong to this event loop


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {(error.strerror or str(error)).lower()}.",
            "Choose another --port; 0 takes any free one."
            if error.errno in (errno.EADDRINUSE, errno.EACCES)
            else "Check --host: it is an address of this machine.",
        ) from None
    return listening


# --- one process ------------------------------------------------------------------------------------------------


def _run(service: Service, role: Role, listening: socket.socket | None, ready: Callable[[], None]) -> None:
    """Run this process until a signal."""
    routes, lifespans = _parts(role)
    app = create_app(service, routes, [_upkeep, *lifespans])
    with _signals_remembered() as stop:
        if listening is None:
            asyncio.run(_work(app, stop, ready))
        else:
            _serve_http(app, service, listening, stop, ready)


def _parts(role: Role) -> tuple[list[Any], list[Any]]:
    """Return the routes and the lifespan hooks of the other modules."""
    return [live_routes.ROUTER], [live.lifespan(work=role != "web")]


@contextlib.asynccontextmanager
async def _upkeep(app: Litestar) -> AsyncIterator[None]:
    """Do what is due every minute, while the application runs; close the service behind it."""
    service: Service = app.state.service

    async def run() -> None:
        passed = ORPHANS_SECONDS - 600  # the first listing is ten minutes after the start
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            passed += UPKEEP_SECONDS
            try:
                await accounts.write_key_use(service)
                await sweep.sweep_uploads(service)
                if passed >= ORPHANS_SECONDS:
                    passed = 0.0
                    await sweep.sweep_orphans(service)
                    await sweep.sweep_records(service)
            except NimbusError as error:
                service.log.event("error", "upkeep failed", cause=str(error))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(NimbusError):
            await accounts.write_key_use(service)
        await service.storage.close()
        await service.buckets.close()
        service.close()


def _serve_http(
    app: Litestar, service: Service, listening: socket.socket, stop: threading.Event, ready: Callable[[], None]
) -> None:
    import uvicorn

    settings = service.settings.server
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=round(settings.grace) or 1,
        h11_max_incomplete_event_size=64 * 1024,
        backlog=2048,
    )

    class Server(uvicorn.Server):
        """Reports when it accepts requests, and ends long requests at a stop."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            service.stopping.set()
            await super().shutdown(sockets)

    server = Server(config)
    server.should_exit = stop.is_set()
    server.run([listening])
    if not server.started and not stop.is_set():
        raise StateError("The service did not start.", "See .nimbus/log.jsonl.")


async def _work(app: Litestar, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Run jobs without answering requests."""
    async with app.lifespan():
        ready()
        await asyncio.to_thread(stop.wait)
        service: Service = app.state.service
        service.stopping.set()


@contextlib.contextmanager
def _signals_remembered() -> Iterator[threading.Event]:
    """Let SIGINT and SIGTERM set an event. The HTTP server handles them itself, and raises them again at its end."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- several processes ------------------------------------------------------------------------------------------


def _run_several(options: ServeOptions, listening: socket.socket | None, ready: Callable[[], None]) -> None:
    """Run several processes until a signal; one that dies is started again."""
    with _signals_remembered() as stop:
        children = [_start(options, listening) for _ in range(options.workers)]
        try:
            for child in children:
                _wait_ready(child)
            ready()
            while not stop.wait(0.5):
                for number, child in enumerate(children):
                    if child.poll() is not None:
                        children[number] = _start(options, listening)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait()
                assert child.stdout is not None
                child.stdout.close()


def _start(options: ServeOptions, listening: socket.socket | None) -> subprocess.Popen[str]:
    fd = -1 if listening is None else listening.fileno()
    encoded = msgspec.json.encode(structs.replace(options, fd=fd)).decode()
    command = [sys.executable, "-m", "nimbus_tasks.server.serve", encoded]
    # A session of its own: Ctrl-C on the terminal is for us, and we pass it on.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, pass_fds=() if fd < 0 else (fd,), start_new_session=True
    )


def _wait_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    timer = threading.Timer(_LONGEST_START, child.kill)
    timer.start()
    try:
        if child.stdout.readline().strip() != _READY:
            raise StateError("A process of the service did not start.", "Its reason is above, or in .nimbus/log.jsonl.")
    finally:
        timer.cancel()


def main(encoded: str) -> None:
    """Be one of several processes."""
    options = msgspec.json.decode(encoded, type=ServeOptions)
    root = Path(options.root)

    def ready() -> None:
        sys.stdout.write(f"{_READY}\n")
        sys.stdout.flush()

    service = open_service(load(root), root, processes=options.workers)
    with socket.socket(fileno=options.fd) if options.fd >= 0 else contextlib.nullcontext() as listening:
        _run(service, options.role, listening, ready)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except NimbusError as raised:
        sys.stderr.write(f"{raised}\n")
        sys.exit(raised.exit_status)
