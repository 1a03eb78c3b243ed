"""The functions that code calls: `ask`, `aask`, `ask_each` for the same question about forty districts, and `show`.

A question stands alone, outside the notebook's conversation, unless it names one. Without IPython, the process has one
session of its own. Below them stands the tool of agents in JupyterLab.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import threading
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipython_assistant.answer import Answer
    from ipython_assistant.display.outputs import Bundle
    from ipython_assistant.question import Question

Outcome: TypeAlias = "Answer | Exception"
STOPS_WITHIN_S = 5.0  # seconds that questions under way are given to end after Ctrl-C
_OF_A_CELL = {"help", "help_all", "dry_run", "no_code", "timeout_s"}
ASK_OPTIONS = sorted(Options.__dataclass_fields__.keys() - _OF_A_CELL | {"code", "timeout", "show"})


def ask(prompt: str, **options: Any) -> Answer:
    """Ask one question and wait for the answer; its files are on disk by then.

    >>> answer = ask("Plot coverage by year", inputs={"cases": cases}, outputs="by_year")  # doctest: +SKIP
    >>> answer.frames["by_year"]  # doctest: +SKIP

    Args:
        prompt: The question. Braces are not filled in: use an f-string.
        **options: Those of `%%assistant` (model, conversation, new, fresh, assistant, instructions, effort, container,
            memory, yes), and:
            inputs: What to work on: `{"name": variable}`, or one or more paths and globs.
            outputs: Names of the tables the answer must bring back, as `answer.frames`.
            directory: Where the files are saved.
            tools: More tools: `"web_search"`, `"file_search:vs_1"`, or a tool as JSON.
            code: False to get an answer in words: no code runs and no file is made.
            timeout: Seconds without a byte from the service after which it is given up.
            show: Show the answer as a cell would.

    Raises:
        AssistantError: The error a cell would end in; `.answer` holds what arrived.
    """
    session = _session()
    front = front_end(session.shell) if options.get("show") else None
    return turn_run.answer_question(session, _reader(session, prompt, options)(), front)


async def aask(prompt: str, **options: Any) -> Answer:
    """Ask one question, with the options of `ask` except `show`, without holding up the event loop."""
    session, stop = _session(), threading.Event()
    read = _reader(session, prompt, options)
    try:
        # Reading and hashing the inputs takes time too, so all of it is done in the thread.
        future = session.threads.submit(lambda: turn_run.answer_question(session, read(), stop=stop))
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        stop.set()
        raise


def ask_each(prompts: Mapping[Any, str] | Iterable[str], *, at_once: int = AT_ONCE, **options: Any) -> Answers:
    """Ask several questions, `at_once` at the same time; gives an answer or an error for each, in order.

    `prompts` are the questions, or labels and their questions: `{name: f"Plot {name}" for name in names}`; the options
    are those of `ask`. Raises `Interrupted` at Ctrl-C, with the outcomes so far as `.answer`; an `AssistantError`
    before anything is asked where an option or an input is wrong.
    """
    if isinstance(prompts, str):
        raise OptionError("ask_each takes several questions, and this is one.", "Write ask(...), or pass a list.")
    session = _session()
    # Each question gets all of them: an iterator would be used up by the first.
    options = {name: [*it] if isinstance(it, Iterator) else it for name, it in options.items()}
    labelled = dict(prompts) if isinstance(prompts, Mapping) else dict(enumerate(prompts))
    # All are read before one is asked: a missing input must not be found after half of them have been paid for.
    questions = {label: _reader(session, prompt, options)() for label, prompt in labelled.items()}
    pool, stop, line = Threads(at_once, "ipython_assistant ask"), threading.Event(), ""
    # A notebook that nobody watches is saved with the same line as one that was watched; a script has none.
    live = LiveOutput(front_end(session.shell) if session.shell is not None else FrontEnd())
    ask_one = functools.partial(turn_run.answer_question, session, stop=stop)
    futures = {label: pool.submit(ask_one, question) for label, question in questions.items()}
    pending = set(futures.values())
    try:
        while pending:
            _, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            line = _so_far(_ended(futures), len(futures))
            live.update(None, line)
    except KeyboardInterrupt:
        stop.set()
        pool.close()
        # A question that the service has not begun to answer cannot be stopped, so it is not waited for.
        wait([future for future in pending if not future.cancelled()], timeout=STOPS_WITHIN_S)
        ended = _ended(futures)
        says = f"The questions were interrupted; {len(ended)} of {len(futures)} had ended."
        raise Interrupted(says, "The error's .answer holds their outcomes.", answer=Answers(ended, labelled)) from None
    finally:
        pool.close()
        if line and session.shell is not None:
            live.finish(overview((), (), [f"{line}."]))
    return Answers(_ended(futures), labelled)


def _ended(futures: Mapping[Any, Future[Answer]]) -> dict[Any, Outcome]:
    """What has come so far: an answer, or the error that a question ended in, whatever it is; the others go on."""
    done = [(label, future) for label, future in futures.items() if future.done() and not future.cancelled()]
    return {label: it if isinstance(it := future.exception(), Exception) else future.result() for label, future in done}


def _so_far(outcomes: Mapping[Any, Outcome], total: int) -> str:
    failed = sum(isinstance(outcome, Exception) for outcome in outcomes.values())
    return f"{len(outcomes)} of {total} done" + (f", {failed} failed" if failed else "")


def show(response: Any, client: Any = None) -> Answer:
    """Show a `Response` of the `openai` package, or its dict, as a cell would; `client` got it. Raises FilesMissing."""
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
        outcome: Any = self[label]
        is_error = isinstance(outcome, Exception)
        answer = getattr(outcome, "answer", None) if is_error else outcome
        return {
            "prompt": self._prompts[label],
            "status": answer.status if answer else "failed",
            "text": answer.text if answer else "",
            "files": tuple(answer.files) if answer else (),
            "error": f"{type(outcome).__name__}: {getattr(outcome, 'message', outcome)}" if is_error else "",
        }

    def __repr__(self) -> str:
        return f"Answers({len(self)}, {len(self.refused)} refused, {len(self.failed)} failed)"

    def _repr_mimebundle_(self, **_choice: object) -> Bundle:
        cells = [
            (label, row["status"], row["error"] or " ".join(row["text"].split()), ", ".join(row["files"]))
            for label, row in ((label, self._row(label)) for label in self)
        ]
        failed, refused = len(self.failed), len(self.refused)
        words = f"{len(self) - failed - refused} of {len(self)} answered"
        words += "".join(f", {count} {what}" for count, what in ((refused, "refused"), (failed, "failed")) if count)
        return overview(("", "status", "answer", "files"), cells, [f"{words}."])


def _reader(session: Session, prompt: str, given: Mapping[str, Any]) -> Callable[[], Question]:
    """A function that reads the question; its options are checked, and its variables taken, at once."""
    if not prompt.strip():
        raise OptionError("There is no question.", "Write it as text: ask('Plot coverage by year', ...).")
    options, namespace = _options(given)
    if session.shell is not None:
        namespace = {**session.shell.user_ns, **namespace}
    return functools.partial(turn_run.read, session, options, prompt, session.cell_of_ask(), namespace, from_code=True)


def _options(given: Mapping[str, Any]) -> tuple[Options, Mapping[str, Any]]:
    """The options, and the variables that are given with them."""
    if wrong := next((name for name in given if name not in ASK_OPTIONS), None):
        cure = f"{did_you_mean(wrong, ASK_OPTIONS)}Options: {', '.join(ASK_OPTIONS)}."
        raise OptionError(f"There is no option {wrong!r}.", cure)
    inputs = given.get("inputs", ())
    variables = inputs if isinstance(inputs, Mapping) else {}
    several = list(inputs) if isinstance(inputs, Mapping | list | tuple | set | frozenset | Iterator) else [inputs]
    nameless = [it for it in several if not isinstance(it, str | os.PathLike)]
    if nameless:
        says = f"An input of type {type(nameless[0]).__name__} has no name."
        raise InputError(says, 'Give it one: inputs={"cases": cases}.')
    if wrong := next((name for name in variables if not str(name).isidentifier()), None):
        raise InputError(f"The input {wrong!r} is not the name of a variable.", "Use letters, digits and _.")
    written: dict[str, Any] = {name: given[name] for name in given if name in Options.__dataclass_fields__}
    for name in {"outputs", "tools"} & given.keys():
        written[name] = (given[name],) if isinstance(given[name], str) else tuple(given[name] or ())
    if given.get("directory") is not None:
        written["directory"] = os.fspath(given["directory"])
    written |= {"inputs": tuple(map(os.fspath, several)), "no_code": not given.get("code", True)}
    return checked(Options(**written, timeout_s=given.get("timeout"))), variables


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

TOOLS = [f"{__name__}:ask_about_data"]
"""Found by `jupyter-server-mcp`: they run in the Jupyter server, whose environment counts."""


async def ask_about_data(question: str, directory: str, inputs: list[str] | None = None) -> dict[str, Any]:
    """Ask for an analysis of data files; code runs, and the files it makes are saved in the directory.

    `directory` is the notebook's, absolute, `inputs` are files below it. Gives the answer's text, status, code and
    saved files, or the error, which says what to do. A question that was asked before is answered from its recording.
    """

    def answered() -> dict[str, Any]:
        folder = Path(directory).resolve()
        paths = [(folder / name).resolve() for name in inputs or ()]
        if outside := [path for path in paths if not path.is_relative_to(folder)]:
            raise InputError(f"{outside[0]} is outside the directory.", "Copy it there first.")
        with contextlib.closing(Session(None, AssistantMagics(), folder)) as session:
            options = Options(inputs=tuple(map(str, paths)))
            asked = turn_run.read(session, options, question, session.next_run(), {}, from_code=True)
            answer = turn_run.answer_question(session, asked)
        files = {name: str(file.path) for name, file in answer.files.items()}
        return {"text": answer.text, "status": answer.status, "code": answer.code, "files": files}

    try:
        return await asyncio.to_thread(answered)
    except (AssistantError, OSError) as error:
        return {"error": str(error)}
