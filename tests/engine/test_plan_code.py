# ruff: noqa: E501 one line for each case
"""A plan's code does what the plan says: every operation by value, against an independent calculation."""

import asyncio
import itertools
import math
import statistics
from collections import defaultdict
from dataclasses import replace
from datetime import date
from unittest.mock import AsyncMock

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import InProcess

from ipython_assistant.engine.models import in_kernel
from ipython_assistant.engine.models.plan import plan as plans
from ipython_assistant.engine.models.plan.pandas_code import program
from ipython_assistant.engine.models.plan.plan import Key, Measure, NewColumn, Order, Plan, RowFilter, days_of
from ipython_assistant.engine.models.plan.reader import plan_from_json
from ipython_assistant.engine.models.plan.words import plainly, read_as, title
from ipython_assistant.engine.models.table_profiles import call, profile_of

ROW = {
    "g": st.sampled_from(["a", "b", "c"]), "h": st.sampled_from(["x", "y"]), "w": st.integers(1, 9),
    "n": st.one_of(st.none(), st.integers(-50, 50)), "day": st.dates(date(2023, 1, 1), date(2024, 12, 31)),
}  # fmt: skip
ROWS = st.lists(st.fixed_dictionaries(ROW), min_size=3, max_size=25)
each_example = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def carried_out(folder, plan, **frames):
    """What the code of a plan makes of the tables."""
    plan = replace(plan, file=plan.file or f"r{'.png' if plan.drawn else '.csv'}")
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    tables = [profile_of(one) for name in frames for one in profile(folder / f"{name}.csv")]
    code = program(plan, tables, plainly(plan))
    container = InProcess(folder)
    outcome = container.run(code)
    assert outcome.error is None, f"{outcome.error}\n{code}"
    assert plan.file in outcome.files
    return container.variables["result"]


def profile(path):
    found = in_kernel._tables(str(path), frozenset())
    return [{**one, "read": one.get("read", "").replace(str(path), path.name), "name": path.name} for one in found]


def frame_of(rows):
    last = {"g": "c", "h": "y", "n": 7, "w": 2, "day": "2024-06-15"}
    return pd.DataFrame([*rows, last]).assign(day=lambda frame: frame["day"].astype(str))


def groups_of(frame, *keys):
    found = defaultdict(list)
    for row in frame.to_dict("records"):
        found[tuple(row[key] for key in keys)].append(row)
    return dict(sorted(found.items()))


def known(rows, column="n"):
    return [row[column] for row in rows if not pd.isna(row[column])]


def close(found, expected):
    if expected is None or pd.isna(expected):
        return bool(pd.isna(found))
    return math.isclose(float(found), expected, rel_tol=1e-9, abs_tol=1e-9)


BY_HAND = {
    "sum": lambda v: sum(v) if v else None, "mean": lambda v: statistics.fmean(v) if v else None,
    "median": lambda v: statistics.median(v) if v else None, "min": lambda v: min(v, default=None),
    "max": lambda v: max(v, default=None), "std": lambda v: statistics.stdev(v) if len(v) > 1 else None, "count": len,
    "count distinct": lambda v: len(set(v)),
}  # fmt: skip


@each_example
@given(ROWS, st.sampled_from(sorted(BY_HAND)), st.sampled_from([(), ("g",), ("g", "h")]))
def test_an_aggregate_of_groups(tmp_path, rows, aggregate, keys):
    frame = frame_of(rows)
    plan = Plan("table", keys=tuple(map(Key, keys)), measures=(Measure(aggregate, "n"),))
    result = carried_out(tmp_path, plan, t=frame)
    expected = {key: BY_HAND[aggregate](known(rows)) for key, rows in groups_of(frame, *keys).items()}
    assert [tuple(row) for row in result[list(keys)].to_numpy().tolist()] == list(expected)
    assert all(itertools.starmap(close, zip(result.iloc[:, -1], expected.values(), strict=True)))


@each_example
@given(ROWS, st.sampled_from(["percent of total", "difference", "percent change", "running total", "rolling mean"]))
def test_what_follows_over_time(tmp_path, rows, then):
    frame = frame_of(rows).assign(month=lambda f: f["day"].str[:7])
    plan = Plan("table", keys=(Key("day", "month"),), measures=(Measure("sum", "w"),), then=then, window=2)
    result = carried_out(tmp_path, plan, t=frame.drop(columns="month"))
    sums = [sum(row["w"] for row in rows) for rows in groups_of(frame, "month").values()]
    before = [None, *sums[:-1]]
    expected = {
        "percent of total": [100 * one / sum(sums) for one in sums],
        "difference": [None if b is None else one - b for b, one in zip(before, sums, strict=True)],
        "percent change": [None if b is None else 100 * (one / b - 1) for b, one in zip(before, sums, strict=True)],
        "running total": list(itertools.accumulate(sums)),
        "rolling mean": [None if b is None else (one + b) / 2 for b, one in zip(before, sums, strict=True)],
    }[then]
    assert list(result["month"]) == [month for (month,) in groups_of(frame, "month")]
    assert all(itertools.starmap(close, zip(result.iloc[:, -1], expected, strict=True)))


@each_example
@given(ROWS)
def test_running_totals_are_kept_within_the_other_key(tmp_path, rows):
    frame = frame_of(rows)
    keys = (Key("day", "year"), Key("g"))
    plan = Plan("table", keys=keys, measures=(Measure("sum", "w"),), then="running total")
    result = carried_out(tmp_path, plan, t=frame)
    for group, part in result.groupby("g"):
        per_year = frame[frame["g"] == group].groupby(frame["day"].str[:4])["w"].sum()
        assert list(part.iloc[:, -1]) == list(itertools.accumulate(per_year))


@each_example
@given(ROWS, st.sampled_from(["ratio", "weighted mean"]), st.sampled_from([1, 1000]))
def test_ratios_and_weighted_means_take_rows_that_have_both(tmp_path, rows, aggregate, per):
    frame = frame_of(rows)
    plan = Plan("table", keys=(Key("g"),), measures=(Measure(aggregate, "n", "w", per),))
    result = carried_out(tmp_path, plan, t=frame).set_index("g").iloc[:, 0]
    for (group,), part in groups_of(frame, "g").items():
        if both := [row for row in part if not pd.isna(row["n"])]:
            below = sum(row["w"] for row in both)
            top = sum(row["n"] for row in both) * per if aggregate == "ratio" else sum(r["n"] * r["w"] for r in both)
            assert close(result[group], top / below)


@each_example
@given(ROWS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-20, 20))
def test_numbers_are_compared_and_blanks_fit_nothing(tmp_path, rows, op, bound):
    frame = frame_of(rows)
    result = carried_out(tmp_path, Plan("table", filters=(RowFilter("n", op, (bound,)),)), t=frame)
    tests = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
    fits = getattr(frame["n"], tests[op])(bound) & (frame["n"].notna() | (op == "!="))
    assert len(result) in {int(fits.sum()), int((fits & frame["n"].notna()).sum())}


@pytest.mark.parametrize(("one", "expected"), [
    (RowFilter("g", "in", ("a",)), [0, 3]), (RowFilter("g", "not in", ("a", "b")), [2, 4]),
    (RowFilter("g", "contains", ("A",)), [0, 3]), (RowFilter("note", "starts with", ("sch",)), [0]),
    (RowFilter("note", "does not contain", ("school",)), [2, 3, 4]), (RowFilter("note", "is missing"), [3]),
    (RowFilter("note", "is not missing"), [0, 1, 2, 4]), (RowFilter("n", "between", ("5", 2)), [1, 2]),
    (RowFilter("n", "in", (1, 3)), [0, 2]), (RowFilter("n", "is missing"), [4]),
    (RowFilter("day", "in", ("2024",)), [2, 3, 4]), (RowFilter("day", "in", ("2023-03", "2024-02-29")), [1, 3]),
    (RowFilter("day", "not in", ("2024",)), [0, 1]), (RowFilter("day", "in", ("Q1",)), [0, 1, 3]),
    (RowFilter("day", "in", ("2024-Q1",)), [3]), (RowFilter("day", "in", ("February",)), [3]),
    (RowFilter("day", "in", ("latest month",)), [4]), (RowFilter("day", "in", ("earliest year",)), [0, 1]),
    (RowFilter("day", "in", ("latest",)), [4]), (RowFilter("day", "before", ("2024",)), [0, 1]),
    (RowFilter("day", "after", ("2023",)), [2, 3, 4]), (RowFilter("day", "since", ("2024-02",)), [2, 3, 4]),
    (RowFilter("day", "until", ("2024-02",)), [0, 1, 3]), (RowFilter("day", "between", ("2024-02", "2024-04")), [2, 3]),
    (RowFilter("ok", "is", ("yes",)), [0, 1]), (RowFilter("ok", "is", ("no",)), [2]),
    (RowFilter("said", "is", ("yes",)), [0, 3]), (RowFilter("day", "in", ("\uff12024",)), [2, 3, 4]),
])  # fmt: skip
def test_rows_are_chosen(tmp_path, one, expected):
    columns = {
        "g": ["a", "b", "c", "a", "c"], "n": [1, 2, 3, 6, None], "ok": [True, True, False, None, None],
        "day": ["2023-01-31", "2023-03-01", "2024-04-30", "2024-02-29", "2024-12-01"],
        "note": ["School trip", "at school", "none", None, "home"], "said": ["Yes", "no", "NO", "yes", None],
    }  # fmt: skip
    result = carried_out(tmp_path, Plan("table", filters=(one,)), t=pd.DataFrame(columns))
    assert list(result.index) == expected


def test_either_of_two_conditions_is_enough(tmp_path):
    frame = pd.DataFrame({"a": [None, 1, 2], "b": [1, None, 3]})
    filters = (RowFilter("a", "is missing"), RowFilter("b", "is missing"))
    assert len(carried_out(tmp_path, Plan("table", filters=filters, either=True), t=frame)) == 2


@pytest.mark.parametrize(("new", "expected"), [
    (NewColumn("c", "a", "+", "b"), [5.0, 2.0, 9.0]), (NewColumn("c", "a", "-", "b"), [-3.0, 2.0, -3.0]),
    (NewColumn("c", "a", "*", "002"), [2.0, 4.0, 6.0]), (NewColumn("c", "a", "/", "b"), [0.25, None, 0.5]),
])  # fmt: skip
def test_columns_are_calculated_and_nothing_is_divided_by_nothing(tmp_path, new, expected):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4, 0, 6]})
    result = carried_out(tmp_path, Plan("table", new_columns=(new,)), t=frame)
    assert all(itertools.starmap(close, zip(result["c"], expected, strict=True)))


@pytest.mark.parametrize(("unit", "expected"), [
    ("year", [2023, 2024]), ("quarter", ["2023Q4", "2024Q1"]), ("month", ["2023-12", "2024-01"]),
    ("week", ["2023-12-25", "2024-01-01"]), ("day", ["2023-12-31", "2024-01-01", "2024-01-07"]),
    ("weekday", ["Monday", "Sunday"]),
])  # fmt: skip
def test_dates_are_put_together(tmp_path, unit, expected):
    frame = pd.DataFrame({"day": ["2024-01-01", "2024-01-07", "2023-12-31"], "n": [1, 2, 3]})
    plan = Plan("table", keys=(Key("day", unit),), measures=(Measure("count"),))
    assert list(carried_out(tmp_path, plan, t=frame).iloc[:, 0]) == expected


def test_a_pivot_has_a_column_for_each_value(tmp_path):
    frame = pd.DataFrame({"g": ["a", "a", "b"], "h": ["x", "y", "x"], "n": [1, 2, 3]})
    plan = Plan("pivot", keys=(Key("g"),), across=Key("h"), measures=(Measure("mean", "n"),))
    result = carried_out(tmp_path, plan, t=frame)
    assert list(result.columns) == ["g", "x", "y"]
    assert (result.loc[0, "y"], pd.isna(result.loc[1, "y"])) == (2, True)


def test_a_share_of_rows_that_fit(tmp_path):
    frame = pd.DataFrame({"g": ["a", "a", "b", "b"], "ok": ["yes", "no", "yes", "Yes"], "n": [1, 3, 5, 7]})
    part = (RowFilter("ok", "is", ("yes",)),)
    rows = Plan("table", keys=(Key("g"),), measures=(Measure("percent that fit", part=part),))
    amount = Plan("table", measures=(Measure("percent that fit", "n", part=part),))
    assert list(carried_out(tmp_path, rows, t=frame)["rows that fit (%)"]) == [50, 100]
    assert carried_out(tmp_path, amount, t=frame).iloc[0, 0] == 100 * 13 / 16


@pytest.mark.parametrize(("order", "limit", "expected"), [
    (Order("measure", descending=True), 0, ["b", "c", "a"]), (Order("g", descending=True), 0, ["c", "b", "a"]),
    (Order("measure", descending=False), 1, ["a"]), (Order("measure", descending=True), 1, ["b", "c"]),
    (None, 2, ["a", "b"]),
])  # fmt: skip
def test_groups_are_ordered_and_ties_are_kept(tmp_path, order, limit, expected):
    frame = pd.DataFrame({"g": ["a", "b", "c"], "n": [1, 5, 5]})
    plan = Plan("table", keys=(Key("g"),), measures=(Measure("sum", "n"),), order=order, limit=limit)
    assert list(carried_out(tmp_path, plan, t=frame)["g"]) == expected


@pytest.mark.parametrize(("plan", "expected"), [
    (Plan("missing"), {"column": ["g", "p", "n"], "missing": [0, 0, 1]}),
    (Plan("describe"), {"column": ["g", "p", "n"], "filled": [4, 4, 3], "different": [2, 3, 2], "max": [7, 2]}),
    (Plan("duplicates"), {"g": ["a", "a"]}), (Plan("without duplicates"), {"g": ["a", "b", "b"]}),
    (Plan("distinct", columns=("g",)), {"g": ["a", "b"]}),
])  # fmt: skip
def test_what_is_said_of_columns(tmp_path, plan, expected):
    frame = pd.DataFrame({"g": ["a", "a", "b", "b"], "p": ["5 %", "5 %", "6 %", "7 %"], "n": [1, 1, 2, None]})
    result = carried_out(tmp_path, plan, t=frame)
    for name, values in expected.items():
        assert list(result[name])[-len(values) :] == values


def test_a_correlation_is_pearsons(tmp_path):
    frame = pd.DataFrame({"a": [1, 2, 3, 4], "b": [2, 4, 7, 8], "c": [4, 3, 2, 1]})
    two, three = (carried_out(tmp_path, Plan("correlation", columns=tuple(names)), t=frame) for names in ("ab", "abc"))
    expected = statistics.correlation([1, 2, 3, 4], [2, 4, 7, 8])
    assert [two["correlation"][0], three["b"][0], three["c"][0]] == pytest.approx([expected, expected, -1])


@pytest.mark.parametrize(("usual", "odd"), [("1,000.5", "1,5"), ("1,000.5", "12 34"), ("1,5", "2.5")])
def test_a_column_is_text_where_a_cell_could_be_a_number_in_two_ways(tmp_path, usual, odd):
    pd.DataFrame({"n": [usual] * 30 + [odd], "m": usual}).to_csv(tmp_path / "t.csv", sep=";", index=False)
    column = profile(tmp_path / "t.csv")[0]["columns"][0]
    assert (column["kind"], column["doubt"]) == ("text", f"“{odd}” could be a number in two ways")


def test_long_texts_are_not_told_and_what_is_cut_all_the_same_is_an_error_for_a_person(tmp_path):
    pd.DataFrame({"t": ["é" * 9_000 + str(row) for row in range(150)] + ["short"]}).to_csv(tmp_path / "t.csv")
    assert profile(tmp_path / "t.csv")[0]["columns"][1]["values"] == ["short"]
    with pytest.raises(RuntimeError, match="too much"):
        asyncio.run(call(AsyncMock(probe=AsyncMock(return_value='[{"name": "t.c')), "profile"))


# ---- two tables
CASES = pd.DataFrame({"case": [1, 2, 3, 4], "code": ["01", "01", "02", "09"], "n": [1, 2, 3, 4]})
PLACES = {"place code": ["01", "02", "03"], "region": list("NNS"), "people": [100, 300, 1000], "name": list("pqr")}
PLACES = pd.DataFrame(PLACES)
ON = ("code", "place code")


def test_rows_are_joined_to_the_row_with_their_key(tmp_path):
    plan = Plan("table", on=ON, keys=(Key("region"),), measures=(Measure("count"),))
    result = carried_out(tmp_path, plan, cases=CASES, places=PLACES)
    assert dict(zip(result["region"], result["rows"], strict=True)) == {"N": 3}


@pytest.mark.parametrize(("key", "expected"), [
    ("region", {"N": 7.5, "S": None}), ("name", {"p": 20.0, "q": 1000 / 300, "r": None}),
])  # fmt: skip
def test_what_is_looked_up_is_divided_by_once_for_each_row_of_its_own_table(tmp_path, key, expected):
    plan = Plan("table", on=ON, keys=(Key(key),), measures=(Measure("ratio", "rows", "people", 1000),))
    result = carried_out(tmp_path, plan, cases=CASES, places=PLACES).set_index(key).iloc[:, 0]
    assert all(close(result[name], value) for name, value in expected.items())


def test_the_key_of_the_join_may_make_the_groups_of_a_ratio(tmp_path):
    plan = Plan("table", on=ON, keys=(Key("code"),), measures=(Measure("ratio", "n", "people"),))
    result = carried_out(tmp_path, plan, cases=CASES, places=PLACES).set_index("code").iloc[:, 0]
    assert close(result["01"], 3 / 100)


# ---- charts and files
@pytest.mark.parametrize(("output", "key"), [
    ("line", Key("g")), ("line", Key("day")), ("bar", Key("day", "month")), ("horizontal bar", Key("year")),
    ("stacked bar", Key("day", "month")), ("heatmap", Key("g")),
])  # fmt: skip
def test_a_chart_of_groups_shows_the_groups(tmp_path, output, key):
    times = {"year": [2020, 2020, 2021, 2021], "day": ["2024-01-02"] * 4}
    frame = pd.DataFrame({"g": list("aabb"), "h": list("xyxy"), "n": [1, 2, 3, 4], **times})
    across = Key("h") if output in {"stacked bar", "heatmap"} else None
    plan = Plan(output, keys=(key,), across=across, measures=(Measure("sum", "n"),))
    result = carried_out(tmp_path, plan, t=frame)
    assert result["n"].sum() == 10
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("plan", [
    Plan("pie", keys=(Key("g"),), measures=(Measure("count"),)),
    Plan("histogram", measures=(Measure("as it is", "n"),)), Plan("box", measures=(Measure("as it is", "n"),)),
    Plan("box", measures=(Measure("as it is", "n"),), keys=(Key("g"),)),
    Plan("scatter", measures=(Measure("as it is", "n"), Measure("as it is", "m"))),
    Plan("scatter", measures=(Measure("as it is", "n"), Measure("as it is", "m")), across=Key("g")),
    Plan("line", keys=(Key("m"),), measures=(Measure("mean", "n"), Measure("max", "n"))),
])  # fmt: skip
def test_every_other_chart_is_drawn(tmp_path, plan):
    frame = pd.DataFrame({"g": list("aab$"), "n": [1, 2, 3, 4], "m": [4, 2, 3, 9]})
    carried_out(tmp_path, plan, t=frame)


@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx", "json", "jsonl", "parquet", "md", "html"])
def test_a_table_is_written_as_its_name_says(tmp_path, ending):
    if ending in {"xlsx", "parquet"}:
        pytest.importorskip("openpyxl" if ending == "xlsx" else "pyarrow")
    frame = pd.DataFrame({"code": ["007", "010"], "n": [1.5, None]})
    carried_out(tmp_path, Plan("table", file=f"r.{ending}"), t=frame)
    written = (tmp_path / f"r.{ending}").read_bytes()
    assert written.startswith(b"PK") or b"007" in written


@pytest.mark.parametrize("plan", [
    Plan("table", measures=(Measure("mean", "g"),)), Plan("table", measures=(Measure("mean"),)),
    Plan("table", measures=(Measure("max", "g"),)), Plan("table", measures=(Measure("mode", "n"),)),
    Plan("table", filters=(RowFilter("n", "contains", ("1",)),)), Plan("table", filters=(RowFilter("n", ">", ()),)),
    Plan("table", new_columns=(NewColumn("c", "g", "*", "2"),)), Plan("table", order=Order("measure", True)),
    Plan("table", then="running total"), Plan("table", then="running total", measures=(Measure("sum", "n"),)),
    Plan("pivot", keys=(Key("g"),), measures=(Measure("count"),)), Plan("line", measures=(Measure("count"),)),
    Plan("scatter", measures=(Measure("as it is", "n"),)), Plan("table", file="r.exe"), Plan("bar", keys=(Key("g"),)),
    Plan("pie", keys=(Key("g"),), measures=(Measure("sum", "n"), Measure("count"))),
    Plan("pivot", across=Key("g"), measures=(Measure("count"),)), Plan("table", filters=(RowFilter("n", ">", ("x",)),)),
    Plan("table", new_columns=(NewColumn("c", "n", "+ print()\nn =", "n"),)), Plan("box", measures=(Measure("x", "n"),)),
    Plan("histogram", keys=(Key("g"),), measures=(Measure("as it is", "n"),), then="x\nprint()"),
])  # fmt: skip
def test_what_cannot_be_done_is_an_error_for_a_person(tmp_path, plan):
    pd.DataFrame({"g": ["a", "b"], "n": [1, 2]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(plans.PlanError, match=r"[.?]$"):
        program(replace(plan, file=plan.file or "r.csv"), [profile_of(one) for one in profile(tmp_path / "t.csv")], "")


@pytest.mark.parametrize(("period", "first", "last"), [
    ("2024", "2024-01-01", "2024-12-31"), ("2024-Q1", "2024-01-01", "2024-03-31"),
    ("2024-02", "2024-02-01", "2024-02-29"), ("2024-02-03", "2024-02-03", "2024-02-03"),
])  # fmt: skip
def test_a_period_has_a_first_and_a_last_day(period, first, last):
    assert days_of(period) == (first, last)


@pytest.mark.parametrize("period", ["2024-13", "2024-02-30", "soon", "2024-Q9"])
def test_a_period_that_is_none_is_an_error(period):
    with pytest.raises(plans.PlanError):
        days_of(period)


# ---- the JSON form and the words
def test_a_plan_is_read_from_json():
    filters = {"g": {"op": "in", "value": ["a"]}, "n": {"op": "between", "value": [1, 2]}}
    found = {
        "output": "line", "filters": filters, "group_by": ["day by month"], "across": "g", "limit": 3,
        "measures": [{"agg": "mean", "column": "n"}], "sort": {"by": "measure", "order": "descending"},
    }  # fmt: skip
    plan = plan_from_json(found, frozenset({"g", "n", "day"}))
    assert plan.filters == (RowFilter("g", "in", ("a",)), RowFilter("n", "between", (1, 2)))
    assert (plan.keys, plan.across) == ((Key("day", "month"),), Key("g"))
    assert (plan.order, plan.limit) == (Order("measure", descending=True), 3)
    listed = [{"column": name, **one} for name, one in filters.items()]
    assert plan_from_json({**found, "filters": listed, "then": None}, frozenset({"g", "n", "day"})) == plan


@pytest.mark.parametrize("found", [
    {}, {"output": "poem"}, {"output": "table", "measures": [{"agg": "mean", "column": "salary"}]},
    {"output": "table", "filters": {"salary": {"op": ">", "value": [1]}}}, {"output": "table", "filters": "all"},
    {"output": "table", "group_by": [3]}, {"output": "table", "limit": "many"},
    {"output": "table", "sort": {"by": "salary", "order": "up"}}, {"output": "table", "window": math.inf},
    {"output": "table", "sort": {"by": {"g": 1}, "order": "up"}}, {"output": ["table"], "then": ["change"]},
    {"output": "table", "filters": {"g": {"op": "in", "value": {"a": 1}}}},
    {"output": "pie", "measures": [{"agg": "percent that fit"}]}, {"output": "box", "filters": {"g": {"op": "between"}}},
    {"output": "table", "new_columns": [{"name": ["g"], "left": "n", "op": "+", "right": "1"}]},
])  # fmt: skip
def test_json_that_is_no_plan_is_an_error(found):
    with pytest.raises(plans.PlanError):
        plan_from_json(found, frozenset({"g"}))


def test_a_column_whose_name_ends_like_a_unit_is_that_column():
    plan = plan_from_json({"output": "table", "group_by": ["cases by month"]}, frozenset({"cases by month"}))
    assert plan.keys == (Key("cases by month"),)


@pytest.mark.parametrize(("plan", "words"), [
    (Plan("table", keys=(Key("country"),), measures=(Measure("mean", "pct"),)), "mean of **pct** per **country**, all rows"),
    (Plan("table", filters=(RowFilter("age", ">", (65,)), RowFilter("sex", "not in", ("F",)))), "the rows with all their columns, rows where **age** is over 65 and **sex** is not “F”"),
    (Plan("table", keys=(Key("d", "month"),), measures=(Measure("ratio", "rows", "people", 1000),), limit=3), "number of rows per 1,000 **people** per month of **d**, all rows, the first 3"),
    (Plan("line", keys=(Key("y"),), across=Key("g"), measures=(Measure("max", "n"),)), "line chart of largest **n** per **y**, one for each **g**, all rows"),
    (Plan("table", new_columns=(NewColumn("d", "a", "*", "b"),), order=Order("d", True), limit=5), "the rows with all their columns, all rows, where **d** is **a** × **b**, the 5 largest by **d**"),
])  # fmt: skip
def test_a_plan_is_read_back(plan, words):
    assert read_as(plan) == words


def test_words_of_a_plan_stay_on_one_line_and_are_no_markdown():
    bad = "<b>\nprint()"
    rows = Plan("table", filters=(RowFilter(bad, bad, (bad,)),), new_columns=(NewColumn(bad, "n", bad, bad),))
    drawn = Plan("line", keys=(Key(bad),), measures=(Measure(bad, bad),), then=bad, across=Key(bad))
    for plan in (rows, drawn, Plan("scatter", measures=(Measure("as it is", bad),))):
        assert "\n" not in plainly(plan) + title(plan)
        assert "<b>" not in read_as(plan).replace("\\<", "")
