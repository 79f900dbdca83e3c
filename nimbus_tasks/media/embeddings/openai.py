"""An embedder of texts: what is known of a picture in words, by an OpenAI-compatible /embeddings endpoint.

It never sees the picture. Pictures with similar file names, alternative texts and pages are similar to it, and the
vector of a question finds them too: `embed` it with the question as the alternative text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.media.embeddings.remote import LONGEST_RESPONSE, decoded, send, vector_of
from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.media.values import Context, Encoded, Vector
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import Embeddings

KEY = "NIMBUS_AI_KEY"
BASE_URL = "https://api.openai.com/v1"
MODEL = "text-embedding-3-small"
#: Characters of a text: far below what models take.
LONGEST_TEXT = 8000


class _Item(Struct):
    embedding: object


class _List(Struct):
    data: list[_Item]


class OpenAIEmbedder:
    """Asks one model behind one endpoint."""

    def __init__(
        self, settings: Embeddings, key: Secret | None, record: Callable[[Recorded], None] = lambda _: None
    ) -> None:
        """Check the settings; nothing is sent.

        Raises:
            SettingsError: the address is not valid, or needs a key.
        """
        base = settings.base_url or BASE_URL
        try:
            _, loopback = check_address(base, BASE_URL)
        except SettingsError as error:
            raise SettingsError(f"{PROJECT_FILE}: [embeddings] base_url: {error.message}", error.next_step) from None
        if key is None and not loopback:
            raise SettingsError(f"{KEY} is not set: {base} needs a key.", "Set it in the environment.")
        self._name, self._dimensions = settings.model or MODEL, settings.dimensions
        self.model = f"{self._name}/{self._dimensions}" if self._dimensions else self._name
        timeouts = Timeouts(min(10.0, settings.timeout), settings.timeout)
        self._http = Http(base, key, timeouts, record, LONGEST_RESPONSE)

    async def embed(self, _picture: Encoded | None, context: Context) -> Vector:
        text = text_of(context)
        if not text:
            raise MediaError("no_text", "Nothing is known of this picture in words.", "Give it an alternative text.")
        asked: dict[str, object] = {"model": self._name, "input": text, "encoding_format": "float"}
        if self._dimensions:
            asked["dimensions"] = self._dimensions
        response = decoded(self._http, await send(self._http, "POST", "/embeddings", msgspec.json.encode(asked)), _List)
        return vector_of(self._http.host, self.model, response.data[0].embedding if response.data else None)

    async def close(self) -> None:
        await self._http.close()


def text_of(context: Context) -> str:
    """Return what is known of a picture as one text: alternative texts first."""
    name = context.filename.rpartition(".")[0] or context.filename
    spoken = " ".join(name.replace("-", " ").replace("_", " ").split())
    lines = dict.fromkeys(" ".join(line.split()) for line in (*context.alt, *context.titles, spoken))
    return "\n".join(filter(None, lines))[:LONGEST_TEXT]
