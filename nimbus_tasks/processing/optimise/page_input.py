"""Page record -> what an optimiser is given of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.records import Block
from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE, Page
from nimbus_tasks.processing.optimise.errors import NeverError

if TYPE_CHECKING:
    from nimbus_tasks.model.records import PageRecord

_OF_THE_HEAD = frozenset({TITLE, DESCRIPTION})


class _Extraction(Struct):
    """The part of an extraction that is read here; other tools' unknown fields are passed over."""

    head: dict[str, str]
    above_fold_blocks: tuple[Block, ...]
    rest_of_page_blocks: tuple[Block, ...]
    main_selector: str = ""


_decoder = msgspec.json.Decoder(_Extraction)


def page_of(record: PageRecord, tone: str = "neutral") -> Page:
    """Return the page that a record holds.

    Raises:
        NeverError: its extraction is not one (`unreadable_page`).
    """
    try:
        extraction = _decoder.decode(record.extraction)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise NeverError(
            "unreadable_page", f"The record of {record.page_id} holds no content that can be read.", "Upload it again."
        ) from None
    blocks = extraction.above_fold_blocks + extraction.rest_of_page_blocks
    # A change says by its id alone what it is meant for: such a block's could be taken for the head's.
    blocks = tuple(block for block in blocks if block.id not in _OF_THE_HEAD)
    return Page(record.page_id, record.source_path, extraction.head, blocks, extraction.main_selector, tone)
