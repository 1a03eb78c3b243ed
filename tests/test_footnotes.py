"""core.footnotes: what an answer rests on, as marks in the text and a list at its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.cases import and_slow, cases
from tests_support.files import artifact
from tests_support.growth import assert_linear
from tests_support.markup import Markup

from ipython_assistant.core.footnotes import answer_text
from ipython_assistant.core.links import edited, link_edits
from ipython_assistant.core.turn import Citation, Message, Source, TextPart, Turn
from ipython_assistant.display import outputs

GAP = "\u202f"
PAGE = "https://example.org/report"


SAVED = artifact("a.csv", container_id="cntr_1", file_id="cfile_1")


def url(text, span, address=PAGE, title="The report"):
    start = text.index(span)
    return Source(address, title, start, start + len(span))


def answer(*parts):
    return Turn(items=tuple(Message(f"msg_{number}", (part,)) for number, part in enumerate(parts)))


def written(text, *sources):
    """The body and the lines of the list."""
    body, _, listed = answer_text(answer(TextPart(text, sources=sources)), []).rpartition("\n\n**Sources**\n\n")
    return body, listed.split("\n")


PROSE = "As [the report](https://example.org/report) says."
LISTED = "1. [The report](https://example.org/report), example.org"


@cases(("text", "source", "body", "listed"), {
    "a mark stands behind the line, the source in the list": (
        "Coverage fell in 2020. It rose since.", (PAGE, "The report", 0, 22),
        f"Coverage fell in 2020. It rose since.{GAP}¹", LISTED),
    "the link of a model stays": (PROSE, (PAGE, "The report", 3, len(PROSE)), f"{PROSE}{GAP}¹", LISTED),
    "a file of a vector store is named": (
        "It is. Or not.", ("", "minutes 2024.pdf", 6, 6, "file_1"), f"It is. Or not.{GAP}¹", "1. minutes 2024.pdf"),
    "an address cannot end its link": (
        "Text.", ("https://example.org/a) <b>[x](y) \"q'", "T", 0, 5), f"Text.{GAP}¹",
        "1. [T](https://example.org/a%29%20%3Cb%3E%5Bx%5D%28y%29%20%22q%27), example.org"),
    "a title is one line of words": (
        "Text.", ("", "1. a [b](c)\n# *d* `e` <f> & $g$ _h_", 5, 5, "file_1"), f"Text.{GAP}¹",
        r"1. 1\. a (b)(c) \# \*d\* \`e\` \<f\> \& \$g\$ \_h\_"),
})  # fmt: skip
def test_a_source_is_marked_and_listed(text, source, body, listed):
    assert written(text, Source(*source)) == (body, [listed])


def test_an_answer_without_sources_is_what_its_links_make_of_it():
    part = TextPart("See [a](sandbox:/mnt/data/a.csv).")
    assert answer_text(answer(part), [SAVED]) == edited(part.text, link_edits(part, [SAVED]))


def test_sources_are_numbered_as_a_reader_meets_them_and_each_stands_once():
    text = "One.\nTwo.\nThree."
    three, two = url(text, "Three.", f"{PAGE}/other", "Other"), url(text, "Two.", f"{PAGE}?utm_source=openai")
    body, listed = written(text, three, url(text, "One."), two)
    assert body == f"One.{GAP}¹\nTwo.{GAP}¹\nThree.{GAP}²"
    assert [line.partition(".")[0] for line in listed] == ["1", "2"]
    assert "Other" in listed[1]


def test_numbers_go_on_over_messages_and_the_list_stands_once():
    first = TextPart("First.", sources=(Source("https://a.example/", "A", 0, 6),))
    second = TextPart("Second.", sources=(Source("https://b.example/", "B", 0, 7),))
    text = answer_text(answer(first, second), [])
    assert text.startswith(f"First.{GAP}¹\n\nSecond.{GAP}²\n\n**Sources**\n\n1. [A]")
    assert text.count("**Sources**") == 1


# Where the service's span ends (▮), and where the mark has to stand (¹).
@cases(("spanned", "expected"), {
    "in a line": ("It fe▮ll. So.\nMore.", "It fell. So.¹\nMore."),
    "behind white space": ("It fell. ▮\n\nMore.", "It fell.¹ \n\nMore."),
    "in a link": ("See [the re▮port](https://e.org)", "See [the report](https://e.org)¹"),
    "before the end of bold text": ('It **"fell"▮**', 'It **"fell"**¹'),
    "in a line that ends in code": ("Use `df.me▮an()`", "Use `df.mean()`¹"),
    "in a line that ends in a file's link": ("It i▮s [a](sandbox:/mnt/data/a.csv)", "It is a (no such file was made)¹"),
    "in a table": ("| a |▮\n|---|\n| 1 |", None), "in a block of code": ("Text.\n\n```python\nprint(1▮)\n```\n", None),
    "at the end of a block of code": ("Text.\n\n```python\nprint(1)\n```▮\n", None),
    "in an indented block": ("Text.\n\n    print(1▮)\n", None), "before a list": ("Text.\n\n▮- one", "Text.¹\n\n- one"),
    "at the very beginning": ("▮Text.", None),
})  # fmt: skip
def test_a_mark_breaks_nothing(spanned, expected):
    text = spanned.replace("▮", "")
    body = text if expected is None else expected.replace("¹", f"{GAP}¹")
    assert written(text, Source(PAGE, "The report", 0, spanned.index("▮"))) == (body, [LISTED])


@pytest.mark.parametrize("span", [(5, 2), (-3, 4), (0, 5000), (0, 0)])
def test_a_span_that_cannot_be_right_gets_no_mark_but_its_source_is_listed(span):
    assert written("Some text.", Source(PAGE, "The report", *span)) == ("Some text.", [LISTED])


def test_links_and_marks_are_made_in_one_text_whose_spans_are_those_of_the_original():
    text = "See ![the table](sandbox:/mnt/data/a.csv), as said.\nAnd [b](sandbox:/mnt/data/b.csv)."
    start, length = text.index("sandbox"), len("sandbox:/mnt/data/a.csv")
    cited = (Citation("cntr_1", "cfile_1", "a.csv", start, start + length),)
    sources = (url(text, "as said."), url(text, "sandbox:/mnt/data/b", "https://b.example/", "B"))
    body = answer_text(answer(TextPart(text, cited, sources=sources)), [SAVED]).partition("\n\n**Sources**")[0]
    assert body == f"See [the table](assistant_files/a.csv), as said.{GAP}¹\nAnd b (no such file was made).{GAP}²"


@pytest.mark.parametrize("address", [
    "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd", "//example.org/x", "",
    "https://bank.example@other.example/", "https:\\\\example.org", "http://[", "https://\ud800.example/",
], ids=ascii)  # fmt: skip
def test_an_address_that_is_not_one_of_the_web_is_no_link(address):
    listed = ["1. A title (its address is not one of the web)"]
    assert written("Text.", Source(address, "A title", 0, 5)) == (f"Text.{GAP}¹", listed)


hostile = st.one_of(
    st.text(max_size=40),
    st.text("[]()<>`*_$\\|!&#-+1. \n\t\"'", max_size=40),
    st.sampled_from(["<img src=x onerror=alert(1)>", "](javascript:alert(1))", "![x](https://e.org/x.png)", "\\(x\\)"]),
)


@given(hostile, hostile, hostile, st.integers(-5, 60), st.integers(-5, 60))
def test_hostile_titles_addresses_and_spans_do_no_harm(text, title, address, start, end):
    sources = (Source(f"https://{address}", title, start, end), Source("", title, end, end, "file_1"))
    html = outputs.answer(answer_text(answer(TextPart(text, sources=sources)), []), {}).data["text/html"]
    assert Markup.of(html).harm() == []


@given(hostile.filter(bool), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4))
def test_all_that_the_model_wrote_is_still_there(text, spans):
    sources = tuple(Source(f"https://e.org/{n}", f"T{n}", *span) for n, span in enumerate(spans))
    body = answer_text(answer(TextPart(text, sources=sources)), []).partition("\n\n**Sources**")[0] if spans else text
    marks = {ord(sign): None for sign in f"{GAP}¹²³⁴"}
    assert body.translate(marks).startswith(text.translate(marks))


@pytest.mark.parametrize("sign", and_slow(["[]("], ["` `` ", "$", "\\[", "![", "([x](", "(" * 9]))
def test_the_cost_of_footnotes_grows_with_text_and_sources_not_with_their_product(sign):
    def work(size):
        sources = (Source(f"{PAGE}/{end}", "R", 0, end) for end in range(1, size, 40))
        turn = answer(TextPart(sign * (size // len(sign)), sources=tuple(sources)))
        return lambda: answer_text(turn, [])

    assert_linear(work, 4_000)
