"""An embedder by a model on Replicate: create a prediction, then poll it until it is done.

A picture is sent as a data URL: a thumbnail is far below the 256 kB up to which Replicate wants that. Polling rather
than webhooks, because a service on loopback cannot be called, and an embedding takes seconds.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.media.embeddings.remote import LONGEST_RESPONSE, bad_answer, decoded, send, vector_of
from nimbus_tasks.media.errors import MediaError, temporary
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.media.values import Context, Encoded, Vector
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import Embeddings

KEY = "REPLICATE_API_TOKEN"
BASE_URL = "https://api.replicate.com/v1"
#: Seconds between two looks at a prediction, doubled up to the second.
FIRST_LOOK, LONGEST_LOOK = 0.5, 5.0
_RUNNING = frozenset({"starting", "processing"})


class _Urls(Struct, frozen=True):
    get: str = ""
    cancel: str = ""


class _Prediction(Struct):
    status: str
    id: str = ""
    output: object = None
    error: object = None
    urls: _Urls = _Urls()


class ReplicateEmbedder:
    """Asks one model of Replicate's."""

    def __init__(
        self,
        settings: Embeddings,
        token: Secret,
        record: Callable[[Recorded], None] = lambda _: None,
        first_look: float = FIRST_LOOK,
    ) -> None:
        """Check the settings; nothing is sent. `first_look`: seconds before a prediction is looked at again.

        Raises:
            SettingsError: no model is named, or the address is not valid.
        """
        owner, _, name = settings.model.partition(":")[0].partition("/")
        if not owner or not name or "/" in name:
            raise SettingsError(
                f"{PROJECT_FILE}: [embeddings] model must be owner/name or owner/name:version.",
                "Copy it from the model's page on Replicate.",
            )
        base = settings.base_url or BASE_URL
        try:
            check_address(base, BASE_URL)
        except SettingsError as error:
            raise SettingsError(f"{PROJECT_FILE}: [embeddings] base_url: {error.message}", error.next_step) from None
        self.model = settings.model
        self._version = settings.model.partition(":")[2]
        self._official = f"/models/{quote(owner, safe='')}/{quote(name, safe='')}/predictions"
        self._settings, self._first_look = settings, first_look
        self._http = Http(base, token, Timeouts(10.0, min(settings.timeout, 100.0)), record, LONGEST_RESPONSE)

    async def embed(self, picture: Encoded, _context: Context) -> Vector:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._embed(picture)
        except TimeoutError:
            seconds = self._settings.timeout
            raise temporary("timeout", f"{self._http.host} was not done within {seconds:g} s.") from None

    async def close(self) -> None:
        await self._http.close()

    async def _embed(self, picture: Encoded) -> Vector:
        address = f"data:{picture.content_type};base64,{base64.b64encode(picture.data).decode()}"
        asked: dict[str, object] = {"input": {self._settings.input: address}}
        if self._version:
            asked["version"] = self._version
        path = "/predictions" if self._version else self._official
        prediction = await self._read("POST", path, msgspec.json.encode(asked))
        look = self._first_look
        while prediction.status in _RUNNING:
            await asyncio.sleep(look)
            look = min(2 * look, LONGEST_LOOK)
            try:
                prediction = await self._read("GET", self._path(prediction))
            except MediaError as error:
                # It is paid for: looking at it again costs nothing. The timeout ends this.
                if error.kind not in ("rate_limit", "network", "server") or error.code == "bad_answer":
                    raise
                await asyncio.sleep(error.wait or 0)
        if prediction.status == "succeeded":
            return vector_of(self._http.host, self.model, _numbers(prediction.output))
        detail = self._http.plain(prediction.error) if isinstance(prediction.error, str) else ""
        why = f"the prediction has {prediction.status[:20]}{f' ({detail})' if detail else ''}"
        # Whether the picture or the machine is the reason, nobody says.
        raise temporary("prediction", f"{self._http.host}: {why}.")

    async def _read(self, method: str, path: str, body: bytes = b"") -> _Prediction:
        return decoded(self._http, await send(self._http, method, path, body), _Prediction)

    def _path(self, prediction: _Prediction) -> str:
        """Return where to look at a prediction. Only its path counts: the token goes nowhere else.

        Raises:
            MediaError: it has no id.
        """
        if prediction.id:
            return f"/predictions/{quote(prediction.id, safe='')}"
        found = urlsplit(prediction.urls.get).path.rpartition("/")[2]
        if not found:
            raise bad_answer(self._http.host)
        return f"/predictions/{quote(found, safe='')}"


def _numbers(output: object) -> object:
    """Return the vector in an output: itself, that of the only picture, or what it calls its embedding."""
    while True:
        match output:
            case [dict() | list() as only]:
                output = only
            case {"embedding": inner}:
                output = inner
            case {"embeddings": inner}:
                output = inner
            case _:
                return output
