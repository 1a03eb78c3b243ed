"""The words the analyst knows, by what they do. A word in none of these that names nothing in a table is a refusal.

All are compared after `lexing.canonical`: folded, abbreviations written out.
"""

from __future__ import annotations

from typing import Final

from ipython_assistant.engine.models.analyst.lexing import words
from ipython_assistant.engine.models.analyst.plan import How, Sign

IDLE: Final = words(
    # articles and pointers: which thing is meant is said by the noun that follows
    "a an the this these my our",
    # politeness and asking: they ask for what the rest of the sentence says
    "please kindly thanks thank hi hello i we you me us want need like would could can will let let's",
    # forms of "to be" and "to have": they tie a name to what is said of it
    "is are was were be been has have had",
    # small joints: what they join has to be understood on its own
    "and also of for in on at from with to it's that where when who whose there which what",
    # words that soften or join, and say nothing of what is wanted
    "just simply quickly quick nice nicely ok okay so actually basically too along both know tell here",
    "here's there's i'd i'll we'd you'd what's does did respectively someone us us' im i'm interested ask",
    "hence thus therefore btw asap pls plz ty cheers using use based according possible",
)
"""Words that may be left over, for nothing in them changes what is asked for: no noun, no number, no `not`."""
IDLE_NOUNS: Final = words("value values data dataset column columns")
"""The object spoken of as such. May be left over too, but may also name a column."""

CHART_VERBS: Final = words("plot draw chart graph visualise visualize")
CHART_NOUNS: Final = words("plot plots chart charts graph graphs figure picture diagram image")
LINE: Final = words("line lines curve curves")
BAR: Final = words("bar bars barchart barplot")
STACKED: Final = words("stacked")
HIST: Final = words("histogram histograms hist")
BOX: Final = words("boxplot boxplots boxes")
SCATTER: Final = words("scatter scatterplot scattergram")
HEAT: Final = words("heatmap heatmaps heat")
CHART_KINDS: Final = STACKED | HIST | BOX | SCATTER | HEAT | words("box map linechart lineplot")
LIST_VERBS: Final = words("list show give display print filter keep select extract get find see return pull view")
MAKE_VERBS: Final = words(
    "make create produce compute calculate tabulate build generate do showing displaying work calc determine report"
)
DESCRIBE_WORDS: Final = words("describe summarise summarize overview summary profile")
SAVE_VERBS: Final = words("save export write store download output convert turn put dump")
ACTIONS: Final = CHART_VERBS | LIST_VERBS | MAKE_VERBS | SAVE_VERBS | words("describe summarise summarize count")
"""A word that begins a new clause after `and`, `then` or a full stop."""

ASKING: Final = words("histogram boxplot scatter heatmap correlation add how which what top bottom")
"""Words that say that something is asked for, though they begin no clause by themselves."""

OUTCOME_NOUNS: Final = words("it that this them those these result results outcome points numbers")
"""What a clause saves when it saves what the clause before made."""
NAMING: Final = words("as to into in under called named")
"""What stands before a file name."""
TABLE_NOUNS: Final = words(
    "row rows record records entry entries observation observations table tables data dataset file spreadsheet sheet "
    "csv"
)
ROW_NOUNS: Final = words("row rows record records entry entries observation observations")
PERSONS: Final = words("people persons patients individuals everyone everybody subjects participants")
YOUNG: Final = words("children kids adults girls boys minors adolescents teenagers infants seniors elders")
SEXES: Final = words("women woman female females men man male males")
"""What people are called by their age and sex: never a part of a phrase that says nothing."""
VISITS: Final = words("visits admissions tests encounters appointments stays consultations samples")
"""Rows of which one person may have several: these are not counted as persons."""
NOUNS: Final = CHART_NOUNS | LINE | BAR | TABLE_NOUNS | IDLE_NOUNS | OUTCOME_NOUNS | words("mean total sum file csv")
"""What an article may stand before, besides columns and values."""

HOWS: Final = {
    "mean": How.MEAN, "means": How.MEAN, "average": How.MEAN, "averages": How.MEAN,
    "sum": How.SUM, "sums": How.SUM, "total": How.SUM, "totals": How.SUM,
    "median": How.MEDIAN, "medians": How.MEDIAN,
    "min": How.MIN, "lowest": How.MIN, "smallest": How.MIN,
    "max": How.MAX, "highest": How.MAX, "largest": How.MAX, "greatest": How.MAX, "peak": How.MAX,
    "std": How.STD, "stdev": How.STD, "sd": How.STD,
}  # fmt: skip
TOP_WORDS: Final = {"top": True, "bottom": False}
JUDGEMENTS: Final = words("best worst")
EXTREMES: Final = {
    "longest": True, "shortest": False,
    "highest": True, "largest": True, "biggest": True, "greatest": True, "most": True, "maximum": True, "max": True,
    "lowest": False, "smallest": False, "fewest": False, "least": False, "min": False, "minimum": False,
}  # fmt: skip
GOOD: Final = words(
    "coverage score rating sales revenue profit accuracy yield efficacy uptake margin satisfaction income attendance "
    "turnover grade grades treated vaccinated recovered efficiency pass success survival cure retention completion "
    "literacy enrolment enrollment"
)
BAD: Final = words(
    "death deaths mortality case cases error errors delay delays cost costs defect defects complaint complaints "
    "incidence prevalence dropout missing loss losses crime crimes accident accidents pollution fatalities injuries "
    "fail failure dead unemployment poverty nitrate pm25 waiting wait churn downtime infections infected"
)
"""Words of columns of which much is good, or bad: what "best" and "worst" mean there."""


COMPARISONS: Final = {
    ("at", "least"): Sign.AT_LEAST, ("no", "less", "than"): Sign.AT_LEAST, ("not", "less", "than"): Sign.AT_LEAST,
    ("not", "below"): Sign.AT_LEAST, ("not", "under"): Sign.AT_LEAST, (">=",): Sign.AT_LEAST, ("≥",): Sign.AT_LEAST,
    ("at", "most"): Sign.AT_MOST, ("no", "more", "than"): Sign.AT_MOST, ("not", "more", "than"): Sign.AT_MOST,
    ("not", "above"): Sign.AT_MOST, ("not", "over"): Sign.AT_MOST, ("up", "to"): Sign.AT_MOST,
    ("<=",): Sign.AT_MOST, ("≤",): Sign.AT_MOST,
    ("under",): Sign.LESS, ("below",): Sign.LESS, ("less", "than"): Sign.LESS, ("lower", "than"): Sign.LESS,
    ("fewer", "than"): Sign.LESS, ("smaller", "than"): Sign.LESS, ("<",): Sign.LESS,
    ("over",): Sign.MORE, ("above",): Sign.MORE, ("more", "than"): Sign.MORE, ("greater", "than"): Sign.MORE,
    ("higher", "than"): Sign.MORE, ("larger", "than"): Sign.MORE, ("exceeding",): Sign.MORE, (">",): Sign.MORE,
    ("exactly",): Sign.EQUAL, ("equal", "to"): Sign.EQUAL, ("equals",): Sign.EQUAL, ("=",): Sign.EQUAL,
    ("==",): Sign.EQUAL, ("!=",): Sign.OTHER, ("≠",): Sign.OTHER, ("<>",): Sign.OTHER,
    ("not", "equal", "to"): Sign.OTHER,
    ("not", "exactly"): Sign.OTHER,
    ("bigger", "than"): Sign.MORE, ("beyond",): Sign.MORE, ("exceeds",): Sign.MORE, ("exceed",): Sign.MORE,
    ("exceeded",): Sign.MORE, ("beneath",): Sign.LESS,
    ("greater", "than", "or", "equal", "to"): Sign.AT_LEAST, ("less", "than", "or", "equal", "to"): Sign.AT_MOST,
}  # fmt: skip
TIME_BOUNDS: Final = {
    ("since",): Sign.AT_LEAST, ("later", "than"): Sign.MORE, ("earlier", "than"): Sign.LESS,
    ("starting", "in"): Sign.AT_LEAST, ("starting", "from"): Sign.AT_LEAST,
    ("after",): Sign.MORE, ("before",): Sign.LESS, ("prior", "to"): Sign.LESS,
    ("until",): Sign.AT_MOST, ("till",): Sign.AT_MOST, ("through",): Sign.AT_MOST, ("up", "to"): Sign.AT_MOST,
}  # fmt: skip
"""Those that need a year or a date after them. `by 2020` and a bare `from 2020` have two readings and are left out."""
ONWARDS: Final = words("onwards onward")
RANGE_JOINTS: Final = words("to until till through and")
DASHES: Final = frozenset("-–—")

PER: Final = (
    ("at", "each", "of"), ("at", "each"), ("in", "each", "of"), ("separately", "for", "each"), ("for", "each"),
    ("for", "every"), ("in", "each"), ("in", "every"), ("of", "each"), ("grouped", "by"),
    ("group", "by"), ("aggregated", "by"), ("broken", "down", "by"), ("split", "by"), ("by",), ("per",), ("each",),
    ("every",), ("over", "the"), ("over",), ("versus",), ("vs",), ("against",), ("within", "each"),
    ("for", "each", "of"), ("aggregate", "by"), ("grouping", "by"), ("summed", "by"), ("averaged", "by"),
    ("averaged", "per"), ("summed", "per"), ("by", "each"), ("per", "each"), ("broken", "out", "by"),
    ("separately", "for"),
    ("separately", "by"), ("breakdown", "by"),
)  # fmt: skip
"""What stands before the column that makes groups or the axis. `across districts` has two readings and is left out."""
SERIES: Final = (("split", "by"), ("broken", "down", "by"), ("coloured", "by"), ("colored", "by"), ("separated", "by"))
VERSUS: Final = words("versus vs against")
"""Those of them that may set two columns or values against each other instead."""
EXCEPT: Final = (
    ("except", "for"), ("except",), ("excluding",), ("without",), ("other", "than"), ("apart", "from"), ("but", "not"),
    ("not", "in"), ("not", "for"), ("not",), ("leave", "out"), ("leaving", "out"), ("exclude",), ("omit",),
    ("omitting",), ("ignore",), ("ignoring",), ("not", "counting"), ("not", "including"), ("but", "without"), ("drop",),
    ("remove",), ("disregard",), ("disregarding",),
)  # fmt: skip
TIES: Final = words("for in of at from within where with only when whose is are was were be equals = == : during")
"""What may stand between a noun and the value, year or comparison said of it."""

NUMBER_WORDS: Final = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "fifteen": 15, "twenty": 20,
}  # fmt: skip
HARMLESS_MARKS: Final = frozenset(",.:;!?()[]–—'\"`’&")
"""Punctuation that says nothing by itself. A slash, a plus or a spaced hyphen may be arithmetic."""
NOT_SLIPS: Final = frozenset(
    {("country", "county"), ("injected", "infected"), ("affected", "effected"), ("expected", "excepted")}
)
"""Words one letter apart that are both meant."""
MISSPELT: Final = words(
    "average averages median maximum minimum highest lowest largest smallest histogram scatter correlation duplicate",
    "duplicates missing column columns describe summary between records running cumulative percentage monthly weekly",
    "quarterly yearly number sorted descending ascending chart",
)
"""Words of the grammar that a slip of the pen is taken for; shorter or rarer ones are too often both words."""
FILE_FORMATS: Final = {
    "csv": ".csv", "tsv": ".tsv", "excel": ".xlsx", "xlsx": ".xlsx", "spreadsheet": ".xlsx", "json": ".json",
    "jsonl": ".jsonl", "parquet": ".parquet", "markdown": ".md", "md": ".md", "html": ".html", "xls": "", "pdf": "",
    "latex": "", "word": "", "powerpoint": "", "xml": "", "sqlite": "", "feather": "", "stata": "", "spss": "",
}  # fmt: skip
"""Kinds of file and the ending each is written with; empty for those that are not written."""

KNOWN: Final = (
    IDLE | IDLE_NOUNS | CHART_VERBS | CHART_NOUNS | LINE | BAR | LIST_VERBS | MAKE_VERBS | DESCRIBE_WORDS | SAVE_VERBS
    | ACTIONS | OUTCOME_NOUNS | TABLE_NOUNS | ROW_NOUNS | frozenset(HOWS) | frozenset(TOP_WORDS) | frozenset(EXTREMES)
    | ONWARDS | RANGE_JOINTS | TIES | frozenset(NUMBER_WORDS) | frozenset(FILE_FORMATS) | CHART_KINDS | JUDGEMENTS
    | frozenset(word for phrase in (*COMPARISONS, *TIME_BOUNDS, *PER, *SERIES, *EXCEPT) for word in phrase)
    | words("as into under called named then trend trends time series separate or many how number")
    | words("between only what all everything sort sorted order ordered rank ranked descending ascending desc asc")
    | words("missing blank empty null duplicate duplicates duplicated distinct different unique change growth")
    | words("share proportion percentage running cumulative pivot correlation correlations correlate distribution")
    | words("first last join merge joined merged common frequent daily weekly monthly quarterly yearly annual")
    | words("annually minus plus times divided multiplied ratio difference contains containing starting ending")
)  # fmt: skip
"""Every word a rule looks for: none of them is taken for a part of a column name, or for a slip of the pen."""
