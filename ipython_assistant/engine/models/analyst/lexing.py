"""Prompts and names as tokens: words, numbers, dates, file names, quotations, signs and marks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final


def words(*lines: str) -> frozenset[str]:
    """The words of lines."""
    return frozenset(word for line in lines for word in line.split())


FILE_ENDINGS: Final = (
    "csv", "tsv", "txt", "xlsx", "xls", "json", "jsonl", "parquet", "feather", "html", "md", "png", "svg", "pdf", "jpg",
    "jpeg",
)  # fmt: skip

ABBREVIATIONS: Final = {
    "%": "percent", "pct": "percent", "perc": "percent", "percentage": "percent",
    "avg": "average", "ave": "average", "med": "median", "minimum": "min", "maximum": "max",
    "pop": "population", "popn": "population", "cov": "coverage", "dist": "district", "yr": "year", "yrs": "year",
    "wich": "which", "whcih": "which", "teh": "the", "seperate": "separate", "seperately": "separately",
    "avarage": "average", "averge": "average", "dont": "don't", "doesnt": "doesn't", "hasnt": "hasn't",
    "havent": "haven't",
    "temp": "temperature", "qty": "quantity", "amt": "amount",
}  # fmt: skip
"""Both ways of writing are the same word, in prompts and in column names."""

_TOKEN: Final = re.compile(
    rf"""
    (?P<quoted> "[^"\n]+" | “[^”\n]+” | „[^“”\n]+[“”] | «[^»\n]+» | `[^`\n]+`
              | (?<!\w)'[^'\n]+'(?!\w) | (?<!\w)\u2018[^’\n]+’(?!\w) )
    | (?P<file> [^\s"'“”`,;:()]*[\w)]\.(?:{"|".join(FILE_ENDINGS)})(?![\w/\\]) )
    | (?P<name> (?:(?<=\bas\ )|(?<=\bnamed\ )|(?<=\bcalled\ ))[^\W\d_]\w*_\w*(?![\w.]) )
    | (?P<date> (?<![\w.-])\d{{4}}-\d{{2}}-\d{{2}}(?![\w-]) )
    | (?P<number> (?<![\w.])[-+]?(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?k?(?!\w) )
    | (?P<word> (?:year|month|quarter|week)[- ](?:over|on|to|by)[- ](?:year|month|quarter|week)(?!\w)
              | [^\W_]+(?:['’][^\W_]+)* | % )
    | (?P<sign> >= | <= | == | != | <> | [≥≤≠<>=] )
    | (?P<mark> [^\s] )
    """,
    re.VERBOSE | re.IGNORECASE,
)


class TokenKind(StrEnum):
    """What a token is; the names are those of the groups in the pattern above."""

    QUOTED = "quoted"
    FILE = "file"
    NAME = "name"
    DATE = "date"
    NUMBER = "number"
    WORD = "word"
    SIGN = "sign"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a prompt.

    Args:
        kind: What it is.
        text: As written; a quotation without its quotation marks.
        start: Where it begins in the prompt, in characters.
        end: Where it ends.
        norm: The word to compare: case, accents and abbreviations aside.
        correction: The column word that `norm` was corrected to, where the prompt had a slip of the pen.
    """

    kind: TokenKind
    text: str
    start: int
    end: int
    norm: str
    correction: str = ""


_OVER: Final = re.compile(r"(year|month|quarter|week)[- ](?:over|on|to|by)[- ]\1")


def fold(text: str) -> str:
    """Text to compare by: compatibility forms, accents and case aside."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def canonical(word: str) -> str:
    """A word to compare by: folded, without a possessive 's, abbreviations written out."""
    folded = fold(word).replace("’", "'").removesuffix("'s")
    folded = _OVER.sub(lambda match: f"{match[1][0]}o{match[1][0]}", folded)
    return ABBREVIATIONS.get(folded, folded)


def tokens(text: str) -> tuple[Token, ...]:
    """All of a text but its blanks."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = TokenKind(match.lastgroup or "mark")
        written = match.group()
        if kind is TokenKind.QUOTED:
            written = written[1:-1]
        norm = canonical(written) if kind is TokenKind.WORD else written
        found.append(Token(kind, written, match.start(), match.end(), norm))
    return tuple(found)


_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_NAME_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|%")


@lru_cache(maxsize=4096)
def plain_words(name: str) -> tuple[str, ...]:
    """The words of a column name: `MDA_year` and `mdaYear` are (mda, year), `Pop. treated` is (population, treated)."""
    spaced = _HUMP.sub(" ", unicodedata.normalize("NFKC", name))
    return tuple(canonical(word) for word in _NAME_WORD.findall(spaced))


@lru_cache(maxsize=4096)
def forms(word: str) -> frozenset[str]:
    """A word and what it may be the plural of."""
    known = {word}
    if len(word) >= len("IUs") and word.endswith("s") and not word.endswith("ss"):
        known.add(ABBREVIATIONS.get(word[:-1], word[:-1]))
        if word.endswith("es"):
            known.add(word[:-2])
        if word.endswith("ies"):
            known.add(word[:-3] + "y")
        if word.endswith("ses"):
            known.add(word[:-2] + "is")
    if word.endswith("ing") and len(word) >= len("waiting"):
        known |= {word[:-3], word[:-3] + "e"}
    return frozenset(known)


def same_word(one: str, other: str) -> bool:
    """True for the same word, singular or plural."""
    return one == other or not forms(one).isdisjoint(forms(other))
