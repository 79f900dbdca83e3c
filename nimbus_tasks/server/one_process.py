"""One process of the service, from its start to SIGINT or SIGTERM: requests, jobs, and what is due every minute."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

from nimbus_tasks.model.errors import NimbusError, StateError
from nimbus_tasks.server import accounts, live, live_routes, sweep
from nimbus_tasks.server.app import create_app
from nimbus_tasks.server.options import Role
from nimbus_tasks.server.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from litestar import Litestar

#: Seconds between two writes of the keys' use, and two sweeps of abandoned uploads.
UPKEEP_SECONDS = 60.0
#: Seconds between two listings of the storage.
ORPHANS_SECONDS = 24 * 3600.0


def run(service: Service, role: Role, listening: socket.socket | None, ready: Callable[[], None]) -> None:
    """Run this process until a signal."""
    routes, lifespans = _parts(role)
    app = create_app(service, routes, [_upkeep, *lifespans])
    with signals_remembered() as stop:
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
def signals_remembered() -> Iterator[threading.Event]:
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
