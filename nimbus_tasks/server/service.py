"""What one process of the service holds: settings, database, blob storage, limits, metrics. Handlers and jobs get it.

Handlers ask for it by name: `async def stats(service: Service, user: User)`.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import select

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.log import LOG_FILE, Log
from nimbus_tasks.project.secrets import find_secret
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.lookups import Lookups
from nimbus_tasks.server.records_store import RecordsStore
from nimbus_tasks.server.tables import records
from nimbus_tasks.server.telemetry import Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.server.rate_limit import Buckets
    from nimbus_tasks.server.storage import Storage

#: The record with the key that signs addresses and CSRF tokens: all processes share it.
SIGNING_KEY = "server:signing_key"


class Service:
    """The parts of one process."""

    # No dataclass: the framework would check each of its fields for each request.
    def __init__(
        self, settings: Settings, root: Path, database: Database, storage: Storage, buckets: Buckets, signing_key: bytes
    ) -> None:
        self.settings = settings
        self.root = root
        self.database = database
        self.records = RecordsStore(database)
        self.storage = storage
        self.buckets = buckets
        self.signing_key = signing_key
        self.log = Log(settings.log.level, root / LOG_FILE)
        self.lookups = Lookups(self.records)
        self.metrics = Metrics()
        #: Is set when the process is stopped: requests that would go on for long end.
        self.stopping = asyncio.Event()

    def close(self) -> None:
        self.database.close()


def open_database(root: Path) -> Database:
    """Return the database that DATABASE_URL names, else the file in the project, with all its tables.

    Raises:
        SettingsError: the address is malformed.
        StoreError: the database does not answer.
    """
    url = find_secret("DATABASE_URL", root)
    database = Database(url.reveal() if url else "", root)
    database.migrate()
    return database


def open_service(settings: Settings, root: Path, *, processes: int = 1) -> Service:
    """Return the service of this process. processes: that serve requests; with several, rate limits are shared.

    Raises:
        SettingsError: a setting or a credential is missing or malformed.
        StoreError: the database does not answer.
    """
    from nimbus_tasks.server.rate_limit import open_buckets

    database = open_database(root)
    key = _signing_key(database)
    storage = _open_storage(settings, root, key)
    buckets = open_buckets(settings.server, database, find_secret("REDIS_URL", root), processes)
    return Service(settings, root, database, storage, buckets, key)


def _open_storage(settings: Settings, root: Path, signing_key: bytes) -> Storage:
    """Return the storage that the settings name.

    Raises:
        SettingsError: a setting or a credential is missing or malformed.
    """
    if settings.server.storage == "folder":
        from nimbus_tasks.server.folder_storage import FolderStorage

        return FolderStorage(root, signing_key, settings.server.public_url.rstrip("/"))
    from nimbus_tasks.backends.blobs.open import BlobTarget, s3_requests
    from nimbus_tasks.server.s3_storage import S3Storage

    assets = settings.assets
    target = BlobTarget(
        store="s3",
        endpoint=assets.endpoint,
        bucket=assets.bucket,
        prefix=assets.prefix,
        region="" if assets.region == "auto" else assets.region,
        public_url=assets.public_url,
    )
    try:
        return S3Storage(s3_requests(target, root))
    except SettingsError as error:
        raise SettingsError(f'[server] storage = "s3": {error.message}', "See [assets], and AWS_* variables.") from None


def _signing_key(database: Database) -> bytes:
    """Return the signing key, made at the first start of any process."""
    known = select(records.c.value).where(records.c.key == SIGNING_KEY)
    with database.writing() as connection:
        made = database.insert(records).values(key=SIGNING_KEY, value=secrets.token_hex(32).encode())
        connection.execute(made.on_conflict_do_nothing())
        key: bytes = connection.execute(known).scalar_one()
    return key
