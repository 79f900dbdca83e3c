"""Validation of a model's answers. Pure.

A page's text may have steered the model. So an answer can only replace texts that were sent: no markup, no address
that was not there, no length out of proportion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.html.validate.rules import MAX_DESCRIPTION, MAX_TITLE
from nimbus_tasks.processing.optimise import MAX_ALT

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from nimbus_tasks.processing.optimise.openai.prompt import Part, Text

_LIMITS = {"title": MAX_TITLE, "meta": MAX_DESCRIPTION, "img": MAX_ALT}
#: Other texts may double in length, short ones grow to this many characters.
_SHORT = 200
_LONGEST_REASON = 300

_MARKUP = re.compile(r"</?[a-z]|<[!?]|&(?:#\w+|[a-z]\w*);", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:javascript|data|mailto):)\S*"
    r"|(?:[\w.+-]+@)?(?:[\w-]+\.)+[a-z]{2,}\b",
    re.IGNORECASE,
)
#: Controls, lone surrogates, and marks that change the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class NewText(Struct, frozen=True):
    """A replacement for a text that was sent."""

    id: str
    text: str
    reason: str


class Answer(Struct, frozen=True):
    """A model's answer about one part of a page."""

    changes: tuple[NewText, ...]
    confidence: Annotated[float, Meta(ge=0, le=1)]


class BadAnswerError(Exception):
    """The answer cannot be used. The message completes a sentence and quotes nothing from the answer."""


_decoder = msgspec.json.Decoder(Answer)


def read_answer(said: str | bytes, part: Part, *, drop_bad: bool = False) -> Answer:
    """Return a valid answer, white space collapsed. `drop_bad` leaves out invalid changes if others remain.

    Raises:
        BadAnswerError: the answer is not valid.
    """
    try:
        answer = _decoder.decode(said)
    except (msgspec.MsgspecError, UnicodeError):
        raise BadAnswerError("it is not the JSON object that was asked for") from None
    sent = {text.id: text for text in part.texts}
    changes: dict[str, NewText] = {}
    fault: BadAnswerError | None = None
    for change in answer.changes:
        try:
            changes[change.id] = _checked(change, sent, changes)
        except BadAnswerError as error:
            if not drop_bad:
                raise
            fault = fault or error
    if fault is not None and not changes:
        raise fault
    return Answer(tuple(changes.values()), answer.confidence)


def _checked(change: NewText, sent: Mapping[str, Text], before: Container[str]) -> NewText:
    if change.id not in sent:
        raise BadAnswerError("it changes an id that is not in the page")
    if change.id in before:
        raise BadAnswerError("it changes the same id twice")
    text, reason = _collapsed(change.text), _collapsed(change.reason)
    if fault := _fault_of(text, sent[change.id]) or _fault_of_reason(reason):
        raise BadAnswerError(fault)
    return NewText(change.id, text, reason)


def _collapsed(text: str) -> str:
    return collapse(text) if text.isascii() or _UNPRINTABLE.search(text) is None else text


def _fault_of(text: str, sent: Text) -> str:
    limit = _LIMITS.get(sent.type, max(_SHORT, 2 * len(sent.text)))
    if not text or text.isspace():
        return "it has an empty text"
    if _UNPRINTABLE.search(text):
        return "it has unprintable characters in a text"
    # A text about HTML may mention tags.
    if any(found not in sent.text for found in _MARKUP.findall(text)):
        return "it has HTML in a text"
    # Not even an address from elsewhere in the page: a visitor's comment must not get its link into the title.
    if _addresses(text) - _addresses(sent.text):
        return "it has an address in a text that has none there"
    if len(text) > limit:
        return f"it has a text of more than {limit} characters, the limit for that text"
    return ""


def _fault_of_reason(reason: str) -> str:
    if not reason or len(reason) > _LONGEST_REASON or _UNPRINTABLE.search(reason):
        return "it has a reason that is not one sentence"
    return ""


def _addresses(text: str) -> set[str]:
    return {found.rstrip(".,;:!?)\"'").lower() for found in _ADDRESS.findall(text)}
