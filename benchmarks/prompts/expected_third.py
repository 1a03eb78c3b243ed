"""What is right for each prompt of the third set, worked out anew from the tables: nothing is taken from the others.

Rows that stand twice may be counted as they stand or once, unless the prompt says which: both are honest. Where a
value is missing in what is grouped by, the group of the missing may be shown or left out, unless the prompt says.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from prompts.grading import TABLES, Accepted, Both, File, Plot, Table, Value, by_prompt

AGE, WAIT, COST = "Age (years)", "Wait (min)", "Cost (EUR)"
GIVEN, WASTED, COVERAGE = "doses_given", "doses wasted", "Coverage (%)"
PM, TEMP, ER = "PM2.5 (µg/m³)", "Temp (°C)", "ER asthma visits"
AREA, INCOME, SMOKERS, HOSPITAL = "Area (km²)", "Median Income (EUR)", "Smokers (%)", "Has Hospital"
WEEKS = ("W-SUN", "W-SAT")  # from Monday, from Sunday
UNNAMED = ("missing", "unknown", "nan", "none", "not recorded")  # what a series of missing labels may be called


Answers = Iterable[Accepted]


# The tables, with codes as text and dates as dates


@functools.cache
def visits() -> pd.DataFrame:
    frame = pd.read_csv(TABLES / "clinic_visits.csv", dtype={"Postcode": str}, parse_dates=["Visit Date"])
    return frame.assign(follow=frame["Follow-up"].str.lower())


@functools.cache
def doses() -> pd.DataFrame:
    frame = pd.read_csv(TABLES / "vaccination.tsv", sep="\t", dtype={"district_code": str})
    return frame.assign(month=pd.PeriodIndex(frame["month"], freq="M"))


@functools.cache
def air() -> pd.DataFrame:
    return pd.read_parquet(TABLES / "air_quality.parquet")


@functools.cache
def profile() -> pd.DataFrame:
    return pd.read_excel(TABLES / "district_profile.xlsx", dtype={"District Code": str})


@functools.cache
def line_list() -> pd.DataFrame:
    return pd.read_json(TABLES / "outbreak_cases.json", dtype=False)


@functools.cache
def cases() -> pd.DataFrame:
    frame = line_list()
    return frame.assign(onset=pd.to_datetime(frame["onset_date"]), ended=frame["outcome"].str.strip().str.lower())


# Forms of an answer


def twice_or_once(frame: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """The rows as they stand, and each of them once."""
    once = frame.drop_duplicates()
    return (frame,) if len(once) == len(frame) else (frame, once)


def percent(table: Table, *columns: str) -> Iterator[Table]:
    """The columns' fractions as percentages, and as they are."""
    hundred = table.frame.assign(**{name: 100 * table.frame[name] for name in columns})
    yield dataclasses.replace(table, frame=hundred)
    yield table


def in_words(labels: Sequence[str], every: Iterable[str]) -> Both:
    """All of these labels are said, and none of the others."""
    rivals = tuple(sorted(set(every) - set(labels)))
    return Both(tuple(Value(label, rivals) for label in labels))


def series_of(columns: pd.DataFrame, kind: str) -> Plot:
    """One series per column, over the index."""
    shown = {str(name): (list(columns.index), list(columns[name])) for name in columns}
    return Plot((kind,), shown)


# clinic_visits.csv


def d3_leave_out_harbour() -> Answers:
    for frame in twice_or_once(visits()[visits()["Clinic"] != "Harbour"]):
        yield Table(frame.groupby("Diagnosis")[COST].sum().reset_index())


def d3_young_and_old() -> Answers:
    """Two numbers said, in one row, or in two."""
    for frame in twice_or_once(visits()):
        young, old = int((frame[AGE] < 18).sum()), int((frame[AGE] >= 80).sum())
        yield Both((Value(young), Value(old)))
        yield Table(pd.DataFrame({"n": [young, old]}))


def d3_wait_quartiles() -> Answers:
    """One column per quartile, or one row."""
    for frame in twice_or_once(visits()):
        wait = frame.groupby("Clinic")[WAIT]
        quartiles = pd.DataFrame({share: wait.quantile(share) for share in (0.25, 0.5, 0.75)}).reset_index()
        yield Table(quartiles)
        long = quartiles.melt("Clinic", var_name="quantile", value_name="wait").astype({"quantile": float})
        yield from (Table(long), Table(long.assign(quantile=100 * long["quantile"])))


def d3_asthma_2023() -> Answers:
    """Of the clinic's own visits: neither of all clinics' nor of the clinic's asthma visits."""
    for frame in twice_or_once(visits()[visits()["Visit Date"].dt.year == 2023]):
        asthma = frame["Diagnosis"].eq("Asthma").groupby(frame["Clinic"]).mean().rename("share")
        yield from percent(Table(asthma.reset_index()), "share")


def d3_diabet_04() -> Answers:
    wanted = visits()["Diagnosis"].str.contains("diabet", case=False) & visits()["Postcode"].str.startswith("04")
    for frame in twice_or_once(visits()[wanted].sort_values("Visit Date", kind="stable")):
        yield Table(frame[["Visit ID", "Visit Date", "Postcode"]], order=("Visit Date",))


def d3_not_followed() -> Answers:
    for frame in twice_or_once(visits()[(visits()["follow"] == "no") & (visits()[WAIT] >= 45)]):
        yield Table(frame[["Visit ID", WAIT]])


def d3_female_ages() -> Answers:
    for frame in twice_or_once(visits()[visits()["Sex"] == "F"]):
        yield Plot(("hist",), {"": ((), frame[AGE].dropna().tolist())})


def d3_entered_twice() -> Answers:
    """Each id once, or every row that bears it, or the ids in words."""
    counts = visits()["Visit ID"].value_counts()
    repeated = counts[counts > 1].index
    yield Table(pd.DataFrame({"id": repeated}))
    yield Table(visits().loc[visits()["Visit ID"].isin(repeated), ["Visit ID"]])
    yield in_words(list(repeated), visits()["Visit ID"])


def d3_jan_may() -> Answers:
    """June is in the table for both years and is not asked for."""
    for frame in twice_or_once(visits()[visits()["Visit Date"].dt.month <= 5]):
        counts = pd.crosstab(frame["Clinic"], frame["Visit Date"].dt.year)
        change = counts[2024] / counts[2023] - 1
        table = pd.DataFrame({"before": counts[2023], "after": counts[2024], "change": change}).reset_index()
        yield from percent(Table(table, suffix=".xlsx"), "change")


# vaccination.tsv


def d3_mmr_below_80() -> Answers:
    low = doses()[(doses()["vaccine"] == "MMR") & (doses()[COVERAGE] < 80)]
    for name in ("district", "district_code"):
        yield Table(low[[name, "month", COVERAGE]])


def d3_never_below() -> Answers:
    lowest = doses()[doses()["vaccine"] == "HPV"].groupby("district")[COVERAGE].min()
    never = lowest[lowest >= 65].index
    yield Table(pd.DataFrame({"district": never}))
    yield in_words(list(never), lowest.index)


def d3_two_months() -> Answers:
    mmr = doses()[doses()["vaccine"] == "MMR"]
    months = mmr[mmr[COVERAGE] >= 90].groupby("district")["month"].nunique()
    reached = months[months >= 2].index
    yield Table(pd.DataFrame({"district": reached}))
    yield in_words(list(reached), doses()["district"])


def d3_wastage() -> Answers:
    """Sums over sums; a row without its wasted doses may be left out or count as none wasted."""
    for frame in twice_or_once(doses()):
        for counted in (frame, frame.dropna(subset=[WASTED])):
            total = counted.groupby("vaccine")[[GIVEN, WASTED]].sum()
            rate = (total[WASTED] / total.sum(axis="columns")).rename("rate")
            yield from percent(Table(rate.reset_index()), "rate")


def d3_mean_of_totals() -> Answers:
    for frame in twice_or_once(doses()):
        yield Value(float(frame.groupby("district")[WASTED].sum().mean()))


def d3_heat() -> Answers:
    """A row that stands twice has the same coverage twice: a mean, or a maximum, but no sum."""
    grid = doses()[doses()["vaccine"] == "HPV"].pivot_table(index="month", columns="district", values=COVERAGE)
    yield series_of(grid, "heatmap")


def d3_totals_md() -> Answers:
    for frame in twice_or_once(doses()):
        for name in ("district", "district_code"):
            yield Table(frame.groupby(name)[GIVEN].sum().reset_index(), suffix=".md")


def d3_hollins_share() -> Answers:
    """Of the doses, not of the column that has a % in its name."""
    given = doses()[doses()["vaccine"] == "MMR"].groupby("district")[GIVEN].sum()
    share = float(given["Hollins"] / given.sum())
    yield from (Value(100 * share), Value(share))


# air_quality.parquet


def d3_two_stations() -> Answers:
    """A day without a measurement at a station has none over 10 there."""
    over = air()[PM].gt(10).groupby(air()["date"]).sum()
    yield Value(int((over >= 2).sum()))


def d3_gaps() -> Answers:
    """One row per station, or one per station and column."""
    gaps = air()[[PM, TEMP]].isna().groupby(air()["station"]).sum()
    yield Table(gaps.reset_index())
    long = gaps.reset_index().melt("station", var_name="column", value_name="missing")
    yield from (Table(long), Table(long[long["missing"] > 0]))


def d3_fahrenheit() -> Answers:
    celsius = air().groupby(air()["date"].dt.to_period("M").rename("month"))[TEMP].mean()
    yield Table((celsius * 9 / 5 + 32).rename("fahrenheit").reset_index())


def d3_weekly_er() -> Answers:
    """The last week is not whole: it may be drawn as it is or left out."""
    for weeks in WEEKS:
        week = air()["date"].dt.to_period(weeks).rename("week")
        total = air().groupby([week, "station"])[ER].sum().unstack()
        yield series_of(total, "line")
        days = air().groupby(week)["date"].nunique()
        yield series_of(total[days == 7], "line")


# district_profile.xlsx


def d3_region_doctors() -> Answers:
    total = profile().groupby("Région")[["Doctors", "Population"]].sum()
    yield Table((total["Doctors"] / total["Population"] * 100_000).rename("rate").reset_index())


def d3_mean_of_median() -> Answers:
    """The mean of the column that is called a median, not its median; in a table, or both numbers said."""
    table = profile().groupby(HOSPITAL)[INCOME].mean().reset_index()
    yield Table(table)
    without, with_one = table[INCOME]
    yield Both((Value(float(without)), Value(float(with_one))))


def d3_neither() -> Answers:
    wanted = profile().loc[~profile()[HOSPITAL] & profile()[SMOKERS].isna(), "District"]
    yield Table(wanted.to_frame())
    yield in_words(list(wanted), profile()["District"])


def d3_sparse() -> Answers:
    density = profile()["Population"] / profile()[AREA]
    yield Table(profile().assign(density=density).nsmallest(5, "density")[["District", "density"]], order=("density",))


# outbreak_cases.json: one record per case


def d3_epicurve() -> Answers:
    """A week without a case has no bar. Cases of unknown gender may be a part of the bar or left out."""
    for weeks in WEEKS:
        week = cases()["onset"].dt.to_period(weeks).rename("week")
        yield series_of(cases().groupby([week, "gender"]).size().unstack(fill_value=0), "stacked")
        for label in UNNAMED:
            gender = cases()["gender"].fillna(label)
            yield series_of(cases().groupby([week, gender]).size().unstack(fill_value=0), "stacked")


def d3_outcome_by_gender() -> Answers:
    """Percentages of each gender's cases; one row per gender, or one per gender and outcome."""
    known = cases().dropna(subset=["gender", "ended"])
    shares = pd.crosstab(known["gender"], known["ended"], normalize="index")
    yield from percent(Table(shares.reset_index(), named=True), *shares.columns)
    long = shares.reset_index().melt("gender", var_name="ended", value_name="share")
    yield from percent(Table(long), "share")


def d3_not_household() -> Answers:
    notes = cases()["notes"].fillna("").str.lower()
    wanted = cases()[notes.str.contains("contact") & ~notes.str.contains("household")]
    yield Table(wanted[["case_id", "notes"]])


def d3_other_codes() -> Answers:
    """The days of onset, not of the report; a code without a district is another code too."""
    within = cases()["onset"].between("2023-12-15", "2024-01-15")
    wanted = cases()[within & ~cases()["district_code"].isin(["003", "005"])]
    yield from (Value(len(wanted)), Table(wanted[["case_id"]]))


def d3_stay_box() -> Answers:
    """Cases of unknown gender may have a box of their own or be left out."""
    for label in ("", *UNNAMED):
        gender = cases()["gender"].fillna(label) if label else cases()["gender"]
        median = cases().groupby(gender)["days_in_hospital"].median().dropna()
        yield Plot(("box",), {"": (list(median.index), list(median))})


def d3_admitted_parquet() -> Answers:
    yield File(line_list()[line_list()["hospitalised"]], (".parquet",))


# Two tables


def d3_attack_rate() -> Answers:
    """Cases whose district is in no profile have no rate; a district without cases may be left out, empty or 0."""
    counts = cases().groupby("district_code").size().rename("n")
    people = profile().rename(columns={"District Code": "district_code"}).set_index("district_code")
    for how in ("inner", "left", "right", "outer"):
        joined = counts.to_frame().join(people, how=how)
        rate = joined["n"] / joined["Population"] * 100_000
        table = joined.assign(rate=rate).reset_index()
        for name in ("District", "district_code"):
            yield Table(table[[name, "rate"]])
            if how in ("right", "outer"):
                none = table["n"].isna() & table["Population"].notna()
                yield Table(table.assign(rate=table["rate"].mask(none, 0.0))[[name, "rate"]])


def d3_orphans() -> Answers:
    wanted = cases()[~cases()["district_code"].isin(profile()["District Code"])]
    yield Table(wanted[["case_id", "district_code"]])


ANSWERS = by_prompt(globals())
