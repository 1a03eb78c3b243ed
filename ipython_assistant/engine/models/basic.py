"""Answers without a model: about ten forms of sentences, listed in docs/who_answers.md, and nothing else.

    describe T | missing values [of Y] | duplicates | different X
    mean|sum|median|min|max|count of Y per X [where C]      top N X by Y
    plot|line|bar chart of Y by X [for V] [per Z]           histogram|box plot of Y [per X]     scatter Y against X
    correlation of X and Y                                  rows where C                        … as FILE

Order, articles, plural and case do not matter much, and every form may choose rows (`where`, `for`, `in`, `without`),
order them and name a file. A sentence fills the same plan that a model fills, and passes the same checks: where a word
is not understood, or a column or number would go unused, the answer is these forms with the user's own columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import Refuse, Run, Say
from ipython_assistant.engine.models.forms import plan_of
from ipython_assistant.engine.models.plan.checks import unknown_words
from ipython_assistant.engine.models.plan.plan import PlanError
from ipython_assistant.engine.models.plan.reader import (
    PlanQuestion,
    Refusal,
    checked_program,
    parts_of,
    question_of,
    unreadable,
)
from ipython_assistant.engine.models.plan.words import Program, closing, opening
from ipython_assistant.engine.models.python_code import Script, fenced
from ipython_assistant.engine.models.safe_markdown import bold, inline_code
from ipython_assistant.engine.models.table_profiles import profiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Step
    from ipython_assistant.engine.models.table_profiles import TableProfile

REAL_MODEL: Final = (
    "No model was used. A model reads any question: set `OPENAI_API_KEY`, start Ollama or LM Studio, or run "
    "`ipython-assistant model get`; `%assistant doctor` shows what is there."
)
MAX_KEY_VALUES: Final = 60
"""Different values of a column that is offered to group by."""


class Basic:
    """The engine's answers without a model: it runs Python as given, answers the forms, and refuses all else."""

    name = "basic"

    def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        """Run the fenced Python of the question as it is, answer its forms, or show them."""
        return (self._forms if fenced(ask.prompt) is None else Script().answer)(ask, interpreter)

    async def _forms(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
        found = await self.read(ask, interpreter)
        if isinstance(found, Refusal):
            yield Refuse(_refused(found))
            return
        async for step in carry_out(found, interpreter):
            yield step

    async def read(self, ask: Ask, interpreter: Interpreter) -> list[Program] | Refusal:
        """The programs that answer a question, or why there are none. Raises `RuntimeError` where the kernel fails."""
        tables = await profiled(interpreter, ask.files, ask.prompt)
        readable = [table for table in tables if not table.problem]
        if not readable:
            return unreadable(tables)
        programs: list[Program] = []
        for part in parts_of(ask.prompt, readable):
            made = {one.plan.file for one in programs}
            outcome = _filled(question_of(part, ask, readable, made), {*ask.files, *made})
            if isinstance(outcome, Refusal):
                return outcome
            programs.append(outcome)
        return programs


async def carry_out(programs: Sequence[Program], interpreter: Interpreter) -> AsyncGenerator[Step, None]:
    """The steps of an answer by these programs: how each was read, its code, and what came of it."""
    for number, program in enumerate(programs):
        # Without a code call between them, two texts are one message.
        yield Say(("\n\n" if number else "") + opening(program))
        yield (run := Run(program.code))
        yield Say(await closing(program, run.outcome, interpreter))


def _filled(question: PlanQuestion, taken: set[str]) -> Program | Refusal:
    """The program of one sentence, if it is one of the forms."""
    if unknown := unknown_words(question.mentions):
        return Refusal(unknown, question.tables)
    wanted = [one.columns for one in question.mentions.of("column", "value") if one.columns]
    fitting = [table for table in question.tables if all(any(map(table.find, names)) for names in wanted)]
    if len(question.tables) > 1 and wanted and len(fitting) == 1 and "count" not in question.mentions.terms:
        question = replace(question, tables=tuple(fitting))
    if len(question.tables) > 1:
        return Refusal(("Which table is meant? Name its file in the sentence.",), question.tables)
    try:
        return checked_program(plan_of(question), question, taken)
    except PlanError as error:
        return Refusal((str(error),), question.tables)


def _refused(refusal: Refusal) -> str:
    """Why it was not understood, and the forms with the columns of these tables."""
    parts = [f"I did not understand this. {' '.join(refusal.reasons)}"]
    for table in [table for table in refusal.tables if not table.problem][:2]:
        examples = "\n".join(f"- {inline_code(form)}" for form in forms_for(table))
        parts.append(f"What works with {bold(table.name)}:\n\n{examples}")
    return "\n\n".join([*parts, REAL_MODEL])


def forms_for(table: TableProfile) -> list[str]:
    """The forms, filled in with columns of a table; each of them is answered."""
    numbers = [one for one in table.columns if one.kind == "number" and not one.code]
    keys = [one for one in table.columns if one.kind == "text" and 1 < one.distinct <= MAX_KEY_VALUES and not one.doubt]
    dates = [one for one in table.columns if one.kind in {"date", "year"}]
    found = ["Describe the table", "Missing values"]
    if keys:
        found += [
            f"Count rows per {keys[0].name}",
            *(f"Rows where {keys[0].name} is {value}" for value in keys[0].values[:1]),
        ]
    if numbers:
        y = numbers[0].name
        found += [f"Rows where {y} is over {numbers[0].low:g}", f"Histogram of {y}"]
        found += [f"Mean {y} by {dates[0].name}, saved as mean.csv"] if dates else []
        found += [f"Plot {y} by {dates[0].name} per {keys[0].name}"] if dates and keys else []
        found += [f"Mean {y} per {keys[0].name} as mean.csv", f"Top 3 {keys[0].name} by mean {y}"] if keys else []
        found += [f"Scatter {y} against {numbers[1].name}"] if len(numbers) > 1 else []
    return found
