"""Reads a question with a model's help: the model fills in a plan, everything else happens here.

What a model is told is the same for every question, up to the last lines: so a server keeps it in its cache. No cell of
a table is in it: columns by name and kind, and those words of the question that are values.
"""

from __future__ import annotations

import json
import re
from dataclasses import astuple, dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models import TokensUsed
from ipython_assistant.engine.models.plan.checks import compared, mostly_unknown, unknown_words
from ipython_assistant.engine.models.plan.english import PATTERNS, result_names
from ipython_assistant.engine.models.plan.mentions import Mentions, mentions_in
from ipython_assistant.engine.models.plan.pandas_code import program
from ipython_assistant.engine.models.plan.plan import (
    AS_IT_IS,
    CHARTS,
    ROWS,
    TABLES,
    UNITS,
    Key,
    Measure,
    NewColumn,
    Order,
    Plan,
    PlanError,
    RowFilter,
)  # fmt: skip
from ipython_assistant.engine.models.plan.schema import PICTURES, schema_for
from ipython_assistant.engine.models.plan.settle import mended, named_file, settled
from ipython_assistant.engine.models.plan.words import Program, plainly
from ipython_assistant.engine.models.safe_markdown import bold, escape, listed
from ipython_assistant.engine.models.table_profiles import TableProfile, columns_of, profiled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter

MAX_TOKENS: Final = 600  # of a plan; most have 50
MAX_EARLIER: Final = 3  # questions with their plans that a follow-up is told
MAX_SHOWN: Final = 12  # columns that are named where none stands out
_WANTED: Final = re.compile(r"(?m)^The notebook goes on with [^\n]* under exactly this name, [^\n]*: ([^\n:]+)$")
_NAMED: Final = re.compile(r"^Files of the user:\n(?P<lines>(?:- /mnt/data/.*(?:\n|$))+)", re.M)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The question is not answered, and why; each reason is a Markdown sentence."""

    reasons: tuple[str, ...]
    tables: tuple[TableProfile, ...] = ()


@dataclass(frozen=True, slots=True)
class NoPlan:
    """No plan fits the question; Python that a model writes might still answer it."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlanQuestion:
    """One part of a question, its tables and files; `context` is what it names with the question it follows."""

    mentions: Mentions
    tables: tuple[TableProfile, ...]
    files: tuple[str, ...] = ()
    context: Mentions | None = None


class PlanReader:
    """Turns questions into programs; `plans` holds the last plan for each question: what a follow-up changes."""

    def __init__(self, server: Any, plans: dict[str, str]) -> None:
        self._server = server
        self._plans = plans

    async def read(self, ask: Ask, interpreter: Interpreter) -> tuple[list[Program] | Refusal | NoPlan, TokensUsed]:
        """The programs that answer, or why there are none, and the cost. Raises RuntimeError or ModelFailed."""
        asked_before = [message.text for message in ask.history if message.role == "user"]
        earlier = [(text, self._plans[text]) for text in asked_before if text in self._plans][-MAX_EARLIER:]
        earlier = earlier if PATTERNS["goes on"].search(ask.prompt) else []
        tables = await profiled(interpreter, ask.files, " ".join([ask.prompt, *(text for text, _ in earlier)]))
        readable = [table for table in tables if not table.problem]
        if not readable:
            return (unreadable(tables) if tables else NoPlan("there is no table")), TokensUsed()
        programs: list[Program] = []
        spent = TokensUsed()
        for part in [ask.prompt] if earlier else parts_of(ask.prompt, readable):
            made = {one.plan.file for one in programs}
            question = question_of(part, ask, readable, made)
            if earlier:
                question = replace(question, context=mentions_in(f"{earlier[-1][0]}\n{part}", question.tables))
            outcome, used = await self._program(question, {*ask.files, *made}, earlier, ask.prompt)
            spent = TokensUsed(*(sum(both) for both in zip(astuple(spent), astuple(used), strict=True)))
            if not isinstance(outcome, Program):
                return outcome, spent
            programs.append(outcome)
        return programs, spent

    async def _program(
        self, question: PlanQuestion, taken: set[str], earlier: Sequence[tuple[str, str]], prompt: str
    ) -> tuple[Program | Refusal | NoPlan, TokensUsed]:
        said = question.mentions
        if mostly_unknown(said):
            return NoPlan("the question is not in words that can be checked"), TokensUsed()
        if unknown := unknown_words(said, result_names(said)):
            return Refusal(unknown, question.tables), TokensUsed()
        wanted = said.ending or question.files
        if wanted and not earlier and all(one.kind in {"glue", "file", "table"} for one in said.found):
            return checked_program(Plan("table"), question, taken), TokensUsed()  # `this as excel`: nothing to read
        schema = schema_for(question.context or said, question.tables, question.files, latest=said)
        asked, settings = messages(said, question.tables, earlier), {"temperature": 0}
        completion = await self._server.complete(asked, schema=schema, max_tokens=MAX_TOKENS, options=settings)
        text = completion.text
        try:
            found = json.loads(text[text.find("{") : text.rfind("}") + 1])
            if "cannot" in found:
                return NoPlan(str(found["cannot"])), completion.usage
            plan = plan_from_json(found, frozenset(columns_of(question.tables)))
            plan = mended(plan, question.context or said, question.tables)
        except PlanError as error:
            return NoPlan(str(error)), completion.usage
        except (ValueError, RecursionError):
            return NoPlan("the model wrote no plan"), completion.usage
        outcome = checked_program(plan, question, taken)
        if isinstance(outcome, Program):
            self._plans[prompt] = text
        return outcome, completion.usage


def checked_program(plan: Plan, question: PlanQuestion, taken: set[str]) -> Program | Refusal:
    """Decide what a plan leaves open, check it against its question, and write its code."""
    try:
        plan, tables, open_points = settled(plan, question.context or question.mentions, question.tables)
        failures, doubts = compared(plan, question.mentions, question.tables, question.context)
        if failures:
            return Refusal(failures, question.tables)
        plan = named_file(plan, question.files, question.mentions.ending, taken)
        return Program(plan, tables, program(plan, tables, plainly(plan)), doubts, open_points)
    except PlanError as error:
        return Refusal((escape(str(error), 300),), question.tables)  # the model's own words may be in it


def messages(
    mentions: Mentions, tables: Sequence[TableProfile], earlier: Sequence[tuple[str, str]] = ()
) -> list[dict[str, Any]]:
    """The conversation a model is sent."""
    told = resources.files(__package__).joinpath("prompt.txt").read_text(encoding="utf-8")
    system, heading, *shots = told.strip().split("\n\n")
    said: list[dict[str, Any]] = [{"role": "system", "content": system}]
    pairs = [(asked, answered.replace("\n", "")) for asked, _, answered in (shot.partition("\n") for shot in shots)]
    described = "Now other tables."
    for table in tables:
        shown = [column for column in table.columns if column.name in mentions.columns or column.in_time]
        parts = []
        for column in shown or table.columns[:MAX_SHOWN]:
            values = list(mentions.values_of(column.name))
            parts.append(f"{column.name} ({column.kind}{': ' + ', '.join(values) if values else ''})")
        described += f"\n{table.name}: {', '.join(parts)}"
    for several, first in ((pairs, heading), ([*earlier, (mentions.prompt.strip(), "")], described)):
        for at, (asked, answered) in enumerate(several):
            told = f"Question: {asked}" if at else f"{first}\nQuestion: {asked}"
            said.append({"role": "user", "content": told})
            said += [{"role": "assistant", "content": answered}] if answered else []
    return said


def unreadable(tables: Sequence[TableProfile]) -> Refusal:
    """The refusal where no table can be read."""
    problems = [f"{bold(table.name)} could not be read: {escape(table.problem, 300)}." for table in tables]
    return Refusal(tuple(problems) or ("There is no table yet: name one with `-i`.",), tuple(tables))


def refusal_text(refusal: Refusal, way_out: str) -> str:
    """A refusal as the reader sees it: why, what the tables have, and what would work."""
    parts = ["I did not answer this.", *(f"- {reason}" for reason in refusal.reasons)]
    for table in [table for table in refusal.tables if table.columns][:3]:
        names = [bold(column.name) for column in table.columns[:MAX_SHOWN]]
        more = len(table.columns) - len(names)
        parts.append(f"\n{bold(table.name)} has {listed(names)}{f' and {more} more' if more else ''}.")
    return "\n".join([*parts, f"\n{way_out}"])


# ---- what a question is about


def parts_of(prompt: str, tables: Sequence[TableProfile]) -> list[str]:
    """The things a prompt asks for, one after another; a part that names nothing belongs to the one before."""
    lines = [line for line in prompt.strip().splitlines() if not line.startswith("#|")]
    parts: list[str] = []
    for part in PATTERNS["part"].split("\n".join(lines)):
        own = mentions_in(part, tables)
        alone = bool(own.of("column", "value") or {"describe", "missing", "duplicates", "dedupe"} & own.terms)
        if part.lower().startswith("how many"):  # two counts, where each chooses its own rows
            alone = all(mentions_in(one, tables).of("value", "number", "period") for one in (part, *parts[-1:]))
        if parts and not alone:
            parts[-1] = f"{parts[-1]}, and {part}"
        elif part.strip():
            parts.append(part.strip())
    return parts or [prompt]


def question_of(prompt: str, ask: Ask, tables: Sequence[TableProfile], made: set[str]) -> PlanQuestion:
    """A part of the prompt with the tables it is about: those it names, those of this cell, those uploaded, all."""
    known = {table.path.lower(): table for table in tables}
    named = [known[one.text.lower()] for one in mentions_in(prompt, tables).of("table") if one.text.lower() in known]
    wanted, files_told = _WANTED.search(ask.instructions), _NAMED.search(ask.instructions)
    lines = files_told["lines"].splitlines() if files_told else []
    here = [name for name in ask.files if any(line.startswith(f"- /mnt/data/{name}: ") for line in lines)]
    fresh = [table for table in tables if table.path in (here or ask.new)]
    uploaded = [table for table in tables if table.path not in ask.made]
    choices = [list(dict.fromkeys(named))] if named else [one for one in (fresh, uploaded, list(tables)) if one]
    chosen = next((choice for choice in choices if not mentions_in(prompt, choice).of("unknown")), choices[0])
    mentions = mentions_in(prompt, chosen)
    files = [one.text.rpartition("/")[2] for one in mentions.of("file")]  # folders are not made
    names = wanted[1].split(", ") if wanted else []  # of the tables that have to come back
    free = [name for name in names if "/" not in name and name not in made]
    if not files and len(free) == 1:
        ending = mentions.ending if mentions.ending not in PICTURES else ""
        files = [f"{free[0].rpartition('.')[0] or free[0]}{ending or '.csv'}"]
    return PlanQuestion(mentions, tuple(chosen), tuple(files))


# ---- what a model wrote


def plan_from_json(found: Mapping[str, Any], columns: frozenset[str]) -> Plan:
    """The plan that a model filled in. Raises `PlanError`: it is no plan, or names a column that is not there."""
    try:
        plan = _plan({name: value for name, value in found.items() if value is not None}, columns)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise PlanError(f"The model's plan is not one: {type(error).__name__} {error}") from None
    if plan.output not in (*TABLES, *CHARTS):
        raise PlanError(f"The model asks for a {plan.output}, which there is not.")
    known = columns | {new.name for new in plan.new_columns}
    if unknown := [name for name in plan.used() if name not in known]:
        raise PlanError(f"There is no column {unknown[0]}.")
    return plan


def _plan(found: Mapping[str, Any], columns: frozenset[str]) -> Plan:
    filters = found.get("filters", {})
    if isinstance(filters, dict):  # by column; models that are held to nothing also write a list
        filters = [{"column": column, **one} for column, one in filters.items()]
    points = [Measure(AS_IT_IS, str(found[name])) for name in ("of", "y", "x") if name in found]
    new = [map(str, (one["name"], one["left"], one["op"], one["right"])) for one in found.get("new_columns", ())]
    keys = dict.fromkeys(_key(one, columns) for one in found.get("group_by", ()))
    across = _key(found["across"], columns) if found.get("across") else None
    across = None if list(keys) == [across] else across
    sort = found.get("sort")
    return Plan(
        output=str(found["output"]),
        tables=tuple(found.get("tables", ())),
        filters=tuple(map(_filter, filters)),
        either=found.get("filters_match") == "any",
        new_columns=tuple(NewColumn(*parts) for parts in new),
        keys=tuple(one for one in keys if one != across),
        across=across,
        measures=tuple(dict.fromkeys(points or map(_measure, found.get("measures", ())))),
        then=str(found.get("then", "")),
        window=max(int(found.get("window", 0)), 0),
        order=Order(str(sort["by"]), sort["order"] == "descending") if sort else None,
        limit=max(int(found.get("limit", 0)), 0),
        columns=tuple(dict.fromkeys(found.get("columns", ()))),
    )


def _key(text: str, columns: frozenset[str]) -> Key:
    column, _, unit = text.rpartition(" by ")
    return Key(text) if text in columns or unit not in UNITS else Key(column, unit)


def _filter(one: Mapping[str, Any]) -> RowFilter:
    values = one.get("value", [])
    values = tuple(values) if isinstance(values, list) else (values,)
    if not all(isinstance(value, str | int | float) for value in values) or (one["op"] == "between" and not values):
        raise TypeError(f"{one['column']} is compared with {values}")
    return RowFilter(str(one["column"]), str(one["op"]), values)


def _measure(one: Mapping[str, Any]) -> Measure:
    part = (_filter(one["part"]),) if one.get("part") or one.get("agg") == "percent that fit" else ()
    how, column, by = (str(one.get(name) or other) for name, other in (("agg", ""), ("column", ROWS), ("by", "")))
    return Measure(how, column, by, float(one.get("per", 1)), part)
