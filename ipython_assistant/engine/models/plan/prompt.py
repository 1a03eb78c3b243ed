"""What a model is told: the same instructions and examples for every question, then this question.

Servers keep what a prompt shares with the one before, so everything that never changes comes first. No cell of a table
is in it: columns by name and kind, and those words of the question that are values of a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.mentions import Mentions
    from ipython_assistant.engine.models.plan.tables import TableProfile

SYSTEM: Final = """\
You turn one question about tables into a plan (JSON). Only what the question asks goes into the plan.
output: table, pivot, describe (every column), missing (missing values per column), duplicates, without duplicates,
distinct, correlation, or the chart asked for.
filters: which rows count, by column; {} keeps all.
group_by: one result row, or one place on the x axis, for each value; "date by month" groups dates by month; [] means no
groups. across: column heads of a pivot, or one line or colour for each value.
measures: "count" of "rows" counts rows; "as it is" where the question does not say how; [] lists the rows themselves.
"percent that fit": how many percent of the rows fit "part". "ratio": column divided by "by".
then: share, change, running total of the measure. sort, limit: order, and how many rows to keep.
If no plan answers the question: {"cannot": reason}."""

_HOTEL: Final = (
    "stays.csv: booked_on (date), hotel (text), room (text), breakfast (yes/no), nights (number), price (number), "
    "stars (number)"
)
_SHOTS: Final = """\
Mean and highest price by room type, as prices.csv
{"output":"table","filters":{},"group_by":["room"],
"measures":[{"agg":"mean","column":"price"},{"agg":"max","column":"price"}]}

which 5 hotels had the most nights in suites?
{"output":"table","filters":{"room":{"op":"in","value":["suites"]}},"group_by":["hotel"],
"measures":[{"agg":"as it is","column":"nights"}],"sort":{"by":"measure","order":"descending"},"limit":5}

stays at Fjord or Mole with 3 to 7 nights
{"output":"table","filters":{"hotel":{"op":"in","value":["Fjord","Mole"]},
"nights":{"op":"between","value":[3,7]}},"group_by":[],"measures":[]}

Draw the monthly number of bookings, one line per hotel, without Anker (b.png)
{"output":"line","filters":{"hotel":{"op":"not in","value":["Anker"]}},
"group_by":["booked_on by month"],"measures":[{"agg":"count","column":"rows"}],"across":"hotel"}

plot the price over time for each hotel
{"output":"line","filters":{},"group_by":["booked_on"],
"measures":[{"agg":"as it is","column":"price"}],"across":"hotel"}

longest 10 stays
{"output":"table","filters":{},"group_by":[],"measures":[],"sort":{"by":"nights","order":"descending"},"limit":10}

revenue = nights * price, total per hotel, biggest first
{"output":"table","filters":{},"new_columns":[{"name":"revenue","left":"nights","op":"*","right":"price"}],
"group_by":["hotel"],"measures":[{"agg":"sum","column":"revenue"}],"sort":{"by":"measure","order":"descending"}}

scatter nights against price
{"output":"scatter","filters":{},"x":"price","y":"nights"}

pivot: hotels down, rooms across, median price
{"output":"pivot","filters":{},"group_by":["hotel"],"across":"room","measures":[{"agg":"median","column":"price"}]}

how many missing values per column?
{"output":"missing","filters":{}}

stays where the price is missing
{"output":"table","filters":{"price":{"op":"is missing","value":[]}},"group_by":[],"measures":[]}

describe the table
{"output":"describe","filters":{}}

how many stays had breakfast in 2023?
{"output":"table","filters":{"booked_on":{"op":"in","value":["2023"]},
"breakfast":{"op":"is","value":["yes"]}},"group_by":[],"measures":[{"agg":"count","column":"rows"}]}

what percentage of the stays had breakfast, by hotel
{"output":"table","filters":{},"group_by":["hotel"],"measures":[{"agg":"percent that fit","column":"rows",
"part":{"column":"breakfast","op":"is","value":["yes"]}}]}

each room's share of all nights
{"output":"table","filters":{},"group_by":["room"],"measures":[{"agg":"as it is","column":"nights"}],
"then":"percent of total"}

running total of nights by month since 2023-02-01
{"output":"table","filters":{"booked_on":{"op":"since","value":["2023-02-01"]}},
"group_by":["booked_on by month"],"measures":[{"agg":"as it is","column":"nights"}],"then":"running total"}

predict next year's nights
{"cannot":"needs statistics, forecasting or several steps"}"""
"""Questions about a table of hotel stays, each followed by its plan."""


def messages(
    mentions: Mentions, tables: Sequence[TableProfile], earlier: Sequence[tuple[str, str]] = ()
) -> list[dict[str, Any]]:
    """The conversation a model is sent.

    Args:
        mentions: What the question names.
        tables: The tables it may be about.
        earlier: Questions that came before, each with the model's plan that answered it.
    """
    said: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    for at, shot in enumerate(_SHOTS.split("\n\n")):
        asked, _, answered = shot.partition("\n")
        told = f"{_HOTEL}\nQuestion: {asked}" if at == 0 else f"Question: {asked}"
        said += [{"role": "user", "content": told}, {"role": "assistant", "content": answered.replace("\n", "")}]
    heading = "Now other tables.\n" + "\n".join(described(table, mentions) for table in tables) + "\n"
    for question, written in earlier:
        asked = f"{heading}Question: {question}"
        said += [{"role": "user", "content": asked}, {"role": "assistant", "content": written}]
        heading = ""
    return [*said, {"role": "user", "content": f"{heading}Question: {mentions.prompt.strip()}"}]


def described(table: TableProfile, mentions: Mentions) -> str:
    """A table's name, and the columns that the question may mean with their kinds and the values it names."""
    named = set(mentions.columns)
    shown = [column for column in table.columns if column.name in named or column.kind in {"date", "year"}]
    parts = []
    for column in shown or table.columns[:12]:
        values = list(mentions.values_of(column.name))
        parts.append(f"{column.name} ({column.kind}{': ' + ', '.join(values) if values else ''})")
    return f"{table.name}: {', '.join(parts)}"
