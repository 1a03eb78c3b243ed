"""What `%%assistant` and the commands of `%assistant` do."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipython_assistant import turn_run
from ipython_assistant.config import origins
from ipython_assistant.core.code_cell import code_cell
from ipython_assistant.core.providers import BASIC, address_of
from ipython_assistant.core.usage import cost_of, in_words, prices_with, tokens_of, total_in_words
from ipython_assistant.core.wording import counted, did_you_mean, disk_reason, printable, size_in_words
from ipython_assistant.display.grid import file_table, overview
from ipython_assistant.display.live import front_end, publish
from ipython_assistant.doctor import run_doctor
from ipython_assistant.errors import AssistantError, OptionError
from ipython_assistant.fix import fix_last_cell, insert_cell
from ipython_assistant.options import option_help, parse_options, split_line
from ipython_assistant.report import write_report
from ipython_assistant.service.model_servers import models_here
from ipython_assistant.who_answers import A_REAL_MODEL, other_services_recorded, with_answerer
from ipython_assistant.workspace.assistants import assistant_folders, confirm, list_assistants, load_assistant, shown
from ipython_assistant.workspace.folder import made_files, remove_left_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import Settings
    from ipython_assistant.core.artifacts import MadeFile
    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.usage import Price
    from ipython_assistant.session import Session
    from ipython_assistant.workspace.assistants import SavedAssistant


WHAT_TO_WRITE = """\
Write your question below the first line:

%%assistant -i coverage.csv
Plot coverage by year for District B and save the mean per district as by_district.csv

%%assistant --help lists the options."""
REPLAYED = "from the recording, at no cost"


@dataclass(frozen=True, slots=True)
class Command:
    """A command of `%assistant`: `run` takes the words after its name, and `usage` shows their form."""

    run: Callable[[Session, Sequence[str]], object]
    help: str
    usage: str = ""


def ask_cell(session: Session, line: str, body: str) -> Answer | None:
    """Ask the question in a cell; without one, show the help or say what to write. Raises an `AssistantError`."""
    try:
        names = session.visible()
        options = parse_options(line, body, names)
        if options.help or options.help_all or not body.strip():
            asked = options.help or options.help_all
            print(option_help(everything=options.help_all) if asked else WHAT_TO_WRITE)  # noqa: T201 plain text is what was asked for
            return None
        front = front_end(session.shell)
        question = turn_run.read(session, options, body.strip(), front.cell_id or session.next_run(), names)
        if options.dry_run:
            print(turn_run.dry_run(session, question))  # noqa: T201 as above
            return None
        return turn_run.answer_question(session, question, turn_run.Viewer(front), fresh=options.fresh)
    except KeyboardInterrupt:
        session.last_error = turn_run.interrupted()
        raise session.last_error from None
    except AssistantError as error:
        session.last_error = error
        raise


def run_command(session: Session, line: str) -> None:
    """Carry out one `%assistant` line. Raises `OptionError`, with the nearest word, where the command is unknown."""
    words = split_line(line)
    name = words[0] if words else "help"
    command = COMMANDS.get(name)
    if command is None:
        cure = f"Commands: {', '.join(COMMANDS)}. A question needs %%assistant."
        raise OptionError(f"There is no command {name!r}.", did_you_mean(name, COMMANDS, before="%assistant ") + cure)
    if words[1:] and not command.usage:
        raise OptionError(f"%assistant {name} takes no further words.", f"Write: %assistant {name}")
    command.run(session, words[1:])


def _help(_session: Session, _words: Sequence[str]) -> None:
    calls = {f"{name} {command.usage}".strip(): command.help for name, command in COMMANDS.items()}
    width = max(map(len, calls))
    lines = [f"%assistant {call:<{width}} {text}" for call, text in calls.items()]
    print("\n".join([*lines, "", option_help()]))  # noqa: T201 plain text is what was asked for


def _status(session: Session, _words: Sequence[str]) -> None:
    for name, (value, origin) in status_of(session).items():
        print(f"{name:<12} {value}" + (f"  ({origin})" if origin else ""))  # noqa: T201 as above


def status_of(session: Session) -> dict[str, tuple[str, str]]:
    """Who answers, where files go and what runs, for a person to read: each value, and where it comes from."""
    settings, by = session.settings, origins(session.traits, session.environment())
    engines = [connection for connection in session.connections if connection.engine_pid is not None]
    running = [f"process {engine.engine_pid}, sandbox: {engine.sandbox}" for engine in engines if engine.usable]
    last, answered = session.conversations.last, "none yet"
    if last is not None and last.ended is not None:
        how = "from the recording of" if last.replayed else f"by {last.model or last.provider},"
        answered = f"{how} {last.ended:%Y-%m-%d %H:%M} UTC"
    mode = settings.mode, by.get("mode", "")
    if settings.mode == "auto" and other_services_recorded(settings, session.recordings(settings)):
        mode = "replay", "there is no key of the service whose answers are recorded here"
    return {
        "service": (settings.service, by.get("service", "")),
        **_models(session, settings, by.get("model", "")),
        "mode": mode,
        "files": (str(settings.save_dir), by.get("save_dir", "")),
        "engine": ("; ".join(running) or "not running", ""),
        "buttons": (settings.buttons, by.get("buttons", "")),
        "last answer": (answered, session.last.asked_because),
    }


def _models(session: Session, settings: Settings, by: str) -> dict[str, tuple[str, str]]:
    """The model that answers, its address, and the other models on this machine."""
    environment = session.environment()
    if settings.service != "local":
        address = environment.get({"openai": "OPENAI_BASE_URL", "azure": "AZURE_OPENAI_ENDPOINT"}[settings.service], "")
        return {"model": (settings.model or "not named", by), **({"address": (address, "")} if address else {})}
    try:
        chosen = with_answerer(settings, environment, session.choose_model)
    except AssistantError as error:
        return {"model": (error.message, error.hint)}
    rows = {"model": (chosen.model, by or chosen.answerer), "shared": (chosen.shared, "")}
    if address := address_of(chosen.model, environment):
        rows["address"] = (address, "")
    others = [name for name in (models_here(environment) if settings.find_models else ()) if name != chosen.model]
    rows["models here"] = (", ".join(others) or "no others", A_REAL_MODEL if chosen.model == BASIC else "")
    return rows


def _files(session: Session, words: Sequence[str]) -> None:
    flags = _flags("files", words, ("--prune", "--yes"))
    if flags == {"--yes"}:
        raise OptionError("--yes says yes to --prune.", "Write: %assistant files --prune --yes")
    folder = session.folder(session.settings)
    try:
        found, (_, damaged) = made_files(folder), folder.store.summaries()
    except FileNotFoundError:
        found, damaged = [], []
    except OSError as error:
        publish(file_table((), [f"The recordings in {folder.href('.turns')} cannot be read: {disk_reason(error)}."]))
        return
    left = [entry for entry in found if entry.left_over]
    remarks = [f"The recording {item.name} cannot be read: {item.reason}." for item in damaged]
    nothing = "Nothing to remove: every file that was made here is shown by a cell, or was changed since."
    if "--yes" in flags:
        reasons = [(made, remove_left_over(folder, made)) for made in left]
        found = [replace(made, state="gone", left_over=False) for made, reason in reasons if not reason]
        remarks = [f"{made.name} was not removed: {reason}." for made, reason in reasons if reason]
        remarks += [f"Removed: {_amount(found)}."] if found else []
        remarks = remarks or [nothing]
    elif "--prune" in flags:
        found = left
        remarks += [f"To remove: {_amount(left)}. Write: %assistant files --prune --yes" if left else nothing]
    elif left:
        remarks.append(f"Left over from earlier answers: {_amount(left)}. See: %assistant files --prune")
    elif not found:
        remarks.append(f"No files were made in {folder.href('')}.")
    publish(file_table(found, remarks))


def _amount(listed: Sequence[MadeFile]) -> str:
    return f"{counted(len(listed), 'file')}, {size_in_words(sum(made.size for made in listed))}"


def _containers(session: Session, words: Sequence[str]) -> None:
    containers = session.connect(session.settings).containers
    listed = containers.overview()
    if not words:
        lines = [f"{one.container_id}  {one.status:<8} {'used here' if one.ours else ''}".rstrip() for one in listed]
        print("\n".join(lines) or "There are no containers.")  # noqa: T201 plain text is what was asked for
        return
    if words[0] != "--delete":
        _flags("containers", words[:1], ("--delete",))
    named = words[1:] or [one.container_id for one in listed if one.ours]
    for container_id in named:
        containers.delete(container_id)
        print(f"Deleted {container_id}: its files and variables are gone; what was saved stays.")  # noqa: T201 as above
    if not named:
        print("This notebook has no containers to delete.")  # noqa: T201 as above


def _show(session: Session, words: Sequence[str]) -> None:
    if words:
        turn_run.show_by_id(session, words[0])
    elif session.last.answer is not None:
        session.last.answer.display()
    else:
        print("There is no answer yet.")  # noqa: T201 as above


def _new(session: Session, _words: Sequence[str]) -> None:
    session.begin_anew()
    print("The next question begins the conversation anew.")  # noqa: T201 as above


def _history(session: Session, _words: Sequence[str]) -> None:
    told = [(name or "notebook", one.turns) for name, one in session.conversations.by_name.items()]
    rows = [
        (where, cell, turn.prompt, ", ".join(file.name for file in turn.artifacts), turn.status, _used(session, turn))
        for where, turns in (*told, ("none", session.conversations.outside))
        for cell, turn in turns
    ]
    header = ("conversation", "cell", "question", "files", "status", "cost")
    publish(overview(header, rows, [] if rows else ["Nothing was asked yet."]))


def _conversations(session: Session, _words: Sequence[str]) -> None:
    threads = [(name or "notebook", one.turns) for name, one in session.conversations.by_name.items() if one.turns]
    rows = [(name, len(turns), turns[-1][1].prompt) for name, turns in threads]
    remarks = [] if rows else ["There are no conversations yet."]
    publish(overview(("conversation", "turns", "last question"), rows, remarks, (1,)))


def _cost(session: Session, _words: Sequence[str]) -> None:
    turns = session.conversations.turns
    asked = [turn for _, turn in turns if not turn.replayed]
    spent = [cost_of(turn, *_prices(session)) for turn in asked]
    rows = [(cell, turn.prompt, _used(session, turn)) for cell, turn in turns if not turn.replayed]
    remarks = list(dict.fromkeys(remark for money in spent for remark in (money.note, money.reason) if remark))
    if asked:
        rows.append(("", "In all", total_in_words(asked, *_prices(session))))
    if len(turns) > len(asked):
        remarks.append(f"Answered from recordings, at no cost: {len(turns) - len(asked)}.")
    publish(overview(("cell", "question", "used"), rows, remarks or ([] if rows else ["Nothing was asked yet."])))


def _used(session: Session, turn: PlacedTurn) -> str:
    return REPLAYED if turn.replayed else in_words(tokens_of(turn.turn.usage), cost_of(turn, *_prices(session)))


def _prices(session: Session) -> tuple[Mapping[str, Price], str]:
    return prices_with(session.traits.prices), session.environment().get("OPENAI_BASE_URL", "")


def _assistants(session: Session, words: Sequence[str]) -> None:
    folders = assistant_folders(session.notebook_dir)
    if words:
        _flags("assistants", words[:1], ("--confirm",))
        _confirm_assistant(load_assistant(" ".join(words[1:]), folders))
        return
    rows = [(listed.name, shown(listed.path), listed.summary) for listed in list_assistants(folders)]
    remark = f"There are no saved assistants. They are TOML files in {shown(folders[0])} or {shown(folders[1])}."
    publish(overview(("assistant", "file", "instructions"), rows, [] if rows else [remark]))


def _confirm_assistant(assistant: SavedAssistant) -> None:
    print(printable(assistant.path.read_text(encoding="utf-8-sig")))  # noqa: T201 it is what is confirmed
    try:
        agreed = input(f"Use {assistant.name} as it is above? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError, RuntimeError) as error:
        own = assistant_folders(assistant.path)[1]
        says = "Only a person can confirm an assistant, and this notebook runs without one."
        cure = f"Open the notebook in JupyterLab, or move {assistant.path.name} to {shown(own)}."
        raise OptionError(says, cure) from error
    if agreed:
        confirm(assistant)
    print("Confirmed, until its file changes." if agreed else "Not confirmed.")  # noqa: T201 as above


def _code(session: Session, _words: Sequence[str]) -> None:
    last = session.conversations.last
    there = [path.name for path in session.notebook_dir.iterdir()]
    text = code_cell(last, session.visible(), session.notebook_dir, there) if last is not None else ""
    if not text:
        raise OptionError("The last answer ran no code.", "Ask with %%assistant first.")
    insert_cell(session, text)


def _traceback(session: Session, _words: Sequence[str]) -> None:
    error = session.last_error
    print("".join(traceback.format_exception(error)) if error else "There was no error.")  # noqa: T201 as above


COMMANDS: Mapping[str, Command] = {
    "status": Command(_status, "Show who answers, where files go, and what runs on this machine."),
    "doctor": Command(
        lambda session, _: run_doctor(session, session.environment()),
        "Look whether everything is there, and say what to do.",
    ),
    "files": Command(_files, "List the files made here; or remove those no cell refers to.", "[--prune [--yes]]"),
    "retry": Command(lambda session, _: turn_run.retry(session), "Fetch again the last answer's missing files."),
    "show": Command(_show, "Show the last answer, or a response of the service, with its files.", "[RESPONSE_ID]"),
    "code": Command(_code, "Insert the code of the last answer as a new cell below, with the inputs it needs."),
    "fix": Command(
        lambda session, words: fix_last_cell(session, dry_run="--dry-run" in _flags("fix", words, ("--dry-run",))),
        "Explain the error of the last cell and insert the corrected cell.",
        "[--dry-run]",
    ),
    "report": Command(
        write_report,
        "Write questions, answers, figures and tables into one file.",
        "NAME.html|.md|.ipynb [-c CONVERSATION]",
    ),
    "history": Command(_history, "List the turns of each conversation: cell, question, files, tokens and cost."),
    "conversations": Command(_conversations, "List the conversations; -c NAME goes on with one."),
    "new": Command(_new, "Let the next question continue from nothing, as --new does."),
    "cost": Command(_cost, "Add up tokens, container time and money; replayed turns cost nothing."),
    "containers": Command(
        _containers, "List the containers at the service; or delete those this notebook used.", "[--delete [ID ...]]"
    ),
    "assistants": Command(_assistants, "List the saved assistants; or trust one that came here.", "[--confirm NAME]"),
    "traceback": Command(_traceback, "Show the whole stack of the last error."),
    "help": Command(_help, "Show this text."),
}


def _flags(command: str, words: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """The words after a command. Raises `OptionError` where the command does not know one."""
    for word in words:
        if word not in known:
            meant = did_you_mean(word, known)
            usage = COMMANDS[command].usage
            raise OptionError(f"%assistant {command} takes no {word!r}.", f"{meant}Write: %assistant {command} {usage}")
    return frozenset(words)
