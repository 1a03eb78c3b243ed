"""The words of `english.toml`, and how words are compared."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import Any, Final


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_FOUND: Final[dict[str, Any]] = tomllib.loads(
    resources.files(__package__).joinpath("english.toml").read_text(encoding="utf-8")
)
TERMS: Final[dict[str, str]] = {name: "|".join(several) for name, several in _FOUND["terms"].items()}
FORMATS: Final[dict[str, str]] = {ending: "|".join(several) for ending, several in _FOUND["formats"].items()}
SYNONYMS: Final[dict[str, str]] = _FOUND["synonyms"]
SEXES: Final = [(words(said), words(meant)) for said, meant in _FOUND["sexes"].items()]
NEEDS: Final[dict[str, str]] = _FOUND["needs"]
SAID: Final[dict[str, dict[str, str]]] = _FOUND["said"]
PURPOSES: Final = words(_FOUND["ordinary"]["purposes"])
ORDINARY: Final = words(" ".join(_FOUND["ordinary"].values()))
GLUE, ROW_NOUNS, PERSONS = (words(_FOUND[name]) for name in ("glue", "row_nouns", "persons"))
AMOUNTS, GOODS = words(_FOUND["amounts"]), words(_FOUND["goods"])
SCALES: Final = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "mio": 1e6, "bn": 1e9, "billion": 1e9}
MONTHS: Final = re.split(" ", "jan feb mar apr may jun jul aug sep oct nov dec")
_COUNTED: Final = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
NUMBER_WORDS: Final = {word: number for number, word in enumerate(re.split(" ", _COUNTED))} | {
    "dozen": 12, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100, "thousand": 1000,
}  # fmt: skip
_PARTS: Final = {
    "year": r"(?P<y>\d{4})", "day": r"(?P<d>\d{1,2})(?:st|nd|rd|th)?", "not": TERMS["not"],
    "month": rf"(?P<m>{'|'.join(MONTHS)})[a-z]*\.?", "purposes": "|".join(sorted(PURPOSES)),
    "verbs": "save|list|plot|draw|show|give|count|make|write|compute|calculate|describe|chart",
}  # fmt: skip


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"@(\w+)@", lambda name: _PARTS[name[1]], text), re.IGNORECASE)


PERIODS: Final = [_pattern(rf"(?<![\w.]){one}(?!\w)") for one in _FOUND["patterns"].pop("periods")]
PATTERNS: Final = {name: _pattern("|".join(several)) for name, several in _FOUND["patterns"].items()}


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
