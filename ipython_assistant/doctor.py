"""`%assistant doctor`: what is there, what is missing, and what to do about it; one line each.

Nothing here costs money and nothing is changed, except by `--live`, which asks first.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from ipython_assistant.config import KEYS, AssistantMagics
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.core.redaction import redactor
from ipython_assistant.core.usage import ContainerUse, Tokens, billed_by, cost, dollars, in_words, tokens_of
from ipython_assistant.errors import AssistantError, ModelUnknown, Refused, ServiceError, ToolNotAllowed, Unreachable
from ipython_assistant.lab import ANNOUNCEMENT, PROMISE
from ipython_assistant.options import Options
from ipython_assistant.service.client import LiveWire, connect_azure, connect_hosted
from ipython_assistant.service.local import READY_WITHIN_S, Engine
from ipython_assistant.session import Session
from ipython_assistant.turn_run import ask_alone
from ipython_assistant.workspace.secrets import report_redactor, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import Settings
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.service.wire import Reply

ANSWERS_WITHIN_S = 3.0
LOOKED_AT = ("ipython_assistant", "ipython", "ipykernel", "openai", "pandas", "matplotlib", "jupyterlab", "notebook")
LABEXTENSION = "ipython-assistant"
INSTALL = "Install ipython_assistant in the environment JupyterLab runs in too, then start JupyterLab again."
WITHOUT = 'or work without a service: `%config AssistantMagics.service = "local"`.'
SMALL_TURN = Tokens(input=4_000, output=800)
"""About what the turn of `--live` takes."""
LIVE_PROMPT = """\
Run this Python as it is, then link both files in one short sentence.

```python
import matplotlib.pyplot as plt
import pandas as pd

table = pd.DataFrame({"n": [1, 2, 3, 4, 5]})
table["square"] = table["n"] ** 2
table.to_csv("squares.csv", index=False)
table.plot(x="n", y="square")
plt.savefig("squares.png")
plt.close()
```"""
EXPECTED_ROWS = [["n", "square"], *([str(n), str(n * n)] for n in range(1, 6))]


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `ok` is None where it cannot be told, or does not matter here; `cure` is what to do."""

    name: str
    ok: bool | None
    says: str
    cure: str = ""


def _ok(name: str, says: str) -> Check:
    return Check(name, ok=True, says=says)


def _no(name: str, says: str, cure: str) -> Check:
    return Check(name, ok=False, says=says, cure=cure)


def _unsure(name: str, says: str, cure: str = "") -> Check:
    return Check(name, ok=None, says=says, cure=cure)


class Examined(Protocol):
    """The session that is looked at, as far as that is needed."""

    traits: AssistantMagics

    @property
    def settings(self) -> Settings:
        """What the next cell would run with."""
        ...

    def connect(self, settings: Settings) -> Connection:
        """The connection the next cell would use; starts the engine where it answers."""
        ...


def run_doctor(
    session: Examined,
    *,
    live: bool = False,
    confirm: Callable[[str], str] = input,
    environment: Mapping[str, str] = os.environ,
) -> bool:
    """Print what was found; with `live`, ask one small real question after a yes, and print a report of it.

    Returns:
        Whether nothing is wrong.
    """
    checks = examine(session, environment)
    # An error's own words may repeat what was sent. Names of machines and folders are of use to whoever sits here.
    print(redactor(secrets_of(environment))(in_lines(checks)))  # noqa: T201 plain text is what was asked for
    well = all(check.ok is not False for check in checks)
    if not live:
        return well
    settings = session.settings
    print(f"\n{_price(settings, environment)}")  # noqa: T201 as above
    if not _agreed(confirm):
        print("Nothing was asked.")  # noqa: T201 as above
        return well
    outcome = _small_turn(session, billed_by(settings.service, environment.get("OPENAI_BASE_URL", "")))
    print("\n" + report(checks, outcome, settings, environment))  # noqa: T201 as above
    return well and all(check.ok is not False for check in outcome)


def examine(
    session: Examined, environment: Mapping[str, str] = os.environ, timeout_s: float = ANSWERS_WITHIN_S
) -> tuple[Check, ...]:
    """Look at everything, side by side.

    Args:
        session: The session whose next cell is meant.
        environment: Where keys, addresses and the server's announcement are found.
        timeout_s: Seconds each request may take.
    """
    try:
        settings = session.settings
    except AssistantError as error:
        return (_versions(), _no("settings", error.message, error.hint))
    looks: list[tuple[str, float, Callable[[], Iterable[Check]]]] = [
        ("folder", timeout_s, lambda: [_folder(settings.save_dir)]),
        ("Jupyter", timeout_s, lambda: _jupyter(environment)),
    ]
    if settings.service == "local":
        looks.insert(0, ("engine", READY_WITHIN_S, lambda: _own_engine(session, settings)))
    else:
        looks.insert(0, ("service", 2 * timeout_s, lambda: _hosted(settings, environment, timeout_s)))
        looks.append(("engine", READY_WITHIN_S, lambda: [_spare_engine(environment, timeout_s)]))
    pool = ThreadPoolExecutor(len(looks), thread_name_prefix="ipython_assistant doctor")
    futures = [pool.submit(look) for _, _, look in looks]
    # A name that is looked up in vain may take longer than any time-out of ours: it is not waited for.
    pool.shutdown(wait=False)
    found = [
        check
        for (name, within_s, _), future in zip(looks, futures, strict=True)
        for check in _outcome(name, within_s, future)
    ]
    return (_versions(), _service(settings, environment), _key(settings.service, environment), *found)


def in_lines(checks: Iterable[Check]) -> str:
    """The checks as lines: `ok`, `--` (cannot be told) or `NO`, and below a `NO` what to do."""
    lines: list[str] = []
    marks = {True: "ok", False: "NO", None: "--"}
    for check in checks:
        lines.append(f"{marks[check.ok]}  {check.name:<17} {check.says}")
        if check.cure and check.ok is not True:
            lines.append(f"{'':<22}{check.cure}")
    return "\n".join(lines)


def report(
    checks: Iterable[Check], outcome: Iterable[Check], settings: Settings, environment: Mapping[str, str]
) -> str:
    """Everything as a text to send to somebody: no key, no name of a machine or an account, no path."""
    redact = report_redactor(settings.notebook_dir, environment)
    return redact(f"Report (made to be sent to somebody: check it first)\n{in_lines([*checks, *outcome])}")


# What is looked at. ---------------------------------------------------------------------------------------------------


def _versions() -> Check:
    found = {name: version for name in LOOKED_AT if (version := _version(name))}
    says = ", ".join(f"{name} {version}" for name, version in found.items())
    says = f"Python {platform.python_version()} on {platform.system()}, {says}"
    if found.get("openai", "").partition(".")[0] != "3":
        return _no("versions", says, "python -m pip install 'openai>=3,<4'")
    return _ok("versions", says)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _service(settings: Settings, environment: Mapping[str, str]) -> Check:
    name = {"openai": "OPENAI_BASE_URL", "azure": "AZURE_OPENAI_ENDPOINT"}.get(settings.service, "")
    host = urlsplit(environment.get(name, "")).hostname
    where = f" at {host}, by {name}" if host else ""
    return _ok("service", f"{settings.service}{where}; model {settings.model}; mode {settings.mode}")


def _key(service: str, environment: Mapping[str, str]) -> Check:
    name = KEYS.get(service)
    if name is None:
        return _ok("key", "none is needed: the embedded engine answers")
    key = environment.get(name, "")
    if not key.strip():
        return _no("key", f"{name} is not set", f"Set it where Jupyter is started, {WITHOUT}")
    says = f"{name}, set in the environment, {len(key.strip())} characters"
    if not key.strip().isascii() or any(mark in key.strip() for mark in "'\" \t\n"):
        return _no("key", says, "It holds blanks, quotation marks or letters no key has: copy it again.")
    return _ok("key", says)


def _hosted(settings: Settings, environment: Mapping[str, str], timeout_s: float) -> list[Check]:
    """The service, the model and the containers, by two requests at once."""
    try:
        connect = connect_azure if settings.service == "azure" else connect_hosted
        patient = connect(environment, timeout_s)
    except AssistantError as error:
        return [_no("reachable", error.message, error.hint)]
    live = patient.once()
    try:
        with ThreadPoolExecutor(2) as pool:
            model = pool.submit(_asked, lambda: live.model(settings.model))
            containers = pool.submit(_asked, lambda: live.list_containers(None))
            # At Azure the list of models is not the list of deployments.
            about_model = None if settings.service == "azure" else model.result()
            about_containers = containers.result()
            answers = [model.result(), about_containers]
    finally:
        patient.close()
    reached = _reachable(answers)
    if reached.ok is False:
        return [reached]
    if settings.service == "azure":
        model_check = _unsure("model", "Azure does not say which deployments there are: the first question will")
    else:
        model_check = _model(settings.model, about_model)
    return [reached, model_check, _containers(about_containers)]


def _own_engine(session: Examined, settings: Settings) -> list[Check]:
    try:
        connection = session.connect(settings)
        url = connection.engine_url
        says = _health(url, ANSWERS_WITHIN_S) if url is not None else "running"
    except AssistantError as error:
        return [_no("engine", error.message, error.hint)]
    except OSError as error:
        return [_no("engine", f"it does not answer: {error}", "Restart the kernel, then try again.")]
    checks = [_ok("engine", says)]
    live = connection.wire
    if isinstance(live, LiveWire):
        checks.append(_model(settings.model, _asked(lambda: live.once().model(settings.model))))
        checks.append(_containers(_asked(lambda: live.once().list_containers(None))))
    return checks


def _spare_engine(environment: Mapping[str, str], timeout_s: float) -> Check:
    """The embedded engine where it is not the one that answers: it is started, asked, and ended."""
    engine = Engine.start(environment)
    try:
        return _ok("engine", f"can be used: {_health(engine.ready().url, timeout_s)}")
    except (AssistantError, OSError) as error:
        says = error.message if isinstance(error, AssistantError) else f"it does not answer: {error}"
        return _unsure("engine", says, "It is needed only for work without a service.")
    finally:
        engine.stop()


def _health(url: str, timeout_s: float) -> str:
    parts = urlsplit(url)
    here = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with here.open(f"http://{parts.netloc}/health", timeout=timeout_s) as answer:
        said = json.load(answer)
    reason = f" ({said['reason']})" if said.get("reason") else ""
    return (
        f"it answers; sandbox: {said.get('sandbox', 'not said')}{reason}; models: {', '.join(said.get('models', ()))}"
    )


def _folder(save_dir: Path) -> Check:
    """Whether files could be written; nothing that is not there is made."""
    there = next(path for path in (save_dir, *save_dir.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        cure = "Choose another: `%config AssistantMagics.save_dir = ...`, or --dir for one cell."
        return _no("folder", f"{save_dir} cannot be written: {disk_reason(error)}", cure)
    return _ok("folder", f"{save_dir} can be written" + ("" if there == save_dir else " (it will be made)"))


def _jupyter(environment: Mapping[str, str]) -> list[Check]:
    from jupyter_core.paths import jupyter_path

    announced = environment.get(ANNOUNCEMENT)
    in_jupyter = announced is not None or "JPY_PARENT_PID" in environment or "JPY_SESSION_NAME" in environment
    if announced == PROMISE:
        server = _ok("server extension", "it is at work: rows of buttons are kept out of saved notebooks")
    elif in_jupyter:
        server = _no("server extension", "the Jupyter server does not have it: no rows of buttons", INSTALL)
    else:
        server = _unsure("server extension", "this is no kernel of a Jupyter server")
    places = [Path(folder) / LABEXTENSION / "package.json" for folder in jupyter_path("labextensions")]
    if any(place.is_file() for place in places):
        lab = _ok("labextension", "installed in this environment")
    else:
        lab = _unsure("labextension", "not in this environment, which matters only if JupyterLab is", INSTALL)
    return [server, lab]


# What requests tell. --------------------------------------------------------------------------------------------------


def _asked(call: Callable[[], Reply]) -> AssistantError | None:
    """Ask, and read the answer; gives what went wrong."""
    try:
        call().json()
    except AssistantError as error:
        return error
    return None


def _reachable(answers: list[AssistantError | None]) -> Check:
    """An answer that is a refusal is an answer, unless what was refused is the key."""
    for error in answers:
        if isinstance(error, Unreachable) or (error is not None and getattr(error, "status", None) in {None, 401}):
            return _no("reachable", error.message, error.hint)
    return _ok("reachable", "it answers, and takes the key")


def _model(name: str, error: AssistantError | None) -> Check:
    if error is None:
        return _ok("model", f"{name} is there")
    if isinstance(error, ModelUnknown) or not isinstance(error, Refused):
        return _no("model", error.message, error.hint)
    if error.status == 404:  # noqa: PLR2004 HTTP's own number
        return _unsure("model", f"this server does not say whether it has {name}")
    return _no("model", error.message, error.hint)


def _containers(error: AssistantError | None) -> Check:
    name = "code interpreter"
    if error is None:
        return _ok(name, "containers can be listed")
    if isinstance(error, ServiceError) and error.status in {404, 405} and not isinstance(error, ToolNotAllowed):
        says = "this server has no containers, so code interpreter and its files will not work"
        return _no(name, says, f"Set OPENAI_BASE_URL to a service that has them, {WITHOUT}")
    return _no(name, error.message, error.hint)


def _outcome(name: str, within_s: float, future: Future[Iterable[Check]]) -> Iterable[Check]:
    wait([future], within_s + ANSWERS_WITHIN_S)
    if not future.done():
        return [_no(name, f"no answer within {within_s + ANSWERS_WITHIN_S:g} s", "Check the network.")]
    error = future.exception()
    if error is not None:
        # A fault in one look must not hide the others.
        return [_unsure(name, f"could not be looked at: {type(error).__name__}: {error}")]
    return future.result()


# One real turn. -------------------------------------------------------------------------------------------------------


def _price(settings: Settings, environment: Mapping[str, str]) -> str:
    asked = f"One small question will be asked: {settings.model} at {settings.service}"
    containers = [ContainerUse(settings.policy.memory or "1g")]
    payee = billed_by(settings.service, environment.get("OPENAI_BASE_URL", ""))
    spent = cost(SMALL_TURN, settings.model, containers=containers, service=payee)
    if settings.service == "local":
        return f"{asked}. It costs nothing."
    tokens = "an amount that is not known here" if spent.tokens is None else f"about {dollars(spent.tokens)}"
    container = f", and at most {dollars(spent.containers)} for a container" if spent.containers else ""
    return f"{asked}. It costs {tokens}{container}."


def _agreed(confirm: Callable[[str], str]) -> bool:
    try:
        return confirm("Ask it? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError, RuntimeError):
        # A notebook that runs without anybody watching has nobody to say yes.
        return False


def _small_turn(session: Examined, payee: str) -> tuple[Check, ...]:
    """Ask in a session of its own, in a directory that is gone afterwards."""
    from IPython.utils.capture import capture_output

    with tempfile.TemporaryDirectory(prefix="ipython_assistant-", ignore_cleanup_errors=True) as folder:
        asked = Session(None, _always_asks(session.traits), Path(folder))
        try:
            with capture_output():
                answer = ask_alone(asked, Options(), LIVE_PROMPT)
            return (_ok("question", "answered"), *_findings(answer, payee))
        except AssistantError as error:
            problem = _no("question", f"{type(error).__name__}: {error.message}", error.hint)
            return (problem, *(_findings(error.answer, payee) if error.answer is not None else ()))
        finally:
            asked.close()


def _always_asks(traits: AssistantMagics) -> AssistantMagics:
    """The same settings, except that nothing is answered from a recording."""
    own = AssistantMagics()
    for name in traits.trait_names(config=True):
        setattr(own, name, getattr(traits, name))
    own.mode = "live"
    return own


def _findings(answer: Answer, payee: str) -> list[Check]:
    kinds = ", ".join(type(item).__name__ for item in answer.turn.items) or "none"
    files = {artifact.name: artifact.path for artifact in answer.artifacts}
    rows = _rows(files.get("squares.csv"))
    missing = "; ".join(f"{file.name}: {file.reason}" for file in answer.failed)
    used = tokens_of(answer.usage)
    return [
        Check("response", answer.status == "completed", f"{answer.status}; model {answer.turn.model}; items: {kinds}"),
        Check("code", bool(answer.calls), f"calls: {', '.join(call.status for call in answer.calls) or 'none'}"),
        Check("table", rows == EXPECTED_ROWS, f"squares.csv: {'as expected' if rows == EXPECTED_ROWS else rows}"),
        Check("figure", any(name.endswith(".png") for name in files), f"files: {', '.join(files) or 'none'}"),
        Check("missing files", not answer.failed, missing or "none"),
        _unsure("used", in_words(used, cost(used, answer.turn.model, service=payee))),
    ]


def _rows(path: Path | None) -> list[list[str]] | None:
    if path is None:
        return None
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace")[:10_000])))
