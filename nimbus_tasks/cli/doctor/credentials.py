"""The secrets that the settings ask for: there, and of the right form. Nothing of them is ever shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.findings import failed, ok
from nimbus_tasks.cli.doctor.judging import judge_api_key
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.processing.optimise.openai import KEY as AI_KEY
from nimbus_tasks.project.secrets import CREDENTIALS_FILE, read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.project.settings import Settings

API_KEY, API_TOKEN = "NIMBUS_API_KEY", "CLOUDFLARE_API_TOKEN"
#: What the requests of a store carry.
CREDENTIAL = {"gateway": API_KEY, "cloudflare": API_TOKEN}


def check_credentials(root: Path, settings: Settings) -> Iterator[Finding]:
    needed = dict.fromkeys(_needed(settings))
    if not needed:
        yield ok("credentials", "the embedded store needs none")
    for name in needed:
        try:
            secret = read_secret(name, root)
        except NimbusError as error:
            yield failed("credentials", error)
            continue
        where = f"{name} ({'environment' if os.environ.get(name, '').strip() else CREDENTIALS_FILE})"
        yield judge_api_key(secret.reveal(), where) if name == API_KEY else ok("credentials", f"{where} is set")


def _needed(settings: Settings) -> Iterator[str]:
    if name := CREDENTIAL.get(settings.target.store):
        yield name
    if settings.process.queue == "cloudflare-queues":
        yield API_TOKEN
    if settings.process.optimiser == "openai":
        yield AI_KEY
