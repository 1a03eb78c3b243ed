"""Phrases that rank: tops and bottoms, the best and the worst, and in what order. Part of the grammar in `phrases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.formulas import made_at
from ipython_assistant.engine.models.analyst.lexing import plain_words
from ipython_assistant.engine.models.analyst.mentions import Number
from ipython_assistant.engine.models.analyst.plan import How, Measure, Sort, Top
from ipython_assistant.engine.models.analyst.tables import Column, Kind
from ipython_assistant.engine.models.markdown import bold, listed, quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_HAVING_VERBS: Final = known.IDLE | frozenset(
    ["with", "having", "has", "have", "had", "of", "the", "shows", "showed", "recorded", "reported", "saw", "got", "in",
     "achieved", "by", "sold", "made"]
)  # fmt: skip


def top(clause: Clause, at: int, draft: Draft) -> int:
    """`top 5 districts`, `the 3 worst rows`, `top 10% of rows`, `which district has the lowest mean coverage`."""
    if draft.top is not None:
        return at
    if draft.hows and not draft.hows_used and clause.word(at) in {"top", "bottom"}:
        draft.problem("A mean or total of a top only is not something I do: ask for the top.")
    start = clause.past(at, {"the"})
    if end := _word_first(clause, start, draft):
        return end
    if end := _number_first(clause, start, draft):
        return end
    return _question(clause, at, draft) or at


def _word_first(clause: Clause, at: int, draft: Draft) -> int:
    """`top 5 districts`, `worst three rows`, `top 10 percent of rows`, `top district`."""
    word = clause.word(at)
    ranked = word in known.TOP_WORDS or word in known.JUDGEMENTS
    extreme = word in known.EXTREMES and clause.word(at - 1) != "at" and number(clause, at + 1)
    if not ranked and not extreme:
        return 0
    count = number(clause, at + 1)
    noun = at + 2 if count else at + 1
    percent = bool(count) and clause.word(noun) == "percent"
    end = clause.past(noun + percent, {"of", "the", "performing"} if percent else {"performing"})
    after = _noun(clause, end, draft, alone=count is None)
    if after is None:
        return 0
    if word in known.JUDGEMENTS:
        draft.judged = word
    draft.top = _of_all(draft, Top(count or 1, known.TOP_WORDS.get(word, known.EXTREMES.get(word, True)), percent))
    return after


def _of_all(draft: Draft, top: Top) -> Top:
    """A top, that may be one of so many percent."""
    if top.percent and top.count > 100:  # noqa: PLR2004 - percent
        draft.problem(f"There is no top {top.count:,} percent.")
    return top


def _number_first(clause: Clause, at: int, draft: Draft) -> int:
    """`3 worst districts`, `5 most common diseases`, `5 districts with the lowest mean coverage`."""
    count = number(clause, at)
    common = clause.phrase(at + bool(count), (("most", "common"), ("most", "frequent"), ("least", "common")))
    if common:
        noun = at + bool(count) + len(common)
        mention = clause.column(noun)
        if mention is None:
            return 0
        _top_of(draft, draft.column(mention))
        draft.measures.append(Measure(None, How.COUNT))
        draft.top = Top(count or 1, common[0] == "most")
        return noun + 1
    if count is None:
        return 0
    word = clause.word(at + 1)
    if word in known.JUDGEMENTS or word in known.EXTREMES or word in known.TOP_WORDS:
        after = _noun(clause, clause.past(at + 2, {"performing"}), draft, alone=False)
        if after is None:
            return 0
        draft.judged = word if word in known.JUDGEMENTS else ""
        draft.top = Top(count, known.EXTREMES.get(word, known.TOP_WORDS.get(word, True)))
        return after
    return _with_the_most(clause, at + 1, count, draft)


def _question(clause: Clause, at: int, draft: Draft) -> int:
    """`which district has the lowest coverage`, `the district with the most rows`."""
    asking = clause.word(at) in {"which", "what", "the", "find", "who", "whose"}
    noun = clause.past(at, {"which", "what", "is", "are", "was", "were", "the", "find"})
    counted = number(clause, noun)
    if not asking or noun == at:
        return 0
    return _with_the_most(clause, noun + bool(counted), counted or 1, draft)


def _with_the_most(clause: Clause, noun: int, count: int, draft: Draft) -> int:
    """`district with the lowest mean coverage`: the noun is a column that makes groups, or rows."""
    mention = clause.column(noun)
    rows = clause.rows(noun)
    if mention is None and not rows:
        return 0
    word_at = clause.past(noun + 1, _HAVING_VERBS)
    word = clause.word(word_at)
    if word_at == noun + 1 or (word not in known.EXTREMES and word not in known.JUDGEMENTS):
        return 0
    if clause.word(word_at - 1) == "at":  # "at least", "at most"
        return 0
    if mention and not rows and not all(column.groups and not column.calculable for column in mention.choices):
        return 0
    measured = _ranked(clause, word_at + 1, draft)
    made = [column for column in draft.table.columns if column.made]
    if (
        measured is None and len(made) == 1 and clause.at(word_at + 1) is None
    ):  # "… and list the 5 rows with the highest"
        measured = word_at + 1, Measure(made[0])
    if measured is None:
        return 0
    end, measure = measured
    draft.ranking.append(measure)
    draft.judged = word if word in known.JUDGEMENTS else ""
    draft.top = Top(count, known.EXTREMES.get(word, True))
    most = word in {"most", "fewest", "least"} and measure.how is None and measure.column is not None
    if (
        most and measure.column is not None and measure.column.whole and not rows
    ):  # "the most doctors": how many there are
        draft.ranking[-1] = Measure(measure.column, How.SUM)
        draft.note(f"The number of {bold(measure.column.name)} is its total.")
    if mention and not rows:
        _top_of(draft, draft.column(mention))
    else:
        draft.of_table = draft.top_rows = True
    return end


def _noun(clause: Clause, at: int, draft: Draft, *, alone: bool) -> int | None:
    """What a top is of: a column that makes groups, or rows; None if neither stands there."""
    if clause.rows(at):
        draft.of_table = draft.top_rows = True
        return at + 1
    mention = clause.column(at)
    if mention is not None and all(column.groups for column in mention.choices):
        _top_of(draft, draft.column(mention))
        return at + 1
    measured = not alone and mention is not None
    by_next = not alone and (clause.word(at) in {"by", "in", "for", "with", "on"} or clause.at(at) is None)
    return at if measured or by_next else None


def _top_of(draft: Draft, column: Column) -> None:
    group_by(draft, draft.keys, column)
    draft.top_of = column


_ADJECTIVES: Final[dict[tuple[str, ...], tuple[frozenset[str], bool]]] = {
    ("oldest",): (frozenset(["age"]), True), ("youngest",): (frozenset(["age"]), False),
    ("longest",): (frozenset(["length", "duration", "stay", "time"]), True),
    ("shortest",): (frozenset(["length", "duration", "stay", "time"]), False),
    ("heaviest",): (frozenset(["weight", "mass"]), True), ("lightest",): (frozenset(["weight", "mass"]), False),
    ("tallest",): (frozenset(["height"]), True), ("cheapest",): (frozenset(["price", "cost", "fare", "fee"]), False),
    ("most", "expensive"): (frozenset(["price", "cost", "fare", "fee"]), True),
    ("least", "expensive"): (frozenset(["price", "cost", "fare", "fee"]), False),
    ("costliest",): (frozenset(["price", "cost"]), True), ("deepest",): (frozenset(["depth"]), True),
    ("hottest",): (frozenset(["temperature"]), True), ("warmest",): (frozenset(["temperature"]), True),
    ("coldest",): (frozenset(["temperature"]), False), ("fastest",): (frozenset(["speed"]), True),
    ("slowest",): (frozenset(["speed"]), False), ("wettest",): (frozenset(["rain", "rainfall", "precipitation"]), True),
    ("richest",): (frozenset(["income", "wealth"]), True), ("poorest",): (frozenset(["income", "wealth"]), False),
}  # fmt: skip


def of_kind(clause: Clause, at: int, draft: Draft) -> int:
    """`the five oldest patients`, `hottest day`: an adjective that only one column of numbers can mean."""
    start = clause.past(at, {"the"})
    start = clause.past(start, {"top"})
    count = number(clause, start)
    percent = bool(count) and clause.word(start + 1) == "percent"
    adjective = clause.past(start + bool(count) + percent, {"of", "the"} if percent else set())
    phrase = clause.phrase(adjective, tuple(_ADJECTIVES))
    if not phrase or draft.top is not None:
        return at
    words, largest = _ADJECTIVES[phrase]
    columns = [column for column in draft.table.columns if column.calculable and words & set(plain_words(column.name))]
    end = adjective + len(phrase)
    if len(columns) != 1 or not clause.rows(end):
        return at
    draft.top = _of_all(draft, Top(count or 1, largest, percent))
    draft.ranking.append(Measure(columns[0]))
    draft.of_table = draft.top_rows = True
    return end + 1


def which_one(clause: Clause, at: int, draft: Draft) -> int:
    """`longest wait, which visit was that?`, `… and when was it`: the row itself, not only its number."""
    named = clause.word(at) in {"which", "what"} and clause.rows(at + 1)
    verb = at + 1 + named
    asked = named or clause.word(at) in {"when", "where", "who", "whose"}
    if not asked or clause.word(verb) not in {"was", "is"} or clause.word(verb + 1) not in {"that", "it", "this"}:
        return at
    extremes = {How.MAX: True, How.MIN: False}
    one = draft.measures[0] if len(draft.measures) == 1 else None
    if one is None or one.column is None or one.how not in extremes or draft.keys or draft.top:
        draft.problem("It is not said which row is asked for: write “which row has the highest …”.")
        return verb + 2
    draft.measures, draft.hows, draft.hows_used = [], [], False
    draft.ranking.append(Measure(one.column))
    draft.top = Top(1, extremes[one.how])
    draft.of_table = draft.top_rows = True
    return verb + 2


def ranked(clause: Clause, at: int, draft: Draft) -> int:
    """`rank districts by mean coverage`: from the largest to the smallest."""
    if clause.word(at) not in {"rank", "ranking", "order", "sort"}:
        return at
    noun = clause.past(at + 1, {"the", "all", "of"})
    mention = clause.column(noun)
    if mention is None or clause.rows(noun) or clause.word(noun + 1) not in {"by", "on"}:
        return at
    measured = _ranked(clause, clause.past(noun + 2, {"the", "their"}), draft)
    if measured is None or any(column.calculable for column in mention.choices):
        return at
    end, measure = measured
    group_by(draft, draft.keys, draft.column(mention))
    draft.measures.append(measure)
    draft.measure_end = end
    draft.sort = draft.sort or Sort(clause.word(at) in {"rank", "ranking"}, None)
    return end


def number(clause: Clause, at: int) -> int | None:
    """A whole number, in digits or as a word."""
    item = clause.at(at)
    if isinstance(item, Number) and isinstance(item.value, int) and item.value > 0:
        return item.value
    return known.NUMBER_WORDS.get(clause.word(at))


def ranking(clause: Clause, at: int, draft: Draft) -> int:
    """`by mean coverage`, `by number of rows`, once a top is asked for."""
    if draft.top is None or draft.ranking or clause.word(at) not in {"by", "in", "for", "with", "on", "of"}:
        return at
    extremes = known.EXTREMES.keys() if clause.word(at) == "with" else frozenset()
    start = clause.past(at + 1, {"the", "their"} | extremes)
    measured = _ranked(clause, start, draft)
    if measured is None:
        return at
    end, measure = measured
    draft.ranking.append(measure)
    second = clause.past(end, {"and", "&", "then", "by"})
    if second > end and _ranked(clause, second, draft):
        draft.problem("A top is taken by one figure, and two are named: ask for one, or write which columns to list.")
    return end


def _ranked(clause: Clause, at: int, draft: Draft) -> tuple[int, Measure] | None:
    """`mean coverage`, `number of rows`, `rows`: what a top is taken by, and where that ends."""
    if made := made_at(clause, at, draft.table):
        return made[0], Measure(made[1])
    counted = clause.phrase(at, (("number", "of"), ("count", "of"), ("count",), ("amount", "of")))
    noun = clause.past(at + len(counted), {"the"})
    if clause.rows(noun) and (counted or clause.word(at) not in known.HOWS):
        return noun + 1, Measure(None, How.COUNT)
    how = known.HOWS.get(clause.word(at))
    end = clause.past(at + 1, {"of", "the"}) if how else noun
    mention = clause.column(end)
    if mention is None:
        return None
    numbers = all(column.kind is Kind.NUMBER for column in mention.choices)
    if not numbers and counted:
        return end + 1, Measure(draft.column(mention), How.DISTINCT)
    if not numbers:
        return None
    draft.totals |= clause.word(at) in {"total", "totals"}
    return end + 1, Measure(draft.column(mention), how)


# ---- order


def sorted_by(clause: Clause, at: int, draft: Draft) -> int:
    """`sorted by coverage, highest first`, `order by date`, `worst first`, `in descending order`."""
    verb = clause.past(at, {"and", ",", "then"})
    if clause.word(verb) in {"sort", "sorted", "order", "ordered", "rank", "ranked", "arrange", "arranged", "sorting"}:
        end = clause.past(verb + 1, known.OUTCOME_NOUNS | known.ROW_NOUNS | {"the", "table"})
        return _sort(clause, end, draft) or at
    if dated := _dated_first(clause, verb, draft):
        return dated
    direction, end = _direction(clause, verb)
    if direction is None:
        return at
    draft.sort = Sort(_descending(draft, direction), None)
    by = clause.past(end, {"by", "of", "the"})
    mention = clause.column(by)
    if by > end and mention and clause.word(end) in {"by", "of"}:
        draft.sort = Sort(draft.sort.descending, draft.column(mention))
        return by + 1
    if figure := _ranked(clause, by, draft):  # "from highest to lowest number of visits"
        draft.sorted_by = figure[1]
    return end


_AGES: Final = {"oldest": False, "earliest": False, "newest": True, "latest": True}


def _dated_first(clause: Clause, at: int, draft: Draft) -> int:
    """`oldest visit first`: by the only date of the rows; of persons, the oldest may be those of an age."""
    start = clause.past(at, {"the"})
    times = [column for column in draft.table.columns if column.kind is Kind.DATE]
    named = clause.rows(start + 1) and not clause.persons(start + 1)
    if clause.word(start) not in _AGES or not named or clause.word(start + 2) != "first":
        return 0
    if len(times) != 1:
        return 0
    draft.sort = Sort(_AGES[clause.word(start)], times[0])
    draft.note(f"The order is that of {bold(times[0].name)}.")
    return start + 3


def _sort(clause: Clause, at: int, draft: Draft) -> int:
    column: Column | None = None
    end = clause.past(at, {"by", "on", "the"})
    how = clause.word(end) in known.HOWS
    way = known.HOWS.get(clause.word(end))
    mention = clause.column(end + how) or clause.column(clause.past(end + how, {"of"}))
    if end > at and mention:
        column = draft.column(mention)
        end = clause.past(end + how, {"of"}) + 1
    elif end > at and (figure := _ranked(clause, end, draft)):
        draft.sorted_by = figure[1]
    elif end > at and clause.word(end) in {"count", "total", "it"}:
        draft.sorted_by = Measure(None, How.COUNT) if clause.word(end) == "count" else None
        end += 1
    after = clause.past(end, {",", "and", "from", "("}) if _direction(clause, end)[0] is None else end
    direction, last = _direction(clause, after)
    if direction is None and end == at:
        return 0
    ranked_by_measure = way is not None and column is not None and _measured_for(draft, column, way)
    ranking_verb = clause.word(at - 1) in {"rank", "ranked"}
    descending = _descending(draft, direction) if direction else ranking_verb
    draft.sort = Sort(descending, None if ranked_by_measure else column)
    return clause.past(last, {")"}) if direction else end


def _measured_for(draft: Draft, column: Column, how: How) -> bool:
    """`stations ranked by median no2`: what was listed makes the groups, and the order is of what is calculated."""
    first = next(iter(draft.measures), None)
    if first and first.column == column and first.how in {how, None} and (draft.keys or draft.hows):
        return True
    listed_only = [one.column for one in draft.measures if one.column and not one.column.calculable and one.how is None]
    if len(listed_only) == len(draft.measures) == 1:
        draft.measures[:] = []
        group_by(draft, draft.keys, listed_only[0])
    if not draft.keys:
        draft.problem(f"It is not said of which groups the {how} of {bold(column.name)} is to be taken.")
    if not draft.measures:
        draft.measures.append(Measure(column, how))
        return True
    draft.problem("Groups are sorted by what is calculated for them.")
    return False


def _descending(draft: Draft, direction: str) -> bool:
    if direction in known.JUDGEMENTS:
        draft.judged = direction
    return direction not in {"up", "worst"}


_ENDS: Final = (
    ("highest", "lowest"), ("high", "low"), ("largest", "smallest"), ("longest", "shortest"), ("most", "least"),
    ("biggest", "smallest"), ("newest", "oldest"), ("latest", "earliest"),
)  # fmt: skip
_DIRECTIONS: Final[dict[tuple[str, ...], str]] = {
    **{(word,): "down" for word in ("descending", "desc", "decreasing", "descendingly")},
    **{(word,): "up" for word in ("ascending", "asc", "increasing", "alphabetically", "chronologically")},
    **{("in", word, "order"): "down" for word in ("descending", "decreasing")},
    **{("in", word, "order"): "up" for word in ("ascending", "increasing", "alphabetical", "chronological")},
    **{(word, "order"): "down" for word in ("descending", "decreasing")},
    **{(word, "order"): "up" for word in ("ascending", "increasing", "alphabetical", "chronological")},
    **{(word, "first"): "down" for word in ("highest", "largest", "biggest", "newest", "latest", "most", "greatest")},
    ("most", "recent", "first"): "down",
    **{(word, "first"): "up" for word in ("lowest", "smallest", "oldest", "earliest", "fewest", "least")},
    **{("from", one, "to", two): "down" for one, two in _ENDS},
    **{("from", two, "to", one): "up" for one, two in _ENDS},
    **{(one, "to", two): "down" for one, two in _ENDS},
    **{(two, "to", one): "up" for one, two in _ENDS},
    ("worst", "first"): "worst", ("best", "first"): "best",
}  # fmt: skip


def _direction(clause: Clause, at: int) -> tuple[str | None, int]:
    start = clause.past(at, {"the"})
    phrase = clause.phrase(start, tuple(_DIRECTIONS))
    return (_DIRECTIONS[phrase], start + len(phrase)) if phrase else (None, at)


# ---- groups and what is good


def group_by(draft: Draft, columns: list[Column], column: Column) -> None:
    """One more column that makes groups."""
    if not column.groups:
        what = "is empty" if column.kind is Kind.EMPTY else f"has {column.distinct:,} different numbers"
        draft.problem(
            f"{bold(column.name)} {what}; I group by, and draw over, texts, years, dates and a few whole numbers."
        )
    if column not in columns:
        columns.append(column)


def good_if_large(draft: Draft, column: Column | None) -> bool:
    """Whether much of a column is good; a problem where its name does not say."""
    words = set(plain_words(column.name)) if column else set()
    good, bad = words & known.GOOD, words & known.BAD
    if bool(good) == bool(bad):
        name = bold(column.name) if column else "the number of rows"
        both = listed([quoted("highest"), quoted("lowest")], "or")
        draft.problem(f"What is {quoted(draft.judged)} of {name} is not certain: write {both}.")
    return bool(good)
