"""Replace the words of a block's text, and keep the inline markup around the words it belongs to.

The rules, which follow what an editor would do:

- Words within one piece of text are replaced there; white space and words beside them stay as written.
- New words at the edge of an inline element go outside of it.
- Words across the edge of an element are replaced one for one if there are as many new ones. Else all new words go
  into the first piece of text, and each element and each line between two breaks must keep a word, which shows what
  the markup belongs to; otherwise the change is refused.
- A change that would leave an element empty is refused.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.markup import WHITE_SPACE, Edit, UnsafeChangeError, as_text
from nimbus_tasks.html.apply.word_diff import compare, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbohtml import Element

    from nimbus_tasks.html.apply.source_map import OwnText, Piece, SourceTree
    from nimbus_tasks.html.apply.word_diff import Replacement, Word

    Path = tuple[Element, ...]


def rewrite_text(tree: SourceTree, own: OwnText, new: str, *, exact: bool) -> list[Edit]:
    """Return the edits that give a block a new text. `exact`: white space counts (in `<pre>`).

    Raises:
        UnsafeChangeError: markup would be lost, or its new place is not certain.
    """
    return _Rewriting(tree, own, exact=exact).edits(split(new, exact=exact))


class _Rewriting:
    def __init__(self, tree: SourceTree, own: OwnText, *, exact: bool) -> None:
        self._tree = tree
        self._own = own
        self._exact = exact
        self._old = split(own.text, exact=exact)
        #: Elements and lines that keep a word, and elements that get a new one.
        self._kept: set[Element] = set()
        self._kept_lines: set[int] = set()
        self._filled: set[Element] = set()

    def edits(self, new: list[Word]) -> list[Edit]:
        changes = compare(self._old, new)
        self._record_kept(changes)
        edits = [edit for change in changes for edit in self._edits_of(change)]
        for element in (element for piece in self._own.pieces for element in piece.path):
            if element not in self._kept and element not in self._filled:
                raise UnsafeChangeError(f"<{element.tag}> would be left without words")
        return edits

    def _record_kept(self, changes: list[Replacement]) -> None:
        replaced = {index for change in changes for index in range(change.first, change.last)}
        for index, word in enumerate(self._old):
            if index not in replaced and not word.text.isspace():
                self._kept_lines.add(self._own.line_of(word.start))
                for piece in self._own.pieces_in(word.start, word.end):
                    self._kept.update(piece.path)

    def _edits_of(self, change: Replacement) -> Iterator[Edit]:
        start, end, words = self._range(change)
        if start == end:
            yield self._insertion(change, start, words)
            return
        if not words and not self._is_in_one_piece(start, end):
            start, end = self._words_alone(change)
        if not self._is_in_one_piece(start, end):
            start, end, words = self._without_equal_ends(start, end, words)
        pieces = self._own.pieces_in(start, end)
        if not pieces:
            raise UnsafeChangeError("what would change is not written in its text")
        if self._is_in_one_piece(start, end):
            yield self._edit(pieces[0], start, end, words)
        elif self._is_one_for_one(change):
            for old, new in zip(self._old[change.first : change.last], change.words, strict=True):
                piece = self._own.pieces_in(old.start, old.end)[0]
                yield self._edit(piece, old.start, old.end, new.text if self._exact else new.text.strip(" "))
        else:
            self._require_kept_words(pieces, start, end)
            yield from self._across(pieces, start, end, words, self._is_spaced_after(change))

    def _range(self, change: Replacement) -> tuple[int, int, str]:
        """Return the range of characters to replace, without white space that stays, and the new words."""
        first, last, new = change
        words = "".join(word.text for word in new)
        following = self._old[last].start if last < len(self._old) else self._old[-1].end
        if self._exact:
            start = self._old[first].start if first < len(self._old) else following
            return start, (self._old[last - 1].end if first < last else start), words
        start = self._old[first - 1].end if first else self._old[0].start
        end = self._old[last - 1].end if first < last else start
        if first == 0:  # the first word has no space before it
            words = words[1:]
            if last == 0:
                words += " "
            elif not words:
                end = following
        elif first < last and words.startswith(" ") and self._old[first].text.startswith(" "):
            start, words = self._old[first].start, words[1:]
        return start, end, words

    def _words_alone(self, change: Replacement) -> tuple[int, int]:
        """Return the range of deleted words, whose preceding space is in another piece."""
        first, end = self._old[change.first], self._old[change.last - 1].end
        space = self._old[change.first - 1].end if change.first else first.start
        if self._is_in_one_piece(space, first.end):
            return space, end
        return first.start, (self._space_end(end) if self._is_in_one_piece(first.start, end) else end)

    def _without_equal_ends(self, start: int, end: int, words: str) -> tuple[int, int, str]:
        """Leave out the parts of words that are in pieces of their own and stay: `<b>mod_ssl</b>s`."""
        for piece in self._own.pieces_in(start, end):
            part = self._own.text[start : piece.end]
            if piece.start > start or piece.end >= end or not words.startswith(part):
                break
            self._kept.update(piece.path)
            start, words = piece.end, words[len(part) :]
        for piece in reversed(self._own.pieces_in(start, end)):
            part = self._own.text[piece.start : end]
            if piece.end < end or piece.start <= start or not words.endswith(part):
                break
            self._kept.update(piece.path)
            end, words = piece.start, words[: -len(part)]
        return start, end, words

    def _space_end(self, index: int) -> int:
        """Return where the white space after a word ends, within the word's piece."""
        piece = self._own.piece_at(index - 1)
        rest = self._own.text[index : piece.end] if piece else ""
        return index + len(rest) - len(rest.lstrip(WHITE_SPACE))

    def _is_in_one_piece(self, start: int, end: int) -> bool:
        piece = self._own.piece_at(start)
        return piece is not None and end <= piece.end

    def _is_one_for_one(self, change: Replacement) -> bool:
        old = self._old[change.first : change.last]
        return len(old) == len(change.words) and all(
            word.text[0].isspace() == new.text[0].isspace() and self._is_in_one_piece(word.start, word.end)
            for word, new in zip(old, change.words, strict=True)
        )

    def _require_kept_words(self, pieces: Sequence[Piece], start: int, end: int) -> None:
        around = _common([piece.path for piece in pieces])
        for element in (element for piece in pieces for element in piece.path[around:]):
            if element not in self._kept:
                raise UnsafeChangeError(
                    f"all words of <{element.tag}> and others beside it change: which belong into it?"
                )
        lines = range(self._own.line_of(start), self._own.line_of(end - 1) + 1)
        if len(lines) > 1 and not self._kept_lines.issuperset(lines):
            raise UnsafeChangeError("all words before or after a line break change: where does the break belong?")

    def _is_spaced_after(self, change: Replacement) -> bool:
        return change.last < len(self._old) and self._old[change.last].text.startswith(" ") and not self._exact

    def _across(self, pieces: Sequence[Piece], start: int, end: int, words: str, spaced: bool) -> Iterator[Edit]:
        """Yield edits that put all words into the first piece. `spaced`: white space must stay after them."""
        head, *rest = pieces
        start, stop = max(start, head.start), head.end
        if spaced:
            stop = start + len(self._own.text[start:stop].rstrip(WHITE_SPACE))
        yield self._edit(head, start, stop, words)
        for piece in rest:
            end_here = min(end, piece.end)
            # Keep only one of the spaces around deleted words.
            has_space = stop < head.end and end_here < piece.end
            yield self._edit(piece, piece.start, self._space_end(end_here) if has_space else end_here, "")

    def _insertion(self, change: Replacement, index: int, words: str) -> Edit:
        """Return the edit that inserts words between two others, outside of elements that begin or end there."""
        before = self._own.piece_at(index - 1) if change.first else None
        following = self._old[change.last].start if change.last < len(self._old) else None
        after = self._own.piece_at(following) if following is not None else None
        if before is not None and (before is after or len(before.path) == _depth(before, after)):
            return self._edit(before, index, index, words)
        if after is not None and following is not None and len(after.path) == _depth(before, after):
            # White space at the start of this piece comes after the new words, other white space before them.
            if change.first and after.start < following:
                return self._edit(after, after.start, after.start, words)
            return self._edit(after, following, following, self._as_spaced(words, following))
        return self._insertion_between(before, after, index, words)

    def _insertion_between(self, before: Piece | None, after: Piece | None, index: int, words: str) -> Edit:
        depth = _depth(before, after)
        if before is not None:
            tag = self._tree.end_tag(before.path[depth])
            if tag is None:
                return self._edit(before, index, index, words)
            return Edit(tag[1], tag[1], as_text(self._as_spaced(words, before.end) if after else words))
        if after is None:
            raise UnsafeChangeError("where its text is written is not certain")
        start, _ = self._tree.start_tag(after.path[0])
        return Edit(start, start, as_text(words))

    def _as_spaced(self, words: str, index: int) -> str:
        """Return words with their space at the end, if there is white space before them already."""
        follows_space = words.startswith(" ") and self._own.text[index - 1] in WHITE_SPACE and not self._exact
        return f"{words[1:]} " if follows_space else words

    def _edit(self, piece: Piece, start: int, end: int, words: str) -> Edit:
        if words.strip(WHITE_SPACE):
            self._filled.update(piece.path)
        return Edit(piece.place(start), piece.place(end), words if piece.raw else as_text(words))


def _depth(before: Piece | None, after: Piece | None) -> int:
    """Return how many elements are around both pieces; 0 at the ends of the block."""
    return _common([before.path, after.path]) if before and after else 0


def _common(paths: list[Path]) -> int:
    return sum(1 for _ in takewhile(lambda elements: len(set(elements)) == 1, zip(*paths, strict=False)))
