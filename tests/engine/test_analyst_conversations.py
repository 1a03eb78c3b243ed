"""What a cell says beside its prompt: which tables came with it, and which have to come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from analyst_kernel import Answered, Container, answer, put
from IPython.utils.capture import capture_output

from ipython_assistant.core.request import InputNote
from ipython_assistant.core.request import instructions as written
from ipython_assistant.engine.models import Said
from ipython_assistant.engine.models.analyst.told import Told, told

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

CASES = pd.DataFrame({"disease": ["LF", "LF", "STH"], "coverage": [10.5, 20.5, 60.0], "cases": [1, 2, 3]})
COVERAGE = pd.DataFrame({"disease": ["LF", "STH", "STH"], "coverage": [1.5, 2.0, 4.0], "year": [2020, 2021, 2022]})
MEANS = {"cases.csv": [["LF", 15.5], ["STH", 60.0]], "coverage.csv": [["LF", 1.5], ["STH", 3.0]]}


@pytest.fixture
def container(kernel: BlockingKernelClient, tmp_path) -> Container:
    container = Container(kernel, tmp_path)
    put(container, "cases.csv", CASES)
    put(container, "coverage.csv", COVERAGE)
    return container


def instructions(named=(), others=(), outputs=(), made=()) -> str:
    """As the notebook extension writes them."""
    notes = [
        *(InputNote(f"/mnt/data/{name}", "made earlier in this conversation", named=False) for name in made),
        *(InputNote(f"/mnt/data/{name}", "CSV file, 3 rows: a, b", named=False) for name in others),
        *(InputNote(f"/mnt/data/{name}", "DataFrame x, 3 rows: a, b") for name in named),
    ]
    return written("", notes, outputs, code=True)


@pytest.fixture
def ask(container):
    """Ask in one conversation, with the instructions of a cell."""
    history: list[Said] = []

    def asking(prompt: str, **about) -> Answered:
        found = asyncio.run(answer(prompt, container, tuple(history), instructions(**about)))
        history.extend([Said("user", prompt), Said("assistant", found.said or found.refused)])
        return found

    return asking


def cells(container: Container, name: str) -> list[list]:
    return pd.read_csv(container.folder / name).to_numpy().tolist()


def test_instructions_as_the_extension_writes_them_are_read():
    here = {"cases.csv", "coverage.csv", "old.csv", "a: b.csv"}
    mixed = instructions(["cases.csv", "a: b.csv"], ["coverage.csv", "gone.csv"], ["x", "y"], ["old.csv"])

    assert told(mixed, here) == Told(("cases.csv", "a: b.csv"), ("coverage.csv",), ("old.csv",), ("x.csv", "y.csv"))
    assert told(instructions(["cases.csv"], outputs=["x"]), here) == Told(("cases.csv",), wanted=("x.csv",))
    assert told(instructions(others=["coverage.csv"]), here) == Told(others=("coverage.csv",))
    assert told("Be kind.", here) == told("", here) == Told()


# ---- tables that came with the question


@pytest.mark.parametrize("name", ["cases.csv", "coverage.csv"])
def test_the_table_that_was_named_with_the_question_is_meant(container, ask, name):
    (other,) = {"cases.csv", "coverage.csv"} - {name}
    got = ask("Mean coverage per disease", named=[name], others=[other])

    assert f"on **{name}**" in got.said, got.refused
    assert cells(container, got.files[0]) == MEANS[name]


def test_without_a_table_of_its_own_a_question_that_fits_two_is_refused(ask):
    got = ask("Mean coverage per disease", others=["cases.csv", "coverage.csv"])

    assert "The request fits **cases.csv** and **coverage.csv**: write which file is meant." in got.refused


def test_what_the_named_table_does_not_have_is_looked_for_in_the_others(ask):
    got = ask("Mean coverage per year", named=["cases.csv"], others=["coverage.csv"])

    assert "on **coverage.csv**" in got.said


def test_two_that_were_named_are_ambiguous_whatever_else_is_there(ask):
    ask("Mean coverage per disease", named=["cases.csv"], others=["coverage.csv"])
    got = ask("Mean coverage per disease", named=["cases.csv", "coverage.csv"])

    assert "The request fits **cases.csv** and **coverage.csv**: write which file is meant." in got.refused


def test_files_an_earlier_answer_made_are_not_meant_unless_they_are_named(container, ask):
    put(container, "old.csv", COVERAGE)
    about = {"others": ["cases.csv"], "made": ["old.csv"]}
    (container.folder / "coverage.csv").unlink()
    first = ask("Mean coverage per disease", **about)
    second = ask("Mean coverage per disease in old.csv", **about)

    assert "on **cases.csv**" in first.said
    assert "on **old.csv**" in second.said


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("The 2 smallest coverage in by_disease.csv", [["LF", 15.5], ["STH", 60.0]]),
        ("Max coverage in by_disease.csv", [[60.0]]),
    ],
)
def test_a_file_named_in_full_is_meant_and_not_put_together_with_another(container, ask, prompt, expected):
    (container.folder / "coverage.csv").unlink()
    ask("Save the mean coverage per disease as by_disease.csv", named=["cases.csv"])
    got = ask(prompt, others=["cases.csv"])

    assert "on **by_disease.csv**" in got.said, got.refused
    assert cells(container, got.files[0]) == expected


def test_a_table_whose_name_begins_with_by_can_be_grouped_by_its_column(container, ask):
    (container.folder / "coverage.csv").unlink()
    put(container, "by_disease.csv", COVERAGE)
    got = ask("Max coverage by disease", named=["by_disease.csv"], others=["cases.csv"])

    assert cells(container, got.files[0]) == [["LF", 1.5], ["STH", 4.0]], got.refused


# ---- tables that have to come back


@pytest.mark.parametrize(
    ("prompt", "outputs", "files"),
    [
        ("Mean coverage per disease", ["means"], ("means.csv",)),
        ("Mean coverage per disease as JSON", ["means"], ("means.json",)),
        ("Plot coverage by disease. Mean coverage per disease", ["means"], ("coverage_by_disease.png", "means.csv")),
        ("Mean coverage per disease as a.csv. Count rows per disease", ["a", "b"], ("a.csv", "b.csv")),
        ("Mean coverage per disease as a.csv", ["means"], ("a.csv",)),
        ("Mean cases per disease. Count rows per disease", ["x"], ("mean_cases_by_disease.csv", "rows_by_disease.csv")),
    ],
)  # fmt: skip
def test_the_only_table_without_a_name_is_saved_as_the_one_that_has_to_come_back(ask, prompt, outputs, files):
    got = ask(prompt, named=["cases.csv"], others=["coverage.csv"], outputs=outputs)

    assert got.files == files, got.refused


def test_a_table_of_the_user_is_not_overwritten_because_it_has_to_come_back(container, ask):
    before = (container.folder / "cases.csv").read_bytes()
    refused = [
        ask("Mean coverage per disease", named=["cases.csv"], others=["coverage.csv"], outputs=[name]).refused
        for name in ("cases", "coverage")
    ]

    assert "“cases.csv” is there already" in refused[0]
    assert "“coverage.csv” is there already" in refused[1]
    assert (container.folder / "cases.csv").read_bytes() == before


def test_a_table_that_an_answer_made_is_made_again_under_its_name(container, ask):
    ask("Mean coverage per disease as means.csv", named=["cases.csv"], others=["coverage.csv"])
    again = ask("Mean coverage per disease as means.csv", named=["coverage.csv"], others=["cases.csv"])
    wanted = ask("Total cases per disease", others=["cases.csv", "coverage.csv"], outputs=["means"])

    assert (again.refused, wanted.refused) == ("", "")
    assert again.files == wanted.files == ("means.csv",)
    assert cells(container, "means.csv") == [["LF", 3], ["STH", 3]]


@pytest.mark.parametrize(
    ("prompt", "about"),
    [
        ("Max coverage per disease as means.csv", {"named": ["means.csv"], "others": ["cases.csv"]}),
        ("Describe means.csv and save it as means.csv", {"others": ["cases.csv"]}),
        ("Total cases per disease as means.csv", {"others": ["cases.csv", "means.csv"]}),
    ],
)
def test_neither_the_table_that_is_read_nor_one_that_came_back_as_an_input_is_overwritten(
    container, ask, prompt, about
):
    (container.folder / "coverage.csv").unlink()
    ask("Mean coverage per disease as means.csv", named=["cases.csv"])
    got = ask(prompt, **about)

    assert "is there already" in got.refused or "would be overwritten" in got.refused
    assert cells(container, "means.csv") == MEANS["cases.csv"]


# ---- the whole way, from cells


def run(shell, cell):
    with capture_output():
        outcome = shell.run_cell(cell, store_history=True)
    outcome.raise_error()
    return outcome.result


def test_three_cells_ask_the_same_of_two_tables_and_each_gets_its_own(shell):
    shell.user_ns.update(cases=CASES, coverage=COVERAGE)
    got = [
        run(shell, f"%%assistant -i {name} -o means\nMean coverage per disease")
        for name in ("cases", "coverage", "cases")
    ]

    tables = [one.tables[0].to_frame().to_numpy().tolist() for one in got]
    assert tables == [MEANS["cases.csv"], MEANS["coverage.csv"], MEANS["cases.csv"]]
    assert shell.user_ns["means"].to_numpy().tolist() == MEANS["cases.csv"]
