"""core.code_cell: the answer's code as a cell that runs in the notebook's own kernel."""

import textwrap
from dataclasses import replace
from pathlib import Path

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st
from tests_support.cases import cases
from tests_support.files import artifact

from ipython_assistant.core.code_cell import LOOK_FOR, code_cell
from ipython_assistant.core.conversation import PlacedTurn, Upload
from ipython_assistant.core.turn import CodeCall, Turn

HERE = Path("/notebooks/study")
COVERAGE = Upload("coverage.csv", HERE / "data" / "coverage.csv", "0" * 64, "a table", source="data/coverage.csv")


def turn(*codes, uploads=(COVERAGE,), before=None, made=()):
    calls = tuple(CodeCall("ci", "cntr", textwrap.dedent(code), "completed", ()) for code in codes)
    artifacts = tuple(map(artifact, made))
    return PlacedTurn("Ask", Turn(items=calls), "test", uploads=uploads, before=before, artifacts=artifacts)


def body(text):
    """Without the comments at the top of the cell."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("# ")).strip("\n")


@cases(("code", "expected"), {
    "the whole path": ("open('/mnt/data/coverage.csv')", "open('data/coverage.csv')"),
    "the bare name": ('open("coverage.csv")', 'open("data/coverage.csv")'),
    "a name after ./": ("open('./coverage.csv')", "open('data/coverage.csv')"),
    "a name with the prefix of the service": ("open('/mnt/data/ab12-coverage.csv')", "open('data/coverage.csv')"),
    "two on one line": ("f('coverage.csv', 'coverage.csv')", "f('data/coverage.csv', 'data/coverage.csv')"),
    "a new file": ("t.to_csv('/mnt/data/out.csv')", "t.to_csv('out.csv')"),
    "a new file in a folder": ("t.to_csv('/mnt/data/sub/out.csv')", "t.to_csv('sub/out.csv')"),
    "the folder": ("Path('/mnt/data') / 'coverage.csv'", "Path('.') / 'data/coverage.csv'"),
    "the folder of an f-string": ("open(f'/mnt/data/{n}.csv')", "open(f'{n}.csv')"),
    "a longer text": ("print('see coverage.csv')", "print('see coverage.csv')"),
    "a comment": ("x = 1  # coverage.csv", "x = 1  # coverage.csv"),
    "a column": ("t['coverage']", "t['coverage']"),
})  # fmt: skip
def test_a_quoted_name_of_a_file_in_the_container_becomes_its_path_here(code, expected):
    assert body(code_cell(turn(code), {}, HERE)) == expected


def test_a_path_with_quotes_is_still_a_literal_and_one_that_cannot_be_known_is_said_in_a_comment():
    odd = replace(COVERAGE, path=HERE / "it's.csv")
    assert body(code_cell(turn("open('coverage.csv')", uploads=(odd,)), {}, HERE)) == 'open("it\'s.csv")'
    assert LOOK_FOR in code_cell(turn("q('select * from \\'/mnt/data/x.csv\\'')"), {}, HERE)
    assert LOOK_FOR not in code_cell(turn("open('/mnt/data/x')"), {}, HERE)


def test_a_dataframe_is_written_to_its_file_first_where_the_code_names_it():
    cases = Upload("cases.csv", Path("/tmp/x/cases.csv"), "0" * 64, "", source="cases")
    other = replace(cases, name="other.csv", source="other")
    names = {"cases": pd.DataFrame({"a": [1]}), "other": pd.DataFrame()}
    cell = code_cell(turn("open('cases.csv')", uploads=(cases, other)), names, HERE, ["cases.csv"])
    assert body(cell) == "cases.to_csv('cases-2.csv', index=False)\n\nopen('cases-2.csv')"


def test_no_file_that_is_there_is_written_over():
    raw = replace(COVERAGE, name="raw.csv", path=HERE / "raw.csv")
    asked = turn("f('/mnt/data/raw.csv', 'out.csv', 'new.csv')", uploads=(raw,), made=("raw.csv", "out.csv", "new.csv"))
    cell = code_cell(asked, {}, HERE, ["raw.csv", "Out.csv"])
    assert body(cell) == textwrap.dedent("""\
        import shutil
        shutil.copyfile('raw.csv', 'raw-2.csv')  # the code writes to this file too

        f('raw-2.csv', 'out-2.csv', 'new.csv')""")


def test_a_step_that_raised_lets_the_next_one_go_on_from_there(capsys):
    trace = "Traceback (most recent call last)\nKeyError: 'x'\n"
    raised = CodeCall("ci", "cntr", "import math\n{}['x']\nnever = 1\n", "completed", (trace,))
    after = CodeCall("ci", "cntr", "print(math.pi)", "completed", ())
    asked = replace(turn(), turn=Turn(items=(raised, after)))
    exec(compile(code_cell(asked, {}, HERE), "cell", "exec"), {})
    assert capsys.readouterr().out == "'x'\n3.141592653589793\n"


def test_the_code_of_earlier_answers_comes_first_since_this_one_may_need_its_variables():
    earlier = turn("df = read('coverage.csv')\ndf.to_csv('means.csv')", made=("means.csv",))
    cell = code_cell(turn("print(open('means.csv'), len(df))", uploads=(), before=earlier), {}, HERE, ["means.csv"])
    assert body(cell).split("\n") == [
        "df = read('data/coverage.csv')", "df.to_csv('means-2.csv')", "", "print(open('means-2.csv'), len(df))",
    ]  # fmt: skip


def test_the_cell_runs_in_the_notebook_and_makes_the_same_file(notebook_dir):
    (notebook_dir / "data").mkdir()
    (notebook_dir / "data" / "coverage.csv").write_text("district,value\nNorth,1\nNorth,2\nSouth,5\n")
    code = """\
        import pandas as pd
        means = pd.read_csv("/mnt/data/coverage.csv").groupby("district")["value"].mean()
        means = means.reset_index().merge(pd.read_csv("names.csv"))
        means.to_csv("/mnt/data/by_district.csv", index=False)
        """
    names = pd.DataFrame({"district": ["North", "South"], "long": ["Arvessa North", "Arvessa South"]})
    here = replace(COVERAGE, path=notebook_dir / "data" / "coverage.csv")
    other = Upload("names.csv", Path("/tmp/names.csv"), "0" * 64, "", source="names")
    asked = turn(code, uploads=(here, other), made=("by_district.csv",))
    exec(code_cell(asked, {"names": names}, notebook_dir), {"names": names})
    written = (notebook_dir / "by_district.csv").read_text()
    assert written == "district,value,long\nNorth,1.5,Arvessa North\nSouth,5.0,Arvessa South\n"


@given(st.text(max_size=60))
@example("")
@example(" \n")
def test_whatever_the_code_is_there_is_a_cell_and_no_exception(code):
    assert bool(code_cell(turn(code), {}, HERE)) == bool(textwrap.dedent(code).strip())
    assert code_cell(turn(), {}, HERE) == ""
