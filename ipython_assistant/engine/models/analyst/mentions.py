"""Finds the columns and values of a table in a prompt: tokens in, items out, in the order of the prompt.

Nothing is decided here. A name that fits two columns comes out with both, and whoever uses it has to refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import (
    Token,
    TokenKind,
    canonical,
    fold,
    forms,
    plain_words,
    same_word,
    tokens,
)
from ipython_assistant.engine.models.analyst.tables import ID_WORDS, Formula
from ipython_assistant.engine.models.analyst.vocabulary import (
    ACTIONS,
    HOWS,
    IDLE,
    KNOWN,
    MISSPELT,
    NOT_SLIPS,
    NOUNS,
    VERSUS,
)
from ipython_assistant.engine.models.analyst.wording import formula_in_words
from ipython_assistant.engine.models.markdown import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.analyst.tables import Column, Table

MIN_SLIP_LENGTH: Final = 6
"""Shorter words one letter apart are too often both words."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word, sign or mark that names nothing in the table."""

    tokens: tuple[Token, ...]

    @property
    def norm(self) -> str:
        """The word to compare."""
        return self.tokens[0].norm


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written in the prompt; a percent sign after it is a word of its own."""

    tokens: tuple[Token, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Day:
    """A date, year first."""

    tokens: tuple[Token, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A file name, or a quotation that names nothing in the table."""

    tokens: tuple[Token, ...]
    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The table itself, by its file name; of two that are put together, either."""

    tokens: tuple[Token, ...]
    looked_up: bool = False
    """It is the one that is looked up: its rows are not the rows."""


@dataclass(frozen=True, slots=True)
class ColumnMention:
    """Words that name a column; more than one choice where they fit several equally well."""

    tokens: tuple[Token, ...]
    choices: tuple[Column, ...]
    known: bool = False
    """The words also mean something to the grammar, and were not quoted: a column called "Result" or "Count"."""


@dataclass(frozen=True, slots=True)
class ValueMention:
    """Words that are a value: in each column that has it, all the ways it is written there."""

    tokens: tuple[Token, ...]
    choices: tuple[tuple[Column, tuple[str, ...]], ...]
    column_too: Column | None = None
    """A column of exactly this name."""


Item = Word | Number | Day | Name | Place | ColumnMention | ValueMention


class _Prompt:
    """A prompt's tokens, and its folded text with the way back to the characters as written."""

    def __init__(self, text: str, found: Sequence[Token]) -> None:
        self.tokens = found
        pairs = [(folded, index) for index, letter in enumerate(text) for folded in fold(letter)]
        self.folded = "".join(letter for letter, _ in pairs)
        self._written = [index for _, index in pairs] + [len(text)]
        self._folded_at = {index: position for position, (_, index) in reversed(list(enumerate(pairs)))}

    def word_at(self, at: int) -> str:
        """The word or the sign, folded, that begins where token `at` begins."""
        position = self._folded_at.get(self.tokens[at].start, len(self.folded))
        match = _FIRST.match(self.folded, position)
        return match.group() if match else ""

    def end_of(self, pattern: re.Pattern[str], at: int) -> int | None:
        """The token after what `pattern` matches from token `at` on; None if nothing, or not whole words."""
        position = self._folded_at.get(self.tokens[at].start)
        match = pattern.match(self.folded, position) if position is not None else None
        if match is None:
            return None
        end = self._written[match.end()]
        after = next((index for index, token in enumerate(self.tokens) if token.end > end), len(self.tokens))
        return after if after > at and self.tokens[after - 1].end <= end and not self._cut(after, end) else None

    def _cut(self, token: int, end: int) -> bool:
        return token < len(self.tokens) and self.tokens[token].start < end


def mentions(prompt: str, table: Table) -> tuple[Item, ...]:
    """The prompt as items. A column that the prompt defines and gives no name is spoken of by its formula alone."""
    named = replace(table, columns=tuple(column for column in table.columns if not _without_a_name(column)))
    text = _Prompt(prompt, _corrected(tokens(prompt), named))
    return tuple(_items(text, named))


def _without_a_name(column: Column) -> bool:
    return isinstance(column.made, Formula) and formula_in_words(column.made) == column.name


def _items(prompt: _Prompt, table: Table) -> Iterator[Item]:
    at = 0
    owner: Column | None = None
    while at < len(prompt.tokens):
        item = _item(prompt, at, table, owner)
        yield item
        at += len(item.tokens)
        owner = _owner(item, owner)


def _owner(item: Item, owner: Column | None) -> Column | None:
    """The column whose value may come next: it was named, and since then there were only its values and joints."""
    if isinstance(item, ColumnMention):
        return item.choices[0] if len(item.choices) == 1 else None
    if isinstance(item, ValueMention) or (isinstance(item, Word) and item.norm in _OWNER_JOINTS):
        return owner
    return None


_OWNER_JOINTS: Final = frozenset(
    {"is", "are", "was", "were", "a", "an", "in", "=", "==", "equals", ":", ",", "and", "or", "&"}
)


def _item(prompt: _Prompt, at: int, table: Table, owner: Column | None) -> Item:
    token = prompt.tokens[at]
    if token.kind is TokenKind.QUOTED:
        return _quotation(token, table, owner)
    if named := _idle_name(prompt.tokens, at, table):
        return ColumnMention((token,), named, known=True)
    value_end, values = _value_at(prompt, at, table, owner)
    if value_end == at and (said := _of_sex(_set_against(prompt.tokens, at), table)):
        return ValueMention((token,), said)
    column_end, rank, columns = _column_at(prompt.tokens, at, table)
    place_end, looked_up = _place_at(prompt.tokens, at, table)
    if token.norm == "by" == prompt.word_at(at) and _column_at(prompt.tokens, at + 1, table)[2]:
        place_end = at  # "by district" makes groups, even of by_district.csv
    longest = max(value_end, column_end, place_end)
    span = tuple(prompt.tokens[at:longest])
    if longest == at:
        return _unnamed(token, table)
    if place_end == longest and (
        column_end < longest or (rank == _PARTIAL and not _calculated(prompt.tokens, at, columns))
    ):
        return Place(span, looked_up)
    if value_end == longest:
        full = column_end == longest and rank < _PARTIAL and len(columns) == 1
        return ValueMention(span, values, column_too=columns[0] if full else None)
    known = all(part.norm in KNOWN for part in span if part.kind is TokenKind.WORD)
    span = tuple(prompt.tokens[at : _past_generic(prompt.tokens, longest, columns)])
    if known and len(span) == 1 and token.norm in ACTIONS and _opens(prompt.tokens, at):
        return Word(span)
    return ColumnMention(span, columns, known)


def _idle_name(found: Sequence[Token], at: int, table: Table) -> tuple[Column, ...]:
    """Columns called "a", "to" or "when", where the word is not followed by what such a word goes with."""
    columns = tuple(column for column in table.columns if fold(column.name).strip() == found[at].norm)
    if not columns or found[at].norm not in IDLE:
        return ()
    after = found[at + 1] if at + 1 < len(found) else None
    goes_with = after is not None and (after.norm in NOUNS or _column_at(found, at + 1, table)[0] > at + 1)
    return () if goes_with else columns


_GENERIC: Final = frozenset(
    ["level", "levels", "figure", "figures", "reading", "readings", "concentration", "concentrations"]
)
_TIMES: Final = frozenset(["min", "minutes", "hours", "days", "seconds", "wait"])


def _past_generic(found: Sequence[Token], at: int, columns: tuple[Column, ...]) -> int:
    """Past nouns that add nothing to a column: `ozone levels`, `waiting time` of a column in minutes."""
    timed = all(_TIMES & set(plain_words(column.name)) for column in columns)
    while at < len(found) and (found[at].norm in _GENERIC or (timed and found[at].norm in {"time", "times"})):
        at += 1
    return at


_SEXES: Final = {
    **dict.fromkeys(("women", "woman", "female", "females"), frozenset(["f", "female", "w", "woman"])),
    **dict.fromkeys(("men", "man", "male", "males"), frozenset(["m", "male", "man"])),
}
_BOTH_SEXES: Final = frozenset(["f", "m", "female", "male", "w", "woman", "man", "other", "unknown", "u", "x"])


def _set_against(found: Sequence[Token], at: int) -> str:
    """The word there; of `M vs F`, which could be anything else by themselves, the sex."""
    word = found[at].norm
    other = {"m": "f", "f": "m"}.get(word)
    beside = [
        found[index].norm
        for index, joint in ((at + 2, at + 1), (at - 2, at - 1))
        if 0 <= index < len(found) and found[joint].norm in VERSUS
    ]
    return {"m": "men", "f": "women"}[word] if other in beside and found[at].text.isupper() else word


def _of_sex(word: str, table: Table) -> tuple[tuple[Column, tuple[str, ...]], ...]:
    """The values that `women` or `men` are, in the columns that hold nothing but these."""
    if word not in _SEXES:
        return ()
    columns = [
        column for column in table.columns if column.values and {fold(one) for one in column.values} <= _BOTH_SEXES
    ]
    meant = ((column, tuple(one for one in column.values if fold(one) in _SEXES[word])) for column in columns)
    return tuple((column, values) for column, values in meant if values)


def _calculated(found: Sequence[Token], at: int, columns: tuple[Column, ...]) -> bool:
    """True where a way to calculate stands before: the total of `sales` is that of `sales_amount`, not of sales.csv."""
    return at > 0 and found[at - 1].norm in HOWS and all(column.calculable for column in columns)


def _opens(found: Sequence[Token], at: int) -> bool:
    """True where a sentence begins, politely or not."""
    return at == 0 or found[at - 1].norm in _OPENERS


_OPENERS: Final = frozenset({".", ";", "!", "?", "then", "please", "now"})


def _unnamed(token: Token, table: Table) -> Item:
    match token.kind:
        case TokenKind.FILE:
            for side in sides(table):
                if fold(token.text) in {fold(side.name), fold(side.path)}:
                    return Place((token,), looked_up=table.join is not None and side is table.join.right)
            return Name((token,), token.text, quoted=False)
        case TokenKind.NAME:
            return Name((token,), token.text, quoted=False)
        case TokenKind.DATE:
            return Day((token,), token.text) if _is_date(token.text) else Word((token,))
        case TokenKind.NUMBER:
            digits = token.text.casefold().replace(",", "")
            times = 1000 if digits.endswith("k") else 1
            digits = digits.removesuffix("k")
            return Number((token,), float(digits) * times if "." in digits else int(digits) * times)
        case _:
            return Word((token,))


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _quotation(token: Token, table: Table, owner: Column | None) -> Item:
    """A column or a value as it is written, or nearly so; else the name of something."""
    for same in (str, str.strip, _loose):
        wanted = same(token.text)
        columns = tuple(column for column in table.columns if same(column.name) == wanted)
        written = ((column, tuple(cell for cell in column.values if same(cell) == wanted)) for column in table.columns)
        values = _owned(tuple((column, cells) for column, cells in written if cells), owner)
        if values:
            return ValueMention((token,), values, column_too=columns[0] if len(columns) == 1 else None)
        if columns:
            return ColumnMention((token,), columns)
    return Name((token,), token.text, quoted=True)


def _loose(text: str) -> str:
    return " ".join(fold(text).split())


def _owned(
    choices: tuple[tuple[Column, tuple[str, ...]], ...], owner: Column | None
) -> tuple[tuple[Column, tuple[str, ...]], ...]:
    return tuple(choice for choice in choices if choice[0] is owner) or choices


def _value_at(
    prompt: _Prompt, at: int, table: Table, owner: Column | None
) -> tuple[int, tuple[tuple[Column, tuple[str, ...]], ...]]:
    """The longest value that begins at a token, where it ends, and every column that has it."""
    longest = at
    found: dict[str, tuple[Column, list[str]]] = {}
    word = prompt.word_at(at)
    for column in table.columns:
        for value in _by_word(column.values).get(word, ()):
            end = prompt.end_of(_pattern(value), at)
            if end is None or end < longest or not _may_stand(value, prompt, at, end, owned=column is owner):
                continue
            if end > longest:
                longest, found = end, {}
            found.setdefault(column.name, (column, []))[1].append(value)
    return longest, _owned(tuple((column, _in_any_case(column, values)) for column, values in found.values()), owner)


def _in_any_case(column: Column, found: Sequence[str]) -> tuple[str, ...]:
    """The values, and those of the column that differ from them in upper and lower case alone: `no` is `No` too."""
    folded = {fold(value) for value in found}
    return tuple(value for value in column.values if value in found or fold(value) in folded)


@lru_cache(maxsize=256)
def _by_word(values: tuple[str, ...]) -> dict[str, list[str]]:
    """Values by their first word, or their first sign, folded."""
    found: dict[str, list[str]] = {}
    for value in values:
        first = _FIRST.match(fold(value))
        found.setdefault(first.group() if first else "", []).append(value)
    return found


_FIRST: Final = re.compile(r"\w+|\W|$")


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    """Finds a value in folded text; a full stop, hyphen or apostrophe between letters may be a blank."""
    folded = fold(" ".join(value.split()))
    loose = re.sub(r"(?<=[^\W\d])(?:\\?[.'’ -])+(?=[^\W\d])", r"[.'’\\s-]+", re.escape(folded))
    return re.compile(loose.replace("\\ ", r"\s+") + (r"(?!\w)" if folded[-1:].isalnum() else ""))


def _may_stand(value: str, prompt: _Prompt, at: int, end: int, *, owned: bool) -> bool:
    """False where a value could be something else: a number, a comparison, an article, a word of the grammar."""
    if not any(map(str.isalpha, value)):
        return owned or (value[:1] == "0" and value.isdigit() and len(value) > 2)  # noqa: PLR2004 - a code such as 007
    words = [token.norm for token in prompt.tokens[at:end] if token.kind is TokenKind.WORD]
    if not value[0].isalnum():
        return owned
    if all(word in KNOWN for word in words):
        return owned and [token.text for token in prompt.tokens[at:end]] == value.split()
    return owned or len(value) > 1


_EXACT, _BARE, _PARTIAL = 0, 1, 2
"""How well words fit a column: all its words; all but unit and joints; some."""


def _column_at(found: Sequence[Token], at: int, table: Table) -> tuple[int, int, tuple[Column, ...]]:
    """The longest mention of columns that begins at a token: where it ends, how well it fits, and all that fit so."""
    fits = [(*fit, column) for column in table.columns if (fit := _fit(found, at, column))]
    if not fits:
        return at, _PARTIAL, ()
    longest = max(end for end, _, _ in fits)
    best = min(rank for end, rank, _ in fits if end == longest)
    return longest, best, tuple(column for end, rank, column in fits if end == longest and rank == best)


def _fit(found: Sequence[Token], at: int, column: Column) -> tuple[int, int] | None:
    """Where the mention of a column ends if one begins here, and how well it fits."""
    if glued := _glued(found, at, column):
        return glued, _EXACT
    core = [word for word in plain_words(column.name) if word not in _optional(column.name)]
    for partial in (False, True):
        end, left = _overlap(found, at, column, partial=partial)
        core_left = [word for word in left if word in core]
        if len(core_left) < len(core) and (partial or not core_left):
            return end, (_PARTIAL if core_left else _BARE if left else _EXACT)
    return None


def _glued(found: Sequence[Token], at: int, column: Column) -> int | None:
    """The end of words that are the column's name when written as one word: "iucode", "IU code"."""
    name = "".join(plain_words(column.name))
    written = ""
    for end in range(at, min(at + 6, len(found))):
        if found[end].kind not in {TokenKind.WORD, TokenKind.NUMBER}:
            return None
        written += found[end].norm
        if written == name and not all(token.norm in IDLE for token in found[at : end + 1]):
            return end + 1
    return None


def _overlap(found: Sequence[Token], at: int, column: Column, *, partial: bool) -> tuple[int, list[str]]:
    """How far words of the prompt are words of the column, in any order, and which of the column's are left.

    Where only a part of the name is given, words of the grammar and numbers are no part of it.
    """
    left = list(plain_words(column.name))
    end, left_there = at, list(left)
    for index, token in enumerate(found[at:], at):
        if token.kind in {TokenKind.MARK, TokenKind.SIGN} and index > at and token.text in column.name:
            continue
        word = next((word for word in left if same_word(token.norm, word)), None)
        barred = partial and (
            token.norm in KNOWN or token.kind is TokenKind.NUMBER or _another_noun(token, word, column)
        )
        bare = token.norm in _NEVER_PLURAL and token.norm != word  # "not" is no "notes"
        if word is None or barred or bare or (index == at and word in IDLE):
            break
        left.remove(word)
        if word not in IDLE:  # a name does not end in "of"
            end, left_there = index + 1, list(left)
    return end, left_there


_NEVER_PLURAL: Final = frozenset(["not", "no", "but", "nor", "or", "on", "in"])


def _another_noun(token: Token, word: str | None, column: Column) -> bool:
    """`units` is no part of `unit price`, `orders` none of `order date`; but `customers` are those of `customer id`."""
    words = plain_words(column.name)
    return word is not None and word != words[-1] and token.norm != word and words[-1] not in {*ID_WORDS, "name"}


_UNIT: Final = re.compile(r"[(\[{].*?[)\]}]")


@lru_cache(maxsize=4096)
def _optional(name: str) -> frozenset[str]:
    """The words of a name that nobody repeats: units in brackets, percent, articles; none if there is no other word."""
    words = set(plain_words(name))
    optional = {word for part in _UNIT.findall(name) for word in plain_words(part)} | (words & (IDLE | {"percent"}))
    return frozenset(optional if words - optional else ())


def sides(table: Table) -> tuple[Table, ...]:
    """The tables that one is put together from; itself, if it is a file."""
    return (table.join.left, table.join.right) if table.join else (table,)


def _place_at(found: Sequence[Token], at: int, table: Table) -> tuple[int, bool]:
    """The end of the table's own name, written as words, singular or plural; and whether it is only looked up."""
    for side in sides(table):
        name = plain_words(side.stem)
        for words in (name, name[-1:] if name[-1:] and name[-1].endswith("s") else ()):  # "visits" of clinic_visits
            written = tuple(token.norm for token in found[at : at + len(words)])
            same = len(written) == len(words) and all(map(same_word, written, words))
            if words and same and not all(word in KNOWN for word in words):
                return at + len(words), table.join is not None and side is table.join.right
    return at, False


def _corrected(found: Sequence[Token], table: Table) -> tuple[Token, ...]:
    """The tokens, slips of the pen in column names corrected where only one column word is meant."""
    column_words = {word for column in table.columns for word in plain_words(column.name)}
    others = {word for column in table.columns for value in column.values for word in map(canonical, value.split())}
    return tuple(_without_slip(token, column_words, others | set(plain_words(table.stem))) for token in found)


def spelled(prompt: str, table: Table) -> tuple[str, tuple[str, ...]]:
    """The prompt with slips of the pen in values corrected, where only one word of a value is meant; and what was."""
    words = {
        canonical(word): word
        for column in table.columns
        for value in column.values
        for word in value.split()
        if word.isalpha()
    }
    named = {word for column in table.columns for word in plain_words(column.name)} | set(plain_words(table.stem))
    notes, done, at = [], "", 0
    for token in tokens(prompt):
        word = token.norm
        if word in _SLIPS and word not in words:
            notes.append(f"{quoted(token.text)} was read as {quoted(_SLIPS[word])}.")
            done, at = done + prompt[at : token.start] + _SLIPS[word], token.end
            continue
        if token.kind is not TokenKind.WORD or len(word) < MIN_SLIP_LENGTH or not word.isalpha() or word in words:
            continue
        if any(form in KNOWN for form in forms(word)) or any(
            same_word(word, one) or _one_slip(word, one) for one in named
        ):
            continue
        known = {one for one in MISSPELT if len(one) >= MIN_SLIP_LENGTH and _one_slip(word, one)}
        if len(known) == 1 and not any(_one_slip(word, one) for one in words):
            (right,) = known
            notes.append(f"{quoted(token.text)} was read as {quoted(right)}.")
            done, at = done + prompt[at : token.start] + right, token.end
            continue
        meant = [
            words[one]
            for one in words
            if len(one) >= MIN_SLIP_LENGTH and _one_slip(word, one) and not same_word(word, one)
        ]
        if len(meant) == 1:
            notes.append(f"{quoted(token.text)} was read as {quoted(meant[0])}.")
            done, at = done + prompt[at : token.start] + meant[0], token.end
    return done + prompt[at:], tuple(notes)


_SLIPS: Final = {
    **dict.fromkeys(("femle", "femal", "femals", "famale", "femail", "femails", "fmale", "femles"), "female"),
    **dict.fromkeys(("womens", "womans", "wimen"), "women"), **dict.fromkeys(("excell", "exell"), "excel"),
    **dict.fromkeys(("ony", "olny", "onyl"), "only"), **dict.fromkeys(("boxplott", "boxplotts"), "boxplot"),
    **dict.fromkeys(("totel", "totl", "toal"), "total"), **dict.fromkeys(("mising", "misssing"), "missing"),
    **dict.fromkeys(("monht", "mounth"), "month"), **dict.fromkeys(("nubmer", "numbr"), "number"),
}  # fmt: skip
"""Slips of the pen in words that are too short to tell by their letters alone."""


def _without_slip(token: Token, column_words: set[str], others: set[str]) -> Token:
    word = token.norm
    if token.kind is not TokenKind.WORD or len(word) < MIN_SLIP_LENGTH or not word.isalpha():
        return token
    if (
        word in others
        or any(form in KNOWN for form in forms(word))
        or any(same_word(word, known) for known in column_words)
    ):
        return token
    meant = {
        known
        for known in column_words
        for form in forms(word)
        if _one_slip(form, known) and not _both_meant(form, known)
    }
    return replace(token, norm=meant.pop(), correction=word) if len(meant) == 1 else token


def _both_meant(word: str, known: str) -> bool:
    return (word, known) in NOT_SLIPS or (known, word) in NOT_SLIPS


def _one_slip(word: str, known: str) -> bool:
    """True if one letter is missing, added or different, or two neighbours are swapped; never the first."""
    if word[0] != known[0] or abs(len(word) - len(known)) > 1 or len(known) < MIN_SLIP_LENGTH - 1:
        return False
    same = next((index for index, (one, other) in enumerate(zip(word, known, strict=False)) if one != other), None)
    if same is None:
        return True
    one, other = word[same:], known[same:]
    return (
        one[1:] == other
        or one == other[1:]
        or one[1:] == other[1:]
        or (one[:2] == other[1::-1] and one[2:] == other[2:])
    )
