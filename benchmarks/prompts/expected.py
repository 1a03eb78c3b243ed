"""What is right for each prompt, computed here with plain pandas: one small function per prompt, named after it.

A function gives every answer that is right. Where the prompt is open (a mean or a sum, a group of missing keys shown
or not, an extra row or the pair of doubled rows), each reading that a careful reader could defend is in the list.
"""

import functools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prompts.grading import File, Plot, Table, Value, by_prompt

FOLDER = Path(__file__).with_name("tables")
WAIT, COST, AGE = "Wait (min)", "Cost (EUR)", "Age (years)"
PM, NO2, OZONE, TEMP = "PM2.5 (µg/m³)", "NO2 (µg/m³)", "Ozone (µg/m³)", "Temp (°C)"
ER = "ER asthma visits"
GIVEN, WASTED, COVERAGE = "doses_given", "doses wasted", "Coverage (%)"
INCOME, SMOKERS, STAY = "Median Income (EUR)", "Smokers (%)", "days_in_hospital"


# The tables


@functools.cache
def visits() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "clinic_visits.csv", dtype={"Postcode": str}, parse_dates=["Visit Date"])
    return frame.assign(month=frame["Visit Date"].dt.to_period("M"), follow=frame["Follow-up"].str.lower())


@functools.cache
def air() -> pd.DataFrame:
    frame = pd.read_parquet(FOLDER / "air_quality.parquet")
    return frame.assign(month=frame["date"].dt.to_period("M"), week=frame["date"].dt.to_period("W"))


@functools.cache
def doses() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "vaccination.tsv", sep="\t", dtype={"district_code": str})
    return frame.assign(period=pd.PeriodIndex(frame["month"], freq="M"))


@functools.cache
def profile() -> pd.DataFrame:
    return pd.read_excel(FOLDER / "district_profile.xlsx", dtype={"District Code": str})


@functools.cache
def cases() -> pd.DataFrame:
    frame = pd.DataFrame(json.loads((FOLDER / "outbreak_cases.json").read_text(encoding="utf-8")))
    onset, report = pd.to_datetime(frame["onset_date"]), pd.to_datetime(frame["report_date"])
    tidy = frame["outcome"].str.strip().str.lower()
    return frame.assign(tidy=tidy, week=onset.dt.to_period("W"), delay=(report - onset).dt.days, onset=onset)


def cases_with_districts(how: str = "inner") -> pd.DataFrame:
    return cases().merge(profile(), how=how, left_on="district_code", right_on="District Code")


def source(name: str) -> pd.DataFrame:
    """The table as its file has it: text cells as text, dates as they stand."""
    if name.endswith((".csv", ".tsv")):
        frame = pd.read_csv(FOLDER / name, sep="\t" if name.endswith("tsv") else ",", dtype=str, keep_default_na=False)
        numbers = [column for column in frame if column[0] != "V" and "ode" not in column and is_numeric(frame[column])]
        return frame.assign(**{column: pd.to_numeric(frame[column]) for column in numbers})
    if name.endswith(".xlsx"):
        return pd.read_excel(FOLDER / name, dtype=object)
    if name.endswith(".json"):
        return pd.DataFrame(json.loads((FOLDER / name).read_text(encoding="utf-8")), dtype=object)
    return pd.read_parquet(FOLDER / name)


def is_numeric(column: pd.Series) -> bool:
    return bool(pd.to_numeric(column, errors="coerce").notna().eq(column != "").all())


# Ways to be right


def grouped(
    frame: pd.DataFrame, keys: list[str], order: str = "", rising: bool = False, **measures: Any
) -> list[Table]:
    """One row per group, with and without a group for the missing keys; in the order of one measure if asked."""
    found = []
    for dropna in (True, False):
        table = frame.groupby(keys, dropna=dropna, observed=True).agg(**measures).reset_index()
        if order:
            table = table.sort_values(order, ascending=rising, kind="stable")
        found.append(Table(table, order=(order,) if order else ()))
    return found


def in_order(tables: Sequence[Table], *columns: str) -> list[Table]:
    return [Table(one.frame, order=columns) for one in tables]


def rows(frame: pd.DataFrame, *columns: str, order: str = "", rising: bool = False) -> Table:
    """Rows of the table, known by a few of their columns."""
    if order:
        frame = frame.sort_values(order, ascending=rising, kind="stable")
    return Table(frame[list(columns)].reset_index(drop=True), order=(order,) if order else ())


def wide(frame: pd.DataFrame, key: str, across: str, **measure: Any) -> list[Table]:
    """A pivot, its empty cells empty or 0."""
    (agg,) = measure.values()
    table = frame.pivot_table(index=key, columns=across, values=agg[0], aggfunc=agg[1], observed=True)
    table.columns = [str(name) for name in table.columns]
    return [Table(one.reset_index(), named=True) for one in (table, table.fillna(0))]


def as_share(table: Table, column: str) -> list[Table]:
    """A share as a fraction and as a percentage."""
    return [Table(table.frame.assign(**{column: table.frame[column] * by}), order=table.order) for by in (1, 100)]


def correlations(frame: pd.DataFrame) -> Table:
    return Table(frame.corr().rename_axis("column").reset_index())


def one_series(kinds: str, x: Iterable[Any], y: Iterable[float], order: bool = False) -> Plot:
    return Plot(tuple(kinds.split()), {"": (list(x), list(y))}, order=order)


def lines_by(table: pd.DataFrame, kinds: str = "line") -> Plot:
    """One series per column, over the index."""
    return Plot(tuple(kinds.split()), {str(name): (list(table.index), list(table[name])) for name in table})


# clinic_visits.csv


def v_describe():
    stats = visits()[[AGE, WAIT, COST]].agg(["mean", "min", "max"]).T
    return [Table(stats.rename_axis("column").reset_index(), subset=True)]


def v_missing():
    counts = source("clinic_visits.csv").replace("", None).isna().sum().rename_axis("column").reset_index(name="n")
    return [Table(counts), Table(counts[counts["n"] > 0])]


def v_duplicates():
    plain = source("clinic_visits.csv")
    return [rows(plain[plain.duplicated(keep=keep)], "Visit ID", "Clinic", COST) for keep in (False, "first")]


def v_plot_month():
    counts = visits().groupby("month").size()
    return [one_series("line bar", counts.index, counts, order=True)]


def v_busiest():
    counts = visits().loc[visits()["Visit Date"].dt.year == 2024, "Clinic"].value_counts()
    return [Value(counts.index[0], tuple(counts.index[1:]))]


def v_cost_two_keys():
    cost = (COST, "sum")
    return [*grouped(visits(), ["Diagnosis", "Sex"], cost=cost), *wide(visits(), "Diagnosis", "Sex", cost=cost)]


def v_between():
    adults = visits()[(visits()["Diagnosis"] == "Asthma") & visits()[AGE].between(18, 40)]
    return [rows(adults, "Visit ID", AGE, "Diagnosis")]


def v_share():
    (table, *_rest) = grouped(visits(), ["Diagnosis"], n=("Visit ID", "size"))
    share = table.frame.assign(share=table.frame["n"] / len(visits()))
    return as_share(Table(share[["Diagnosis", "share"]]), "share")


def v_box():
    median = visits().groupby("Clinic")[WAIT].median()
    return [one_series("box", median.index, median)]


def v_follow_up():
    said_yes = visits()[visits()["follow"] == "yes"]
    return [Value(len(said_yes)), rows(said_yes, "Visit ID")]


def v_top_share():
    exact = 0.05 * len(visits())
    counts = {math.floor(exact), math.ceil(exact), int((visits()[COST] >= visits()[COST].quantile(0.95)).sum())}
    return [rows(visits().nlargest(count, COST), "Visit ID", COST) for count in sorted(counts)]


def v_since():
    late = visits()[(visits()["Clinic"] == "Harbour") & (visits()["Visit Date"] >= "2024-02-01")]
    return [rows(late, "Visit ID", "Visit Date", "Clinic")]


def v_running():
    total = visits().groupby("month")[COST].sum().cumsum().reset_index()
    return [Table(total, order=("month",))]


def v_change():
    counts = visits().groupby("month").size()
    changes = [counts.diff(), counts.pct_change(), counts.pct_change() * 100]
    tables = [change.rename("change").reset_index() for change in changes]
    return [Table(one, order=("month",)) for table in tables for one in (table, table.iloc[1:])]


def v_stacked():
    quarter = visits()["Visit Date"].dt.to_period("Q")
    return [lines_by(visits().groupby([quarter, "Clinic"]).size().unstack(fill_value=0), "stacked")]


def v_excluding():
    others = visits()[visits()["Clinic"] != "Harbour"]
    return [Value(others[WAIT].mean()), *grouped(others, ["Clinic"], wait=(WAIT, "mean"))]


def v_top_diagnoses():
    cost = visits().groupby("Diagnosis")[COST].sum().nlargest(3).reset_index()
    return [Table(cost, order=("Diagnosis",))]


# air_quality.parquet


def a_weekly():
    no2 = (NO2, "mean")
    return [*grouped(air(), ["week", "station"], no2=no2), *wide(air(), "week", "station", no2=no2)]


def a_worst_day():
    daily = air().groupby("date")[PM]
    worst = [air().loc[air()[PM].idxmax(), "date"], daily.mean().idxmax(), daily.sum().idxmax()]
    return [Value(day.strftime("%Y-%m-%d")) for day in dict.fromkeys(worst)]


def a_days_above():
    above = air()[(air()["station"] == "Centre-ville") & (air()[PM] > 20)]
    return [Value(len(above)), rows(above, "date", "station", PM)]


def a_er_month():
    visits_made = (ER, "sum")
    return [*grouped(air(), ["month", "station"], n=visits_made), *wide(air(), "month", "station", n=visits_made)]


def a_gaps():
    counts = source("air_quality.parquet").isna().sum().rename_axis("column").reset_index(name="n")
    return [Table(counts), Table(counts[counts["n"] > 0])]


# vaccination.tsv


def d_wasted():
    wasted = doses().groupby("district")[WASTED].sum().sort_values(ascending=False)
    return [Value(wasted.index[0], tuple(wasted.index[1:]))]


def d_coverage():
    tables = grouped(doses(), ["district"], order="coverage", rising=True, coverage=(COVERAGE, "mean"))
    return [Table(one.frame, order=("coverage",), suffix=".xlsx") for one in tables]


def d_quarter():
    given = doses().groupby(doses()["period"].dt.asfreq("Q"))[GIVEN].sum().reset_index()
    return [Table(given, order=("period",))]


def d_bar():
    given = doses().groupby("district")[GIVEN].sum().sort_values(ascending=False)
    return [one_series("bar", given.index, given, order=True)]


def d_heatmap():
    mean = doses().groupby(["month", "district"])[COVERAGE].mean().unstack()
    return [lines_by(mean.set_axis(pd.PeriodIndex(mean.index, freq="M")), "heatmap")]


def d_waste_rate():
    rates = doses().assign(rate=doses()[WASTED] / doses()[GIVEN])
    return [
        rows(one.nlargest(5, "rate"), "district", "month", "vaccine", "rate", order="rate")
        for one in (rates, rates.drop_duplicates())
    ]


def d_or_after():
    late = doses()[(doses()["vaccine"] == "HPV") & (doses()["month"] > "2023-06")]
    return [rows(late[late["district"].isin(["Alder", "Dunmore"])], "district", "month", GIVEN)]


def d_running():
    total = doses().groupby(["period", "vaccine"])[GIVEN].sum().unstack().cumsum()
    long = total.stack().rename("total").reset_index()
    return [Table(long), Table(total.reset_index(), named=True)]


def d_share():
    given = doses().groupby("district")[GIVEN].sum()
    return as_share(Table((given / given.sum()).rename("share").reset_index()), "share")


# district_profile.xlsx


def p_smokers():
    ranked = profile().dropna(subset=[SMOKERS]).sort_values(SMOKERS, ascending=False)["District"]
    return [Value(ranked.iloc[0], tuple(ranked.iloc[1:]))]


def p_scatter():
    smokers, income = profile()[SMOKERS], profile()[INCOME]
    return [one_series("scatter", income, smokers), one_series("scatter", smokers, income)]


# outbreak_cases.json: one record per case


def c_died():
    died = cases()[cases()["tidy"] == "died"]
    return [Value(len(died)), rows(died, "case_id")]


def c_outcome():
    n = ("case_id", "size")
    return [*grouped(cases(), ["tidy"], n=n), *grouped(cases(), ["outcome"], n=n)]


def c_epi_curve():
    found = []
    for freq in ("W-SUN", "W-SAT"):  # weeks from Monday, weeks from Sunday
        counts = cases().groupby(cases()["onset"].dt.to_period(freq)).size()
        found.append(one_series("bar", counts.index, counts))
    return found


def c_age_groups():
    groups = pd.cut(cases()["age"], [-1, 17, 64, 200], labels=["0-17", "18-64", "65+"]).astype(object)
    return grouped(cases().assign(group=groups), ["group"], n=("case_id", "size"))


# Two tables


def j_plot_region():
    both = doses().merge(profile(), left_on="district_code", right_on="District Code")
    mean = both.groupby("Région")[COVERAGE].mean()
    return [one_series("bar", mean.index, mean)]


def j_incidence():
    counts = cases()["district_code"].value_counts()
    every = profile().assign(n=profile()["District Code"].map(counts))
    rate = every.assign(rate=every["n"] / every["Population"] * 100_000)
    seen, filled = rate.dropna(subset=["n"]), rate.fillna({"rate": 0})
    return [rows(one, name, "rate") for one in (seen, filled, rate) for name in ("District", "District Code")]


# Each in one expression

ANSWERS = by_prompt(globals()) | {
    "v-mean-wait": lambda: grouped(visits(), ["Clinic"], wait=(WAIT, "mean")),
    "v-mean-wait-polite": lambda: grouped(visits(), ["Clinic"], order="wait", wait=(WAIT, "mean")),
    "v-longest": lambda: [rows(visits().nlargest(10, WAIT), "Visit ID", WAIT, order=WAIT)],
    "v-per-month": lambda: in_order(grouped(visits(), ["month"], n=("Visit ID", "size")), "month"),
    "v-two-measures": lambda: grouped(visits(), ["Clinic"], mean=(COST, "mean"), median=(COST, "median")),
    "v-over-65": lambda: [rows(visits()[visits()[AGE] > 65], "Visit ID", AGE)],
    "v-hist": lambda: [one_series("hist", (), visits()[AGE])],
    "v-scatter": lambda: [one_series("scatter", visits()[AGE], visits()[COST])],
    "v-pivot": lambda: wide(visits(), "Clinic", "Diagnosis", cost=(COST, "mean")),
    "v-computed": lambda: [rows(visits().assign(ratio=visits()[COST] / visits()[WAIT]), "Visit ID", "ratio")],
    "v-mean-march": lambda: [Value(visits().loc[visits()["month"] == "2023-03", COST].mean())],
    "v-distinct": lambda: [Table(visits()[["Diagnosis"]].drop_duplicates())],
    "v-correlation": lambda: [correlations(visits()[[AGE, WAIT, COST]])],
    "v-excel": lambda: [File(source("clinic_visits.csv"), (".xlsx",))],
    "v-lines": lambda: [lines_by(visits().groupby(["month", "Clinic"])[WAIT].mean().unstack())],
    "v-postcode": lambda: [rows(visits()[visits()["Postcode"] == "0412"], "Visit ID", "Postcode")],
    "v-starts-with": lambda: [rows(visits()[visits()["Postcode"].str.startswith("04")], "Visit ID", "Postcode")],
    "v-women": lambda: grouped(visits()[visits()["Sex"] == "F"], ["Clinic"], n=("Visit ID", "size")),
    "a-mean-station": lambda: grouped(air(), ["station"], pm=(PM, "mean")),
    "a-ozone-temperature": lambda: [Value(air()[OZONE].corr(air()[TEMP])), correlations(air()[[OZONE, TEMP]])],
    "a-heatmap": lambda: [lines_by(air()[[PM, NO2, OZONE, TEMP]].corr(), "heatmap")],
    "a-lines": lambda: [lines_by(air().pivot(index="date", columns="station", values=PM))],
    "a-highest": lambda: grouped(air(), ["station"], ozone=(OZONE, "max")),
    "a-csv": lambda: [File(source("air_quality.parquet"), (".csv",))],
    "a-hist": lambda: [one_series("hist", (), air()[NO2])],
    "a-freezing": lambda: [rows(air()[air()[TEMP] < 1.5], "date", "station", TEMP)],
    "d-latest": lambda: [
        rows(doses()[(doses()["month"] == "2023-12") & (doses()["vaccine"] == "MMR")], "district", COVERAGE)
    ],
    "d-markdown": lambda: [File(source("vaccination.tsv"), (".md", ".txt"))],
    "d-no-duplicates": lambda: [rows(doses().drop_duplicates(), "district_code", "month", "vaccine", GIVEN)],
    "p-fewest": lambda: [rows(profile().nsmallest(3, "Doctors"), "District", "Doctors", order="Doctors", rising=True)],
    "p-density": lambda: [
        rows(profile().assign(density=profile()["Population"] / profile()["Area (km²)"]), "District", "density")
    ],
    "p-region": lambda: [
        table for how in ("sum", "mean") for table in grouped(profile(), ["Région"], people=("Population", how))
    ],
    "p-no-hospital": lambda: [
        rows(profile()[(profile()["Région"] == "South") & ~profile()["Has Hospital"]], "District", "Région")
    ],
    "p-contains": lambda: [
        rows(profile()[profile()["District"].str.contains("er", case=False)], "District", "Population")
    ],
    "p-json": lambda: [File(source("district_profile.xlsx"), (".json", ".jsonl"))],
    "p-html": lambda: [File(source("district_profile.xlsx"), (".html", ".htm"))],
    "p-no-income": lambda: [rows(profile()[profile()[INCOME].isna()], "District")],
    "c-delay": lambda: grouped(cases(), ["district_code"], delay=("delay", "mean")),
    "c-school": lambda: [
        rows(cases()[cases()["notes"].str.contains("school", case=False, na=False)], "case_id", "notes")
    ],
    "c-children": lambda: [rows(cases()[(cases()["age"] < 10) & cases()["hospitalised"]], "case_id", "age")],
    "c-stay": lambda: grouped(cases(), ["gender"], stay=(STAY, "median")),
    "c-parquet": lambda: [File(source("outbreak_cases.json"), (".parquet",))],
    "c-holidays": lambda: [
        rows(cases()[cases()["onset_date"].between("2023-12-24", "2024-01-02")], "case_id", "onset_date")
    ],
    "c-hospitalised": lambda: [Value(100 * cases()["hospitalised"].mean()), Value(cases()["hospitalised"].mean())],
    "j-cases-region": lambda: [
        table
        for how in ("inner", "left")
        for table in grouped(cases_with_districts(how), ["Région"], n=("case_id", "size"))
    ],
    "j-merge": lambda: [
        rows(cases_with_districts(how), "case_id", "District", "Population", "notes")
        for how in ("inner", "left", "outer")
    ],
}
