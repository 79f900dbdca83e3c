"""What a model may answer, and whether this answer is one. Pure.

A page's text may have talked the model into anything. So an answer is only ever new texts for the texts that were
sent: no markup, no address where there was none, no length out of all proportion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.html.validate.advice import MAX_DESCRIPTION, MAX_TITLE
from nimbus_tasks.processing.optimise import MAX_ALT

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from nimbus_tasks.processing.optimise.openai.chunks import Part, Text

_LIMITS = {"title": MAX_TITLE, "meta": MAX_DESCRIPTION, "img": MAX_ALT}
#: Other texts may become twice as long; short ones, so long.
_SHORT = 200
_LONGEST_REASON = 300

_MARKUP = re.compile(r"</?[a-z]|<[!?]|&(?:#\w+|[a-z]\w*);", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:javascript|data|mailto):)\S*"
    r"|(?:[\w.+-]+@)?(?:[\w-]+\.)+[a-z]{2,}\b",
    re.IGNORECASE,
)
#: Controls, halves of characters, and what turns the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Proposal(Struct, frozen=True):
    """A new text for one that was sent."""

    id: str
    text: str
    reason: str


class Answer(Struct, frozen=True):
    """What a model makes of a part of a page."""

    changes: tuple[Proposal, ...]
    confidence: Annotated[float, Meta(ge=0, le=1)]


class BadAnswerError(Exception):
    """No answer, or not to what was asked. Its text says why, as a part of a sentence, in our words alone."""


_decoder = msgspec.json.Decoder(Answer)


def read_answer(said: str | bytes, part: Part, *, drop_bad: bool = False) -> Answer:
    """Return an answer that may be shown to an editor, texts with their white space collapsed.

    `drop_bad`: changes that may not are left out, as long as others are left.

    Raises:
        BadAnswerError: it may not.
    """
    try:
        answer = _decoder.decode(said)
    except (msgspec.MsgspecError, UnicodeError):
        raise BadAnswerError("it is not the JSON object that was asked for") from None
    sent = {text.id: text for text in part.texts}
    proposals: dict[str, Proposal] = {}
    fault: BadAnswerError | None = None
    for change in answer.changes:
        try:
            proposals[change.id] = _proposal(change, sent, proposals)
        except BadAnswerError as error:
            if not drop_bad:
                raise
            fault = fault or error
    if fault is not None and not proposals:
        raise fault
    return Answer(tuple(proposals.values()), answer.confidence)


def _proposal(change: Proposal, sent: Mapping[str, Text], before: Container[str]) -> Proposal:
    if change.id not in sent:
        raise BadAnswerError("it changes an id that is not in the page")
    if change.id in before:
        raise BadAnswerError("it changes the same id twice")
    text, reason = _collapsed(change.text), _collapsed(change.reason)
    if fault := _fault_of(text, sent[change.id]) or _fault_of_reason(reason):
        raise BadAnswerError(fault)
    return Proposal(change.id, text, reason)


def _collapsed(text: str) -> str:
    return collapse(text) if text.isascii() or _UNPRINTABLE.search(text) is None else text


def _fault_of(text: str, sent: Text) -> str:
    limit = _LIMITS.get(sent.type, max(_SHORT, 2 * len(sent.text)))
    if not text or text.isspace():
        return "it has an empty text"
    if _UNPRINTABLE.search(text):
        return "it has signs in a text that do not print"
    # A text about HTML has tags in it that are words.
    if any(found not in sent.text for found in _MARKUP.findall(text)):
        return "it has HTML in a text"
    # Nor is one from elsewhere in the page: a visitor's comment must not get its address into the title.
    if _addresses(text) - _addresses(sent.text):
        return "it has an address in a text that has none there"
    if len(text) > limit:
        return f"it has a text of more than {limit} characters where that is the most"
    return ""


def _fault_of_reason(reason: str) -> str:
    if not reason or len(reason) > _LONGEST_REASON or _UNPRINTABLE.search(reason):
        return "it has a reason that is not one sentence"
    return ""


def _addresses(text: str) -> set[str]:
    return {found.rstrip(".,;:!?)\"'").lower() for found in _ADDRESS.findall(text)}
