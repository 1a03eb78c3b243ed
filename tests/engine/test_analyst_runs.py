"""The analyst with a real kernel: what is saved and drawn equals what pandas makes of the file independently."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from analyst_kernel import Answered, Container, answer, put

from ipython_assistant.engine.models import Ran, Said

if TYPE_CHECKING:
    from collections.abc import Iterator


SAMPLE = Path(__file__).parents[2] / "notebooks" / "data" / "mda_coverage.csv"

HOOK = """
import matplotlib.pyplot as plt
_figures, _close = [], plt.close
plt.close = _figures.append  # the figures are looked at before they go
"""
DRAWN = """
import json
def points(axes):
    lines = [
        [line.get_label(), [str(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()]]
        for line in axes.lines
    ]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    bars = [[float(bar.get_height()) for bar in group] for group in axes.containers]
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()] if legend else []
    return {"lines": lines, "bars": bars, "ticks": ticks, "legend": names, "ylabel": axes.get_ylabel()}
print(json.dumps([points(figure.axes[0]) for figure in _figures]))
"""


@pytest.fixture
def container(kernel, tmp_path) -> Iterator[Container]:
    container = Container(kernel, tmp_path, HOOK, DRAWN)
    yield container
    asyncio.run(container.probe("plt.close = _close; plt.close('all')"))


@pytest.fixture
def ask(container):
    """Ask in one conversation about the files that are in the container."""
    history: list[Said] = []

    def asking(prompt: str) -> Answered:
        found = asyncio.run(answer(prompt, container, tuple(history)))
        history.extend([Said("user", prompt), Said("assistant", found.said or found.refused)])
        return found

    return asking


def numbers(cells: list) -> list[float]:
    return [float(cell) for cell in cells]


# ---- the first cell


def test_the_first_cell_draws_and_saves_what_pandas_computes(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    got = ask("Plot coverage by year for Arvessa North and save the mean per district as by_district.csv")

    table = pd.read_csv(SAMPLE)
    north = table[table["District "] == "Arvessa North"].dropna(subset=["Coverage (%)"]).sort_values("Year")
    (figure,) = container.drawn()
    ((_, years, values),) = figure["lines"]
    assert got.files == ("by_district.csv", "coverage_by_year_arvessa_north.png")
    assert [int(year) for year in years] == north["Year"].tolist()
    assert values == north["Coverage (%)"].tolist()
    expected = table.groupby("District ")["Coverage (%)"].mean().reset_index()
    pd.testing.assert_frame_equal(pd.read_csv(container.folder / "by_district.csv"), expected)
    assert (container.folder / "coverage_by_year_arvessa_north.png").read_bytes().startswith(b"\x89PNG")


def test_the_answer_says_that_no_model_was_used_the_plan_the_files_and_what_was_left_out(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    got = ask("Plot coverage by year for Arvessa North and save the mean per district as by_district.csv")

    before, after = got.said.split("by_district.csv`.\n", 1)
    assert before.startswith("No model was used. I read the request, on **mda_coverage.csv**, as:")
    assert "1. line chart of **Coverage (%)** by **Year**, rows where **District** is “Arvessa North”" in before
    assert "2. mean of **Coverage (%)** per **District**, all rows" in before
    assert "[coverage_by_year_arvessa_north.png](sandbox:/mnt/data/coverage_by_year_arvessa_north.png)" in after
    assert "[by_district.csv](sandbox:/mnt/data/by_district.csv): 12 rows × 2 columns." in after
    assert "9 of 111 rows fit the conditions. 1 row has no **Coverage (%)** and is left out" in after
    assert "9 rows have no **Coverage (%)** and are left out." in after
    assert "| District | Coverage (%) |" in after
    assert re.findall("Say+|Run|Refuse", "".join(dict.fromkeys(got.steps))) == ["Say", "Run"]


def test_the_same_question_gets_the_same_words_and_code(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    first = ask("mean coverage per district since 2018 as means.csv")
    (container.folder / "means.csv").unlink()
    second = ask("mean coverage per district since 2018 as means.csv")

    assert (second.said, second.code, second.logs) == (first.said, first.code, first.logs)


# ---- it knows nothing of the sample table

WELLS = """site,sampled_on,Nitrate mg/L,Depth m,Aquifer
"Well 7, east",2021-03-02,11.5,40,shallow
Well 9,2021-03-02,3.25,120,deep
"Well 7, east",2021-06-01,,40,shallow
Well 9,2021-06-01,2.75,120,deep
"Well 7, east",2022-03-05,13.0,40,shallow
Well 12,2022-03-05,8.0,60,shallow
"""


@pytest.mark.parametrize("change", ["renamed", "shuffled", "one value changed", "fewer rows"])
def test_a_changed_sample_gives_changed_figures(container, ask, change):
    table = pd.read_csv(SAMPLE, dtype={"IU code": str})
    if change == "one value changed":
        table.loc[(table["District "] == "Hestivo") & (table["Year"] == 2021), "Coverage (%)"] = 12.5
    if change == "shuffled":
        table = table.sample(frac=1, random_state=7)
    if change == "fewer rows":
        table = table[table["Year"] > 2019]
    names = dict(
        zip(table.columns, ["area", "ref", "illness", "MDA_year", "n_asked", "n_given", "uptake %"], strict=True)
    )
    table = table.rename(columns=names if change == "renamed" else {})
    put(container, "changed.csv", table)
    value, area, year = (
        ("uptake %", "area", "MDA_year") if change == "renamed" else ("Coverage (%)", "District ", "Year")
    )
    words = ("uptake", "mda year", "area") if change == "renamed" else ("coverage", "year", "district")

    ask("plot {0} by {1} for Hestivo and save the mean {0} per {2} as m.csv".format(*words))

    chosen = table[table[area] == "Hestivo"].dropna(subset=[value]).sort_values(year)
    ((_, years, values),) = container.drawn()[0]["lines"]
    assert (numbers(years), values) == (chosen[year].tolist(), chosen[value].tolist())
    expected = table.groupby(area)[value].mean().reset_index()
    pd.testing.assert_frame_equal(pd.read_csv(container.folder / "m.csv"), expected)


def test_another_table_altogether_is_drawn_over_its_dates(container, ask):
    put(container, "wells.csv", WELLS)
    got = ask("plot nitrate over time, one line per site")

    drawn = {name: dict(zip(days, values, strict=True)) for name, days, values in container.drawn()[0]["lines"]}
    assert {name: list(points.values()) for name, points in drawn.items()} == {
        "Well 12": [8.0], "Well 7, east": [11.5, 13.0], "Well 9": [3.25, 2.75],
    }  # fmt: skip
    assert [day[:10] for day in drawn["Well 9"]] == ["2021-03-02", "2021-06-01"]
    assert "5 points, lowest 2.75 (2021-06-01, Well 9), highest 13 (2022-03-05, Well 7, east)." in got.said
    assert "1 row has no **Nitrate mg/L** and is left out" in got.said


def test_another_table_altogether_is_grouped_and_filtered(container, ask):
    put(container, "wells.csv", WELLS)
    ask("mean and max nitrate per aquifer for well 7, east and well 9 as n.csv. Count rows by site in 2021 as c.csv")

    table = pd.read_csv(container.folder / "wells.csv")
    some = table[table["site"].isin(["Well 7, east", "Well 9"])].groupby("Aquifer")["Nitrate mg/L"]
    saved = pd.read_csv(container.folder / "n.csv")
    assert saved.columns.tolist() == ["Aquifer", "Nitrate mg/L mean", "Nitrate mg/L max"]
    assert saved.to_numpy().tolist() == [[key, cells.mean(), cells.max()] for key, cells in some]
    counted = pd.read_csv(container.folder / "c.csv")
    assert counted.to_numpy().tolist() == [["Well 7, east", 2], ["Well 9", 2]]


# ---- charts


def test_bars_stand_over_their_names_and_groups_have_a_legend(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    ask("bar chart of total pop treated by disease")
    ask("bar chart of total pop treated by year, one bar per disease, since 2022")

    table = pd.read_csv(SAMPLE)
    single, grouped = container.drawn()
    totals = table.groupby("Disease")["Pop. treated"].sum()
    assert single["ticks"] == totals.index.tolist()
    assert single["bars"] == [totals.tolist()]
    assert single["ylabel"] == "Total of Pop. treated"
    by_year = table[table["Year"] >= 2022].groupby(["Year", "Disease"])["Pop. treated"].sum().unstack()
    assert grouped["ticks"] == ["2022", "2023", "2024"]
    assert grouped["legend"] == by_year.columns.tolist()
    assert grouped["bars"] == [by_year[name].tolist() for name in by_year]


def test_several_rows_per_point_of_a_share_are_their_mean_and_this_is_said(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    got = ask("plot coverage by year for LF")

    table = pd.read_csv(SAMPLE)
    means = table[table["Disease"] == "LF"].groupby("Year")["Coverage (%)"].mean()
    ((_, years, values),) = container.drawn()[0]["lines"]
    assert (numbers(years), values) == (means.index.tolist(), means.tolist())
    assert "mean of **Coverage (%)** by **Year**" in got.said
    assert "Several rows share one **Year**: I take the mean of **Coverage (%)**, each row counting once." in got.said


def test_amounts_are_added_up_and_this_is_said_but_other_numbers_are_not_guessed_at(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    put(container, "ages.csv", "ward,age\na,30\na,50\nb,70\n")
    got = ask("plot pop treated by year")
    ages = ask("bar chart of age by ward")

    ((_, years, values),) = container.drawn()[0]["lines"]
    totals = pd.read_csv(SAMPLE).groupby("Year")["Pop. treated"].sum()
    assert (numbers(years), values) == (totals.index.tolist(), totals.tolist())
    assert "Several rows share one **Year**: I take the total of **Pop. treated**." in got.said
    assert ages.code == ""
    assert "write `mean age` or `total age`" in ages.refused


def test_one_line_per_district_is_drawn_from_its_own_years(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    ask("plot pop treated by year for STH, one line per district")

    table = pd.read_csv(SAMPLE)
    rows = table[table["Disease"] == "STH"].dropna(subset=["Pop. treated"])
    drawn = {name: (numbers(years), values) for name, years, values in container.drawn()[0]["lines"]}
    assert drawn == {
        name: (group["Year"].tolist(), group["Pop. treated"].tolist()) for name, group in rows.groupby("District ")
    }


def test_the_points_of_a_chart_can_be_saved_too(container, ask):
    put(container, "wells.csv", WELLS)
    ask("plot mean nitrate by aquifer and save it as csv")

    saved = pd.read_csv(container.folder / "mean_nitrate_mg_l_by_aquifer.csv")
    assert saved.to_numpy().tolist() == [["deep", 3.0], ["shallow", pytest.approx(32.5 / 3)]]
    assert (container.folder / "mean_nitrate_mg_l_by_aquifer.png").exists()


# ---- rows, tops, descriptions


def test_saved_rows_are_written_as_they_stand_in_the_file(container, ask):
    put(container, "codes.csv", 'code,n,note\n007,"1,200",n/a\n012,90,\n044,5.50,"a, ""b"""\n045,n/a,x\n')
    got = ask("save rows where n over 10 as some.csv")

    assert (container.folder / "some.csv").read_text() == 'code,n,note\n007,"1,200",n/a\n012,90,\n'
    assert "2 of 4 rows fit the conditions. 1 row of the table has no **n** to compare." in got.said


def test_a_top_keeps_all_that_share_the_last_place(container, ask):
    put(container, "t.csv", "name,score\na,5\nb,9\nc,5\nd,1\ne,7\n")
    got = ask("top 3 rows by score as best.csv")

    assert pd.read_csv(container.folder / "best.csv").to_numpy().tolist() == [["b", 9], ["e", 7], ["a", 5], ["c", 5]]
    assert "All that share the last place are kept." in got.said


def test_a_top_of_groups_is_taken_of_their_means(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    ask("bottom 3 districts by mean coverage as worst.csv")

    expected = pd.read_csv(SAMPLE).groupby("District ")["Coverage (%)"].mean().nsmallest(3).reset_index()
    pd.testing.assert_frame_equal(pd.read_csv(container.folder / "worst.csv"), expected)


def test_a_description_counts_what_is_there(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    ask("describe the table and save it as d.csv")

    table = pd.read_csv(SAMPLE, dtype={"IU code": str})
    saved = pd.read_csv(container.folder / "d.csv", index_col="column")
    assert saved.index.tolist() == table.columns.tolist()
    assert saved["filled"].tolist() == table.count().tolist()
    assert saved["distinct"].tolist() == table.nunique().tolist()
    assert saved.loc["Coverage (%)", ["min", "mean", "median", "max"]].tolist() == pytest.approx(
        table["Coverage (%)"].agg(["min", "mean", "median", "max"]).tolist()
    )
    assert saved["kind"].to_dict()["IU code"] == "text"


# ---- numbers as real files have them


@pytest.mark.parametrize(
    ("content", "expected", "note"),
    [
        ("g,v\na,50%\na,70%\nb,87.5%\n", [60.0, 87.5], "In **v**, “50%” is read as 50."),
        ('g,v\na,"1,000"\na,"3,000"\nb,12\n', [2000.0, 12.0], "In **v**, “1,000” is read as 1000."),
        ("g;v\na;1,5\na;2,5\nb;10\n", [2.0, 10.0], "In **v**, “1,5” is read as 1.5."),
        ("g\tv\na\t1 200\nb\t 3 \n", [1200.0, 3.0], "In **v**, “1 200” is read as 1200."),
        (
            "g,v\na,4\na,pending\na,6\nb,3\n",
            [5.0, 3.0],
            "In **v**, what is no number counts as missing: “pending” (1).",
        ),
        ("\ufeffg,v\na,4\nb,5\n", [4.0, 5.0], ""),
        ("g,v\n a ,4\na,6\nb,5\n", [5.0, 5.0], ""),
    ],
)
def test_numbers_are_read_as_people_write_them_and_this_is_said(container, ask, content, expected, note):
    put(container, "t.tsv" if "\t" in content else "t.csv", content)
    got = ask("mean v per g as m.csv")

    saved = pd.read_csv(container.folder / "m.csv")
    assert saved["g"].tolist() == ["a", "b"]
    assert saved["v"].tolist() == expected
    assert note in got.said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("g;v\na;1,500\nb;2,500\n", "its commas could stand for thousands or for decimals"),
        ("g,v\na,50%\nb,0.7\n", "some of its cells are written with % and some without"),
    ],
)
def test_numbers_that_could_be_two_things_are_not_calculated_with(container, ask, content, reason):
    put(container, "t.csv", content)

    assert reason in ask("mean v per g").refused


def test_dates_that_could_be_two_days_are_not_drawn_over(container, ask):
    put(container, "t.csv", "when,v\n01/02/2020,1\n03/04/2020,2\n")

    assert "day/month or month/day" in ask("mean when").refused
    put(container, "t.csv", "when,v\n01/02/2020,1\n23/04/2020,2\n")
    ask("plot v by when")
    assert [day[:10] for day in container.drawn()[0]["lines"][0][1]] == ["2020-02-01", "2020-04-23"]


def test_codes_keep_their_zeros_and_years_stay_whole_beside_gaps(container, ask):
    put(container, "t.csv", "code,year,v\n007,2020,1\n007,,3\n012,2021,5\n012,2021,n/a\n")
    ask("mean v per code as by_code.csv. mean v per year as by_year.csv. total v per code for all rows as sums.csv")

    assert (container.folder / "by_code.csv").read_text() == "code,v\n007,2.0\n012,5.0\n"
    assert (container.folder / "by_year.csv").read_text() == "year,v\n2020,1.0\n2021,5.0\n"
    assert (container.folder / "sums.csv").read_text() == "code,v\n007,4\n012,5\n"


def test_a_group_without_any_value_stays_in_the_table_and_is_not_zero(container, ask):
    put(container, "t.csv", "g,v\na,1\nb,\na,2\n")
    ask("total v per g as s.csv")

    assert (container.folder / "s.csv").read_text() == "g,v\na,3\nb,\n"


def test_a_table_in_an_old_encoding_is_read(container, ask):
    put(container, "t.csv", "région,v\nChâteau,1\nPré,3\n".encode("cp1252"))
    ask("mean v per region as m.csv")

    assert pd.read_csv(container.folder / "m.csv").to_numpy().tolist() == [["Château", 1.0], ["Pré", 3.0]]


# ---- what cannot be done


def test_without_a_table_the_answer_says_how_to_add_one(container, ask):
    assert "add one with `-i file.csv`" in ask("plot coverage by year").refused
    put(container, "notes.docx", b"PK")
    assert "I read CSV, TSV, Excel, JSON and Parquet, not **notes.docx**." in ask("plot coverage by year").refused
    put(container, "book.xlsx", b"PK")
    assert "**book.xlsx** could not be read: " in ask("plot coverage by year").refused


def test_a_table_that_cannot_be_read_is_named_with_the_reason(container, ask):
    put(container, "broken.csv", "a,b\n1,2,3\n4,5,6\n")

    assert "**broken.csv** could not be read: its rows have more cells than its header." in ask("mean a").refused


def test_a_condition_that_no_row_meets_is_a_refusal(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    got = ask("mean coverage per district in 2031")

    assert got.code == ""
    assert "No row of **mda_coverage.csv** fits: **Year** is 2031." in got.refused


def test_an_error_in_the_run_is_said_and_success_is_not_claimed(container, ask):
    path = put(container, "t.csv", "g,v\na,1\nb,2\n")
    container.before_run = path.unlink
    got = ask("mean v per g as m.csv")

    assert "The code stopped with an error: `FileNotFoundError: " in got.said
    assert "Not written: `m.csv`." in got.said
    assert "sandbox:" not in got.said


def test_a_file_that_is_gone_when_it_is_read_back_is_said(container, ask):
    put(container, "t.csv", "g,v\na,1\nb,2\n")
    run = container.run

    def run_and_lose(code: str) -> Ran:
        back = run(code)
        (container.folder / "m.csv").unlink()
        return back

    container.run = run_and_lose

    assert "written, but not read back: `FileNotFoundError: " in ask("mean v per g as m.csv").said


def test_a_table_that_changes_while_it_is_read_is_a_refusal(container, ask):
    path = put(container, "t.csv", "g,v\na,1\nb,2\n")
    probe = container.probe

    async def probe_and_lose(code: str) -> str:
        printed = await probe(code)
        path.unlink(missing_ok=True)
        return printed

    container.probe = probe_and_lose

    assert "The rows could not be read: `FileNotFoundError: " in ask("mean v per g as m.csv").refused


def test_every_example_of_a_refusal_runs(container, ask):
    put(container, "mda_coverage.csv", SAMPLE.read_bytes())
    prompts = re.findall("^- `(.*)`$", ask("forecast the weather").refused, re.MULTILINE)

    assert len(prompts) == 3
    for prompt in prompts:
        got = ask(prompt)
        assert (got.refused, len(got.files)) == ("", 1), prompt


# ---- hostile tables

QUOTES = "'); import os; os.mkdir('pwned') #"
HOSTILE = [
    QUOTES,
    'a"""b',
    "back\\slash\\",
    "{braces} {0}",
    "two\nlines",
    "](javascript:alert(1))",
    "<b>|`x`",
    "$a$ $\\frac$",
    "_under",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_values_stay_names_and_values(container, ask, name):
    # A quotation mark that is not in the name, so that the prompt can quote it; a line break cannot be in a quotation.
    key = "kind" if "\n" in name else name
    mark = next(mark for mark in '"`' if mark not in name)
    values = [name, name, "other"]
    put(container, "t.csv", pd.DataFrame({key: values, f"v {key}": [1, 2, 6], "year": [2020, 2021, 2020]}))
    spoken = f"{mark}{key}{mark}"
    got = ask(
        f"bar chart of mean {mark}v {key}{mark} by {spoken} as a.png. mean {mark}v {key}{mark} per {spoken} as m.csv"
    )

    assert got.refused == ""
    assert pd.read_csv(container.folder / "m.csv").to_numpy().tolist() == sorted([[name.strip(), 1.5], ["other", 6.0]])
    assert sorted(container.drawn()[0]["bars"][0]) == [1.5, 6.0]
    if "\n" not in name:
        rows = ask(f"save rows where {spoken} is {mark}{name}{mark} as r.csv")
        assert pd.read_csv(container.folder / "r.csv")["year"].tolist() == [2020, 2021], rows.refused
    assert not (container.folder / "pwned").exists()
    assert "](javascript" not in got.said.replace("\\](javascript", "")
