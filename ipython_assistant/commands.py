"""What `%%assistant` and the commands of `%assistant` do."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipython_assistant import turn_run
from ipython_assistant.answerer import A_REAL_MODEL, models_here, with_answerer
from ipython_assistant.config import origins
from ipython_assistant.core.code_cell import code_cell
from ipython_assistant.core.providers import BASIC, provider_of
from ipython_assistant.core.usage import cost_of, in_words, prices_with, tokens_of, total_in_words
from ipython_assistant.core.wording import counted, did_you_mean, disk_reason, printable, size_in_words
from ipython_assistant.display import buttons
from ipython_assistant.display.file_table import file_table
from ipython_assistant.display.live import front_end, publish
from ipython_assistant.display.overview import overview
from ipython_assistant.errors import AssistantError, OptionError
from ipython_assistant.fix import fix_last_cell
from ipython_assistant.options import option_help, parse_options, split_line
from ipython_assistant.replay_policy import other_services_recorded
from ipython_assistant.workspace.assistants import assistant_folders, confirm, list_assistants, load_assistant, shown
from ipython_assistant.workspace.made_files import made_files, remove_left_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import Settings
    from ipython_assistant.core.artifacts import MadeFile
    from ipython_assistant.core.usage import Price
    from ipython_assistant.session import Session
    from ipython_assistant.workspace.assistants import SavedAssistant
    from ipython_assistant.workspace.folder import Folder


WHAT_TO_WRITE = """\
Write your question below the first line:

%%assistant -i coverage.csv
Plot coverage by year for District B and save the mean per district as by_district.csv

%%assistant --help lists the options."""
REPLAYED = "from the recording, at no cost"


@dataclass(frozen=True, slots=True)
class Command:
    """What one word after `%assistant` does.

    Attributes:
        run: Does it; its docstring is the command's help. It is given the words after the command's name.
        usage: The words that may follow, as the help shows them; none, and none may.
    """

    run: Callable[[Session, Sequence[str]], None]
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
        return turn_run.ask(session, question, turn_run.Viewer(front), fresh=options.fresh)
    except KeyboardInterrupt:
        session.last_error = turn_run.interrupted()
        raise session.last_error from None
    except AssistantError as error:
        session.last_error = error
        raise


def run_command(session: Session, line: str) -> None:
    """Carry out one `%assistant` line.

    Raises:
        OptionError: There is no such command, or it takes no such word; the nearest one is named.
    """
    words = split_line(line)
    name = words[0] if words else "help"
    command = COMMANDS.get(name)
    if command is None:
        meant = did_you_mean(name, COMMANDS, before="%assistant ")
        raise OptionError(
            f"There is no command {name!r}.", f"{meant}Commands: {', '.join(COMMANDS)}. A question needs %%assistant."
        )
    if words[1:] and not command.usage:
        raise OptionError(f"%assistant {name} takes no further words.", f"Write: %assistant {name}")
    command.run(session, words[1:])


def _help(_session: Session, _words: Sequence[str]) -> None:
    """Show this text."""
    calls = {f"{name} {command.usage}".strip(): command.run.__doc__ or "" for name, command in COMMANDS.items()}
    width = max(map(len, calls))
    lines = [f"%assistant {call:<{width}} {doc.strip()}" for call, doc in calls.items()]
    print("\n".join([*lines, "", option_help()]))  # noqa: T201 plain text is what was asked for


def _status(session: Session, _words: Sequence[str]) -> None:
    """Show who answers, where files go, and what runs on this machine."""
    rows = [(name, value, f"  ({origin})" if origin else "") for name, (value, origin) in status_of(session).items()]
    print("\n".join(f"{name:<12} {value}{origin}" for name, value, origin in rows))  # noqa: T201 as above


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
        "buttons": (buttons.wanted_in_words(settings.buttons), by.get("buttons", "")),
        "last answer": (answered, session.last.asked_because),
    }


def _models(session: Session, settings: Settings, by: str) -> dict[str, tuple[str, str]]:
    """Who answers, at which address, and what else could on this machine."""
    environment = session.environment()
    if settings.service != "local":
        address = environment.get({"openai": "OPENAI_BASE_URL", "azure": "AZURE_OPENAI_ENDPOINT"}[settings.service], "")
        return {"model": (settings.model or "none is named", by), **({"address": (address, "")} if address else {})}
    try:
        chosen = with_answerer(settings, environment, session.choose_model)
    except AssistantError as error:
        return {"model": (error.message, error.hint)}
    provider = provider_of(chosen.model)
    rows = {"model": (chosen.model, by or chosen.answerer), "shared": (chosen.shared, "")}
    if provider is not None:
        rows["address"] = (provider.address_in(environment), "")
    others = [name for name in (models_here(environment) if settings.find_models else ()) if name != chosen.model]
    rows["models here"] = (", ".join(others) or "no others", A_REAL_MODEL if chosen.model == BASIC else "")
    return rows


def _files(session: Session, words: Sequence[str]) -> None:
    """List the files that were made here; with --prune those no cell refers to any more, with --yes remove them."""
    flags = _flags("files", words, ("--prune", "--yes"))
    if "--yes" in flags and "--prune" not in flags:
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
    if "--yes" in flags:
        publish(file_table(*_removed(folder, left)))
    elif "--prune" in flags:
        to_do = f"To remove: {_amount(left)}. Write: %assistant files --prune --yes" if left else _NOTHING_LEFT_OVER
        publish(file_table(left, [*remarks, to_do]))
    else:
        if left:
            remarks.append(f"Left over from earlier answers: {_amount(left)}. See: %assistant files --prune")
        if not found:
            remarks.append(f"No files were made in {folder.href('')}.")
        publish(file_table(found, remarks))


def _retry(session: Session, _words: Sequence[str]) -> None:
    """Fetch again the files of the last answer that could not be had, while its container lives."""
    turn_run.retry(session)


def _containers(session: Session, words: Sequence[str]) -> None:
    """List the containers at the service; with --delete those that this notebook used, or those that are named."""
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
    """Show the last answer again, complete or not; or the one with this id, fetched from the service if need be."""
    if words:
        turn_run.show_by_id(session, words[0])
    elif session.last.answer is None:
        print("There is no answer yet.")  # noqa: T201 as above
    else:
        session.last.answer.display()


def _new(session: Session, _words: Sequence[str]) -> None:
    """Let the next question continue from nothing, as --new does."""
    session.begin_anew()
    print("The next question begins the conversation anew.")  # noqa: T201 as above


def _fix(session: Session, words: Sequence[str]) -> None:
    """Explain the error of the last cell and insert the corrected cell; with --dry-run show what would be sent."""
    fix_last_cell(session, dry_run="--dry-run" in _flags("fix", words, ("--dry-run",)))


def _history(session: Session, _words: Sequence[str]) -> None:
    """List the turns of each conversation, and those outside: cell, question, files, tokens and what they cost."""
    prices, base_url = _prices(session)
    told = [
        (name or "notebook", cell, turn)
        for name, conversation in session.conversations.by_name.items()
        for cell, turn in conversation.turns
    ]
    rows = [
        (
            where,
            cell,
            turn.prompt,
            ", ".join(artifact.name for artifact in turn.artifacts),
            turn.status,
            REPLAYED if turn.replayed else in_words(tokens_of(turn.turn.usage), cost_of(turn, prices, base_url)),
        )
        for where, cell, turn in (*told, *(("none", cell, turn) for cell, turn in session.conversations.outside))
    ]
    header = ("conversation", "cell", "question", "files", "status", "cost")
    publish(overview(header, rows, [] if rows else ["Nothing was asked yet."]))


def _conversations(session: Session, _words: Sequence[str]) -> None:
    """List the conversations; -c NAME goes on with one."""
    rows = [
        (name or "notebook", len(conversation.turns), conversation.turns[-1][1].prompt)
        for name, conversation in session.conversations.by_name.items()
        if conversation.turns
    ]
    publish(overview(("conversation", "turns", "last question"), rows, [] if rows else ["There are none yet."], (1,)))


def _cost(session: Session, _words: Sequence[str]) -> None:
    """Add up tokens, container time and money, turn by turn and in all; replayed turns cost nothing."""
    (prices, base_url), turns = _prices(session), session.conversations.turns
    asked = [(cell, turn) for cell, turn in turns if not turn.replayed]
    spent = [(cell, turn, cost_of(turn, prices, base_url)) for cell, turn in asked]
    rows = [(cell, turn.prompt, in_words(tokens_of(turn.turn.usage), money)) for cell, turn, money in spent]
    remarks = list(dict.fromkeys(remark for _, _, money in spent for remark in (*money.notes, money.reason) if remark))
    replayed = len(turns) - len(asked)
    if asked:
        rows.append(("", "In all", total_in_words((turn for _, turn in asked), prices, base_url)))
    if replayed:
        remarks.append(f"Answered from recordings, at no cost: {replayed}.")
    publish(overview(("cell", "question", "used"), rows, remarks or ([] if rows else ["Nothing was asked yet."])))


def _prices(session: Session) -> tuple[Mapping[str, Price], str]:
    return prices_with(session.traits.prices), session.environment().get("OPENAI_BASE_URL", "")


def _assistants(session: Session, words: Sequence[str]) -> None:
    """List the saved assistants; with --confirm NAME, trust one that came with the notebook."""
    folders = assistant_folders(session.notebook_dir)
    if words:
        _flags("assistants", words[:1], ("--confirm",))
        _confirm_assistant(load_assistant(" ".join(words[1:]), folders))
        return
    rows = [
        (listed.name, shown(listed.path), listed.reason or listed.first_line + " (hidden by another)" * listed.hidden)
        for listed in list_assistants(folders)
    ]
    remark = f"There are none. They are TOML files in {shown(folders[0])} or {shown(folders[1])}."
    publish(overview(("assistant", "file", "instructions"), rows, [] if rows else [remark]))


def _confirm_assistant(assistant: SavedAssistant) -> None:
    print(printable(assistant.path.read_text(encoding="utf-8-sig")))  # noqa: T201 it is what is confirmed
    try:
        agreed = input(f"Use {assistant.name} as it is above? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError, RuntimeError) as error:
        own = assistant_folders(assistant.path)[1]
        raise OptionError(
            "An assistant is confirmed by a person, and there is none to ask here.",
            f"Open the notebook in JupyterLab, or move {assistant.path.name} to {shown(own)}.",
        ) from error
    if agreed:
        confirm(assistant)
    print("Confirmed, until its file changes." if agreed else "Not confirmed.")  # noqa: T201 as above


def _code(session: Session, _words: Sequence[str]) -> None:
    """Insert the code of the last answer as a new cell below, with the inputs it needs."""
    last = session.conversations.last
    there = [path.name for path in session.notebook_dir.iterdir()]
    text = code_cell(last, session.visible(), session.notebook_dir, there) if last is not None else ""
    if not text:
        raise OptionError("The last answer ran no code.", "Ask with %%assistant first.")
    if session.shell is None or not front_end(session.shell).live:
        print(text)  # noqa: T201 nobody would see a new cell
    else:
        session.shell.set_next_input(text, replace=False)


def _doctor(session: Session, _words: Sequence[str]) -> None:
    """Look whether everything is there, and say what to do."""
    from ipython_assistant.doctor import run_doctor

    run_doctor(session, session.environment())


def _traceback(session: Session, _words: Sequence[str]) -> None:
    """Show the whole stack of the last error."""
    error = session.last_error
    text = "".join(traceback.format_exception(error)) if error is not None else "There was no error."
    print(text)  # noqa: T201 as above


COMMANDS: Mapping[str, Command] = {
    "status": Command(_status),
    "files": Command(_files, "[--prune [--yes]]"),
    "retry": Command(_retry),
    "containers": Command(_containers, "[--delete [ID ...]]"),
    "show": Command(_show, "[RESPONSE_ID]"),
    "code": Command(_code),
    "fix": Command(_fix, "[--dry-run]"),
    "history": Command(_history),
    "conversations": Command(_conversations),
    "new": Command(_new),
    "cost": Command(_cost),
    "assistants": Command(_assistants, "[--confirm NAME]"),
    "doctor": Command(_doctor),
    "traceback": Command(_traceback),
    "help": Command(_help),
}

_NOTHING_LEFT_OVER = "Nothing to remove: every file that was made here is shown by a cell, or was changed since."


def _removed(folder: Folder, left: Sequence[MadeFile]) -> tuple[list[MadeFile], list[str]]:
    """Remove the files; gives those that are gone now, and what is to be said."""
    reasons = [(made, remove_left_over(folder, made)) for made in left]
    gone = [replace(made, state="gone", left_over=False) for made, reason in reasons if not reason]
    remarks = [f"{made.name} was not removed: {reason}." for made, reason in reasons if reason]
    if gone:
        remarks.append(f"Removed: {_amount(gone)}.")
    return gone, remarks or [_NOTHING_LEFT_OVER]


def _amount(listed: Sequence[MadeFile]) -> str:
    size = size_in_words(sum(made.size for made in listed))
    return f"{counted(len(listed), 'file')}, {size}"


def _flags(command: str, words: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """The words after a command, each of which has to be one of those it knows."""
    for word in words:
        if word not in known:
            meant = did_you_mean(word, known)
            usage = COMMANDS[command].usage
            raise OptionError(f"%assistant {command} takes no {word!r}.", f"{meant}Write: %assistant {command} {usage}")
    return frozenset(words)
