"""The English that is understood around the names of columns and values: terms that ask for something, and glue.

Nothing here decides what a question means. A term that a question holds narrows what a model may fill in (`schema`) and
has to be found again in the plan (`checks`); a word that is neither here nor in the tables is not understood.
"""

from __future__ import annotations

import re
from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


TERMS: Final = {
    # charts
    "stacked": r"stacked",
    "heatmap": r"heat ?maps?",
    "histogram": r"histograms?|distribution|distributed",
    "box": r"box ?(?:and whisker )?(?:plots?|charts?)|boxes|one box",
    "scatter": r"scatter(?: ?plots?| charts?)?|dot plot",
    "pie": r"pie(?: charts?)?",
    "horizontal": r"horizontal",
    "bar": r"bar ?(?:charts?|plots?|graphs?)|bars?|column charts?|epi(?:demic)? curve",
    "line": r"line (?:charts?|plots?|graphs?)|(?:one |a )?(?:lines?|curves?)|trends?|over time",
    "plot": r"plot(?:s|ted|ting)?|draw|charts?|graphs?|pictures?|visuali[sz]e",
    # whole tables
    "describe": r"descri(?:be|ption|ptive)|overview|summar(?:y|i[sz]e)|statistics",
    "dedupe": r"(?:remove|removing|drop|delete|get rid of|without|no|strip|throw out)\s+(?:\w+\s+){0,3}?"
    r"(?:duplicat\w+|dupes?|double entries|repeated rows)|dedup\w*|each row once",
    "duplicates": r"duplicat\w+|dupes?|more than once|(?:entered |there )?twice",
    "missing": r"missing|gaps?|blanks?|empty|nulls?|nans?|not (?:filled|known|recorded|given)|unknown",
    "distinct": r"distinct|unique|different",
    "correlation": r"correlat\w+",
    "pivot": r"pivot(?: table)?|cross-? ?tab\w*|(?:across|along) the top|down the side|as rows|as columns|"
    r"in the cells|side by side",
    "join": r"join(?:ed)?|merged?|combined?|matched?|look(?:ed)? up",
    # what is done after
    "running": r"running(?: totals?| sums?)?|cumulati\w+|cumulated|accumulated",
    "rolling": r"rolling|moving",
    "change": r"chang(?:e|es|ed)|grew|growth|difference from|year on year|month on month|over the previous",
    "rank": r"rank(?:s|ed|ing)?",
    # how many become one
    "count distinct": r"(?:number|count) of (?:different|distinct|unique)|how many (?:different|distinct|unique)|"
    r"only once",
    "count": r"how many|counts?(?: of)?|counting|(?:number|numbers|no\.?|nr\.?|nos\.?|#) of|frequenc(?:y|ies)|tally",
    "weighted": r"weight(?:ed|s|ing)?(?: by)?",
    "mean": r"means?|averages?|averaged|avg\.?|typical",
    "median": r"medians?",
    "std": r"standard deviations?|std\.?(?: dev\.?)?|stdev|sd",
    "percentile": r"\d+(?:st|nd|rd|th) percentiles?|percentiles?|quartiles?|quantiles?|p(?:10|25|75|90|95|99)\b",
    "sum": r"totals?|totalled|sums?|summed|overall|altogether|in all|add(?:ed)? up",
    # order
    "descending": r"descending|decreasing|(?:highest|largest|biggest|longest|most|latest|newest|oldest|top|best) first|"
    r"(?:from )?(?:high|large|big|long)(?:e?st)? to (?:low|small|short)(?:e?st)?",
    "ascending": r"ascending|increasing order|alphabetical(?:ly)?|"
    r"(?:lowest|smallest|shortest|fewest|least|earliest|youngest) first|"
    r"(?:from )?(?:low|small|short)(?:e?st)? to (?:high|large|big|long)(?:e?st)?",
    "sorted": r"sort(?:ed)?(?: by)?|order(?:ed)?(?: by)?|in order of",
    "comparison least": r"at least|(?:no|not) (?:less|fewer) than|minimum of|"
    r"or (?:more|above|over|older|higher|later)",
    "comparison most": r"at most|(?:no|not) more than|up to|maximum of|or (?:less|fewer|below|under|younger|earlier)",
    "comparison more": r"(?:more|greater|higher|larger|bigger|longer|older|later) than|above|over|exceed(?:s|ing)?",
    "comparison less": r"(?:less|fewer|lower|smaller|shorter|younger|earlier) than|below|under",
    "between": r"between",
    "percent top": r"(?:top|highest|most expensive|largest|bottom|lowest) \d+(?:\.\d+)? ?(?:%|percent)",
    "high": r"high(?:est)?|max(?:imum|ima)?|larg(?:est)?|biggest|longest|most|top|greatest|oldest|maximal|"
    r"(?:most )?expensive",
    "low": r"low(?:est)?|min(?:imum|ima)?|smallest|shortest|fewest|least|bottom|youngest|cheapest|minimal",
    "judged": r"worst|best",
    "head": r"first(?= \d+| (?:two|three|four|five|six|ten|twenty) )|last(?= \d+ | (?:two|three|five|ten) )",
    "by age": r"child(?:ren)?|adults?|minors?|infants?|elderly|teenagers?",
    # shares and rates
    "per number": r"per \d[\d,. ]*(?:k\b|thousand|million)?|per (?:hundred|thousand|million)",
    "share": r"shares?|percent(?:age)?s?|%|proportions?|fractions?|per cent|how much of|what part",
    "rate": r"rates?|ratios?|divided by",
    # arithmetic
    "days between": r"(?:delay|days|time|lag|interval|duration)s?(?: in days)? (?:between|from|since)|after they",
    "product": r"multipl\w+(?: by)?|times|product",
    "minus": r"minus|subtract\w*|difference(?: between)?",
    "plus": r"plus",
    "bands": r"(?:age )?(?:groups|bands|brackets|classes)(?= ?:| of| \d)|age groups?",
    # time
    "before": r"before|earlier than|prior to",
    "after": r"after|later than",
    "since": r"since|from(?= \d{4}| (?:january|february|march|april|may|june|july|august|september|october|november|"
    r"december)| \d{1,2} [a-z]+ \d{4})|onwards?",
    "until": r"until|till|through|up to and including",
    "latest": r"latest|most recent|newest",
    "earliest": r"earliest",
    "weekday": r"weekdays?|days? of the week",
    "year": r"years?|yearly|annual(?:ly)?|per annum",
    "quarter": r"quarters?|quarterly",
    "month": r"months?|monthly",
    "week": r"weeks?|weekly",
    "hour": r"hours?|hourly|time of day",
    "day": r"days?|daily",
    # texts
    "starts": r"(?:start|begin)(?:s|ning|ing)? with",
    "ends": r"end(?:s|ing)? (?:with|in)",
    "contains": r"contain(?:s|ing)?|mention(?:s|ing|ed)?|in the name|in their name|includ(?:es|ing) the word",
    # what is not wanted
    "not": r"not|no|don'?t|doesn'?t|didn'?t|isn'?t|aren'?t|without|except(?: for)?|excluding|exclude|leav(?:e|ing) out|"
    r"other than|apart from|but no|nor|ignor(?:e|ing)|skip(?:ping)?|omit(?:ting)?|drop(?:ping)?|remov(?:e|ing)",
    "or": r"or|either",
    "second": r"second|third|fourth|2nd|3rd",
}
"""Name → what is written for it. Longer terms come before shorter ones that are part of them."""

UNIT_TERMS: Final = ("year", "quarter", "month", "week", "weekday", "day", "hour")

GLUE: Final = words(
    """
    a an the and but then also of for by per in on to from with as is are was were be been being it its it's
    this that these those there here they them their all each every any whole entire only just me my mine i i'd
    i'm we us our you your can could should would will shall may might must please pls plz want wants wanted
    need needs like give gives show shows get gets make makes create produce compute calculate calculated work
    out find tell list lists listed table tables file files column columns row rows record records entry entries
    data dataset value values number numbers result results save saves saved saving store stored write written
    export exported output bin bins put call called name named names into up down at so if when where what which
    who whose how do does did done has have had keep kept take takes use using used based one ones against
    versus vs vs. across cell cells head heads axis axes dot dots point points colour color label labels legend
    new add adds adding format csv excel xlsx excell spreadsheet workbook json parquet png svg pdf html markdown
    page tsv within among during both same more less many much lot lots while ok okay now together separately
    again still even too very let let's go goes see look hey hi hello thanks thank thx cheers dear kindly x y z
    first last next previous group groups grouped split broken breakdown break according everything everybody
    everyone overview figures figure amount amounts level levels set sets whom convert turn converted that's
    there's whats what's count counted inclusive including include included compared comparison compare than
    some few got came come comes made true lies lie located held holds hold shown display print report reported
    e.g i.e nb via onto off read reads word words say said kind type types sort thing things form answer answers
    question questions separate time times long strongly far length beware mind messy live lives living evolve
    evolving evolved euro euros eur dollar dollars usd minute minutes mins min kg km reports really actually
    exactly basically simply quick quickly brief briefly asked asking asks ask task job know knows known
    interested interest wondering wonder always ever sure regarding concerning about data's file's sheet another
    single multiple several various respective respectively his her he she old years' back went
    """
)
"""Words that say nothing about what is asked for."""
ROW_NOUNS: Final = words("rows row records record entries entry lines observations observation items")
"""What a row of any table may be called; else it is called as the table, or a column, is: a visit, a case."""
PERSONS: Final = words("patients patient people persons person individuals individual everyone everybody respondents")
"""What a row is called in a table of persons, which has a column of ages or sexes."""

FORMATS: Final = {
    ".xlsx": r"excell?|spreadsheet|workbook|xlsx",
    ".json": r"json",
    ".parquet": r"parquet",
    ".md": r"markdown|md",
    ".html": r"html|web ?page",
    ".tsv": r"tsv|tab[- ]separated",
    ".csv": r"csv",
    ".png": r"png",
    ".svg": r"svg",
    ".pdf": r"pdf",
}

SYNONYMS: Final = {
    "inhabitants": "population", "persons": "population",
    "people": "population", "residents": "population", "gender": "sex", "sex": "gender",
    "older": "age", "oldest": "age", "youngest": "age", "younger": "age", "aged": "age", "old": "age",
    "expensive": "cost", "cheapest": "cost", "deaths": "died", "survived": "recovered",
}  # fmt: skip
"""Words of questions → words of columns and values, where no column has the word itself."""
WOMEN: Final = (words("women woman female females girls girl"), words("f w female woman"))
MEN: Final = (words("men man male males boys boy"), words("m male man"))

_COUNTED: Final = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
NUMBER_WORDS: Final = {word: number for number, word in enumerate(re.split(" ", _COUNTED))} | {
    "dozen": 12,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "hundred": 100,
    "thousand": 1000,
}
SCALES: Final = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "mio": 1e6, "bn": 1e9, "billion": 1e9}
MONTHS: Final = tuple(
    re.split(" ", "january february march april may june july august september october november december")
)


def stem(word: str) -> str:
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
