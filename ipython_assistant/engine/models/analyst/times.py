"""Phrases about time: years, months, quarters, days, and what is latest. Part of the grammar in `phrases`."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.mentions import Day, Number
from ipython_assistant.engine.models.analyst.periods import of_unit
from ipython_assistant.engine.models.analyst.plan import Between, Compare, InPart, InYears, Sign
from ipython_assistant.engine.models.analyst.tables import MONTHS, WEEKDAYS, Column, Kind, Unit
from ipython_assistant.engine.models.markdown import bold, listed, quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_JOINTS: Final = frozenset({"and", "or", ",", "&"})
_YEARS: Final = range(1800, 2101)


@dataclass(frozen=True, slots=True)
class _Years:
    """What stands before the first year: `except`, the column, `since`, `from`; the index of the year, and the year."""

    unless: tuple[str, ...]
    owner: Column | None
    since: tuple[str, ...]
    ranged: str
    at: int
    year: int


def of_kind(draft: Draft, kind: Kind) -> list[Column]:
    """The columns of dates or years; where two tables are put together, those of the rows themselves come first."""
    join = draft.table.join
    rows = [column for column in (join.left.columns if join else ()) if column.kind is kind]
    return rows or [column for column in draft.table.columns if column.kind is kind]


def in_years(clause: Clause, at: int, draft: Draft) -> int:
    """`in 2020`, `since 2018`, `from 2018 to 2020`, `2018-2020`, `before year 2020`, `except 2020`, `2020 and 2021`."""
    said = _years(clause, at)
    if said is None:
        return at
    column = said.owner or _time_column(draft, said.year, tied=said.at > at)
    if column is None:
        return at
    end = said.at + 1
    last = _range_end(clause, end, said.ranged)
    if said.since and not said.unless:
        draft.require(Compare(column, known.TIME_BOUNDS[said.since], said.year))
        return end
    if last is not None and not said.unless and not said.since:
        final = year_at(clause, last) or said.year
        if final < said.year:
            draft.problem(f"No year is between {said.year} and {final}.")
        draft.require(Between(column, said.year, final))
        return last + 1
    if (open_end := _onwards(clause, end, ranged=said.ranged == "from")) and not said.unless:
        draft.require(Compare(column, Sign.AT_LEAST, said.year))
        return open_end
    if said.ranged or said.since:
        # "from 2020" is said of the rows of 2020 and of all since: either reading would be a guess
        words = said.ranged or " ".join(said.since)
        draft.problem(f"“{words} {said.year}” has two readings: write “in {said.year}” or “since {said.year}”.")
    years = {said.year}
    while (more := _past_beside(clause, end, draft) or clause.past(end, _JOINTS | known.VERSUS)) > end:
        following = year_at(clause, clause.past(more, {"in"}))
        if following is None:
            break
        draft.versus |= bool(_past_beside(clause, end, draft)) or any(
            clause.word(index) in known.VERSUS for index in range(end, more)
        )
        years.add(following)
        end = clause.past(more, {"in"}) + 1
    draft.require(InYears(column, tuple(sorted(years)), negated=bool(said.unless)))
    _refuse_another(clause, end, draft)
    return clause.past(end, {"only"})


def _onwards(clause: Clause, at: int, *, ranged: bool) -> int:
    """`from 2020 onwards`, `from March 2021 on`: where that ends; 0 if it is not said, as of `from 2020 on Mondays`."""
    if clause.word(at) in known.ONWARDS:
        return at + 1
    return (
        at + 1 if ranged and clause.word(at) == "on" and _stretch(clause, clause.past(at + 1, {"the"})) is None else 0
    )


def _refuse_another(clause: Clause, at: int, draft: Draft) -> None:
    """`in June 2023 and July 2024`: two times joined by “and” are no range, and no row is of both."""
    joint = _past_beside(clause, at, draft) or clause.past(at, _JOINTS | known.VERSUS)
    other = _stretch(clause, clause.past(joint, _INTO)) if joint > at else None
    if other is not None and other.first:
        draft.problem(
            "It is not clear whether two times are meant or all from the one to the other: write “from … to …”, or "
            "ask for each of the two by itself."
        )


_BESIDE: Final = (("next", "to"), ("compared", "with"), ("compared", "to"), ("versus",), ("vs",), ("against",))


def _past_beside(clause: Clause, at: int, draft: Draft) -> int:
    """`2023 next to 2024`, `compare 2023 with 2024`: where the second begins; 0 if it is not set beside the first."""
    start = clause.past(at, {","})
    phrase = clause.phrase(start, _BESIDE) or (("with",) if draft.compare and clause.word(start) == "with" else ())
    return start + len(phrase) if phrase else 0


def _years(clause: Clause, at: int) -> _Years | None:
    """The way to the first year, if there is one."""
    unless = clause.phrase(at, known.EXCEPT)
    start = clause.past(at + len(unless), _YEAR_TIES if _may_be_of(clause, at) else _YEAR_TIES - {"of"})
    owner = _in_time(clause, start)
    if owner:
        start = clause.past(start + 1, known.TIES - {"from"})
    since = clause.phrase(start, tuple(known.TIME_BOUNDS))
    ranged = clause.word(start) if clause.word(start) in {"from", "between"} else ""
    first = start + len(since) + bool(ranged)
    if owner is None and (inner := _in_time(clause, first)):  # "since year 2018"
        owner, first = inner, first + 1
    year = year_at(clause, first)
    return None if year is None else _Years(unless, owner, since, ranged, first, year)


def _in_time(clause: Clause, at: int) -> Column | None:
    """The column of years or dates that is named there, if it is certain which."""
    mention = clause.column(at)
    return mention.choices[0] if mention and len(mention.choices) == 1 and mention.choices[0].in_time else None


_YEAR_TIES: Final = frozenset(["for", "in", "of", "during", "within", "where", "when", "only", "the", "years"])


def _may_be_of(clause: Clause, at: int) -> bool:
    """`Rows of 2020` are those of a year; a `population of 2020` need not be."""
    return clause.column(clause.back(at - 1, {"the"})) is None


def _range_end(clause: Clause, at: int, ranged: str) -> int | None:
    """The index of the last year of a range, if one follows."""
    joints = {"and"} if ranged == "between" else known.RANGE_JOINTS - {"and"} | known.DASHES
    return at + 1 if clause.word(at) in joints and year_at(clause, at + 1) is not None else None


def year_at(clause: Clause, at: int) -> int | None:
    """The year that stands there; None for any other number."""
    item = clause.at(at)
    if not isinstance(item, Number) or not isinstance(item.value, int) or clause.word(at + 1) == "percent":
        return None
    return item.value if item.value in _YEARS and len(item.tokens[0].text) == len("2020") else None


def _time_column(draft: Draft, year: int, *, tied: bool) -> Column | None:
    """The table's years or dates; a year that stands alone counts only if the table has it."""
    columns = of_kind(draft, Kind.YEAR) or of_kind(draft, Kind.DATE)
    if not columns:
        return None
    if len(columns) > 1:
        names = listed([bold(column.name) for column in columns], "or")
        draft.problem(f"“{year}” could be a year of {names}: name the column.")
    low, high = columns[0].low, columns[0].high
    return columns[0] if tied or (low is not None and high is not None and low <= year <= high) else None


def on_dates(clause: Clause, at: int, draft: Draft) -> int:
    """`since 2020-03-01`, `from 2020-03-01 to 2020-06-30`, `on 2020-03-01`."""
    start = clause.past(at, {"the", "with", "where"})
    owner = _in_time(clause, start)
    owner = owner if owner and owner.kind is Kind.DATE else None
    if owner:
        start = clause.past(start + 1, {"is", "was"})
    since = clause.phrase(start, tuple(known.TIME_BOUNDS))
    ranged = clause.word(start) if clause.word(start) in {"from", "between", "on"} else ""
    first = clause.at(start + len(since) + bool(ranged))
    columns = [owner] if owner else of_kind(draft, Kind.DATE)
    if not isinstance(first, Day) or not columns or not (since or ranged):
        return at
    if len(columns) > 1:
        names = listed([bold(column.name) for column in columns], "or")
        draft.problem(f"{quoted(first.text)} could be a date of {names}: name the column.")
    end = start + len(since) + bool(ranged) + 1
    if since:
        draft.require(Compare(columns[0], known.TIME_BOUNDS[since], first.text))
        _refuse_another(clause, end, draft)
        return end
    if ranged == "on":
        draft.require(Compare(columns[0], Sign.EQUAL, first.text))
        _refuse_another(clause, end, draft)
        return end
    last = clause.at(end + 1)
    if clause.word(end) not in _joints(ranged) or not isinstance(last, Day):
        return at
    draft.require(Between(columns[0], first.text, last.text))
    return _past_included(clause, end + 2)


# ---- months, quarters, days written in words


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Days from the first to the last, both included; without a year, the months or quarters of any year."""

    end: int
    first: str = ""
    last: str = ""
    unit: Unit = Unit.MONTH_OF_YEAR
    number: int = 0


_MONTH_WORDS: Final = (
    {name.casefold(): place for place, name in enumerate(MONTHS, 1)}
    | {name[:3].casefold(): place for place, name in enumerate(MONTHS, 1)}
    | {"sept": 9}
)
_QUARTER_WORDS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_ORDINALS: Final = frozenset({"st", "nd", "rd", "th"})
_INTO: Final = frozenset({"in", "during", "for", "of", "from", "within", "on", "between", "the", "only"})


def in_months(clause: Clause, at: int, draft: Draft) -> int:
    """`in March 2021`, `since June 2020`, `Q1 2021`, `from January to March 2021`, `before 3 March 2021`, `in May`."""
    start = clause.past(at, {"the", "with", "where"})
    owner = _in_time(clause, start)
    if owner:
        start = clause.past(start + 1, {"is", "was", "falls"})
    since = clause.phrase(start, tuple(known.TIME_BOUNDS))
    first = start + len(since) if since else clause.past(start, _INTO)
    stretch = _stretch(clause, first)
    if stretch is None:
        return at
    ranged = clause.word(stretch.end) in known.RANGE_JOINTS | known.DASHES and _stretch(clause, stretch.end + 1)
    if first == start and not (since or stretch.first or owner or (ranged and ranged.first)):
        return at
    columns = [owner] if owner else of_kind(draft, Kind.DATE)
    if not columns or any(column.kind is not Kind.DATE for column in columns):
        return at
    if len(columns) > 1:
        draft.problem(
            f"It is not said which dates are meant: {listed([bold(column.name) for column in columns], 'or')}."
        )
    said = {clause.word(index) for index in range(start, first)}
    if not since and (open_end := _onwards(clause, stretch.end, ranged="from" in said)):
        if not stretch.first:
            draft.problem("It is not said from when on: name the year too, as in “from March 2021 onwards”.")
        draft.require(Compare(columns[0], Sign.AT_LEAST, stretch.first))
        return open_end
    joint = next((one for one in ("between", "from") if one in said), "")
    end = _require_stretch(clause, stretch, columns[0], draft, since, ranged=joint)
    if end and draft.where and not isinstance(draft.where[-1], InPart):
        _refuse_another(clause, end, draft)
    return _past_included(clause, end) if end else at


def _joints(ranged: str) -> frozenset[str]:
    """What joins the two ends of a range: “and” does so after “between” alone."""
    joints = known.RANGE_JOINTS | known.DASHES
    return joints if ranged == "between" else joints - {"and"}


def _past_included(clause: Clause, at: int) -> int:
    """`(both days included)`, `inclusive`: as it is always taken. "Days" may name a column too."""
    start = clause.past(at, {"("})
    said = [
        tuple(token.norm for item in clause.items[start:end] for token in item.tokens)
        for end in range(start, start + 6)
    ]
    end = start + next((length for length in range(5, 0, -1) if said[length] in _INCLUDED), 0)
    if end == start or (start > at and clause.word(end) != ")"):
        return at
    return end + (start > at)


_INCLUDED: Final = (
    ("both", "days", "included"), ("both", "included"), ("inclusive",), ("both", "inclusive"), ("included",),
    ("both", "days", "inclusive"), ("both", "dates", "included"), ("first", "and", "last", "day", "included"),
)  # fmt: skip


def _require_stretch(
    clause: Clause, stretch: _Stretch, column: Column, draft: Draft, since: tuple[str, ...], *, ranged: str
) -> int:
    if since:
        if not stretch.first:
            return 0
        sign = known.TIME_BOUNDS[since]
        bound = stretch.first if sign in {Sign.AT_LEAST, Sign.LESS} else stretch.last
        draft.require(Compare(column, sign, bound))
        return stretch.end
    joint = clause.word(stretch.end)
    last = _stretch(clause, stretch.end + 1) if joint in _joints(ranged) else None
    if last is not None and last.first:
        begin = stretch.first or _of_year(stretch, last.first[:4])
        if beside := _same_months(clause, (begin, last), column, draft):
            return beside
        draft.require(Between(column, begin, last.last))
        return last.end
    if stretch.first:
        draft.require(Between(column, stretch.first, stretch.last))
        return stretch.end
    return _parts_of_years(clause, stretch, column, draft, ranged=ranged)


def _parts_of_years(clause: Clause, stretch: _Stretch, column: Column, draft: Draft, *, ranged: str) -> int:
    """`in January and March`, of any year; `in January and March 2023`."""
    numbers = [stretch.number]
    end = stretch.end
    while (more := clause.past(end, _JOINTS)) > end and (other := _stretch(clause, more)) is not None:
        if other.unit is not stretch.unit or not other.number:
            return 0
        numbers.append(other.number)
        end = other.end
        if other.first:  # "in March and May 2023"
            if ranged == "from":
                draft.problem("It is not clear whether two times are meant or all between them: write “from … to …”.")
            draft.require(InYears(column, (int(other.first[:4]),)))
            _refuse_another(clause, end, draft)
            break
    if draft.compare and len(numbers) > 1:
        draft.problem("Two times are compared: ask for one row per month or quarter, or for each time by itself.")
    draft.require(InPart(column, stretch.unit, tuple(numbers)))
    return end


def _same_months(clause: Clause, first: tuple[str, _Stretch], column: Column, draft: Draft) -> int:
    """`January to May 2023 next to January to May 2024`: the same months of two years, one column for each year."""
    begin, last = first
    at = _past_beside(clause, last.end, draft)
    low = _stretch(clause, clause.past(at, _INTO)) if at else None
    high = _stretch(clause, low.end + 1) if low and clause.word(low.end) in known.RANGE_JOINTS | known.DASHES else None
    if low is None or high is None or not high.first:
        return 0
    start, years = low.first or _of_year(low, high.first[:4]), (int(begin[:4]), int(high.first[:4]))
    of_months = {low.unit, high.unit, last.unit} == {Unit.MONTH_OF_YEAR} and begin.endswith("-01")
    same = begin[5:] == start[5:] and last.first[5:7] == high.first[5:7] and begin[:4] == last.first[:4]
    whole = last.first.endswith("-01") and not last.last.endswith("-01")
    if not (of_months and same and whole and start[:4] == high.first[:4] and years[0] != years[1]):
        return 0
    draft.require(InPart(column, Unit.MONTH_OF_YEAR, tuple(range(int(begin[5:7]), int(last.first[5:7]) + 1))))
    draft.require(InYears(column, tuple(sorted(years))))
    draft.wide = of_unit(column, Unit.YEAR)
    return high.end


def _of_year(stretch: _Stretch, year: str) -> str:
    month = stretch.number if stretch.unit is Unit.MONTH_OF_YEAR else 3 * stretch.number - 2
    return f"{year}-{month:02}-01"


def _stretch(clause: Clause, at: int) -> _Stretch | None:
    """A month, a quarter, a weekday or a day, with its year if it has one."""
    item = clause.at(at)
    if isinstance(item, Day):
        return _Stretch(at + 1, item.text, item.text)
    if (weekday := _weekday(clause.word(at))) is not None:
        return _Stretch(at + 1, unit=Unit.WEEKDAY, number=weekday)
    return _day(clause, at) or _quarter(clause, at) or _month(clause, at)


def _weekday(word: str) -> int | None:
    names = [name.casefold() for name in WEEKDAYS]
    return next((place for place, name in enumerate(names, 1) if word in {name, f"{name}s"}), None)


def _day(clause: Clause, at: int) -> _Stretch | None:
    """`3 March 2021`, `March 3, 2021`, `March 3rd 2021`."""
    for day_at, month_at in ((at, at + 1), (at + 1, at)):
        number, month = clause.at(day_at), _MONTH_WORDS.get(clause.word(month_at))
        year_index = clause.past(at + 2, {",", "of"})
        year = year_at(clause, year_index)
        if isinstance(number, Number) and month and year and isinstance(number.value, int):
            try:
                day = date(year, month, number.value).isoformat()
            except ValueError:
                return None
            return _Stretch(year_index + 1, day, day)
    return None


def _month(clause: Clause, at: int) -> _Stretch | None:
    month = _MONTH_WORDS.get(clause.word(at))
    if month is None:
        return None
    year_index = clause.past(at + 1, {"of", ","})
    year = year_at(clause, year_index)
    if year is None:
        return None if clause.word(at) == "may" else _Stretch(at + 1, number=month)
    return _Stretch(year_index + 1, *_days(year, month, month), number=month)


def _days(year: int, first: int, last: int) -> tuple[str, str]:
    return f"{year}-{first:02}-01", f"{year}-{last:02}-{calendar.monthrange(year, last)[1]}"


def _quarter(clause: Clause, at: int) -> _Stretch | None:
    """`Q1 2021`, `2021 Q1`, `the first quarter of 2021`."""
    ahead = year_at(clause, at)
    word_at = at + 1 if ahead else at
    word = clause.word(word_at)
    if word[:1] == "q" and word[1:] in {"1", "2", "3", "4"}:
        quarter, end = int(word[1:]), word_at + 1
    elif word in _QUARTER_WORDS and clause.word(word_at + 1) == "quarter":
        quarter, end = _QUARTER_WORDS[word], word_at + 2
    else:
        return None
    year_index = clause.past(end, {"of", "in", ","})
    year = ahead or year_at(clause, year_index)
    if year is None:
        return _Stretch(end, unit=Unit.QUARTER, number=quarter)
    first, last = _days(year, 3 * quarter - 2, 3 * quarter)
    return _Stretch(end if ahead else year_index + 1, first, last, Unit.QUARTER, quarter)


# ---- what is latest


_LATEST: Final = ("latest",), ("most", "recent"), ("newest",), ("last", "available"), ("final",)
_EARLIEST: Final = ("earliest",), ("oldest",)
_LAST_N: Final = ("last",), ("past",), ("latest",), ("most", "recent")


def latest(clause: Clause, at: int, draft: Draft) -> int:
    """`in the latest year`, `for the most recent month`, `the last 3 years`: counted from the table's last date."""
    start = clause.past(at, {"in", "for", "of", "the", "from", "during", "within", "over", "only", "at"})
    several = clause.phrase(start, _LAST_N)
    number = clause.at(start + len(several))
    count = number.value if isinstance(number, Number) else known.NUMBER_WORDS.get(clause.word(start + len(several)), 0)
    if several and count and isinstance(count, int):
        return _last(clause, start + len(several) + 1, count, draft) or at
    tied = any(clause.word(index) in {"in", "on", "for", "from", "at", "of", "during"} for index in range(at, start))
    newest, oldest = clause.phrase(start, _LATEST), clause.phrase(start, _EARLIEST)
    if not newest and not oldest:
        return at
    after = clause.column(start + len(newest or oldest) + 1)
    measured = after is not None and all(column.calculable for column in after.choices)
    if (
        not tied
        and not measured
        and (_in_time(clause, start + len(newest or oldest)) or clause.word(start + len(newest or oldest)) == "date")
    ):
        return at  # "the latest order date" is a question of its own
    return _last(clause, start + len(newest or oldest), 1, draft, oldest=bool(oldest)) or at


def _last(clause: Clause, at: int, count: int, draft: Draft, *, oldest: bool = False) -> int:
    item, owner = clause.at(at), _in_time(clause, at)
    word = item.tokens[-1].norm.removesuffix("s") if item else ""
    unit = "year" if owner and owner.kind is Kind.YEAR else word if word in _STRETCHES else "day" if owner else word
    if unit == "date":
        unit = "day"
    years, dates = of_kind(draft, Kind.YEAR), of_kind(draft, Kind.DATE)
    columns = [owner] if owner else years or dates if unit == "year" else dates
    if unit not in _STRETCHES or not columns:
        return 0
    if len(columns) > 1:
        draft.problem(f"“{unit}” could be of {listed([bold(column.name) for column in columns], 'or')}.")
    column = columns[0]
    if unit == "year":
        if column.low is None or column.high is None:
            return 0
        low, high = (column.low, column.low + count - 1) if oldest else (column.high - count + 1, column.high)
        draft.require(InYears(column, (int(high),)) if count == 1 else Between(column, int(low), int(high)))
        draft.note(
            f"The {'earliest' if oldest else 'latest'} year of {bold(column.name)} is {int(low if oldest else high)}."
        )
        return at + 1
    if not column.latest or (oldest and not column.earliest):
        return 0
    first, last = _ending(date.fromisoformat(column.earliest if oldest else column.latest), unit, count)
    if oldest and unit != "day":
        return 0
    draft.require(Between(column, first.isoformat(), last.isoformat()))
    date_said = column.earliest if oldest else column.latest
    draft.note(f"The {'first' if oldest else 'last'} date of {bold(column.name)} is {date_said}.")
    return at + 1


_STRETCHES: Final = frozenset({"year", "month", "quarter", "week", "day"})


def _ending(last: date, unit: str, count: int) -> tuple[date, date]:
    """So many days, weeks, months or quarters, the last of which holds a day."""
    if unit in {"day", "week"}:
        days = count if unit == "day" else 7 * (count - 1) + last.weekday() + 1
        return last - timedelta(days=days - 1), last
    month = last.month if unit == "month" else 3 * ((last.month - 1) // 3) + 1
    back = (count - 1) * (1 if unit == "month" else 3)
    months = last.year * 12 + month - 1 - back
    return date(months // 12, months % 12 + 1, 1), last
