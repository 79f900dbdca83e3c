"""A chat endpoint on 127.0.0.1 that keeps the protocol's documented behaviour, with a model that a test scripts.

It checks what a server checks (path, key, form of the request) and answers with usage, limits and errors in the
protocol's forms. Streaming is not asked for, so it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any, Self

from deadlines import SECONDS
from loopback import Asked, Loopback, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-5ecre7-key"


class Question:
    """A request as the model sees it."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.system: str = body["messages"][0]["content"]
        self.quoted: str = body["messages"][-1]["content"]
        self.page: dict[str, Any] = json.loads(self.quoted)
        self.ids = [text["id"] for text in self.page["texts"]]

    def text(self, text_id: str) -> str:
        return next(text["text"] for text in self.page["texts"] if text["id"] == text_id)


def changes(*changed: tuple[str, str], confidence: float = 0.8, reason: str = "Reads better.") -> str:
    """Return the JSON that a good model answers."""
    proposals = [{"id": name, "text": text, "reason": reason} for name, text in changed]
    return json.dumps({"changes": proposals, "confidence": confidence})


def completion(
    content: str | None, finish_reason: str = "stop", usage: tuple[int, int] | None = (1000, 100), **more: Any
):
    """Return an answer's body, such as the protocol has it."""
    message = {"role": "assistant", "content": content, "refusal": None} | more
    counts = None
    if usage is not None:
        counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": counts}


def error(
    status: int, message: str = "Something is wrong", kind: str = "invalid_request_error", code: Any = None, **headers
):
    """Return a whole answer that says no."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return answer(status, json.dumps(body).encode(), **headers)


class Chat:
    """The endpoint. model: from a question to its message's content, a whole completion, or the bytes of an answer.

    key: empty: none is asked for. schemas: whether it knows json_schema. headers: of each good answer.
    """

    def __init__(self, model: Any = None, *, key: str = KEY, schemas: bool = True, **headers: str) -> None:
        self.model = model or (lambda _question: changes())
        self.key, self.schemas, self.headers = key, schemas, headers
        self.questions: list[Question] = []
        self._server = Loopback(self._reply)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.__aexit__(*error)

    @property
    def url(self) -> str:
        return f"{self._server.url}/v1"

    @property
    def asked(self) -> list[Asked]:
        return self._server.asked

    async def _reply(self, asked: Asked) -> bytes:
        if (asked.method, asked.target) != ("POST", "/v1/chat/completions"):
            return error(404, "Invalid URL")
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return error(
                401, f"Incorrect API key provided: {asked.headers.get('authorization')}", code="invalid_api_key"
            )
        body = json.loads(asked.body)
        if fault := self._fault(body):
            return error(400, fault)
        question = Question(body)
        self.questions.append(question)
        said = self.model(question)
        if hasattr(said, "__await__"):
            said = await said
        if isinstance(said, bytes):
            return said
        whole = completion(said) if isinstance(said, str) else said
        return answer(200, json.dumps(whole).encode(), **self.headers)

    def _fault(self, body: dict[str, Any]) -> str:
        if body.get("stream"):
            return "streaming is not supported"
        if not (body.get("model") and body.get("messages") and body.get("max_tokens")):
            return "model, messages and max_tokens are required"
        form = body["response_format"]
        if form["type"] == "json_schema":
            if not self.schemas:
                return "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."
            return _fault_of_schema(form["json_schema"]["schema"]) if form["json_schema"]["strict"] else ""
        # In JSON mode the word must be in the messages, or the server refuses.
        if not any("JSON" in message["content"] for message in body["messages"]):
            return (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
        return ""


def _fault_of_schema(schema: dict[str, Any]) -> str:
    """Strict schemas name every property as required, and allow no others."""
    if schema["type"] == "object":
        if schema.get("additionalProperties") is not False or set(schema["required"]) != set(schema["properties"]):
            return "Invalid schema for response_format"
        return next(filter(None, map(_fault_of_schema, schema["properties"].values())), "")
    return _fault_of_schema(schema["items"]) if schema["type"] == "array" else ""


@contextlib.contextmanager
def served(model: Any = None, **options: Any) -> Iterator[Chat]:
    """Serve from a thread of its own, for processes that ask: `with served(model) as chat:`."""
    begun, ended = threading.Event(), asyncio.Event()
    chat = Chat(model, **options)
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with chat:
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert begun.wait(SECONDS)
        yield chat
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(SECONDS)
        loop.close()
