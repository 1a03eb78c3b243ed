"""Prompt and tables in, plans out; or what was understood, what was not, and why nothing is done.

The rule that matters: every noun, number and comparison that no phrase took makes the whole prompt a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import joining, naming
from ipython_assistant.engine.models.analyst.code_write import TABLE_ENDINGS
from ipython_assistant.engine.models.analyst.courtesy import broken, usual, without_courtesy
from ipython_assistant.engine.models.analyst.formulas import with_definitions
from ipython_assistant.engine.models.analyst.grouping import between_as_years
from ipython_assistant.engine.models.analyst.intents import task_of
from ipython_assistant.engine.models.analyst.lexing import TokenKind, fold, tokens
from ipython_assistant.engine.models.analyst.mentions import ColumnMention, Item, Word, mentions, sides, spelled
from ipython_assistant.engine.models.analyst.naming import Names
from ipython_assistant.engine.models.analyst.ordering import with_order
from ipython_assistant.engine.models.analyst.phrases import read_clause
from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    Compare,
    Condition,
    Describe,
    Distinct,
    Duplicates,
    Group,
    How,
    InYears,
    OneOf,
    Plan,
    Proportion,
    Rows,
    Task,
    compared,
    drawn,
)
from ipython_assistant.engine.models.analyst.vocabulary import (
    ACTIONS,
    ASKING,
    BAR,
    CHART_NOUNS,
    DESCRIBE_WORDS,
    HARMLESS_MARKS,
    HOWS,
    IDLE,
    LINE,
    LIST_VERBS,
    SAVE_VERBS,
)
from ipython_assistant.engine.models.markdown import bold, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.analyst.draft import Draft
    from ipython_assistant.engine.models.analyst.tables import Column, Table


@dataclass(frozen=True, slots=True)
class Understood:
    """All of a prompt, as plans in its order."""

    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why a prompt is refused.

    Args:
        drafts: What was understood of each clause.
        unknown: The words, numbers and signs that no rule took, as written, in order.
        problems: What is wrong besides, as Markdown sentences.
        ambiguous: It fits several tables.
    """

    drafts: tuple[Draft, ...]
    unknown: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    ambiguous: bool = False


def read(prompt: str, tables: Sequence[Table], names: Names | None = None) -> Understood | NotUnderstood:
    """Read a prompt against the tables that are there.

    Args:
        prompt: What the user wrote.
        tables: The tables; the one that makes sense of all of the prompt is meant.
        names: The files that are there and those that have to come back.
    """
    names = names or Names()
    names = replace(
        names,
        taken=names.taken | {table.name for table in tables},
        own=names.own - set(_read_in(prompt, names.own)),
    )
    readings = [_read(prompt, table, names) for table in tables]
    if not any(isinstance(reading, Understood) for reading in readings):
        readings += _of_the_named(prompt, tables, names)
    if not any(isinstance(reading, Understood) for reading in readings):
        readings += [_read(prompt, table, names) for table in joining.joined(tables)]
    understood = _apart([reading for reading in readings if isinstance(reading, Understood)], prompt)
    if len(understood) == 1:
        return understood[0]
    if understood:
        shown = dict.fromkeys(bold(reading.plans[0].table.shown) for reading in understood)
        why = f"The request fits {listed(list(shown))}: write which file is meant."
        return NotUnderstood((), problems=(why,), ambiguous=True)
    refused = [reading for reading in readings if isinstance(reading, NotUnderstood)]
    return min(refused, key=lambda reading: (len(reading.unknown), len(reading.problems)), default=NotUnderstood(()))


def _of_the_named(prompt: str, tables: Sequence[Table], names: Names) -> list[Understood | NotUnderstood]:
    """The prompt without its “in cases.csv”, read against that table alone: a file named in full is the one meant."""
    found = _read_in(prompt, [table.name for table in tables])
    meant = [table for table in tables if table.name in found]
    if len(meant) != 1 or len(found[meant[0].name]) != 1:
        return []
    ((start, end),) = found[meant[0].name]
    return [_read(f"{prompt[:start].rstrip()}{prompt[end:]}", meant[0], names)]


def _read_in(prompt: str, names: Collection[str]) -> dict[str, list[tuple[int, int]]]:
    """Where a prompt says “in”, “from” or “of” one of these files; “save it in x.csv” could be either."""
    files = {fold(name): name for name in names}
    found: dict[str, list[tuple[int, int]]] = {}
    spoken = tokens(prompt)
    for at, token in enumerate(spoken):
        if token.kind is not TokenKind.FILE or fold(token.text) not in files:
            continue
        joint = at - 1
        while joint > 0 and spoken[joint].norm in {"the", "file", "table"}:
            joint -= 1
        if joint >= 0 and spoken[joint].norm in {"in", "from", "of"}:
            found.setdefault(files[fold(token.text)], []).append((spoken[joint].start, token.end))
    return found


def _apart(understood: list[Understood], prompt: str) -> list[Understood]:
    """Of two tables that can be put together either way round, the one that is named first keeps its rows."""
    joins = [reading.plans[0].table.join for reading in understood]
    if len(understood) != 2 or None in joins:  # noqa: PLR2004 - the two ways round
        return understood
    one, other = joins
    if one is None or other is None or one.left.path != other.right.path or one.left.sheet != other.right.sheet:
        return understood
    folded = fold(prompt)
    places = [folded.find(fold(join.left.stem)) % (len(folded) + 1) for join in (one, other)]
    return [understood[places.index(min(places))]]


def _read(prompt: str, table: Table, names: Names) -> Understood | NotUnderstood:
    plans: list[Plan] = []
    prompt, promises = without_courtesy(usual(prompt, table), table)
    prompt, slips = spelled(prompt, table)
    plain = _without_bullets(prompt)
    table = with_definitions(mentions(plain, table), table)
    drafts = _drafts(_clauses(mentions(plain, table), prompt), prompt, table)
    for number, draft in enumerate(drafts):
        if not any(one.left_over or one.problems for one in drafts[: number + 1]):
            _add(plans, draft, drafts[:number])
    if table.join and not plans and any(draft.joined for draft in drafts) and not any(one.left_over for one in drafts):
        plans.append(_saved(Plan(table, Rows()), drafts[-1]))
    if plans:
        plans = naming.as_wanted(plans, names.wanted)
    kept = (names.taken - names.own) | {side.name for side in sides(table)}
    for plan in plans:
        _check(plan, kept, drafts[-1])
    given = [name for plan in plans for name in (plan.picture, plan.save) if name and not name.startswith("*.")]
    if len(set(given)) < len(given):
        drafts[-1].problem("Two files would have the same name.")
    if plans and slips:
        plans[0] = replace(plans[0], notes=(*slips, *plans[0].notes))
    unknown = tuple(part for draft in drafts for part in _shown(draft.left_over, prompt))
    problems = tuple(dict.fromkeys([problem for draft in drafts for problem in draft.problems]))
    problems += tuple(broken(promises, plans))
    if unknown or problems or not plans:
        return NotUnderstood(tuple(drafts), unknown, problems or (() if unknown else ("Nothing is asked for.",)))
    if table.join:
        asked = next((draft.joined for draft in drafts if draft.joined), "")
        joined = joining.settled(table, asked)
        plans = [replace(plan, table=joined, notes=(joining.in_words(joined), *plan.notes)) for plan in plans]
    return Understood(naming.named(plans, names.taken))


def _drafts(clauses: Sequence[Sequence[Item]], prompt: str, table: Table) -> list[Draft]:
    """What each clause says by itself."""
    drafts = [read_clause(clause, table) for clause in clauses]
    for number in range(1, len(drafts)):
        if not drafts[number - 1].where and _trails(drafts[number], clauses[number], clauses[number - 1], prompt):
            drafts[number].problem("It is not clear whether the condition at the end is about all parts: put it first.")
    return drafts


def _trails(draft: Draft, clause: Sequence[Item], before: Sequence[Item], prompt: str) -> bool:
    """`mean coverage per district, count of rows, since 2018`: a condition set apart at the end of a sentence."""
    apart = draft.where_start > 0 and _norm(clause[draft.where_start - 1]) == ","
    between = prompt[before[-1].tokens[-1].end : clause[0].tokens[0].start]
    return apart and draft.where_end == len(clause) and _BREAKS.isdisjoint(between)


def _without_bullets(prompt: str) -> str:
    """The prompt with blanks for the dashes and numbers that lines of a list begin with."""
    return _BULLET.sub(lambda bullet: " " * len(bullet.group()), prompt)


_BULLET: Final = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])(?=[ \t])", re.MULTILINE)


def _shown(items: Sequence[Item], prompt: str) -> list[str]:
    """What was left over, as written; what stood together stays together."""
    spans: list[tuple[int, int]] = []
    for item in items:
        start, end = item.tokens[0].start, item.tokens[-1].end
        if spans and not prompt[spans[-1][1] : start].strip():
            start = spans.pop()[0]
        spans.append((start, end))
    return [prompt[start:end] for start, end in spans]


# ---- clauses

_BREAKS: Final = frozenset({".", ";", "!", "?", "then"})
_JOINTS: Final = frozenset({"and", "also", "then", "please", ",", "&", "now", "finally"})
_FRESH: Final = SAVE_VERBS | LIST_VERBS | {"describe", "summarise", "summarize"}
_ACTS: Final = ACTIONS | DESCRIBE_WORDS | CHART_NOUNS | LINE | BAR | HOWS.keys() | ASKING


def _clauses(items: Sequence[Item], prompt: str) -> list[list[Item]]:
    """Cut after sentences, at `then`, and before a verb that follows `and` where something was asked for before it.

    A verb that saves or lists begins anew without `and` too, and so does a line that asks for something.
    """
    clauses: list[list[Item]] = [[]]
    acted = False
    for index, item in enumerate(items):
        word = _norm(item)
        clause = clauses[-1]
        anew = acted and any(isinstance(one, ColumnMention) for one in clause)
        lined = bool(clause) and "\n" in prompt[clause[-1].tokens[-1].end : item.tokens[0].start]
        if word in _BREAKS or (word in _JOINTS and acted and _verb_follows(items, index)):
            clauses.append([])
            acted = False
        elif anew and (word in _FRESH or (lined and (word in _ACTS or word in _JOINTS))):
            clauses.append([item])
            acted = word in _ACTS
        else:
            clause.append(item)
            acted = acted or word in _ACTS
    spoken = [clause for clause in clauses if any(not isinstance(item, Word) or item.norm.isalnum() for item in clause)]
    asking = [clause for clause in spoken if any(_norm(item) not in IDLE | HARMLESS_MARKS for item in clause)]
    return asking or spoken  # "Thanks!" asks for nothing


def _verb_follows(items: Sequence[Item], index: int) -> bool:
    """True where only joints stand between here and a verb."""
    after = next((number for number, item in enumerate(items[index:], index) if _norm(item) not in _JOINTS), None)
    if after is None:
        return False
    following = items[after + 2] if after + 2 < len(items) else None
    asked = _norm(items[after]) == "how" and after + 1 < len(items) and _norm(items[after + 1]) == "many"
    return _norm(items[after]) in ACTIONS or (asked and following is not None and _norm(following) in _WHOSE)


_WHOSE: Final = frozenset({"by", "were", "was", "are", "with", "from", "of", "in"})
"""After “and how many”: the rows spoken of, counted again."""


def _norm(item: Item) -> str:
    return item.norm if isinstance(item, Word) else ""


# ---- plans


def _add(plans: list[Plan], draft: Draft, before: Sequence[Draft]) -> None:
    """Make a plan of a draft that has nothing left over, or add a file to the plan before."""
    if draft.bare and _about_before(plans, draft):
        return
    task = task_of(draft, plans[-1].task if plans else None)
    if task is None or draft.problems:
        return
    above = plans[-1].task if plans else None
    of_top = isinstance(above, Rows) and above.top and isinstance(task, Rows | Distinct)
    if of_top and not (draft.where or draft.everything or draft.of_table or (isinstance(task, Rows) and task.top)):
        draft.problem("It is not clear whether these columns are to be those of the top: ask for “only …” with it.")
    where = _scope(draft, task, before)
    if isinstance(task, Proportion):
        where = tuple(one for one in where if one != task.condition)
    if isinstance(task, Group) and task.wide and task.then:
        where = between_as_years(where, task.wide)
    plan = Plan(draft.table, task, where, notes=tuple(draft.notes))
    plans.append(_saved(plan, draft))


def _about_before(plans: list[Plan], draft: Draft) -> bool:
    """Do what a clause without a request of its own asks for: an order, a file, another look at what came before."""
    if draft.saving:
        return _saved_before(plans, draft)
    if draft.joined and not draft.listing:
        return True
    if draft.ending and not plans:  # "as JSON please"
        plans.append(_whole(draft))
        return True
    if draft.listing and draft.outcome and plans:  # "any duplicates? show me them"
        if isinstance(plans[-1].task, Duplicates):
            plans[-1] = replace(plans[-1], task=replace(plans[-1].task, keep="all"))
        return True
    if draft.sort and plans:
        plans[-1] = _sorted(plans[-1], draft)
        return True
    return False


def _saved_before(plans: list[Plan], draft: Draft) -> bool:
    if not (draft.outcome or plans):
        return False
    if not plans and (draft.ending or draft.name):
        plans.append(_whole(draft))
    elif not plans:
        draft.problem("There is nothing yet to be saved.")
    elif draft.of_table and not draft.outcome and drawn(plans[-1].task):
        draft.problem("Write “save the points” for what is drawn, or “save all rows” for the table.")
    else:
        plans[-1] = _saved(plans[-1], draft)
    return True


def _whole(draft: Draft) -> Plan:
    """The table itself, in another file."""
    return _saved(Plan(draft.table, Rows(), notes=tuple(draft.notes)), draft)


def _sorted(plan: Plan, draft: Draft) -> Plan:
    """The plan with the order that a clause of its own asks for."""
    task = with_order(draft, plan.task)
    if task is None:
        draft.problem("What came before cannot be sorted.")
        return plan
    return replace(plan, task=task)


def _saved(plan: Plan, draft: Draft) -> Plan:
    """The plan with the file names that the draft gives."""
    name, chart = draft.name, drawn(plan.task)
    _, dot, ending = name.rpartition(".")
    if name and (not dot or len(ending) > 8):  # noqa: PLR2004 - "by.district" has no ending
        ending = "png" if chart and not draft.as_table else (draft.ending or ".csv")[1:]
        name = f"{name}.{ending}"
    if name and (problem := naming.checked(name)):
        draft.problem(problem)
    elif ending.casefold() == "png" and chart:
        return replace(plan, picture=name, save=naming.AUTOMATIC if draft.as_table else plan.save)
    elif f".{ending.casefold()}" in TABLE_ENDINGS:
        if draft.ending not in {"", ".csv", f".{ending.casefold()}"}:
            draft.problem(f"{quoted(name)} is no {draft.ending} file.")
        return replace(plan, save=name)
    elif name:
        kinds = "in .png, .csv" if chart else "in .csv"
        draft.problem(f"{quoted(name)} has to end {kinds}, .tsv, .xlsx, .json, .parquet, .md or .html.")
    if chart and draft.ending and draft.ending != ".csv":
        draft.problem("Write “save the points” for what is drawn, or ask for the table without a chart.")
    return replace(plan, save=f"*{draft.ending or '.csv'}") if draft.as_table else plan


def _scope(draft: Draft, task: Task, before: Sequence[Draft]) -> tuple[Condition, ...]:
    """The conditions of a plan: its own, or those that head the sentence; which rows are meant must be clear."""
    own = tuple(draft.where)
    chosen = [one for one in own if isinstance(one, OneOf)]
    twice = [one for one in chosen if sum(one.column == other.column for other in chosen) > 1]
    if any(not one.negated for one in twice):
        draft.problem(f"Two values of {bold(twice[0].column.name)} are asked for at once: join them with “or”.")
    if len(own) > 1 and any(isinstance(one, Compare) and isinstance(one.bound, How) for one in own):
        draft.problem("The average could be that of all rows or of those that are selected: give its number.")
    headed = tuple(before[0].leading) if before and not draft.everything else ()
    grouped = _grouping(task)
    if isinstance(task, Describe) and draft.of_table and not own:
        return ()
    if any(_about(one, grouped) for one in headed):
        draft.problem(
            "It is not clear which rows the second part is about: write “for all rows”, or repeat the condition."
        )
    if own or draft.everything or not before:
        mine = {column for other in own for column in compared(other)}
        return tuple(one for one in headed if not _about(one, mine)) + own
    narrowed = [one for one in before[-1].where if one not in headed and not (_single(one) and _about(one, grouped))]
    if narrowed:
        names = listed(list(dict.fromkeys(bold(column.name) for one in narrowed for column in compared(one))))
        draft.problem(
            f"It is not clear whether the second part is about the same rows ({names}): repeat the condition there, "
            "or write “for all rows”."
        )
    return headed


def _about(condition: Condition, columns: Collection[Column]) -> bool:
    return any(column in columns for column in compared(condition))


def _single(condition: Condition) -> bool:
    """One value: groups of its own column, asked for next, can only mean all of them."""
    match condition:
        case OneOf(values=values, negated=False) | InYears(years=values, negated=False):
            return len(values) == 1
        case _:
            return False


def _grouping(task: Task) -> tuple[Column, ...]:
    match task:
        case Group(keys=keys, wide=wide):
            return (*keys, *((wide,) if wide else ()))
        case Chart(over=over, series=series):
            return (over, *((series,) if series else ()))
        case _:
            return ()


def _check(plan: Plan, kept: Collection[str], draft: Draft) -> None:
    """No file of the user's may be overwritten, nor one that is being read."""
    for name in (plan.picture, plan.save):
        if name and fold(name) in {fold(other) for other in kept}:
            draft.problem(f"{quoted(name)} is there already: give another name.")
