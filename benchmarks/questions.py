"""How well, how fast and at what cost a model answers the kept prompts: by plans, by Python of its own, by both.

    python benchmarks/questions.py --server http://127.0.0.1:8090/v1 [--model NAME] [--set first ...] [--way plan ...]

The prompts and what is right for each are in `prompts`. `right` includes refusals that were due; `doubt` says that
the answer came with a sentence such as "I took the sum"; `silently wrong` came without one. With `--answers FILE` what
the model wrote is kept, and is not asked for again where the same messages come with a schema that it fits: a model
that always writes its likeliest word would write the same again, so that checks and code can be changed without it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from measure import ROOT, environment

sys.path.insert(0, str(ROOT))  # the checkout is not installed where only benchmarks run
from prompts.grading import SETS, TABLES, Axes, Entry, Outcome, grade, load_entries

from ipython_assistant.engine.models import Ask, ModelFailed, Refuse, Run, RunOutcome, Say, TokensUsed
from ipython_assistant.engine.models.basic import Basic, carry_out
from ipython_assistant.engine.models.chat_models import ChatModel
from ipython_assistant.engine.models.chat_server import ChatServer, Completion
from ipython_assistant.engine.models.free_python import FreePython
from ipython_assistant.engine.models.plan.reader import PlanReader

WAYS = ("plan", "python", "both", "basic")
COLUMNS = ("right", "right with doubt", "refused", "wrong with doubt", "silently wrong")
TIMEOUT = 120
"""Seconds that code may run."""


class Child:
    """A container's stand-in: a process that runs code in one folder after another and reads its figures."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("questions_child.py"))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, text=True)
        self.axes: list[dict[str, Any]] = []

    async def move(self, folder: Path) -> None:
        """Begin anew in a folder, without variables."""
        self.axes = []
        await self._sent({"folder": str(folder)})

    async def probe(self, code: str) -> str:
        """Run code that leaves nothing behind. Raises `RuntimeError`."""
        done = await self._sent({"code": code, "keep": False})
        if done["error"]:
            raise RuntimeError(done["error"])
        return done["printed"]

    async def run(self, code: str) -> RunOutcome:
        """Run code."""
        done = await self._sent({"code": code, "keep": True})
        self.axes += done["axes"]
        return RunOutcome(done["printed"], done["error"], len(done["axes"]), tuple(done["files"]))

    async def _sent(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        reading = asyncio.to_thread(self._process.stdout.readline)
        try:
            return json.loads(await asyncio.wait_for(reading, TIMEOUT))
        except (TimeoutError, ValueError):
            self._process.kill()
            raise RuntimeError("TimeoutError: the code did not come to an end") from None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Answers:
    """A chat server that answers from a file where it can, and keeps there what it is asked."""

    sees_pictures = False

    def __init__(self, server: ChatServer | None, path: Path | None) -> None:
        self._server = server
        self._path = path
        self._kept: dict[str, list[dict[str, Any]]] = {}
        self.by_other_schema = 0
        for line in path.read_text().splitlines() if path and path.exists() else ():
            one = json.loads(line)
            self._kept.setdefault(one["messages"], []).append(one)
        self.seconds = 0.0

    async def complete(
        self, messages: Any, *, schema: Any = None, max_tokens: int | None = None, options: Any = None
    ) -> Completion:
        """One completion."""
        key, form = (hashlib.sha256(json.dumps(one).encode()).hexdigest() for one in (messages, schema))
        kept = self._kept.get(key, [])
        for one in [*[one for one in kept if one.get("schema") == form], *reversed(kept)]:
            if schema is None or _fits(one["text"], schema):
                self.by_other_schema += one.get("schema") != form
                self.seconds += one["seconds"]
                return Completion(one["text"], TokensUsed(**one["usage"]))
        if self._server is None:
            raise ModelFailed("This question is not among the kept answers.", "Give --server.")
        start = time.perf_counter()
        settings = {"temperature": 0, **(options or {})}
        found = await self._server.complete(messages, schema=schema, max_tokens=max_tokens, options=settings)
        seconds = time.perf_counter() - start
        self.seconds += seconds
        usage = {"input": found.usage.input, "cached": found.usage.cached, "output": found.usage.output}
        one = {
            "messages": key,
            "schema": form,
            "last": messages[-1]["content"],
            "text": found.text,
            "usage": usage,
            "seconds": seconds,
        }
        self._kept.setdefault(key, []).append(one)
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps(one) + "\n")
        return found

    async def stream(self, messages: Any, **settings: Any) -> Any:
        """The same, as free Python asks: all at once."""
        found = await self.complete(messages, **settings)
        yield found.text
        yield found


def _fits(text: str, schema: Any) -> bool:
    try:
        jsonschema.validate(json.loads(text), schema)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


@dataclass
class Answered:
    """What came of one prompt."""

    verdict: str
    doubt: bool
    seconds: float
    tokens: int
    said: str

    @property
    def column(self) -> str:
        """Its column in the table."""
        if self.verdict == "refused":
            return "refused"
        with_doubt = {"right": "right with doubt", "wrong": "wrong with doubt"}
        return with_doubt[self.verdict] if self.doubt else {"right": "right", "wrong": "silently wrong"}[self.verdict]


async def answered(entry: Entry, way: str, answers: Answers, name: str, child: Child) -> Answered:
    """Ask one prompt in one way."""
    with tempfile.TemporaryDirectory() as place:
        for table in entry.tables:
            shutil.copy(TABLES / table, place)
        await child.move(Path(place))
        return await _answered(entry, way, answers, name, child, Path(place))


async def _answered(  # noqa: C901, PLR0917 one loop over the steps
    entry: Entry, way: str, answers: Answers, name: str, child: Child, folder: Path
) -> Answered:
    ask = Ask(entry.text, entry.tables)
    answers.seconds = 0.0
    said, logs, refused, tokens, doubt, files = "", "", False, 0, False, {}
    programs: list[Any] = []
    if way == "plan":
        try:
            outcome, used = await PlanReader(answers, {}).read(ask, child)
        except ModelFailed as problem:
            outcome, used = str(problem), TokensUsed()
        tokens = used.output
        programs = outcome if isinstance(outcome, list) else []
        refused, said = not programs, "" if programs else repr(outcome)[:300]
        steps = carry_out(programs, child)
    elif way == "basic":
        steps = Basic().answer(ask, child)
    elif way == "python":
        steps = FreePython(answers, ask, child, on_this_machine=True).answer()
    else:

        async def connect() -> Any:
            return answers

        steps = ChatModel(name, connect).answer(ask, child)
    failed = False
    try:
        async for step in steps:
            if isinstance(step, Say):
                said += step.text
            elif isinstance(step, Refuse):
                refused, said = True, said + step.text
            elif isinstance(step, TokensUsed):
                tokens += step.output
            elif isinstance(step, Run):
                step.outcome = ran = await child.run(step.code)
                logs += ran.logs
                failed = ran.error is not None
                said += f"\n{ran.error}" if failed else ""
                files |= {one: (folder / one).read_bytes() for one in ran.files if (folder / one).is_file()}
    except (ModelFailed, RuntimeError) as problem:
        failed, said = True, f"{said}\n{problem}"
    axes = tuple(Axes(**{field: _tuples(part) for field, part in one.items()}) for one in child.axes)
    status = "failed" if failed else "refused" if refused else "completed"
    verdict = grade(entry, Outcome(status, said, logs, files, axes))
    doubt = "I took " in said
    return Answered(verdict, doubt, answers.seconds, tokens, said)


def _tuples(part: Any) -> Any:
    if isinstance(part, list):
        return tuple(_tuples(one) for one in part)
    return float("nan") if part is None else part


async def main() -> None:
    """Ask every prompt, print one line each and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="base URL of a server of chat completions")
    parser.add_argument("--model", default="model", help="the model, as the server calls it")
    parser.add_argument("--set", nargs="+", choices=list(SETS), default=["first", "second"])
    parser.add_argument("--way", nargs="+", choices=WAYS, default=["plan", "python", "both"])
    parser.add_argument("--only", nargs="+", default=[], help="ids of prompts")
    parser.add_argument("--every", type=int, default=1, help="only each so-many-th prompt")
    parser.add_argument("--answers", type=Path, help="a file that keeps what the model writes")
    parser.add_argument("--verbose", action="store_true", help="print the answers that are not right")
    given = parser.parse_args()
    server = ChatServer(given.server, given.model, kind="unknown") if given.server else None
    answers = Answers(server, given.answers)
    rows, child = [], Child()
    for which in given.set:
        entries = [one for one in load_entries(which) if not given.only or one.id in given.only][:: given.every]
        for way in given.way if entries else ():
            found: list[Answered] = []
            for entry in entries:
                one = await answered(entry, way, answers, f"{given.model}-1b", child)
                found.append(one)
                print(f"{way:<7} {entry.id:<22} {one.column:<17} {one.seconds:6.1f} s  {entry.text[:70]}", flush=True)
                if given.verbose and not one.column.startswith("right"):
                    print("        " + one.said.strip().replace("\n", "\n        ")[:1500])
            rows.append((which, way, found))
    child.close()
    if answers.by_other_schema:
        print(f"\n{answers.by_other_schema} answers were kept from another schema, which they fit as well.")
    print(f"\n{'set':<8}{'way':<8}{'n':>4}" + "".join(f"{name:>18}" for name in COLUMNS) + f"{'s':>8}{'tokens':>8}")
    for which, way, found in rows:
        counts = Counter(one.column for one in found)
        asked = [one for one in found if one.seconds] or found
        seconds, tokens = (statistics.median(getattr(one, part) for one in asked) for part in ("seconds", "tokens"))
        shares = "".join(f"{counts[name]:>11} ({100 * counts[name] / len(found):2.0f} %)" for name in COLUMNS)
        print(f"{which:<8}{way:<8}{len(found):>4}{shares}{seconds:>8.1f}{tokens:>8.0f}")


if __name__ == "__main__":
    asyncio.run(main())
