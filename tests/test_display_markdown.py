"""Model text runs nothing, fetches nothing, and leads only where a link may lead."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.growth import assert_linear
from tests_support.markup import Markup

from ipython_assistant.display.markdown import Growing, render

HREFS = {"assistant_files/by%20district.csv": "by district.csv"}

SCRIPTS = [
    "<script>alert(1)</script>", "text <img src=x onerror=alert(1)> text", "<svg onload=alert(1)>",
    "<details ontoggle=alert(1) open>", '<a href="javascript:alert(1)">x</a>', "<iframe src=//h.test></iframe>",
    "<style>@import url(http://h.test/x.css)</style>", '<link rel=stylesheet href="http://h.test/x.css">',
    '<div style="background:url(http://h.test/x)">x</div>', "<!-- --!><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <script>alert(1)</script> | c |", "# <script>alert(1)</script>",
    "```html\n<script>alert(1)</script>\n```", "```<img/src=x/onerror=alert(1)>\ncode\n```",
    "    <script>indented code</script>", "`<script>alert(1)</script>`", "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\<script>alert(1)\\</script>",
]  # fmt: skip
PICTURES = [
    "![seen](http://h.test/p.png)", '![seen](<http://h.test/p.png> "title")',
    "![seen][ref]\n\n[ref]: http://h.test/p.png", "![seen][]\n\n[seen]: http://h.test/p.png",
    "![seen]\n\n[seen]: http://h.test/p.png", "[![seen](http://h.test/p.png)](https://ok.test)",
    "![seen](data:image/svg+xml;base64,PHN2Zz4=)", "![seen](//h.test/p.png)", "![seen](file:///etc/passwd)",
    "![*seen*](assistant_files/other.png)",
]  # fmt: skip
LINKS = [
    "[read](javascript:alert(1))", "[read](JaVaScRiPt:alert(1))", "[read](vbscript:msgbox)",
    "[read](data:text/html;base64,PHNjcmlwdD4=)", "[read](&#106;avascript:alert(1))",
    "[read](&#x6A;&#x61;vascript:alert(1))", "[read](java&Tab;script:alert(1))", "[read](<java\tscript:alert(1)>)",
    "[read](&#1;javascript:alert(1))", "[read](file:///etc/passwd)", "[read](//h.test/x)", "[read](/files/other.ipynb)",
    "[read](../other.ipynb)", "[read](sandbox:/mnt/data/x.csv)", "[read](http:h.test)",
    "[read](\\\\\\\\h.test\\\\share)", "[read][ref]\n\n[ref]: javascript:alert(1)",
    "[read][]\n\n[read]: data:text/html,x", "[read]\n\n[read]: vbscript:x", "<vbscript:read>", "<data:text/html,read>",
]  # fmt: skip


@pytest.mark.parametrize("text", SCRIPTS)
def test_markup_in_model_text_is_shown_and_does_nothing(text):
    markup = Markup.of(render(text, hrefs=HREFS))
    assert markup.harm() == []
    assert markup.text.strip()


@pytest.mark.parametrize("text", PICTURES)
def test_a_picture_that_is_no_file_of_the_answer_becomes_its_description(text):
    html = render(text, hrefs=HREFS)
    markup = Markup.of(html)
    assert markup.harm() == []
    assert "[picture not fetched: seen]" in markup.text
    assert "h.test" not in html


@pytest.mark.parametrize("text", LINKS)
def test_a_link_that_may_not_be_followed_keeps_its_words_alone(text):
    markup = Markup.of(render(text, hrefs=HREFS))
    assert markup.all("a") == []
    assert markup.text.strip().removeprefix("vbscript:").removeprefix("data:text/html,") == "read"
    for href in ("/etc/passwd", "//h.test/x", "\\\\h.test"):
        assert Markup.of(render(f"[read](<{href}>)", hrefs={href: "said to be a file"})).all("a") == []


@pytest.mark.parametrize("address", ["https://ok.test/a?b=1&c=2", "http://ok.test", "mailto:a@ok.test"])
@pytest.mark.parametrize("form", ["[x]({})", "<{}>", "[x][r]\n\n[r]: {}"])
def test_a_link_to_the_web_or_to_mail_opens_elsewhere_and_tells_nobody_where_from(address, form):
    (link,) = Markup.of(render(form.format(address), hrefs={})).all("a")
    assert link == {"href": address, "target": "_blank", "rel": "noopener noreferrer"}


def test_a_link_to_a_file_of_the_answer_downloads_it_under_its_name():
    markup = Markup.of(render("The [table](assistant_files/by%20district.csv).", hrefs=HREFS))
    assert markup.all("a") == [{"href": "assistant_files/by%20district.csv", "download": "by district.csv"}]
    assert markup.text.strip() == "The table."
    (link,) = Markup.of(render("[table](<assistant_files/by district.csv>)", hrefs=HREFS)).all("a")
    assert link["href"] == "assistant_files/by%20district.csv"
    assert Markup.of(render("[below](#below)", hrefs={})).all("a") == [{"href": "#below"}]


def test_a_picture_that_is_a_file_of_the_answer_becomes_a_link():
    markup = Markup.of(render("![chart](a.png) ![](a.png)", hrefs={"a.png": "a.png"}))
    assert markup.harm() == []
    assert [link["download"] for link in markup.all("a")] == ["a.png", "a.png"]
    assert markup.text.strip() == "chart a.png"
    links = Markup.of(render("[![chart](a.png)](https://ok.test)", hrefs={"a.png": "a.png"})).all("a")
    assert [link["href"] for link in links] == ["https://ok.test"]


def test_prose_tables_lists_and_code_are_drawn():
    prose = "# Head\n\n**bold** *it* ~~gone~~ `code`\n\n- one\n- two\n\n1. a\n\n> quoted\n\n"
    table = "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nx = 1\n```\n"
    expected = {"h1", "strong", "em", "s", "code", "ul", "ol", "li", "blockquote", "table", "th", "td", "pre"}
    assert expected <= {tag for tag, _ in Markup.of(render(prose + table, hrefs={})).tags}


@pytest.mark.parametrize("language", ["", "cobol", "python" + "x" * 100, "../../etc/passwd", "__class__", "python"])
def test_python_code_is_coloured_with_inline_styles_and_other_code_is_plain(language):
    code = 'def mean(x):\n    """Mean."""\n    return sum(x) / len(x)  # <b>'
    markup = Markup.of(render(f"```{language}\n{code}\n```", hrefs={}))
    coloured = any("--jp-mirror-editor-keyword-color" in span["style"] for span in markup.all("span"))
    assert (coloured, bool(markup.all("span"))) == (language == "python", language == "python")
    assert markup.text.strip() == code
    assert markup.harm() == []


def formulas(text):
    """What MathJax is let in to."""
    html = render(text, hrefs={})
    assert Markup.of(html).harm() == []
    return [unescape(tex) for tex in re.findall(r'class="mathjax_process tex2jax_process">(.*?)</', html, re.S)]


@pytest.mark.parametrize(("text", "expected"), [
    (r"The mean is \(\bar{x} = 3\).", [r"\(\bar{x} = 3\)"]), (r"The mean \(n\) of it", [r"\(n\)"]),
    (r"\[ \frac{a}{b} < 1 \]", [r"\[\frac{a}{b} < 1\]"]), ("Then\n\\[\na\n= c\n\\]\nholds", ["\\[a\n= c\\]"]),
    ("$$\nE = mc^2\n$$", [r"\[E = mc^2\]"]), ("so $$x^2$$ is", [r"\[x^2\]"]),
    (r"\(42.5\) of \(3 + 4\) \(\)", [r"\(42.5\)", r"\(3 + 4\)"]), (r"\(für\)", []),
    ("- $$x^2$$\n- \\(y_1\\)", [r"\[x^2\]", r"\(y_1\)"]), (r"**\(a*b*c\)**", [r"\(a*b*c\)"]),
    (r"\(\begin{pmatrix} a & b \\ c & d \end{pmatrix}\)", [r"\(\begin{pmatrix} a & b \\ c & d \end{pmatrix}\)"]),
    (r"\(p < 0.05\) and \(\text{mean of rows} = 3\)", [r"\(p < 0.05\)", r"\(\text{mean of rows} = 3\)"]),
])  # fmt: skip
def test_formulas_are_set(text, expected):
    assert formulas(text) == expected


@pytest.mark.parametrize("text", [
    "It costs $5, or $7 with tax.", "$5 and $7", "$5-$7, US$5=US$4, 5$ = 7$", "$x$ and $y_1$, $HOME/$USER",
    r"see \(the table below\) and \[the other one\] and \[1\]", "`$x$` and `\\(x\\)`", "```\n$$\nx^2\n$$\n```",
    "    $$x^2$$", "$$ never closed", "\\[ x^2\n\n\\]", r"\(x^2",
])  # fmt: skip
def test_single_dollars_brackets_and_code_are_no_formulas(text):
    assert formulas(text) == []


@pytest.mark.parametrize("tex", [
    r"\href{javascript:alert(1)}{x}", r"\unicode{x3c}", r"\style{background:url(http://h.test)}{x}", r"\class{jp-x}{x}",
    r"\cssId{x}{y}", r"\require{html}", r"\def\frac{x}", r"\let\sum\href", r"\newcommand{\x}{y}",
    r"\mmlToken{mi}[href='x']{y}", r"\bbox[border:1px]{x}", r"\rule{9999em}{9999em}", r"\begin{html}x\end{html}",
    r"\begin{matrix}x", r"\begin {tikz}x\end{tikz}", r"x} {y", r"{" * 50 + "x" + "}" * 50, r"x^2 % y", "x^2 " * 1000,
    "x^2\\",
], ids=lambda tex: tex[:20])  # fmt: skip
def test_tex_that_can_do_more_than_formulas_stays_as_it_is_written(tex):
    for form in (r"\({}\)", r"\[{}\]", "$${}$$"):
        assert formulas(form.replace("{}", tex)) == []


TEX = ["\\(", "\\)", "\\[", "\\]", "$", "$$", "x^2", "{", "}", "\\frac", "<b>", "&", '"', "\n", " ", "a"]


@given(st.lists(st.sampled_from(TEX)))
def test_whatever_is_written_between_delimiters_mathjax_sees_whole_formulas_alone(parts):
    for tex in formulas("".join(parts)):
        assert (tex[:2], tex[-2:]) in {("\\(", "\\)"), ("\\[", "\\]")}
        assert "$" not in tex[2:-2]
        assert tex.count("{") == tex.count("}")


def test_characters_that_reorder_or_hide_text_are_seen():
    text = Markup.of(render("a\u202egnp.exe b\x1b[2J c\u2066d\u200be \ud800", hrefs={})).text
    assert text.strip() == "a\ufffdgnp.exe b\ufffd[2J c\ufffdd\ufffde \ufffd"


@pytest.mark.parametrize(("written", "shown"), [
    ("See [the table](sandbox:/mnt/da", "See the table"), ("See ![chart](sand", "See chart"),
    ("See [the tab", "See the tab"), ("See [the table](x.csv)", "See the table"), ("a[0] = 1", "a[0] = 1"),
    ("nothing", "nothing"),
])  # fmt: skip
def test_a_link_that_is_still_being_written_shows_its_label(written, shown):
    assert Markup.of(Growing().render(written)).text.strip() == shown


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["![", "**x _y ", "\\[\n", "\\(", "$a", "|a|b|\n|-|-|\n"], ids=ascii)
def test_the_cost_of_drawing_grows_with_the_text(piece):
    def work(size):
        text = piece * (size // len(piece))
        return lambda: render(text, hrefs={})

    assert_linear(work, 4_000)


FRAGMENTS = st.sampled_from([*SCRIPTS, *PICTURES, *LINKS, *"[<>\"'`\n|", "](", "```", "\n\n", "&#", "javascript:"])


@given(st.lists(FRAGMENTS | st.text(max_size=20), max_size=12).map("".join))
def test_nothing_that_can_be_written_does_harm(text):
    assert Markup.of(render(text, hrefs=HREFS)).harm() == []


BLOCKS = st.sampled_from([
    "A paragraph\nof two lines.\n\n", "# Head\ntext\n", "- one\n- two\n\n", "  - deeper\n\n  its paragraph\n\n",
    "1. a\n2. b\n", "> quoted\nlazily\n\n", "```python\nx = 1\n\n\ny = 2\n```\n", "~~~\n# no head\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n", "Setext\n===\n", "    indented\n\n    code\n", "---\n",
    "**bold [link](https://ok.test/)**\n", "\n", "\u2028\x85\r\n",
])  # fmt: skip


@given(st.lists(BLOCKS, max_size=12).map("".join), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_text_that_is_drawn_as_it_grows_or_became_another_ends_as_if_it_had_come_at_once(text, steps):
    growing, end = Growing(), 0
    for step in steps:
        end += step
        growing.render(text[:end])
    for last in (text, "four"):
        assert growing.render(last) == Growing().render(last)
