"""Any model behind an OpenAI-compatible chat endpoint as an optimiser.

    page --parts--> prompt --endpoint--> answer --answers--> proposals --> changes

A page is material, never an instruction: it is sent as a quotation, and an answer can only change its own texts.
Each part of a page is paid for once: its answer is kept.
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
from nimbus_tasks.processing.optimise.errors import LaterError, NeverError
from nimbus_tasks.processing.optimise.openai.answers import Answer, BadAnswerError, read_answer
from nimbus_tasks.processing.optimise.openai.budget import Prices, Purse, Usage
from nimbus_tasks.processing.optimise.openai.cache import Keeper, Kept, KeptInMemory, KeptInStore, answer_key
from nimbus_tasks.processing.optimise.openai.chunks import Part, cut
from nimbus_tasks.processing.optimise.openai.endpoint import Endpoint
from nimbus_tasks.processing.optimise.openai.failures import KEY, key_hint
from nimbus_tasks.processing.optimise.openai.prompt import messages, once_more
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.processing.optimise import Page
    from nimbus_tasks.processing.optimise.openai.endpoint import Choice
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import OpenAISettings

__all__ = ["KEY", "Kept", "KeptInMemory", "KeptInStore", "OpenAIOptimiser", "Purse", "check", "open_purse"]

#: Tokens of a request that are not the page's: the prompt, the schema, the page's title and language.
_AROUND = 1500
_TRIES = 2
_EXAMPLE = "https://api.openai.com/v1"


class _Bought(Struct, frozen=True):
    """An answer, and what was paid for it now."""

    answer: Answer
    usage: Usage = Usage()


class OpenAIOptimiser:
    """One model behind one endpoint, for one run."""

    def __init__(
        self,
        settings: OpenAISettings,
        key: Secret | None,
        kept: Kept,
        *,
        purse: Purse | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        say: Callable[[float, str], None] = lambda _seconds, _why: None,
        record: Callable[[Recorded], None] = lambda _: None,
    ) -> None:
        """Check the settings; nothing is sent. `purse`: of the run, where more than one of these is made in it.

        Raises:
            SettingsError: the endpoint needs a key, or must not be sent one; a cap needs prices; no model is set.
        """
        check(settings, key)
        if not settings.model:
            raise SettingsError(f"{PROJECT_FILE}: [openai] model is not set.", "Name one that the endpoint has.")
        self.name = settings.model
        self._settings = settings
        # Our own patience ends first, so that what was too slow is told from what went wrong.
        patience = Timeouts(min(10.0, settings.timeout), settings.timeout + 1)
        self._http = Http(settings.base_url, key, patience, record)
        self._purse = purse or open_purse(settings)
        self._kept = kept
        self._endpoint = Endpoint(settings, self._http, self._purse, say)
        self._keeper = Keeper(kept, settings.keep_days, clock)
        self._asking: dict[str, tuple[asyncio.Lock, int]] = {}

    @property
    def spent(self) -> float:
        """Dollars that this run has paid, for pages that failed too."""
        return self._purse.spent

    async def optimise(self, page: Page) -> Optimised:
        room = self._settings.max_prompt_tokens - _AROUND
        bought = [await self._buy(part, page.tone) for part in cut(page, room, self._settings.max_tokens)]
        return self._optimised(page, bought)

    async def close(self) -> None:
        await self._http.close()
        await self._kept.close()

    async def _buy(self, part: Part, tone: str) -> _Bought:
        key = answer_key(self.name, tone, part)
        async with self._alone(key):
            if answer := await self._keeper.find(key, part):
                return _Bought(answer)
            bought = await self._ask(part, tone)
            await self._keeper.keep(key, bought.answer)
            return bought

    @contextlib.asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """Let one ask at a time about the same content: the others find its answer kept."""
        lock, waiting = self._asking.get(key, (asyncio.Lock(), 0))
        self._asking[key] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._asking.pop(key)
            if waiting > 1:
                self._asking[key] = lock, waiting - 1

    async def _ask(self, part: Part, tone: str) -> _Bought:
        said = messages(part, tone)
        paid: list[Usage] = []
        fault = ""
        for tries_left in reversed(range(_TRIES)):
            choice, usage = await self._endpoint.ask(once_more(said, fault) if fault else said)
            paid.append(usage)
            if choice.finish_reason == "length" and len(part.texts) > 1:
                halves = [await self._buy(half, tone) for half in part.halves()]
                return _together(halves, paid)
            try:
                # The other changes of an answer are paid for: what is wrong in it is left out in the end.
                return _Bought(_read(choice, part, drop_bad=not tries_left), _sum(paid))
            except BadAnswerError as error:
                fault = str(error)
        raise LaterError("bad_answer", f"{self.name} gave no answer that can be used: {fault}.")

    def _optimised(self, page: Page, bought: list[_Bought]) -> Optimised:
        proposals = {each.id: each for one in bought for each in one.answer.changes}
        texts = {change_id: proposal.text for change_id, proposal in proposals.items()}
        head = {name: texts[name] for name in (TITLE, DESCRIPTION) if name in texts}
        blocks = tuple(replace(block, content=texts.get(block.id, block.content)) for block in page.blocks)
        after = replace(page, head=page.head | head, blocks=blocks)
        changes = changes_between(page, after, {each.id: each.reason for each in proposals.values()})
        usage = _sum([one.usage for one in bought])
        return Optimised(
            changes,
            _confidence([one.answer for one in bought]),
            self.name,
            usage.prompt_tokens + usage.completion_tokens,
            self._purse.cost(usage),
        )


def open_purse(settings: OpenAISettings) -> Purse:
    """Return the money that one run may spend."""
    return Purse(Prices(settings.input_price, settings.output_price), settings.spend_cap)


def check(settings: OpenAISettings, key: Secret | None) -> None:
    """Check all but the model, which the project's record may name.

    Raises:
        SettingsError: the endpoint needs a key, or must not be sent one; a cap needs prices.
    """
    try:
        _, loopback = check_address(settings.base_url, _EXAMPLE)
    except SettingsError as error:
        raise SettingsError(f"{PROJECT_FILE}: [openai] base_url: {error.message}", error.next_step) from None
    if key is None and not loopback:
        raise SettingsError(
            f"{KEY} is not set: the key of {settings.base_url}.",
            key_hint(),
        )
    if settings.spend_cap and not (settings.input_price or settings.output_price):
        raise SettingsError(
            f"{PROJECT_FILE}: [openai] spend_cap needs prices.", "Set input_price and output_price, a million tokens."
        )


def _read(choice: Choice, part: Part, *, drop_bad: bool) -> Answer:
    """Return the answer in what the server said. `drop_bad`: without changes that cannot be taken.

    Raises:
        BadAnswerError: there is none.
        NeverError: the model does not want to, or is not let.
    """
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise NeverError("refused", "The model refuses to edit this page.")
    if choice.finish_reason == "length":
        raise BadAnswerError("it was cut off before its end")
    return read_answer(choice.message.content or "", part, drop_bad=drop_bad)


def _together(halves: list[_Bought], paid: list[Usage]) -> _Bought:
    answers = [half.answer for half in halves]
    changes = tuple(change for answer in answers for change in answer.changes)
    return _Bought(Answer(changes, _confidence(answers)), _sum([*paid, *(half.usage for half in halves)]))


def _confidence(answers: list[Answer]) -> float:
    """Return how sure the model is of all its answers: as sure as of the least.

    Parts without a change count where no part has one: a model that is unsure whether a page is good says so too.
    """
    telling = [answer for answer in answers if answer.changes] or answers
    return min((answer.confidence for answer in telling), default=1.0)


def _sum(usages: list[Usage]) -> Usage:
    return Usage(sum(usage.prompt_tokens for usage in usages), sum(usage.completion_tokens for usage in usages))
