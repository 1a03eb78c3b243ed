"""What could be silently wrong is said or refused: rows with a part missing, ratios, shares of groups, orders."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pandas as pd
import pytest
from analyst_kernel import Answered, Container, answer, put

from ipython_assistant.engine.models.analyst.pandas_code import WRITERS
from ipython_assistant.engine.models.analyst.plan import Task

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

PROMPT_TABLES = Path(__file__).parents[1] / "prompts" / "tables"
DISTRICTS = [f"D{number:02}" for number in range(1, 13)]
ROUNDS = pd.DataFrame(
    {
        "district": [name for name in DISTRICTS for _ in range(2)],
        "year": [2021, 2023] * 12,
        "drug": ["ALB", "MEB", "MEB", "ALB"] * 6,
        "given": [100 + 7 * (number * number % 17) for number in range(24)],
        "wasted": [number % 5 for number in range(24)],
        "population": [1000 + 130 * (number % 7) + number // 3 for number in range(24)],
        "clinics": [2 + number // 2 for number in range(24)],
    }
)
GAPS = ROUNDS.astype({"wasted": float})
GAPS.loc[[3, 10, 11], "wasted"] = math.nan


@pytest.fixture
def container(kernel: BlockingKernelClient, tmp_path) -> Container:
    container = Container(kernel, tmp_path)
    put(container, "rounds.csv", GAPS)
    return container


@pytest.fixture
def ask(container):
    def asking(prompt: str) -> Answered:
        return asyncio.run(answer(prompt, container))

    return asking


def outcome(container: Container, got: Answered) -> pd.DataFrame:
    """The one table that an answer wrote."""
    assert got.refused == "", got.refused
    assert got.error == ""
    (name,) = got.files
    found = pd.read_csv(container.folder / name)
    (container.folder / name).unlink()
    return found


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same values in the same places; the columns may be called otherwise."""
    expected = expected.reset_index(drop=True).set_axis(found.columns, axis=1)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_index_type=False)


# ---- sums of which a part is missing


@pytest.mark.parametrize(
    "prompt",
    [
        "given + wasted, totals per drug",
        "total of given - wasted per drug",
        "running total of given + wasted per year",
        "share of total given + wasted per drug",
        "top 3 districts by total given + wasted",
        "bar chart of total given + wasted by drug",
        "used = given - wasted. total used per year",
        "districts with total given + wasted over 200",
    ],
)
def test_a_total_of_a_sum_is_refused_where_rows_have_only_a_part_of_it(ask, prompt):
    got = ask(prompt)

    assert got.code == ""
    assert "3 rows have no **wasted**" in got.refused or "I did not understand" in got.refused, got.refused


def test_what_is_offered_instead_of_such_a_total_works(container, ask):
    refused = ask("given + wasted, totals per drug").refused
    assert "Ask for `total given and total wasted`, or add `where wasted is known`." in refused

    apart = outcome(container, ask("total given and total wasted per drug"))
    known = outcome(container, ask("total of given + wasted per drug where wasted is known"))

    same(apart, GAPS.groupby("drug")[["given", "wasted"]].sum().reset_index())
    filled = GAPS.dropna(subset="wasted")
    same(known, (filled["given"] + filled["wasted"]).groupby(filled["drug"]).sum().reset_index())


def test_the_same_total_is_calculated_where_nothing_or_all_of_it_is_missing(container, ask):
    whole = ROUNDS.assign(given=ROUNDS["given"].astype(float))
    whole.loc[4, ["given", "wasted"]] = math.nan
    put(container, "rounds.csv", whole)
    got = ask("total of given + wasted per drug")

    assert "1 row has no **given** or **wasted** and is left out." in got.said
    same(outcome(container, got), (whole["given"] + whole["wasted"]).groupby(whole["drug"]).sum().reset_index())


def test_a_mean_of_a_sum_says_how_many_rows_lack_which_part(container, ask):
    got = ask("mean of given + wasted per drug")

    assert "3 rows have no **wasted** and are left out." in got.said
    same(outcome(container, got), (GAPS["given"] + GAPS["wasted"]).groupby(GAPS["drug"]).mean().reset_index())


@pytest.mark.parametrize("prompt", ["top 3 rows by wasted", "districts with a mean wasted over 1"])
def test_rows_that_cannot_be_ranked_and_conditions_on_groups_say_what_they_leave_out(ask, prompt):
    assert "3 rows have no **wasted** and are left out." in ask(prompt).said


def test_a_share_of_rows_says_how_many_have_no_value(ask):
    got = ask("what share of rows have wasted over 2")

    assert "3 rows of the table have no **wasted** to compare; they count as not fitting." in got.said


# ---- ratios


@pytest.mark.parametrize(
    "prompt",
    [
        "coverage = given / population. total coverage per district",
        "coverage = given / population * 100. sum of coverage per drug",
        "total given / population per district",
        "running total of given / population per year",
        "plot total given / population by year",
        "share of total given / population per drug",
    ],
)
def test_a_total_of_ratios_is_refused(ask, prompt):
    got = ask(prompt)

    assert got.code == ""
    assert "would add up ratios" in got.refused
    assert "the totals of **given** and **population**" in got.refused


def test_a_total_of_ratios_is_not_offered_either(ask):
    assert "take the mean of **given / population**." in ask("given / population per district").refused
    assert "total given / population" not in ask("plot given / population by year").refused


def test_a_mean_of_ratios_says_that_it_is_no_ratio_of_totals(container, ask):
    got = ask("mean coverage per district where coverage = given / population")

    assert "it is not the ratio of the totals" in got.said
    ratios = GAPS["given"] / GAPS["population"]
    same(outcome(container, got), ratios.groupby(GAPS["district"]).mean().reset_index())


def test_an_amount_times_a_ratio_of_numbers_is_still_an_amount(container, ask):
    got = ask("total cost per drug where cost = given * 2.5")

    assert "ratio" not in got.said
    same(outcome(container, got), (2.5 * GAPS["given"]).groupby(GAPS["drug"]).sum().reset_index())


@pytest.mark.parametrize("prompt", ["population per clinic", "mean population per clinics", "given per population"])
def test_per_a_number_of_things_is_not_taken_for_groups(ask, prompt):
    got = ask(prompt)

    assert got.code == ""
    assert "has two readings" in got.refused


# ---- so many percent of groups


@pytest.mark.parametrize(("share", "count"), [(25, 3), (10, 2), (50, 6), (100, 12)])
def test_a_top_percent_of_groups_is_a_share_of_the_groups(container, ask, share, count):
    totals = GAPS.groupby("district")["given"].sum()
    got = ask(f"top {share} percent of districts by total given")

    assert f"the {share} % largest" in got.said
    same(outcome(container, got), totals.nlargest(count, keep="all").reset_index())


def test_a_bottom_percent_of_groups_is_taken_of_their_means(container, ask):
    means = GAPS.groupby("district")["given"].mean()

    same(outcome(container, ask("bottom 25% of districts by mean given")), means.nsmallest(3, keep="all").reset_index())


@pytest.mark.parametrize("prompt", ["top 20 percent of districts per drug by total given", "top 250% of rows by given"])
def test_a_top_percent_that_is_none_is_refused(ask, prompt):
    assert ask(prompt).code == ""


# ---- pivots


@pytest.mark.parametrize(
    "prompt",
    [
        "change in total given per district, one column per drug",
        "pivot total given by district and drug with the change",
        "percent change in total given per district, one column per drug",
    ],
)
def test_a_change_from_one_name_to_another_is_refused(ask, prompt):
    got = ask(prompt)

    assert got.code == ""
    assert "A change is from one time to another, not from one **drug** to another." in got.refused


def test_a_change_over_the_columns_of_years_is_from_the_first_to_the_last(container, ask):
    three = GAPS.assign(year=[2021, 2022, 2023] * 8, drug=["ALB"] * 12 + ["MEB"] * 12)
    put(container, "rounds.csv", three)
    found = outcome(container, ask("change in total given per drug, one column per year"))

    wide = three.groupby(["drug", "year"])["given"].sum().unstack()
    assert found.columns.tolist() == ["drug", "2021", "2022", "2023", "change"]
    assert found["change"].tolist() == (wide[2023] - wide[2021]).tolist()


def test_a_change_between_two_years_of_which_one_is_not_there_is_refused(ask):
    got = ask("change in total given per drug from 2021 to 2022")

    assert got.code == ""
    assert "only one **year**" in got.refused


@pytest.mark.parametrize(
    "prompt",
    [
        "pivot total given by district and drug, highest first",
        "pivot total given by district and drug sorted by given",
        "pivot of total given by district and drug sorted by population",
        "change in total given per district from 2021 to 2023 sorted by given",
        "mean given per district sorted by population",
        "Mean given per district. Sort it by population",
        "Bar chart of mean given by district. Sort it by population",
    ],
)
def test_an_order_that_cannot_be_followed_is_refused(ask, prompt):
    assert ask(prompt).code == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sorted by district descending", lambda wide: wide.sort_index(ascending=False)),
        ("sorted by drug descending", lambda wide: wide[["MEB", "ALB"]]),
    ],
)
def test_a_pivot_is_sorted_by_its_rows_or_its_columns(container, ask, words, expected):
    found = outcome(container, ask(f"pivot of total given by district and drug {words}"))

    wide = expected(GAPS.groupby(["district", "drug"])["given"].sum().unstack())
    assert found.columns.tolist() == ["district", *wide.columns]
    same(found, wide.reset_index())


def test_a_change_from_year_to_year_is_sorted_by_the_change(container, ask):
    found = outcome(container, ask("change in total given per drug from 2021 to 2023, highest first"))

    wide = GAPS.groupby(["drug", "year"])["given"].sum().unstack()
    assert found["change"].tolist() == sorted((wide[2023] - wide[2021]).tolist(), reverse=True)


def test_groups_are_sorted_by_another_of_their_numbers(container, ask):
    found = outcome(container, ask("mean given and total population per drug sorted by population, highest first"))

    expected = (
        GAPS.groupby("drug").agg({"given": "mean", "population": "sum"}).sort_values("population", ascending=False)
    )
    same(found, expected.reset_index())


# ---- shares, spellings, rows without a value


@pytest.mark.parametrize(
    "prompt", ["percentage of wasted per district", "what proportion of given is in D01, per drug"]
)
def test_a_percentage_of_a_column_without_its_whole_is_refused(ask, prompt):
    assert "could be out of its total or out of another column" in ask(prompt).refused


CASES = pd.DataFrame(
    {
        "case": [f"c{number}" for number in range(8)],
        "district": ["D01", "D01", "D02", "D02", "D02", "D03", "D09", "D01"],
        "outcome": ["Died", "died", "Recovered", None, "recovered", "Died", "Recovered", "Recovered"],
        "age": [3.0, 41.0, math.nan, 20.0, 33.0, 7.0, 60.0, 15.0],
        "dose": ["001", "002", None, "001", "001", "002", "002", "001"],
    }
)
PLACES = pd.DataFrame(
    {"district": ["D01", "D02", "D03", "D04"], "region": ["N", "N", "S", "S"], "population": [900, 500, 300, 800]}
)


@pytest.fixture
def cases(container):
    (container.folder / "rounds.csv").unlink()
    put(container, "cases.csv", CASES)
    return container


@pytest.mark.parametrize("prompt", ["mean age by outcome", "bar chart of cases by outcome", "unique outcomes"])
def test_values_that_differ_only_in_spelling_are_said_to_be_apart(cases, ask, prompt):
    got = ask(prompt)

    assert "In **outcome**, “Died” and “died”; “Recovered” and “recovered” differ only in how they are" in got.said


@pytest.mark.parametrize(
    ("prompt", "kept"), [("cases where outcome is not died", 5), ("cases where dose is not 001", 4)]
)
def test_rows_without_a_value_are_not_this_value_and_that_is_said(cases, ask, prompt, kept):
    got = ask(prompt)

    assert "1 row of the table has no" in got.said
    assert "it counts as another" in got.said
    assert len(outcome(cases, got)) == kept


def test_groups_that_have_no_such_row_are_said_not_to_be_listed(cases, ask):
    got = ask("number of cases with age over 18 per district")

    assert "1 of the 4 values of **district** has no such row and is not listed." in got.said
    assert outcome(cases, got).to_numpy().tolist() == [["D01", 1], ["D02", 2], ["D09", 1]]


def test_correlations_say_which_rows_they_leave_out(container, ask):
    assert "3 rows have no **wasted** and are left out." in ask("correlation of given and wasted").said


# ---- two tables put together


@pytest.mark.parametrize(
    "prompt",
    ["number of cases and population per region", "total population per outcome", "plot population by outcome"],
)
def test_a_total_of_what_stands_beside_several_rows_is_refused(cases, ask, prompt):
    put(cases, "places.csv", PLACES)
    got = ask(prompt)

    assert got.code == ""
    assert "a total would count its **population** once for each of them" in got.refused


def test_a_mean_of_what_stands_beside_several_rows_says_what_counts_once(cases, ask):
    put(cases, "places.csv", PLACES)

    assert "counts it once for each row of **cases.csv**" in ask("mean population per outcome").said


def test_a_total_of_what_is_looked_up_once_is_calculated(cases, ask):
    put(cases, "places.csv", PLACES)
    put(cases, "cases.csv", CASES.drop_duplicates("district"))
    got = ask("total population per outcome")

    both = CASES.drop_duplicates("district").merge(PLACES, on="district", how="left")
    expected = both.groupby("outcome")["population"].sum(min_count=1).reset_index()
    pd.testing.assert_frame_equal(outcome(cases, got), expected, check_dtype=False)


@pytest.mark.parametrize("prompt", ["cases in regions N", "list cases in districts with age over 18"])
def test_rows_that_are_named_are_not_lost_to_the_column_after_them(cases, ask, prompt):
    put(cases, "places.csv", PLACES)
    got = ask(prompt)

    assert "the different values" not in got.said


def test_names_that_several_rows_share_are_not_sorted_by_one_of_their_numbers(ask):
    assert "Several rows share one **district**" in ask("districts sorted by given").refused


def test_a_formula_without_a_name_is_read_as_a_whole(container, ask):
    found = outcome(container, ask("mean of given / population * 100 per drug"))

    same(found, (100 * GAPS["given"] / GAPS["population"]).groupby(GAPS["drug"]).mean().reset_index())


# ---- what people write in several ways


ANSWERS = pd.DataFrame({"visit": range(1, 8), "seen": ["yes", "No", "no", "Yes", None, "NO", "yes"], "v": range(7)})


@pytest.mark.parametrize(
    ("prompt", "visits"),
    [
        ("rows where seen is no", [2, 3, 6]),
        ("rows where seen is yes", [1, 4, 7]),
        ("rows where seen is not yes", [2, 3, 5, 6]),
        ("rows where seen is missing", [5]),
    ],
)
def test_yes_and_no_are_meant_however_they_are_written(container, ask, prompt, visits):
    (container.folder / "rounds.csv").unlink()
    put(container, "answers.csv", ANSWERS)

    assert outcome(container, ask(prompt))["visit"].tolist() == visits


@pytest.mark.parametrize("prompt", ["rows without seen", "rows with no seen", "count rows without a seen"])
def test_no_answer_is_neither_taken_for_a_no_nor_for_none(container, ask, prompt):
    (container.folder / "rounds.csv").unlink()
    put(container, "answers.csv", ANSWERS)

    assert "could be a no or a missing answer" in ask(prompt).refused


def test_the_last_months_of_a_column_called_month_are_months(container, ask):
    (container.folder / "rounds.csv").unlink()
    months = pd.DataFrame({"month": [f"2023-{number:02}" for number in range(1, 13)], "v": range(12)})
    put(container, "months.csv", months)

    assert outcome(container, ask("total v for the last 3 months")).to_numpy().tolist() == [[9 + 10 + 11]]


def test_rows_without_several_values_are_not_counted_as_cells(container, ask):
    assert ask("how many rows have given and wasted missing").code == ""
    assert outcome(container, ask("how many rows have wasted missing"))["missing"].tolist() == [3]


@pytest.mark.parametrize("prompt", ["mean given per district, count of rows, since 2022"])
def test_a_condition_at_the_end_of_several_parts_is_refused(ask, prompt):
    assert "It is not clear whether the condition at the end is about all parts" in ask(prompt).refused


@pytest.mark.parametrize(
    "prompt", ["Mean given per drug. Count rows, since 2022", "since 2022: mean given, count of rows"]
)
def test_a_condition_of_one_part_or_before_all_is_not(ask, prompt):
    assert "at the end" not in ask(prompt).refused


# ---- exclusions, and what is said after them (the tables of the prompts)


TABLES = {"c": "clinic_visits.csv", "v": "vaccination.tsv", "o": "outbreak_cases.json", "d": "district_profile.xlsx"}


@pytest.fixture
def asked_of(kernel: BlockingKernelClient, tmp_path):
    pytest.importorskip("openpyxl")

    def asking(which: str, prompt: str) -> tuple[Container, Answered]:
        for letter in which:
            name = TABLES[letter]
            (tmp_path / name).write_bytes((PROMPT_TABLES / name).read_bytes())
        container = Container(kernel, tmp_path)
        return container, asyncio.run(answer(prompt, container))

    return asking


@pytest.mark.parametrize(
    ("which", "prompt"),
    [
        ("c", "Number of visits excluding men over 60"),
        ("c", "Number of visits excluding men and people over 60"),
        ("c", "Number of visits excluding men or people over 60"),
        ("c", "Number of visits excluding missing age and women"),
        ("c", "Number of visits excluding asthma and missing sex"),
        ("c", "Mean cost per clinic excluding asthma visits in 2024"),
        ("c", "Mean cost per clinic without women over 60"),
        ("c", "Mean cost per clinic except for women with asthma"),
        ("c", "Mean cost per clinic leaving out women with a cost over 100"),
        ("c", "Mean cost per clinic not counting Harbour patients under 18"),
        ("c", "Number of visits other than women over 60 by clinic"),
        ("c", "Number of visits except in women aged 20 to 30"),
        ("c", "Number of visits leaving out asthma with follow-up yes"),
        ("c", "Number of visits excluding women with missing age"),
        ("c", "Mean cost per diagnosis excluding Harbour in 2024"),
        ("v", "Total doses given except for HPV in Dunmore"),
        ("v", "Doses wasted per 100 doses given excluding HPV in Alder by district"),
        ("c", "Mean cost with and without asthma by clinic"),
        ("c", "Number of visits with and without age by clinic"),
        ("c", "Mean cost of visits with and without wait"),
        ("v", "Mean coverage with and without HPV by district"),
        ("c", "Mean wait by clinic, not only for women"),
    ],
)
def test_what_may_or_may_not_belong_to_what_is_left_out_is_refused(asked_of, which, prompt):
    _, got = asked_of(which, prompt)

    assert got.refused
    assert got.code == ""


@pytest.mark.parametrize(
    "prompt",
    [
        "Number of visits in 2023 except asthma",
        "Number of visits excluding asthma, in 2023",
        "Excluding asthma, number of visits in 2023",
        "Number of visits where diagnosis is not asthma and in 2023",
    ],
)
def test_a_condition_before_what_is_left_out_or_set_apart_from_it_is_about_all_rows(asked_of, prompt):
    container, got = asked_of("c", prompt)
    visits = pd.read_csv(PROMPT_TABLES / TABLES["c"])
    fitting = (visits["Diagnosis"] != "Asthma") & visits["Visit Date"].str.startswith("2023")

    assert outcome(container, got).to_numpy().tolist() == [[fitting.sum()]]


def test_a_part_of_a_name_that_the_other_table_has_in_full_is_not_taken_for_the_longer_one(asked_of):
    _, got = asked_of("od", "Number of cases by district without a hospital")

    assert "days_in_hospital" not in got.said + got.code


def test_rows_without_a_value_that_are_asked_for_count_as_fitting(asked_of):
    _, got = asked_of("c", "Percentage of visits with missing wait")

    assert "not fitting" not in got.said


def test_every_kind_of_task_has_a_writer():
    assert set(WRITERS) == set(get_args(Task))
