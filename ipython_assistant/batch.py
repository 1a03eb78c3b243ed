"""The functions that code calls: `ask`, `aask`, `ask_each` for the same question about forty districts, and `show`.

The options are those of `%%assistant`. A question stands alone, outside the notebook's conversation, unless it names
one. Without IPython, the process has one session of its own. Below them stand the tools of agents in JupyterLab.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import threading
from collections import UserDict
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ipython_assistant import turn_run
from ipython_assistant.config import AssistantMagics
from ipython_assistant.core.wording import did_you_mean
from ipython_assistant.display.grid import overview
from ipython_assistant.display.live import FrontEnd, LiveOutput, front_end, running_shell
from ipython_assistant.errors import AssistantError, InputError, Interrupted, OptionError
from ipython_assistant.magics import hooks_of
from ipython_assistant.options import Options, checked
from ipython_assistant.service.background import Threads
from ipython_assistant.session import AT_ONCE, Session, process_session
from ipython_assistant.turn_run import Viewer
from ipython_assistant.workspace.folder import made_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipython_assistant.answer import Answer
    from ipython_assistant.display.outputs import Bundle
    from ipython_assistant.question import Question


Outcome: TypeAlias = "Answer | Exception"
STOPS_WITHIN_S = 5.0
"""Seconds that questions under way are given to end after Ctrl-C."""


_OF_A_CELL = {"help", "help_all", "dry_run", "no_code", "timeout_s"}
ASK_OPTIONS = sorted(Options.__dataclass_fields__.keys() - _OF_A_CELL | {"code", "timeout", "show"})
"""The options of `ask`, `aask` and `ask_each`; the docstring of `ask` explains each."""


def ask(prompt: str, **options: Any) -> Answer:
    """Ask one question and wait for the answer; its files are on disk by then.

    >>> answer = ask("Plot coverage by year", inputs={"cases": cases}, outputs="by_year")  # doctest: +SKIP
    >>> answer.frames["by_year"]  # doctest: +SKIP

    Args:
        prompt: The question. Braces are not filled in: use an f-string.
        **options: Any of the options of `%%assistant`:

            inputs: What to work on: `{"name": variable}`, or one or more paths and globs.
            outputs: Names of the tables the answer must bring back, as `answer.frames`.
            model: The model to ask.
            conversation: The conversation to continue or to begin; without it the question stands alone.
            new: Begin that conversation anew.
            fresh: Ask again though the answer is recorded.
            directory: Where the files are saved.
            assistant: A saved assistant: `assistants/NAME.toml`.
            instructions: Your own instructions, added after the built-in ones.
            tools: More tools: `"web_search"`, `"file_search:vs_1"`, or a tool as JSON.
            code: False to get an answer in words: no code runs and no file is made.
            effort: How long a reasoning model may think, such as `"low"`.
            container: The id of the container to run in.
            memory: The memory of a new container: `"1g"`, `"4g"`, `"16g"` or `"64g"`.
            timeout: Seconds without a byte from the service after which it is given up.
            yes: Send inputs larger than the setting `ask_above`.
            show: Show the answer as a cell would.

    Raises:
        AssistantError: The error a cell would end in; `.answer` holds what arrived.
    """
    session = _session()
    read, shows = _reader(session, prompt, options), options.get("show")
    return turn_run.answer_question(session, read(), Viewer(front_end(session.shell) if shows else None))


async def aask(prompt: str, **options: Any) -> Answer:
    """Ask one question, with the options of `ask` except `show`, without holding up the event loop.

    Cancelling it ends the question. At most four are under way at a time.
    """
    session, stop = _session(), threading.Event()
    read = _reader(session, prompt, options)
    try:
        # Reading and hashing the inputs takes time too, so all of it is done in the thread.
        future = session.threads.submit(lambda: turn_run.answer_question(session, read(), Viewer(stop=stop)))
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        stop.set()
        raise


def ask_each(prompts: Mapping[Any, str] | Iterable[str], *, at_once: int = AT_ONCE, **options: Any) -> Answers:
    """Ask several questions, some at the same time; gives one outcome for each, in order: an answer, or an error.

    Args:
        prompts: The questions, or labels and their questions: `{name: f"Plot {name}" for name in names}`.
        at_once: How many at the same time.
        **options: The options of `ask`, except `show`; they hold for every question.

    Raises:
        Interrupted: Ctrl-C; `.answer` holds the outcomes so far.
        AssistantError: An option or an input is wrong; nothing has been asked.
    """
    if isinstance(prompts, str):
        raise OptionError("ask_each takes several questions, and this is one.", "Write ask(...), or pass a list.")
    session = _session()
    labelled = dict(prompts) if isinstance(prompts, Mapping) else dict(enumerate(prompts))
    readers = {label: _reader(session, prompt, options) for label, prompt in labelled.items()}
    # All are read before one is asked: a missing input must not be found after half of them have been paid for.
    questions = {label: read() for label, read in readers.items()}
    stop, outcomes = threading.Event(), dict[Any, "Outcome"]()
    pool, line = Threads(at_once, "ipython_assistant ask"), ""
    # A notebook that nobody watches is saved with the same line as one that was watched; a script has none.
    live = LiveOutput(front_end(session.shell) if session.shell is not None else FrontEnd())
    waiting = {pool.submit(_outcome, session, question, stop): label for label, question in questions.items()}
    try:
        while waiting:
            done, _ = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
            outcomes |= {waiting.pop(future): future.result() for future in done}
            line = _so_far(outcomes, len(questions))
            live.update(None, line)
    except KeyboardInterrupt:
        stop.set()
        pool.close()
        # A question that the service has not begun to answer cannot be stopped, so it is not waited for.
        done, _ = wait([future for future in waiting if not future.cancelled()], timeout=STOPS_WITHIN_S)
        outcomes |= {waiting[future]: future.result() for future in done}
        raise Interrupted(
            f"The questions were interrupted; {len(outcomes)} of {len(questions)} had ended.",
            "The error's .answer holds their outcomes.",
            answer=Answers({label: outcomes[label] for label in questions if label in outcomes}, labelled),
        ) from None
    finally:
        pool.close()
        if line and session.shell is not None:
            live.finish(overview((), (), [f"{line}."]))
    return Answers({label: outcomes[label] for label in questions}, labelled)


def _so_far(outcomes: Mapping[Any, Outcome], total: int) -> str:
    failed = sum(isinstance(outcome, Exception) for outcome in outcomes.values())
    return f"{len(outcomes)} of {total} asked" + (f", {failed} failed" if failed else "")


def show(response: Any, client: Any = None) -> Answer:
    """Show a `Response` of the `openai` package as a cell's answer: its files saved, its pictures and tables in place.

    Args:
        response: An `openai` `Response` object, or the same as a dict.
        client: The `openai.OpenAI` client that got it; without one the session's own service is asked for the files.

    Raises:
        FilesMissing: One or more of its files could not be fetched.
    """
    return turn_run.show_response(_session(), response, client)


class Answers(UserDict[Any, Outcome]):
    """The outcomes of several questions: label → answer, or the error it ended in. Shows itself as a table."""

    def __init__(self, outcomes: Mapping[Any, Outcome], prompts: Mapping[Any, str]) -> None:
        super().__init__(outcomes)
        self._prompts = dict(prompts)

    @property
    def failed(self) -> dict[Any, Exception]:
        """The errors, by label."""
        return {label: outcome for label, outcome in self.items() if isinstance(outcome, Exception)}

    @property
    def refused(self) -> tuple[Any, ...]:
        """The labels of the questions that were refused; each answer says why."""
        return tuple(label for label, outcome in self.items() if getattr(outcome, "status", "") == "refused")

    def to_frame(self) -> Any:
        """A DataFrame, one row a question: `prompt`, `status`, `text`, `files` (names) and `error`, by label."""
        import pandas as pd

        return pd.DataFrame([self._row(label) for label in self], index=pd.Index(list(self), name="label"))

    def _row(self, label: Any) -> dict[str, Any]:
        answer: Any = self[label]
        error = ""
        if isinstance(answer, Exception):
            error = f"{type(answer).__name__}: {getattr(answer, 'message', answer)}"
            answer = getattr(answer, "answer", None)
        row = {"prompt": self._prompts[label], "status": "failed", "text": "", "files": (), "error": error}
        came = {"status": answer.status, "text": answer.text, "files": tuple(answer.files)} if answer else {}
        return row | came

    def __repr__(self) -> str:
        return f"Answers({len(self)}, {len(self.refused)} refused, {len(self.failed)} failed)"

    def _repr_mimebundle_(self, **_choice: object) -> Bundle:
        rows = {label: self._row(label) for label in self}
        cells = [
            (label, row["status"], row["error"] or " ".join(row["text"].split()), ", ".join(row["files"]))
            for label, row in rows.items()
        ]
        failed, refused = len(self.failed), len(self.refused)
        words = f"{len(self) - failed - refused} of {len(self)} answered"
        words += "".join(f", {count} {what}" for count, what in ((refused, "refused"), (failed, "failed")) if count)
        return overview(("", "status", "answer", "files"), cells, [f"{words}."])


def _outcome(session: Session, question: Question, stop: threading.Event) -> Outcome:
    """The answer, or the error that the question ends in: one of several never ends the others, whatever is wrong."""
    try:
        return turn_run.answer_question(session, question, Viewer(stop=stop))
    except Exception as error:  # noqa: BLE001 the other questions go on, and their answers were paid for
        return error


def _reader(session: Session, prompt: str, given: Mapping[str, Any]) -> Callable[[], Question]:
    """A function that reads the question, whose options are checked at once: hashing its inputs takes time."""
    if not prompt.strip():
        raise OptionError("There is no question.", "Write it as text: ask('Plot coverage by year', ...).")
    options, namespace = _options(given)
    if session.shell is not None:
        namespace = {**session.shell.user_ns, **namespace}
    cell = session.cell_of_ask()
    return lambda: turn_run.read(session, options, prompt, cell, namespace, from_code=True)


def _options(given: Mapping[str, Any]) -> tuple[Options, Mapping[str, Any]]:
    """The options, and the variables that are given with them."""
    if wrong := next((name for name in given if name not in ASK_OPTIONS), None):
        cure = f"{did_you_mean(wrong, ASK_OPTIONS)}Options: {', '.join(ASK_OPTIONS)}."
        raise OptionError(f"There is no option {wrong!r}.", cure)
    inputs = given.get("inputs", ())
    variables = inputs if isinstance(inputs, Mapping) else {}
    several = inputs if isinstance(inputs, Mapping | list | tuple | set | frozenset | Iterator) else [inputs]
    names = [os.fspath(it) if isinstance(it, str | os.PathLike) else _nameless(it) for it in several]
    if wrong := next((name for name in variables if not str(name).isidentifier()), None):
        raise InputError(f"The input {wrong!r} is not the name of a variable.", "Use letters, digits and _.")
    written: dict[str, Any] = {name: given[name] for name in given if name in Options.__dataclass_fields__}
    for name in {"outputs", "tools"} & given.keys():
        written[name] = (given[name],) if isinstance(given[name], str) else tuple(given[name])
    if given.get("directory") is not None:
        written["directory"] = os.fspath(given["directory"])
    written |= {"inputs": tuple(names), "no_code": not given.get("code", True), "timeout_s": given.get("timeout")}
    return checked(Options(**written)), variables


def _nameless(value: Any) -> NoReturn:
    raise InputError(f"An input of type {type(value).__name__} has no name.", 'Give it one: inputs={"cases": cases}.')


def _session() -> Session:
    """The session of the shell that has loaded the extension, else the one of this process."""
    shell = running_shell()
    hooks = hooks_of(shell) if shell is not None else None
    return hooks.session if hooks is not None else _session_of_process()


@functools.cache
def _session_of_process() -> Session:
    session = process_session()
    atexit.register(session.close)
    return session


# --- what an agent in JupyterLab can do -------------------------------------------------------------------------------

TOOLS = [f"{__name__}:{name}" for name in ("ask_about_data", "files_of_answers")]
"""Found by `jupyter-server-mcp`: they run in the Jupyter server, whose environment counts."""


async def ask_about_data(question: str, directory: str, inputs: list[str] | None = None) -> dict[str, Any]:
    """Ask for an analysis of data files; code runs, and the files it makes are saved in the directory.

    `directory` is the notebook's, absolute, `inputs` are files below it. Gives the answer's text, status, code and
    saved files, or the error, which says what to do. A question that was asked before is answered from its recording.
    """

    def answered(session: Session) -> dict[str, Any]:
        folder = session.notebook_dir.resolve()
        paths = [(folder / name).resolve() for name in inputs or ()]
        if outside := [path for path in paths if not path.is_relative_to(folder)]:
            raise InputError(f"{outside[0]} is outside the directory.", "Copy it there first.")
        options = Options(inputs=tuple(map(str, paths)))
        asked = turn_run.read(session, options, question, session.next_run(), {}, from_code=True)
        answer = turn_run.answer_question(session, asked, Viewer())
        files = {name: str(file.path) for name, file in answer.files.items()}
        return {"text": answer.text, "status": answer.status, "code": answer.code, "files": files}

    return await _in_session(directory, answered)


async def files_of_answers(directory: str) -> dict[str, Any]:
    """List the recorded questions of a notebook's directory (absolute), and the files of their answers."""

    def look(session: Session) -> dict[str, Any]:
        recorded = session.recordings(session.settings).all()
        made = made_files(session.folder(session.settings))
        files = [
            {"path": it.href, "state": it.state, "question": it.recording.prompt if it.recording else ""} for it in made
        ]
        return {"questions": [it.prompt for it in recorded], "files": files}

    return await _in_session(directory, look)


async def _in_session(directory: str, do: Callable[[Session], dict[str, Any]]) -> dict[str, Any]:
    session = Session(None, AssistantMagics(), Path(directory))
    try:
        return await asyncio.to_thread(do, session)
    except (AssistantError, OSError) as error:
        return {"error": str(error)}
    finally:
        await asyncio.to_thread(session.close)
