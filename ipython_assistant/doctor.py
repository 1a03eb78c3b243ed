"""`%assistant doctor`: is everything there? One line each, with what to do. It costs nothing and changes nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import tempfile
from http import HTTPStatus
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ipython_assistant.config import AD_TOKEN, KEYS
from ipython_assistant.core.providers import BASIC, GGUF, provider_of
from ipython_assistant.core.redaction import Redactor
from ipython_assistant.core.usage import last_day_of
from ipython_assistant.core.wording import disk_reason
from ipython_assistant.errors import AssistantError, Refused, Unreachable
from ipython_assistant.lab import ANNOUNCEMENT, PROMISE
from ipython_assistant.service.accounts import connect_azure, connect_hosted
from ipython_assistant.service.engine_process import Engine
from ipython_assistant.service.model_servers import fetched_models
from ipython_assistant.who_answers import A_REAL_MODEL, address_in_use, find_models
from ipython_assistant.workspace.local_secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipython_assistant.config import Settings
    from ipython_assistant.session import Session

ANSWERS_WITHIN_S = 3.0
PACKAGES = ("ipython_assistant", "IPython", "ipykernel", "openai", "pandas", "matplotlib", "jupyterlab", "notebook")
FINE, WRONG, UNSURE = "ok", "NO", "--"


class Check(NamedTuple):
    """One line: is it as it should be (`UNSURE`, too, where it does not matter here), what was seen, what to do."""

    name: str
    ok: str
    says: str
    cure: str = ""


def examine(session: Session, environment: Mapping[str, str] = os.environ) -> list[Check]:
    """Look at everything. A look that fails is a line, and does not hide the others."""
    settings, versions = session.settings, {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    says = ", ".join([f"Python {platform.python_version()} on {platform.system()}", *map(" ".join, versions.items())])
    right = FINE if versions.get("openai", "").startswith("3.") else WRONG
    found = [Check("versions", right, says, "python -m pip install 'openai>=3,<4'")]
    at = f" at {host}" if (host := urlsplit(address_in_use(settings, environment)).hostname) else ""
    says = f"{settings.service}{at}; model {settings.model or 'not named'}; mode {settings.mode}"
    found.append(Check("service", FINE, says))
    looks = {"reachable": _hosted_service(settings, environment)}
    if settings.service == "local":
        looks = {"model": _models(session, settings, environment), "engine": _engine(environment)}
    for name, look in looks.items():
        try:
            found.extend(look)
        except AssistantError as error:
            found.append(Check(name, WRONG, error.message, error.hint))
        except Exception as error:  # noqa: BLE001 see the docstring
            found.append(Check(name, UNSURE, f"could not be looked at: {type(error).__name__}: {error}"))
    return [*found, _folder(settings), _server_extension(environment)]


def run_doctor(session: Session, environment: Mapping[str, str] = os.environ) -> bool:
    """Print what was found: `ok`, `--` (cannot be told) or `NO`, with what to do below. Returns whether all is well."""
    checks, lines = examine(session, environment), []
    for check in checks:
        lines.append(f"{check.ok}  {check.name:<17} {check.says}")
        lines += [f"{'':<22}{check.cure}"] if check.cure and check.ok != FINE else []
    print(Redactor(secrets_of(environment))("\n".join(lines)))  # noqa: T201 an error may repeat what was sent
    return all(check.ok != WRONG for check in checks)


def _hosted_service(settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    azure = settings.service == "azure"
    with contextlib.closing((connect_azure if azure else connect_hosted)(environment, ANSWERS_WITHIN_S)) as patient:
        name = next((name for name in (KEYS[settings.service], AD_TOKEN) if environment.get(name, "").strip()), "")
        yield Check("key", FINE, f"{name}, {len(environment[name].strip())} characters" if name else "by Entra ID")
        patient.retries = False
        containers = Check("code interpreter", FINE, "containers can be listed")
        try:
            patient.list_containers(None)
        except AssistantError as error:
            if isinstance(error, Unreachable) or getattr(error, "status", None) == HTTPStatus.UNAUTHORIZED:
                raise
            containers = Check("code interpreter", WRONG, error.message, error.hint)
            if type(error) is Refused and error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
                cure = "Put an address in front of the model (-m http://HOST/v1/NAME): code then runs here."
                containers = containers._replace(says="this server has no containers, so it runs no code", cure=cure)
        yield Check("reachable", FINE, "it answers, and takes the key")
        yield containers
        if azure:
            yield Check("model", UNSURE, "Azure does not say which deployments there are: the first question will")
            return
        try:
            ends = patient.model(settings.model).json().get("shutdown_date") or last_day_of(settings.model)
        except AssistantError as error:
            untold = Check("model", UNSURE, f"this server does not say whether it has {settings.model}")
            unknown = type(error) is Refused and error.status == HTTPStatus.NOT_FOUND
            yield untold if unknown else Check("model", WRONG, error.message, error.hint)
            return
        says = f"{settings.model} is there" + (f" until {str(ends)[:10]}" if ends else "")
        yield Check("model", UNSURE if ends else FINE, says, "Choose another in time, with -m.")


def _models(session: Session, settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    here = find_models(settings, environment)
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
        provider = provider_of(name)
        cure = f"Start it: {provider.start}" if provider and provider.start else "Check the address and the network."
        yield Check("model", WRONG, f"nothing answers at {parts.netloc}", cure)


def _engine(environment: Mapping[str, str]) -> Iterator[Check]:
    engine = Engine(environment)
    try:
        ready = engine.ready()
        yield Check("engine", FINE, f"it starts; sandbox: {ready.sandbox} ({ready.reason})".removesuffix(" ()"))
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
        cure = "Install ipython_assistant in the environment JupyterLab runs in too, then start JupyterLab again."
        return Check("server extension", WRONG, "missing in this Jupyter server", cure)
    return Check("server extension", UNSURE, "this is not a Jupyter server")
