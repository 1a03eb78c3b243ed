"""What is right for each prompt of the second set, in the manner of `expected` and over the same tables."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable

import pandas as pd

from prompts import expected
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
from prompts.grading import Accepted, File, Table, Value

ANSWERS: dict[str, Callable[[], Iterable[Accepted]]] = {}
right = functools.partial(expected.right, answers=ANSWERS)


def leading(ranked: pd.Series, place: int = 0) -> Value:
    """The label at that place of the ranking; any other label would be another answer."""
    labels = list(ranked.index)
    return Value(labels[place], tuple(labels[:place] + labels[place + 1 :]))


# clinic_visits.csv


ANSWERS |= {
    "v2-cost-sex": lambda: grouped(visits(), ["Sex"], cost=(COST, "mean")),
    "v2-each-once": lambda: grouped(visits(), ["Clinic"], n=("Visit ID", "nunique")),
}


@right("v2-winter-flu")
def _():
    winter = visits()["Visit Date"].between("2023-12-01", "2024-02-29")
    return [Value(visits().loc[winter & (visits()["Diagnosis"] == "Influenza"), WAIT].median())]


@right("v2-quarter-excel")
def _():
    quarters = visits().assign(quarter=visits()["Visit Date"].dt.to_period("Q"))
    cost = (COST, "sum")
    tables = [*grouped(quarters, ["Clinic", "quarter"], cost=cost), *wide(quarters, "quarter", "Clinic", cost=cost)]
    return [dataclasses.replace(one, suffix=".xlsx") for one in tables]


@right("v2-sao-bento")
def _():
    there = visits()[visits()["Clinic"] == "São Bento"].dropna(subset=[WAIT])
    return [leading(there.set_index("Visit ID")[WAIT].sort_values(ascending=False))]


@right("v2-follow-up-rate")
def _():
    """Of all visits, or of those where anything is noted."""
    noted = visits().dropna(subset=["follow"])
    return [
        answer
        for frame in (visits(), noted)
        for table in grouped(frame.assign(yes=frame["follow"] == "yes"), ["Clinic"], rate=("yes", "mean"))
        for answer in as_share(table, "rate")
    ]


@right("v2-women-hour")
def _():
    women = visits()[(visits()["Sex"] == "F") & (visits()[WAIT] > 60) & (visits()[COST] > 100)]
    return [rows(women, "Visit ID", WAIT, COST)]


ANSWERS |= {
    "v2-youngest-oldest": lambda: grouped(visits(), ["Diagnosis"], youngest=(AGE, "min"), oldest=(AGE, "max")),
    "v2-blank": lambda: [rows(visits()[visits()[AGE].isna() | visits()[WAIT].isna()], "Visit ID", "Clinic", AGE, WAIT)],
}


@right("v2-box")
def _():
    median = visits().groupby("Diagnosis")[COST].median()
    return [one_series("box", median.index, median)]


# air_quality.parquet


@right("a2-port-months")
def _():
    port = air()[air()["station"] == "Port"]
    return in_order(grouped(port, ["month"], mean=(PM, "mean"), highest=(PM, "max")), "month")


@right("a2-scatter-foret")
def _():
    forest = air()[air()["station"] == "Forêt"]
    return [one_series("scatter", forest[NO2], forest[OZONE])]


@right("a2-days-25")
def _():
    """A station without such a day may be shown with 0 or left out."""
    over = air().assign(over=air()[PM] > 25)
    (table, *_rest) = grouped(over, ["station"], n=("over", "sum"))
    return [table, Table(table.frame[table.frame["n"] > 0])]


@right("a2-cumulated-er")
def _():
    total = air().groupby("date")[ER].sum().cumsum()
    return [one_series("line", total.index, total)]


@right("a2-no2-change")
def _():
    change = air().groupby("month")[NO2].mean().pct_change().rename("change").reset_index()
    tables = as_share(Table(change, order=("month",)), "change")
    return [Table(frame, order=one.order) for one in tables for frame in (one.frame, one.frame.iloc[1:])]


# vaccination.tsv


@right("d2-given-wasted")
def _():
    """Two totals, or the one of both."""
    two = grouped(doses(), ["vaccine"], given=(GIVEN, "sum"), wasted=(WASTED, "sum"))
    both = two[0].frame
    return [*two, Table(both[["vaccine"]].assign(total=both["given"] + both["wasted"]))]


@right("d2-top-hpv")
def _():
    autumn = doses()[(doses()["vaccine"] == "HPV") & (doses()["month"] >= "2023-10")]
    best = autumn.groupby("district")[COVERAGE].mean().nlargest(3).reset_index()
    return [Table(best, order=("district",))]


@right("d2-clean-csv")
def _():
    """Which of two equal rows stays changes nothing but their place."""
    plain = source("vaccination.tsv")
    return [File(plain.drop_duplicates(keep=keep), (".csv",)) for keep in ("first", "last")]


ANSWERS |= {
    "d2-coverage-lines": lambda: [lines_by(doses().groupby(["period", "vaccine"])[COVERAGE].mean().unstack())],
}


@right("d2-improved")
def _():
    """By points or in proportion, the two vaccines taken together."""
    mean = doses().groupby(["district", "month"])[COVERAGE].mean().unstack()
    first, last = mean["2023-01"], mean["2023-12"]
    return [leading(gain.sort_values(ascending=False)) for gain in (last - first, last / first)]


@right("d2-pivot-hpv")
def _():
    """Where a row stands twice its doses may be summed or not."""
    hpv = doses()[doses()["vaccine"] == "HPV"]
    return [table for how in ("sum", "mean") for table in wide(hpv, "period", "district", given=(GIVEN, how))]


# district_profile.xlsx


@right("p2-doctors-rate")
def _():
    rate = profile()["Doctors"] / profile()["Population"] * 10_000
    return [rows(profile().assign(rate=rate), "District", "rate", order="rate")]


ANSWERS |= {
    "p2-hospital-smokers": lambda: grouped(profile(), ["Has Hospital"], smokers=(SMOKERS, "mean")),
}


@right("p2-north-share")
def _():
    people = profile().groupby("Région")["Population"].sum()
    share = people["North"] / people.sum()
    return [Value(100 * share), Value(share)]


@right("p2-hospital-bar")
def _():
    hospitals = profile().groupby("Région")["Has Hospital"].sum()
    return [one_series("bar", hospitals.index, hospitals)]


ANSWERS |= {
    "p2-second": lambda: [leading(profile().set_index("District")["Population"].sort_values(ascending=False), place=1)],
}


# outbreak_cases.json: one record per case


@right("c2-cfr")
def _():
    (table, *_rest) = grouped(
        cases().assign(died=cases()["tidy"].eq("died")), ["district_code"], fatality=("died", "mean")
    )
    return as_share(table, "fatality")


@right("c2-still-ill")
def _():
    ill = cases()[(cases()["tidy"] == "still ill") & (cases()["age"] >= 50)]
    return [Value(len(ill)), rows(ill, "case_id")]


ANSWERS |= {
    "c2-excell": lambda: [File(source("outbreak_cases.json"), (".xlsx",))],
}


@right("c2-report-weeks")
def _():
    found = []
    for freq in ("W-SUN", "W-SAT"):  # weeks from Monday, weeks from Sunday
        weeks = pd.to_datetime(cases()["report_date"]).dt.to_period(freq).rename("week")
        total = cases().groupby(weeks).size().cumsum().rename("total").reset_index()
        found.append(Table(total, order=("week",)))
    return found


ANSWERS |= {
    "c2-late": lambda: [rows(cases()[cases()["delay"] > 7], "case_id", "onset_date", "report_date")],
}


# Two tables


@right("j2-hospital-region")
def _():
    """With and without the cases whose district is in no profile."""
    return [
        table
        for how in ("inner", "left")
        for table in grouped(cases_with_districts(how).query("hospitalised"), ["Région"], n=("case_id", "size"))
    ]


@right("j2-per-1000")
def _():
    """Districts without a dose on record may be left out, empty or 0."""
    given = doses().groupby("district_code")[GIVEN].sum()
    every = profile().assign(rate=profile()["District Code"].map(given) / profile()["Population"] * 1000)
    found = (every.dropna(subset=["rate"]), every, every.fillna({"rate": 0}))
    return [rows(one, name, "rate") for one in found for name in ("District", "District Code")]


@right("j2-cases-coverage")
def _():
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
