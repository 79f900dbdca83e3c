"""What each fault does to an answer on its way to the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import h11

from edge.faults.connections import READ_BYTES, Answer, Peer
from edge.faults.script import Rule

PORTAL = b"<!doctype html><title>Welcome</title><h1>Guest network</h1><p>Please sign in to use this network.</p>"


def json_answer(status: int, content: object) -> Answer:
    try:
        reason = HTTPStatus(status).phrase.encode()
    except ValueError:  # such as Cloudflare's own 524
        reason = b""
    return Answer(status, [(b"content-type", b"application/json")], json.dumps(content).encode(), reason)


def error_answer(status: int, message: str = "") -> Answer:
    """Answer with an error as Cloudflare's API words it; the codes are those of its documents, else the status."""
    code = {401: 10000, 403: 10000, 429: 971}.get(status, status)
    error = {"code": code, "message": message or f"Scripted status {status}"}
    return json_answer(status, {"success": False, "errors": [error], "messages": [], "result": None})


async def _status(client: Peer, rule: Rule, _: Answer) -> None:
    answer = error_answer(rule.status)
    if isinstance(rule.body, str):
        answer = replace(answer, headers=(), body=rule.body.encode())
    elif rule.body is not None:
        answer = json_answer(rule.status, rule.body)
    said = [(name.lower().encode(), value.encode()) for name, value in rule.headers.items()]
    kept = [pair for pair in answer.headers if pair[0] not in dict(said)]
    await client.answer(replace(answer, headers=[*kept, *said]))


async def _reset(client: Peer, rule: Rule, answer: Answer) -> None:
    if rule.size:
        head = client.http.send(client.head(answer)) or b""
        client.writer.write((head + answer.body)[: rule.size])
        await client.delivered()
    client.reset()


async def _no_answer(client: Peer, _: Rule, __: Answer) -> None:
    while await client.reader.read(READ_BYTES):
        pass
    client.close()


async def _slow_body(client: Peer, rule: Rule, answer: Answer) -> None:
    client.send(client.head(answer))
    for start in range(0, len(answer.body), rule.size):
        await client.writer.drain()
        if start:
            await asyncio.sleep(rule.ms / 1000)
        client.send(h11.Data(data=answer.body[start : start + rule.size]))
    client.send(h11.EndOfMessage())
    await client.writer.drain()


async def _half_body(client: Peer, _: Rule, answer: Answer) -> None:
    client.send(client.head(answer))
    client.writer.write(answer.body[: len(answer.body) // 2])
    client.close()


async def _wrong_json(client: Peer, _: Rule, answer: Answer) -> None:
    await client.answer(replace(answer, status=200, reason=b"OK", body=answer.body[: len(answer.body) // 2] or b"{"))


async def _html(client: Peer, _: Rule, __: Answer) -> None:
    await client.answer(Answer(200, [(b"content-type", b"text/html; charset=utf-8")], PORTAL, b"OK"))


async def _empty(client: Peer, _: Rule, __: Answer) -> None:
    await client.answer(Answer(200, reason=b"OK"))


async def _close_idle(client: Peer, rule: Rule, answer: Answer) -> None:
    await client.answer(answer)
    await asyncio.sleep(rule.ms / 1000)
    client.close()


async def _edit(client: Peer, rule: Rule, answer: Answer) -> None:
    try:
        content = json.loads(answer.body) if rule.changes else None
    except ValueError:
        content = None  # not JSON: there is nothing to edit
    if isinstance(content, dict):
        for path, value in rule.changes.items():
            _put(content, path.split("."), value)
        answer = replace(answer, body=json.dumps(content).encode())
    await client.answer(answer)


def _put(content: dict[str, Any], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        if not isinstance(content.get(name), dict):
            content[name] = {}
        content = content[name]
    content[path[-1]] = value


ACTIONS: dict[str, Callable[[Peer, Rule, Answer], Awaitable[None]]] = {
    "status": _status,
    "reset_before": _reset,
    "reset_after": _reset,
    "no_answer": _no_answer,
    "slow_body": _slow_body,
    "half_body": _half_body,
    "wrong_json": _wrong_json,
    "html": _html,
    "empty": _empty,
    "status_after": _status,
    "close_idle": _close_idle,
    "refuse": _reset,
    "edit": _edit,
}
