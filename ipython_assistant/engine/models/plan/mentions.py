"""What a question names: files, columns, values, numbers, dates, terms; and the words that are none of these.

A look-up, not a reading: it says that `Harbour` is a value of **Clinic**, not what is to be done with it. Spelling,
plural, case and accents are forgiven. What is found is offered to a model (`schema`), sought in its plan (`checks`).
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.english import PATTERNS, word_stem, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

_TYPO: Final = 0.84  # how alike two words are that are taken for one, by `difflib`
_SHORT: Final = 4  # letters of a word from which on a slip of the pen, or another ending, is forgiven


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that the question names, at a place in it; `certain` where it is written out.

    Its kind is `file`, `string`, `column`, `value`, `number`, `period`, `term`, `glue`, `table` or `unknown`. `columns`
    are those that it may name, or that hold the value; `values` what each of these holds, or else the period.
    """

    start: int
    end: int
    text: str
    kind: str
    columns: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()
    numbers: tuple[float, ...] = ()
    term: str = ""
    certain: bool = True


@dataclass(frozen=True)
class Mentions:
    """All that a question names, in the order of the question."""

    prompt: str
    found: tuple[Mention, ...]

    @cached_property
    def text(self) -> str:
        """The question in lower case without accents."""
        return plain(self.prompt)

    def of(self, *kinds: str) -> tuple[Mention, ...]:
        """Those of some kinds."""
        return tuple(one for one in self.found if one.kind in kinds)

    def behind(self, said: str, kind: str = "column") -> list[Mention]:
        """Those of a kind that stand right behind what a pattern of `english` says."""
        return [one for one in self.of(kind) if PATTERNS[said].search(self.text[: one.start])]

    @cached_property
    def terms(self) -> frozenset[str]:
        """The names of its terms."""
        return frozenset(one.term for one in self.found if one.term)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column it may mean, directly or by a value."""
        named = [column for one in self.found if one.kind != "glue" for column in one.columns]
        return tuple(dict.fromkeys(named))

    @cached_property
    def periods(self) -> tuple[str, ...]:
        """Every date, month, quarter and year."""
        return tuple(dict.fromkeys(one.values[0][0] for one in self.of("period")))

    @cached_property
    def ending(self) -> str:
        """The ending of the kind of file it asks for, such as `.xlsx`; empty where it asks for none."""
        asked = (end for end, pattern in english.FORMATS.items() if re.search(rf"\b(?:{pattern})\b", self.text))
        return next(asked, "")

    def values_of(self, column: str) -> dict[str, tuple[str, ...]]:
        """The values of a column that it names: as written there → as they are in the table."""
        return {one.text: one.values[one.columns.index(column)] for one in self.of("value") if column in one.columns}


def mentions_in(prompt: str, tables: Sequence[TableProfile]) -> Mentions:
    """Find what a question names in these tables, most certain first; what is found is not looked at again."""
    finder = _Finder(prompt, tables)
    finder.quoted()
    finder.files_and_asides()
    finder.columns_by_name()
    finder.values()
    finder.numbers_and_dates()
    finder.terms_and_words()
    return Mentions(prompt, tuple(sorted(finder.found, key=lambda one: one.start)))


def plain(text: str) -> str:
    """Lower case without accents, letter for letter: places in the text stay what they are."""
    return "".join((unicodedata.normalize("NFKD", letter.lower()) or letter)[:1] for letter in text).translate(_PLAIN)


_PLAIN: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "’": "'"})


class _Finder:
    def __init__(self, prompt: str, tables: Sequence[TableProfile]) -> None:
        self.prompt = prompt
        self.text = plain(prompt)
        self.tables = tables
        columns: dict[str, Column] = {}  # each name once, with the values it has in any table
        for one in (column for table in tables for column in table.columns):
            both = {*one.values, *columns[one.name].values} if one.name in columns else set(one.values)
            columns[one.name] = replace(columns.get(one.name, one), values=tuple(sorted(both)))
        self.columns = list(columns.values())
        self._holding: dict[str, dict[str, list[str]]] = {}
        """Each value, plain → the columns that hold it, as they write it."""
        for column, value in ((one.name, value) for one in self.columns for value in one.values):
            self._holding.setdefault(plain(value).strip(), {}).setdefault(column, []).append(value)
        self._dates = tuple(column.name for column in self.columns if column.kind == "date")
        self._vocabulary = _Vocabulary(self.columns, tables)
        self.found: list[Mention] = []
        self._free = [True] * len(prompt)

    def _take(self, start: int, end: int, kind: str, **what: Any) -> None:
        self.found.append(Mention(start, end, self.prompt[start:end], kind, **what))
        self._free[start:end] = [False] * (end - start)

    def _all(self, pattern: str | re.Pattern[str]) -> Iterator[re.Match[str]]:
        for match in re.finditer(pattern, self.text):
            if match.end() > match.start() and all(self._free[match.start() : match.end()]):
                yield match

    def files_and_asides(self) -> None:
        """Names of files, to read or to write; and what only says who asks, what for, or what is not meant."""
        known = {table.path.lower() for table in self.tables}
        for match in self._all(PATTERNS["file"]):
            self._take(*match.span(), "table" if match[0].lower() in known else "file")
        for match in self._all(PATTERNS["aside"]):
            self._take(*match.span(), "glue")

    def columns_by_name(self) -> None:
        """Names of columns, written out, with or without the unit in brackets."""
        spelled: dict[str, dict[str, None]] = {}
        for column in self.columns:
            bare = re.sub(r"\.\d+$", "", column.name)  # pandas' name for a second column of the same name
            for name in (column.name, " ".join(words_of(bare)), re.sub(r"\s*[(\[].*[)\]]\s*$", "", bare)):
                if name.strip() and not (len(name.strip()) == 1 and len(bare) > 1):
                    spelled.setdefault(plain(name.strip()), {})[column.name] = None
        between = r"[\s_.-]+"
        for name in sorted(spelled, key=len, reverse=True):
            parts = [re.escape(part) for part in re.split(between, name) if part]
            ending = "(?:e?s)?" if name[-1:].isalpha() and not name.endswith("s") else ""
            pattern = rf"(?<!\w){between.join(parts)}{ending}(?!\w)" if parts else re.escape(name)
            for match in self._all(pattern):
                written = self.prompt[match.start() : match.end()]
                small = written not in spelled[name] or (written.islower() and len(written) <= 3)  # noqa: PLR2004 in, to
                if not (name in english.GLUE and small):
                    self._take(*match.span(), "column", columns=tuple(spelled[name]), term=_term_of(match[0]))

    def values(self) -> None:
        """Values of columns, longest first, so that Niger is not seen in Nigeria; `women` is `F` where there is `F`."""
        for text in sorted(self._holding, key=len, reverse=True):
            short = text.isdigit() and len(text) < 3 and not text.startswith("0")  # noqa: PLR2004
            if not text or short or text not in self.text:  # a pattern for each of thousands would take seconds
                continue
            for match in self._all(rf"(?<!\w){re.escape(text)}(?!\w)"):
                written = self.prompt[match.start() : match.end()]
                small = text in english.GLUE or _term_of(text) or len(text) == 1
                held = self._holding[text]
                if not small or (not written.islower() and any(written in every for every in held.values())):
                    self._take(*match.span(), "value", **_held(held))
        for said, meant in english.SEXES:
            every = {one.name: [value for value in one.values if plain(value) in meant] for one in self.columns}
            if held := {name: several for name, several in every.items() if several}:
                self._vocabulary.values |= {word_stem(word): held for word in said}
                for match in self._all(rf"\b(?:{'|'.join(said)})\b"):
                    self._take(*match.span(), "value", **_held(held))

    def quoted(self) -> None:
        """Texts in quotation marks: a column, a value, or a text to look for."""
        names = {plain(one.name).strip(): one.name for one in self.columns}
        for match in self._all(PATTERNS["quoted"]):
            inner = next(filter(None, match.groups())).strip()
            if inner in names:
                self._take(*match.span(), "column", columns=(names[inner],))
            elif inner in self._holding:
                self._take(*match.span(), "value", **_held(self._holding[inner]))
            elif not PATTERNS["file"].fullmatch(inner):
                self._take(*match.span(), "string")

    def numbers_and_dates(self) -> None:
        """Dates and numbers; before them the terms that hold a number."""
        for name in ("per number", "percent top", "percentile"):
            for match in self._all(rf"(?<!\w)(?:{english.TERMS[name]})(?!\w)"):
                figures = PATTERNS["figure"].findall(match[0]) or [("1", one) for one in match[0].split()[1:]]
                numbers = tuple(_number(digits, unit) for digits, unit in figures)
                meant = self._vocabulary.meant_by(match[0])
                self._take(*match.span(), "term", term=name, numbers=numbers, columns=meant)
        years = {str(end)[:4] for one in self.columns if one.name in self._dates for end in (one.low, one.high)}
        year = years.pop() if len(years) == 1 else ""  # of all dates: `1 January` is that year's
        for pattern in english.PERIODS if any(column.in_time for column in self.columns) else ():
            for match in self._all(pattern):
                if period := _period(match.groupdict(), year):
                    numbers = (float(period),) if period.isdigit() else ()
                    self._take(*match.span(), "period", values=((period,),), numbers=numbers)
        for match in self._all(r"(?<![\w.-])\d+ ?(\+)(?!\w| ?\d)"):  # 50+ is 50 or more
            self._take(match.start(1), match.end(1), "term", term="comparison least")
        for match in self._all(PATTERNS["number"]):
            after = PATTERNS["scale"].match(self.text[match.end() :])
            end = match.end() + (len(after[0]) if after and after[1] in english.SCALES else 0)
            self._take(match.start(), end, "number", numbers=(_number(match[0], after[1] if after else ""),))

    def terms_and_words(self) -> None:
        """The terms of `english`, one such as `most expensive` names a column as well; then every word that is left."""
        for name, pattern in english.TERMS.items():
            for match in self._all(rf"(?<![\w])(?:{pattern})(?![\w])"):
                dated = name == "ascending" and "oldest" in match[0]  # the oldest visit has the first date
                meant = self._dates if dated and self._dates else self._vocabulary.meant_by(match[0])
                self._take(*match.span(), "term", term=name, columns=meant)
        for match in self._all(PATTERNS["word"]):
            self._take(*match.span(), **self._vocabulary.look_up(match[0]))


class _Vocabulary:
    """What a single word may mean: each word's stem → columns, or values by column."""

    def __init__(self, columns: Sequence[Column], tables: Sequence[TableProfile]) -> None:
        self.columns: dict[str, list[str]] = {}
        self.values: dict[str, dict[str, list[str]]] = {}
        for column in columns:
            for word in words_of(column.name):
                self.columns.setdefault(word_stem(plain(word)), []).append(column.name)
            for value in column.values:
                for word in re.findall(r"[^\W\d_]{4,}", plain(value)):
                    self.values.setdefault(word_stem(word), {}).setdefault(column.name, []).append(value)
        self.tables = {word_stem(word) for table in tables for word in words_of(table.stem)}
        terms = " ".join(re.sub(r"[^a-z]", " ", pattern) for pattern in english.TERMS.values())
        self.english = {word for word in (*terms.split(), *english.GLUE) if len(word) > _SHORT}

    def look_up(self, word: str) -> dict[str, Any]:
        """The mention that a word is, without its place."""
        root = word_stem(word)
        columns = self._columns(root)
        if word in english.GLUE or word in {"%", "&"} or self._is_row(word, root):
            return {"kind": "glue", "columns": columns, "certain": False}
        if word in english.NUMBER_WORDS:
            return {"kind": "number", "numbers": (float(english.NUMBER_WORDS[word]),)}
        if columns:
            return {"kind": "column", "columns": columns, "certain": False}
        if root in self.tables:
            return {"kind": "table"}
        if held := self.values.get(root):
            return {"kind": "value", "certain": False, **_held(held)}
        other = self.look_up(english.SYNONYMS[word]) if word in english.SYNONYMS else {"kind": ""}
        if other["kind"] in {"column", "value"}:
            return other
        return {"kind": "glue"} if word in english.ORDINARY else self._misspelled(word, root)

    def meant_by(self, term: str) -> tuple[str, ...]:
        """The columns that a word of a term means by itself: `oldest` means an age."""
        meant = [word_stem(english.SYNONYMS[word]) for word in term.split() if word in english.SYNONYMS]
        return tuple(dict.fromkeys(name for root in meant for name in self._columns(root)))

    def _is_row(self, word: str, root: str) -> bool:
        """Whether it may be what a row is called: `visits` where there is a **Visit ID**, `patients` where ages are."""
        if word in english.PERSONS:
            return not {"age", "sex", "gender"}.isdisjoint(self.columns)
        names = [words_of(name) for name in self.columns.get(root, ())]
        names_row = any(len(name) > 1 and root == word_stem(name[0]) for name in names)
        return word in english.ROW_NOUNS or (word.endswith("s") and (root in self.tables or names_row))

    def _columns(self, root: str) -> tuple[str, ...]:
        """Columns with this word; else with one that this one begins, or that begins it: `temp` and `temperature`."""
        long = [known for known in self.columns if min(len(known), len(root)) >= _SHORT]
        near = [known for known in long if known.startswith(root) or root.startswith(known)]
        named = self.columns.get(root) or [name for known in near for name in self.columns[known]]
        return tuple(dict.fromkeys(named))

    def _misspelled(self, word: str, root: str) -> dict[str, Any]:
        if len(word) >= _SHORT:
            known = [one for one in (*self.columns, *self.values, *self.tables) if len(one) >= _SHORT]
            if near := difflib.get_close_matches(root, known, 1, _TYPO):
                return self.look_up(near[0])
            if near := difflib.get_close_matches(word, self.english, 1, _TYPO):
                term = _term_of(near[0])
                if term or near[0] in english.GLUE:
                    return {"kind": "term", "term": term} if term else {"kind": "glue"}
        return {"kind": "unknown"}


def _held(values: dict[str, list[str]]) -> dict[str, Any]:
    return {"columns": tuple(values), "values": tuple(map(tuple, values.values()))}


def _term_of(word: str) -> str:
    return next((name for name, pattern in english.TERMS.items() if re.fullmatch(pattern, word)), "")


def _number(text: str, unit: str) -> float:
    return float(re.sub(r"[, ]", "", text)) * english.SCALES.get(unit, 1)


def _period(part: dict[str, str | None], only_year: str) -> str:
    """The period as it is written in plans; empty if there is no such day, or no year that it may be of."""
    if part.get("end"):
        return f"{'earliest' if part['end'] in {'earliest', 'first'} else 'latest'} {part['unit']}"
    if part.get("month"):
        return str(part["month"]).title()
    month, day = part.get("m") or "", int(part.get("d") or 0)
    year = part.get("y") or (only_year if day else "")
    if part.get("q"):
        return f"{year}-Q{part['q']}".strip("-")
    if not month or not year:
        return year
    number = english.MONTHS.index(month) + 1 if month in english.MONTHS else int(month)
    if not 1 <= number <= len(english.MONTHS) or day > 31:  # noqa: PLR2004 days of a month
        return ""
    return f"{year}-{number:02}-{day:02}" if day else f"{year}-{number:02}"
