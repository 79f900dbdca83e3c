"""An optimiser that asks a model behind an OpenAI-compatible chat endpoint.

    page -> prompt -> endpoint (within limits) -> answers -> changes
                 cache: each part of a page is paid for once

A page is quoted as material, never as an instruction, and an answer can only replace texts that were sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE, Optimised, changes_between
from nimbus_tasks.processing.optimise.errors import PermanentError, TemporaryError
from nimbus_tasks.processing.optimise.openai.answers import Answer, BadAnswerError, read_answer
from nimbus_tasks.processing.optimise.openai.cache import AnswerCache, Cache, StoreCache, answer_key
from nimbus_tasks.processing.optimise.openai.endpoint import KEY, LONGEST_RESPONSE, Endpoint, key_hint
from nimbus_tasks.processing.optimise.openai.limits import Budget, Prices, Usage
from nimbus_tasks.processing.optimise.openai.prompt import Part, messages, retry_messages, split
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.processing.optimise import Page
    from nimbus_tasks.processing.optimise.openai.endpoint import Choice
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import OpenAISettings

__all__ = ["KEY", "Budget", "Cache", "OpenAIOptimiser", "StoreCache", "check", "open_budget"]

#: Tokens of a request besides the page's texts: instructions, schema, title and language.
_OVERHEAD = 1500
_TRIES = 2
_EXAMPLE = "https://api.openai.com/v1"


class _Paid(Struct, frozen=True):
    """An answer and what it cost now."""

    answer: Answer
    usage: Usage = Usage()


class OpenAIOptimiser:
    """One model behind one endpoint, for one run."""

    def __init__(
        self,
        settings: OpenAISettings,
        key: Secret | None,
        cache: Cache,
        *,
        budget: Budget | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        say: Callable[[float, str], None] = lambda _seconds, _why: None,
        record: Callable[[Recorded], None] = lambda _: None,
    ) -> None:
        """Check the settings and send nothing. `budget` is the run's, if it makes several optimisers.

        Raises:
            SettingsError: the key or the prices are missing, or no model is set.
        """
        check(settings, key)
        if not settings.model:
            raise SettingsError(f"{PROJECT_FILE}: [openai] model is not set.", "Name a model of the endpoint.")
        self.name = settings.model
        self._settings, self._key = settings, key
        # The endpoint's own timeout ends first: that tells a slow answer from a broken connection.
        timeouts = Timeouts(min(10.0, settings.timeout), settings.timeout + 1)
        self._http = Http(settings.base_url, key, timeouts, record, LONGEST_RESPONSE)
        self._budget = budget or open_budget(settings)
        self._cache = cache
        self._endpoint = Endpoint(settings, self._http, self._budget, say)
        self._answers = AnswerCache(cache, settings.keep_days, clock)
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @property
    def spent(self) -> float:
        """Dollars this run has spent, including on pages that failed."""
        return self._budget.spent

    async def optimise(self, page: Page) -> Optimised:
        max_asked = self._settings.max_prompt_tokens - _OVERHEAD
        paid = [await self._answer(part, page.tone) for part in split(page, max_asked, self._settings.max_tokens)]
        return self._optimised(page, paid)

    async def close(self) -> None:
        await self._http.close()
        await self._cache.close()

    async def _answer(self, part: Part, tone: str) -> _Paid:
        key = answer_key(self.name, tone, part)
        async with self._locked(key):
            if answer := await self._answers.find(key, part):
                return _Paid(answer)
            paid = await self._ask(part, tone)
            await self._answers.keep(key, paid.answer)
            return paid

    @contextlib.asynccontextmanager
    async def _locked(self, key: str) -> AsyncIterator[None]:
        """Ask about the same content once at a time: the others find the answer in the cache."""
        lock, waiting = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(key)
            if waiting > 1:
                self._locks[key] = lock, waiting - 1

    async def _ask(self, part: Part, tone: str) -> _Paid:
        prompt = messages(part, tone)
        usages: list[Usage] = []
        fault = ""
        for tries_left in reversed(range(_TRIES)):
            choice, usage = await self._endpoint.ask(retry_messages(prompt, fault) if fault else prompt)
            usages.append(usage)
            if choice.finish_reason == "length" and len(part.texts) > 1:
                halves = [await self._answer(half, tone) for half in part.halves()]
                return _joined(halves, usages)
            try:
                # On the last try, invalid changes are dropped: the valid ones are paid for.
                self._check_key(choice)
                return _Paid(_read(choice, part, drop_bad=not tries_left), _sum(usages))
            except BadAnswerError as error:
                fault = str(error)
        raise TemporaryError("bad_answer", f"{self.name} gave no usable answer: {fault}.")

    def _check_key(self, choice: Choice) -> None:
        """Refuse an answer that would publish the key: the endpoint was sent it.

        Raises:
            BadAnswerError: the key is in it, in any form.
        """
        content = choice.message.content or ""
        if self._key is not None and self._key.scrub(content) != content:
            raise BadAnswerError("it has the key in it")

    def _optimised(self, page: Page, paid: list[_Paid]) -> Optimised:
        new = {change.id: change for one in paid for change in one.answer.changes}
        texts = {change_id: change.text for change_id, change in new.items()}
        head = {name: texts[name] for name in (TITLE, DESCRIPTION) if name in texts}
        blocks = tuple(replace(block, content=texts.get(block.id, block.content)) for block in page.blocks)
        after = replace(page, head=page.head | head, blocks=blocks)
        changes = changes_between(page, after, {change.id: change.reason for change in new.values()})
        usage = _sum([one.usage for one in paid])
        return Optimised(
            changes,
            _confidence([one.answer for one in paid]),
            self.name,
            usage.prompt_tokens + usage.completion_tokens,
            self._budget.cost(usage),
        )


def open_budget(settings: OpenAISettings) -> Budget:
    """Return the budget of one run."""
    return Budget(Prices(settings.input_price, settings.output_price), settings.spend_cap)


def check(settings: OpenAISettings, key: Secret | None) -> None:
    """Check the settings except the model, which the project's record may name.

    Raises:
        SettingsError: the endpoint needs a key, or must not be sent one; a cap needs prices.
    """
    try:
        _, loopback = check_address(settings.base_url, _EXAMPLE)
    except SettingsError as error:
        raise SettingsError(f"{PROJECT_FILE}: [openai] base_url: {error.message}", error.next_step) from None
    if key is None and not loopback:
        raise SettingsError(f"{KEY} is not set: {settings.base_url} needs a key.", key_hint())
    if settings.spend_cap and not (settings.input_price or settings.output_price):
        raise SettingsError(
            f"{PROJECT_FILE}: [openai] spend_cap needs prices.",
            "Set input_price and output_price in dollars for a million tokens.",
        )


def _read(choice: Choice, part: Part, *, drop_bad: bool) -> Answer:
    """Return the answer in a choice.

    Raises:
        BadAnswerError: it cannot be used.
        PermanentError: the model or its moderation refuses.
    """
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise PermanentError("refused", "The model refuses to edit this page.")
    if choice.finish_reason == "length":
        raise BadAnswerError("it was cut off before its end")
    return read_answer(choice.message.content or "", part, drop_bad=drop_bad)


def _joined(halves: list[_Paid], usages: list[Usage]) -> _Paid:
    answers = [half.answer for half in halves]
    changes = tuple(change for answer in answers for change in answer.changes)
    return _Paid(Answer(changes, _confidence(answers)), _sum([*usages, *(half.usage for half in halves)]))


def _confidence(answers: list[Answer]) -> float:
    """Return the lowest confidence among answers with changes; among all if none has any."""
    changing = [answer for answer in answers if answer.changes] or answers
    return min((answer.confidence for answer in changing), default=1.0)


def _sum(usages: list[Usage]) -> Usage:
    return Usage(sum(usage.prompt_tokens for usage in usages), sum(usage.completion_tokens for usage in usages))
