"""Columns that a prompt defines: `ratio = treated / targeted`, `treated divided by targeted`. Part of the grammar.

A definition is found before anything else is read, so that its name can be used in the rest of the prompt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.draft import Clause, Definition, Draft
from ipython_assistant.engine.models.analyst.lexing import fold, plain_words
from ipython_assistant.engine.models.analyst.mentions import ColumnMention, Item, Name, Number, ValueMention, Word
from ipython_assistant.engine.models.analyst.tables import DAYS, Column, Formula, Kind, Table
from ipython_assistant.engine.models.analyst.wording import MARKDOWN, formula_in_words
from ipython_assistant.engine.models.markdown import bold, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

Part = Column | float | Formula

_SIGNS: Final[dict[tuple[str, ...], str]] = {
    ("/",): "/", ("÷",): "/", ("divided", "by"): "/", ("*",): "*", ("×",): "*", ("times",): "*", ("x",): "*",
    ("multiplied", "by"): "*", ("-",): "-", ("\u2212",): "-", ("minus",): "-", ("less",): "-",
    ("+",): "+", ("plus",): "+",
}  # fmt: skip
_FIRST: Final = ({"*", "/"}, {"+", "-"})
_PREFIXES: Final[dict[tuple[str, ...], tuple[str, str]]] = {
    ("ratio", "of"): ("/", "to"), ("ratio", "between"): ("/", "and"), ("difference", "between"): ("-", "and"),
    ("difference", "of"): ("-", "and"), ("product", "of"): ("*", "and"), ("quotient", "of"): ("/", "and"),
}  # fmt: skip
_PERCENT_OF: Final = (
    ("as", "a", "percentage", "of"), ("as", "a", "percent", "of"), ("as", "percent", "of"), ("as", "%", "of"),
    ("in", "percent", "of"), ("as", "a", "share", "of"),
)  # fmt: skip
_NAMED: Final = frozenset({"called", "named", "as"})
_EQUALS: Final = frozenset({"=", "as", "is", "from", ":", "by", "being"})
MAX_NAME_WORDS: Final = 4


def definitions(items: Sequence[Item], table: Table) -> list[Definition]:
    """All that a prompt defines, in order; the name is made of the formula where there is none."""
    clause = Clause(items, table)
    found: list[Definition] = []
    at = 0
    while at < len(items):
        one = _definition(clause, at, found[-1].end if found else 0)
        if one:
            found.append(one)
        at = one.end if one else at + 1
    return found


def _definitions_in(clause: Clause, table: Table) -> list[Definition]:
    """The same of a clause: every place in it asks, so they are looked for once."""
    if clause.defined is None or clause.defined[0] is not table:
        clause.defined = table, definitions(clause.items, table)
    return clause.defined[1]


def with_definitions(items: Sequence[Item], table: Table) -> Table:
    """The table with the columns that a prompt defines."""
    there = {fold(column.name).strip() for column in table.columns}
    new = [
        Column(one.name, Kind.NUMBER, distinct=table.rows, made=one.formula)
        for one in definitions(items, table)
        if fold(one.name) not in there
    ]
    unique = {column.name: column for column in reversed(new)}
    return replace(table, columns=(*table.columns, *reversed(unique.values()))) if new else table


def _definition(clause: Clause, at: int, after: int) -> Definition | None:
    formula_end, formula = _whole(clause, at)
    if formula is None:
        return None
    start, name = _name_before(clause, at, after)
    end = formula_end
    if not name and clause.word(at) == "(" and clause.word(end - 1) == ")" and _named_aside(clause, at - 1):
        return Definition(at - 1, end, clause.items[at - 1].tokens[0].text, formula)
    if not name:
        named = clause.past(formula_end, {"and", "call", "it", "this", ","})
        named += clause.word(named) in _NAMED
        item = clause.at(named)
        called = any(clause.word(index) in _NAMED | {"call"} for index in range(formula_end, named))
        plain = isinstance(item, Word | Name) and called and not _is_file(item)
        if plain and item is not None:
            end, name = _name_after(clause, named)
    return Definition(start, end, name or formula_in_words(formula), formula)


def _named_aside(clause: Clause, at: int) -> bool:
    """`revenue (quantity * price)`: a word that means nothing else."""
    item = clause.at(at)
    if isinstance(item, ColumnMention):
        return len(item.tokens) == 1 and item.choices[0].made is not None
    return isinstance(item, Word) and item.norm.isalpha() and item.norm not in known.KNOWN


def _is_file(item: Item) -> bool:
    if isinstance(item, Name):
        return "." in item.text
    return isinstance(item, Word) and (
        item.norm in known.FILE_FORMATS or not item.norm.isalnum() or item.norm in known.KNOWN
    )


def _name_after(clause: Clause, at: int) -> tuple[int, str]:
    """A name, words joined by underscores among them."""
    item = clause.items[at]
    name = item.text if isinstance(item, Name) else item.tokens[0].text
    end = at + 1
    while clause.word(end) == "_" and clause.at(end + 1) is not None:
        name += "_" + "".join(token.text for token in clause.items[end + 1].tokens)
        end += 2
    return end, name


def _name_before(clause: Clause, at: int, after: int) -> tuple[int, str]:
    """`profit =`, `a column called profit as`: the name, and where the definition begins."""
    if clause.word(at - 1) not in _EQUALS or at - 1 <= after:
        return at, ""
    back = at - 1
    if clause.word(back) in {"is", "being"} and clause.word(back - 1) in {"that", "which"}:
        back -= 1
    first = back - 1
    certain = clause.word(at - 1) == "="
    while first > after and back - first <= MAX_NAME_WORDS and _may_name(clause, first, certain=certain):
        first -= 1
    introduced = clause.word(first) in {"column", "called", "named", "field", "variable"}
    first += not (first == after and _may_name(clause, first, certain=certain) and certain)
    if first >= back or not (certain or introduced):
        return at, ""
    words = clause.items[first:back]
    name = ""
    end = 0
    for token in (token for item in words for token in item.tokens):
        name += (" " if name and end < token.start else "") + token.text
        end = token.end
    return first, name


def _may_name(clause: Clause, at: int, *, certain: bool) -> bool:
    item = clause.at(at)
    if isinstance(item, Name):
        return "." not in item.text
    if isinstance(item, ColumnMention | ValueMention):
        return certain
    word = clause.word(at)
    common = (
        known.ACTIONS | known.IDLE | known.MAKE_VERBS | {"column", "called", "named", "field", "variable", "new", "add"}
    )
    return bool(word) and (word == "_" or word.isalnum()) and word not in common


def _whole(clause: Clause, at: int) -> tuple[int, Formula | None]:
    """A formula that begins here, where it ends; None for a lone operand."""
    if (days := _days_between(clause, at)) is not None:
        return days
    prefix = clause.phrase(at, tuple(_PREFIXES))
    if prefix:
        sign, joint = _PREFIXES[prefix]
        left_end, left = _operand(clause, at + len(prefix))
        right_end, right = _operand(clause, left_end + 1)
        fits = left is not None and right is not None and clause.word(left_end) == joint
        return (right_end, Formula(left, sign, right)) if fits and left and right else (at, None)
    end, found = _sum(clause, at)
    if isinstance(found, Column) and (phrase := clause.phrase(end, _PERCENT_OF)):
        right_end, right = _operand(clause, end + len(phrase))
        if isinstance(right, Column):
            return right_end, Formula(Formula(found, "/", right), "*", 100)
    if isinstance(found, Column) and (per := _per_so_many(clause, end)):
        return per[0], Formula(Formula(found, "/", per[1]), "*", per[2])
    return (end, found) if isinstance(found, Formula) and _has_column(found) else (at, None)


def _per_so_many(clause: Clause, at: int) -> tuple[int, Column, float] | None:
    """`per 1,000 population`, `per 100 000 inhabitants`: the end, what is divided by, and so many of it."""
    number = clause.at(at + 1)
    if clause.word(at) != "per" or not isinstance(number, Number) or number.value <= 0:
        return None
    noun = clause.past(at + 2, {"of", "the"})
    end, below = _operand(clause, noun)
    if below is None and clause.word(noun) in _PEOPLE:
        numbers = [one for one in clause.columns if one.kind is Kind.NUMBER and not one.made]
        columns = [one for one in numbers if not _PEOPLE.isdisjoint(plain_words(one.name))]
        end, below = noun + 1, columns[0] if len(columns) == 1 else None
    return (end, below, number.value) if isinstance(below, Column) else None


_PEOPLE: Final = frozenset(["people", "persons", "inhabitants", "residents", "population", "person", "inhabitant"])


_DELAYS: Final = (
    ("days", "between"), ("delay", "between"), ("delay", "from"), ("delay", "in", "days", "between"),
    ("time", "between"),
    ("number", "of", "days", "between"), ("days", "from"), ("delay", "in", "days", "from"), ("time", "from"),
    ("days", "elapsed", "between"),
    ("time", "in", "days", "between"), ("difference", "in", "days", "between"), ("interval", "between"),
    ("gap", "between"),
)  # fmt: skip


def _days_between(clause: Clause, at: int) -> tuple[int, Formula] | None:
    """`days between onset date and report date`: the second less the first."""
    phrase = _spoken(clause, at, _DELAYS)
    first_at = clause.past(at + phrase, {"the"})
    second_at = clause.past(first_at + 1, {"and", "to", "the", "until"})
    first, second = clause.column(first_at), clause.column(second_at)
    if not phrase or first is None or second is None or len(first.choices) > 1 or len(second.choices) > 1:
        return None
    one, other = first.choices[0], second.choices[0]
    if one.kind is not Kind.DATE or other.kind is not Kind.DATE or second_at == first_at + 1:
        return None
    return clause.past(second_at + 1, {"in", "days"}), Formula(other, DAYS, one)


def _spoken(clause: Clause, at: int, phrases: Sequence[tuple[str, ...]]) -> int:
    """How many items are the longest of the phrases, words that also name a column among them."""
    words: list[str] = []
    found = 0
    for index in range(at, min(at + 5, len(clause.items))):
        words += [token.norm for token in clause.items[index].tokens]
        found = index + 1 - at if tuple(words) in phrases else found
    return found


def _has_column(part: Part) -> bool:
    return isinstance(part, Column) or (
        isinstance(part, Formula) and (_has_column(part.left) or _has_column(part.right))
    )


def _sum(clause: Clause, at: int) -> tuple[int, Part | None]:
    return _chain(clause, at, level=1)


def _chain(clause: Clause, at: int, level: int) -> tuple[int, Part | None]:
    """Operands of one level, from left to right: products and quotients first, then sums and differences."""
    end, left = _chain(clause, at, level - 1) if level else _operand(clause, at)
    while left is not None:
        phrase = clause.phrase(end, tuple(_SIGNS))
        if not phrase or _SIGNS[phrase] not in _FIRST[level] or _hyphen(clause, end) or _or_more(clause, end):
            break
        begin = end + len(phrase)
        right_end, right = _chain(clause, begin, level - 1) if level else _operand(clause, begin)
        if right is None:
            break
        end, left = right_end, Formula(left, _SIGNS[phrase], right)
    return end, left


def _or_more(clause: Clause, at: int) -> bool:
    """True for the plus of `50+`, which adds nothing."""
    before, sign, after = clause.at(at - 1), clause.at(at), clause.at(at + 1)
    if clause.word(at) != "+" or not isinstance(before, Number) or sign is None or after is None:
        return False
    return before.tokens[-1].end == sign.tokens[0].start and sign.tokens[0].end < after.tokens[0].start


def _hyphen(clause: Clause, at: int) -> bool:
    """True for a hyphen inside a word, such as "year-end"."""
    item, after = clause.at(at), clause.at(at + 1)
    before = clause.at(at - 1)
    if clause.word(at) != "-" or item is None or after is None or before is None:
        return False
    return before.tokens[-1].end == item.tokens[0].start and after.tokens[0].start == item.tokens[0].end


def _operand(clause: Clause, at: int) -> tuple[int, Part | None]:
    at = clause.past(at, {"the"})
    if clause.word(at) == "(":
        end, inner = _sum(clause, at + 1)
        return (end + 1, inner) if inner is not None and clause.word(end) == ")" else (at, None)
    item = clause.at(at)
    if isinstance(item, Number):
        return at + 1, item.value
    mention = clause.column(at)
    if mention and len(mention.choices) == 1 and mention.choices[0].kind is Kind.NUMBER:
        return at + 1, mention.choices[0]
    return at, None


# ---- the phrases


def made_at(clause: Clause, at: int, table: Table) -> tuple[int, Column] | None:
    """The column that a formula which begins there defines, and the index after it."""
    found = next((one for one in definitions(clause.items, table) if one.start == at), None)
    column = next((one for one in table.columns if found and one.name == found.name), None)
    return (found.end, column) if found and column and column.made == found.formula else None


def rate_named(clause: Clause, at: int, draft: Draft) -> int:
    """`rate of` before what is divided; `wastage rate by vaccine: wasted / given`: what the formula is called."""
    named = clause.word(at).isalpha() and clause.word(at) not in known.KNOWN
    rate_at = at + (named and clause.word(at + 1) in _RATES)
    if clause.word(rate_at) not in _RATES:
        return at
    later = [one for one in _definitions_in(clause, draft.table) if one.start > rate_at]
    columns = [one for one in draft.table.columns if len(later) == 1 and one.made == later[0].formula]
    if len(columns) != 1 or not columns[0].ratio:
        return at
    start = later[0].start
    if rate_at == at and clause.past(at + 1, {"of", "the"}) == start and clause.word(at + 1) == "of":
        return start
    between = {clause.word(index) for index in range(rate_at + 1, start)}
    if not ({clause.word(start - 1), clause.word(start)} & {":", "(", "="}) or between & {"and", "&", "+", "also"}:
        return at
    words = " ".join(token.text for item in clause.items[at : rate_at + 1] for token in item.tokens)
    draft.note(f"{quoted(words)} is {formula_in_words(later[0].formula, MARKDOWN)}.")
    return rate_at + 1


_RATES: Final = frozenset(["rate", "rates", "ratio", "ratios"])


def defined(clause: Clause, at: int, draft: Draft) -> int:
    """`add a column profit = revenue - cost`, `treated / targeted`."""
    start = at
    opening = clause.past(at, {"add", "insert", "create", "make", "append", "include", "derive", "define"})
    noun = clause.past(opening, {"a", "an", "new", "the", "extra", "calculated", "computed", "derived", "another"})
    column_word = clause.word(noun) in {"column", "field", "variable"}
    if opening > at or column_word:
        start = clause.past(noun + column_word, {"called", "named", "with", "the", "for", ",", ":", "of"})
    found = next((one for one in _definitions_in(clause, draft.table) if one.start in {start, at}), None)
    if found is None:
        return at
    column = next((one for one in draft.table.columns if one.name == found.name), None)
    if column is None or column.made is None:
        draft.problem(f"There is a column {bold(found.name)} already: give what is calculated another name.")
        return found.end
    if column.made != found.formula:
        draft.problem(f"{quoted(found.name)} is given two meanings.")
    if any(how for how in draft.hows) and not draft.hows_used:
        from ipython_assistant.engine.models.analyst.plan import Measure

        draft.measures += [Measure(column, how) for how in draft.hows]
        draft.hows_used = True
        draft.measure_end = found.end
    else:
        draft.added.append(column)
    return found.end
