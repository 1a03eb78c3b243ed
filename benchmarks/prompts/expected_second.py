"""What is right for each prompt of the second set, in the manner of `expected` and over the same tables."""

import dataclasses

import pandas as pd

from prompts.expected import (
    AGE,
    COST,
    COVERAGE,
    ER,
    GIVEN,
    NO2,
    OZONE,
    PM,
    SMOKERS,
    WAIT,
    WASTED,
    air,
    as_share,
    cases,
    cases_with_districts,
    doses,
    grouped,
    in_order,
    lines_by,
    one_series,
    profile,
    rows,
    source,
    visits,
    wide,
)
from prompts.grading import File, Table, Value, by_prompt


def leading(ranked: pd.Series, place: int = 0) -> Value:
    """The label at that place of the ranking; any other label would be another answer."""
    labels = list(ranked.index)
    return Value(labels[place], tuple(labels[:place] + labels[place + 1 :]))


# clinic_visits.csv


def v2_winter_flu():
    winter = visits()["Visit Date"].between("2023-12-01", "2024-02-29")
    return [Value(visits().loc[winter & (visits()["Diagnosis"] == "Influenza"), WAIT].median())]


def v2_quarter_excel():
    quarters = visits().assign(quarter=visits()["Visit Date"].dt.to_period("Q"))
    cost = (COST, "sum")
    tables = [*grouped(quarters, ["Clinic", "quarter"], cost=cost), *wide(quarters, "quarter", "Clinic", cost=cost)]
    return [dataclasses.replace(one, suffix=".xlsx") for one in tables]


def v2_sao_bento():
    there = visits()[visits()["Clinic"] == "São Bento"].dropna(subset=[WAIT])
    return [leading(there.set_index("Visit ID")[WAIT].sort_values(ascending=False))]


def v2_follow_up_rate():
    """Of all visits, or of those where anything is noted."""
    noted = visits().dropna(subset=["follow"])
    return [
        answer
        for frame in (visits(), noted)
        for table in grouped(frame.assign(yes=frame["follow"] == "yes"), ["Clinic"], rate=("yes", "mean"))
        for answer in as_share(table, "rate")
    ]


def v2_women_hour():
    women = visits()[(visits()["Sex"] == "F") & (visits()[WAIT] > 60) & (visits()[COST] > 100)]
    return [rows(women, "Visit ID", WAIT, COST)]


def v2_box():
    median = visits().groupby("Diagnosis")[COST].median()
    return [one_series("box", median.index, median)]


# air_quality.parquet


def a2_port_months():
    port = air()[air()["station"] == "Port"]
    return in_order(grouped(port, ["month"], mean=(PM, "mean"), highest=(PM, "max")), "month")


def a2_scatter_foret():
    forest = air()[air()["station"] == "Forêt"]
    return [one_series("scatter", forest[NO2], forest[OZONE])]


def a2_days_25():
    """A station without such a day may be shown with 0 or left out."""
    over = air().assign(over=air()[PM] > 25)
    (table, *_rest) = grouped(over, ["station"], n=("over", "sum"))
    return [table, Table(table.frame[table.frame["n"] > 0])]


def a2_cumulated_er():
    total = air().groupby("date")[ER].sum().cumsum()
    return [one_series("line", total.index, total)]


def a2_no2_change():
    change = air().groupby("month")[NO2].mean().pct_change().rename("change").reset_index()
    tables = as_share(Table(change, order=("month",)), "change")
    return [Table(frame, order=one.order) for one in tables for frame in (one.frame, one.frame.iloc[1:])]


# vaccination.tsv


def d2_given_wasted():
    """Two totals, or the one of both."""
    two = grouped(doses(), ["vaccine"], given=(GIVEN, "sum"), wasted=(WASTED, "sum"))
    both = two[0].frame
    return [*two, Table(both[["vaccine"]].assign(total=both["given"] + both["wasted"]))]


def d2_top_hpv():
    autumn = doses()[(doses()["vaccine"] == "HPV") & (doses()["month"] >= "2023-10")]
    best = autumn.groupby("district")[COVERAGE].mean().nlargest(3).reset_index()
    return [Table(best, order=("district",))]


def d2_clean_csv():
    """Which of two equal rows stays changes nothing but their place."""
    plain = source("vaccination.tsv")
    return [File(plain.drop_duplicates(keep=keep), (".csv",)) for keep in ("first", "last")]


def d2_improved():
    """By points or in proportion, the two vaccines taken together."""
    mean = doses().groupby(["district", "month"])[COVERAGE].mean().unstack()
    first, last = mean["2023-01"], mean["2023-12"]
    return [leading(gain.sort_values(ascending=False)) for gain in (last - first, last / first)]


def d2_pivot_hpv():
    """Where a row stands twice its doses may be summed or not."""
    hpv = doses()[doses()["vaccine"] == "HPV"]
    return [table for how in ("sum", "mean") for table in wide(hpv, "period", "district", given=(GIVEN, how))]


# district_profile.xlsx


def p2_doctors_rate():
    rate = profile()["Doctors"] / profile()["Population"] * 10_000
    return [rows(profile().assign(rate=rate), "District", "rate", order="rate")]


def p2_north_share():
    people = profile().groupby("Région")["Population"].sum()
    share = people["North"] / people.sum()
    return [Value(100 * share), Value(share)]


def p2_hospital_bar():
    hospitals = profile().groupby("Région")["Has Hospital"].sum()
    return [one_series("bar", hospitals.index, hospitals)]


# outbreak_cases.json: one record per case


def c2_cfr():
    (table, *_rest) = grouped(
        cases().assign(died=cases()["tidy"].eq("died")), ["district_code"], fatality=("died", "mean")
    )
    return as_share(table, "fatality")


def c2_still_ill():
    ill = cases()[(cases()["tidy"] == "still ill") & (cases()["age"] >= 50)]
    return [Value(len(ill)), rows(ill, "case_id")]


def c2_report_weeks():
    found = []
    for freq in ("W-SUN", "W-SAT"):  # weeks from Monday, weeks from Sunday
        weeks = pd.to_datetime(cases()["report_date"]).dt.to_period(freq).rename("week")
        total = cases().groupby(weeks).size().cumsum().rename("total").reset_index()
        found.append(Table(total, order=("week",)))
    return found


# Two tables


def j2_hospital_region():
    """With and without the cases whose district is in no profile."""
    return [
        table
        for how in ("inner", "left")
        for table in grouped(cases_with_districts(how).query("hospitalised"), ["Région"], n=("case_id", "size"))
    ]


def j2_per_1000():
    """Districts without a dose on record may be left out, empty or 0."""
    given = doses().groupby("district_code")[GIVEN].sum()
    every = profile().assign(rate=profile()["District Code"].map(given) / profile()["Population"] * 1000)
    found = (every.dropna(subset=["rate"]), every, every.fillna({"rate": 0}))
    return [rows(one, name, "rate") for one in found for name in ("District", "District Code")]


def j2_cases_coverage():
    """The districts that are in both tables, or in either; one without a case may be empty or 0."""
    counts = cases().groupby("district_code").size().rename("n")
    coverage = doses().groupby("district_code").agg(district=("district", "first"), coverage=(COVERAGE, "mean"))
    found = []
    for how in ("inner", "left", "right", "outer"):
        both = counts.to_frame().join(coverage, how=how).reset_index()
        found += [rows(one, "district_code", "n", "coverage") for one in (both, both.fillna({"n": 0}))]
        named = both.dropna(subset=["district"])
        found += [rows(one, "district", "n", "coverage") for one in (named, named.fillna({"n": 0}))]
    return found


# Each in one expression

ANSWERS = by_prompt(globals()) | {
    "v2-cost-sex": lambda: grouped(visits(), ["Sex"], cost=(COST, "mean")),
    "v2-each-once": lambda: grouped(visits(), ["Clinic"], n=("Visit ID", "nunique")),
    "v2-youngest-oldest": lambda: grouped(visits(), ["Diagnosis"], youngest=(AGE, "min"), oldest=(AGE, "max")),
    "v2-blank": lambda: [rows(visits()[visits()[AGE].isna() | visits()[WAIT].isna()], "Visit ID", "Clinic", AGE, WAIT)],
    "d2-coverage-lines": lambda: [lines_by(doses().groupby(["period", "vaccine"])[COVERAGE].mean().unstack())],
    "p2-hospital-smokers": lambda: grouped(profile(), ["Has Hospital"], smokers=(SMOKERS, "mean")),
    "p2-second": lambda: [leading(profile().set_index("District")["Population"].sort_values(ascending=False), place=1)],
    "c2-excell": lambda: [File(source("outbreak_cases.json"), (".xlsx",))],
    "c2-late": lambda: [rows(cases()[cases()["delay"] > 7], "case_id", "onset_date", "report_date")],
}
