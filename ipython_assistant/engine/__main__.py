"""`python -m ipython_assistant.engine`: serve until the owner is gone, or a signal says stop.

As a child of a notebook's kernel it prints one line of JSON when it is ready, and ends when its standard input closes
or its parent changes: the first is prompt, the second helps where a forked process of the owner holds the pipe open.
`--standing` is for one that several share: it says on standard error how to reach it, and ends at a signal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.container import MAX_CONTAINERS
from ipython_assistant.engine.limit_monitor import GIB, default_limits
from ipython_assistant.engine.models import ModelFailed
from ipython_assistant.engine.models.chat_models import OfferedModels, add_model_options
from ipython_assistant.engine.sandbox import SANDBOX_KINDS
from ipython_assistant.engine.server import EngineOptions, running_engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.engine.server import EngineAddress

PARENT_POLL_S: Final = 0.5
FINISH_S: Final = 10.0
TOKEN: Final = "IPYTHON_ASSISTANT_TOKEN"  # noqa: S105 - the variable's name

_STDIN: Final = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engine; return its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("tornado.access").setLevel(logging.INFO if given.log_requests else logging.CRITICAL)
    try:
        models = OfferedModels(given.models, os.environ, every=given.any_model, silence_s=given.silence)
        asyncio.run(_serve(models, _options(given, os.environ), standing=given.standing))
    except (ValueError, ModelFailed, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipython_assistant.engine",
        description="A Responses API with a code interpreter, on this machine's loopback address.",
    )
    add = parser.add_argument
    add("--standing", action="store_true", help="go on when standard input ends; stop at a signal")
    add("--port", type=int, default=0, help="port to listen on (default: a free one)")
    add("--token-file", type=Path, metavar="PATH", help=f"file with the token (or set {TOKEN})")
    add("--log-requests", action="store_true", help="log one line for each request, without what was asked")
    add_model_options(parser)
    add = parser.add_argument_group("what code may do").add_argument
    kinds = ["auto", *SANDBOX_KINDS]
    add("--sandbox", choices=kinds, default="auto", help="how code is confined (default: best)")
    usual = default_limits()
    add("--memory", type=_size, default=usual.memory_bytes, metavar="SIZE", help="of one container, such as 4g")
    add("--disk", type=_size, default=usual.disk_bytes, metavar="SIZE", help="of one container, such as 8g")
    add("--cpu-time", type=float, default=usual.cpu_s, metavar="SECONDS", help="processor time of one run")
    add("--containers", type=int, default=MAX_CONTAINERS, metavar="N", help="how many at once")
    return parser


def _options(given: argparse.Namespace, environment: Mapping[str, str]) -> EngineOptions:
    """What the arguments say; raises OSError where the file with the token cannot be read."""
    token = environment.get(TOKEN, "")
    if given.token_file is not None:
        token = given.token_file.read_text().strip()
    return EngineOptions(
        port=given.port,
        token=token,
        sandboxes=SANDBOX_KINDS if given.sandbox == "auto" else (given.sandbox,),
        limits=replace(default_limits(), memory_bytes=given.memory, disk_bytes=given.disk, cpu_s=given.cpu_time),
        containers=given.containers,
        finish_s=FINISH_S if given.standing else 0.0,
    )


def _size(text: str) -> int:
    """Bytes: a number, with `m` or `g` behind it."""
    units = {"m": 1 << 20, "g": GIB}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    if not number.replace(".", "", 1).isdigit() or float(number) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write it as 512m or 4g")
    return int(float(number) * unit)


async def _serve(models: OfferedModels, options: EngineOptions, *, standing: bool) -> None:
    over, hurry = asyncio.Event(), asyncio.Event()
    _watch_signals(over, hurry, standing=standing)
    if not standing:
        _watch_owner(over)
    async with running_engine(models, options=options, hurry=hurry) as engine:
        sys.stdout.write(json.dumps(asdict(engine)) + "\n")
        sys.stdout.flush()
        if standing:
            sys.stderr.write(_welcome(engine))
        await over.wait()
    await models.close()


def _welcome(engine: EngineAddress) -> str:
    """How to use an engine, for the person who started it."""
    confined = f"by {engine.sandbox}" if engine.sandbox != "none" else "by nothing: it can do what you can"
    reason = f" ({engine.reason})" if engine.reason else ""
    return (
        f"Models: {', '.join(engine.models)}. Code is confined {confined}{reason}.\n"
        "For a notebook that is to use this engine:\n"
        f"  export OPENAI_BASE_URL={engine.url}\n"
        f"  export OPENAI_API_KEY={engine.token or '<your token>'}\n"
        "Stop it with Ctrl-C: answers that are being made are finished first; press it twice to stop at once.\n"
    )


def _watch_signals(over: asyncio.Event, hurry: asyncio.Event, *, standing: bool) -> None:
    """The first signal asks for an end in good order, the second for an end."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        (hurry if over.is_set() else over).set()

    # Ctrl-C in a terminal reaches the whole process group, and means the owner, unless a person started us by hand.
    interrupted = stop if standing or os.isatty(_STDIN) else lambda: None
    for number, action in ((signal.SIGTERM, stop), (signal.SIGINT, interrupted)):
        if sys.platform == "win32":
            signal.signal(number, lambda *_, action=action: loop.call_soon_threadsafe(action))
        else:
            loop.add_signal_handler(number, action)


def _watch_owner(over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    parent = os.getppid()

    def read_to_the_end() -> None:
        with contextlib.suppress(OSError):  # there may be no standard input at all
            while os.read(_STDIN, 4096):
                continue
        loop.call_soon_threadsafe(over.set)

    def look() -> None:
        if os.getppid() == parent:
            loop.call_later(PARENT_POLL_S, look)
        else:
            over.set()

    threading.Thread(target=read_to_the_end, name="owner", daemon=True).start()
    look()


if __name__ == "__main__":
    raise SystemExit(main())
