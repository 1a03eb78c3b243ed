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
        "Smokers need the mean cost per clinic",
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


def died_of_women() -> pd.DataFrame:
    women = cases()[cases()["gender"] == "female"]
    died = women["outcome"].str.strip().str.lower() == "died"
    return pd.DataFrame({"rows": [len(died)], "fit": [died.sum()], "share": [100 * died.mean()]})


def unknown_per_sex() -> pd.DataFrame:
    gone = visits()[["Age (years)", "Wait (min)"]].isna()
    return gone.groupby(visits()["Sex"]).sum().reset_index()


@pytest.mark.parametrize(
    ("table", "prompt", "expected"),
    [
        (VISITS, "In 2023, what percentage of the visits at each clinic were for asthma?", asthma_2023),
        (DOSES, "what percent of all the MMR doses given came from Hollins", from_hollins),
        (CASES, "what percent of women died", died_of_women),
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
        (VISITS, "what percent of women had asthma"),
        (CASES, "what percent of women and men died"),
        (DOSES, "what percent of coverage came from Hollins"),
        (DOSES, "percent of all doses given wasted"),
        (DOSES, "what percent of all doses given came from the north"),
    ],
)
def test_a_count_or_share_of_what_is_not_certain_is_refused(ask, table, prompt):
    assert ask(table, prompt).code == ""


# ---- leaving out, percentiles, what stands twice, dates, slips of the pen


def quartiles() -> pd.DataFrame:
    wait = visits().groupby("Clinic")["Wait (min)"]
    return pd.DataFrame({share: wait.quantile(share) for share in (0.25, 0.5, 0.75)}).reset_index()


def spread_of_age() -> pd.DataFrame:
    age = visits().groupby("Sex")["Age (years)"]
    low, high = age.quantile(0.25), age.quantile(0.75)
    return pd.DataFrame({"median": age.median(), "low": low, "high": high, "range": high - low}).reset_index()


def mean_cost_of_known() -> pd.Series:
    return visits().dropna(subset=["Age (years)", "Wait (min)"]).groupby("Sex")["Cost (EUR)"].mean()


def onset_in_winter() -> pd.DataFrame:
    other = ~cases()["district_code"].isin(["003", "005"])
    return pd.DataFrame({"rows": [int((cases()["onset_date"].between("2023-12-15", "2024-01-15") & other).sum())]})


@pytest.mark.parametrize(
    ("table", "prompt", "expected"),
    [
        (VISITS, "total cost per diagnosis, leave out Harbour",
         visits()[visits()["Clinic"] != "Harbour"].groupby("Diagnosis")["Cost (EUR)"].sum),
        (VISITS, "mean cost per sex, leave out whoever has no age or no wait", mean_cost_of_known),
        (VISITS, "mean wait per clinic, excluding missing", visits().groupby("Clinic")["Wait (min)"].mean),
        (VISITS, "quartiles of the wait (p25, p50, p75) for each clinic", quartiles),
        (VISITS, "median and IQR of age by sex", spread_of_age),
        (VISITS, "90th percentile of cost per clinic", lambda: visits().groupby("Clinic")["Cost (EUR)"].quantile(0.9)),
        (VISITS, "number of visits: clinic x sex",
         lambda: visits().groupby(["Clinic", "Sex"]).size().unstack(fill_value=0).reset_index()),
        (VISITS, "visits per clinic from January to May 2023",
         lambda: visits()[visits()["Visit Date"].between("2023-01-01", "2023-05-31")].groupby("Clinic").size()),
        (CASES, "no. of cases with onset 15 Dec 2023 - 15 Jan 2024 (both days included), codes other than 003 and 005",
         onset_in_winter),
        (VISITS, "mean age of femle patients only, by clinic",
         visits()[visits()["Sex"] == "F"].groupby("Clinic")["Age (years)"].mean),
    ],
)  # fmt: skip
def test_free_wording_is_answered_with_what_pandas_gives(ask, table, prompt, expected):
    ask.same(ask(table, prompt), expected())


def test_what_notes_may_not_contain_comes_after_what_they_have_to(ask):
    got = ask(CASES, "cases whose notes mention contact, but not household contact")

    notes = cases()["notes"].fillna("").str.lower()
    right = cases()[notes.str.contains("contact") & ~notes.str.contains("household")]
    assert ask.saved(got)["case_id"].tolist() == right["case_id"].tolist()


def test_what_is_there_more_than_once_is_listed_each_time(ask):
    got = ask(VISITS, "which visit ids are in there more than once? i need to tell the clinics")

    ids = visits()["Visit ID"]
    assert sorted(ask.saved(got)["Visit ID"]) == sorted(ids[ids.duplicated(keep=False)])


def test_rows_are_put_in_the_order_of_their_only_date(ask):
    got = ask(VISITS, "visits where diagnosis contains 'diabet', oldest visit first")

    right = visits()[visits()["Diagnosis"].str.contains("diabet")].sort_values("Visit Date", kind="stable")
    assert ask.saved(got)["Visit ID"].tolist() == right["Visit ID"].tolist()


@pytest.mark.parametrize(
    ("table", "prompt"),
    [
        (VISITS, "mean cost per sex, leave out cost"),
        (VISITS, "visits per clinic, excluding missing"),
        (VISITS, "mean cost per clinic, leave out asthma and Harbour"),
        (VISITS, "mean cost per clinic, leave out weekends"),
        (VISITS, "mean cost per sex, leave out whoever has no age and no wait"),
        (VISITS, "42nd percentile of cost per clinic"),
        (VISITS, "quartiles per clinic"),
        (VISITS, "wait x cost per clinic"),
        (VISITS, "which ages are there more than once"),
        (VISITS, "which clinics were entered twice"),
        (VISITS, "patients with asthma, oldest patient first"),
    ],
)
def test_what_looks_like_it_and_is_not_certain_is_refused(ask, table, prompt):
    assert ask(table, prompt).code == ""


# ---- one beside another, several times, shorthand


def january_to_march() -> pd.DataFrame:
    part = visits()[visits()["Visit Date"].dt.month <= 3]
    counts = pd.crosstab(part["Clinic"], part["Visit Date"].dt.year)[[2023, 2024]]
    return counts.assign(change=100 * (counts[2024] / counts[2023] - 1)).reset_index()


def mean_income() -> pd.Series:
    return profile().groupby("Has Hospital")["Median Income (EUR)"].mean()


def often_high() -> pd.Series:
    high = doses()[(doses()["vaccine"] == "MMR") & (doses()["Coverage (%)"] >= 90)]
    months = high.groupby("district")["month"].nunique()
    return months[months >= 2]


@pytest.mark.parametrize(
    ("table", "prompt", "expected"),
    [
        (VISITS, "visits per clinic, January to March 2023 next to January to March 2024, with the change in percent",
         january_to_march),
        (DOSES, "List the districts that reached 90% MMR coverage or more in at least two months", often_high),
        (VISITS, "avg cost M vs F", lambda: visits().groupby("Sex")["Cost (EUR)"].mean().loc[["F", "M"]]),
        (CASES, "epi curve pls - cases by month of onset. Save the points.",
         lambda: cases().groupby(cases()["onset_date"].str[:7]).size()),
        (PROFILE, "average of the median income, districts with a hospital against districts without one",
         mean_income),
        (VISITS, "N, mean and SD of cost by clinic",
         lambda: visits().groupby("Clinic")["Cost (EUR)"].agg(["size", "mean", "std"]).reset_index()),
        (CASES, "mean length of stay by gender", cases().groupby("gender")["days_in_hospital"].mean),
    ],
)  # fmt: skip
def test_shorthand_is_answered_with_what_pandas_gives(ask, table, prompt, expected):
    got = ask(table, prompt)

    tables = [name for name in got.files if name.endswith(".csv")]
    ask.same(Answered(refused=got.refused, files=tuple(tables)), expected())


def longest(table: pd.DataFrame) -> float:
    return table.loc[table["Clinic"] == "São Bento", "Wait (min)"].max()


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("longest wait at Sao Bento, which visit was that??", lambda table: table["Wait (min)"] == longest(table)),
        ("give me every record where the age or the wait is blank",
         lambda table: table[["Age (years)", "Wait (min)"]].isna().any(axis="columns")),
        ("visits with a wait of 45 minutes or longer and follow-up is a no, however it is spelt. A blank is not a no.",
         lambda table: (table["Wait (min)"] >= 45) & (table["Follow-up"].str.lower() == "no")),
    ],
    ids=["longest", "either", "no"],
)  # fmt: skip
def test_rows_are_those_that_fit(ask, prompt, fits):
    got = ask(VISITS, prompt)

    assert ask.saved(got)["Visit ID"].tolist() == visits()[fits(visits())]["Visit ID"].tolist()


@pytest.mark.parametrize(
    ("table", "prompt"),
    [
        (VISITS, "visits per clinic, January to March 2023 next to January to May 2024, change in percent"),
        (VISITS, "total cost - Harbour, by clinic"),
        (VISITS, "visits 50+ min wait"),
        (VISITS, "all columns per clinic"),
        (DOSES, "total doses given, districts with coverage under 65 in at least two months"),
        (DOSES, "stacked bars of doses wasted / doses given by month and vaccine"),
        (VISITS, "mean cost of m per clinic"),
        (VISITS, "longest wait per clinic, when was that"),
        (VISITS, "highest cost, which clinic was that?"),
        (VISITS, "visits where follow-up is not a no, however it is spelt"),
        (CASES, "patients in hospital for at least 2 days"),
        (CASES, "mean length of notes by gender"),
        (PROFILE, "mean smokers of districts with or without a hospital"),
        (DOSES, "districts where mean coverage fell below 60 in any month"),
        (DOSES, "districts that never reached 90% MMR coverage"),
    ],
)
def test_shorthand_that_may_mean_another_thing_is_refused(ask, table, prompt):
    assert ask(table, prompt).code == ""
