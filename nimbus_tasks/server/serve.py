"""Runs the service until it is stopped: one process, or several that share one port.

Roles: `web` answers requests, `worker` works on jobs, `all` does both. At a stop no new requests are taken, those
under way end, and jobs are given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import load
from nimbus_tasks.server import accounts
from nimbus_tasks.server.one_process import run
from nimbus_tasks.server.options import Running, ServeOptions
from nimbus_tasks.server.service import Service, open_service
from nimbus_tasks.server.several_processes import run_several

if TYPE_CHECKING:
    from collections.abc import Callable

#: All addresses of this machine -> the one that is reachable from here.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not listened on here


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
            run(service, options.role, listening, lambda: started(running))
        else:
            service.close()
            run_several(structs.replace(options, root=str(root.absolute())), listening, lambda: started(running))


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
