"""Random trees: each visible text stands in one block, and each selector finds the element that owns it."""

from __future__ import annotations

from collections import Counter

from extract_kit import found_by_selectors
from hypothesis import given
from hypothesis import strategies as st
from lexbor_oracle import is_hidden, own_text
from selectolax.lexbor import LexborHTMLParser

from nimbus_tasks.html.extract import Rules, Skipped, extract

# Elements that may stand in each other anywhere, so that the parser builds the tree that is drawn here. Buttons may not
# stand in buttons.
BLOCKS = ["div", "section", "article", "blockquote", "ul", "aside", "header", "x-block", "center", "details"]
INLINE = ["span", "b", "em", "code", "x-inline", "ins", "button"]
HIDDEN = [
    "<script>%s</script>",
    "<div hidden>%s</div>",
    "<div hidden><button>%s</button></div>",
    "<svg><text>%s</text></svg>",
    "<template>%s</template>",
]
IDS = ["", " id=a", " id=A", " id=b", " id='1 x'", " class=c"]


@st.composite
def _pages(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a page and the words that a reader sees, in their order."""
    words: list[str] = []
    count = 0

    def word(seen: bool = True) -> str:
        nonlocal count
        count += 1
        if seen:
            words.append(f"w{count}")
        return f"w{count}"

    def node(depth: int, inline: bool, in_button: bool = False) -> str:
        kind = draw(st.integers(0, 9))
        if kind < 4 or depth == 0:
            return f" {word()} "
        if kind == 4:
            hidden = draw(st.sampled_from([each for each in HIDDEN if not (in_button and "<button>" in each)]))
            return hidden % word(seen=False)
        if kind == 5:
            return "<br>" if inline else f"<img alt={word()}>"
        inside = inline or kind < 8
        tag = draw(st.sampled_from((INLINE[:-1] if in_button else INLINE) if inside else BLOCKS))
        identity = draw(st.sampled_from(IDS))
        in_button |= tag == "button"
        children = "".join(node(depth - 1, inside, in_button) for _ in range(draw(st.integers(0, 4))))
        return f"<{tag}{identity}>{children}</{tag}>"

    body = "".join(node(4, inline=False) for _ in range(draw(st.integers(1, 6))))
    doctype = draw(st.sampled_from(["", "<!doctype html>"]))
    return f"{doctype}<body><div data-pagefind-body>{body}</div>", words


@given(_pages())
def test_every_visible_word_stands_in_one_block(page_and_words: tuple[str, list[str]]) -> None:
    html, words = page_and_words
    page = extract("a", html.encode(), Rules())
    if isinstance(page, Skipped):
        assert not words
        return
    blocks = page.above_fold_blocks + page.rest_of_page_blocks
    found = [word for block in blocks for word in block.content.split()]
    assert Counter(found) == Counter(words)
    assert [block.id for block in blocks] == [f"block-{number}" for number in range(len(blocks))]


@given(_pages())
def test_every_selector_finds_the_element_that_owns_the_text(page_and_words: tuple[str, list[str]]) -> None:
    html, _ = page_and_words
    page = extract("a", html.encode(), Rules())
    if isinstance(page, Skipped):
        return
    blocks = page.above_fold_blocks + page.rest_of_page_blocks
    assert found_by_selectors(html, page) == [block.type for block in blocks]
    tree = LexborHTMLParser(html)
    places = []
    for block in blocks:
        (node,) = tree.css(page.selector_map[block.id])
        places.append(node.mem_id)
        assert node.tag == block.type
        assert not is_hidden(node)
        assert block.content == (node.attributes["alt"] if block.type == "img" else own_text(node))
    in_document_order = [node.mem_id for node in tree.root.traverse()]
    assert places == sorted(places, key=in_document_order.index)
