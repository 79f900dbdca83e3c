"""The work on assets: the image job, then the embedding job. Workers and the cron endpoints run the same.

What a job makes is stored under names that follow from the asset, then written to its row while the lease is held. A
job that runs again after a kill makes the same files and the same row; one whose lease is gone writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from nimbus_tasks.media.embeddings import REMOTE
from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.values import Context, Encoded
from nimbus_tasks.model.errors import NimbusError, RefusedError, StoreError, TransientError
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.server import claims, search
from nimbus_tasks.server.claims import EmbeddingResult, ImageResult, Limit
from nimbus_tasks.server.retry_schedule import Failure, judge
from nimbus_tasks.server.storage import main_picture_of, thumbnail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.media.images import ImageWorkers
    from nimbus_tasks.media.values import Embedder
    from nimbus_tasks.server.claims import Claim, Step
    from nimbus_tasks.server.service import Service

Outcome = Literal["done", "failed", "lost"]
WORK_FOLDER = f"{STATE_FOLDER}/work"
#: Leases are renewed this many times before they would expire.
RENEWALS = 3
#: Runs of a job that ended with their worker, after which the file counts as their cause.
MOST_INTERRUPTIONS = 20


class Jobs:
    """Claims jobs and runs them. `async with Jobs(service, images, embedder) as jobs`: leases are renewed inside."""

    def __init__(
        self,
        service: Service,
        images: ImageWorkers,
        embedder: Embedder,
        observe: Callable[[Step, str, float], None] = lambda *_: None,
    ) -> None:
        self._service, self._images, self._embedder, self._observe = service, images, embedder, observe
        self._worker = uuid.uuid4().hex
        self._running: dict[Claim, asyncio.Task[object]] = {}
        self._renewing: asyncio.Task[None] | None = None
        embeddings = service.settings.embeddings
        self._limits = {"image": None, "embedding": Limit(embeddings.rate) if embeddings.provider in REMOTE else None}

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._keep_renewing())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._renewing is not None
        self._renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._renewing

    async def claim(self, step: Step, most: int) -> list[Claim]:
        """Claim up to `most` jobs that are due."""
        database, lease, token = self._service.database, self._service.settings.server.lease, uuid.uuid4().hex
        return await database.write(
            lambda connection: claims.claim(
                database,
                connection,
                step,
                f"{self._worker}-{token}",
                most,
                moment=claims.now(connection),
                lease=lease,
                limit=self._limits[step],
            )
        )

    async def due(self) -> float | None:
        """Return the seconds until a job becomes due; None where nothing waits."""
        return await self._service.database.read(lambda connection: claims.next_due(connection, claims.now(connection)))

    async def run(self, held: Claim) -> Outcome:
        """Run a claimed job and write what came of it. A job that is cancelled is given back."""
        task = asyncio.current_task()
        assert task is not None
        self._running[held] = task
        began = time.perf_counter()
        outcome: Outcome = "lost"
        error_class = ""
        try:
            failure = await self._try(held, began)
            if failure is None:
                outcome = "done"
            elif await self._fail(held, failure):
                outcome, error_class = "failed", failure.error_class
        except asyncio.CancelledError:
            with contextlib.suppress(StoreError):
                await asyncio.shield(self._service.database.write(lambda connection: claims.release(connection, held)))
            raise
        except StoreError as error:  # the database: the lease expires, and the job is run again
            self._service.log.event("error", "job not written", asset_id=held.id, step=held.step, error=str(error))
        except _LostError:
            self._service.log.event("warning", "job lost to another worker", asset_id=held.id, step=held.step)
        finally:
            del self._running[held]
        self._observe(held.step, error_class or outcome, time.perf_counter() - began)
        return outcome

    async def _try(self, held: Claim, began: float) -> Failure | None:
        """Run a job; return why it failed."""
        if held.interruptions >= MOST_INTERRUPTIONS:
            message = f"The worker ended {held.interruptions} times while it worked on this file"
            return Failure("server", message, permanent=True)
        database = self._service.database
        made: ImageResult | EmbeddingResult
        try:
            made = await (self._image(held, began) if held.step == "image" else self._embedding(held, began))
        except Exception as error:  # whatever one file causes must not stop the others
            return failure_of(error)
        if isinstance(made, ImageResult):
            image = made
            written = await database.write(lambda connection: claims.image_done(connection, held, image))
        else:
            vector = made
            written = await database.write(lambda connection: claims.embedding_done(database, connection, held, vector))
        if not written:
            raise _LostError
        return None

    async def _image(self, held: Claim, began: float) -> ImageResult:
        images, storage = self._service.settings.images, self._service.storage
        if held.size > images.max_megabytes * 1_000_000:
            raise MediaError("too_large", f"The file has more than {images.max_megabytes} MB, as [images] allows.")
        with self._folder() as folder:
            original = folder / "original"
            with original.open("wb") as file:
                async for chunk in storage.read(held.pathname):
                    file.write(chunk)
            made = await self._images.process(original, held.mime_type)
            main = main_picture_of(held.user_id, held.id, made.main.content_type)
            thumbnail = thumbnail_of(held.user_id, held.id)
            for pathname, encoded in ((main, made.main), (thumbnail, made.thumbnail)):
                made_file = folder / "made"
                made_file.write_bytes(encoded.data)
                await storage.put(pathname, made_file, encoded.content_type, hashlib.sha256(encoded.data).hexdigest())
        ms = round((time.perf_counter() - began) * 1000)
        return ImageResult(storage.url(main), storage.url(thumbnail), made.width, made.height, made.placeholder, ms)

    async def _embedding(self, held: Claim, began: float) -> EmbeddingResult:
        picture = b"".join([chunk async for chunk in self._service.storage.read(thumbnail_of(held.user_id, held.id))])
        context = await self._service.database.read(lambda connection: search.context_of(connection, held.id))
        vector = await self._embedder.embed(
            Encoded(picture, "image/webp", 0, 0), Context(held.filename, tuple(context.alt), tuple(context.titles))
        )
        return EmbeddingResult(vector.model, vector.values, round((time.perf_counter() - began) * 1000))

    async def _fail(self, held: Claim, failure: Failure) -> bool:
        verdict = judge(failure, held.tries + 1, urgent=held.urgent, delays=self._service.settings.server.retry_delays)
        self._service.log.event(
            "warning" if verdict.delay is not None else "error",
            "job failed",
            asset_id=held.id,
            step=held.step,
            error=failure.message,
            error_class=failure.error_class,
            tries=held.tries + 1,
            retry_in=verdict.delay,
        )
        return await self._service.database.write(
            lambda connection: claims.failed(connection, held, failure, verdict, moment=claims.now(connection))
        )

    async def _keep_renewing(self) -> None:
        lease = self._service.settings.server.lease
        while True:
            await asyncio.sleep(lease / RENEWALS)
            held = list(self._running)
            if not held:
                continue
            with contextlib.suppress(StoreError):  # the next try may come in time
                kept = await self._service.database.write(
                    lambda connection, held=held: claims.renew(  # type: ignore[misc]
                        connection, held, moment=claims.now(connection), lease=lease
                    )
                )
                for each in held:
                    if each.id not in kept and each in self._running:
                        self._running[each].cancel()

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        parent = self._service.root / WORK_FOLDER
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            yield Path(folder)


class _LostError(Exception):
    """The lease is another worker's by now."""


def failure_of(error: Exception) -> Failure:
    """Return what an error means for the next try."""
    if isinstance(error, MediaError):
        return Failure(error.kind, str(error), permanent=error.permanent, wait=error.wait)
    if isinstance(error, TransientError):
        return Failure("network", str(error), wait=error.wait)
    if isinstance(error, RefusedError):
        return Failure("server", str(error))
    if isinstance(error, NimbusError):
        return Failure("network" if isinstance(error, StoreError) else "server", str(error))
    if isinstance(error, OSError):
        return Failure("server", f"{error.strerror or type(error).__name__}")
    return Failure("unknown", f"{type(error).__name__}: {error}"[:500])
