"""The forms that are answered without a model: every form over five tables, in any order, and what they refuse."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from in_process import ask

from ipython_assistant.engine.models.basic import forms_for
from ipython_assistant.engine.models.table_profiles import TableProfile

TABLES = Path(__file__).parents[2] / "benchmarks" / "prompts" / "tables"
DATA = Path(__file__).parents[2] / "notebooks" / "data" / "mda_coverage.csv"
FORMS = {
    "clinic_visits.csv": ("wait", "Wait (min)", "clinic", "Clinic", "age", "Harbour"),
    "air_quality.parquet": ("ozone", "Ozone (µg/m³)", "station", "station", "temp", "Port"),
    "vaccination.tsv": ("coverage", "Coverage (%)", "vaccine", "vaccine", "doses given", "HPV"),
    "district_profile.xlsx": ("smokers", "Smokers (%)", "region", "Région", "area", "North"),
    "outbreak_cases.json": ("peak temp", "peak_temp_c", "gender", "gender", "age", "female"),
}
"""For each table: a column of numbers as it is spoken and as it is called, a key so, another number, a value."""


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (place > 0)) for place, name in enumerate(FORMS)])
def table(request, tmp_path):
    """A table in a folder, the first by default and the others in `make slow`, and the words of `FORMS` for it."""
    if request.param.endswith((".xlsx", ".parquet")):
        pytest.importorskip("openpyxl" if request.param.endswith("x") else "pyarrow")
    shutil.copy(TABLES / request.param, tmp_path)
    return tmp_path, *FORMS[request.param]


@pytest.fixture
def coverage(tmp_path):
    shutil.copy(DATA, tmp_path)
    return tmp_path


def frame(folder):
    (path,) = folder.iterdir()
    read = {".csv": pd.read_csv, ".tsv": lambda p: pd.read_csv(p, sep="\t"), ".xlsx": pd.read_excel}
    read |= {".parquet": pd.read_parquet, ".json": pd.read_json}
    return read[path.suffix](path)


@pytest.mark.parametrize("how", ["mean", "median", "sum", "max", "min", "std"])
def test_an_aggregate_per_group_is_that_of_pandas(table, how):
    folder, y, column, x, key, *_ = table
    if how == "sum" and column in {"Coverage (%)", "Smokers (%)", "peak_temp_c"}:
        pytest.skip("rates are not added up")
    expected = frame(folder).groupby(key)[column].agg(how)
    words = {"sum": "total", "std": "standard deviation of"}.get(how, how)
    found = ask(f"{words} {y} per {x}", folder).result.set_index(key)[column]
    pd.testing.assert_series_equal(found.astype(float), expected.astype(float), check_names=False, rtol=1e-9)


@pytest.mark.parametrize("sentence", [
    "Mean {y} per {x}, saved as out.csv", "out.csv: the mean {y} per {x}",
    "Please save the average {y} for each {x} as out.csv", "per {x} the mean of the {y}, written to out.csv",
    "MEAN {y} BY {x} INTO out.csv", "Give me, for every {x}, the mean {y} and put it into out.csv",
])  # fmt: skip
def test_parts_come_in_any_order_with_any_courtesy(table, sentence):
    folder, y, column, x, key, *_ = table
    expected = frame(folder).groupby(key)[column].mean()
    given = ask(sentence.format(y=y, x=x), folder)
    assert given.files == ["out.csv"]
    pd.testing.assert_series_equal(given.result.set_index(key)[column], expected, check_names=False, rtol=1e-9)


TABLE_FORMS = [
    "Describe the table", "Missing values", "Duplicates", "Different {x}", "Count rows per {x}",
    "Count rows per {x} where {other} is over 1", "Top 3 {x} by mean {y}", "The 2 {x} with the lowest mean {y}",
    "Which {x} has the highest {y}?", "Rows where {x} is {value}", "Rows without {value}", "Highest {y} for {value}",
    "Rows where {y} is at least 20 and {x} is not {value}", "Correlation of {y} and {other}", "Convert to json",
    "As markdown",
]  # fmt: skip
CHART_FORMS = [
    "Histogram of {y}", "Box plot of {y} per {x}", "Scatter {y} against {other}", "Bar chart of mean {y} by {x}",
    "Plot the number of rows per {x}", "Pie chart of the number of rows per {x}",
]  # fmt: skip


@pytest.mark.parametrize("form", TABLE_FORMS + CHART_FORMS)
def test_every_form_is_answered_over_every_table(table, form):
    folder, y, _, x, _, other, value = table
    given = ask(form.format(y=y, x=x, other=other, value=value), folder)
    assert (given.refused, given.error) == ("", "")
    assert [Path(name).suffix == ".png" for name in given.files] == [form in CHART_FORMS]
    assert given.files[0] in given.said


def test_the_forms_that_are_shown_are_answered(table):
    folder, *_ = table
    refused = ask("Fluxbar the moon", folder).refused
    shown = [line.removeprefix("- ").strip("`") for line in refused.splitlines() if line.startswith("- ")]
    assert len(shown) > 5
    for form in shown:
        given = ask(form, folder)
        assert (given.refused, given.error) == ("", ""), form
        for name in given.files:
            (folder / name).unlink()


COVERAGE = "country,year,cases,coverage_pct\nKenya,2023,10,70\nKenya,2024,20,80\nChad,2024,30,50\nChad,2023,4,40\n"
TOWNS = "town,year,cases\nA,2020,3\nB,2021,5\nC,2022,9\nD,2023,\n"


@pytest.mark.parametrize(("content", "prompt", "rows", "columns"), [
    (COVERAGE, "Mean coverage_pct for each country, saved as mean_by_country.csv", 2, 2),
    (COVERAGE, "How many rows are there?", 1, 1), (COVERAGE, "rows where cases is over 10", 2, 4),
    (COVERAGE, "total cases in 2024", 1, 1), (COVERAGE, "total cases in Kenya since 2023", 1, 1),
    (COVERAGE, "cases per country, highest first", 2, 2), (TOWNS, "Rows where cases are over 4", 2, 3),
    (TOWNS, "Rows where cases are over 0", 3, 3),
    (COVERAGE, "rows where country is Chad and cases is over 4 and year is 2024", 1, 4),
    (TOWNS, "Rows with no cases recorded", 1, 3), (TOWNS, "Rows from 2020 to 2022", 3, 3),
    (TOWNS, "Rows in 2020, 2021 and 2022", 3, 3),
    (TOWNS, "Only town and cases, for rows where cases are between 3 and 5", 2, 2),
    (TOWNS, "Town with the highest cases", 1, 3), (TOWNS, "the two towns with the highest mean cases", 2, 2),
    ('[{"fever": true}, {"fever": null}, {"fever": false}]', "rows with fever", 1, 1),
    ("fever,n\n Yes,1\nNo ,2\nNo ,3\n", "rows with fever", 1, 2), ('[["7"], ["8"]]', "Describe the table", 1, 9),
    ("city,cost\nİzmir,120\nİzmir,90\nRome,300\n", "Rows where city is İzmir and cost is over 100", 1, 2),
])  # fmt: skip
def test_what_newcomers_type_first_is_answered(tmp_path, content, prompt, rows, columns):
    (tmp_path / f"table.{'json' if content.startswith('[') else 'csv'}").write_text(content)
    assert ask(prompt, tmp_path).result.shape == (rows, columns)


LESSONS = [
    "Plot coverage by year for Arvessa North\nand save the mean coverage per district as coverage_by_district.csv",
    "Bar chart of mean coverage per district", "Mean coverage per disease, and save it as by_disease.csv",
    "Plot coverage by year for Drevanta\nand list the rows where coverage is below 65", "Total pop. treated per year",
    "Plot coverage by year for Jolmeri West", "Plot total pop. treated by year in mda_coverage.csv",
    "Count rows per disease", "The 3 districts with the lowest mean coverage, and save them as lowest.csv",
    "Mean coverage per year",
]  # fmt: skip


@pytest.mark.parametrize("prompt", LESSONS)
def test_the_sentences_of_the_lessons_are_answered(coverage, prompt):
    given = ask(prompt, coverage)
    assert not given.refused, given.refused
    assert len(given.files) == 1 + ("\n" in prompt)


def test_two_sentences_are_two_answers_and_conditions_stay_with_their_own(coverage):
    given = ask(LESSONS[0], coverage)
    data = pd.read_csv(coverage / "mda_coverage.csv")
    assert given.files == ["mean_coverage_by_year_arvessa_north.png", "coverage_by_district.csv"]
    assert len(given.result) == data["District "].str.strip().nunique()


def test_a_second_column_makes_the_lines_or_colours_of_a_chart(coverage):
    for chart in ("Plot mean coverage by year per disease", "Stacked bar chart of rows per year, split by disease"):
        assert "per **Year**, one for each **Disease**" in ask(chart, coverage).said


PRETENDED = [
    # words that are not understood
    "Forecast coverage for 2030", "Why is coverage low in Drevanta?", "Translate the table to French",
    "Email the table", "Clean the data", "Make it better", "Which district is the nicest?", "Predict coverage per year",
    "Is coverage significant?", "Cluster the districts", "Fit a line to coverage", "Normalise coverage",
    "Mean salary per district", "Coverage by hospital", "Cases per district", "Total cost per year", "asdf qwerty",
    "Explain the table", "Mean coverage per district using bootstrap", "Coverage of children per district",
    # terms that need a model
    "Share of each disease", "Percent of rows per disease", "Running total of pop. treated by year",
    "Rolling mean of coverage by year", "Change in coverage per year", "Growth of coverage per year",
    "Coverage ratio per district", "Pop. treated per 1000 pop. targeted per district", "Pivot of coverage by district",
    "Weighted mean of coverage per district", "90th percentile of coverage", "Quartiles of coverage per district",
    "Rank the districts by coverage", "The second highest coverage", "Join coverage with districts",
    "rate = pop. treated / pop. targeted", "Pop. treated minus pop. targeted per district",
    "Pop. treated times coverage", "pop. treated + pop. targeted per district", "Rows where district contains er",
    "Rows where the district starts with A", "Rows where coverage is below 50 or year is 2020",
    # places that make no form
    "Compare LF vs Oncho", "Mean coverage LF vs Oncho", "top 10", "the lowest", "Plot", "Plot the table",
    "mean", "Plot coverage", "per district", "coverage by district by", "LF", "2020", "5", "Rows with disease",
    "Rows where coverage is over", "Rows where coverage is low", "Mean district per year", "Sum of disease",
    "Scatter coverage", "Correlation of district and disease", "Total coverage per district", "Mean coverage per month",
    "Coverage over 65 per month", "Mean coverage in 1850 per day", "Highest coverage, which year was that?",
    "Rows in Atlantis", "Mean coverage per district and how many rows?", "Everything",
]  # fmt: skip


@pytest.mark.parametrize("prompt", PRETENDED)
def test_what_is_no_form_is_refused_with_the_forms_and_the_way_to_a_model(coverage, prompt):
    given = ask(prompt, coverage)
    assert given.refused, (prompt, given.said)
    assert "Count rows per District" in given.refused
    assert "Forecast" not in prompt or "“Forecast”" in given.refused
    assert "model get" in given.refused
    assert not given.files


# ---- files, tables and conversations
@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx", "json", "jsonl", "parquet", "md", "html", "svg", "pdf"])
def test_a_table_or_a_chart_is_written_in_the_format_of_its_name(coverage, ending):
    pytest.importorskip("openpyxl")
    what = "Plot mean coverage by year" if ending in {"svg", "pdf"} else "Count rows per disease"
    assert ask(f"{what} as made.{ending}", coverage).files == [f"made.{ending}"]


def test_a_name_that_is_taken_is_not_used_again(coverage):
    ask("Count rows per disease", coverage)
    assert ask("Count rows per disease in mda_coverage.csv", coverage).files == ["rows_by_disease_2.csv"]


def test_a_table_named_in_the_sentence_is_meant(coverage):
    ask("Mean coverage per district, saved as by_district.csv", coverage)
    given = ask("List the rows of by_district.csv where coverage is below 70, and save them as lowest.csv", coverage)
    assert given.files == ["lowest.csv"]
    assert list(given.result.columns) == ["District ", "Coverage (%)"]


def test_of_two_tables_with_the_same_columns_that_of_this_question_is_meant_else_it_is_asked_back(coverage):
    shutil.copy(coverage / "mda_coverage.csv", coverage / "other.csv")
    assert not ask("Mean coverage per district", coverage, new=("other.csv",)).refused
    assert "Which table" in ask("Mean coverage per district", coverage).refused


def test_a_table_that_has_to_come_back_gets_its_name(coverage):
    wanted = "The notebook goes on with this table: save it in /mnt/data under exactly this name, and: by_disease.csv"
    assert ask("Count rows per disease", coverage, instructions=wanted).files == ["by_disease.csv"]


def test_without_a_table_the_way_to_one_is_told(tmp_path):
    assert "-i" in ask("Mean coverage per district", tmp_path).refused


def test_a_sheet_may_call_its_columns_by_numbers_and_dates(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"g": ["007", "8"], 2019: ["1,000", "3"], pd.Timestamp("2019-01-01"): ["2,000", "4"]})
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    assert list(ask("Describe the table", tmp_path).result["max"][1:]) == [1000, 2000]


def test_a_damaged_file_hides_no_other(coverage):
    (coverage / "torn.csv.gz").write_bytes(b"\x1f\x8b\x08" + b"\0" * 7)
    (coverage / "deep.json").write_text("[" * 99_999)
    assert len(ask("Count rows per disease", coverage).files) == 1


def test_no_value_and_no_name_of_a_column_becomes_code(tmp_path):
    hostile = "x'); import os; os.remove('t.csv') #"
    pd.DataFrame({hostile: [1, 2], "g": ['");os.abort()#', "b"]}).to_csv(tmp_path / "t.csv", index=False)
    given = ask(f'Mean "{hostile}" per g', tmp_path)
    assert (given.error, (tmp_path / "t.csv").exists()) == ("", True)
    assert list(given.result["g"]) == ['");os.abort()#', "b"]


def test_each_shown_form_names_real_columns():
    assert forms_for(TableProfile("empty.csv")) == ["Describe the table", "Missing values"]
