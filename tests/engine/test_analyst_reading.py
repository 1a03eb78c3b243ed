"""Prompts to plans: what the analyst understands, and what it refuses. Nothing runs here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ipython_assistant.engine.models.analyst.naming import Names
from ipython_assistant.engine.models.analyst.plan import (
    Between,
    Chart,
    Compare,
    Describe,
    Group,
    How,
    InYears,
    Measure,
    OneOf,
    Plan,
    Rows,
    Sign,
    Top,
)
from ipython_assistant.engine.models.analyst.reading import NotUnderstood, Understood, read
from ipython_assistant.engine.models.analyst.refusal import examples, refusal
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Table
from ipython_assistant.engine.models.analyst.wording import in_words

DISTRICTS = ("District A", "District B", "St. Mary's", "Upper North", "Upper South")
DISTRICT = Column(" District ", Kind.TEXT, DISTRICTS, distinct=5, padded=True)
CODE = Column("IU code", Kind.TEXT, ("0101", "0102"), distinct=2, digits=True)
DISEASE = Column("Disease", Kind.TEXT, ("LF", "Oncho"), distinct=2)
YEAR = Column("MDA_year", Kind.YEAR, distinct=9, low=2016, high=2024, whole=True)
TARGETED = Column("pop. targeted", Kind.NUMBER, distinct=90, low=100, high=90000, whole=True)
TREATED = Column("pop. treated", Kind.NUMBER, distinct=90, low=100, high=80000, whole=True, floats=True)
COVERAGE = Column("Coverage (%)", Kind.NUMBER, distinct=80, low=40, high=99)
TABLE = Table("mda.csv", 100, (DISTRICT, CODE, DISEASE, YEAR, TARGETED, TREATED, COVERAGE))

ROUND = Column("round", Kind.NUMBER, distinct=2, low=1, high=2, whole=True)
START = Column("start date", Kind.DATE, distinct=20, low=2019, high=2021, date_format="%Y-%m-%d")
END = Column("end date", Kind.DATE, distinct=20, low=2019, high=2021, date_format="%Y-%m-%d")
SHARE = Column("share treated", Kind.NUMBER, distinct=20, low=0.2, high=0.98)
ROUNDS = Table("rounds.csv", 40, (ROUND, START, END, SHARE))

LF = OneOf(DISEASE, ("LF",))
DISTRICT_B = OneOf(DISTRICT, ("District B",))
MEAN, MAX, SUM = (Measure(COVERAGE, How.MEAN), Measure(COVERAGE, How.MAX), Measure(TREATED, How.SUM))


def line(*measures: Measure, over: Column = YEAR, series: Column | None = None) -> Chart:
    return Chart("line", measures or (Measure(COVERAGE),), over, series)


def bars(*measures: Measure, over: Column, series: Column | None = None) -> Chart:
    return Chart("bar", measures or (Measure(COVERAGE),), over, series)


def plans(prompt: str, *tables: Table) -> list[tuple[object, tuple[object, ...]]]:
    reading = read(prompt, tables or (TABLE,))
    assert isinstance(reading, Understood), reading
    return [(plan.task, plan.where) for plan in reading.plans]


def only_plan(prompt: str, *tables: Table) -> Plan:
    reading = read(prompt, tables or (TABLE,))
    assert isinstance(reading, Understood), reading
    assert len(reading.plans) == 1
    return reading.plans[0]


def refused(prompt: str, *tables: Table) -> NotUnderstood:
    reading = read(prompt, tables or (TABLE,))
    assert isinstance(reading, NotUnderstood), [in_words(plan, plain=True) for plan in reading.plans]
    return reading


@pytest.mark.parametrize(
    ("prompt", "task", "where"),
    [
        # charts
        ("Plot coverage by year for District B", line(), (DISTRICT_B,)),
        ("plot COVERAGE (%) by mda_year for district b", line(), (DISTRICT_B,)),
        ("Could you please draw me a line chart of the coverage by year, for District B only?", line(), (DISTRICT_B,)),
        ("plot coverage over time", line(), ()),
        ("coverage trend for LF", line(), (LF,)),
        ("plot coverage by year for each district", line(series=DISTRICT), ()),
        ("plot coverage by year, one line per disease", line(series=DISEASE), ()),
        ("Plot coverage by district and year for LF", line(series=DISTRICT), (LF,)),
        ("plot coverage by year for LF and Oncho", line(series=DISEASE), (OneOf(DISEASE, ("LF", "Oncho")),)),
        ("plot coverage by year as bars", bars(over=YEAR), ()),
        ("bar chart of mean coverage per district in 2020", bars(MEAN, over=DISTRICT), (InYears(YEAR, (2020,)),)),
        ("plot the average coverage by district", bars(MEAN, over=DISTRICT), ()),
        ("graph total pop. treated by year", line(SUM), ()),
        ("plot treated and targeted by year", line(Measure(TREATED), Measure(TARGETED)), ()),
        ("plot treated vs targeted by year", line(Measure(TREATED), Measure(TARGETED)), ()),
        ("plot coverage by year for LF vs Oncho", line(series=DISEASE), (OneOf(DISEASE, ("LF", "Oncho")),)),
        ("plot number of rows per year", line(Measure(None, How.COUNT)), ()),
        ("For LF, plot coverage by year", line(), (LF,)),
        # groups
        ("mean coverage per district", Group((MEAN,), (DISTRICT,)), ()),
        ("Average coverage by district and disease", Group((MEAN,), (DISTRICT, DISEASE)), ()),
        ("mean and max coverage per disease", Group((MEAN, MAX), (DISEASE,)), ()),
        ("mean coverage and total treated per year", Group((MEAN, SUM), (YEAR,)), ()),
        ("coverage by disease, mean", Group((MEAN,), (DISEASE,)), ()),
        ("total population treated per year", Group((SUM,), (YEAR,)), ()),
        ("what is the mean coverage?", Group((MEAN,), ()), ()),
        ("median pop targeted by IU code", Group((Measure(TARGETED, How.MEDIAN),), (CODE,)), ()),
        ("count rows per district", Group((Measure(None, How.COUNT),), (DISTRICT,)), ()),
        ("how many records per disease?", Group((Measure(None, How.COUNT),), (DISEASE,)), ()),
        ("Count by disease", Group((Measure(None, How.COUNT),), (DISEASE,)), ()),
        ("mean coverage per district for all rows", Group((MEAN,), (DISTRICT,)), ()),
        # describe, rows
        ("Describe the table", Describe(), ()),
        ("summary of the data", Describe(), ()),
        ("describe coverage for LF", Describe((COVERAGE,)), (LF,)),
        ("show rows where coverage is under 65%", Rows(), (Compare(COVERAGE, Sign.LESS, 65),)),
        ("list district, year and coverage for 2020", Rows((DISTRICT, YEAR, COVERAGE)), (InYears(YEAR, (2020,)),)),
        ("Rows for District B", Rows(), (DISTRICT_B,)),
        ("save the table as copy.csv", Rows(), ()),
        # top and bottom
        ("top 5 districts by mean coverage", Group((MEAN,), (DISTRICT,), Top(5, largest=True)), ()),
        ("the three districts with the lowest mean coverage", Group((MEAN,), (DISTRICT,), Top(3, largest=False)), ()),
        ("bottom 10 rows by coverage", Rows((), Top(10, largest=False), COVERAGE), ()),
        ("10 rows with the highest coverage in LF", Rows((), Top(10, largest=True), COVERAGE), (LF,)),
    ],
)
def test_a_prompt_is_read_as_this_plan(prompt, task, where):
    assert plans(prompt) == [(task, where)]


@pytest.mark.parametrize(
    ("words", "condition"),
    [
        ("for District B", DISTRICT_B),
        ("in district District B", DISTRICT_B),
        ("where district is 'District B'", DISTRICT_B),
        ("for st mary's", OneOf(DISTRICT, ("St. Mary's",))),
        ("for St. Mary's district", OneOf(DISTRICT, ("St. Mary's",))),
        ("for Upper North or Upper South", OneOf(DISTRICT, ("Upper North", "Upper South"))),
        ("for Upper North, Upper South and District A", OneOf(DISTRICT, ("Upper North", "Upper South", "District A"))),
        ("excluding District B", OneOf(DISTRICT, ("District B",), negated=True)),
        ("where disease is not LF", OneOf(DISEASE, ("LF",), negated=True)),
        ("for IU code 0101", OneOf(CODE, ("0101",))),
        ("in 2020", InYears(YEAR, (2020,))),
        ("2020", InYears(YEAR, (2020,))),
        ("for year 2020 only", InYears(YEAR, (2020,))),
        ("in 2019, 2020 and 2021", InYears(YEAR, (2019, 2020, 2021))),
        ("except 2020", InYears(YEAR, (2020,), negated=True)),
        ("since 2018", Compare(YEAR, Sign.AT_LEAST, 2018)),
        ("from 2018 onwards", Compare(YEAR, Sign.AT_LEAST, 2018)),
        ("after 2018", Compare(YEAR, Sign.MORE, 2018)),
        ("before 2018", Compare(YEAR, Sign.LESS, 2018)),
        ("until 2018", Compare(YEAR, Sign.AT_MOST, 2018)),
        ("from 2018 to 2020", Between(YEAR, 2018, 2020)),
        ("between 2018 and 2020", Between(YEAR, 2018, 2020)),
        ("2018-2020", Between(YEAR, 2018, 2020)),
        ("2018–2020", Between(YEAR, 2018, 2020)),
        ("where coverage is under 65%", Compare(COVERAGE, Sign.LESS, 65)),
        ("with coverage < 65", Compare(COVERAGE, Sign.LESS, 65)),
        ("with coverage of at least 62.5", Compare(COVERAGE, Sign.AT_LEAST, 62.5)),
        ("with at most 80% coverage", Compare(COVERAGE, Sign.AT_MOST, 80)),
        ("with more than 1,000 treated", Compare(TREATED, Sign.MORE, 1000)),
        ("where coverage is between 60 and 80", Between(COVERAGE, 60, 80)),
        ("where pop. treated >= 1000", Compare(TREATED, Sign.AT_LEAST, 1000)),
        ("where pop. treated is between 2000 and 2100", Between(TREATED, 2000, 2100)),
    ],
)
def test_words_about_rows_become_this_condition(words, condition):
    assert plans(f"mean coverage per disease {words}") == [(Group((MEAN,), (DISEASE,)), (condition,))]


def test_conditions_add_up():
    assert plans("mean coverage per district for LF in 2020 where pop targeted over 500 and under 9000") == [
        (
            Group((MEAN,), (DISTRICT,)),
            (LF, InYears(YEAR, (2020,)), Compare(TARGETED, Sign.MORE, 500), Compare(TARGETED, Sign.LESS, 9000)),
        )
    ]


def test_two_things_are_asked_for_at_once():
    reading = read("Plot coverage by year for District B and save the mean per district as by_district.csv", [TABLE])

    assert isinstance(reading, Understood)
    chart, means = reading.plans
    assert (chart.task, chart.where) == (line(), (DISTRICT_B,))
    assert chart.picture == "coverage_by_mda_year_district_b.png"
    assert (means.task, means.where, means.save) == (Group((MEAN,), (DISTRICT,)), (), "by_district.csv")


@pytest.mark.parametrize(
    "prompt",
    [
        "plot coverage by year for District B\nsave the mean per district as m.csv",
        "plot coverage by year for District B save the mean per district as m.csv",
        "- plot coverage by year for District B\n- save the mean per district as m.csv",
        "1. Plot coverage by year for District B\n2. Mean per district as m.csv",
        "Plot coverage by year\nfor District B, then save the mean\nper district as m.csv.",
        "Plot coverage by year for District B; also export the mean per district to m.csv",
    ],
)
def test_the_parts_of_a_prompt_are_told_apart_however_they_are_written(prompt):
    assert plans(prompt) == [(line(), (DISTRICT_B,)), (Group((MEAN,), (DISTRICT,)), ())]


def test_a_condition_that_heads_the_sentence_holds_for_all_of_it():
    assert plans("For LF, plot coverage by year and save the mean per district as x.csv") == [
        (line(), (LF,)),
        (Group((MEAN,), (DISTRICT,)), (LF,)),
    ]


def test_it_is_saved_under_the_name_that_was_given():
    assert only_plan("Plot coverage by year. Save it as trend.png").picture == "trend.png"
    assert only_plan("mean coverage per district, then save the table as m.csv").save == "m.csv"
    assert only_plan("save mean coverage per district as by_district").save == "by_district.csv"
    points = only_plan("Plot coverage by year and save the points as points.csv")
    assert (points.picture, points.save) == ("coverage_by_mda_year.png", "points.csv")


def test_names_made_from_the_plan_are_never_taken_ones():
    taken = frozenset({"coverage_by_mda_year.png", "Coverage_by_MDA_year_2.PNG"})
    reading = read("plot coverage by year", [TABLE], Names(taken))

    assert isinstance(reading, Understood)
    assert reading.plans[0].picture == "coverage_by_mda_year_3.png"


def test_a_slip_of_the_pen_in_a_column_name_is_corrected_and_said():
    plan = only_plan("average covrage by disrict")

    assert plan.task == Group((MEAN,), (DISTRICT,))
    assert plan.notes == ("“covrage” was read as **Coverage (%)**.", "“disrict” was read as **District**.")


@pytest.mark.parametrize("word", ["untreated", "county", "targetted by mistake", "covered"])
def test_a_word_that_is_another_word_is_no_slip(word):
    table = Table("t.csv", 9, (Column("country", Kind.TEXT, ("A1", "B1"), distinct=2), TREATED, YEAR))
    refused(f"plot {word} by year", table)


def test_columns_are_matched_in_other_scripts_and_without_accents():
    area = Column("Région", Kind.TEXT, ("Île-de-Nord", "Sud"), distinct=2)
    rate = Column("覆盖率", Kind.NUMBER, distinct=5, low=1, high=5)
    table = Table("t.csv", 9, (area, rate))

    assert plans("mean 覆盖率 per region", table) == [(Group((Measure(rate, How.MEAN),), (area,)), ())]
    assert plans('mean "覆盖率" for ile de nord', table) == [
        (Group((Measure(rate, How.MEAN),), ()), (OneOf(area, ("Île-de-Nord",)),))
    ]


def test_an_exact_name_wins_over_a_longer_one_and_a_quotation_over_both():
    short, long = Column("coverage", Kind.NUMBER, distinct=9), Column("coverage_target", Kind.NUMBER, distinct=9)
    table = Table("t.csv", 9, (long, short, YEAR))

    assert plans("plot coverage by mda year", table) == [(line(Measure(short)), ())]
    assert plans("plot coverage target by mda year", table) == [(line(Measure(long)), ())]
    assert plans("plot `coverage_target` by mda year", table) == [(line(Measure(long)), ())]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        # intents there are not
        ("forecast coverage for 2030", "forecast"),
        ("join mda.csv with districts.csv", "join"),
        ("pie chart of coverage by disease", "pie"),
        ("plot coverage by year with a trend line", "trend"),
        ("plot coverage by year on a log scale", "log scale"),
        ("mean coverage weighted by population targeted per district", "weighted"),
        # nouns that are not in the table
        ("plot coverage by month", "by month"),
        ("plot mortality by year", "mortality"),
        ("plot coverage by year for District C", "C"),
        ("plot coverage by year for Atlantis", "Atlantis"),
        ("mean coverage per district for women", "women"),
        ("plot coverage by year for Upper", "Upper"),
        ("plot coverage by year from cases.csv", "cases.csv"),
        # numbers and comparisons nothing took
        ("mean coverage per district 65", "65"),
        ("plot coverage by year over 80", "over 80"),
        ("plot coverage by year in 20", "20"),
        ("mean coverage per district at least", "least"),
        ("plot coverage by year, 95%", "95%"),
        ("how many districts reached 80% coverage?", "reached 80"),
        # words that would turn the meaning round
        ("plot coverage by year but not for the north", "north"),
        ("plot coverage by year for all districts", "all"),
        ("mean coverage across districts", "across"),
    ],
)
def test_what_no_rule_consumed_refuses_the_whole_prompt_and_is_named(prompt, words):
    unknown = " … ".join(refused(prompt).unknown)

    assert words in unknown


@pytest.mark.parametrize(
    ("prompt", "part"),
    [
        ("plot population by year", "**pop. targeted** or **pop. treated**"),
        ("Show coverage for District B", "It is not said what to do with **Coverage (%)**"),
        ("make a chart", "It is not said what to draw"),
        ("plot coverage", "not said what to draw over"),
        ("plot district by year", "**District** holds texts"),
        ("plot coverage by treated", "90 different numbers"),
        ("mean coverage vs treated per district", "set against each other"),
        ("coverage vs treated", "how the rows of a group become one"),
        ("plot coverage by year by district by disease", "too much to draw over"),
        ("plot coverage treated by year", "nothing that says how they belong together"),
        ("total coverage per district", "would add up shares"),
        ("count treated per district", "“Count” counts rows"),
        ("plot coverage from 2018", "has two readings"),
        ("mean coverage over the years", "has two readings"),
        ("plot mean coverage by year for LF and Oncho", "Several values of **Disease**"),
        ("mean coverage for LF Oncho", "Two values of **Disease**"),
        ("plot coverage by year for LF and save the mean per district as x.csv", "same rows (**Disease**)"),
        ("plot coverage by district since 2018 and save the mean per year as x.csv", "same rows (**MDA_year**)"),
        ("plot coverage by year excluding LF and 2020", "not clear how “2020” goes with **Disease** is not “LF”"),
        ("plot coverage by year excluding LF and District B", "not clear how “District B” goes with"),
        ("plot coverage by year for LF and District B", "not clear how “District B” goes with"),
        ("rows where treated over 1.000", "“1.000” could be 1 or 1000"),
        ("plot coverage by year and save the data as x.csv", "“save the points”"),
        ("plot coverage by year and save as excel", "“save the points”"),
        ("save the mean coverage per district as pdf", "“pdf”"),
        ("plot coverage by year for LF or District B", "“Or” joins values of two columns"),
        ("plot coverage by year as chart.svg", "has to end in .png, .csv, .tsv"),
        ("save mean coverage per district as ../x.csv", "without a path"),
        ("save mean coverage per district as /tmp/x.csv", "without a path"),
        ("save mean coverage per district as 'my table.csv'", "letters, digits"),
        ("save the mean coverage per district as mda.csv", "would be overwritten"),
        ("save the mean coverage per district as MDA.CSV", "would be overwritten"),
        ("plot coverage by year as a.png and save mean coverage per district as a.csv as b.csv", "Two file names"),
        ("mean coverage per district as a.csv. mean coverage per disease as a.csv", "same name"),
        ("bar chart and lines of coverage by year", "Lines and bars"),
        ("mean mean coverage per district", "of a mean"),
        ("top 5 by mean coverage", "It is not said of what the top is wanted"),
        ("", "Nothing is asked for"),
        ("please", "not said what to do"),
        ("save", "not said what to do"),
    ],
)
def test_what_cannot_be_done_without_guessing_is_refused_with_the_reason(prompt, part):
    reading = refused(prompt)

    assert reading.unknown == ()
    assert part in " ".join(reading.problems)


def test_a_share_in_percent_is_not_compared_with_fractions():
    assert plans("rows where share treated under 65%", ROUNDS) == [(Rows(), (Compare(SHARE, Sign.LESS, 0.65),))]
    assert "from 0.2 to 0.98" in " ".join(refused("rows where share treated under 65", ROUNDS).problems)
    assert plans("rows where share treated under 0.65", ROUNDS) == [(Rows(), (Compare(SHARE, Sign.LESS, 0.65),))]


def test_two_columns_of_dates_are_ambiguous_until_one_is_named():
    assert "**start date** or **end date**" in " ".join(refused("count rows in 2020", ROUNDS).problems)
    assert "**start date** or **end date**" in " ".join(refused("plot mean share by date", ROUNDS).problems)
    assert plans("count rows where start date is in 2020", ROUNDS)[0][1] == (InYears(START, (2020,)),)
    assert plans("count rows where end date since 2020-03-01", ROUNDS)[0][1] == (
        Compare(END, Sign.AT_LEAST, "2020-03-01"),
    )


def test_years_after_a_number_column_are_years_where_the_table_has_them():
    total = Group((SUM,), (DISTRICT,))

    assert plans("total pop treated between 2018 and 2020 per district") == [(total, (Between(YEAR, 2018, 2020),))]
    assert plans("total treated up to 2020 per district") == [(total, (Compare(YEAR, Sign.AT_MOST, 2020),))]
    assert plans("plot coverage from 2018 to 2020 by year") == [(line(), (Between(YEAR, 2018, 2020),))]


def test_a_whole_number_with_few_values_makes_groups_and_conditions():
    mean = Measure(SHARE, How.MEAN)

    assert plans("mean share treated per round", ROUNDS) == [(Group((mean,), (ROUND,)), ())]
    assert plans("mean share treated in round 2", ROUNDS) == [(Group((mean,), ()), (Compare(ROUND, Sign.EQUAL, 2),))]
    assert "3" in refused("mean share treated in round 3", ROUNDS).unknown


def test_columns_called_like_small_words_are_found_where_nothing_else_makes_sense():
    a, to = Column("a", Kind.TEXT, ("x", "y"), distinct=2), Column("to", Kind.NUMBER, distinct=9)
    when = Column("when", Kind.NUMBER, distinct=9)
    table = Table("t.csv", 9, (a, to, when))

    assert plans("make a bar chart of mean to by a", table) == [(bars(Measure(to, How.MEAN), over=a), ())]
    assert plans("mean when", table) == [(Group((Measure(when, How.MEAN),), ()), ())]


def test_a_value_of_two_columns_is_ambiguous_until_the_column_is_named():
    zone = Column("zone", Kind.TEXT, ("North", "South"), distinct=2)
    region = Column("region", Kind.TEXT, ("North", "Centre"), distinct=2)
    table = Table("t.csv", 9, (zone, region, COVERAGE))

    assert "**zone** and **region**" in " ".join(refused("mean coverage for North", table).problems)
    assert plans("mean coverage for region North", table)[0][1] == (OneOf(region, ("North",)),)
    assert plans("mean coverage in the North zone", table)[0][1] == (OneOf(zone, ("North",)),)


def test_values_that_are_words_of_the_grammar_need_their_column():
    answer = Column("answered", Kind.BOOL, ("No", "Yes"), distinct=2, digits=True)
    grade = Column("grade", Kind.TEXT, ("A", "B", "Total"), distinct=3)
    table = Table("t.csv", 9, (answer, grade, COVERAGE))

    assert plans("mean coverage where answered is Yes", table)[0][1] == (OneOf(answer, ("Yes",)),)
    assert plans("mean coverage for grade A", table)[0][1] == (OneOf(grade, ("A",)),)
    assert plans("mean coverage as a table per grade", table)[0] == (Group((MEAN,), (grade,)), ())
    assert plans("rows where grade is Total", table) == [(Rows(), (OneOf(grade, ("Total",)),))]


def test_a_number_is_not_taken_for_a_value_that_looks_like_a_comparison():
    age = Column("age", Kind.TEXT, ("<5", "5-14", "15+"), distinct=3)
    table = Table("t.csv", 9, (age, COVERAGE))

    assert plans("rows where coverage <5", table)[0][1] == (Compare(COVERAGE, Sign.LESS, 5),)
    assert plans("mean coverage for age 5-14", table)[0][1] == (OneOf(age, ("5-14",)),)
    assert plans("mean coverage for age <5", table)[0][1] == (OneOf(age, ("<5",)),)
    refused("mean coverage for 5-14", table)


def test_a_column_called_like_a_word_of_the_grammar_is_quoted_or_refused():
    outcome = Column("Result", Kind.NUMBER, distinct=30, low=1, high=9)
    plot = Column("Plot", Kind.TEXT, ("P1", "P2"), distinct=2)
    table = Table("t.csv", 9, (plot, outcome))

    assert plans("Plot mean result by plot", table) == [(bars(Measure(outcome, How.MEAN), over=plot), ())]
    assert plans("mean 'Result' per Plot", table) == [(Group((Measure(outcome, How.MEAN),), (plot,)), ())]
    assert "a word I use" in " ".join(refused("list plot and result", table).problems)


def test_the_table_is_the_one_whose_columns_are_named():
    reading = read("plot mean coverage by year", [ROUNDS, TABLE])

    assert isinstance(reading, Understood)
    assert reading.plans[0].table is TABLE


def test_a_request_that_fits_two_tables_is_refused_until_the_file_is_named():
    other = Table("other.csv", 5, TABLE.columns)
    reading = read("plot mean coverage by year", [TABLE, other])

    assert isinstance(reading, NotUnderstood)
    assert "**mda.csv** and **other.csv**" in reading.problems[0]
    named = read("plot mean coverage by year in other.csv", [TABLE, other])
    assert isinstance(named, Understood)
    assert named.plans[0].table is other
    assert "**mda.csv** and **other.csv**" in refusal(reading, [TABLE, other])


def test_a_refusal_says_what_was_understood_what_was_not_and_what_works():
    prompt = "plot coverage by year for Upper Nroth"
    text = refusal(refused(prompt), [TABLE])

    assert "No model was used" in text
    assert "I understood: a chart, **Coverage (%)**, by **MDA_year**." in text
    assert "I did not understand: “Upper Nroth”." in text
    assert "“Upper North” (**District**)" in text


HOSTILE_NAMES = [
    "'); import os #",
    'a`b"c',
    "x\ny",
    "{braces}",
    "](javascript:alert(1))",
    "a|b",
    "$x$",
    "mean",
    "by",
    "2020",
    "%",
    "",
]


@pytest.mark.parametrize(
    "tables",
    [
        [TABLE],
        [ROUNDS],
        [TABLE, ROUNDS],
        [TABLE, Table("other.csv", 5, TABLE.columns)],
        [Table("t.csv", 3, (Column("only text", Kind.TEXT, ("x", "y"), distinct=2),))],
        [Table("t.csv", 3, (Column("n", Kind.NUMBER, distinct=3, low=1, high=3, whole=True),))],
        [Table("t.csv", 0, (Column("empty", Kind.EMPTY),))],
        [Table("copy.csv", 3, tuple(Column(name, Kind.NUMBER, distinct=900) for name in HOSTILE_NAMES))],
        [Table("t.csv", 3, tuple(Column(name, Kind.TEXT, ("v",), distinct=1) for name in HOSTILE_NAMES))],
    ],
)
def test_three_examples_are_offered_and_none_of_them_is_refused(tables):
    prompts = examples(tables)

    assert len(prompts) == 3
    for prompt in prompts:
        assert isinstance(read(prompt, tables), Understood), prompt


def test_the_analyst_leaves_pandas_out_of_the_engine_process():
    code = "import sys, ipython_assistant.engine.models.analyst as a; a.Analyst(); print('pandas' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "False"
