"""Questions in the free wording of the field: what asks for nothing is passed over, what may mean something is not."""

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
VISITS, DOSES, CASES = "clinic_visits.csv", "vaccination.tsv", "outbreak_cases.json"
PROFILE, AIR = "district_profile.xlsx", "air_quality.parquet"


class Field:
    """The analyst with one of the tables at hand."""

    def __init__(self, kernel: BlockingKernelClient, folder: Path) -> None:
        self.kernel, self.folder = kernel, folder

    def __call__(self, table: str, prompt: str) -> Answered:
        pytest.importorskip({PROFILE: "openpyxl", AIR: "pyarrow"}.get(table, "pandas"))
        (self.folder / table).write_bytes((TABLES / table).read_bytes())
        return asyncio.run(answer(prompt, Container(self.kernel, self.folder)))

    def saved(self, got: Answered) -> pd.DataFrame:
        return pd.read_csv(self.folder / got.files[0])

    def same(self, got: Answered, right: pd.DataFrame | pd.Series) -> None:
        """What was saved is what pandas gives, whatever its columns are called."""
        assert got.refused == ""
        found, right = self.saved(got), right.reset_index() if isinstance(right, pd.Series) else right
        right = right.reset_index(drop=True).set_axis(found.columns, axis=1)
        pd.testing.assert_frame_equal(found, right, check_dtype=False)


@pytest.fixture
def ask(kernel: BlockingKernelClient, tmp_path: Path) -> Field:
    return Field(kernel, tmp_path)


def visits() -> pd.DataFrame:
    return pd.read_csv(TABLES / VISITS, dtype={"Postcode": str}, parse_dates=["Visit Date"])


def doses() -> pd.DataFrame:
    return pd.read_csv(TABLES / DOSES, sep="\t", dtype={"district_code": str})


def cases() -> pd.DataFrame:
    return pd.read_json(TABLES / CASES, dtype={"district_code": str})


def profile() -> pd.DataFrame:
    pytest.importorskip("openpyxl")
    return pd.read_excel(TABLES / PROFILE, dtype={"District Code": str})


# ---- courtesy, purposes, promises


@pytest.mark.parametrize(
    "prompt",
    [
        "Dear colleague, could you give me the visits per clinic, please? Many thanks in advance",
        "The minister wants the number of visits per clinic. I need to tell the clinics.",
        "For the annual report: no. of visits per clinic",
    ],
)
def test_what_surrounds_a_request_says_nothing(ask, prompt):
    ask.same(ask(VISITS, prompt), visits().groupby("Clinic").size())


def test_a_sentence_about_the_outcome_is_checked_against_it(ask):
    ask.same(ask(VISITS, "How many visits are there? One number will do, thank you."), pd.DataFrame({"rows": [225]}))

    assert "is not what I understood" in ask(VISITS, "How many visits per clinic? One number.").refused
    assert "is not what I understood" in ask(VISITS, "visits where follow-up is yes. A blank is not a no.").refused


@pytest.mark.parametrize(
    "prompt",
    [
        "Dear Harbour, mean cost per clinic",
        "Harbour wants the mean cost per clinic",
        "mean cost per clinic for the children",
        "mean cost per clinic. I need to adjust for age",
        "mean cost per clinic. I need to forecast the next month",
    ],
)
def test_what_looks_like_courtesy_and_may_mean_something_is_refused(ask, prompt):
    assert ask(VISITS, prompt).code == ""


# ---- rates


def rate(table: pd.DataFrame, above: str, below: list[str], key: str, times: float = 1) -> pd.Series:
    known = table.dropna(subset=[above, *below]).groupby(key)
    return times * known[above].sum() / known[below].sum().sum(axis="columns")


@pytest.mark.parametrize(
    ("table", "prompt", "expected"),
    [
        (PROFILE, "Doctors per 100 000 inhabitants by region",
         lambda: rate(profile(), "Doctors", ["Population"], "Région", 100_000)),
        (DOSES, "wastage rate by vaccine: wasted / (given + wasted), over the whole file",
         lambda: rate(doses(), "doses wasted", ["doses_given", "doses wasted"], "vaccine")),
        (DOSES, "doses wasted divided by doses given per district, excluding HPV, highest first",
         lambda: rate(doses()[doses()["vaccine"] != "HPV"], "doses wasted", ["doses_given"], "district")
         .sort_values(ascending=False)),
        (DOSES, "rate of doses wasted per thousand doses given, overall",
         lambda: pd.DataFrame({"rate": [1000 * doses()["doses wasted"].sum() /
                                        doses().dropna(subset="doses wasted")["doses_given"].sum()]})),
        (DOSES, "top 3 districts by doses wasted / doses given",
         lambda: rate(doses(), "doses wasted", ["doses_given"], "district").nlargest(3)),
    ],
)  # fmt: skip
def test_a_rate_of_groups_is_that_of_their_totals(ask, table, prompt, expected):
    got = ask(table, prompt)

    ask.same(got, expected())
    assert "total of" in got.said
    assert "is not the mean of the rows' rates" in got.said
    assert table == PROFILE or "no **doses wasted** and" in got.said


def test_a_rate_is_drawn_as_a_line_for_each_of_a_kind(ask):
    ask(DOSES, "line chart of doses wasted per 100 doses given by month, one line per vaccine, save the points")

    saved = pd.read_csv(next(path for path in ask.folder.iterdir() if path.suffix == ".csv"))
    known = doses().dropna(subset="doses wasted").groupby(["month", "vaccine"])[["doses wasted", "doses_given"]].sum()
    right = (100 * known["doses wasted"] / known["doses_given"]).unstack().rename(index=lambda month: f"{month}-01")
    pd.testing.assert_frame_equal(saved.set_index("month"), right, check_names=False, check_dtype=False)


@pytest.mark.parametrize(
    ("table", "prompt"),
    [
        (PROFILE, "median income / population by region"),
        (DOSES, "coverage / doses given by district"),
        (DOSES, "dropout rate and doses wasted / doses given by district"),
        (DOSES, "doses wasted / doses given, weighted"),
        (DOSES, "mean coverage and doses wasted per 100 doses given by district"),
        (AIR, "ER asthma visits per 1000 population per month"),
    ],
)
def test_what_is_no_rate_of_totals_is_refused(ask, table, prompt):
    assert ask(table, prompt).code == ""


# ---- counts, shares, what is missing


def asthma_2023() -> pd.DataFrame:
    year = visits()[visits()["Visit Date"].dt.year == 2023]
    fits = year["Diagnosis"].eq("Asthma").groupby(year["Clinic"])
    return pd.DataFrame({"rows": fits.size(), "fit": fits.sum(), "share": 100 * fits.mean()}).reset_index()


def from_hollins() -> pd.DataFrame:
    mmr = doses()[doses()["vaccine"] == "MMR"]
    all_given, given = mmr["doses_given"].sum(), mmr.loc[mmr["district"] == "Hollins", "doses_given"].sum()
    return pd.DataFrame({"all": [all_given], "part": [given], "share": [100 * given / all_given]})


def unknown_per_sex() -> pd.DataFrame:
    gone = visits()[["Age (years)", "Wait (min)"]].isna()
    return gone.groupby(visits()["Sex"]).sum().reset_index()


@pytest.mark.parametrize(
    ("table", "prompt", "expected"),
    [
        (VISITS, "In 2023, what percentage of the visits at each clinic were for asthma?", asthma_2023),
        (DOSES, "what percent of all the MMR doses given came from Hollins", from_hollins),
        (VISITS, "how many age and how many wait values are missing, per sex", unknown_per_sex),
        (VISITS, "number of visits with a wait of 45 minutes or longer per clinic",
         lambda: visits()[visits()["Wait (min)"] >= 45].groupby("Clinic").size()),
        (VISITS, "how many visits by patients of 65 or older per clinic",
         lambda: visits()[visits()["Age (years)"] >= 65].groupby("Clinic").size()),
    ],
)  # fmt: skip
def test_counts_and_shares_are_those_of_pandas(ask, table, prompt, expected):
    ask.same(ask(table, prompt), expected())


def test_rows_without_a_group_are_said_to_be_left_out(ask):
    assert "6 rows have no **Sex** and are left out" in ask(VISITS, "how many wait values are missing per sex").said


def test_two_counts_in_one_sentence_are_two_numbers(ask):
    got = ask(VISITS, "How many visits were by minors (under 18), and how many by people of 80 or older? Two numbers.")

    counts = [int(pd.read_csv(ask.folder / name).iloc[0, 0]) for name in got.files]
    assert sorted(counts) == sorted(
        [int((visits()["Age (years)"] < 18).sum()), int((visits()["Age (years)"] >= 80).sum())]
    )


@pytest.mark.parametrize(
    ("table", "prompt"),
    [
        (VISITS, "visits with a wait of 45 hours or longer"),
        (VISITS, "visits 45 or longer"),
        (VISITS, "how many visits were by children"),
        (VISITS, "visits of 80 or older or younger"),
        (VISITS, "how many men"),
        (DOSES, "what percent of coverage came from Hollins"),
        (DOSES, "percent of all doses given wasted"),
        (DOSES, "what percent of all doses given came from the north"),
    ],
)
def test_a_count_or_share_of_what_is_not_certain_is_refused(ask, table, prompt):
    assert ask(table, prompt).code == ""
