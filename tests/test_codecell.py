"""core.codecell: the answer's code as a cell that runs in the notebook's own kernel."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.codecell import InputSource, code_cell
from ipython_assistant.core.turn import CodeCall

COVERAGE = InputSource("coverage.csv", "data/coverage.csv")
TRACEBACK = "Traceback (most recent call last)\nKeyError: 'x'\n"


def call(code: str, *, status: str = "completed", logs: str = "") -> CodeCall:
    return CodeCall("ci_1", "cntr_1", textwrap.dedent(code), status, (logs,))


def body(text: str) -> str:
    """Without the cell's first comments."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("# ")).strip("\n")


LITERALS = {
    "the whole path": ("open('/mnt/data/coverage.csv')", "open('data/coverage.csv')"),
    "the bare name": ('open("coverage.csv")', 'open("data/coverage.csv")'),
    "a name after ./": ("open('./coverage.csv')", "open('data/coverage.csv')"),
    "a raw one": ("open(r'/mnt/data/coverage.csv')", "open('data/coverage.csv')"),
    "three quotes": ('open("""coverage.csv""")', 'open("data/coverage.csv")'),
    "two literals in one": ("open('/mnt/data/'\n     'coverage.csv')", "open('data/coverage.csv')"),
    "after a letter of two bytes": ("a = 'é', 'coverage.csv', 'é'", "a = 'é', 'data/coverage.csv', 'é'"),
    "two on one line": ("f('coverage.csv', 'coverage.csv')", "f('data/coverage.csv', 'data/coverage.csv')"),
    "an output": ("t.to_csv('/mnt/data/out.csv')", "t.to_csv('out.csv')"),
    "an output in a folder": ("t.to_csv('/mnt/data/sub/out.csv')", "t.to_csv('sub/out.csv')"),
    "the folder": ("Path('/mnt/data') / 'coverage.csv'", "Path('.') / 'data/coverage.csv'"),
    "the folder and a name": ("open('/mnt/data/' + n)", "open('./' + n)"),
    "a longer text": ("print('see coverage.csv')", "print('see coverage.csv')"),
    "a comment": ("x = 1  # coverage.csv", "x = 1  # coverage.csv"),
    "an f-string": ("f'{a}coverage.csv'", "f'{a}coverage.csv'"),
    "inside an f-string": ("""f"{open('coverage.csv')}" """.strip(), """f"{open('coverage.csv')}" """.strip()),
    "bytes": ("b'coverage.csv'", "b'coverage.csv'"),
}


@pytest.mark.parametrize(("code", "expected"), LITERALS.values(), ids=LITERALS.keys())
def test_a_literal_that_names_a_file_of_the_container_names_the_one_here(code: str, expected: str) -> None:
    assert body(code_cell([call(code)], [COVERAGE])) == expected


def test_a_word_without_a_suffix_is_not_taken_for_a_file_unless_its_whole_path_is_there() -> None:
    cell = code_cell([call("t['year']; open('/mnt/data/year')")], [InputSource("year", "sub/year")])

    assert body(cell) == "t['year']; open('sub/year')"


@pytest.mark.parametrize("path", ["it's.csv", 'a "b".csv', "b\\c.csv", "é\u202e.csv"])
def test_any_path_is_written_as_a_literal(path: str) -> None:
    cell = code_cell([call('open("x.csv")')], [InputSource("x.csv", path)])

    (literal,) = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Constant)]
    assert literal.value == path


def test_a_variable_is_written_to_its_file_first_where_the_code_names_it() -> None:
    cases = InputSource("cases.csv", "cases.csv", variable="cases")
    by_year = InputSource("by_year.csv", "by_year.csv", variable="by_year", index=True)
    other = InputSource("other.csv", "other.csv", variable="other")
    cell = code_cell([call("a = '/mnt/data/cases.csv'\nb = 'by_year.csv'")], [cases, by_year, other])

    assert body(cell).split("\n")[:2] == ["cases.to_csv('cases.csv', index=False)", "by_year.to_csv('by_year.csv')"]
    assert "other" not in cell


def test_no_file_that_is_there_is_written_over() -> None:
    inputs = [InputSource("cases.csv", "cases.csv", variable="cases"), InputSource("raw.csv", "raw.csv")]
    code = "a = 'cases.csv', '/mnt/data/raw.csv', 'out.csv', '/mnt/data/new.csv'"
    taken = {"cases.csv", "raw.csv", "Out.csv"}
    cell = code_cell([call(code)], inputs, outputs=("raw.csv", "out.csv", "new.csv"), taken=taken)

    assert body(cell) == textwrap.dedent("""\
        cases.to_csv('cases-2.csv', index=False)
        import shutil
        shutil.copyfile('raw.csv', 'raw-2.csv')  # the code writes to this file too

        a = 'cases-2.csv', 'raw-2.csv', 'out-2.csv', 'new.csv'""")


@pytest.mark.parametrize("code", ["f'/mnt/data/{n}'", "q('select * from \"/mnt/data/x.csv\"')", "b'/mnt/data/x'"])
def test_a_path_that_was_left_as_it_was_is_said(code: str) -> None:
    assert "was left as it was" in code_cell([call(code)])
    assert "was left as it was" not in code_cell([call("open('/mnt/data/x')  # /mnt/data/x")])


def test_what_is_not_plain_python_is_inserted_as_it_is_and_said() -> None:
    cell = code_cell([call("!head /mnt/data/coverage.csv"), call("open('coverage.csv')")], [COVERAGE])

    assert "# The next lines are not plain Python; their paths were left as they were.\n!head /mnt/data" in cell
    assert cell.endswith("\n\nopen('data/coverage.csv')")


def test_a_step_that_raised_lets_the_next_one_go_on_from_there(
    notebook_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raised = '''\
        import math
        text = """one
        two"""
        if text:
            {}["x"]
        never = 1
        '''
    not_python = call("print 'x'", status="failed", logs="SyntaxError\n")
    cell = code_cell([call(raised, logs=TRACEBACK), not_python, call("print(math.pi, repr(text))")])
    exec(compile(cell, "cell", "exec"), {})

    assert capsys.readouterr().out == "KeyError: 'x'\n3.141592653589793 'one\\ntwo'\n"


def test_code_that_builds_on_an_earlier_answer_brings_it_along() -> None:
    earlier = [call("import pandas as pd\ndf = pd.read_csv('coverage.csv')")]

    for code in ("df = df.dropna()", "n = len(df)", "df += 1", "print([df for x in df])"):
        assert "read_csv('data/coverage.csv')" in code_cell([call(code)], [COVERAGE], earlier=earlier)
    for code in ("df = 1\nprint(df)", "for df in []:\n    print(df)", "def f(df):\n    return df", "print(other)"):
        assert "read_csv" not in code_cell([call(code)], [COVERAGE], earlier=earlier)


def test_a_file_that_was_saved_earlier_is_read_where_it_is_and_never_written_to() -> None:
    saved = InputSource("means.csv", "assistant_files/means.csv")
    earlier = [call("df = 1\nsave(df, 'means.csv')")]

    read = code_cell([call("open('means.csv')")], [saved], earlier=earlier, earlier_outputs=["means.csv"])
    rebuilt = code_cell([call("f(df, 'means.csv')")], [saved], earlier=earlier, earlier_outputs=["means.csv"])
    assert body(read) == "open('assistant_files/means.csv')"
    assert "shutil.copyfile('assistant_files/means.csv', 'means.csv')" in rebuilt
    assert rebuilt.endswith("df = 1\nsave(df, 'means.csv')\n\nf(df, 'means.csv')")


def test_without_code_there_is_no_cell() -> None:
    assert code_cell([], [COVERAGE]) == code_cell([call(" \n")]) == ""


def test_the_cell_runs_in_the_notebook_and_makes_the_same_file(notebook_dir: Path) -> None:
    (notebook_dir / "data").mkdir()
    (notebook_dir / "data" / "coverage.csv").write_text("district,value\nNorth,1\nNorth,2\nSouth,5\n")
    code = """\
        import pandas as pd
        means = pd.read_csv("/mnt/data/coverage.csv").groupby("district")["value"].mean()
        means = means.reset_index().merge(pd.read_csv("names.csv"))
        means.to_csv("/mnt/data/by_district.csv", index=False)
        """
    names = pd.DataFrame({"district": ["North", "South"], "long": ["Arvessa North", "Arvessa South"]})
    source = InputSource("names.csv", "names.csv", variable="names")
    exec(code_cell([call(code)], [COVERAGE, source], outputs=["by_district.csv"]), {"names": names})

    written = (notebook_dir / "by_district.csv").read_text()
    assert written == "district,value,long\nNorth,1.5,Arvessa North\nSouth,5.0,Arvessa South\n"


PIECES = [
    "'coverage.csv'",
    '"/mnt/data/a"',
    "'é'",
    "f'coverage.csv{x}'",
    "x",
    "(",
    ")",
    ",",
    "\n",
    " ",
    "+",
    "\\",
    "\r",
]


class WithoutTexts(ast.NodeTransformer):
    """Code in which all string literals are alike."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node

    @classmethod
    def of(cls, code: str) -> str:
        return ast.dump(cls().visit(ast.parse(code)))


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=40))
def test_whatever_the_code_is_nothing_but_its_literals_changes(code: str) -> None:
    cell = code_cell([call(code)], [COVERAGE])
    try:
        before = WithoutTexts.of(textwrap.dedent(code))
    except (SyntaxError, ValueError):
        return
    assert not code.strip() or WithoutTexts.of(cell) == before
