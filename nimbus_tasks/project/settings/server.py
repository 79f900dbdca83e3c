"""The table `[server]` of `.nimbus/project.toml`: the service."""

# Without `from __future__ import annotations`: msgspec would evaluate string annotations at every start (2.5 ms).

from typing import Annotated, Literal

from msgspec import Meta, Struct

from nimbus_tasks.project.settings.values import Delay, Percent, Positive, Seconds, says


class Server(Struct, frozen=True):
    """`[server]`: the service that takes uploads. NIMBUS_SERVER_ and a key's name in the environment wins over it."""

    host: Annotated[str, says("address to listen on; others than loopback need an API key first")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535), says("port to listen on; 0: a free one")] = 8788
    public_url: Annotated[
        str, says("address under which clients reach the service, such as https://img.example.com; unset: as asked")
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...], says("addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed")
    ] = ()
    storage: Annotated[
        Literal["folder", "s3"],
        says("folder: .nimbus/uploads, served by the service itself; s3: the bucket that [assets] names"),
    ] = "folder"
    types: Annotated[tuple[str, ...], says("media types that are taken; a star stands for any part of one")] = (
        "image/*",
    )
    max_file_size: Annotated[Positive, says("maximum bytes of a file")] = 1024 * 1024 * 1024
    url_seconds: Annotated[int, Meta(ge=10, le=3600), says("seconds for which a signed address is valid")] = 300
    direct_upload_percent: Annotated[
        Percent, says("users whose uploads go straight to the blob store; the others' go through the service")
    ] = 100
    upload_concurrency: Annotated[
        int, Meta(ge=1, le=8), says("files that the page and the command-line client send at once, at most")
    ] = 3
    rate_tokens: Annotated[Positive, says("requests for uploads that a user may make at once")] = 100
    rate_per_minute: Annotated[Positive, says("requests for uploads that a user gets back in a minute")] = 10
    rate_store: Annotated[
        Literal["auto", "memory", "database", "redis"],
        says(
            "where rate limits are counted; auto: redis where REDIS_URL is set, memory for one process on SQLite, "
            "else the database"
        ),
    ] = "auto"
    session_days: Annotated[int, Meta(ge=1, le=365), says("days for which a login is valid")] = 30
    slow_client: Annotated[Seconds, says("seconds to wait for the next part of a request's body")] = 30.0
    grace: Annotated[Seconds, says("seconds that a stop waits for requests under way")] = 20.0
    sweep_after: Annotated[
        int, Meta(ge=60), says("seconds after its address expired, until an upload that was not completed is removed")
    ] = 3600
    lease: Annotated[
        float, Meta(ge=1, le=3600), says("seconds after which the job of a worker that died is another worker's")
    ] = 60.0
    retry_delays: Annotated[
        tuple[Delay, ...], says("seconds before the second, third, ... try of a failed job; then it is a dead letter")
    ] = (60, 300, 900, 3600, 21600)
    embedding_jobs: Annotated[Positive, says("embeddings that one process makes at a time")] = 2
