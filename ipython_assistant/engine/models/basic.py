"""Answers without a model: about ten forms of sentences, listed in docs/who_answers.md, and nothing else.

A sentence fills the same plan that a model fills. Its words are looked up first (`plan.mentions`), and the plan is
checked against them afterwards (`plan.checks`); here it is read from left to right, and only places are told apart.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import Refuse, Run, Say
from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.checks import unknown_words
from ipython_assistant.engine.models.plan.english import COMPARED_BY, PATTERNS
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, UNITS, Key, Measure, Order, Plan, PlanError, RowFilter
from ipython_assistant.engine.models.plan.reader import Refusal, checked_program, parts_of, question_of, unreadable
from ipython_assistant.engine.models.plan.schema import outputs_for
from ipython_assistant.engine.models.plan.settle import mended
from ipython_assistant.engine.models.plan.words import Program, closing, opening
from ipython_assistant.engine.models.safe_markdown import bold, escape, fenced, file_link, inline_code
from ipython_assistant.engine.models.table_profiles import profiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Step
    from ipython_assistant.engine.models.plan.mentions import Mention
    from ipython_assistant.engine.models.plan.reader import PlanQuestion
    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

REAL_MODEL: Final = (
    "No model was used. A model reads any question: set `OPENAI_API_KEY`, start Ollama or LM Studio, or run "
    "`ipython-assistant model get`; `%assistant doctor` shows what is there."
)
MAX_KEY_VALUES: Final = 60  # different values of a column that is offered to group by
_EXAMPLES: Final = (
    "Describe the table", "Missing values", "Count rows per {x}", "Rows where {x} is {value}",
    "Rows where {y} is over {low}", "Histogram of {y}", "Mean {y} by {time}, saved as mean.csv",
    "Plot {y} by {time} per {x}", "Mean {y} per {x} as mean.csv", "Top 3 {x} by mean {y}", "Scatter {y} against {z}",
)  # fmt: skip
"""The forms as they are shown, where a table has the columns for them."""
_TERMS: Final = english.words(
    "sum mean median std count high low maximum minimum head ascending descending sorted plot line bar stacked "
    "horizontal pie histogram box scatter heatmap describe missing duplicates dedupe distinct correlation not between "
    "before after since until latest earliest"
) | {*COMPARED_BY, *UNITS, "count distinct"}
"""The terms of the forms; any other needs a model."""
_AGGREGATES: Final = {
    "sum": "sum", "mean": "mean", "median": "median", "std": "std", "high": "max", "maximum": "max", "low": "min",
    "minimum": "min",
}  # fmt: skip
_DATE_OPS: Final = {"<": "before", ">": "after", ">=": "since", "<=": "until", "==": "in", "!=": "not in"}
_OPS: Final = {"before": "<", "after": ">", "since": ">=", "until": "<=", "between": "between", **COMPARED_BY}
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
        tables = await profiled(interpreter, ask.files, ask.prompt)
        readable = [table for table in tables if not table.problem]
        programs: list[Program] = []
        if not readable:
            yield Refuse(_refused(unreadable(tables)))
        for part in parts_of(ask.prompt, readable) if readable else ():
            made = {one.plan.file for one in programs}
            filled = _filled(question_of(part, ask, readable, made), {*ask.files, *made})
            if isinstance(filled, Refusal):
                yield Refuse(_refused(filled))
                return
            programs.append(filled)
        async for step in carry_out(programs, interpreter):
            yield step


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
    said, tables = question.mentions, question.tables
    if unknown := unknown_words(said):
        return Refusal(unknown, tables)
    wanted = [one.columns for one in said.of("column", "value") if one.columns]
    fitting = tuple(table for table in tables if all(any(map(table.find, names)) for names in wanted))
    if len(tables) > 1 and wanted and len(fitting) == 1 and "count" not in said.terms:
        question = replace(question, tables=fitting)
    if len(question.tables) > 1:
        return Refusal(("Which table is meant? Name its file in the sentence.",), tables)
    try:
        plan = mended(_Form(question).plan(), said, question.tables)
    except PlanError as error:
        return Refusal((str(error),), question.tables)
    return checked_program(plan, question, taken)


def _refused(refusal: Refusal) -> str:
    """Why it was not understood, and the forms with the columns of these tables."""
    parts = [f"I did not understand this. {' '.join(refusal.reasons)}"]
    for table in [table for table in refusal.tables if not table.problem][:2]:
        examples = "\n".join(f"- {inline_code(form)}" for form in forms_for(table))
        parts.append(f"What works with {bold(table.name)}:\n\n{examples}")
    return "\n\n".join([*parts, REAL_MODEL])


def forms_for(table: TableProfile) -> list[str]:
    """The forms, filled in with columns of a table; each of them is answered."""
    y = [one for one in table.columns if one.kind == "number" and not one.code]
    x = [one for one in table.columns if one.kind == "text" and 1 < one.distinct <= MAX_KEY_VALUES and not one.doubt]
    several = {"x": x, "y": y, "z": y[1:], "time": [one for one in table.columns if one.in_time]}
    known = {name: columns[0].name for name, columns in several.items() if columns}
    known |= {"value": x[0].values[0]} if x and x[0].values else {}
    known |= {"low": f"{y[0].low:g}"} if y else {}
    found = []
    for form in _EXAMPLES:
        with contextlib.suppress(KeyError):  # the table has no such column
            found.append(form.format(**known))
    return found


class _Form:
    """A sentence read from left to right: what stands at its head, behind `per`, behind `where`."""

    def __init__(self, question: PlanQuestion) -> None:
        self.said = question.mentions
        self.text = self.said.text
        self.table = question.tables[0]
        self.columns = {column.name: column for column in self.table.columns}
        outputs = outputs_for(self.said, question.files)
        of_cells = "missing" in outputs and PATTERNS["rows without"].search(self.text)
        self.output = "table" if of_cells else "missing" if "missing" in outputs else outputs[0]
        self.drawn = Plan(self.output).drawn
        self.place = "head"
        self.names: dict[str, list[str]] = {"head": [], "against": [], "where": []}
        """The columns that stand in these places."""
        self.keys: list[Key] = []
        self.chosen: dict[tuple[str, str], list[str | float]] = {}
        """The rows that count: column and comparison → values."""
        self.measures: list[Measure] = []
        self.aggregates: list[str] = []
        self.order, self.limit = "", 0

    def plan(self) -> Plan:
        """The plan. Raises `PlanError`."""
        if foreign := [one.text for one in self.said.of("term", "string") if one.term not in _TERMS]:
            raise PlanError(f"The forms have nothing for “{foreign[0]}”.")
        if " + " in self.text or english.calculates(self.said, self.table.columns):
            raise PlanError("The forms calculate no new columns.")
        if other := re.search(r"(?<=\w)\W+(which|who|when|why|what|how)\b", self.text.strip()):
            raise PlanError(f"The forms do not use “{other[1]}”: write one sentence for each thing you ask.")
        self._choose_rows()
        covered = [range(one.start, one.end) for one in self.said.found if one.kind != "glue"]
        marks = [one for one in _MARKERS.finditer(self.text) if not any(one.start() in place for place in covered)]
        tokens: list[tuple[int, Mention | str]] = [(match.start(), match[0]) for match in marks]
        tokens += [(one.start, one) for one in self.said.found if one.kind not in {"glue", "file", "table"}]
        tokens.sort(key=lambda one: one[0])
        for at, (_, token) in enumerate(tokens):
            if isinstance(token, str):
                self._marker(token, next((one.kind for _, one in tokens[at + 1 :] if not isinstance(one, str)), ""))
            elif token.kind == "column":
                self._column(token)
            elif token.kind == "term":
                self._term(token)
        dated = {key.column for key in self.keys if key.unit}  # `per week of onset` names the column, and its weeks
        self.keys = [key for key in self.keys if key.unit or key.column not in dated]
        if idle := [name for name in self.names["where"] if name not in {each for each, _ in self.chosen}]:
            raise PlanError(f"{bold(idle[0])} is compared with nothing.")
        if tokens and isinstance(tokens[-1][1], str) and tokens[-1][1] not in {"of", "in", "for", "from", "at"}:
            raise PlanError(f"Nothing follows “{tokens[-1][1]}”.")
        return self._whole()

    # ---- which rows

    def _choose_rows(self) -> None:
        """The rows that count, and how many of a list: each value, period and number is said of one column."""
        said, columns = self.said, self.table.columns
        self.chosen = {(name, op): [] for name, op in english.missing_tests(said, columns).items()}
        self.chosen = {} if self.output == "missing" else self.chosen
        for column in columns:
            if answer := english.wanted_answer(said, column):
                self.chosen[column.name, "is"] = [answer]
        bound, counts = english.bound_numbers(said, columns), english.counts_in(said)
        for one in said.of("value", "period", "number"):
            excluded = english.is_excluded(said, one.start)
            before = [other for other in said.of("term") if other.end <= one.start]
            between = self.text[before[-1].end : one.start].split() if before else ["-"]
            term = before[-1].term if all(word in english.GLUE for word in between) else ""
            op = _OPS.get("between" if "between" in said.terms else term, "!=" if excluded else "==")
            if one.kind == "value":
                self._value(one, excluded=excluded)
            elif one.kind == "period":
                self._period(one, op)
            elif len(bound.get(one, ())) == 1:
                self.chosen.setdefault((bound[one][0], op), []).append(one.numbers[0])
            elif one.numbers[0] in counts and one not in bound:
                self.limit = self.limit or int(one.numbers[0])
            else:
                raise PlanError(f"What is the number “{one.text}” about? Write “where COLUMN is over {one.text}”.")

    def _value(self, one: Mention, *, excluded: bool) -> None:
        columns = [name for name in one.columns if self.table.find(name)]
        if len(columns) > 1:
            columns = [name for name in columns if name in self.said.columns]
        if len(columns) != 1:
            raise PlanError(f"“{one.text}” is in several columns: name the one that is meant.")
        name, values = columns[0], one.values[one.columns.index(columns[0])]
        if self.columns[name].kind != "yes/no":
            self.chosen.setdefault((name, "not in" if excluded else "in"), []).append(one.text)
        elif all(name != other for other, _ in self.chosen):
            yes = any(value.lower() in {"yes", "y", "true"} for value in values)
            self.chosen[name, "is"] = ["yes" if yes != excluded else "no"]

    def _period(self, one: Mention, op: str) -> None:
        column = self._time(one.text, "date", "year")
        if column.kind == "year" and not one.numbers:
            raise PlanError(f"{bold(column.name)} holds years, and “{one.text}” is not a year.")
        if len(self.said.periods) > 1 and re.search(r"\bfrom\b.*\b(?:to|until|till|through)\b", self.text):
            op = "between"
        dated = column.kind == "date"
        key = column.name, _DATE_OPS.get(op, op) if dated else op
        self.chosen.setdefault(key, []).append(one.values[0][0] if dated else one.numbers[0])

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
        term = one.term
        with_the = self.text[: one.start].rstrip().endswith((" with the", " with"))
        ranks = self.limit or self.place == "order" or with_the or PATTERNS["which one"].match(self.text)
        if term in {"high", "low"} and ranks:
            self.order, self.place = "descending" if term == "high" else "ascending", "ranked"
            self.limit = self.limit or 1
        elif term in _AGGREGATES:
            self.aggregates.append(_AGGREGATES[term])
            self.place = "head"
        elif term in {"ascending", "descending"}:
            self.order = term
        elif term == "sorted":
            self.order, self.place = "descending" if "descending" in self.said.terms else "ascending", "order"
        elif term == "count":
            self.measures.append(Measure("count"))
        elif term in UNITS:
            if self.place != "keys" and not one.text.lower().endswith("ly"):
                raise PlanError(f"What is “{one.text}” about? Write “per {term}”.")
            self.keys.append(Key(self._time(f"per {term}", "date").name, term))
        elif one.text.lower() == "over time":
            self.keys.append(Key(self._time(one.text, "date", "year").name))

    def _column(self, one: Mention) -> None:
        here = [column for name in one.columns if (column := self.table.find(name))]
        if self.place in {"head", "order", "against"} and (self.aggregates or self.drawn or not one.certain):
            here = [column for column in here if column.numeric] or here
        if not here:
            raise PlanError(f"{self.table.name} has no “{one.text}”.")
        if self.place == "keys":
            self.keys.append(Key(here[0].name))
        elif here[0].kind != "yes/no":
            self.names[self.place if self.place in self.names else "head"].append(here[0].name)

    def _time(self, what: str, *kinds: str) -> Column:
        """The one column of time there is, or that is named. Raises `PlanError`."""
        fitting = [column for column in self.table.columns if column.kind in kinds]
        named = [column for column in fitting if column.name in self.said.columns] or fitting
        if len(named) != 1:
            doubts = [f"In {bold(one.name)}, {escape(one.doubt, 300)}." for one in self.table.columns if one.doubt]
            raise PlanError(f"Which column of dates is “{what}” about? {' '.join(doubts) or 'Name it.'}")
        return named[0]

    # ---- the whole

    def _whole(self) -> Plan:
        filters: list[RowFilter] = []
        for (name, op), values in self.chosen.items():
            if op in {"in", "not in", "==", "between"}:  # any of these, or the two ends
                each = tuple(dict.fromkeys(values))
                filters.append(RowFilter(name, "in" if op == "==" and len(each) > 1 else op, each))
            else:
                filters += [RowFilter(name, op, (value,)) for value in values] or [RowFilter(name, op)]
        base, columns = Plan(self.output, filters=tuple(filters)), list(dict.fromkeys(self.names["head"]))
        every = tuple(dict.fromkeys([*columns, *self.names["against"], *(key.column for key in self.keys)]))
        if self.output in {"distinct", "correlation"}:
            return replace(base, columns=every)
        if self.output == "scatter":
            x, y = english.axes_of(self.said, every)
            if len(every) != 2 or len(x) != 1:  # noqa: PLR2004 two axes
                raise PlanError("A scatter chart is “scatter Y against X”.")
            return replace(base, measures=(Measure(AS_IT_IS, y[0]), Measure(AS_IT_IS, x[0])))
        if self.output in {"histogram", "box"}:
            measures = tuple(Measure(AS_IT_IS, name) for name in columns)
            return replace(base, measures=measures, keys=tuple(self.keys))
        if self.output != "table" and not self.drawn:
            return replace(base, columns=tuple(columns), keys=tuple(self.keys))
        return self._grouped(base, columns)

    def _grouped(self, base: Plan, columns: list[str]) -> Plan:
        """Groups, charts of groups, and rows; in an order, where one is said."""
        numbers = [name for name in columns if self.columns[name].numeric]
        others = [Key(name) for name in columns if name not in numbers]
        keys = list(dict.fromkeys([*self.keys, *(others if self.order or self.limit else ())]))
        if base.output in _AXES and not keys:
            raise PlanError("A chart is “plot Y by X”: by which column?")
        measures = [Measure(how, name) for name in numbers for how in self.aggregates] + self.measures
        each_row = bool(self.order) and all(self.columns[key.column].unique for key in keys)
        grouped = self.drawn or bool(keys and not each_row)
        if not (measures or (numbers if grouped else self.order or self.limit) or self._names_rows()):
            raise PlanError("What is wanted? Write “mean Y per X”, “count rows per X” or “rows where …”.")
        if not measures and grouped:
            measures = [Measure(AS_IT_IS, name) for name in numbers] or [Measure("count")]
        in_time = any(key.unit or self.columns[key.column].kind in {"date", "year", "number"} for key in keys)
        if base.output == "line" and "line" not in self.said.terms and not in_time:
            base = replace(base, output="bar")
        plan = replace(base, measures=tuple(measures), limit=self.limit)
        if self.drawn and len(keys) > 1:
            plan = replace(plan, keys=(keys[0],), across=keys[1])
        elif measures:
            plan = replace(plan, keys=tuple(keys))
        elif re.search(r"\bcolumns?\b|\bonly\b|\bjust\b", self.text):
            plan = replace(plan, columns=tuple(dict.fromkeys([*(key.column for key in self.keys), *columns])))
        if not self.order:
            return plan
        by = "measure" if measures else next(iter(numbers), "")
        if not by:
            raise PlanError("Ranked by which column? Write “top 10 X by Y”.")
        return replace(plan, order=Order(by, self.order == "descending"))

    def _names_rows(self) -> bool:
        """Whether the rows are called by some name, or are to be shown."""
        called = any(one.kind == "table" or one.columns for one in self.said.of("glue", "table"))
        nouns = _SHOWN | english.ROW_NOUNS | english.PERSONS
        named = called or not nouns.isdisjoint(re.findall(r"\w+", self.text))
        return named or bool(self.said.of("file") or self.said.ending)
