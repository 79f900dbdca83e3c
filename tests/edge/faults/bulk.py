"""A share of a bulk put's pairs that is never stored, and said so, as a store does under load."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import h11

from edge.faults.actions import json_answer
from edge.faults.connections import Answer
from edge.faults.script import Rule


class BulkPut:
    """A bulk put of which the upstream sees only some pairs, to Cloudflare's API or to a gateway."""

    def __init__(self, path: str, body: bytes, rule: Rule, number: int) -> None:
        pairs = _pairs(body)
        random = rule.random(number)
        drawn = {pair["key"]: random.random() < rule.unsuccessful for pair in pairs}
        rest = [pair for pair in pairs if not drawn[pair["key"]]]
        self.withheld = [key for key, lost in drawn.items() if lost]
        self.empty = bool(pairs) and not rest
        self.body = json.dumps(rest).encode() if self.withheld else body
        self._cloudflare = "/storage/kv/" in path

    def nothing_stored(self) -> Answer:
        """Answer for the upstream, which need not be asked to store nothing."""
        if not self._cloudflare:
            return json_answer(200, {"confirmed": [], "failed": {}})
        result = {"successful_key_count": 0, "unsuccessful_keys": []}
        return json_answer(200, {"success": True, "errors": [], "messages": [], "result": result})

    def confess(self, answer: Answer) -> Answer:
        """Add the keys that were withheld to an answer that is a success.

        Raises:
            h11.RemoteProtocolError: it is no answer to a bulk put.
        """
        if not self.withheld or not 200 <= answer.status < 300:
            return answer
        try:
            content = json.loads(answer.body)
            if self._cloudflare:
                content["result"]["unsuccessful_keys"] += self.withheld
            else:
                failure = {"code": "store_unavailable", "message": "Scripted: this pair was not stored."}
                content["failed"] |= dict.fromkeys(self.withheld, failure)
        except (ValueError, KeyError, TypeError):
            raise h11.RemoteProtocolError("it is not that of a bulk put") from None
        return replace(answer, body=json.dumps(content).encode())


def _pairs(body: bytes) -> list[dict[str, Any]]:
    try:
        pairs = json.loads(body)
    except ValueError:
        return []
    if isinstance(pairs, list) and all(isinstance(pair, dict) and isinstance(pair.get("key"), str) for pair in pairs):
        return pairs
    return []
