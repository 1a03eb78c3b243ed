"""Answers without a model: about ten forms of sentences, listed in docs/who_answers.md, and nothing else.

Order, articles, plural and case do not matter much, and every form may choose rows (`where`, `for`, `in`, `without`),
order them and name a file. A sentence fills the same plan that a model fills, and passes the same checks: where a word
is not understood, or a column or number would go unused, the answer is these forms with the user's own columns.

A sentence is read from left to right: what is wanted, then per what, then of which rows. Its words have been looked up
before (`plan.mentions`), and the plan is checked against them afterwards (`plan.checks`): here only places are told
apart, and a sentence whose words stand in other places is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import Refuse, Run, Say
from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.checks import unknown_words
from ipython_assistant.engine.models.plan.english import COMPARED_BY, PATTERNS
from ipython_assistant.engine.models.plan.plan import (
    AS_IT_IS,
    CHARTS,
    OF_COLUMNS,
    UNITS,
    Key,
    Measure,
    Order,
    Plan,
    PlanError,
    RowFilter,
)  # fmt: skip
from ipython_assistant.engine.models.plan.reader import (
    PlanQuestion,
    Refusal,
    checked_program,
    parts_of,
    question_of,
    unreadable,
)  # fmt: skip
from ipython_assistant.engine.models.plan.schema import outputs_for
from ipython_assistant.engine.models.plan.words import Program, closing, opening
from ipython_assistant.engine.models.safe_markdown import bold, fenced, file_link, inline_code
from ipython_assistant.engine.models.table_profiles import profiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Step
    from ipython_assistant.engine.models.plan.mentions import Mention
    from ipython_assistant.engine.models.table_profiles import TableProfile

REAL_MODEL: Final = (
    "No model was used. A model reads any question: set `OPENAI_API_KEY`, start Ollama or LM Studio, or run "
    "`ipython-assistant model get`; `%assistant doctor` shows what is there."
)
MAX_KEY_VALUES: Final = 60
"""Different values of a column that is offered to group by."""

_TERMS: Final = english.words(
    "sum mean median std count high low maximum minimum head ascending descending sorted plot line bar stacked "
    "horizontal pie histogram box scatter heatmap describe missing duplicates dedupe distinct correlation not between "
    "before after since until latest earliest"
) | {*COMPARED_BY, *UNITS, "count distinct"}
"""The terms of the forms; any other needs a model."""
_AGGREGATES: Final = {name: name for name in ("sum", "mean", "median", "std")} | {
    "high": "max", "low": "min", "maximum": "max", "minimum": "min",
}  # fmt: skip
_DATE_OPS: Final = {
    "before": "before", "after": "after", "since": "since", "until": "until", "comparison more": "after",
    "comparison less": "before", "comparison most": "until", "comparison least": "since",
}  # fmt: skip
_YEAR_OPS: Final = {"before": "<", "after": ">", "since": ">=", "until": "<=", **COMPARED_BY}
_PLACES: Final = {
    "per": "keys", "each": "keys", "every": "keys", "across": "keys", "against": "against", "versus": "against",
    "vs": "against", "where": "where", "whose": "where", "when": "where", "with": "where",
}  # fmt: skip
"""Words after which another part of the sentence begins."""
_MARKERS: Final = re.compile(rf"\b(?:{'|'.join(_PLACES)}|by|over|for|in|at|from|of)\b")
_AXES: Final = frozenset({"line", "bar", "stacked bar", "horizontal bar", "pie"})
_SHOWN: Final = english.words("show list where all with without number count save convert turn get")


class Basic:
    """The engine's answers without a model: it runs Python as given, answers the forms, and refuses all else."""

    name = "basic"

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        """Run the fenced Python of the question as it is, answer its forms, or show them."""
        code = fenced(ask.prompt)
        return self._forms(ask, interpreter) if code is None else run_as_given(code)

    async def _forms(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        found = await self.read(ask, interpreter)
        if isinstance(found, Refusal):
            yield Refuse(_refused(found))
            return
        async for step in carry_out(found, interpreter):
            yield step

    async def read(self, ask: Ask, interpreter: Interpreter) -> list[Program] | Refusal:
        """The programs that answer a question, or why there are none. Raises `RuntimeError` where the kernel fails."""
        tables = await profiled(interpreter, ask.files, ask.prompt)
        readable = [table for table in tables if not table.problem]
        if not readable:
            return unreadable(tables)
        programs: list[Program] = []
        for part in parts_of(ask.prompt, readable):
            made = {one.plan.file for one in programs}
            outcome = _filled(question_of(part, ask, readable, made), {*ask.files, *made})
            if isinstance(outcome, Refusal):
                return outcome
            programs.append(outcome)
        return programs


async def run_as_given(code: str) -> AsyncGenerator[Step, None]:
    """The steps of an answer to a question that is Python: it is run as it is, and what it made is linked."""
    yield Say("Running the code as given.")
    yield (run := Run(code))
    outcome, told = run.outcome, []
    if outcome.error is not None:
        told.append(f"The code stopped with {outcome.error.rstrip('.')}. Its log is shown with the code.")
    if outcome.files:
        told.append("Files:\n\n" + "\n".join(f"- {file_link(name)}" for name in outcome.files))
    yield Say("\n\n".join(told) or "It ran to its end and made no files.")


async def carry_out(programs: Sequence[Program], interpreter: Interpreter) -> AsyncGenerator[Step, None]:
    """The steps of an answer by these programs: how each was read, its code, and what came of it."""
    for number, program in enumerate(programs):
        # Without a code call between them, two texts are one message.
        yield Say(("\n\n" if number else "") + opening(program))
        yield (run := Run(program.code))
        yield Say(await closing(program, run.outcome, interpreter))


def _filled(question: PlanQuestion, taken: set[str]) -> Program | Refusal:
    """The program of one sentence, if it is one of the forms."""
    if unknown := unknown_words(question.mentions):
        return Refusal(unknown, question.tables)
    wanted = [one.columns for one in question.mentions.of("column", "value") if one.columns]
    fitting = [table for table in question.tables if all(any(map(table.find, names)) for names in wanted)]
    if len(question.tables) > 1 and wanted and len(fitting) == 1 and "count" not in question.mentions.terms:
        question = replace(question, tables=tuple(fitting))
    if len(question.tables) > 1:
        return Refusal(("Which table is meant? Name its file in the sentence.",), question.tables)
    try:
        return checked_program(plan_of(question), question, taken)
    except PlanError as error:
        return Refusal((str(error),), question.tables)


def _refused(refusal: Refusal) -> str:
    """Why it was not understood, and the forms with the columns of these tables."""
    parts = [f"I did not understand this. {' '.join(refusal.reasons)}"]
    for table in [table for table in refusal.tables if not table.problem][:2]:
        examples = "\n".join(f"- {inline_code(form)}" for form in forms_for(table))
        parts.append(f"What works with {bold(table.name)}:\n\n{examples}")
    return "\n\n".join([*parts, REAL_MODEL])


def forms_for(table: TableProfile) -> list[str]:
    """The forms, filled in with columns of a table; each of them is answered."""
    numbers = [one for one in table.columns if one.kind == "number" and not one.code]
    keys = [one for one in table.columns if one.kind == "text" and 1 < one.distinct <= MAX_KEY_VALUES and not one.doubt]
    dates = [one for one in table.columns if one.kind in {"date", "year"}]
    found = ["Describe the table", "Missing values"]
    if keys:
        found += [
            f"Count rows per {keys[0].name}",
            *(f"Rows where {keys[0].name} is {value}" for value in keys[0].values[:1]),
        ]
    if numbers:
        y = numbers[0].name
        found += [f"Rows where {y} is over {numbers[0].low:g}", f"Histogram of {y}"]
        found += [f"Mean {y} by {dates[0].name}, saved as mean.csv"] if dates else []
        found += [f"Plot {y} by {dates[0].name} per {keys[0].name}"] if dates and keys else []
        found += [f"Mean {y} per {keys[0].name} as mean.csv", f"Top 3 {keys[0].name} by mean {y}"] if keys else []
        found += [f"Scatter {y} against {numbers[1].name}"] if len(numbers) > 1 else []
    return found


def plan_of(question: PlanQuestion) -> Plan:
    """The plan of a sentence that is one of the forms. Raises `PlanError` where it fits none of them."""
    said, text = question.mentions, question.mentions.prompt.lower()
    for one in said.of("term", "string"):
        if one.term not in _TERMS:
            raise PlanError(f"The forms have nothing for “{one.text}”.")
    if " + " in text or english.calculates(said, question.tables[0].columns):
        raise PlanError("The forms calculate no new columns.")
    if found := re.search(r"(?<=\w)\W+(which|who|when|why|what|how)\b", text.strip()):
        raise PlanError(f"A form asks for one thing: what is “{found[1]}” about?")
    return _Form(question).plan()


class _Form:
    """A sentence read from left to right: what stands at its head, behind `per`, behind `where`."""

    def __init__(self, question: PlanQuestion) -> None:
        self.said = question.mentions
        self.text = self.said.prompt.lower()
        self.table = question.tables[0]
        self.columns = {column.name: column for column in self.table.columns}
        outputs = outputs_for(self.said, question.files)
        of_cells = "missing" in outputs and PATTERNS["rows without"].search(self.text)
        self.output = "table" if of_cells else "missing" if "missing" in outputs else outputs[0]
        self.place = "head"
        self.names: dict[str, list[str]] = {"head": [], "against": [], "where": []}
        """The columns that stand in these places."""
        self.keys: list[Key] = []
        self.filters: list[RowFilter] = []
        self.measures: list[Measure] = []
        self.aggregates: list[str] = []
        self.order = ""
        self.limit = 0

    def plan(self) -> Plan:
        """The plan. Raises `PlanError`."""
        self._choose_rows()
        covered = [range(one.start, one.end) for one in self.said.found if one.kind != "glue"]
        marks = [one for one in _MARKERS.finditer(self.text) if not any(one.start() in place for place in covered)]
        tokens: list[tuple[int, Mention | str]] = [(match.start(), match[0]) for match in marks]
        tokens += [(one.start, one) for one in self.said.found if one.kind not in {"glue", "file", "table"}]
        tokens.sort(key=lambda one: one[0])
        for at, (_, token) in enumerate(tokens):
            if isinstance(token, str):
                following = next((one.kind for _, one in tokens[at + 1 :] if not isinstance(one, str)), "")
                self._marker(token, following)
            elif token.kind == "column":
                self._column(token)
            elif token.kind == "term":
                self._term(token)
        chosen = {one.column for one in self.filters}
        if idle := [name for name in self.names["where"] if name not in chosen]:
            raise PlanError(f"**{idle[0]}** is compared with nothing.")
        if tokens and isinstance(tokens[-1][1], str) and tokens[-1][1] not in {"of", "in", "for", "from", "at"}:
            raise PlanError(f"Nothing follows “{tokens[-1][1]}”.")
        return self._whole()

    # ---- which rows

    def _choose_rows(self) -> None:
        """The rows that count, and how many of a list: each value, period and number is said of one column."""
        columns = self.table.columns
        if self.output != "missing":
            self.filters += [RowFilter(name, op) for name, op in english.missing_tests(self.said, columns).items()]
        answers = [(column.name, english.wanted_answer(self.said, column)) for column in columns]
        self.filters += [RowFilter(name, "is", (answer,)) for name, answer in answers if answer]
        bound, counts = english.bound_numbers(self.said, columns), english.counts_in(self.said)
        for one in self.said.of("value", "period", "number"):
            excluded = english.is_excluded(self.said, one.start)
            if one.kind == "value":
                self._value(one, excluded=excluded)
            elif one.kind == "period":
                self._period(one, excluded=excluded)
            elif len(bound.get(one, ())) == 1:
                op = COMPARED_BY.get(self._term_before(one), "!=" if excluded else "==")
                self._add(bound[one][0], "between" if "between" in self.said.terms else op, one.numbers[0])
            elif one.numbers[0] in counts and one not in bound:
                self.limit = self.limit or int(one.numbers[0])
            else:
                raise PlanError(f"What is the number “{one.text}” about? Write “where COLUMN is over {one.text}”.")

    def _value(self, one: Mention, *, excluded: bool) -> None:
        columns = [name for name in one.columns if self.table.find(name)]
        if len(columns) > 1:
            said = {name for other in self.said.of("column") for name in other.columns}
            columns = [name for name in columns if name in said]
        if len(columns) != 1:
            raise PlanError(f"“{one.text}” is in several columns: name the one that is meant.")
        name, values = columns[0], one.values[one.columns.index(columns[0])]
        if self.columns[name].kind != "yes/no":
            self._add(name, "not in" if excluded else "in", one.text)
        elif all(name != other.column for other in self.filters):
            yes = any(value.lower() in {"yes", "y", "true"} for value in values)
            self.filters.append(RowFilter(name, "is", ("yes" if yes != excluded else "no",)))

    def _period(self, one: Mention, *, excluded: bool) -> None:
        name = self._one_column({"date", "year"}, one.text)
        year = self.columns[name].kind == "year"
        if year and not one.numbers:
            raise PlanError(f"**{name}** holds years, and “{one.text}” is not a year.")
        both = len(self.said.periods) > 1 and re.search(r"\bfrom\b.*\b(?:to|until|till|through)\b", self.text)
        op = ("!=" if excluded else "==") if year else ("not in" if excluded else "in")
        op = (_YEAR_OPS if year else _DATE_OPS).get(self._term_before(one), op)
        op = "between" if both or "between" in self.said.terms else op
        self._add(name, op, one.numbers[0] if year else one.values[0][0])

    def _add(self, name: str, op: str, value: str | float) -> None:
        """One more condition, or one more value of the last."""
        for at, each in enumerate(self.filters):
            if each.column == name and each.op == op and op in {"in", "not in", "==", "between"}:
                values = tuple(dict.fromkeys((*each.values, value)))
                self.filters[at] = replace(each, op="in" if op == "==" else op, values=values)
                return
        self.filters.append(RowFilter(name, op, (value,)))

    def _term_before(self, one: Mention) -> str:
        """The term right before a place, articles aside."""
        before = [other for other in self.said.of("term") if other.end <= one.start]
        between = self.text[before[-1].end : one.start].split() if before else ["-"]
        return before[-1].term if all(word in english.GLUE for word in between) else ""

    # ---- words that give the sentence its form

    def _marker(self, word: str, following: str) -> None:
        if word in _PLACES:
            self.place = _PLACES[word]
        elif word == "by":
            self.place = "order" if self.place == "order" or self.limit else "keys"
        elif word == "over" and self.output in _AXES:
            self.place = "keys"
        elif word in {"for", "in", "at", "from", "of"} and following in {"value", "period"}:
            self.place = "where"

    def _term(self, one: Mention) -> None:
        with_the = self.text[: one.start].rstrip().endswith((" with the", " with"))
        ranks = self.limit or self.place == "order" or with_the or PATTERNS["which one"].match(self.text)
        if one.term in {"high", "low"} and ranks:
            self.order, self.place = "descending" if one.term == "high" else "ascending", "ranked"
            self.limit = self.limit or 1
        elif one.term in _AGGREGATES:
            self.aggregates.append(_AGGREGATES[one.term])
            self.place = "head"
        elif one.term in {"ascending", "descending"}:
            self.order = one.term
        elif one.term == "sorted":
            self.order, self.place = "descending" if "descending" in self.said.terms else "ascending", "order"
        elif one.term == "count":
            self.measures.append(Measure("count"))
        elif one.term in UNITS:
            if self.place != "keys" and not one.text.lower().endswith("ly"):
                raise PlanError(f"What is “{one.text}” about? Write “per {one.term}”.")
            self._add_key(Key(self._one_column({"date"}, f"per {one.term}"), one.term))
        elif one.text.lower() == "over time":
            self._add_key(Key(self._one_column({"date", "year"}, one.text)))

    def _column(self, one: Mention) -> None:
        here = [column for name in one.columns if (column := self.table.find(name))]
        if self.place in {"head", "order", "against"} and (self.aggregates or self.output in CHARTS or not one.certain):
            here = [column for column in here if column.numeric] or here
        if not here:
            raise PlanError(f"{self.table.name} has no “{one.text}”.")
        if self.place == "keys":
            self._add_key(Key(here[0].name))
        elif here[0].kind != "yes/no":
            self.names[self.place if self.place in self.names else "head"].append(here[0].name)

    def _add_key(self, key: Key) -> None:
        self.keys = [other for other in self.keys if other.column != key.column or other.unit]
        if all(key.column != other.column or (key.unit and key.unit != other.unit) for other in self.keys):
            self.keys.append(key)

    def _one_column(self, kinds: set[str], what: str) -> str:
        """The one column of time there is, or that is named. Raises `PlanError`."""
        fitting = [column for column in self.table.columns if column.kind in kinds]
        named = [column for column in fitting if column.name in self.said.columns] or fitting
        if len(named) != 1:
            doubts = [f"In **{column.name}**, {column.doubt}." for column in self.table.columns if column.doubt]
            raise PlanError(f"Which column of dates is “{what}” about? {' '.join(doubts) or 'Name it.'}")
        return named[0].name

    # ---- the whole

    def _whole(self) -> Plan:
        base = Plan(output=self.output, filters=tuple(self.filters))
        columns = list(dict.fromkeys(self.names["head"]))
        every = tuple(dict.fromkeys([*columns, *self.names["against"], *(key.column for key in self.keys)]))
        if self.output in {"distinct", "correlation"}:
            return replace(base, columns=every)
        if self.output in OF_COLUMNS:
            return replace(base, columns=tuple(columns), keys=tuple(self.keys))
        if self.output == "scatter":
            x, y = english.axes_of(self.said, every)
            if len(every) != 2 or len(x) != 1:  # noqa: PLR2004 two axes
                raise PlanError("A scatter chart is “scatter Y against X”.")
            return replace(base, measures=(Measure(AS_IT_IS, y[0]), Measure(AS_IT_IS, x[0])))
        if self.output in {"histogram", "box"}:
            measures = tuple(Measure(AS_IT_IS, name) for name in columns)
            return replace(base, measures=measures, keys=tuple(self.keys))
        return self._ranked(self._grouped(base, columns), columns)

    def _grouped(self, base: Plan, columns: list[str]) -> Plan:
        """Groups, charts of groups, and rows."""
        numbers = [name for name in columns if self.columns[name].numeric]
        others = [name for name in columns if name not in numbers]
        keys = list(self.keys)
        if self.order or self.limit:
            keys += [Key(name) for name in others if all(key.column != name for key in keys)]
        if base.output in _AXES and not keys:
            raise PlanError("A chart is “plot Y by X”: by which column?")
        measures = [Measure(how, name) for name in numbers for how in self.aggregates] + self.measures
        each_row = bool(self.order) and all(self.columns[key.column].unique for key in keys)
        if not measures and (keys or base.drawn) and not (each_row and not base.drawn):
            measures = [Measure(AS_IT_IS, name) for name in numbers]
            if not measures and not self._names_rows():
                raise PlanError("What is wanted of each group? Write “count rows per …” or “mean Y per …”.")
            measures = measures or [Measure("count")]
        elif not measures and not self._names_rows() and not self.order and not self.limit:
            raise PlanError("What is wanted of these rows? Write “rows where …”.")
        across = None
        if base.drawn and len(keys) > 1:
            keys.sort(key=lambda key: not self._in_time(key))
            keys, across = keys[:1], keys[1]
        if base.output == "line" and "line" not in self.said.terms and not self._in_time(keys[0]):
            base = replace(base, output="bar")
        return replace(base, keys=tuple(keys) if measures else (), across=across, measures=tuple(measures))

    def _names_rows(self) -> bool:
        """Whether the rows are called by some name, or are to be shown."""
        called = any(one.kind == "table" or one.columns for one in self.said.of("glue", "table"))
        nouns = _SHOWN | english.ROW_NOUNS | english.PERSONS
        named = called or not nouns.isdisjoint(re.findall(r"\w+", self.text))
        return named or bool(self.said.of("file") or self.said.ending)

    def _in_time(self, key: Key) -> bool:
        return bool(key.unit) or self.columns[key.column].kind in {"date", "year", "number"}

    def _ranked(self, plan: Plan, columns: Sequence[str]) -> Plan:
        if not plan.measures and re.search(r"\bcolumns?\b|\bonly\b|\bjust\b", self.text):
            shown = [*(key.column for key in self.keys), *columns]
            plan = replace(plan, columns=tuple(dict.fromkeys(shown)))
        if not self.order:
            return replace(plan, limit=self.limit)
        by = "measure" if plan.measures else next((name for name in columns if self.columns[name].numeric), "")
        if not by:
            raise PlanError("Ranked by which column? Write “top 10 X by Y”.")
        return replace(plan, order=Order(by, self.order == "descending"), limit=self.limit)
