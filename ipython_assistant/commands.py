"""What `%%assistant` and the commands of `%assistant` do."""

from __future__ import annotations

import contextlib
import re
import traceback
from dataclasses import replace
from os import environ
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant import turn_run
from ipython_assistant.core.code_cell import code_cell
from ipython_assistant.core.providers import BASIC
from ipython_assistant.core.redaction import Redactor
from ipython_assistant.core.usage import cost_of, in_words, prices_with, tokens_of, total_in_words
from ipython_assistant.core.wording import counted, did_you_mean, disk_reason, printable, size_in_words
from ipython_assistant.display.escaping import one_line
from ipython_assistant.display.grid import FileLink, overview
from ipython_assistant.display.live import front_end, publish
from ipython_assistant.doctor import run_doctor
from ipython_assistant.errors import AssistantError, InputError, OptionError
from ipython_assistant.options import Options, option_help, parse_options, split_line
from ipython_assistant.report import write_report
from ipython_assistant.who_answers import A_REAL_MODEL, address_in_use, find_models, other_services_recorded
from ipython_assistant.workspace.assistants import (
    assistant_folders,
    confirm,
    list_assistants,
    load_assistant,
    shown,
    summary_of,
)
from ipython_assistant.workspace.folder import made_files, remove_left_over
from ipython_assistant.workspace.frames import kind_of_frame, table_in_words, table_of
from ipython_assistant.workspace.local_secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.answer import Answer
    from ipython_assistant.core.artifacts import MadeFile
    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.usage import Price
    from ipython_assistant.session import Session

WHAT_TO_WRITE = """\
Write your question below the first line:

%%assistant -i coverage.csv
Plot coverage by year for District B and save the mean per district as by_district.csv

%%assistant --help lists the options."""
FIX_IT = """\
This cell of a notebook failed. Say in one or two sentences why, then give the whole corrected cell as one block of
Python. Do not run it.

```python
{code}
```

{error}
{frames}"""
FILE_HEADER = ("file", "state", "size", "asked", "model", "when (UTC)")
_BLOCK = re.compile(r"^```(?:python|py)?[ \t]*\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)


class Command(NamedTuple):
    """A command of `%assistant`: `run` takes the words after its name, and `usage` shows their form."""

    run: Callable[[Session, Sequence[str]], object]
    help: str
    usage: str = ""


def ask_cell(session: Session, line: str, body: str) -> Answer | None:
    """Ask the question in a cell; without one, show the help or say what to write. Raises an `AssistantError`."""
    try:
        names = session.visible()
        options = parse_options(line, body)
        if options.help or options.help_all or not body.strip():
            asked = options.help or options.help_all
            print(option_help(everything=options.help_all) if asked else WHAT_TO_WRITE)
            return None
        front = front_end(session.shell)
        question = turn_run.read(session, options, body.strip(), front.cell_id or session.next_run(), names)
        if options.dry_run:
            print(turn_run.dry_run(session, question))
            return None
        return turn_run.answer_question(session, question, front)
    except KeyboardInterrupt:
        session.last_error = turn_run.interrupted()
        raise session.last_error from None
    except AssistantError as error:
        session.last_error = error
        raise


def run_command(session: Session, line: str) -> None:
    """Carry out one `%assistant` line. Raises `OptionError`, with the right form, where it is wrong."""
    name, *words = split_line(line) or ["help"]
    command = COMMANDS.get(name)
    if command is None:
        cure = f"Commands: {', '.join(COMMANDS)}. A question needs %%assistant."
        raise OptionError(f"There is no command {name!r}.", did_you_mean(name, COMMANDS, before="%assistant ") + cure)
    # A word in capitals stands for the user's own.
    usage, own = command.usage.strip("[]").split(), bool(re.search("[A-Z]", command.usage))
    if wrong := [word for word in words if word not in usage and (word.startswith("--") or not own)]:
        cure = f"Write: %assistant {name} {command.usage}".rstrip()
        raise OptionError(f"%assistant {name} takes no {wrong[0]!r}.", cure)
    command.run(session, words)


def _help(_session: Session, _words: Sequence[str]) -> None:
    calls = {f"{name} {command.usage}".strip(): command.help for name, command in COMMANDS.items()}
    width = max(map(len, calls))
    lines = [f"%assistant {call:<{width}} {text}" for call, text in calls.items()]
    print("\n".join([*lines, "", option_help()]))


def _status(session: Session, _words: Sequence[str]) -> None:
    settings = session.settings
    rows = {"service": settings.service, "model": settings.model or "not named"}
    if settings.service == "local":
        here = find_models(settings, environ)
        try:
            settings = session.with_answerer(settings, here)
        except AssistantError as error:
            rows["model"] = f"{error.message} {error.hint}"
        else:
            others = ", ".join(name for name in here.names if name != settings.model) or "no others"
            rows["model"] = f"{settings.model}  ({settings.answerer})" if settings.answerer else settings.model
            rows["shared"] = settings.shared
            rows["models here"] = f"{others}  ({A_REAL_MODEL})" if settings.model == BASIC else others
    rows["address"] = address_in_use(settings, environ)
    rows["mode"] = settings.mode
    if settings.mode == "auto" and other_services_recorded(settings, session.recordings(settings)):
        rows["mode"] = "replay  (there is no key of the service whose answers are recorded here)"
    rows["files"] = str(settings.save_dir)
    engines = [connection for connection in session.connections if connection.engine_pid is not None]
    running = [f"process {engine.engine_pid}, sandbox: {engine.sandbox}" for engine in engines if engine.usable]
    rows["engine"] = "; ".join(running) or "not running"
    rows["last answer"] = "none yet"
    if (last := session.conversations.last) is not None and last.ended is not None:
        how = "from the recording of" if last.replayed else f"by {last.model or last.provider},"
        rows["last answer"] = f"{how} {last.ended:%Y-%m-%d %H:%M} UTC"
    print("\n".join(f"{name:<12} {value}" for name, value in rows.items() if value))


def _files(session: Session, words: Sequence[str]) -> None:
    folder = session.recordings(session.settings).folder
    try:
        found, (_, damaged) = made_files(folder), folder.store.summaries()
    except FileNotFoundError:
        found, damaged = [], []
    except OSError as error:
        publish(overview((), [], [f"The recordings in {folder.href('.turns')} cannot be read: {disk_reason(error)}."]))
        return
    remarks = [f"The recording {item.name} cannot be read: {item.reason}." for item in damaged]
    left = [made for made in found if made.left_over]
    if words:
        reasons = {made.name: remove_left_over(folder, made) for made in left}
        found = [replace(made, state="gone", left_over=False) for made in left if not reasons[made.name]]
        remarks = [f"{name} was not removed: {reason}." for name, reason in reasons.items() if reason]
        remarks += [f"Removed: {counted(len(found), 'file')}."] if found else []
        remarks = remarks or ["Nothing to remove: every file made here is shown by a cell, or was changed since."]
    elif left:
        amount = f"{counted(len(left), 'file')}, {size_in_words(sum(made.size for made in left))}"
        remarks.append(f"Left over from earlier answers: {amount}. To remove them: %assistant files --prune")
    elif not found:
        remarks.append(f"No files were made in {folder.href('')}.")
    publish(overview(FILE_HEADER, list(map(_file_row, found)), remarks, right=(2,)))


def _file_row(made: MadeFile) -> tuple[object, ...]:
    name = made.name if made.state == "gone" else FileLink(one_line(made.name), made.name, made.href)
    state = "left over" if made.left_over else "changed since" if made.state == "changed" else made.state
    if (recording := made.recording) is None:
        return name, state, "", "", "", ""
    ended = recording.ended[: len("2026-01-15T09:30")].replace("T", " ")
    return name, state, size_in_words(made.size), recording.prompt, recording.model, ended


def _containers(session: Session, words: Sequence[str]) -> None:
    containers = session.connect(session.settings).containers
    listed = containers.overview()
    lines = [f"{name}  {status:<8} {'used here' if is_ours else ''}".rstrip() for name, status, is_ours in listed]
    if words:
        lines = []
        for container_id in [name for name, _, is_ours in listed if is_ours]:
            containers.delete(container_id)
            lines.append(f"Deleted {container_id}; the files saved from it stay.")
    print("\n".join(lines) or "There are none.")


def _show(session: Session, words: Sequence[str]) -> None:
    if words:
        turn_run.show_response(session, session.connect(session.settings).wire.retrieve(words[0]).json())
    elif session.last_answer is not None:
        session.last_answer.display()
    else:
        print("There is no answer yet.")


def _new(session: Session, _words: Sequence[str]) -> None:
    session.begin_anew()
    print("The next question begins the conversation anew.")


def _history(session: Session, _words: Sequence[str]) -> None:
    rows = []
    for name, turns in (*session.conversations.by_name.items(), ("none", session.conversations.outside)):
        for cell, turn in turns:
            files = ", ".join(file.name for file in turn.artifacts)
            rows.append((name or "notebook", cell, turn.prompt, files, turn.status, _used(session, turn)))
    header = ("conversation", "cell", "question", "files", "status", "cost")
    publish(overview(header, rows, [] if rows else ["Nothing was asked yet."]))


def _conversations(session: Session, _words: Sequence[str]) -> None:
    told = session.conversations.by_name.items()
    rows = [(name or "notebook", len(turns), turns[-1][1].prompt) for name, turns in told]
    remarks = [] if rows else ["There are no conversations yet."]
    publish(overview(("conversation", "turns", "last question"), rows, remarks, (1,)))


def _cost(session: Session, _words: Sequence[str]) -> None:
    turns, prices = session.conversations.turns, _prices(session)
    asked = [(cell, turn) for cell, turn in turns if not turn.replayed]
    rows = [(cell, turn.prompt, _used(session, turn)) for cell, turn in asked]
    remarks = list(dict.fromkeys(note for _, turn in asked if (note := cost_of(turn, *prices).note)))
    if asked:
        rows.append(("", "In all", total_in_words([turn for _, turn in asked], *prices)))
    if replayed := len(turns) - len(asked):
        remarks.append(f"Answered from recordings, at no cost: {replayed}.")
    publish(overview(("cell", "question", "used"), rows, remarks if turns else ["Nothing was asked yet."]))


def _used(session: Session, turn: PlacedTurn) -> str:
    if turn.replayed:
        return "from the recording, at no cost"
    return in_words(tokens_of(turn.turn.usage), cost_of(turn, *_prices(session)))


def _prices(session: Session) -> tuple[Mapping[str, Price], str]:
    return prices_with(session.traits.prices), environ.get("OPENAI_BASE_URL", "")


def _assistants(session: Session, words: Sequence[str]) -> None:
    """List the saved assistants; or show one and ask whether it may be used."""
    folders = assistant_folders(session.notebook_dir)
    if not words:
        rows = [(name, shown(path), summary_of(name, folders)) for name, path in list_assistants(folders).items()]
        remark = f"There are no saved assistants. They are TOML files in {shown(folders[0])} or {shown(folders[1])}."
        publish(overview(("assistant", "file", "instructions"), rows, [] if rows else [remark]))
        return
    assistant = load_assistant(" ".join(word for word in words if word != "--confirm"), folders)
    print(printable(assistant.path.read_text(encoding="utf-8-sig")))
    try:
        agreed = input(f"Use {assistant.name} as it is above? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError, RuntimeError) as error:
        says = "Only a person can confirm an assistant, and this notebook runs without one."
        cure = f"Open it in JupyterLab, or move {assistant.path.name} to {shown(folders[1])}."
        raise OptionError(says, cure) from error
    if agreed:
        confirm(assistant)
    print("Confirmed, until its file changes." if agreed else "Not confirmed.")


def _code(session: Session, _words: Sequence[str]) -> None:
    last = session.conversations.last
    there = [path.name for path in session.notebook_dir.iterdir()]
    text = code_cell(last, session.visible(), session.notebook_dir, there) if last is not None else ""
    if not text:
        raise OptionError("The last answer ran no code.", "Ask with %%assistant first.")
    _insert_cell(session, text)


def _fix(session: Session, words: Sequence[str]) -> None:
    """Ask why the last cell failed, and insert the corrected cell; sends code, error and columns of its tables."""
    result: Any = getattr(session.shell, "last_execution_result", None)
    namespace = session.visible()
    error = (result.error_before_exec or result.error_in_exec) if result is not None else None
    if error is None:
        raise OptionError("The last cell ended without an error.", "Run a cell that fails, then %assistant fix.")
    if isinstance(error, AssistantError):
        raise OptionError(f"The last error says what to do: {error.message}", error.hint or "Correct the cell.")
    code = str(result.info.raw_cell).strip()
    at = [line for frame, line in walk_tb(error.__traceback__) if frame.f_globals.get("__name__") == "__main__"]
    number = error.lineno if isinstance(error, SyntaxError) else next(iter(at), None)
    frames = []
    for name in sorted(namespace.keys() & set(re.findall(r"[^\W\d]\w*", code))):
        with contextlib.suppress(InputError):  # a table that no file can hold has no columns to name
            if kind_of_frame(namespace[name]):
                frames.append(f"{name}: {table_in_words(table_of(namespace[name], name))}")
    error_line = f"{type(error).__name__}{f', line {number}' if number else ''}: {error}"
    asked = FIX_IT.format(code=code, error=error_line, frames="\n".join(frames)).strip()
    asked = Redactor(secrets_of(environ))(asked)
    question = turn_run.read(session, Options(no_code=True), asked, session.cell_of_ask(), {}, from_code=True)
    if words:
        print(turn_run.dry_run(session, question))
        return
    answer = turn_run.answer_question(session, question, front_end(session.shell))
    if block := _BLOCK.search(answer.text):
        _insert_cell(session, block["code"].rstrip())


def _insert_cell(session: Session, code: str) -> None:
    """Insert code as a new cell below; print it where no live front end would show one."""
    if session.shell is not None and front_end(session.shell).live:
        session.shell.set_next_input(code, replace=False)
    else:
        print(code)


def _traceback(session: Session, _words: Sequence[str]) -> None:
    error = session.last_error
    print("".join(traceback.format_exception(error)) if error else "There was no error.")


COMMANDS: Mapping[str, Command] = {
    "status": Command(_status, "Show who answers, where files go, and what runs on this machine."),
    "doctor": Command(lambda session, _: run_doctor(session), "Look whether everything is there."),
    "files": Command(_files, "List the files made here; or remove those left over.", "[--prune]"),
    "retry": Command(lambda session, _: turn_run.retry(session), "Fetch again the last answer's missing files."),
    "show": Command(_show, "Show the last answer, or a response of the service, with its files.", "[RESPONSE_ID]"),
    "code": Command(_code, "Insert the code of the last answer as a new cell below, with the inputs it needs."),
    "fix": Command(_fix, "Explain the error of the last cell and insert the corrected cell.", "[--dry-run]"),
    "report": Command(write_report, "Write all answers into one file.", "NAME.html|.ipynb"),
    "history": Command(_history, "List the turns of each conversation: cell, question, files, tokens and cost."),
    "conversations": Command(_conversations, "List the conversations; -c NAME goes on with one."),
    "new": Command(_new, "Let the next question continue from nothing, as --new does."),
    "cost": Command(_cost, "Add up tokens, container time and money; replayed turns cost nothing."),
    "containers": Command(_containers, "List the service's containers; or delete this notebook's.", "[--delete]"),
    "assistants": Command(_assistants, "List the saved assistants; or confirm one.", "[--confirm NAME]"),
    "traceback": Command(_traceback, "Show the whole stack of the last error."),
    "help": Command(_help, "Show this text."),
}
