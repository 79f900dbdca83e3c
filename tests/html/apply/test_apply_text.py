"""New words stand where an editor would put them, and everything beside them stays as it was written."""

from __future__ import annotations

import pytest
from apply_kit import apply, changed, refusal

from nimbus_tasks.html.apply.edits import Blocks
from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.html.apply.source_map import SourceTree
from nimbus_tasks.html.extract import Rules
from nimbus_tasks.model.page_map import Block


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<p>We repair watches</p>", "We mend watches", "<p>We mend watches</p>"),
        ("<P>We  repair\n\twatches", "We mend watches", "<P>We  mend\n\twatches"),
        ("<p>\n  One two\n</p>", "One three", "<p>\n  One three\n</p>"),
        ("<p>We repair watches", "Now We repair watches", "<p>Now We repair watches"),
        ("<p>We repair watches", "repair watches", "<p>repair watches"),
        ("<p>We repair watches", "We repair", "<p>We repair"),
        ("<p>a b c", " a\n\n c ", "<p>a c"),
        ("<p>時計を修理します", "時計を修繕します", "<p>時計を修繕します"),
    ],
)
def test_words_beside_the_new_ones_stay_as_they_are_written(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<p>A &amp; B&nbsp;C &lt;x&gt; old", "A & B\u00a0C <x> new", "<p>A &amp; B&nbsp;C &lt;x&gt; new"),
        ("<p>&#8220;Old&#8221; caf&eacute", "“New” café", "<p>&#8220;New&#8221; caf&eacute"),
        ("<p>one&#32;two", "one three", "<p>one&#32;three"),
        ("<p>&Tab; one", "two", "<p>&Tab; two"),
        ("<p>x &notit; y", "x ¬it; z", "<p>x &notit; z"),
        ("<p>AT&T sells", "AT&T buys", "<p>AT&T buys"),
        ("<p>a &nosuch; b", "a &nosuch; c", "<p>a &nosuch; c"),
        ("<p>a\0b c", "ab d", "<p>a\0b d"),
        ("<p>&NotEqualTilde; b", "\u2242\u0338 c", "<p>&NotEqualTilde; c"),
        ("<p>old", "1 < 2 & 3 > 2\u00a0!", "<p>1 &lt; 2 &amp; 3 &gt; 2&nbsp;!"),
        ("<p>old", "&amp;", "<p>&amp;amp;"),
    ],
)
def test_references_stay_and_new_words_are_escaped(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<p>We <em>repair</em> watches", "We fix all watches", "<p>We <em>fix all</em> watches"),
        ("<p>We repair <a>old watches</a>", "We mend old watches", "<p>We mend <a>old watches</a>"),
        ("<p>We repair <a>old watches</a>", "We repair old clocks", "<p>We repair <a>old clocks</a>"),
        ("<p><a>Getting started</a>", "First steps in it", "<p><a>First steps in it</a>"),
        ("<h1>Title<a>¶</a></h1>", "New title¶", "<h1>New title<a>¶</a></h1>"),
        ("<p><em>mod_ssl</em>이 x", "mod_sslz x", "<p><em>mod_ssl</em>z x"),
        ("<p>pre<em>mod</em>이 x", "themod이 x", "<p>the<em>mod</em>이 x"),
        ("<p>pre<em>mod</em> x", "premodern x", "<p>pre<em>modern</em> x"),
        ("<p><b>x</b>y<i>z</i> a", "xz a", "<p><b>x</b><i>z</i> a"),
        ("<p><b>x</b><i>z</i> a", "xyz a", "<p><b>x</b><i>yz</i> a"),
        ("<p>We repair old <b>watches</b>", "We repair watches", "<p>We repair <b>watches</b>"),
        ("<p>We <b>repair watches</b> daily", "We watches daily", "<p>We <b>watches</b> daily"),
        ("<p>We do <b>repair watches</b>", "We watches", "<p>We <b>watches</b>"),
    ],
)
def test_inline_markup_stays_around_its_words(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<p>Read <a>more</a></p>", "Read more today", "<p>Read <a>more</a> today</p>"),
        ("<p><a>More</a> here", "Read More here", "<p>Read <a>More</a> here"),
        ("<p><b>a</b> <i>b</i>", "a new b", "<p><b>a</b> new <i>b</i>"),
        ("<p><b>a </b><i>b</i>", "a new b", "<p><b>a </b>new <i>b</i>"),
        ("<p>We <em>repair</em> watches", "We repair fine watches", "<p>We <em>repair</em> fine watches"),
        ("<p>We <em>repair</em> watches", "We repair, watches", "<p>We <em>repair</em>, watches"),
        ("<p>We <em>repair </em>watches", "We repair fine watches", "<p>We <em>repair </em>fine watches"),
        ("<p>x <b>a<i>b</i></b> y", "x ab new y", "<p>x <b>a<i>b</i></b> new y"),
        ("<p>Read <a>more", "Read more today", "<p>Read <a>more today"),
        ("<p><b>a</b><i> b</i>", "a new b", "<p><b>a</b> new<i> b</i>"),
        ("<p>a <b>b</b>. c", "a b!. c", "<p>a <b>b</b>!. c"),
    ],
)
def test_new_words_at_the_edge_of_an_element_stand_outside_of_it(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        # One for one, where there are as many new words.
        ("<p>We <em>repair</em> clocks", "They mend watches", "<p>They <em>mend</em> watches"),
        ("<p>one two<br>three four", "one 2 3 four", "<p>one 2<br>3 four"),
        # Else into the first piece of text: the elements keep a word.
        ("<p>We repair <a>old watches</a>", "We will do mend watches", "<p>We will do mend <a>watches</a>"),
        ("<p>We repair the <a>old watches</a>", "We mend watches", "<p>We mend <a>watches</a>"),
        ("<p>in the <b>apt-get</b> tool", "in my own good-get tool", "<p>in my own good<b>-get</b> tool"),
        ("<p>one <b>two three</b> four five", "one two x y z five", "<p>one <b>two x y z</b> five"),
        ("<p>one two<br>three four", "one four", "<p>one<br> four"),
        ("<p>one <!-- c --> two three", "1 2 3 4", "<p>1 2 3 4<!-- c -->"),
    ],
)
def test_words_across_the_edge_of_an_element(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<p>See <img alt=x> the old map", "See the new map", "<p>See <img alt=x> the new map"),
        ("<li>Old words<p>inner</p>", "New words", "<li>New words<p>inner</p>"),
        ("<p>one <!-- two --> three", "one 3", "<p>one <!-- two --> 3"),
        ("<p>one<button>two</button>three", "one two 3", "<p>one<button>two</button>3"),
        ("<p>one </bogus> two</p>", "one 2", "<p>one </bogus> 2</p>"),
        ("<p>one <span hidden>no</span> two", "one 2", "<p>one <span hidden>no</span> 2"),
        ("<p>one <script>two</script> two", "one 2", "<p>one <script>two</script> 2"),
        ("<p>one <math><mi>x</mi></math> two", "one x 2", "<p>one <math><mi>x</mi></math> 2"),
        (
            "<p>a <svg><title>b</title><style>c</style></svg> d",
            "a e",
            "<p>a <svg><title>b</title><style>c</style></svg> e",
        ),
        ("<p>a <svg><![CDATA[<b>]]></svg> d", "a e", "<p>a <svg><![CDATA[<b>]]></svg> e"),
        ("<p>a <template><p>b</template> d", "a e", "<p>a <template><p>b</template> e"),
    ],
)
def test_what_is_not_the_blocks_text_stays(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


def test_texts_that_the_parser_moves_are_found_where_they_are_written() -> None:
    moved = "<table>foster parent<tr><td>cell</table>"
    assert changed(moved, 0, "foster mother") == moved.replace("parent", "mother")
    copied = "<p><b>one<p>two three"
    assert changed(copied, 1, "two four") == copied.replace("three", "four")
    after_the_end = "<body><p>a</p></body></html> some words"
    assert changed(after_the_end, 0, "other words") == after_the_end.replace("some", "other")


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<pre>\n a  b\n\tc </pre>", " a  B\n\tc ", "<pre>\n a  B\n\tc </pre>"),
        ("<pre>a\r\nb</pre>", "a\n\nc", "<pre>a\r\n\r\nc</pre>"),
        ("<pre>a <b>b</b> c</pre>", "a b  c", "<pre>a <b>b</b>  c</pre>"),
        ("<pre>a <b>b</b></pre>", "a b d", "<pre>a <b>b</b> d</pre>"),
        ("<pre>a b</pre>", "x\n a b", "<pre>x\n a b</pre>"),
        ("<pre>a <b>b</b> c</pre>", "1 2 3", "<pre>1 <b>2</b> 3</pre>"),
        ("<xmp>a <b> &amp;</xmp>", "a <i> &amp;", "<xmp>a <i> &amp;</xmp>"),
        ("<plaintext>a </plaintext>", "b </plaintext>", "<plaintext>b </plaintext>"),
    ],
)
def test_preformatted_text_keeps_its_white_space(before: str, new: str, after: str) -> None:
    assert changed(before, 0, new) == after


@pytest.mark.parametrize(
    ("before", "new", "reason"),
    [
        ("<p>Hello <b>big</b> world", "Hello world", "<b> would be left without words"),
        ("<p>We repair <a>watches</a>", "They mend all clocks", "all words of <a> and others beside it change"),
        ("<p>a b<br>c d", "one two three", "before or after a line break"),
        ("<p>old", "\0", "would not read as it should"),
        ("<pre>a</pre>", "\na", "would not read as it should"),
        ("<xmp>a</xmp>", "</xmp>", "would not read as it should"),
        ("<p>old", " \n ", "the new text is empty"),
        ("<p>a <math><![CDATA[b]]></math> bc", "a d bc", "where its text is written is not certain"),
        ("<p>a <math><![CDATA[b]]></math> c", "a & c", "the page would not read as it should afterwards"),
        ("<p><b>one<p>two three", "new two three", "the parser added its element, which has no tag in the page"),
        ("<pre><br>b</pre>", "a\nb", "where its text is written is not certain"),
        ("<pre>a<br>b</pre>", "a b", "what would change is not written in its text"),
    ],
)
def test_changes_that_lose_markup_or_read_differently_are_refused(before: str, new: str, reason: str) -> None:
    assert reason in refusal(before, before.count("<p>") - 1 if "<p><b>" in before else 0, new)


def test_one_refused_change_does_not_keep_the_others_back() -> None:
    html = "<h1>a</h1><p>Hello <b>big</b> world</p><p>old</p><p>old</p><p>b</p>"
    applied = apply(html, (0, "A"), (1, "Hello world"), (2, "\0"), (3, "new"), (4, "B"))
    assert applied.html == b"<h1>A</h1><p>Hello <b>big</b> world</p><p>old</p><p>new</p><p>B</p>"
    assert applied.applied == ("block-0", "block-3", "block-4")
    assert [refused for refused, _ in applied.refused] == ["block-1", "block-2"]


def test_only_changes_that_read_back_differently_are_refused() -> None:
    html = "<h1>a</h1><pre>a</pre><p>a</p><pre>b</pre>"
    applied = apply(html, (0, "A"), (1, "\na"), (2, "A"), (3, "\nb"))
    assert applied.html == b"<h1>A</h1><pre>a</pre><p>A</p><pre>b</pre>"
    assert [refused for refused, _ in applied.refused] == ["block-1", "block-3"]


def test_blocks_are_found_by_the_rules_of_the_map() -> None:
    rules = Rules(main="#c", ignore=(".skip",))
    html = "<p>x</p><div id=c><p>a <i class=skip>no</i> b</p></div>"
    assert changed(html, 0, "a c", rules=rules) == html.replace(" b<", " c<")


def test_what_surrounds_the_content_is_no_part_of_its_text() -> None:
    html = "<body>one <nav>two</nav> three"
    assert changed(html, 0, "one 3") == "<body>one <nav>two</nav> 3"


def test_nul_in_a_title_is_a_character_to_the_parser() -> None:
    html = "<title>a\0b c</title><p>x"
    assert refusal(html, "title", "a\ufffdb d") == "where its text is written is not certain"


def test_blocks_that_are_not_where_the_map_says_are_refused() -> None:
    tree = SourceTree("<p>a")
    blocks = Blocks(tree, Rules(), {"block-0": "h1", "block-1": "html > body > p"})
    with pytest.raises(UnsafeChangeError, match="its element was not found"):
        blocks.edits(Block("block-0", "p", "a"), "b", "p")
    with pytest.raises(UnsafeChangeError, match="where its text is written"):
        blocks.edits(Block("block-1", "p", "other"), "b", "p")
    with pytest.raises(UnsafeChangeError, match="it is not <h2> but <p>"):
        blocks.edits(Block("block-1", "h2", "a"), "b", "h2")
