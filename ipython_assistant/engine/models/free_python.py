"""A chat model writes Python, the container runs it, and the model is told what it did, until it answers without code.

A small model is wrong without saying so, so it is helped and checked: the tables are loaded for it, an answer whose
numbers nothing calculated is asked for once more and then refused, and what the question asks for has to be there.
"""

from __future__ import annotations

import base64
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models import EndEarly, ModelFailed, Refuse, Run, Say
from ipython_assistant.engine.models.chat_server import Completion
from ipython_assistant.engine.models.markdown import code as inline
from ipython_assistant.engine.models.markdown import escape, listed
from ipython_assistant.engine.models.plan.tables import READABLE, profiled
from ipython_assistant.engine.models.python_code import (
    asked_files,
    frame_names,
    has_numbers,
    loading,
    split,
    with_labels,
)
from ipython_assistant.engine.models.python_words import (
    ADDED,
    CORRECT,
    DONE,
    ELSEWHERE,
    NO_CODE,
    READ_AS,
    missing,
    task,
)
from ipython_assistant.engine.models.share import HEAD_ROWS, Share, Told, inputs_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, RunOutcome, Step
    from ipython_assistant.engine.models.chat_server import ChatServer, Json
    from ipython_assistant.engine.models.plan.tables import TableProfile

MAX_RUNS: Final = 6
MAX_COMPLAINTS: Final = 2
"""How often in an answer the model is told that something is wrong."""
AFTERWARDS: Final = 24
"""How many more pieces a model may send behind its code before it is stopped. Most end at once, and a stream that ends
by itself says how many tokens it was."""
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Media types of pictures that models can see."""
MAX_PRINTED: Final = 20_000
"""In characters, of what code printed that the user is shown in the answer."""


class _Work:
    """What an answer has come to so far, and what is to be done next.

    Args:
        ask: The question.
        tables: The tables there were when it was asked.
        told: What the model may be told.
    """

    def __init__(self, ask: Ask, tables: Sequence[TableProfile], told: Told) -> None:
        self.asked = [name for name in asked_files(f"{ask.prompt}\n{ask.instructions}") if name not in ask.files]
        self.last_code = ""
        self.succeeded = False
        """Whether the last run came to its end."""
        self._ask = ask
        self._tables = tables
        self._told = told
        self._frames = dict(told.frames)
        self._loaded: set[str] = set()
        self._runs = 0
        self._complaints = 0
        self._error = ""
        self._logs = ""
        self._files: dict[str, None] = {}
        self._empty: dict[str, None] = {}

    def prepared(self, code: str) -> str:
        """The code as it is run: with the lines that load the tables it uses, and with labels kept."""
        return loading(code, self._tables, self._frames, self._loaded) + with_labels(code)

    def account(self, code: str, whole: str, outcome: RunOutcome, made: Sequence[TableProfile]) -> None:
        """One more run: the model's code, what was run of it, what that did, and the tables it wrote."""
        self._runs += 1
        self._logs = outcome.logs.strip()
        self._error = (outcome.error or "").rstrip(".")
        self._complaints += bool(self._error)
        self.last_code, self.succeeded = code, not self._error
        self._files |= dict.fromkeys(outcome.files)
        for table in made:
            self._empty.pop(table.path, None)
            if not table.rows and not table.problem:
                self._empty[table.path] = None
        if self.succeeded:
            self._loaded |= {name for name in self._frames.values() if name in whole}

    @property
    def over(self) -> bool:
        """Whether the model is not asked again after a run: it may not see results, or has had its chances."""
        done = self.succeeded and not self._told.everything and not self._lacking()
        return done or self._runs >= MAX_RUNS or self._complaints > MAX_COMPLAINTS

    def report(self, outcome: RunOutcome, made: Sequence[TableProfile], heads: Mapping[str, str]) -> str:
        """What the model is told about a run."""
        lacking = self._lacking()
        self._complaints += bool(lacking) and not self._told.everything
        said = self._told.outcome(outcome, made, heads)
        return f"{said}\n\n{CORRECT if self._error else lacking or DONE}"

    def complaint(self, text: str) -> str:
        """What the model is told about an answer without code that cannot stand; empty where it stands."""
        lacking = self._lacking() if self._runs else NO_CODE if self._tables or self._invented(text) else ""
        if self._complaints >= MAX_COMPLAINTS or (not self._runs and self._complaints):
            return ""
        self._complaints += bool(lacking)
        return lacking

    def last_words(self, text: str) -> Say | Refuse:
        """The answer, or the refusal to show one in which nothing was calculated."""
        return Refuse(_NOTHING_CALCULATED) if not self._runs and self._invented(text) else Say(text)

    def added(self) -> str:
        """What we tell the reader beside the model's own words."""
        told = []
        if self._error:
            told.append(f"the code stopped with {escape(self._error)}. Its log is shown with the code.")
        elif self._runs >= MAX_RUNS:
            told.append(f"code has run {self._runs} times without an answer; this is what there is.")
        elif self._logs and not self._told.everything:
            told.append(f"the code printed:\n\n{_fenced(self._logs[:MAX_PRINTED])}")
        if self._runs and (absent := self._absent()):
            told.append(f"{listed([inline(name) for name in absent])} was asked for, and no code wrote it.")
        told += [f"{inline(name)} has no rows." for name in self._empty]
        return ADDED + "\n\n".join(told) if told else ""

    def _absent(self) -> list[str]:
        return [name for name in self.asked if name not in self._files]

    def _lacking(self) -> str:
        absent = self._absent()
        return missing(absent, list(self._empty)) if absent or self._empty else ""

    def _invented(self, text: str) -> bool:
        """Whether an answer without code tells what only code could know."""
        return bool(self.asked) or has_numbers(text, self._ask.prompt)


class FreePython:
    """Answers by Python that a chat model writes.

    Args:
        server: The model.
        share: What the model may see.
        vision: Whether it sees the pictures of a question.
    """

    def __init__(self, server: ChatServer, share: Share, *, vision: bool = False) -> None:
        self._server = server
        self._share = share
        self._vision = vision and share is Share.RESULTS

    async def answer(  # noqa: C901, PLR0912 one loop, in the order in which things happen
        self, ask: Ask, interpreter: Interpreter
    ) -> AsyncGenerator[Step, RunOutcome | None]:
        """Let the model write code until the question is answered. Raises `ModelFailed`."""
        tables = await profiles(interpreter, ask.files, ask.prompt)
        told = Told(self._share, frame_names(tables), frozenset(inputs_of(ask)), words_of(ask))
        work, messages = _Work(ask, tables, told), self._opening(ask, tables, told)
        while True:
            completion, live = Completion(""), work.succeeded
            async with aclosing(self._listen(messages, ask, live=live)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield Say(piece)
                    else:
                        completion = piece
            yield completion.usage
            if completion.cut:
                yield EndEarly("max_output_tokens")
                return
            prose, code = split(completion.text)
            if code.strip() and code != work.last_code:
                if prose and not live:
                    yield Say(prose)
                whole = work.prepared(code)
                outcome = yield Run(whole)
                if outcome is None:
                    raise ModelFailed("The outcome of the code did not come back.\nRun the cell again.")
                made = await profiles(interpreter, outcome.files, "")
                work.account(code, whole, outcome, made)
                if work.over:
                    break
                heads = await _heads(interpreter, made) if told.everything else {}
                written = f"{prose}\n\n```python\n{code}```".strip()
                messages += _exchange(written, work.report(outcome, made, heads))
            elif complaint := work.complaint(completion.text):
                messages += _exchange(completion.text, complaint)
            else:
                if not live:
                    yield work.last_words(prose)
                break
        if added := work.added():
            yield Say(added)

    async def talk(self, ask: Ask) -> AsyncGenerator[Step, None]:
        """Answer without code. Raises `ModelFailed`."""
        messages = self._messages(ask.instructions, ask)
        async with aclosing(self._listen(messages, ask, live=True)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield Say(piece)
                else:
                    yield piece.usage
                    if piece.cut:
                        yield EndEarly("max_output_tokens")

    def _opening(self, ask: Ask, tables: Sequence[TableProfile], told: Told) -> list[Json]:
        paths = {table.path for table in tables}
        others = dict.fromkeys(told.file(name) for name in ask.files if name not in paths)
        lines = [told.table(table, tables) for table in tables]
        return self._messages(task(lines, list(others), ask.instructions, sees=told.everything), ask)

    def _messages(self, system: str, ask: Ask) -> list[Json]:
        """The conversation; templates of many models take one system message, at the beginning."""
        written: list[Json] = [{"role": "system", "content": system}] if system else []
        for message in ask.history:
            if message.role in {"user", "assistant"}:
                text = message.text.partition(ADDED.strip())[0].rstrip()
                text = "" if message.role == "assistant" and text.startswith(READ_AS) else text
                hidden = message.role == "assistant" and (self._share is not Share.RESULTS or not text)
                written.append({"role": message.role, "content": ELSEWHERE if hidden else text})
        return [*written, {"role": "user", "content": self._prompt(ask)}]

    def _prompt(self, ask: Ask) -> Any:
        """The question, with the pictures that came within it, or with a word on what the model cannot see."""
        shown = [one for one in ask.enclosed if self._vision and one.media_type in PICTURES]
        names = {*ask.files, *(one.name for one in shown)}
        hidden = [name for name in (*ask.unread, *(one.name for one in ask.enclosed)) if name not in names]
        text = ask.prompt
        if hidden:
            listing = ", ".join(dict.fromkeys(hidden))
            text += f"\n\n(The user attached {listing}. It cannot be shown to you: say so.)"
        if not shown:
            return text
        urls = [f"data:{one.media_type};base64,{base64.b64encode(one.content).decode()}" for one in shown]
        return [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]

    async def _listen(
        self, messages: Sequence[Json], ask: Ask, *, live: bool
    ) -> AsyncGenerator[str | Completion, None]:
        """One completion: with `live` the prose before any code while it comes, and last all of it."""
        options = {name: ask.wishes[name] for name in ("temperature", "top_p") if name in ask.wishes}
        if effort := (ask.wishes.get("reasoning") or {}).get("effort"):
            options["reasoning_effort"] = effort
        text, shown, afterwards = "", 0, 0
        stream = self._server.stream(messages, max_tokens=ask.wishes.get("max_output_tokens"), options=options)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    if live and text[shown:] and not split(text)[1]:
                        yield text[shown:]
                    yield piece
                    return
                text += piece
                if live and (safe := _prose_end(text)) > shown:
                    yield text[shown:safe]
                    shown = safe
                afterwards += text.count("```") > 1 and bool(split(text)[1])
                if afterwards > AFTERWARDS:
                    yield Completion(text)
                    return


_NOTHING_CALCULATED: Final = (
    "The model answered twice without running any code, so nothing in its answer was calculated, and it is not shown. "
    "Ask in other words, name the columns, or choose a larger model with `-m`."
)


def words_of(ask: Ask) -> str:
    """What the user has written in this conversation."""
    return "\n".join([*(message.text for message in ask.history if message.role == "user"), ask.prompt])


def _exchange(written: str, told: str) -> list[Json]:
    return [{"role": "assistant", "content": written}, {"role": "user", "content": told}]


def _prose_end(text: str) -> int:
    """How much of a text that is being written is prose for certain: all before what is, or may become, a fence."""
    fence = text.find("```")
    if fence >= 0:
        return text.rfind("\n", 0, fence) + 1
    last = text.rfind("\n") + 1
    return last if not text[last:].strip(" \t") or text[last:].lstrip().startswith("`") else len(text)


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


async def profiles(interpreter: Interpreter, paths: Sequence[str], prompt: str) -> tuple[TableProfile, ...]:
    """What is known of the tables among these files; none where they cannot be looked at."""
    try:
        return await profiled(interpreter, [path for path in paths if path.lower().endswith(READABLE)], prompt)
    except RuntimeError:
        return ()


async def _heads(interpreter: Interpreter, made: Sequence[TableProfile]) -> dict[str, str]:
    """The first rows of tables, as text, by path."""
    heads = {}
    for table in made:
        if table.rows and table.read:
            try:
                head = f"print({table.read}.head({HEAD_ROWS}).to_csv(sep='|', index=False))"
                heads[table.path] = await interpreter.probe(f"import json, pandas as pd\n{head}")
            except RuntimeError:
                continue
    return heads
