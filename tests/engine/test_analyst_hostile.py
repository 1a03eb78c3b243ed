"""Names and cells are data: no table can put code into the program, or markup into the answer."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ipython_assistant.engine.models.analyst import naming
from ipython_assistant.engine.models.analyst.mentions import mentions
from ipython_assistant.engine.models.analyst.pandas_code import program
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Compare,
    Describe,
    Group,
    How,
    InYears,
    Measure,
    OneOf,
    Plan,
    Rows,
    Sign,
    Top,
)
from ipython_assistant.engine.models.analyst.reading import NotUnderstood, Understood, read
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Table
from ipython_assistant.engine.models.markdown import bold, code, escape, one_line, quoted, table

SPICE = [
    "'",
    '"',
    "\\",
    "\n",
    "\r",
    "\u2028",
    "{",
    "}",
    "#",
    "`",
    "$",
    "|",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "*",
    "_",
    "!",
    "\x00",
    "\u202e",
]
names = st.lists(st.sampled_from([*SPICE, "import os", "a", "B", "é", "值", " ", "__"]), min_size=1, max_size=8).map(
    "".join
) | st.text(min_size=1, max_size=20)

PIECES = [
    "plot",
    "mean",
    "by",
    "year",
    "for",
    "c%",
    "2020",
    "'x'",
    "as",
    "a.csv",
    "and",
    ",",
    ".",
    "-",
    "<5",
    "not",
    "or",
]
WORDS = {
    "pd", "plt", "data", "rows", "known", "drawn", "groups", "summary", "written", "chosen", "fig", "ax", "name",
    "line", "len", "print", "int", "str", "range", "kinds", "part", "list", "colours",
}  # fmt: skip
"""Every name the emitted code may use."""


def plans_of(names: list[str]) -> list[Plan]:
    """Plans of every kind over columns and values of these names."""
    text = Column(names[0], Kind.TEXT, (names[1], names[2]), distinct=2, digits=True, padded=True)
    year = Column(names[3], Kind.YEAR, distinct=3, low=2000, high=2002, floats=True)
    one = Column(names[4], Kind.NUMBER, conversion=("coerce", "percent"), sample=names[1], high=9e6, floats=True)
    two = Column(names[5], Kind.NUMBER, conversion=("coerce",), distinct=5000)
    day = Column(names[6], Kind.DATE, date_format="%Y-%m-%d %H:%M", distinct=9, padded=True)
    source = Table(f"{names[7]}.csv", 9, (text, year, one, two, day), separator=";", encoding="cp1252")
    where = (
        OneOf(text, (names[1],)),
        OneOf(text, (names[1], names[2]), negated=True),
        InYears(year, (2000, 2001)),
        InYears(day, (2000,)),
        Compare(one, Sign.LESS, 6.5),
        Compare(day, Sign.AT_LEAST, "2000-01-01"),
        Between(year, 2000, 2002),
    )
    mean, total = Measure(one, How.MEAN), Measure(two, How.SUM)
    tasks = [
        Describe(),
        Chart("line", (Measure(one),), year),
        Chart("line", (mean,), year, text),
        Chart("bar", (mean,), text, year),
        Chart("bar", (total,), text, None, Top(3, largest=True)),
        Chart("line", (mean, total), day),
        Chart("line", (Measure(one), Measure(two)), day),
        Chart("line", (Measure(None, How.COUNT),), year, text),
        Group((mean, Measure(one, How.MAX), Measure(None, How.COUNT)), (text, year), Top(2, largest=False)),
        Group((total,), ()),
        Rows((text, one), Top(5, largest=True), one),
        Rows(),
    ]
    return list(naming.named([Plan(source, task, where[: index + 1]) for index, task in enumerate(tasks)], ()))


def statements(source: str) -> str:
    """The shape of a program: its syntax tree without its literals."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.copy_location(ast.Constant("" if isinstance(node.value, str) else node.value), node)

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
            return node

    return ast.dump(Blank().visit(ast.parse(source)))


@given(st.lists(names, min_size=8, max_size=8, unique=True))
@settings(max_examples=60, deadline=None)
def test_names_and_values_reach_the_code_as_literals_and_as_nothing_else(drawn):
    source = program(plans_of(drawn))
    tree = ast.parse(source)

    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert used <= WORDS
    assert {*drawn[:7], f"{drawn[7]}.csv"} <= literals
    assert [node.names[0].name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] == [
        "matplotlib.pyplot", "pandas",
    ]  # fmt: skip


def test_the_code_has_the_same_shape_whatever_the_columns_are_called():
    plain = [f"name {letter}" for letter in "abcdefgh"]
    wicked = ["'); import os #", 'x"""', "\\", "\n# \n", "{0}", "f'{1}'", "\r\nimport os\r\n", "\u2028import os"]

    assert statements(program(plans_of(wicked))) == statements(program(plans_of(plain)))


@given(names)
def test_a_name_in_markdown_reads_as_itself_and_holds_no_markup(name):
    shown = one_line(name)
    for wrapped in (f"x {escape(name)} x", f"x {quoted(name)} x", f"x {bold(name)} x"):
        tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(wrapped)
        inline = tokens[1].children
        assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
        assert {token.type for token in inline} <= {"text", "text_special", "strong_open", "strong_close"}
        assert shown in "".join(token.content for token in inline)


@given(names)
def test_a_name_in_inline_code_reads_as_itself(name):
    shown = one_line(name)
    inline = MarkdownIt().parse(f"x {code(name)} x")[1].children

    if shown:
        assert [token.content for token in inline if token.type == "code_inline"] == [shown]


@given(st.lists(names, min_size=2, max_size=2))
def test_a_cell_cannot_leave_its_place_in_a_table(cells):
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(table(["a", "b"], [cells]))

    assert [token.type for token in tokens].count("td_open") == 2
    assert {child.type for token in tokens for child in token.children or ()} <= {"text", "text_special"}


@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES)).map(" ".join))
@settings(max_examples=200, deadline=None)
def test_any_prompt_is_understood_or_refused_and_never_breaks(prompt):
    source = Table(
        "t.csv",
        9,
        (
            Column("c%", Kind.NUMBER, distinct=9),
            Column("year", Kind.YEAR, distinct=3),
            Column("x", Kind.TEXT, ("x", "<5")),
        ),
    )

    assert isinstance(read(prompt, [source]), Understood | NotUnderstood)
    found = mentions(prompt, source)
    assert [token for item in found for token in item.tokens] == sorted(
        (token for item in found for token in item.tokens), key=lambda token: token.start
    )


@given(names)
def test_a_name_made_from_a_plan_is_a_plain_file_name(name):
    column = Column(name, Kind.TEXT, (name,), distinct=1)
    plan = Plan(Table(f"{name}.csv", 1, (column,)), Rows((column,)), (OneOf(column, (name,)),))
    (done,) = naming.named([plan], ())

    assert naming.checked(done.save) == ""
    assert done.save.endswith(".csv")
