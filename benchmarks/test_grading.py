"""The grader of the prompts: what is right is right; one wrong number, label or place is not; a refusal is neither."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from prompts.grading import SETS, Axes, Entry, File, Outcome, Plot, Table, Value, grade, load_entries

MEANS = pd.DataFrame({"clinic": ["Harbour", "Old Mill"], "wait": [41.256, 28.5]})
CODES = pd.DataFrame({"code": ["003", "017"], "day": ["2024-01-01", "2024-01-02"], "n": [4, None]})
PICTURE = {"chart.png": b"\x89PNG"}


def entry(*accepted, expect="table", text="avg wait by clinic"):
    return Entry("some-id", "group", ("visits.csv",), text, expect, accepted)  # type: ignore[arg-type]


def answered(text="", logs="", figures=(), **files):
    named = {name.replace("_", "."): one.encode() if isinstance(one, str) else one for name, one in files.items()}
    return Outcome("completed", text, logs, named | (PICTURE if figures else {}), figures)


@pytest.mark.parametrize("expect", ["table", "value", "plot", "file"])
def test_a_refusal_or_a_failure_is_no_silent_mistake_but_no_answer_either(expect):
    asked = entry(Table(MEANS), expect=expect)
    assert grade(asked, Outcome("refused", "I did not understand 'clinic'.")) == "refused"
    assert grade(asked, Outcome("failed", "KeyError")) == "refused"


def test_where_a_refusal_is_due_it_is_right_and_an_answer_is_wrong():
    asked = entry(expect="refusal", text="average salary")
    assert grade(asked, Outcome("refused", "No column is called salary.")) == "right"
    assert grade(asked, answered(out_csv="clinic,wait\nHarbour,41.256\n")) == "wrong"
    assert grade(asked, answered()) == "wrong"


@pytest.mark.parametrize(
    "content",
    [
        "clinic,wait\nHarbour,41.256\nOld Mill,28.5\n",
        "clinic,mean wait\nold mill ,28.50\nHARBOUR,41.26\n",  # another order, name and case; rounded
        "clinic,n,wait\nHarbour,81,41.3\nOld Mill,67,28.5\n",  # a column more
        "clinic,wait\nHarbour,41.256\nOld Mill,28.5\nTotal,35.2\n",  # a total nobody asked for
        "statistic,Harbour,Old Mill\nmean,41.256,28.5\n",  # lying on its side
    ],
)
def test_a_table_with_the_right_rows_is_right_however_it_is_dressed(content):
    assert grade(entry(Table(MEANS)), answered(out_csv=content)) == "right"


@pytest.mark.parametrize(
    "content",
    [
        "clinic,wait\nHarbour,28.5\nOld Mill,41.256\n",  # the numbers of each other
        "clinic,wait\nHarbour,41.9\nOld Mill,28.5\n",
        "clinic,wait\nHarbour,41\nOld Mill,28.5\n",  # cut to whole minutes
        "clinic,wait\nHarbour,41.256\n",
        "clinic,wait\nHarbour,41.256\nOld Mill,28.5\nNørrevej,22.1\n",
        "clinic,wait\nHarbor,41.256\nOld Mill,28.5\n",
        "clinic,wait\n",
    ],
)
def test_a_table_with_a_wrong_number_label_or_row_is_wrong(content):
    assert grade(entry(Table(MEANS)), answered(out_csv=content)) == "wrong"


def test_the_order_counts_where_one_was_asked_for():
    asked = entry(Table(MEANS, order=("wait",)))
    assert grade(asked, answered(out_csv="clinic,wait\nHarbour,41.256\nOld Mill,28.5\n")) == "right"
    assert grade(asked, answered(out_csv="clinic,wait\nOld Mill,28.5\nHarbour,41.256\n")) == "wrong"


def test_the_columns_of_a_pivot_must_carry_the_names_of_the_groups():
    pivot = pd.DataFrame({"clinic": ["Harbour", "Old Mill"], "F": [3, 5], "M": [3, 7]})
    asked = entry(Table(pivot, named=True))
    assert grade(asked, answered(out_csv="clinic,F,M\nHarbour,3,3\nOld Mill,5,7\n")) == "right"
    assert grade(asked, answered(out_csv="clinic,M,F\nHarbour,3,3\nOld Mill,5,7\n")) == "wrong"


def test_an_empty_result_is_right_only_if_nothing_was_to_be_found():
    asked = entry(Table(MEANS.iloc[:0]))
    assert grade(asked, answered(out_csv="clinic,wait\n")) == "right"
    assert grade(asked, answered(out_csv="clinic,wait\nHarbour,41.256\n")) == "wrong"


def test_a_table_may_stand_in_the_text_or_be_printed_unless_a_kind_of_file_was_asked_for():
    in_text = "Here it is.\n\n| clinic | wait |\n|:--|--:|\n| Harbour | 41.26 |\n| Old Mill | 28.50 |\n"
    printed = MEANS.to_string(index=False)
    series = MEANS.set_index("clinic")["wait"].to_string()
    for outcome in (answered(text=in_text), answered(logs=printed), answered(logs=series)):
        assert grade(entry(Table(MEANS)), outcome) == "right"
        assert grade(entry(Table(MEANS, suffix=".xlsx")), outcome) == "wrong"


def test_an_input_that_comes_back_is_no_answer():
    assert grade(entry(Table(MEANS)), answered(visits_csv=MEANS.to_csv(index=False))) == "wrong"


@pytest.mark.parametrize("label", ["2024-02", "Feb 2024", "february", "2024-02-01", "2024-02-29 00:00:00"])
def test_a_month_may_be_spelt_in_many_ways(label):
    asked = entry(Table(pd.DataFrame({"month": [pd.Period("2024-02")], "n": [7]})))
    assert grade(asked, answered(out_csv=f"month,n\n{label},7\n")) == "right"
    assert grade(asked, answered(out_csv="month,n\n2024-03,7\n")) == "wrong"


@pytest.mark.parametrize(("freq", "label"), [("Q", "2024Q1"), ("Q", "Q1 2024"), ("Q", "2024-03-31"), ("W", "2024-W07")])
def test_a_quarter_and_a_week_may_be_spelt_in_many_ways(freq, label):
    asked = entry(Table(pd.DataFrame({"when": [pd.Period("2024-02-13", freq)], "n": [7]})))
    assert grade(asked, answered(out_csv=f"when,n\n{label},7\n")) == "right"
    assert grade(asked, answered(out_csv="when,n\n2024-09-30,7\n")) == "wrong"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The mean is 91.36 EUR.", "right"),
        ("The mean is 91.358.", "right"),
        ("The mean is 91.5.", "wrong"),
        ("The mean is 191.358.", "wrong"),
        ("```python\n91.358\n```\nDone.", "wrong"),
        ("| visit | cost |\n|--|--|\n| a | 91.358 |\n| b | 3 |", "wrong"),
        ("", "wrong"),
    ],
)
def test_a_number_must_be_said_outside_of_code_and_longer_tables(text, verdict):
    assert grade(entry(Value(91.35785), expect="value"), answered(text=text)) == verdict


def test_a_number_may_be_a_table_of_one_row_and_not_an_echo_of_the_prompt():
    asked = entry(Value(65), expect="value", text="how many are over 65")
    assert grade(asked, answered(out_csv="n\n65\n")) == "right"
    assert grade(asked, answered(out_csv="n\n65\n12\n")) == "wrong"
    assert grade(asked, answered(text="You asked: how many are over 65")) == "wrong"


def test_a_label_must_be_said_without_its_rivals_or_lead_a_ranking():
    asked = entry(Value("Harbour", ("Old Mill", "Nørrevej")), expect="value", text="busiest clinic?")
    ranking = pd.DataFrame({"clinic": ["Harbour", "Old Mill", "Nørrevej"], "n": [81, 67, 36]})
    assert grade(asked, answered(text="It is harbour, with 81 visits.")) == "right"
    assert grade(asked, answered(text="Old Mill")) == "wrong"
    assert grade(asked, answered(text="Harbour and Old Mill")) == "wrong"
    assert grade(asked, answered(text="The harbourmaster")) == "wrong"
    assert grade(asked, answered(out_csv=ranking.to_csv(index=False))) == "right"
    assert grade(asked, answered(out_csv=ranking[::-1].to_csv(index=False))) == "wrong"
    assert grade(asked, answered(out_csv=ranking.iloc[[0, 2, 1]].to_csv(index=False))) == "wrong"


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("csv", CODES.to_csv(index=False)),
        ("tsv", CODES.to_csv(index=False, sep="\t")),
        ("json", CODES.to_json(orient="records")),
        ("json", CODES.to_json()),
        ("html", f"<html><body>{CODES.to_html(index=False)}</body></html>"),
        ("html", CODES.to_html()),  # with the row numbers pandas adds
        ("md", "| code | day | n |\n|---|---|---|\n| 003 | 2024-01-01 | 4 |\n| 017 | 2024-01-02 | |\n"),
    ],
)
def test_a_converted_file_is_right_if_it_reads_back_equal(suffix, content):
    asked = entry(File(CODES, (f".{suffix}",)), expect="file")
    assert grade(asked, answered(**{f"out_{suffix}": content})) == "right"
    assert grade(asked, answered(**{f"out_{suffix}": content.replace("003", "3")})) == "wrong"
    assert grade(asked, answered(**{f"out_{suffix}": content.replace("code", "codes")})) == "wrong"
    assert grade(asked, answered(out_txt=content)) == "wrong"


def test_excel_and_parquet_files_are_read_back_too():
    for module, suffix, write in (("openpyxl", "xlsx", CODES.to_excel), ("pyarrow", "parquet", CODES.to_parquet)):
        pytest.importorskip(module)
        content = io.BytesIO()
        write(content, index=False)
        found = answered(**{f"out_{suffix}": content.getvalue()})
        assert grade(entry(File(CODES, (f".{suffix}",)), expect="file"), found) == "right"
        assert grade(entry(File(CODES[::-1], (f".{suffix}",)), expect="file"), found) == "wrong"


BARS = Plot(("line", "bar"), {"": (["a", "b"], [1.5, 2.5])}, order=True)
PAIR = Plot(("stacked",), {"F": (["a", "b"], [1, 2]), "M": (["a", "b"], [3, 0])})


@pytest.mark.parametrize(
    ("expected", "axes", "verdict"),
    [
        (BARS, Axes(bars=(("", ("a", "b"), (1.5, 2.5)),)), "right"),
        (BARS, Axes(lines=(("x", ("a", "b"), (1.5, 2.5)),)), "right"),
        (BARS, Axes(bars=(("", ("b", "a"), (2.5, 1.5)),)), "wrong"),
        (BARS, Axes(bars=(("", ("a", "b"), (2.5, 1.5)),)), "wrong"),
        (BARS, Axes(bars=(("", ("a", "c"), (1.5, 2.5)),)), "wrong"),
        (BARS, Axes(bars=(("", ("a", "b", "c"), (1.5, 2.5, 3)),)), "wrong"),
        (BARS, Axes(points=((0, 1.5), (1, 2.5))), "wrong"),
        (PAIR, Axes(bars=(("M", ("a",), (3,)), ("F", ("b", "a"), (2, 1))), stacked=True), "right"),
        (PAIR, Axes(bars=(("M", ("a",), (3,)), ("F", ("b", "a"), (2, 1)))), "wrong"),
        (PAIR, Axes(bars=(("F", ("a",), (3,)), ("M", ("b", "a"), (2, 1))), stacked=True), "wrong"),
        (Plot(("hist",), {"": ((), [1, 2, 2, None])}), Axes(bins=(("", (0, 1.5, 3), (1, 2)),)), "right"),
        (Plot(("hist",), {"": ((), [1, 2, 2, 9])}), Axes(bins=(("", (0, 1.5, 3), (1, 2)),)), "wrong"),
        (Plot(("box",), {"": (["a", "b"], [1, 2])}), Axes(boxes=(("b", 2), ("a", 1))), "right"),
        (Plot(("box",), {"": (["a", "b"], [1, 2])}), Axes(boxes=(("b", 1), ("a", 2))), "wrong"),
        (Plot(("scatter",), {"": ([1, 2], [3, 4])}), Axes(points=((2, 4), (1, 3))), "right"),
        (Plot(("scatter",), {"": ([1, 2], [3, 4])}), Axes(points=((3, 1), (4, 2))), "wrong"),
        (Plot(("heatmap",), {"r": (["a", "b"], [1, 2])}), Axes(grids=((("a", "b"), ("r",), ((1,), (2,))),)), "right"),
        (Plot(("heatmap",), {"r": (["a", "b"], [1, 2])}), Axes(grids=((("r",), ("a", "b"), ((2, 1),)),)), "wrong"),
    ],
)
def test_a_picture_is_right_if_its_axes_show_the_series_and_no_other(expected, axes, verdict):
    assert grade(entry(expected, expect="plot"), answered(figures=(axes,))) == verdict


def test_axes_without_a_picture_among_the_files_are_no_plot():
    drawn = Axes(bars=(("", ("a", "b"), (1.5, 2.5)),))
    assert grade(entry(BARS, expect="plot"), Outcome("completed", figures=(drawn,))) == "wrong"


DRAWING = """
import matplotlib.pyplot as plt
import pandas as pd

table = pd.read_csv("table.csv", parse_dates=["day"])
table.groupby(table["day"].dt.to_period("M"))["n"].sum().plot()
plt.savefig("line.png"); plt.close()
table.groupby("who")["n"].sum().sort_values().plot.barh(); plt.savefig("bars.png"); plt.close()
figure, axes = plt.subplots(); axes.hist(table["n"], bins=2); figure.savefig("hist.png"); plt.close(figure)
table.boxplot("n", by="who"); plt.close("all")
table.plot.scatter(x="n", y="m"); plt.close()
figure, axes = plt.subplots()
cells = axes.imshow(table[["n", "m"]].corr()); axes.set_xticks([0, 1], ["n", "m"]); axes.set_yticks([0, 1], ["n", "m"])
figure.colorbar(cells)
"""


READING = """
import json, sys
from prompts.figures import Reader
reader = Reader()
exec(sys.stdin.read(), {})
reader.read_the_rest()
print(json.dumps(reader.taken()))
"""


def drawn_by(code, folder):
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", READING]
    done = subprocess.run(command, input=code, cwd=folder, env=path, text=True, capture_output=True, check=True)
    return [Axes(**{name: as_tuples(part) for name, part in one.items()}) for one in json.loads(done.stdout)]


def as_tuples(part):
    return tuple(map(as_tuples, part)) if isinstance(part, list) else part


def test_what_is_drawn_is_read_from_the_axes(tmp_path):
    lines = ["day,who,n,m", "2024-01-05,a,1,4", "2024-01-09,b,2,3", "2024-02-02,a,6,8"]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    line, bars, hist, box, scatter, grid = drawn_by(DRAWING, tmp_path)
    assert [one[1:] for one in line.lines] == [(("2024-01", "2024-02"), (3, 6))]
    assert [one[1:] for one in bars.bars] == [(("a", "b"), (7, 2))]
    assert [one[1:] for one in hist.bins] == [((1, 3.5, 6), (2, 1))]
    assert box.boxes == (("a", 3.5), ("b", 2))
    assert scatter.points == ((1, 4), (2, 3), (6, 8))
    ((down, across, cells),) = grid.grids
    assert (down, across, cells[0][0]) == (("n", "m"), ("n", "m"), 1)
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "line.png", "bars.png", "hist.png"}


@pytest.fixture(scope="module")
def sets():
    pytest.importorskip("openpyxl")
    pytest.importorskip("pyarrow")
    return {which: load_entries(which) for which in SETS}


@pytest.fixture(scope="module", params=list(SETS))
def entries(request, sets):
    return sets[request.param]


def test_there_are_a_hundred_prompts_and_twice_forty_more_and_none_stands_twice(sets):
    sizes = {which: Counter(one.expect == "refusal" for one in entries) for which, entries in sets.items()}
    assert sizes == {"first": {False: 85, True: 15}, "second": {False: 34, True: 6}, "third": {False: 33, True: 7}}
    every = [one for entries in sets.values() for one in entries]
    assert len({one.id for one in every}) == len({one.text.lower() for one in every}) == 180


def test_each_prompt_has_its_answers_or_none_to_give(entries):
    assert [one.id for one in entries if (one.expect == "refusal") != (not one.accepted)] == []


def test_no_number_that_is_right_could_be_met_by_chance_as_the_size_of_a_table(sets):
    answers = [answer for entries in sets.values() for one in entries for answer in one.accepted]
    sizes = {size for answer in answers if isinstance(answer, File) for size in answer.frame.shape}
    said = {answer.value for answer in answers if isinstance(answer, Value)}
    assert {225, 194, 192, 40, 160, 300} <= sizes
    assert not sizes & said


def written(answer):
    """The answer as a careful assistant would give it."""
    if isinstance(answer, Value):
        return answered(text=f"It is {answer.value}.")
    if isinstance(answer, Table) and not answer.suffix:
        return answered(out_csv=answer.frame.to_csv(index=False))
    if isinstance(answer, File) and ".json" in answer.suffixes:
        return answered(out_json=json.dumps(json.loads(answer.frame.to_json(orient="records"))))
    if isinstance(answer, Plot) and answer.kinds[0] in {"line", "bar", "stacked"}:
        series = tuple((name, tuple(map(str, x)), tuple(map(float, y))) for name, (x, y) in answer.series.items())
        lines = answer.kinds[0] == "line"
        return answered(figures=(Axes(lines=series) if lines else Axes(bars=series, stacked=len(series) > 1),))
    return None


@pytest.mark.slow
def test_every_answer_that_is_right_is_graded_so(entries):
    outcomes = [(one, found) for one in entries for answer in one.accepted if (found := written(answer))]
    assert len({one.id for one, _ in outcomes}) > len(entries) / 2
    assert [one.id for one, found in outcomes if grade(one, found) != "right"] == []


@pytest.mark.slow
def test_the_right_answer_of_one_prompt_is_wrong_for_the_others(entries):
    outcomes = [(one, found) for one in entries if one.accepted and (found := written(one.accepted[0]))]
    mistaken = {
        (one.id, other.id)
        for one, found in outcomes
        for other in entries
        if other is not one and other.tables == one.tables and grade(other, found) == "right"
    }
    lists_the_diagnoses_too = {(one, "v-distinct") for one in ("v-cost-two-keys", "v-share", "v-pivot")}
    only_the_order_differs = {("v-mean-wait-polite", "v-mean-wait")}
    of_this_set = {(one.id, other.id) for one in entries for other in entries}
    assert mistaken - lists_the_diagnoses_too == only_the_order_differs & of_this_set


@pytest.mark.slow
def test_one_cell_off_is_wrong(entries):
    graded = {}
    for one in entries:
        for answer in one.accepted:
            if isinstance(answer, Table) and not answer.subset and not answer.suffix:
                spoilt = answer.frame.astype(object)
                last = spoilt.iloc[-1, -1]
                spoilt.iloc[-1, -1] = f"{last}x" if isinstance(last, str) else 1234.5
                alone = dataclasses.replace(one, accepted=(answer,))
                graded[one.id] = grade(alone, answered(out_csv=spoilt.to_csv(index=False)))
    assert set(graded.values()) == {"wrong"}
    assert len(graded) >= len(entries) / 2
