"""`python -m ipython_assistant.engine`: serve until the owner is gone, or until it is told to stop.

As a child of a notebook's kernel it prints one line of JSON when it is ready, and ends when its standard input closes
or its parent changes: the first is prompt, the second helps where a forked process of the owner holds the pipe open.
`--standing` is for one that several share: it says on standard error how to reach it, and ends when it is told to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.containers import MAX_CONTAINERS
from ipython_assistant.engine.limits import GIB, default_limits
from ipython_assistant.engine.models.default import OfferedModels, UnknownModel, add_model_options
from ipython_assistant.engine.sandbox import KINDS
from ipython_assistant.engine.server import Engine, Options, UnusableOptions, running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARENT_POLL_S: Final = 0.5
FINISH_S: Final = 10.0
TOKEN: Final = "IPYTHON_ASSISTANT_TOKEN"  # noqa: S105 - the variable's name

_STDIN: Final = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engine; return its exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    level = logging.INFO if asked.log_requests or asked.log_prompts else logging.WARNING
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("ipython_assistant").setLevel(level)
    try:
        models = OfferedModels(asked.models, os.environ, every=asked.any_model, silence_s=asked.silence)
        options = _options(asked, os.environ)
        asyncio.run(_serve(models, options, standing=asked.standing))
    except (UnusableOptions, UnknownModel, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipython_assistant.engine",
        description="A Responses API with a code interpreter, on this machine's loopback address.",
    )
    parser.add_argument("--standing", action="store_true", help="go on when standard input ends; stop when told to")

    door = parser.add_argument_group("who may enter")
    door.add_argument("--host", default="127.0.0.1", help="address to listen on; another needs a token of your own")
    door.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    door.add_argument("--token-file", type=Path, metavar="PATH", help=f"file with the token (or set {TOKEN})")
    door.add_argument(
        "--host-name", action="append", default=[], metavar="HOST", help="a name requests may come to, as a proxy's"
    )

    code = parser.add_argument_group("what code may do")
    code.add_argument(
        "--sandbox", choices=["auto", *KINDS], default="auto", help="how code is confined (default: best)"
    )
    code.add_argument("--kernel", default="", metavar="NAME", help="run code in this installed kernel instead")
    code.add_argument("--memory", type=_size, metavar="SIZE", help="of one container, such as 4g")
    code.add_argument("--disk", type=_size, metavar="SIZE", help="of one container, such as 8g")
    code.add_argument("--cpu-time", type=float, metavar="SECONDS", help="processor time of one run")
    code.add_argument("--processes", type=int, metavar="N", help="processes and threads of one container")
    code.add_argument("--containers", type=int, default=MAX_CONTAINERS, metavar="N", help="how many at once")

    add_model_options(parser)

    log = parser.add_argument_group("log")
    log.add_argument("--log-requests", action="store_true", help="one line for each request, without what was asked")
    log.add_argument("--log-prompts", action="store_true", help="what was asked as well")
    return parser


def _options(asked: argparse.Namespace, environment: Mapping[str, str]) -> Options:
    """What the arguments say.

    Raises:
        OSError: The file with the token cannot be read.
    """
    token = environment.get(TOKEN, "")
    if asked.token_file is not None:
        token = asked.token_file.read_text().strip()
    wished = {
        "memory_bytes": asked.memory,
        "disk_bytes": asked.disk,
        "cpu_s": asked.cpu_time,
        "processes": asked.processes,
    }
    return Options(
        host=asked.host,
        port=asked.port,
        token=token,
        names=tuple(asked.host_name),
        sandboxes=KINDS if asked.sandbox == "auto" else (asked.sandbox,),
        limits=replace(default_limits(), **{name: value for name, value in wished.items() if value is not None}),
        containers=asked.containers,
        kernel=asked.kernel,
        finish_s=FINISH_S if asked.standing else 0.0,
        log_prompts=asked.log_prompts,
    )


def _size(text: str) -> int:
    """Bytes: a number, with `m` or `g` behind it."""
    units = {"m": 1 << 20, "g": GIB}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    if not number.replace(".", "", 1).isdigit() or float(number) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 512m or 4g")
    return int(float(number) * unit)


async def _serve(models: OfferedModels, options: Options, *, standing: bool) -> None:
    over, hurry = asyncio.Event(), asyncio.Event()
    _watch_signals(over, hurry, standing=standing)
    if not standing:
        _watch_owner(over)
    async with running(models, options=options, hurry=hurry) as engine:
        sys.stdout.write(engine.ready_line() + "\n")
        sys.stdout.flush()
        if standing:
            sys.stderr.write(_welcome(engine))
        await over.wait()
    await models.close()


def _welcome(engine: Engine) -> str:
    """How to use an engine, for whoever started it."""
    confined = f"by {engine.sandbox}" if engine.sandbox != "none" else "by nothing: it can do what you can"
    reason = f" ({engine.reason})" if engine.reason else ""
    return (
        f"Models: {', '.join(engine.models)}. Code is confined {confined}{reason}.\n"
        "For a notebook that is to use this engine:\n"
        f"  export OPENAI_BASE_URL={engine.url}\n"
        f"  export OPENAI_API_KEY={'<your token>' if engine.token_given else engine.token}\n"
        "Stop it with Ctrl-C: answers that are being made are finished first; press it twice to stop at once.\n"
    )


def _watch_signals(over: asyncio.Event, hurry: asyncio.Event, *, standing: bool) -> None:
    """The first signal asks for an end in good order, the second for an end."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        (hurry if over.is_set() else over).set()

    if sys.platform == "win32":
        by_hand = stop if standing else lambda: None
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(by_hand))
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(stop))
        return
    loop.add_signal_handler(signal.SIGTERM, stop)
    # Ctrl-C in a terminal reaches the whole process group, and means the owner, unless a person started us by hand.
    # Ignoring the signal outright would be inherited by the kernels, where it is how code is interrupted.
    loop.add_signal_handler(signal.SIGINT, stop if standing or os.isatty(_STDIN) else lambda: None)


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
