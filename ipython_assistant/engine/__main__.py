"""`python -m ipython_assistant.engine`: serve until the owner is gone.

The engine is a child of a notebook's kernel. It prints one line of JSON when it is ready, and ends when its standard
input closes or its parent changes: the first is prompt, the second helps where a forked process of the owner holds
the pipe open.
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
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.default import OFFERED
from ipython_assistant.engine.server import running

if TYPE_CHECKING:
    from collections.abc import Sequence

PARENT_POLL_S: Final = 0.5

_STDIN: Final = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engine; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ipython_assistant.engine",
        description="A Responses API with a code interpreter, on this machine's loopback address.",
    )
    parser.add_argument(
        "--model", action="append", choices=sorted(OFFERED), help="what decides (default: all there are)"
    )
    names = parser.parse_args(arguments).model or list(OFFERED)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    asyncio.run(_serve(names))
    return 0


async def _serve(names: Sequence[str]) -> None:
    over = asyncio.Event()
    _watch_signals(over)
    _watch_owner(over)
    async with running({name: OFFERED[name]() for name in names}) as engine:
        sys.stdout.write(engine.ready_line() + "\n")
        sys.stdout.flush()
        await over.wait()


def _watch_signals(over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(over.set))
        return
    loop.add_signal_handler(signal.SIGTERM, over.set)
    # Ctrl-C in a terminal reaches the whole process group, and means the owner, unless a person started us by hand.
    # Ignoring the signal outright would be inherited by the kernels, where it is how code is interrupted.
    loop.add_signal_handler(signal.SIGINT, over.set if os.isatty(_STDIN) else lambda: None)


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
