"""The analyst: answers without a model, by a grammar over the columns of the uploaded tables.

A prompt is read into typed plans (`reading`), settled by counting rows (`rehearsal`), written as plain pandas
(`pandas_code`), run, and reported from what was read back (`answer`). What cannot be read as a whole is refused
(`refusal`). Tables are only ever looked at in the container: this process never imports pandas.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models import Refuse, Run, Say
from ipython_assistant.engine.models.analyst import refusal
from ipython_assistant.engine.models.analyst.answer import HEAD_ROWS, OVERVIEW_ROWS, Findings, closing, opening
from ipython_assistant.engine.models.analyst.code_load import load
from ipython_assistant.engine.models.analyst.code_write import NEEDS
from ipython_assistant.engine.models.analyst.counts import Counts, counts_from
from ipython_assistant.engine.models.analyst.naming import Names
from ipython_assistant.engine.models.analyst.pandas_code import IMPORT, program, section
from ipython_assistant.engine.models.analyst.plan import PICTURED, Chart, Plan
from ipython_assistant.engine.models.analyst.reading import NotUnderstood, read
from ipython_assistant.engine.models.analyst.rehearsal import request, settled
from ipython_assistant.engine.models.analyst.tables import READABLE, table_from
from ipython_assistant.engine.models.analyst.told import told
from ipython_assistant.engine.models.markdown import code as code_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Ran, Step
    from ipython_assistant.engine.models.analyst.tables import Table
    from ipython_assistant.engine.models.analyst.told import Told


class Analyst:
    """The engine's default: no model, no key, no network; it does what it says it understood, or refuses."""

    name = "analyst"

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, Ran | None]:
        """Say the plan, run its code, say what came out; or refuse.

        Raises:
            RuntimeError: The container's kernel could not look at the tables.
        """
        readable = [path for path in ask.files if path.lower().endswith(READABLE)]
        found = [table_from(one) for one in await _call(interpreter, "survey", readable)] if readable else []
        tables, unread = [one for one in found if not one.problem], [one for one in found if one.problem]
        if not tables:
            yield Refuse(refusal.no_table(unread, [path for path in ask.files if path not in readable]))
            return
        said = told(ask.instructions, ask.files)
        own = _made_before(ask, said)
        names = Names(frozenset(ask.files), own, said.wanted)
        for likely in _likely(tables, ask, said, own):
            reading = read(ask.prompt, likely, names)
            if not isinstance(reading, NotUnderstood) or reading.ambiguous:
                break
        if isinstance(reading, NotUnderstood):
            yield Refuse(refusal.refusal(reading, tables, unread))
            return
        if lacking := await _lacking(interpreter, reading.plans):
            yield Refuse(refusal.impossible([lacking], tables, unread))
            return
        try:
            counts = await _counts(interpreter, reading.plans)
        except RuntimeError as error:
            why = f"The rows could not be read: {code_of(str(error))}."
            yield Refuse(refusal.impossible([why], tables, unread))
            return
        outcome = [settled(plan, count) for plan, count in zip(reading.plans, counts, strict=True)]
        plans = [plan for plan in outcome if isinstance(plan, Plan)]
        if len(plans) < len(outcome):
            yield Refuse(refusal.impossible([why for why in outcome if isinstance(why, str)], tables, unread))
            return
        for piece in opening(plans):
            yield Say(piece)
        ran = yield Run(program(plans))
        if ran is None:
            raise RuntimeError("A run was asked for and its outcome did not come back.")
        findings = [await _findings(interpreter, plan, ran) for plan in plans]
        yield Say(closing(plans, counts, findings, ran))


def _likely(tables: list[Table], ask: Ask, said: Told, own: frozenset[str]) -> list[list[Table]]:
    """The tables a question may be about, likeliest first: what came with it, what was uploaded, all there are."""
    uploaded = [table for table in tables if table.name not in own]
    new = [table for table in uploaded if table.name in (said.named or ask.new)]
    narrowing = [choice for choice in (new, uploaded, tables) if choice]
    return [choice for number, choice in enumerate(narrowing) if choice not in narrowing[:number]]


def _made_before(ask: Ask, said: Told) -> frozenset[str]:
    """The files that earlier answers of the conversation made: a table that was uploaded is meant before these."""
    answers = (one.text for one in ask.history if one.role == "assistant")
    linked = {name for text in answers for name in _LINKED.findall(text)}
    return frozenset({*linked, *said.made} - {*said.named, *said.others})


_LINKED: Final = re.compile(r"\(sandbox:/mnt/data/([^)/]+)\)")


async def _lacking(interpreter: Interpreter, plans: Sequence[Plan]) -> str:
    """Why a file cannot be written here, as a sentence: pandas needs a package for it that is not installed."""
    needed = {package: ending for ending, package in NEEDS.items() for plan in plans if plan.save.endswith(ending)}
    for package in await _call(interpreter, "missing_packages", sorted(needed)) if needed else []:
        install = code_of(f"pip install {package}")
        return f"Writing {needed[package]} files needs {code_of(package)}: install it with {install}."
    return ""


async def _counts(interpreter: Interpreter, plans: Sequence[Plan]) -> list[Counts]:
    requests = [request(plan, section(plan).select) for plan in plans]
    return [
        counts_from(one)
        for one in await _call(interpreter, "counts", f"{IMPORT}\n{load(plans[0].table, plans)}", requests)
    ]


async def _findings(interpreter: Interpreter, plan: Plan, ran: Ran) -> Findings:
    """What is in the files a plan wrote; nothing if the code failed, since the answer is then about that."""
    if ran.error:
        return Findings()
    try:
        return await _read_back(interpreter, plan, ran)
    except RuntimeError as error:
        return Findings(problem=str(error))


async def _read_back(interpreter: Interpreter, plan: Plan, ran: Ran) -> Findings:
    head = (
        await _call(interpreter, "glance", plan.save, max(HEAD_ROWS, OVERVIEW_ROWS)) if plan.save in ran.files else None
    )
    points = None
    if isinstance(plan.task, PICTURED):
        part = section(plan)
        code = "\n".join([part.select, part.compute])
        points = await _call(interpreter, "ends" if isinstance(plan.task, Chart) else "rows_drawn", code)
    return Findings(head, points)


async def _call(interpreter: Interpreter, function: str, *arguments: object) -> Any:
    """Call a function of `in_kernel` in the container's kernel; its names stay in a scope of their own.

    It may look at the kernel's variables, which are those that the code of the turn has left, but binds none.
    """
    source = resources.files(__package__).joinpath("in_kernel.py").read_text(encoding="utf-8")
    code = f"""
def _(source, function, arguments):
    import json
    scope = {{"__name__": "in_kernel"}}
    exec(compile(source, "in_kernel.py", "exec"), scope)
    scope["VARIABLES"].update(globals())
    print(json.dumps(scope[function](*arguments)))
_({source!r}, {function!r}, {list(arguments)!r})
"""
    printed = await interpreter.probe(code)
    return json.loads(printed.strip().splitlines()[-1])
