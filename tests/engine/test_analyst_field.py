"""Questions as an epidemiologist asks them of the five invented tables, with the answers pandas gives by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from analyst_kernel import Answered, Container, answer

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

TABLES = Path(__file__).parents[1] / "prompts" / "tables"


NEEDS = {"air_quality.parquet": "pyarrow", "district_profile.xlsx": "openpyxl"}


class Field:
    """The analyst with some of the tables at hand."""

    def __init__(self, kernel: BlockingKernelClient, folder: Path) -> None:
        self.kernel, self.folder = kernel, folder

    def __call__(self, tables: str, prompt: str) -> Answered:
        for name in tables.split():
            if name in NEEDS:
                pytest.importorskip(NEEDS[name])
            (self.folder / name).write_bytes((TABLES / name).read_bytes())
        return asyncio.run(answer(prompt, Container(self.kernel, self.folder)))

    def saved(self, got: Answered) -> pd.DataFrame:
        return pd.read_csv(self.folder / got.files[0])


@pytest.fixture
def ask(kernel: BlockingKernelClient, tmp_path: Path) -> Field:
    return Field(kernel, tmp_path)


def visits() -> pd.DataFrame:
    return pd.read_csv(TABLES / "clinic_visits.csv", dtype={"Postcode": str}, parse_dates=["Visit Date"])


def doses() -> pd.DataFrame:
    return pd.read_csv(TABLES / "vaccination.tsv", sep="\t", dtype={"district_code": str})


def cases() -> pd.DataFrame:
    table = pd.read_json(TABLES / "outbreak_cases.json", dtype={"district_code": str})
    return table.assign(onset=pd.to_datetime(table["onset_date"]), ended=table["outcome"].str.strip().str.lower())


def air() -> pd.DataFrame:
    pytest.importorskip("pyarrow")
    return pd.read_parquet(TABLES / "air_quality.parquet")


def profile() -> pd.DataFrame:
    pytest.importorskip("openpyxl")
    return pd.read_excel(TABLES / "district_profile.xlsx", dtype={"District Code": str})


def wasted_share() -> pd.DataFrame:
    ratio = 100 * doses()["doses wasted"] / doses()["doses_given"]
    return ratio.groupby(doses()["district"]).mean().sort_values(ascending=False).reset_index()


def recovered() -> pd.DataFrame:
    fits = (cases()["ended"] == "recovered").groupby(cases()["onset"].dt.strftime("%Y-%m"))
    return pd.DataFrame({"rows": fits.size(), "fit": fits.sum(), "share": 100 * fits.mean()}).reset_index()


def age_of_dead() -> pd.DataFrame:
    return pd.DataFrame({"age": [cases().loc[cases()["ended"] == "died", "age"].median()]})


def high_days() -> pd.DataFrame:
    high = air()[air()["PM2.5 (µg/m³)"] > 25]
    return high.groupby("station")["date"].nunique().reset_index()


def low_months() -> pd.DataFrame:
    low = doses()[doses()["Coverage (%)"] < 65]
    return low.groupby("district")["month"].nunique().reset_index()


def last_quarter() -> pd.DataFrame:
    late = doses()[doses()["month"] >= "2023-10"]
    return late.groupby("vaccine")["Coverage (%)"].mean().reset_index()


def poorest() -> pd.DataFrame:
    known = profile().dropna(subset="Median Income (EUR)")
    low = known[known["Median Income (EUR)"] <= known["Median Income (EUR)"].quantile(0.1)]
    return low.sort_values("Median Income (EUR)", kind="stable")[["District", "Median Income (EUR)"]]


def not_followed() -> pd.DataFrame:
    chosen = visits()[visits()["Follow-up"].str.lower() == "no"]
    return chosen.groupby("Clinic").size().reset_index()


def per_region() -> pd.DataFrame:
    both = cases().merge(profile(), left_on="district_code", right_on="District Code", how="left")
    return both[both["hospitalised"]].groupby("Région").size().reset_index()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (("vaccination.tsv", "mean of doses wasted / doses given * 100 per district, highest first",
          "not the ratio of the totals"), wasted_share),
        (("vaccination.tsv", "number of months with coverage under 65 per district",
          "4 of the 8 values of **district** have no such row and are not listed"), low_months),
        (("vaccination.tsv", "average coverage per vaccine for the last 3 months", ""), last_quarter),
        (("outbreak_cases.json", "percentage of cases that recovered per month of onset", "they count as not fitting"),
         recovered),
        (("outbreak_cases.json", "median age of cases who died", "2 rows have no **age** and are left out"),
         age_of_dead),
        (("air_quality.parquet", "number of days with PM2.5 over 25 per station", ""), high_days),
        (("district_profile.xlsx", "bottom 10 percent of districts by median income",
          "3 rows have no **Median Income (EUR)**"), poorest),
        (("clinic_visits.csv", "visits where follow-up is no by clinic", "“No” or “no”"), not_followed),
        (("outbreak_cases.json district_profile.xlsx", "hospitalised cases by region", "have no match"), per_region),
    ],
)  # fmt: skip
def test_what_is_answered_is_what_pandas_says(ask, question, expected):
    (tables, prompt, said), right = question, expected()
    got = ask(tables, prompt)

    assert got.refused == ""
    assert said in got.said
    found = ask.saved(got)
    if len(found.columns) > len(right.columns):  # whole rows
        found = found[list(right.columns)]
    right = right.reset_index(drop=True).set_axis(found.columns, axis=1)
    pd.testing.assert_frame_equal(found, right, check_dtype=False)


@pytest.mark.parametrize(
    ("tables", "prompt"),
    [
        ("vaccination.tsv", "percentage of doses wasted per district"),
        ("vaccination.tsv", "doses given + wasted per month, total"),
        ("vaccination.tsv", "total coverage per district"),
        ("vaccination.tsv", "change in mean coverage per district, one column per vaccine"),
        ("district_profile.xlsx", "population per doctor by region"),
        ("district_profile.xlsx", "mean smokers in the 5 largest districts"),
        ("clinic_visits.csv", "visits without a follow-up"),
        ("air_quality.parquet", "average daily ER asthma visits per station"),
        ("outbreak_cases.json district_profile.xlsx", "number of cases and population per region"),
        ("outbreak_cases.json district_profile.xlsx", "cases in districts with a hospital"),
    ],
)
def test_what_has_two_readings_is_refused(ask, tables, prompt):
    assert ask(tables, prompt).code == ""


def count(fits: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"rows": [int(fits.sum())]})


def of_months(first: str, last: str) -> pd.Series:
    return visits()["Visit Date"].dt.strftime("%Y-%m").between(first, last)


@pytest.mark.parametrize(
    ("prompt", "right"),
    [
        ("Number of visits in March and May 2023",
         lambda: count(visits()["Visit Date"].dt.strftime("%Y-%m").isin(["2023-03", "2023-05"]))),
        ("Number of visits in Q1 and Q3 2023",
         lambda: count(of_months("2023-01", "2023-03") | of_months("2023-07", "2023-09"))),
        ("Number of visits in January and March", lambda: count(visits()["Visit Date"].dt.month.isin([1, 3]))),
        ("Number of visits between March 2023 and October 2023", lambda: count(of_months("2023-03", "2023-10"))),
        ("Number of visits between 2023-03-01 and 2023-10-31", lambda: count(of_months("2023-03", "2023-10"))),
        ("Number of visits from June 2023 on", lambda: count(of_months("2023-06", "2100-01"))),
        ("Number of visits from June 2023 onwards", lambda: count(of_months("2023-06", "2100-01"))),
    ],
)  # fmt: skip
def test_and_joins_a_range_only_after_between_and_on_leaves_it_open(ask, prompt, right):
    got = ask("clinic_visits.csv", prompt)

    assert got.refused == ""
    pd.testing.assert_frame_equal(ask.saved(got), right())


@pytest.mark.parametrize(
    ("tables", "prompt"),
    [
        ("clinic_visits.csv", "Visits in June 2023 and July 2024"),
        ("clinic_visits.csv", "Visits in June 2023 and in July 2024"),
        ("clinic_visits.csv", "Number of visits in Jan 2023 and Jan 2024"),
        ("clinic_visits.csv", "Number of visits in Q1 2023 and Q1 2024"),
        ("clinic_visits.csv", "Number of visits on 5 January 2024 and 9 March 2024"),
        ("clinic_visits.csv", "Number of visits on 2024-01-05 and 2024-03-09"),
        ("clinic_visits.csv", "Number of visits during March 2023 and October 2023"),
        ("clinic_visits.csv", "Number of visits in 2023 and March 2024"),
        ("air_quality.parquet", "Compare mean PM2.5 in January 2024 and March 2024 by station"),
        ("air_quality.parquet", "Compare mean PM2.5 in January and March 2024 by station"),
        ("clinic_visits.csv", "Number of visits from March on"),
        ("clinic_visits.csv", "Number of visits in 2023 from March on"),
    ],
)
def test_two_times_are_no_range_and_a_month_without_a_year_begins_none(ask, tables, prompt):
    assert ask(tables, prompt).code == ""


@pytest.mark.parametrize(
    ("tables", "prompt"),
    [
        ("outbreak_cases.json", "What percent of cases died in each district?"),
        ("outbreak_cases.json", "Share of cases died per district_code"),
        ("outbreak_cases.json", "Percentage of cases recovered by gender"),
        ("outbreak_cases.json", "Percentage of cases not recovered by gender"),
        ("outbreak_cases.json", "Percentage of cases still ill by gender"),
        ("clinic_visits.csv", "What proportion of visits cost more than 100 in each clinic?"),
        ("clinic_visits.csv", "Percentage of visits by women per clinic, only asthma"),
        ("clinic_visits.csv", "Percentage of visits in 2023 with asthma by clinic"),
    ],
)
def test_a_share_of_rows_that_fit_is_never_their_spread_over_groups(ask, tables, prompt):
    assert ask(tables, prompt).code == ""


@pytest.mark.parametrize(
    ("prompt", "fits", "key"),
    [
        ("Percentage of visits in 2023 by clinic", lambda: visits()["Visit Date"].dt.year == 2023, "Clinic"),
        ("Percentage of visits at Harbour by diagnosis", lambda: visits()["Clinic"] == "Harbour", "Diagnosis"),
    ],
)
def test_a_share_of_the_rows_of_a_time_or_place_is_spread_over_groups(ask, prompt, fits, key):
    found = ask.saved(ask("clinic_visits.csv", prompt))

    rows = visits()[fits()].groupby(key).size()
    assert dict(zip(found[key], found["rows"], strict=True)) == rows.to_dict()
    assert list(found.iloc[:, 2]) == pytest.approx(100 * found["rows"] / rows.sum())


@pytest.mark.parametrize(
    ("tables", "prompt"),
    [
        ("clinic_visits.csv", "Mean cost for women and number of asthma visits per clinic"),
        ("clinic_visits.csv", "Mean age for men and total cost at Harbour by diagnosis"),
        ("clinic_visits.csv", "Number of visits for asthma and mean cost for women by clinic"),
        ("clinic_visits.csv", "In 2023, mean cost per clinic and visits per diagnosis"),
        ("clinic_visits.csv", "Mean cost by clinic ordered by number of visits"),
        ("clinic_visits.csv", "Mean cost by clinic ordered by count"),
        ("clinic_visits.csv", "Mean cost by clinic from highest to lowest number of visits"),
        ("clinic_visits.csv", "Visits per diagnosis in descending order of mean cost"),
        ("clinic_visits.csv", "Top 5 visits by cost and wait"),
        ("clinic_visits.csv", "Top 5 visits by wait, show clinic and cost"),
        ("clinic_visits.csv", "Visits with cost over 1.000"),
        ("air_quality.parquet", "How many days had more than 10 ER asthma visits?"),
    ],
)
def test_what_is_said_of_one_figure_is_not_taken_for_another(ask, tables, prompt):
    assert ask(tables, prompt).code == ""
