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
from nimbus_tasks.model import lenient
from nimbus_tasks.processing.optimise import MAX_ALT

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from nimbus_tasks.processing.optimise.openai.prompt import Part, Text

_LIMITS = {"title": MAX_TITLE, "meta": MAX_DESCRIPTION, "img": MAX_ALT}
#: Other texts may double in length, short ones grow to this many characters.
_SHORT = 200
_LONGEST_REASON = 300

_MARKUP = re.compile(r"</?[a-z]|<[!?]|&(?:#\w+|[a-z]\w*);", re.IGNORECASE)
#: All repetitions are bounded, by the limits of names in the DNS: a text without any address takes linear time too.
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,30}://|\bwww\.|\b(?:javascript|data|mailto):)\S*"
    r"|(?:[\w.+-]{1,64}@)?(?:[\w-]{1,63}\.){1,8}[a-z]{2,}\b",
    re.IGNORECASE,
)
#: Controls, lone surrogates, and characters that nobody sees: they hide words, turn the text around, carry data.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_EMOJI = "\u00a9\u00ae\u203c\u2049\u2100-\u21ff\u2300-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINED = "\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af\ua8e0-\ua8ff\ufb50-\ufdff\ufe70-\ufefc"
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
#: Where such a character is part of what is seen: within an emoji or a flag, and in scripts that are written with it.
_IN_ITS_PLACE = re.compile(
    f"(?<=[{_EMOJI}])[\ufe0e\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)|(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])"
    "|(?<=\U0001f3f4)[\U000e0030-\U000e007a]{2,6}\U000e007f"
    f"|(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]"
    f"|(?<=[{_HAN}])[\ufe00-\ufe02\U000e0100-\U000e01ef]"
)


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


def read_answer(text: str | bytes, part: Part, *, drop_bad: bool = False) -> Answer:
    """Return a valid answer, white space collapsed. `drop_bad` leaves out invalid changes if others remain.

    Raises:
        BadAnswerError: the answer is not valid.
    """
    try:
        answer = _decoder.decode(text)
    except (UnicodeError, *lenient.UNDECODABLE):
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
    return collapse(text) if text.isascii() or not _invisible(text) else text


def _invisible(text: str) -> str:
    """Return the first invisible character that has no place in a text, as U+200B; empty if there is none."""
    found = _INVISIBLE.search(text) and _INVISIBLE.search(_IN_ITS_PLACE.sub("", text))
    return f"U+{ord(found.group()):04X}" if found else ""


def _fault_of(text: str, sent: Text) -> str:
    limit = _LIMITS.get(sent.type, max(_SHORT, 2 * len(sent.text)))
    if not text or text.isspace():
        return "it has an empty text"
    if len(text) > limit:
        return f"it has a text of more than {limit} characters, the limit for that text"
    if hidden := _invisible(text):
        return f"it has an invisible character in a text ({hidden})"
    # A text about HTML may mention tags.
    if any(found not in sent.text for found in set(_MARKUP.findall(text))):
        return "it has HTML in a text"
    # Not even an address from elsewhere in the page: a visitor's comment must not get its link into the title.
    if _addresses(text) - _addresses(sent.text):
        return "it has an address in a text that has none there"
    return ""


def _fault_of_reason(reason: str) -> str:
    if not reason or len(reason) > _LONGEST_REASON or _invisible(reason):
        return "it has a reason that is not one sentence"
    return ""


def _addresses(text: str) -> set[str]:
    return {found.rstrip(".,;:!?)\"'").lower() for found in _ADDRESS.findall(text)}
