"""The benchmarks: ratios, each measured side by side in one run. `python benchmarks/run.py [--runs N]`.

Exit code 1 if a goal is missed. These are measurements, not tests: nothing in `tests/` depends on a time.
"""

from __future__ import annotations

import argparse
import compileall
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from measure import ROOT, child, in_turn, report
from tests_support import events as wire
from tests_support.scripted import Answer, ScriptedService

OURS, EAGER = "ipython_assistant", "eager_extension"


def load(runs: int) -> bool:
    """`%load_ext` against an extension that imports openai and pandas, and against a bare shell."""
    rows = in_turn(
        {name: partial(child, "load_child.py", name, OPENAI_API_KEY="test-key") for name in ("none", OURS, EAGER)}, runs
    )
    ours, eager, bare = rows[OURS], rows[EAGER], rows["none"]
    time_met = report(
        "%load_ext / an extension that imports openai and pandas",
        ours["ms"] / eager["ms"],
        0.001,
        f"{ours['ms']:.2f} ms, {eager['ms']:.0f} ms; {ours['modules']:.0f} and {eager['modules']:.0f} modules",
    )
    memory_met = report(
        "resident memory after %load_ext / a bare shell",
        ours["peak_mb"] / bare["peak_mb"],
        1.02,
        f"{ours['peak_mb']:.1f} MB, {bare['peak_mb']:.1f} MB",
    )
    return time_met and memory_met


def first_token(runs: int) -> bool:
    """Load plus first token after three seconds of typing, and load beside `import pandas` in one Run All."""
    with ScriptedService() as service:
        body = wire.sse(wire.stream([wire.Message("Token after token.")]))
        service.on("^POST /v1/responses$", lambda _: Answer(body, headers={"Content-Type": "text/event-stream"}))
        typing = in_turn(
            {name: partial(child, "kernel_child.py", name, service.url, "typing") for name in (OURS, EAGER)}, runs
        )
        together = in_turn(
            {name: partial(child, "kernel_child.py", name, service.url, "run-all") for name in ("none", OURS)}, runs
        )
    ours, eager = typing[OURS], typing[EAGER]
    typing_met = report(
        "load + first token after 3 s of typing / the eager way",
        ours["sum_ms"] / eager["sum_ms"],
        0.10,
        f"{ours['load_ms']:.0f} + {ours['first_token_ms']:.0f} ms, "
        f"{eager['load_ms']:.0f} + {eager['first_token_ms']:.0f} ms",
    )
    together_met = report(
        "%load_ext and import pandas in one Run All / import pandas alone",
        together[OURS]["ms"] / together["none"]["ms"],
        1.1,
        f"{together[OURS]['ms']:.0f} ms, {together['none']['ms']:.0f} ms",
    )
    return typing_met and together_met


def saved(runs: int) -> bool:
    """From the engine's last event to five files on disk, as a share of the cell."""
    rows = in_turn({"saved": partial(child, "saved_child.py")}, runs)["saved"]
    return report(
        "response.completed to five files saved / the whole cell",
        rows["saved_ms"] / rows["cell_ms"],
        0.05,
        f"{rows['saved_ms']:.0f} ms, {rows['cell_ms']:.0f} ms",
    )


BENCHMARKS = {"load": load, "first-token": first_token, "saved": saved}


def main() -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=5, help="samples of each row (default 5)")
    options = parser.parse_args()
    # As pip leaves an installed package; the other packages that are measured are compiled too.
    compileall.compile_dir(ROOT / "ipython_assistant", quiet=1)
    compileall.compile_dir(ROOT / "benchmarks" / "extensions", quiet=1)
    met = [BENCHMARKS[name](options.runs) for name in options.names or BENCHMARKS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
