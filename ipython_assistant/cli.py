"""The command line: `ipython-assistant demo | replay | record | recordings`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ipython_assistant import rerun

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="ipython-assistant",
        description="Ask for an analysis in a notebook cell; every file it makes is saved beside the notebook.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="show the main job in JupyterLab, without a key")
    demo.add_argument("--headless", action="store_true", help="run it without a browser and print what was saved")
    demo.add_argument("--no-browser", action="store_true", help="start JupyterLab but open no browser")
    rerun.add_commands(commands)
    options = parser.parse_args(arguments)
    if "run" in options:
        return int(options.run(options))

    from ipython_assistant import demo as demonstration

    try:
        if options.headless:
            return demonstration.run_headless()
        return demonstration.open_lab(browser=not options.no_browser)
    except demonstration.DemoError as error:
        print(f"{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
