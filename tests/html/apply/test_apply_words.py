"""Which words stay is found in texts of any length."""

from __future__ import annotations

import time
from random import Random

import pytest
from apply_kit import apply, changed
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.apply import ranges
from nimbus_tasks.html.apply.word_diff import compare, split

TEXTS = st.lists(st.sampled_from(["a", "b", "c,", "(d)", "é", "時計"]), max_size=12).map(" ".join)


@pytest.mark.parametrize("window", [1, 3, ranges.WINDOW])
@given(TEXTS, TEXTS)
def test_replacements_make_one_text_the_other(window: int, before: str, after: str) -> None:
    old, new = split(before, exact=False), split(after, exact=False)
    usual, ranges.WINDOW = ranges.WINDOW, window
    try:
        found = compare(old, new)
    finally:
        ranges.WINDOW = usual
    texts = [word.text for word in old]
    for replacement in reversed(found):
        texts[replacement.first : replacement.last] = [word.text for word in replacement.words]
    assert texts == [word.text for word in new]
    assert bool(found) == (before != after)


def test_exact_words_are_all_of_the_text() -> None:
    text = " a\n\tb, c\u00a0 d "
    assert "".join(word.text for word in split(text, exact=True)) == text


def test_long_texts_take_no_longer_than_they_are_large() -> None:
    many = [f"w{n}" for n in range(50_000)]
    shuffled = Random(1).sample(many, len(many))
    begun = time.process_time()
    html = changed(f"<p>{' '.join(many)}<pre>{'<b>x</b> ' * 5000}</pre>", 0, " ".join(shuffled))
    assert f"<p>{' '.join(shuffled)}<pre>" in html
    changed(f"<p>a<pre>{'<b>x</b> ' * 5000}</pre>", 1, "y " + "x " * 4999)
    assert time.process_time() - begun < 20


def test_words_between_two_others_stand_in_the_same_element() -> None:
    assert apply("<p>one <b>two three</b></p>", (0, "one two and three")).html == b"<p>one <b>two and three</b></p>"
    assert apply("<p>a <b>b</b> c d</p>", (0, "a b c new d")).html == b"<p>a <b>b</b> c new d</p>"
