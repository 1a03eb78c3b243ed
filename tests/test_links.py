"""core.links: `sandbox:` links become links to the saved files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.cases import and_slow, cases
from tests_support.files import artifact
from tests_support.growth import assert_linear

from ipython_assistant.core.links import edited, link_edits
from ipython_assistant.core.turn import Citation, TextPart


def relink(part, *files):
    return edited(part.text, link_edits(part, *files))


SAVED = artifact("a.csv", container_id="cntr_1", file_id="cfile_1")
SECOND = artifact("a-2.csv", own_name="a.csv", container_id="cntr_1", file_id="cfile_2")


@cases(("text", "expected"), {
    "a link": ("See [the table](sandbox:/mnt/data/a.csv).", "See [the table](assistant_files/a.csv)."),
    "a picture is a link": ("![chart](sandbox:/mnt/data/a.csv)", "[chart](assistant_files/a.csv)"),
    "a bare address": ("Saved to sandbox:/mnt/data/a.csv.", "Saved to [a.csv](assistant_files/a.csv)."),
    "an address in code stays": ("`sandbox:/mnt/data/a.csv`", "`sandbox:/mnt/data/a.csv`"),
    "a link in code stays": ("``[a](sandbox:/mnt/data/a.csv) ` ``", "``[a](sandbox:/mnt/data/a.csv) ` ``"),
    "a fence of backticks stays": ("```\nsandbox:/mnt/data/a.csv\n```", "```\nsandbox:/mnt/data/a.csv\n```"),
    "a fence of tildes stays": ("~~~sh\n[a](/mnt/data/a.csv)\n~~~", "~~~sh\n[a](/mnt/data/a.csv)\n~~~"),
    "a fence in a list stays": ("- ```\n  sandbox:/mnt/data/a.csv\n  ```", "- ```\n  sandbox:/mnt/data/a.csv\n  ```"),
    "an indented block stays": ("x\n\n    sandbox:/mnt/data/a.csv", "x\n\n    sandbox:/mnt/data/a.csv"),
    "an escaped backtick is no code": ("\\`sandbox:/mnt/data/a.csv", "\\`[a.csv](assistant_files/a.csv)"),
    "a path": ("[a](/mnt/data/a.csv)", "[a](assistant_files/a.csv)"),
    "a bare path": ("It is /mnt/data/a.csv.", "It is [a.csv](assistant_files/a.csv)."),
    "a bare path of no file stays": ("It read /mnt/data/b.csv.", "It read /mnt/data/b.csv."),
    "the end of a web address stays": ("https://e.org/mnt/data/a.csv", "https://e.org/mnt/data/a.csv"),
    "a file: address": ("[a](file:///mnt/data/a.csv)", "[a](assistant_files/a.csv)"),
    "a file: address elsewhere stays": ("[a](file:///etc/passwd)", "[a](file:///etc/passwd)"),
    "an attachment": ("[a](attachment:/mnt/data/a.csv)", "[a](assistant_files/a.csv)"),
    "an attachment by its name": ("[a](attachment:a.csv)", "[a](assistant_files/a.csv)"),
    "a name alone as the address": ("[a](a.csv) [b](b.csv)", "[a](assistant_files/a.csv) [b](b.csv)"),
    "a reference": ("See [y][1].\n\n[1]: sandbox:/mnt/data/a.csv", "See [y][1].\n\n[1]: assistant_files/a.csv"),
    "a dead reference says so": ("[y][1]\n\n[1]: sandbox:/mnt/data/b.csv\n[2]: https://e.org",
                                 "[y][1]\n\n\nb.csv (no such file was made)\n\n[2]: https://e.org"),
    "in HTML, which is shown": ('<a href="sandbox:/mnt/data/a.csv">', '<a href="[a.csv](assistant_files/a.csv)">'),
    "a web address that ends in its name stays": ("[a](https://e.org/a.csv)", "[a](https://e.org/a.csv)"),
    "a linked picture": ("[![a](a.csv)](/mnt/data/a.csv)", "[[a](X)](X)".replace("X", "assistant_files/a.csv")),
    "an autolink": ("<sandbox:/mnt/data/a.csv>", "[a.csv](assistant_files/a.csv)"),
    "an address as label": ("[sandbox:/mnt/data/a.csv](sandbox:/mnt/data/a.csv)", "[a.csv](assistant_files/a.csv)"),
    "the name goes on": ("[a](sandbox:/mnt/data/a.csv.bak)", "a (no such file was made)"),
    "citation marks": ("It rose \ue200cite\ue202turn1view0\ue202turn1view1\ue201. \ue202", "It rose. "),
    "code in the label": ("[`a.csv`](sandbox:/mnt/data/a.csv)", "[`a.csv`](assistant_files/a.csv)"),
    "angle brackets": ("[a](<sandbox:/mnt/data/a.csv>)", "[a](<assistant_files/a.csv>)"),
    "a subfolder": ("[a](sandbox:/mnt/data/out/a.csv)", "[a](assistant_files/a.csv)"),
    "a dead link says so": ("[b](sandbox:/mnt/data/b.csv) end", "b (no such file was made) end"),
    "a dead picture says so": ("![b](sandbox:/mnt/data/b.csv)", "b (no such file was made)"),
    "a dead bare address says so": ("In sandbox:/mnt/data/b.csv.", "In b.csv (no such file was made)."),
})  # fmt: skip
def test_link(text, expected):
    assert relink(TextPart(text), [SAVED]) == expected


@pytest.mark.parametrize("written", ["my table (1)", "my%20table%20%281%29", "my%20table%20(1)", "out/my table (1)"])
def test_a_name_with_blanks_and_parentheses_is_found_as_it_is_and_percent_encoded(written):
    text = relink(TextPart(f"[x](sandbox:/mnt/data/{written}.csv) end"), [artifact("my table (1).csv")])
    assert text == "[x](assistant_files/my%20table%20%281%29.csv) end"


def test_a_label_that_is_the_models_name_becomes_the_saved_name():
    for label, expected in {"a.csv": "a-2.csv", "**`a.csv`**": "a-2.csv", "the table": "the table"}.items():
        text = relink(TextPart(f"[{label}](sandbox:/mnt/data/a.csv)"), [SECOND])
        assert text == f"[{expected}](assistant_files/a-2.csv)"


def test_the_citation_decides_between_two_files_of_one_name():
    text = "[old](sandbox:/mnt/data/a.csv) [new](sandbox:/mnt/data/a.csv)"
    length = len("sandbox:/mnt/data/a.csv")
    starts = {"cfile_1": text.index("sandbox"), "cfile_2": text.rindex("sandbox")}.items()
    part = TextPart(text, tuple(Citation("cntr_1", it, "a.csv", start, start + length) for it, start in starts))
    assert relink(part, [SAVED, SECOND]) == "[old](assistant_files/a.csv) [new](assistant_files/a-2.csv)"


@pytest.mark.parametrize("span", [(0, 0), (3, 9), (5, 4000), (-4, 12), (14, 14)])
def test_a_span_that_holds_no_link_is_not_believed(span):
    text = "Here is it: [a](sandbox:/mnt/data/a.csv)."
    part = TextPart(text, (Citation("cntr_1", "cfile_1", "a.csv", *span),))
    assert relink(part, [SAVED]) == "Here is it: [a](assistant_files/a.csv)."


def test_a_file_that_could_not_be_saved_says_why():
    text = relink(TextPart("[a](sandbox:/mnt/data/a.csv)"), [], {"a.csv": "it could not be saved"})
    assert text == "a (it could not be saved)"


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]()<>`!\\\t"), max_size=20).filter(
    lambda text: "sandbox:" not in text and "    " not in text  # four spaces begin a block of code
)


@given(words, words, st.booleans())
def test_all_text_outside_the_link_is_preserved(before, after, picture):
    mark = "!" if picture else ""
    part = TextPart(f"{before}{mark}[label](sandbox:/mnt/data/a.csv){after}")
    assert relink(part, [SAVED]) == f"{before}[label](assistant_files/a.csv){after}"


MORE_PIECES = ["](sandbox:/mnt/data/f1.csv", "<a href=", "[", "[a]: sandbox:/mnt/data/z\n", "\\`", "/mnt/data/"]


@pytest.mark.parametrize("piece", and_slow(["` `` "], MORE_PIECES))
def test_the_cost_of_links_grows_with_the_text(piece):
    files = [artifact(f"f{number} {'x' * (number % 50)}.csv") for number in range(50)]

    def work(size):
        links = "[a](sandbox:/mnt/data/f1.csv) " * size
        part = TextPart(f"sandbox:/mnt/data/{piece * (20 * size // len(piece))} {links}")
        return lambda: relink(part, files)

    assert_linear(work, 250)
