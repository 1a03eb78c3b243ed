# ruff: noqa: E501 one line for each case
"""Question against plan, both ways: what was left out or made up is named; what is right passes."""

import jsonschema
import pytest

from ipython_assistant.engine.models import Ask
from ipython_assistant.engine.models.plan.checks import compared, mostly_unknown, unknown_words
from ipython_assistant.engine.models.plan.english import bound_numbers
from ipython_assistant.engine.models.plan.mentions import mentions_in
from ipython_assistant.engine.models.plan.plan import Key, Measure, NewColumn, Order, Plan, RowFilter
from ipython_assistant.engine.models.plan.reader import checked_program, question_of, unreadable
from ipython_assistant.engine.models.plan.schema import schema_for
from ipython_assistant.engine.models.plan.settle import mended, settled
from ipython_assistant.engine.models.table_profiles import Column, TableProfile

VISITS = TableProfile("visits.csv", "visits.csv", 'pd.read_csv("visits.csv")', 200, (
        Column("Visit ID", "text", distinct=200, unique=True),
        Column("Visit Date", "date", low="2023-01-02", high="2024-06-24", grain="day"),
        Column("Clinic", "text", values=("Harbour", "Old Mill", "São Bento"), distinct=3),
        Column("Sex", "text", values=("F", "M"), distinct=2),
        Column("Age (years)", "number", low=1.0, high=93.0, whole=True),
        Column("Wait (min)", "number", low=5.9, high=99.1), Column("Cost (EUR)", "number", low=11.5, high=397.0),
        Column("Coverage (%)", "number", low=1.0, high=99.0),
        Column("Follow-up", "yes/no", values=("No", "Yes", "yes")),
))  # fmt: skip
MEAN_WAIT = Measure("mean", "Wait (min)")
BY_CLINIC = (Key("Clinic"),)
COUNT = Measure("count")


def failures(question, plan):
    return " ".join(compared(plan, mentions_in(question, (VISITS,)), (VISITS,))[0])


RIGHT = [
    ("mean wait per clinic", Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,))),
    ("averge waits by clinics, longest first", Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,), order=Order("measure", True))),
    ("visits per month", Plan("table", keys=(Key("Visit Date", "month"),), measures=(COUNT,))),
    ("average wait excluding Harbour", Plan("table", filters=(RowFilter("Clinic", "not in", ("Harbour",)),), measures=(MEAN_WAIT,))),
    ("average wait at Sao Bento", Plan("table", filters=(RowFilter("Clinic", "in", ("Sao Bento",)),), measures=(MEAN_WAIT,))),
    ("patients over 65", Plan("table", filters=(RowFilter("Age (years)", ">", (65,)),))),
    ("number of visits by women", Plan("table", filters=(RowFilter("Sex", "in", ("women",)),), measures=(COUNT,))),
    ("how many visits have a follow-up", Plan("table", filters=(RowFilter("Follow-up", "is", ("yes",)),), measures=(COUNT,))),
    ("visits in March 2023", Plan("table", filters=(RowFilter("Visit Date", "in", ("2023-03",)),))),
    ("top 3 visits by cost", Plan("table", order=Order("Cost (EUR)", True), limit=3)),
    ("plot mean wait over time", Plan("line", keys=(Key("Visit Date"),), measures=(MEAN_WAIT,))),
    ("cost per minute = cost / wait", Plan("table", new_columns=(NewColumn("cost per minute", "Cost (EUR)", "/", "Wait (min)"),))),
    ("visits that cost not more than 20", Plan("table", filters=(RowFilter("Cost (EUR)", "<=", (20,)),))),
    ("what percentage of visits had a follow-up", Plan("table", measures=(Measure("percent that fit", part=(RowFilter("Follow-up", "is", ("yes",)),)),))),
]  # fmt: skip


@pytest.mark.parametrize(("question", "plan"), RIGHT, ids=[question for question, _ in RIGHT])
def test_a_plan_that_does_what_is_said_passes(question, plan):
    assert failures(question, plan) == ""


WRONG = [
    ("mean wait per clinic", Plan("table", measures=(MEAN_WAIT,)), "clinic"),
    ("mean wait per clinic", Plan("table", keys=BY_CLINIC, measures=(Measure("mean", "Cost (EUR)"),)), "wait"),
    ("mean wait per clinic", Plan("table", keys=BY_CLINIC, measures=(Measure("median", "Wait (min)"),)), "mean"),
    ("mean salary per clinic", Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,)), "salary"),
    ("average wait at Harbour", Plan("table", measures=(MEAN_WAIT,)), "Harbour"),
    ("average wait excluding Harbour", Plan("table", filters=(RowFilter("Clinic", "in", ("Harbour",)),), measures=(MEAN_WAIT,)), "Harbour"),
    ("average wait at Harbour", Plan("table", filters=(RowFilter("Clinic", "not in", ("Harbour",)),), measures=(MEAN_WAIT,)), "Harbour"),
    ("patients over 65", Plan("table"), "65"),
    ("patients over 65", Plan("table", filters=(RowFilter("Age (years)", "<", (65,)),)), "over"),
    ("mean cost of patients over 65", Plan("table", filters=(RowFilter("Cost (EUR)", ">", (65,)),), measures=(Measure("mean", "Cost (EUR)"),)), "65"),
    ("visits in March 2023", Plan("table", filters=(RowFilter("Visit Date", "in", ("2023",)),)), "March 2023"),
    ("visits in July 2025", Plan("table", filters=(RowFilter("Visit Date", "in", ("2025-07",)),)), "2025-07"),
    ("visits with an age of 2030", Plan("table", filters=(RowFilter("Age (years)", "==", (2030,)),)), "2030 is not in it"),
    ("visits without a follow-up", Plan("table", filters=(RowFilter("Follow-up", "is", ("yes",)),)), "without"),
    ("drop visits before 2024", Plan("table", filters=(RowFilter("Visit Date", "before", ("2024",)),)), "before"),
    ("top 10", Plan("table", limit=10), "10"),
    ("monthly mean and max cost", Plan("table", keys=(Key("Visit Date", "month"),), measures=(Measure("mean", "Cost (EUR)"),), order=Order("measure", True)), "max"),
    ("the highest wait per clinic", Plan("table", keys=BY_CLINIC, measures=(Measure("min", "Wait (min)"),)), "highest"),
    ("wait per clinic, lowest first", Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,), order=Order("measure", True)), "lowest first"),
    ("bar chart of visits per clinic", Plan("line", keys=BY_CLINIC, measures=(COUNT,)), "bar chart"),
    ("running total of cost per month", Plan("table", keys=(Key("Visit Date", "month"),), measures=(Measure("sum", "Cost (EUR)"),)), "running total"),
    ("cost per week", Plan("table", keys=(Key("Visit Date", "month"),), measures=(Measure("sum", "Cost (EUR)"),)), "week"),
    ("share of visits per clinic", Plan("table", keys=BY_CLINIC, measures=(COUNT,)), "share"),
    ("total coverage per clinic", Plan("table", keys=BY_CLINIC, measures=(Measure("sum", "Coverage (%)"),)), "Coverage"),
    ("top 10 % of the visits by coverage", Plan("table", order=Order("Coverage (%)", True), limit=10), "top 10 %"),
    ("missing values per clinic", Plan("missing"), "clinic"),
    ("heat map of the correlation of cost by clinic and sex", Plan("heatmap", keys=BY_CLINIC, across=Key("Sex"), measures=(Measure("mean", "Cost (EUR)"),)), "correlation"),
    ("the second highest wait", Plan("table", order=Order("Wait (min)", True), limit=1), "second"),
    ("visits with wait 30", Plan("table", filters=(RowFilter("Wait (min)", "<", (30,)),)), "a number or date"),
    ("the average of the totals of cost per clinic", Plan("table", keys=BY_CLINIC, measures=(Measure("mean", "Cost (EUR)"), Measure("sum", "Cost (EUR)"))), "totals"),
    ("the last visit per clinic", Plan("table", keys=BY_CLINIC, measures=(COUNT,)), "last"),
    ("compare the two", Plan("table"), "asked"),
    ("mean wait", Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,)), "Clinic"),
    ("rate = cost / (cost + wait)", Plan("table", new_columns=(NewColumn("rate", "Cost (EUR)", "/", "Wait (min)"),)), "+"),
    ("line chart of the mean wait per month, one for Harbour and one for Old Mill", Plan("line", keys=(Key("Visit Date", "month"),), measures=(MEAN_WAIT,), filters=(RowFilter("Clinic", "in", ("Harbour", "Old Mill")),)), "Clinic"),
    ("number of visits", Plan("table", filters=(RowFilter("Clinic", "in", ("Harbour",)),), measures=(COUNT,)), "Clinic"),
    ("number of visits", Plan("table", measures=(Measure("mean", "Cost (EUR)"),)), "Cost"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "plan", "named"), WRONG, ids=[f"{q}-{n}-{i}" for i, (q, _, n) in enumerate(WRONG)]
)
def test_a_plan_that_does_something_else_fails_and_the_word_is_named(question, plan, named):
    assert named in failures(question, plan)


def test_a_column_that_is_not_certain_is_not_used():
    day = Column("day", "text", doubt="its dates could be day/month")
    table = TableProfile("t.csv", columns=(Column("n", "number"), Column("g", "text"), day))
    plan = Plan("table", keys=(Key("day"),), measures=(Measure("sum", "n"),))
    assert "day/month" in " ".join(compared(plan, mentions_in("sum of n by day", (table,)), (table,))[0])


def test_a_word_that_may_be_two_columns_is_told():
    table = TableProfile("t.csv", columns=(Column("doses given", "number"), Column("doses wasted", "number")))
    plan = Plan("table", measures=(Measure("sum", "doses given"),))
    failures, doubts = compared(plan, mentions_in("total doses", (table,)), (table,))
    assert not failures
    assert "doses wasted" in doubts[0]


def test_a_refusal_shows_what_a_model_or_a_file_wrote_as_plain_text():
    asked = question_of("visits with wait 30", Ask("", ("visits.csv",)), (VISITS,), set())
    plan = Plan("table", filters=(RowFilter("Wait (min)", f"<b>{'x' * 999}", (30,)),))
    refused = checked_program(plan, asked, set()), unreadable((TableProfile("t.csv", problem="<b>"),))
    assert ["\\<b\\>" in one.reasons[0] and len(one.reasons[0]) < 400 for one in refused] == [True, True]


# ---- what the question leaves open
@pytest.mark.parametrize(("column", "aggregate"), [
    ("Coverage (%)", "mean"), ("Wait (min)", "mean"), ("Age (years)", "mean"), ("Cost (EUR)", "sum"),
])  # fmt: skip
def test_rates_and_measurements_are_averaged_and_amounts_added_and_that_is_told(column, aggregate):
    plan = Plan("table", keys=BY_CLINIC, measures=(Measure("as it is", column),))
    done, _, told = settled(plan, mentions_in("x", (VISITS,)), (VISITS,))
    assert done.measures[0].aggregate == aggregate
    assert f"**{aggregate}**" in told[0]


def test_values_become_those_of_the_table_in_every_spelling():
    table = TableProfile("t.csv", columns=(Column("outcome", "text", values=("Died", "died", "Recovered")),))
    plan = Plan("table", filters=(RowFilter("outcome", "in", ("DIED",)),))
    done, *_ = settled(plan, mentions_in("how many DIED", (table,)), (table,))
    assert done.filters[0].values == ("Died", "died")


def test_time_goes_along_the_axis_and_a_missing_key_is_put_back():
    said = mentions_in("plot mean wait per month, one line per clinic", (VISITS,))
    swapped = Plan("line", keys=BY_CLINIC, across=Key("Visit Date", "month"), measures=(MEAN_WAIT,))
    forgotten = Plan("line", keys=(Key("Visit Date", "month"),), measures=(MEAN_WAIT,))
    for plan in (swapped, forgotten):
        done = mended(plan, said, (VISITS,))
        assert done.all_keys == (Key("Visit Date", "month"), Key("Clinic"))


# ---- what a question names
@pytest.mark.parametrize(("question", "bound"), [
    ("patients over 65", {"65": ("Age (years)",)}), ("mean cost of patients older than 65", {"65": ("Age (years)",)}),
    ("visits with a cost over 100", {"100": ("Cost (EUR)",)}), ("wait is 30", {"30": ("Wait (min)",)}),
    ("the 5 longest waits", {}),
])  # fmt: skip
def test_a_compared_number_belongs_to_the_column_it_is_said_of(question, bound):
    found = bound_numbers(mentions_in(question, (VISITS,)), VISITS.columns)
    assert {one.text: names for one, names in found.items()} == bound


@pytest.mark.parametrize(("question", "period"), [
    ("since 2024-02-01", "2024-02-01"), ("on 1 Feb 2024", "2024-02-01"), ("Feb 1st, 2024", "2024-02-01"),
    ("in March 2023", "2023-03"), ("in 2023-03", "2023-03"), ("Q4 2023", "2023-Q4"), ("2023Q4", "2023-Q4"),
    ("in 2023", "2023"), ("in the latest month", "latest month"), ("in january", "January"),
])  # fmt: skip
def test_dates_are_found_however_they_are_written(question, period):
    assert mentions_in(f"visits {question}", (VISITS,)).periods == (period,)


@pytest.mark.parametrize(("term", "number"), [
    ("per 1,000", 1000), ("per 100 000", 100_000), ("per 10k", 10_000), ("per million", 1e6),
])  # fmt: skip
def test_a_number_that_belongs_to_a_term_is_that_number(term, number):
    assert [one.numbers for one in mentions_in(f"cost {term}", (VISITS,)).of("term")] == [(number,)]


def test_a_quoted_text_is_one_thing_though_a_part_of_it_is_a_value_or_a_column():
    said = mentions_in("visits whose clinic contains 'harbour east' or “the wait”, not 'Old Mill'", (VISITS,))
    assert [one.text for one in said.of("string")] == ["'harbour east'", "“the wait”"]
    assert said.values_of("Clinic") == {"'Old Mill'": ("Old Mill",)}


def test_no_pattern_is_made_of_values_that_are_not_in_the_question(monkeypatch):
    made = []
    monkeypatch.setattr("re.escape", lambda text: made.append(text) or text)
    table = TableProfile("t.csv", columns=(Column("g", "text", values=tuple(f"town {n}" for n in range(200))),))
    found = mentions_in("rows of town 7", (table,)).values_of("g")
    assert (found, len(made) < 5) == ({"town 7": ("town 7",)}, True)


@pytest.mark.parametrize("word", ["IN", "TO", "OR"])
def test_a_value_that_is_a_small_word_is_that_value_where_it_is_written_so(word):
    iso2 = Column("iso2", "text", values=("IN", "KE", "OR", "TO"))
    table = TableProfile("t.csv", columns=(iso2, Column("n", "number")))
    assert word in mentions_in(f"total n for {word}", (table,)).values_of("iso2")
    assert not mentions_in("total n in the table or to me", (table,)).values_of("iso2")


@pytest.mark.parametrize("name", ["PopTreat", "EpiCov", "WHO_region", "lifeExp", "gdp per capita (US$)", "1/24/20"])
def test_a_column_written_letter_for_letter_is_that_column(name):
    table = TableProfile("t.csv", columns=(Column(name, "number"), Column("g", "text")))
    assert mentions_in(f"total {name} per g", (table,)).columns == (name, "g")
    assert not mentions_in(f"total {name} per g", (table,)).of("unknown")


@pytest.mark.parametrize("question", [
    "For my thesis: mean wait per clinic", "Dear colleague, the minister wants the mean wait per clinic",
    "mean wait per clinic, i need to tell the nurses", "kindly pull the mean wait per clinic for the report",
    "our partners need the mean wait per clinic", "mean wait per clinic, not the median of the totals",
])  # fmt: skip
def test_who_asks_and_what_for_need_not_be_understood(question):
    said = mentions_in(question, (VISITS,))
    assert not said.of("unknown")
    assert failures(question, Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,))) == ""


@pytest.mark.parametrize("word", ["severe", "recent", "confirmed", "never", "rural", "predict", "significant", "worst"])
def test_a_word_that_could_choose_rows_or_ask_for_more_is_not_passed_over(word):
    assert word in mentions_in(f"mean wait of {word} visits per clinic", (VISITS,)).of("unknown")[0].text


@pytest.mark.parametrize(("question", "op", "sides"), [
    ("cost per minute = cost / wait", "/", ["Wait (min)", "Cost (EUR)"]),
    ("by clinic: cost divided by wait", "/", ["Wait (min)", "Cost (EUR)"]), ("cost plus 5", "+", ["Cost (EUR)", "5"]),
    ("visits from 2023-01-02 - 2023-02-03", "", []), ("yes/Yes/YES", "", []), ("no wait = leave it out", "", []),
])  # fmt: skip
def test_a_calculated_column_is_offered_where_signs_stand_between_columns_or_numbers(question, op, sides):
    schema = schema_for(mentions_in(question, (VISITS,)), (VISITS,))
    branches = [branch["properties"] for branch in schema["anyOf"]]
    offered = [branch["new_columns"] for branch in branches if "new_columns" in branch]
    assert bool(offered) == bool(op)
    for parts in (one["items"]["anyOf"][0]["properties"] for one in offered):
        assert (parts["op"]["enum"], parts["left"]["enum"]) == ([op], sides)


@pytest.mark.parametrize(("question", "column", "way"), [
    ("visits without a wait", "Wait (min)", "is missing"),
    ("visits whose wait is not missing", "Wait (min)", "is not missing"),
    ("visits whose clinic contains 'mill'", "Clinic", "contains"),
    ("visits whose clinic does not contain 'mill'", "Clinic", "does not contain"),
    ("visits whose clinic starts with Old", "Clinic", "starts with"),
    ("visits without a follow-up", "Follow-up", "no"), ("visits with a follow-up", "Follow-up", "yes"),
    ("visits where follow-up is no", "Follow-up", "no"),
    ("visits with a follow-up against visits without one", "Follow-up", ""),
    ("patients of 65 or older", "Age (years)", ">="), ("patients 65+", "Age (years)", ">="),
])  # fmt: skip
def test_how_a_column_is_to_be_filtered_is_not_left_to_a_model(question, column, way):
    filters = schema_for(mentions_in(question, (VISITS,)), (VISITS,))["anyOf"][0]["properties"]["filters"]
    assert (column in filters["required"]) == bool(way)
    assert not way or f"'{way}'" in str(filters["properties"][column]) or way in str(filters["properties"][column])


@pytest.mark.parametrize(("question", "plan", "done"), [
    ("what percent of the visits at each clinic were by women", Plan("table", keys=(Key("Clinic"), Key("Sex")), measures=(Measure("percent that fit", part=(RowFilter("Sex", "in", ("women",)),)),)), "keys=(Key(column='Clinic', unit=''),)"),
    ("monthly mean and max cost", Plan("table", keys=(Key("Visit Date", "month"),), measures=(Measure("mean", "Cost (EUR)"),)), "aggregate='max'"),
    ("longest wait at Old Mill, which visit was that", Plan("table", measures=(Measure("as it is", "Wait (min)"),), order=Order("measure", True)), "limit=1"),
    ("top 3 visits by cost", Plan("table", filters=(RowFilter("Cost (EUR)", "<", (3,)),), order=Order("Cost (EUR)", True), limit=3), "filters=()"),
    ("mean wait, all the clinics together", Plan("table", keys=BY_CLINIC, measures=(MEAN_WAIT,)), "keys=()"),
    ("running total of cost per month", Plan("table", keys=(Key("Visit Date", "month"),), measures=(Measure("as it is", "Cost (EUR)"),)), "then='running total'"),
    ("mean wait of visits with a follow-up vs without", Plan("table", filters=(RowFilter("Follow-up", "is", ("yes",)),), measures=(MEAN_WAIT,)), "keys=(Key(column='Follow-up', unit=''),)"),
])  # fmt: skip
def test_slips_are_put_right_by_the_words_of_the_question(question, plan, done):
    assert done in repr(mended(plan, mentions_in(question, (VISITS,)), (VISITS,)))


def test_words_that_are_not_known_are_named_and_another_language_is_noticed():
    assert unknown_words(mentions_in("mean salary", (VISITS,))) == ("I do not know the word “salary”.",)
    (two,) = unknown_words(mentions_in("mean salary hiya", (VISITS,)))
    assert two == "I do not know the words “salary” and “hiya”."
    assert mostly_unknown(mentions_in("Wie lange dauert die durchschnittliche Wartezeit", (VISITS,)))
    assert not mostly_unknown(mentions_in("what is the mean salary per clinic", (VISITS,)))


@pytest.mark.parametrize(("question", "file"), [
    ("mean wait as out/b.csv", "b.csv"), ("mean wait as ./b.csv", "b.csv"), ("mean wait (https://x.org/b.csv)", ""),
])  # fmt: skip
def test_a_file_in_a_folder_is_one_file_without_its_folder_and_an_address_is_none(question, file):
    asked = question_of(question, Ask(question, ("visits.csv",)), (VISITS,), set())
    assert asked.files == ((file,) if file else ())
    assert not (file and asked.mentions.of("unknown"))


# ---- the schema
@pytest.mark.parametrize("question", [question for question, *_ in (*RIGHT, *WRONG)])
def test_every_schema_is_one_and_holds_no_cell_that_is_not_in_the_question(question):
    schema = schema_for(mentions_in(question, (VISITS,)), (VISITS,))
    jsonschema.Draft202012Validator.check_schema(schema)
    for column in VISITS.columns:
        for value in column.values:
            assert value.lower() in question.lower() or f"'{value}'" not in str(schema) or value in {"Yes", "No", "yes"}


@pytest.mark.parametrize(("question", "plan"), [
    ("mean wait per clinic", {"output": "table", "filters": {}, "group_by": ["Clinic"], "measures": [{"agg": "mean", "column": "Wait (min)"}]}),
    ("patients over 65", {"output": "table", "filters": {"Age (years)": {"op": ">", "value": [65]}}, "group_by": [], "measures": []}),
    ("scatter cost against age", {"output": "scatter", "filters": {}, "x": "Age (years)", "y": "Cost (EUR)"}),
])  # fmt: skip
def test_the_right_plan_fits_the_schema(question, plan):
    jsonschema.validate(plan, schema_for(mentions_in(question, (VISITS,)), (VISITS,)))


@pytest.mark.parametrize(("question", "plan"), [
    ("mean wait per clinic", {"output": "line", "filters": {}, "group_by": ["Clinic"], "measures": []}),
    ("average wait at Harbour", {"output": "table", "filters": {}, "group_by": [], "measures": []}),
    ("patients over 65", {"output": "table", "filters": {"Age (years)": {"op": ">", "value": [66]}}, "group_by": [], "measures": []}),
    ("scatter cost against age", {"output": "scatter", "filters": {}, "x": "Cost (EUR)", "y": "Age (years)"}),
])  # fmt: skip
def test_a_plan_that_would_fail_a_check_often_does_not_even_fit(question, plan):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plan, schema_for(mentions_in(question, (VISITS,)), (VISITS,)))
