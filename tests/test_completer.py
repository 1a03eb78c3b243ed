"""display.completer: what Tab offers, asked of a real shell's completer."""

import os

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from tests_support import events as wire
from tests_support.files import write

from ipython_assistant.core.usage import default_model
from ipython_assistant.options import Options, option_targets, parse_options


@pytest.fixture
def ready(shell, notebook_dir):
    """A shell with variables and files about."""
    shell.user_ns.update(cases=pd.DataFrame({"a": [1]}), cases_by_year=pd.DataFrame(), cutoff=3, _own=1, cast=len)
    beside = ("coverage.csv", "cases 2024.csv", ".hidden.csv")
    for name in (*beside, "data/north.csv", "data/my notes.txt", "data/sub/x.csv"):
        write(notebook_dir / name, "a\n")
    return shell


def tab(shell, text):
    """The texts that Tab offers at the `|`, each as the whole cell would read with it."""
    cursor = text.index("|")
    cell = text.replace("|", "", 1)
    with provisionalcompleter():
        found = list(shell.Completer.completions(cell, cursor))
    assert all(item.end == cursor for item in found)
    return [cell[: item.start] + item.text + cell[item.end :] for item in found]


def offered(shell, text):
    """The same, without what stood there before and behind."""
    before, _, behind = text.partition("|")
    start = before.rpartition(" ")[0] + " "
    return [cell.removeprefix(start).removesuffix(behind) for cell in tab(shell, text)]


def test_two_hyphens_offer_the_options_and_nothing_else(ready):
    every = offered(ready, "%%assistant --|")
    assert every[:3] == ["--input", "--output", "--model"]
    assert {"--dir", "--help", "--memory"} <= set(every)
    assert all(option.startswith("--") for option in every)
    assert offered(ready, "%%assistant -i cases --m|\nPlot") == ["--model", "--memory"]
    assert offered(ready, "%%assistant -i cases |\nPlot") == every
    assert offered(ready, "\n\n%%assistant -|")[:4] == ["-i", "--input", "-o", "--output"]
    for option in offered(ready, "%%assistant -|"):
        target = option_targets()[option]
        value = {"memory": "4g", "timeout_s": "9", "effort": "low"}.get(target, "x")
        assert parse_options(f"{option} {value}" if target else option) != Options()


def test_models_come_without_asking_anyone(ready, hosted, monkeypatch):
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODEL", "from-the-environment")
    ready.run_line_magic("config", 'AssistantMagics.model = "mine"')
    assert offered(ready, "%%assistant -m |") == ["mine", "from-the-environment", default_model(), "basic"]
    assert hosted.requests == []


def test_tables_then_files_are_offered_as_inputs_and_a_path_is_quoted_where_it_has_to_be(ready):
    tables_then_files = ["cases", "cases_by_year", '"cases 2024.csv"', "coverage.csv"]
    paths = {
        "%%assistant -i |": [*tables_then_files, "data/"], "%%assistant --input c|": tables_then_files,
        "%%assistant -m x -i data/n|\nPlot": ["data/north.csv"], "%%assistant -i .h|": [".hidden.csv"],
        "%%assistant -i nothing/|": [], "%%assistant --dir |": ["data/"], "%%assistant --dir data/|": ["data/sub/"],
        "%%assistant -i https://x/|": [],
    }  # fmt: skip
    quoted = {
        '%%assistant -i "data/my n|': '%%assistant -i "data/my notes.txt"',
        "%%assistant -i 'data/my n| -m x": "%%assistant -i 'data/my notes.txt' -m x",
        "%%assistant -i data/my|": '%%assistant -i "data/my notes.txt"', '%%assistant -i "da|': '%%assistant -i "data/',
    }  # fmt: skip
    assert {typed: offered(ready, typed) for typed in paths} == paths
    assert {typed: tab(ready, typed) for typed in quoted} == {typed: [text] for typed, text in quoted.items()}


def test_what_is_offered_for_an_input_is_read_back_as_that_file(ready, notebook_dir):
    strange = ["it's.csv", "-x.csv", "$HOME.csv", "#1.csv", "a\\b.csv", "ü 漢.csv", "{cases}.csv"]
    for name in strange:
        write(notebook_dir / "strange" / name, "a\n")
    found = offered(ready, "%%assistant -i strange/|")
    os.chdir(notebook_dir / "strange")
    here = [text for text in offered(ready, "%%assistant -i |") if text not in {"cases", "cases_by_year"}]
    read = [parse_options(f"-i {written}").inputs[0] for written in (*found, *here)]
    expected = [f"strange/{name}" for name in strange] + [name.replace("-x", "./-x") for name in strange]
    assert sorted(read) == sorted(expected)
    assert offered(ready, "%%assistant -i -|") == ["./-x.csv"]


def test_nothing_is_offered_in_prose(ready):
    prose = [
    "%%assistant\nplease look at cas|", "%%assistant -i cases\ndon't touch cas|", "%%assistant\nwhat is cutoff.|",
    "%%assistant\n{'cas|", "%%assistant why cas|", "%%assistant --help cas|", "%%assistant --instructions cas|",
    "%%assistant -i cases\n--|",
    ]  # fmt: skip
    assert {text: tab(ready, text) for text in prose} == {text: [] for text in prose}


def test_variables_are_offered_in_braces(ready):
    above = "%%assistant\nabove {"
    assert tab(ready, f"{above}c|") == [above + name for name in ("cases", "cases_by_year", "cutoff")]
    assert tab(ready, "%%assistant\ndon't go above {cut|} in 24") == ["%%assistant\ndon't go above {cutoff} in 24"]
    assert tab(ready, "%%assistant\n{_o|") == ["%%assistant\n{_own"]
    assert "In" not in [cell.rpartition("{")[2] for cell in tab(ready, "%%assistant\n{|")]


def test_other_cells_and_the_magics_own_name_are_completed_as_ever(ready):
    for text in ("x = cas|", "%%time\ncas|", "# %%assistant\ncas|", "%%assistants\ncas|", "'%%assistant'; cas|"):
        assert any(cell.endswith("cases") for cell in tab(ready, text)), text
    assert tab(ready, "%%assis|") == ["%%assistant"]
    assert tab(ready, "%%assistan|t -m x") != []


def test_of_a_large_folder_the_first_are_offered_and_no_name_that_no_line_can_hold(ready, notebook_dir, monkeypatch):
    for name in ("two\nlines.csv", "bell\a.csv", 'a".csv', "\u202egnp.csv"):
        (notebook_dir / "data" / name).write_text("a\n")
    assert offered(ready, "%%assistant -i data/|") == ['"data/my notes.txt"', "data/north.csv", "data/sub/"]
    monkeypatch.setattr("ipython_assistant.display.completer.MOST_ENTRIES", 2)
    assert len(offered(ready, "%%assistant -i data/|")) <= 2


def test_conversations_saved_assistants_and_efforts_are_offered(ready, hosted, notebook_dir):
    write(notebook_dir / "assistants" / "coverage.toml", 'model = "mine"\n')
    hosted.will_say([wire.Message("Yes.")])
    ready.run_cell("%%assistant -c 'by year'\nShall we?")
    assert offered(ready, "%%assistant -c |") == offered(ready, "%%assistant -c b|") == ['"by year"']
    assert offered(ready, "%%assistant --assistant |") == ["coverage"]
    assert offered(ready, "%%assistant --effort m|") == ["minimal", "medium", "max"]
