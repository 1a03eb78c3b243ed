"""The English that is understood: the words of `english.toml`, and what their places in a question say.

Places decide, not a grammar: what is found here of how the things that a question names stand to one another, compared,
left out, grouped by, calculated, narrows what a model may fill in, and is looked for in its plan again.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.mentions import Mention, Mentions
    from ipython_assistant.engine.models.table_profiles import Column


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_FOUND: Final[dict[str, Any]] = tomllib.loads(resources.files(__package__).joinpath("english.toml").read_text("utf-8"))
TERMS: Final[dict[str, str]] = {name: "|".join(several) for name, several in _FOUND["terms"].items()}
FORMATS: Final[dict[str, str]] = {ending: "|".join(several) for ending, several in _FOUND["formats"].items()}
SYNONYMS: Final[dict[str, str]] = _FOUND["synonyms"]
SEXES: Final = [(words(said), words(meant)) for said, meant in _FOUND["sexes"].items()]
NEEDS: Final = {
    term: [(what, set(several.split(", "))) for what, _, several in (need.partition(": ") for need in text.split("; "))]
    for term, text in _FOUND["needs"].items()
}
"""What a plan needs for a term: one of these words of what it does, by kind."""
SAID: Final[dict[str, dict[str, str]]] = _FOUND["said"]
ORDINARY: Final = words(" ".join(_FOUND["ordinary"].values()))
GLUE, ROW_NOUNS, PERSONS = (words(_FOUND[name]) for name in ("glue", "row_nouns", "persons"))
AMOUNTS: Final = words(_FOUND["amounts"])
MONTHS: Final = re.split(" ", "jan feb mar apr may jun jul aug sep oct nov dec")
NUMBER_WORDS: Final[dict[str, int]] = _FOUND["numbers"]
SCALES: Final[dict[str, float]] = _FOUND["scales"]
COMPARES: Final[dict[str, list[str]]] = _FOUND["compares"]
CHART_TERMS: Final[dict[str, list[str]]] = _FOUND["charts"]
TABLE_TERMS: Final[dict[str, str]] = _FOUND["tables"]
THEN_TERMS: Final[dict[str, list[str]]] = _FOUND["then"]
_PARTS: Final = {
    "year": r"(?P<y>\d{4})", "day": r"(?P<d>\d{1,2})(?:st|nd|rd|th)?", "not": TERMS["not"],
    "month": rf"(?P<m>{'|'.join(MONTHS)})[a-z]*\.?",
    "verbs": "save|list|plot|draw|show|give|count|make|write|compute|calculate|describe|chart",
}  # fmt: skip


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"@(\w+)@", lambda name: _PARTS[name[1]], text), re.IGNORECASE)


PERIODS: Final = [_pattern(rf"(?<![\w.]){one}(?!\w)") for one in _FOUND["patterns"].pop("periods")]
PATTERNS: Final = {name: _pattern("|".join(several)) for name, several in _FOUND["patterns"].items()}

COMPARED_BY: Final = {term: ops[0] for term, ops in COMPARES.items() if term.startswith("comparison")}
"""What each term of comparison is in a plan."""
_ARTICLES: Final = words("a an the word words text letters digits")
_SIGNS: Final[dict[str, str]] = _FOUND["signs"]


def word_stem(word: str) -> str:
    """A word without the endings of plural and verb: `waiting` and `waits` are `wait`."""
    word = word.lower().removesuffix("'s").removesuffix("’s").replace("-", "")
    for ending in ("ies", "ing", "ers", "ed", "er", "es", "s", "e"):
        put = "y" if ending == "ies" else ""
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):  # noqa: PLR2004
            return word.removesuffix(ending) + put
    return word


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name: `PopTreat`, `pop_treat` and `Pop. treat (n)` are `pop treat`."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"\s*[(\[].*?[)\]]\s*$", "", name) or name)
    return tuple(re.findall(r"[^\W_]+", apart.lower()))


# ---- how the things that a question names stand to one another


def is_excluded(mentions: Mentions, at: int) -> bool:
    """Whether a word such as `excluding` stands before a place of the question, in the same clause."""
    return PATTERNS["negation"].search(PATTERNS["clause"].split(mentions.text[:at])[-1]) is not None


def compares_both(mentions: Mentions) -> bool:
    """Whether what has something is compared with what does not: `with and without`."""
    return "not" in mentions.terms and PATTERNS["with and without"].search(mentions.text) is not None


def grouped_columns(mentions: Mentions) -> set[str]:
    """Columns that stand after `per`, `by` or `each`."""
    return {name for one in mentions.behind("per") for name in one.columns}


def pooled_columns(mentions: Mentions) -> set[str]:
    """Columns that make no groups: `all the stations summed`, `the mean over the districts`, `merged on the code`."""
    pooled = [one for one in mentions.of("column") if PATTERNS["pooled"].match(mentions.text[one.end :])]
    joined_on = mentions.behind("joined on") if "join" in mentions.terms else []
    return {one.columns[0] for one in (*mentions.behind("over all"), *pooled, *joined_on)}


def columns_set_apart(mentions: Mentions) -> list[str]:
    """Columns of which two values are set against each other: `M vs F`, `one for MMR and one for HPV`."""
    several = [one.columns[0] for one in mentions.behind("set apart", "value")]
    return [name for name in several if len(mentions.values_of(name)) > 1]


def wanted_answer(mentions: Mentions, column: Column) -> str:
    """Which of the two a yes-or-no column has to be; empty where it may also make groups, or is not named alone."""
    places = [one for one in mentions.of("column") if one.columns == (column.name,)]
    free = compares_both(mentions) or column.name in grouped_columns(mentions) or {"share", "rate"} & mentions.terms
    if column.kind != "yes/no" or not places or free:
        return ""
    said = PATTERNS["yes or no"].match(mentions.text[places[0].end :])
    return said[1] if said else "no" if is_excluded(mentions, places[0].start) else "yes"


def text_tests(mentions: Mentions) -> dict[str, tuple[str, str]]:
    """What a column of texts has to contain, or begin with: column → comparison and text."""
    found = {}
    for at, one in enumerate(mentions.found):
        if one.term not in {"contains", "starts"}:
            continue
        columns = [other.columns[0] for other in mentions.found[:at] if other.kind == "column"]
        texts = [other for other in mentions.found[at + 1 :] if other.text.lower() not in _ARTICLES][:1]
        if columns and texts and texts[0].kind in {"string", "value", "number", "unknown", "glue"}:
            negated = is_excluded(mentions, one.start)
            op = "starts with" if one.term == "starts" else "does not contain" if negated else "contains"
            found[columns[-1]] = (op, texts[0].text.strip("\"'“”`"))
    return found


def missing_tests(mentions: Mentions, columns: Sequence[Column]) -> dict[str, str]:
    """Columns whose cells have to be missing, or filled: `where the age is blank`, `without an income`."""
    answers = {column.name for column in columns if column.kind == "yes/no"}
    found: dict[str, str] = {}
    for one in mentions.of("column"):
        name, before, after = one.columns[0], mentions.text[: one.start], mentions.text[one.end :]
        if len(one.columns) > 1 or name in answers or re.search(r"\bhow many (?:of the )?$", before):
            continue
        blank, absent = PATTERNS["blank"].match(after), PATTERNS["absent"].search(before)
        if blank:
            found[name] = "is not missing" if blank[1] else "is missing"
        elif absent and not PATTERNS["compared"].match(after):
            twice = is_excluded(mentions, absent.start()) and not absent[0].startswith("nor")
            found[name] = "is not missing" if twice else "is missing"
    return found


def aggregates_said(mentions: Mentions) -> list[str]:
    """The aggregates that the question names beyond doubt: `highest` may be an order as well."""
    terms = {"mean": "mean", "median": "median", "std": "std", "sum": "sum", "max": "maximum", "min": "minimum"}
    return [name for name, term in terms.items() if term in mentions.terms]


def counts_in(mentions: Mentions) -> list[int]:
    """Whole numbers under a thousand, that may be so many rows, groups or bars."""
    numbers = [one.numbers[0] for one in mentions.of("number")]
    return list(dict.fromkeys(int(one) for one in numbers if one in range(1, 1000)))


def bound_numbers(mentions: Mentions, columns: Sequence[Column]) -> dict[Mention, tuple[str, ...]]:
    """The columns that each compared number may be said of: `cost over 100` is the cost, `older than 65` an age."""
    numeric = [column.name for column in columns if column.numeric]
    ages = [name for name in numeric if "age" in words_of(name)]
    told = [one for one in mentions.found if one.kind != "glue" or one.text.lower() in PERSONS]
    found: dict[Mention, tuple[str, ...]] = {}
    for at, one in enumerate(told):
        if one.kind != "number":
            continue
        before = [other for other in told[max(at - 4, 0) : at] if other.term not in {"not", "or", "between"}][::-1]
        behind = [other for other in told[at + 1 : at + 2] if other.text.startswith(("or ", "+"))]
        comparing = [other for other in (*before[:1], *behind) if other.term in COMPARED_BY]
        subject = next((other for other in before if other.term not in COMPARED_BY and other.kind != "number"), None)
        own = [name for name in subject.columns if name in numeric] if subject else []
        equated = subject and PATTERNS["is"].fullmatch(mentions.text[subject.end : one.start])
        if own and (equated or "between" in mentions.terms) and not comparing:
            found[one] = tuple(own)
        elif comparing:
            meant = [name for name in comparing[0].columns if name in numeric]
            found[one] = tuple(meant or own or ages or numeric)
    return found


def axes_of(mentions: Mentions, numbers: Sequence[str]) -> tuple[list[str], list[str]]:
    """What may stand across and what up in a scatter chart: of two columns the first goes up, unless it is said."""
    order = list(dict.fromkeys(name for one in mentions.of("column") for name in one.columns if name in numbers))
    if len(order) != 2:  # noqa: PLR2004 two axes
        return [*numbers], [*numbers]
    y, x = reversed(order) if PATTERNS["x and y"].search(mentions.text) else order
    return [x], [y]


def signs_said(mentions: Mentions) -> list[str]:
    """The signs that the question writes between names and numbers: `nights * price`, `wasted divided by given`."""
    named = [range(one.start, one.end) for one in mentions.of("column", "value", "file", "table")]
    listed = not re.search(r"[=(]|\bplus\b", mentions.text)  # a bare `given + wasted` names two things
    places = PATTERNS["sign"].finditer(mentions.text)
    said = [(one[1] or one[2]).strip() for one in places if not any(one.start() in place for place in named)]
    signs = dict.fromkeys(_SIGNS.get(sign, sign) for sign in said)
    return [sign for sign in signs if sign != "+" or not listed]


def calculates(mentions: Mentions, columns: Sequence[Column]) -> bool:
    """Whether the question may ask for a calculated column."""
    names = [name for one in mentions.of("column") for name in one.columns]
    numbers = sum(column.numeric and column.name in names for column in columns)
    figures = numbers + len(mentions.of("number"))
    return (numbers > 1 and "minus" in mentions.terms) or bool(numbers and figures > 1 and signs_said(mentions))


def result_names(mentions: Mentions) -> tuple[str, ...]:
    """Words that are not known and name what is calculated: they stand before its formula, or before `per 1000`."""
    if not ("per number" in mentions.terms or signs_said(mentions)):
        return ()
    sign = PATTERNS["before a formula"]
    return tuple(one.text for one in mentions.of("unknown") if sign.match(mentions.text[one.end :]))
