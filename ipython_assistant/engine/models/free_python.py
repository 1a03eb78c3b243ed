"""A chat model writes Python, the container runs it, and the model is told what it did, until it answers without code.

A small model is wrong without saying so, so it is helped and checked: the tables are loaded for it, an answer whose
numbers nothing calculated is asked for once more and then refused, and what the question asks for has to be there.
Pictures that came with the question go along, where the model sees them and may see values.
"""

from __future__ import annotations

import ast
import base64
import builtins
import keyword
import mimetypes
import re
from contextlib import aclosing
from importlib import resources
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import EndEarly, Refuse, Run, Say
from ipython_assistant.engine.models.chat_server import MAX_TOKENS, Completion
from ipython_assistant.engine.models.safe_markdown import escape, fence_for, inline_code, listed, split
from ipython_assistant.engine.models.share import SharedView
from ipython_assistant.engine.models.table_profiles import loading_code, profiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, RunOutcome, Step
    from ipython_assistant.engine.models.chat_server import ChatServer, Json
    from ipython_assistant.engine.models.table_profiles import TableProfile

MAX_RUNS: Final = 6
MAX_COMPLAINTS: Final = 2  # how often in an answer the model is told that something is wrong
AFTERWARDS: Final = 24
"""Pieces that a model may send behind its code before it is stopped; most end at once, and then tell their tokens."""
MAX_PRINTED: Final = 20_000  # in characters, of what code printed that the user is shown in the answer
PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
MOST_PICTURE_BYTES: Final = 32_000_000  # of all pictures of a question

_RULES, _SEES, _BLIND = re.split(
    r"\n\n----\n", resources.files(__package__).joinpath("python_prompt.txt").read_text(encoding="utf-8").strip()
)
_ASKED_FILE: Final = re.compile(
    r"(?<![\w/.-])[\w-]+\.(?:csv|tsv|xlsx|jsonl?|parquet|txt|md|html?|png|svg|pdf|jpe?g|webp)\b", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"\d[\d.,]*")
_GROUPED: Final = re.compile(r"\b(groupby|pivot_table|pivot|value_counts|resample|crosstab)\(")
_UNGROUPED: Final = re.compile(r"\b(reset_index|head|tail|nth|transform|filter|apply)\(|as_index=False")

ADDED: Final = "\n\n**From this machine:** "
"""Goes before everything that we add to a model's answer: from here on it is not the model's own words."""
READ_AS: Final = "Read as:"  # how an answer begins that this machine wrote from a plan: all of it is ours
ELSEWHERE: Final = "(Answered.)"
"""Stands for an earlier answer that the model may not see, or that is not in its own words."""
NO_CODE: Final = (
    "You ran no code, and the answer needs the data. Write the code now, in one block between ```python and ```."
)
DONE: Final = "If this answers the question, write the answer now, without code."
CORRECT: Final = "Find the cause and write the whole code again, corrected."
_NOTHING_CALCULATED: Final = (
    "The model answered twice without running any code, so nothing in its answer was calculated, and it is not shown. "
    "Ask in other words, name the columns, or choose a larger model with `-m`."
)


class FreePython:
    """One answer by Python that a chat model writes; what it is told stays here if it is `on_this_machine`."""

    def __init__(self, server: ChatServer, ask: Ask, interpreter: Interpreter, *, on_this_machine: bool) -> None:
        self._server, self._ask, self._interpreter = server, ask, interpreter
        self._on_this_machine = on_this_machine
        asked = dict.fromkeys(_ASKED_FILE.findall(f"{ask.prompt}\n{ask.instructions}"))
        self._absent = [name for name in asked if name not in ask.files]
        self._empty: list[str] = []
        self._loaded, self._loading = set[str](), set[str]()  # tables, by variable; those that the last run loads
        self._pictures: dict[str, str] = {}
        self._sees_what_is_asked = False
        """Whether the question is about pictures, and the model sees them: then it may tell numbers without code."""
        self._runs = self._complaints = 0
        self._code = self._error = self._logs = ""  # what the model wrote last, and what came of it

    async def answer(self) -> AsyncGenerator[Step, None]:
        """Let the model write code until the question is answered. Raises `ModelFailed`."""
        tables = await profiles(self._interpreter, self._ask.files, self._ask.prompt)
        self._told = SharedView.about(self._ask, tables, on_this_machine=self._on_this_machine)
        self._tables = frames_of(tables, self._told)
        await self._find_pictures()
        about_pictures = bool(self._pictures) and not is_about_tables(self._ask, tables)
        messages, reply = self._messages(), "asked"
        while reply:
            live, completion = bool(self._runs) and not self._error, Completion("")
            async with aclosing(self._listen(messages, live=live)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completion):
                        completion = piece
                    else:
                        yield Say(piece)
            yield completion.usage
            if completion.cut:
                yield EndEarly("max_output_tokens")
                return
            self._sees_what_is_asked = about_pictures and self._server.sees_pictures
            answered, (prose, code) = completion.text, split(completion.text)
            if code.strip() and code != self._code:
                if prose and not live:
                    yield Say(prose)
                yield (run := Run(self._prepared(code)))
                made = await profiles(self._interpreter, run.outcome.files, "")
                answered = f"{prose}\n\n```python\n{code}```".strip()
                if reply := self._after_run(code, run.outcome, made):
                    reply = f"{self._told.outcome(run.outcome, made)}\n\n{reply}"
            elif not (reply := self._after_words(answered)) and not live:
                invented = not self._runs and self._invented(answered)
                yield Refuse(_NOTHING_CALCULATED) if invented else Say(prose)
            messages += [{"role": "assistant", "content": answered}, {"role": "user", "content": reply}]
        if added := self._added():
            yield Say(added)

    async def _listen(self, messages: Sequence[Json], *, live: bool) -> AsyncGenerator[str | Completion, None]:
        """One completion: with `live` the prose before any code while it comes, and last all of it."""
        wishes = self._ask.wishes
        options = {name: wishes[name] for name in ("temperature", "top_p") if name in wishes}
        if effort := (wishes.get("reasoning") or {}).get("effort"):
            options["reasoning_effort"] = effort
        limit = wishes.get("max_output_tokens") or MAX_TOKENS
        text, shown, afterwards = "", 0, 0
        async with aclosing(self._server.stream(messages, max_tokens=limit, options=options)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    if live and text[shown:] and not split(text)[1]:
                        yield text[shown:]
                    yield piece
                    return
                text += piece
                prose = text.partition("```")[0].rstrip("` \t\n")  # what may yet become a fence waits
                if live and len(prose) > shown:
                    yield prose[shown:]
                    shown = len(prose)
                afterwards += text.count("```") > 1 and bool(split(text)[1])
                if afterwards > AFTERWARDS:
                    yield Completion(text)
                    return

    def _messages(self) -> list[Json]:
        """The conversation; templates of many models take one system message, at the beginning."""
        ask, told, paths = self._ask, self._told, {table.path for table in self._tables.values()}
        others = dict.fromkeys(f"- {told.file(name)}" for name in ask.files if name not in paths)
        tables = [f"- {told.table(table, name)}" for name, table in self._tables.items()]
        system = [f"{_RULES}\n{_SEES if told.everything else _BLIND}"]
        system += ["\n".join(["Tables:", *tables])] if tables else []
        system += ["\n".join(["Other files:", *others])] if others else []
        system += [message.text for message in ask.history if message.role in {"system", "developer"}]
        written: list[Json] = [{"role": "system", "content": "\n\n".join(filter(None, [*system, ask.instructions]))}]
        for message in ask.history:
            if message.role == "user":
                written.append({"role": "user", "content": message.text})
            elif message.role == "assistant":
                own = message.text.partition(ADDED.strip())[0].rstrip()
                shown = own if told.everything and not own.startswith(READ_AS) else ""
                written.append({"role": "assistant", "content": shown or ELSEWHERE})
        pictures = {"pictures": self._pictures} if self._pictures else {}
        return [*written, {"role": "user", "content": ask.prompt, **pictures}]

    async def _find_pictures(self) -> None:
        """The pictures among the inputs as data URLs, by name, as far as the model may see them."""
        left = MOST_PICTURE_BYTES if self._told.everything else 0
        for name in files_of(PICTURES, self._ask.files) if left else ():
            if name in self._told.inputs and (content := await self._interpreter.content(name, left)):
                kind = mimetypes.guess_type(name)[0] or "image/webp"
                self._pictures[name] = f"data:{kind};base64,{base64.b64encode(content).decode()}"
                left -= len(content)

    def _prepared(self, code: str) -> str:
        """The code as it is run: with the lines that load the tables it uses, and with labels kept."""
        used = set(re.findall(r"\b[A-Za-z_]\w*\b", code)) - self._loaded
        tables = {name: table for name, table in self._tables.items() if name in used and table.read}
        self._loading = set(tables)
        lines = "\n\n".join(loading_code(table, name) for name, table in tables.items())
        needs = {"json.": "import json", "Path(": "from pathlib import Path", "pd.": "import pandas as pd"}
        imports = "\n".join(line for name, line in needs.items() if name in lines)
        return (f"{imports}\n\n{lines}\n\n" if lines else "") + with_labels(code)

    def _after_run(self, code: str, outcome: RunOutcome, made: Sequence[TableProfile]) -> str:
        """What the model is to do after a run that `made` these tables; empty where it is not asked again."""
        self._runs += 1
        self._logs = outcome.logs.strip()
        self._code, self._error = code, (outcome.error or "").rstrip(".")
        self._absent = [name for name in self._absent if name not in outcome.files]
        self._empty = [name for name in self._empty if name not in outcome.files]
        self._empty += [table.path for table in made if not table.rows and not table.problem]
        self._loaded = set() if "are gone, files are kept" in outcome.logs else self._loaded  # with the process
        # What failed may have changed the tables that it loaded half, so they are loaded again.
        self._loaded |= set() if self._error else self._loading
        lacking = self._lacking()
        self._complaints += bool(self._error)
        done = not self._error and not self._told.everything and not lacking
        if done or self._runs >= MAX_RUNS or self._complaints > MAX_COMPLAINTS:
            return ""
        self._complaints += bool(lacking) and not self._told.everything
        return CORRECT if self._error else lacking or DONE

    def _after_words(self, text: str) -> str:
        """What the model is told about an answer without code that cannot stand; empty where it stands."""
        needs_code = (bool(self._tables) and not self._sees_what_is_asked) or self._invented(text)
        lacking = self._lacking() if self._runs else NO_CODE if needs_code else ""
        if self._complaints >= (MAX_COMPLAINTS if self._runs else 1):
            return ""
        self._complaints += bool(lacking)
        return lacking

    def _added(self) -> str:
        """What we tell the reader beside the model's own words."""
        told, everything = [], self._told.everything
        seen = self._pictures if self._server.sees_pictures else {}
        blind = "it sees no pictures, or they are too large" if everything else f'share is "{self._told.share}"'
        unseen = {name: blind for name in files_of(PICTURES, self._ask.new) if name not in seen}
        unseen |= dict.fromkeys(files_of((".pdf",), self._ask.new), "chat models read no PDF")
        if unseen:
            names = listed([f"{inline_code(name)} ({why})" for name, why in unseen.items()])
            told.append(f"the model itself did not see {names}; its code can read files.")
        if self._error:
            told.append(f"the code stopped with {escape(self._error)}. Its log is shown with the code.")
        elif self._runs >= MAX_RUNS:
            told.append(f"code has run {self._runs} times without an answer; this is what there is.")
        elif self._logs and not everything:
            fence = fence_for(self._logs)
            told.append(f"the code printed:\n\n{fence}text\n{self._logs[:MAX_PRINTED]}\n{fence}")
        if self._runs and self._absent:
            told.append(f"{listed([inline_code(name) for name in self._absent])} was asked for, and no code wrote it.")
        told += [f"{inline_code(name)} has no rows." for name in self._empty]
        return ADDED + "\n\n".join(told) if told else ""

    def _lacking(self) -> str:
        told = [f"The question asks for {name}, and your code did not write it." for name in self._absent]
        told += [f"{self._told.file(name)} has no rows." for name in self._empty]
        return " ".join([*told, CORRECT]) if told else ""

    def _invented(self, text: str) -> bool:
        """Whether an answer before any code ran tells what only code could know: numbers, a table, a file."""
        return bool(self._absent) or (not self._sees_what_is_asked and has_numbers(text, self._ask.prompt))


def is_about_tables(ask: Ask, tables: Sequence[TableProfile]) -> bool:
    """Whether a table is among what came with the question, or among all files where nothing came."""
    return any(table.path in (ask.new or ask.files) for table in tables)


def files_of(endings: tuple[str, ...], names: Sequence[str]) -> list[str]:
    """Those of the files whose names end so."""
    return [name for name in names if name.lower().endswith(endings)]


async def profiles(interpreter: Interpreter, paths: Sequence[str], prompt: str) -> tuple[TableProfile, ...]:
    """What is known of the tables among these files; empty where the kernel could not look."""
    try:
        return await profiled(interpreter, paths, prompt)
    except RuntimeError:
        return ()


# ---- the code itself


def frames_of(tables: Sequence[TableProfile], told: SharedView) -> dict[str, TableProfile]:
    """The tables by the variables that hold them: the files' names, as far as Python allows and they may be told."""
    frames: dict[str, TableProfile] = {}
    for table in tables:
        stem = table.stem if told.file(table.path) == table.path else ""
        name = re.sub(r"\W+", "_", stem).strip("_").lower()
        hides = keyword.iskeyword(name) or hasattr(builtins, name) or name in {"pd", "np", "plt", "json"}
        if hides or not name.isidentifier():
            name = f"table_{name}".rstrip("_")
        while name in frames:
            name += "_2"
        frames[name] = table
    return frames


def with_labels(code: str) -> str:
    """The code; a grouped table that it writes without its index, which holds the labels, is written with it."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
        assigned = {ast.unparse(one.targets[0]): ast.unparse(one.value) for one in nodes if isinstance(one, ast.Assign)}
        calls = {node: ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    for node, called in calls.items():
        if not re.search(r"\.to_(csv|excel)$", called):
            continue
        made, last, left = called, called, dict(assigned)
        while last := left.pop(re.split(r"[.[]", last, maxsplit=1)[0], ""):
            made += f" from {last}"
        written = ast.get_source_segment(code, node) or ""
        if written and _GROUPED.search(made) and not _UNGROUPED.search(made):
            code = code.replace(written, re.sub(r"(\bindex\s*=\s*)False", r"\1True", written))
    return code


def has_numbers(text: str, question: str) -> bool:
    """Whether an answer tells numbers that the question does not, or a table."""
    listless = re.sub(r"(?m)^\s*\d+[.)]\s", "", text)
    known, told = ({number.strip(".,") for number in _NUMBER.findall(one)} for one in (question, listless))
    return bool(told - known) or re.search(r"(?m)^\s*\|.*\|", text) is not None
