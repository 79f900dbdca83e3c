"""From plain values and the environment to an opened blob store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.environment import Environment
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.blobs import BlobStore, Resumable
    from nimbus_tasks.backends.blobs.retry import RetryBlobStore
    from nimbus_tasks.backends.blobs.s3_requests import S3Requests
    from nimbus_tasks.backends.blobs.server_progress import ServiceProgress
    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.project.secrets import Secret

StoreName = Literal["folder", "s3", "pinata", "server"]
BLOBS_FOLDER = f"{STATE_FOLDER}/blobs"
PINATA_UPLOADS = "https://uploads.pinata.cloud"
PINATA_API = "https://api.pinata.cloud"
PINATA_GATEWAY = "https://gateway.pinata.cloud"
#: Requests a minute of each of Pinata's plans (docs.pinata.cloud/account-management/limits).
PINATA_PLANS = {"free": 60, "picnic": 250, "fiesta": 500}


class BlobTarget(Struct, frozen=True, kw_only=True):
    """Which blob store, and how to use it. The environment wins over what is said here.

    path: of a folder. endpoint, bucket, prefix, region: of an S3 service; without an endpoint it is AWS. public_url:
    where readers get the files of a folder or a bucket. plan, gateway_url: of Pinata; empty: its free plan and public
    gateway. group_id: of the group of Pinata that files join; empty: none.
    service_url: of our own service.

    concurrency: files at a time. tries: attempts for each request. retry_wait: milliseconds before the second one at
    most. give_up_after: abort after this many consecutive failures. connect_timeout, read_timeout: seconds.
    """

    store: StoreName = "folder"
    path: str = BLOBS_FOLDER
    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    public_url: str = ""
    plan: str = "free"
    group_id: str = ""
    gateway_url: str = PINATA_GATEWAY
    service_url: str = ""
    concurrency: int = 8
    tries: int = 5
    retry_wait: int = 500
    give_up_after: int = 10
    connect_timeout: float = 10.0
    read_timeout: float = 100.0


# Each store is imported only where it is used, so that a run with nothing to do does not load an HTTP client.


async def open_blob_store(
    target: BlobTarget,
    root: Path | None = None,
    connection: Connection | None = None,
    resumable: Resumable | None = None,
) -> RetryBlobStore:
    """Return a blob store, opened, with retries and pacing; `async with` closes it.

    resumable: keeps uploads in parts for a later process, where the store itself cannot.

    Raises:
        SettingsError: values or credentials are missing or malformed. The message names all of them.
        StoreError: it does not answer, or refuses the credentials.
    """
    from nimbus_tasks.backends.blobs.retry import RetryBlobStore
    from nimbus_tasks.backends.kv.pacing import Pace, Pacing

    connection = connection or Connection()
    slots = target.concurrency if connection.concurrency is None else connection.concurrency
    pace = Pace(Pacing(slots, (connection.delay or 0) / 1000, target.give_up_after), connection.waiting)
    plain = blob_store(target, root, connection, resumable=resumable)
    store = RetryBlobStore(plain, pace, target.tries, target.retry_wait / 1000, connection.retrying)
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


def blob_store(
    target: BlobTarget,
    root: Path | None = None,
    connection: Connection | None = None,
    environment: Mapping[str, str] | None = None,
    resumable: Resumable | None = None,
) -> BlobStore:
    """Return a blob store without retries. Nothing is sent.

    Raises:
        SettingsError: values or credentials are missing or malformed. The message names all of them.
    """
    root, connection = root or Path(), connection or Connection()
    read = Environment(environment, root)
    if target.store == "s3":
        return _s3(target, read, connection)
    if target.store == "pinata":
        return _pinata(target, read, connection, resumable)
    if target.store == "server":
        return _server(target, read, connection)
    if target.store != "folder":
        read.note(f"`{target.store}` is no blob store: it must be one of {', '.join(get_args(StoreName))}.")
        read.raise_mistakes()
    from nimbus_tasks.backends.blobs.folder import FolderStore

    return FolderStore(root / target.path, target.public_url)


def service(target: BlobTarget, root: Path | None = None, connection: Connection | None = None) -> ServiceProgress:
    """Return a reader of our own service's progress. Nothing is sent.

    Raises:
        SettingsError: the address or the key is missing or malformed.
    """
    from nimbus_tasks.backends.blobs.server_progress import ServiceProgress

    http, _ = _service_http(target, Environment(None, root or Path()), connection or Connection())
    return ServiceProgress(http)


def service_address(target: BlobTarget, root: Path | None = None) -> str:
    """Return the address of our own service; empty where it is not set."""
    return Environment(None, root or Path()).text("NIMBUS_SERVICE_URL") or target.service_url


def s3_requests(target: BlobTarget, root: Path, connection: Connection | None = None) -> S3Requests:
    """Return what sends and signs requests to a bucket. Nothing is sent.

    Raises:
        SettingsError: values or credentials are missing or malformed. The message names all of them.
    """
    return _s3_requests(target, Environment(None, root), connection or Connection())


def _s3(target: BlobTarget, read: Environment, connection: Connection) -> BlobStore:
    from nimbus_tasks.backends.blobs.s3 import S3Store

    return S3Store(_s3_requests(target, read, connection))


def _s3_requests(target: BlobTarget, read: Environment, connection: Connection) -> S3Requests:
    from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
    from nimbus_tasks.backends.blobs.sigv4 import Credentials

    named, endpoint = _address(read, "AWS_ENDPOINT_URL_S3", "endpoint", target.endpoint)
    region = read.text("AWS_REGION") or target.region or _region_of(endpoint)
    if not target.bucket:
        read.note(f"{PROJECT_FILE}: [assets] bucket is not set.")
    if not region:
        read.note(f"{PROJECT_FILE}: [assets] region is not set, and AWS_REGION neither.")
    key, secret = read.secret("AWS_ACCESS_KEY_ID"), read.secret("AWS_SECRET_ACCESS_KEY")
    session = read.secret("AWS_SESSION_TOKEN", optional=True)
    clients = _Clients(read, target, connection, (secret, session))
    http = clients.http(named, endpoint or f"https://s3.{region}.amazonaws.com")
    if target.public_url:
        clients.http(f"{PROJECT_FILE}: [assets] public_url", target.public_url)
    read.raise_mistakes()
    credentials = Credentials(key.reveal(), secret.reveal(), region, session.reveal())
    return S3Requests(http, credentials, Bucket(target.bucket, target.prefix, target.public_url))


def _region_of(endpoint: str) -> str:
    """Return the region to sign for where none is set: other services than AWS take this one, or any."""
    if endpoint.endswith((".r2.cloudflarestorage.com", ".r2.cloudflarestorage.com/")):
        return "auto"
    return "us-east-1" if endpoint else ""


def _pinata(target: BlobTarget, read: Environment, connection: Connection, resumable: Resumable | None) -> BlobStore:
    from nimbus_tasks.backends.blobs.pinata import PinataStore
    from nimbus_tasks.backends.blobs.pinata_requests import Places

    plan = (read.text("PINATA_PLAN") or target.plan or "free").lower()
    if plan not in PINATA_PLANS:
        read.note(f"PINATA_PLAN must be one of: {', '.join(PINATA_PLANS)}.")
    token = read.secret("PINATA_JWT")
    clients = _Clients(read, target, connection, (token,))
    places = Places(
        clients.http("PINATA_UPLOAD_URL", read.text("PINATA_UPLOAD_URL") or PINATA_UPLOADS, token),
        clients.http("PINATA_API_URL", read.text("PINATA_API_URL") or PINATA_API, token),
        clients.http("PINATA_GATEWAY_URL", read.text("PINATA_GATEWAY_URL") or target.gateway_url or PINATA_GATEWAY),
    )
    read.raise_mistakes()
    group_id = read.text("PINATA_GROUP_ID") or target.group_id
    return PinataStore(places, PINATA_PLANS[plan], group_id, connection.warn, resumable)


def _server(target: BlobTarget, read: Environment, connection: Connection) -> BlobStore:
    from nimbus_tasks.backends.blobs.server import ServerStore
    from nimbus_tasks.backends.http import Timeouts

    http, key = _service_http(target, read, connection)
    return ServerStore(http, key, Timeouts(target.connect_timeout, target.read_timeout), connection.warn)


def _service_http(target: BlobTarget, read: Environment, connection: Connection) -> tuple[Http, Secret]:
    named, address = _address(read, "NIMBUS_SERVICE_URL", "service_url", target.service_url)
    if not address:
        read.note(f"{PROJECT_FILE}: [assets] service_url is not set, and NIMBUS_SERVICE_URL neither.")
    key = read.secret("NIMBUS_SERVICE_KEY")
    http = _Clients(read, target, connection, (key,)).http(named, address or "https://localhost", key)
    read.raise_mistakes()
    return http, key


def _address(read: Environment, variable: str, key: str, setting: str) -> tuple[str, str]:
    """Return an address and where it was said: the variable, which wins, or the key of `[assets]`."""
    if address := read.text(variable):
        return variable, address
    return f"{PROJECT_FILE}: [assets] {key}", setting


class _Clients(Struct):
    """Makes the HTTP clients of a store. hidden: secrets that no message may show."""

    read: Environment
    target: BlobTarget
    connection: Connection
    hidden: tuple[Secret, ...]

    def http(self, name: str, address: str, token: Secret | None = None) -> Http:
        """Return the client of an address; of another one, which is not used, where the address is a mistake."""
        from nimbus_tasks.backends.http import Http, Timeouts

        timeouts = Timeouts(self.target.connect_timeout, self.target.read_timeout)
        try:
            return Http(address, token, timeouts, self.connection.record, hidden=self.hidden)
        except SettingsError as error:
            self.read.note(f"{name}: {error.message}")
            return Http("https://localhost", None, timeouts)
