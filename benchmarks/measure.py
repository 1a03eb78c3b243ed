"""How everything here is measured: each run in a fresh process, the rows in turn (A B A B ...), medians and ratios."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent


def environment(**more: str) -> dict[str, str]:
    """This process's environment without keys and proxies, with the checkout and the extensions here importable."""
    dropped = ("OPENAI_", "AZURE_", "IPYTHON_ASSISTANT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "CI")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}
    path = os.pathsep.join(str(part) for part in (ROOT, HERE / "extensions", ROOT / "tests"))
    return {**kept, "PYTHONPATH": path, **more}


def child(script: str, *arguments: str, **more: str) -> dict[str, float]:
    """Run a script of this folder in a fresh interpreter; it prints one JSON line of figures, last."""
    completed = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(**more),
        cwd=HERE,
    )
    if completed.returncode:
        raise SystemExit(f"{script} {' '.join(arguments)} failed:\n{completed.stderr[-3000:]}")
    return json.loads(completed.stdout.splitlines()[-1])


def in_turn(rows: dict[str, Callable[[], dict[str, float]]], runs: int) -> dict[str, dict[str, float]]:
    """Run every row in turn, `runs` times; returns the medians, row by row."""
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for _ in range(runs):
        for name, measured in rows.items():
            samples[name].append(measured())
    return {
        name: {key: statistics.median(sample[key] for sample in taken) for key in taken[0]}
        for name, taken in samples.items()
    }


def report(title: str, figure: float, goal: float, detail: str) -> bool:
    """Print one goal's line; says whether it is met."""
    met = figure <= goal
    print(f"{'met   ' if met else 'MISSED'}  {title:<66} {figure:>10.6g}  (goal <= {goal:g})   {detail}")
    return met
