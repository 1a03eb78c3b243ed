"""`%assistant doctor`: print what was looked at; with `--live` ask one small real question, after a yes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant.config import AssistantMagics
from ipython_assistant.core.redaction import redactor
from ipython_assistant.core.usage import ContainerUse, Tokens, billed_by, cost, dollars, in_words, tokens_of
from ipython_assistant.errors import AssistantError
from ipython_assistant.health_checks import Check, examine, in_lines
from ipython_assistant.options import Options
from ipython_assistant.session import Session
from ipython_assistant.turn_run import ask_alone
from ipython_assistant.workspace.secrets import report_redactor, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import Settings

EXPECTED_USE = Tokens(input=4_000, output=800)
PROMPT = """\
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
SQUARES = "n,square\n" + "".join(f"{n},{n * n}\n" for n in range(1, 6))


def run_doctor(
    session: Session,
    *,
    live: bool = False,
    confirm: Callable[[str], str] = input,
    environment: Mapping[str, str] = os.environ,
) -> bool:
    """Print what was found; with `live` also ask a small real question, and print a report to send to somebody.

    Args:
        session: Its settings are used; the question is asked in a session and a folder of its own.
        live: Whether to ask.
        confirm: Asks the person whether to; anything but a yes is a no, nobody there included.
        environment: Where keys and addresses are.

    Returns:
        Whether nothing is wrong.
    """
    checks = examine(session, environment)
    # An error's own words may repeat what was sent. Names of machines and folders are of use to the person here.
    print(redactor(secrets_of(environment))(in_lines(checks)))  # noqa: T201 plain text is what was asked for
    if live:
        settings = session.settings
        payee = billed_by(settings.service, environment.get("OPENAI_BASE_URL", ""))
        print(f"\n{price(settings, payee)}")  # noqa: T201 as above
        if not _agreed(confirm):
            print("Nothing was asked.")  # noqa: T201 as above
            return _well(checks)
        checks = (*checks, *_outcome(session.traits, payee))
        report = f"\nReport (made to be sent to somebody: check it first)\n{in_lines(checks)}"
        print(report_redactor(settings.notebook_dir, environment)(report))  # noqa: T201 as above
    return _well(checks)


def price(settings: Settings, payee: str) -> str:
    """What the question is expected to cost."""
    containers = [ContainerUse(settings.policy.memory or "1g")]
    spent = cost(EXPECTED_USE, settings.model, containers=containers, service=payee)
    known = "nothing" if spent.tokens == 0 else f"about {dollars(spent.tokens or 0)}"
    tokens = "an unknown amount" if spent.tokens is None else known
    container = f", and at most {dollars(spent.containers)} for a container" if spent.containers else ""
    asked = f"{settings.model or 'the model found here'} at {settings.service}"
    return f"One small question will be asked: {asked}. It costs {tokens}{container}."


def _well(checks: Iterable[Check]) -> bool:
    return all(check.ok is not False for check in checks)


def _agreed(confirm: Callable[[str], str]) -> bool:
    try:
        return confirm("Ask it? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError, RuntimeError):  # a notebook that runs by itself
        return False


def _outcome(traits: AssistantMagics, payee: str) -> tuple[Check, ...]:
    from IPython.utils.capture import capture_output

    own = AssistantMagics()
    for name in traits.trait_names(config=True):
        setattr(own, name, getattr(traits, name))
    own.mode = "live"
    with tempfile.TemporaryDirectory(prefix="ipython_assistant-", ignore_cleanup_errors=True) as folder:
        session = Session(None, own, Path(folder))
        try:
            with capture_output():
                return tuple(_findings(ask_alone(session, Options(), PROMPT), payee))
        except AssistantError as error:
            found = _findings(error.answer, payee) if error.answer is not None else []
            problem = f"{type(error).__name__}: {error.message}"
            return (Check("question", ok=False, says=problem, cure=error.hint), *found)
        finally:
            session.close()


def _findings(answer: Answer, payee: str) -> list[Check]:
    files = {artifact.name: artifact.path for artifact in answer.artifacts}
    table = files["squares.csv"].read_text(encoding="utf-8").replace("\r", "") if "squares.csv" in files else "missing"
    right, used = table == SQUARES, tokens_of(answer.usage)
    model = f"{answer.status}; model {answer.turn.model}"
    says = "as expected" if right else repr(table[:100])
    missing = "; ".join(f"{file.name}: {file.reason}" for file in answer.failed) or "none"
    return [
        Check("question", ok=answer.status == "completed", says=model),
        Check("code", ok=bool(answer.calls), says=", ".join(call.status for call in answer.calls) or "none"),
        Check("table", ok=right, says=f"squares.csv: {says}"),
        Check("figure", ok="squares.png" in files, says=f"files: {', '.join(files) or 'none'}"),
        Check("missing files", ok=not answer.failed, says=missing),
        Check("used", ok=None, says=in_words(used, cost(used, answer.turn.model, service=payee))),
    ]
