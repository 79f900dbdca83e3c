"""Random pages and random words: only what was asked for changes, or nothing does."""

from __future__ import annotations

from apply_kit import Change, blocks_of
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.apply import apply_changes
from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.extract.text import collapse

TAGS = [
    "p",
    "div",
    "li",
    "h2",
    "h3",
    "b",
    "em",
    "a",
    "span",
    "code",
    "table",
    "td",
    "pre",
    "svg",
    "title",
    "nav",
    "x-y",
]
PIECES = st.one_of(
    st.sampled_from(
        ["one", "two", " three ", "four\n", "\r\n five", "&amp;", "&nbsp;", "&#8217;s", "é", "時計", ".", "\t"]
    ),
    st.sampled_from([f"<{tag}>" for tag in TAGS]),
    st.sampled_from([f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        [
            "<br>",
            "<img src=a>",
            "<img alt='x'>",
            "<!-- c -->",
            "<script>one</script>",
            "<P class=a>",
            "<i hidden>no</i>",
        ]
    ),
)
WORDS = st.lists(
    st.sampled_from(["one", "two", "new", "more", "A&B", "<b>", "“x”", "時", "é", ".", "\n", "\u00a0"]), max_size=6
)


@given(
    st.lists(PIECES, max_size=40).map("".join), st.data(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])
)
def test_only_what_was_asked_for_changes(text: str, data: st.DataObject, codec: str) -> None:
    html = text.encode(codec, "xmlcharrefreplace")
    before = extract("a", html, Rules())
    if isinstance(before, Skipped) or not before.selector_map:
        return
    blocks = data.draw(st.lists(st.sampled_from(blocks_of(before)), max_size=4, unique_by=lambda block: block.id))
    asked = [
        Change(block.id, block.content, " ".join(data.draw(WORDS)), data.draw(st.sampled_from(["", "", "h2", "h3"])))
        for block in blocks
    ]
    done = apply_changes(html, before, asked)
    made = {change.id: change for change in asked if change.id in (*done.applied, *done.already)}
    refused = dict(done.refused)
    assert made.keys() | refused.keys() == {change.id for change in asked}
    if not done.applied:
        assert done.html == html

    after = extract("a", done.html, Rules())
    assert not isinstance(after, Skipped)
    assert after.head == before.head
    for was, now in zip(blocks_of(before), blocks_of(after), strict=True):
        change = made.get(was.id)
        assert now.type == ((change and change.optimized_type) or was.type)
        new = was.content if change is None else change.optimized_content
        assert now.content == (new if was.type == "pre" else collapse(new))

    again = apply_changes(done.html, before, asked)
    assert (again.html, again.applied, dict(again.refused)) == (done.html, (), refused)
