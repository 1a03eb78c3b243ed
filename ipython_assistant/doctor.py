"""`%assistant doctor`: is everything there? One line each, with what to do. It costs nothing and changes nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ipython_assistant.config import AD_TOKEN, KEYS
from ipython_assistant.core.providers import BASIC, GGUF, provider_of
from ipython_assistant.core.redaction import Redactor
from ipython_assistant.core.usage import last_day_of
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.errors import AssistantError, Refused, Unreachable
from ipython_assistant.lab import ANNOUNCEMENT, PROMISE
from ipython_assistant.service.accounts import connect_azure, connect_hosted
from ipython_assistant.service.connection import READY_WITHIN_S, Engine
from ipython_assistant.service.model_servers import fetched_models
from ipython_assistant.who_answers import A_REAL_MODEL, address_in_use
from ipython_assistant.workspace.recording_store import secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipython_assistant.config import Settings
    from ipython_assistant.session import Session

ANSWERS_WITHIN_S = 3.0
PACKAGES = ("ipython_assistant", "IPython", "ipykernel", "openai", "pandas", "matplotlib", "jupyterlab", "notebook")
INSTALL = "Install ipython_assistant in the environment JupyterLab runs in too, then start JupyterLab again."
FINE, WRONG, UNSURE = "ok", "NO", "--"


class Check(NamedTuple):
    """One line: is it as it should be (`UNSURE`, too, where it does not matter here), what was seen, what to do."""

    name: str
    ok: str
    says: str
    cure: str = ""


def examine(session: Session, environment: Mapping[str, str] = os.environ) -> tuple[Check, ...]:
    """Look at everything, side by side. A look that fails is a line, and does not hide the others."""
    try:
        settings = session.settings
    except AssistantError as error:
        return (_versions(), Check("settings", WRONG, error.message, error.hint))
    if settings.service == "local":
        looks = {"model": _models(session, settings, environment), "engine": _engine(environment)}
    else:
        looks = {"service": _service(settings, environment)}
    import_module("openai")  # it may take longer than a request
    pool = ThreadPoolExecutor(len(looks))
    futures = {name: pool.submit(list, look) for name, look in looks.items()}
    # A name that is looked up in vain may take longer than any limit of ours: it is not waited for.
    pool.shutdown(wait=False)
    at = f" at {host}" if (host := urlsplit(address_in_use(settings, environment)).hostname) else ""
    says = f"{settings.service}{at}; model {settings.model or 'not named'}; mode {settings.mode}"
    found = [_versions(), Check("service", FINE, says)]
    for name, future in futures.items():
        limit_s = READY_WITHIN_S if name == "engine" else 2 * ANSWERS_WITHIN_S
        try:
            found += future.result(limit_s)
        except AssistantError as error:
            found.append(Check(name, WRONG, error.message, error.hint))
        except TimeoutError:
            found.append(Check(name, WRONG, f"no answer within {limit_s:g} s", "Check the network."))
        except Exception as error:  # noqa: BLE001 see the docstring
            found.append(Check(name, UNSURE, f"could not be looked at: {type(error).__name__}: {error}"))
    return (*found, _folder(settings), _server_extension(environment))


def run_doctor(session: Session, environment: Mapping[str, str] = os.environ) -> bool:
    """Print what was found: `ok`, `--` (cannot be told) or `NO`, with what to do below. Returns whether all is well."""
    checks, lines = examine(session, environment), []
    for check in checks:
        lines.append(f"{check.ok}  {check.name:<17} {check.says}")
        lines += [f"{'':<22}{check.cure}"] if check.cure and check.ok != FINE else []
    print(Redactor(secrets_of(environment))("\n".join(lines)))  # noqa: T201 an error may repeat what was sent
    return all(check.ok != WRONG for check in checks)


def _versions() -> Check:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    says = ", ".join([f"Python {platform.python_version()} on {platform.system()}", *map(" ".join, found.items())])
    right = FINE if found.get("openai", "").startswith("3.") else WRONG
    return Check("versions", right, says, "python -m pip install 'openai>=3,<4'")


def _service(settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    """The key of a hosted service, its model and its containers, by two requests."""
    name = KEYS[settings.service]
    name = AD_TOKEN if settings.service == "azure" and not environment.get(name) and environment.get(AD_TOKEN) else name
    if not (key := environment.get(name, "").strip()):
        yield Check("key", WRONG, f"{name} is not set", f"Set it where Jupyter is started. {A_REAL_MODEL}")
        return
    yield Check("key", FINE, f"{name}, {len(key)} characters")
    connect, answers = connect_azure if settings.service == "azure" else connect_hosted, list[Any]()
    with contextlib.closing(connect(environment, ANSWERS_WITHIN_S)) as patient:
        live = patient.once()
        for call, about in (("model", settings.model), ("list_containers", None)):
            try:
                answers.append(getattr(live, call)(about).json())
            except AssistantError as error:
                answers.append(error)
                if isinstance(error, Unreachable) or getattr(error, "status", None) == HTTPStatus.UNAUTHORIZED:
                    yield Check("reachable", WRONG, error.message, error.hint)
                    return
    yield Check("reachable", FINE, "it answers, and takes the key")
    yield _model(settings, answers[0])
    yield _containers(answers[1])


def _model(settings: Settings, answer: Any) -> Check:
    name = settings.model
    if settings.service == "azure":
        return Check("model", UNSURE, "Azure does not say which deployments there are: the first question will")
    if type(answer) is Refused and answer.status == HTTPStatus.NOT_FOUND:
        return Check("model", UNSURE, f"this server does not say whether it has {name}")
    if isinstance(answer, AssistantError):
        return Check("model", WRONG, answer.message, answer.hint)
    if ends := str(answer.get("shutdown_date") or "")[:10] or last_day_of(name):
        return Check("model", UNSURE, f"{name} is there until {ends}", "Choose another in time, with -m.")
    return Check("model", FINE, f"{name} is there")


def _containers(answer: Any) -> Check:
    if not isinstance(answer, AssistantError):
        return Check("code interpreter", FINE, "containers can be listed")
    says, cure = answer.message, answer.hint
    if type(answer) is Refused and answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        says = "this server has no containers, so it runs no code"
        cure = "Put a provider or an address in front of the model (-m http://HOST/v1/NAME): code then runs here."
    return Check("code interpreter", WRONG, says, cure)


def _models(session: Session, settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    """The servers on this machine with their models, and the model that answers."""
    here = session.models_here(settings)
    for server in here.servers:
        yield Check(server.title, FINE, f"{server.address}: {', '.join(model.name for model in server.models)}")
    chosen = session.with_answerer(settings, here)
    name, parts = chosen.model, urlsplit(address_in_use(chosen, environment))
    if name.startswith(GGUF) and name.removeprefix(GGUF) not in fetched_models(environment):
        yield Check("model", WRONG, f"{name} is not here", "ipython-assistant model list")
        return
    try:
        if parts.hostname:
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
            socket.create_connection((parts.hostname, port), ANSWERS_WITHIN_S).close()
        yield Check("model", UNSURE if name == BASIC else FINE, chosen.answerer, A_REAL_MODEL)
    except OSError:
        start = provider.start if (provider := provider_of(name)) else ""
        cure = f"Start it: {start}" if start else "Check the address and the network."
        yield Check("model", WRONG, f"nothing answers at {parts.netloc}", cure)


def _engine(environment: Mapping[str, str]) -> Iterator[Check]:
    engine = Engine(environment)
    try:
        ready = engine.ready()
        sandbox = f"{ready.sandbox} ({ready.reason})" if ready.reason else ready.sandbox
        yield Check("engine", FINE, f"it starts; sandbox: {sandbox}")
    finally:
        engine.stop()


def _folder(settings: Settings) -> Check:
    save_dir = settings.save_dir
    try:
        tempfile.TemporaryFile(dir=next(path for path in (save_dir, *save_dir.parents) if path.exists())).close()
    except OSError as error:
        cure = "Choose another: `%config AssistantMagics.save_dir = ...`, or --dir for one cell."
        return Check("folder", WRONG, f"{save_dir} cannot be written: {disk_reason(error)}", cure)
    return Check("folder", FINE, f"{save_dir} can be written")


def _server_extension(environment: Mapping[str, str]) -> Check:
    if environment.get(ANNOUNCEMENT) == PROMISE:
        return Check("server extension", FINE, "at work")
    if ANNOUNCEMENT in environment or "JPY_PARENT_PID" in environment or "JPY_SESSION_NAME" in environment:
        return Check("server extension", WRONG, "missing in this Jupyter server", INSTALL)
    return Check("server extension", UNSURE, "this is not a Jupyter server", INSTALL)
