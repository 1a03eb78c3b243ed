"""The benchmarks: ratios, each measured side by side in one run. `python benchmarks/run.py [--runs N]`.

Exit code 1 if a goal is missed. These are measurements, not tests: nothing in `tests/` depends on a time.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from measure import HERE, ROOT, child, environment, in_turn, report
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


def fetch(runs: int) -> bool:
    """Files: many small, several big and one huge, against the obvious loop and curl; and the wait after an answer."""
    runs = min(runs, 3)  # the obvious loop alone takes half a minute for the small ones
    curl = ["curl"] if shutil.which("curl") else []
    hashed = ["curl-sha256"] if curl and shutil.which("openssl") else []
    if not hashed:
        print("there is no curl, or no openssl: their rows are left out")
    with serving() as base_url:
        small, big, huge = (
            in_turn({name: partial(child, "fetch_child.py", name, base_url(spec)) for name in (OURS, *others)}, runs)
            for spec, others in (
                ("files=200,bytes=20000,latency=150", ["naive"]),
                ("files=20,bytes=5000000,latency=150", ["naive", *curl]),
                ("files=1,bytes=1000000000", ["naive", *curl, *hashed]),
            )
        )
        spec = "files=20,bytes=5000000,latency=150,deltas=400,rate=100,cited=0.98"
        turn = in_turn(
            {name: partial(child, "fetch_turn_child.py", name, base_url(spec)) for name in (OURS, "naive")}, runs
        )
    met = [_seconds("200 files of 20 KB at 150 ms / the obvious loop", small, "naive", 0.04)]
    if curl:
        met.append(_seconds("20 files of 5 MB at 150 ms / curl --parallel-max 32", big, "curl", 1.1))
        met.append(_seconds("1 file of 1 GB / curl", huge, "curl", 1.3))
    if hashed:
        met.append(_seconds("1 file of 1 GB and its hash / curl, then openssl dgst -sha256", huge, "curl-sha256", 1.0))
    added = {name: max(row["added_mb"], 0.1) for name, row in huge.items()}
    met.append(
        report(
            "memory added by 1 file of 1 GB / the obvious loop",
            added[OURS] / added["naive"],
            1 / 250,
            f"{added[OURS]:.1f} MB, {added['naive']:.0f} MB",
        )
    )
    ours, naive = turn[OURS], turn["naive"]
    detail = f"{ours['saved_ms']:.1f} ms, {naive['saved_ms']:.0f} ms; {ours['ended_ms']:.0f} ms to the cell's end"
    ratio = ours["saved_ms"] / naive["saved_ms"]
    met.append(report("response.completed to 20 files of 5 MB saved / the obvious loop", ratio, 0.05, detail))
    return all(met)


def _seconds(title: str, rows: dict[str, dict[str, float]], other: str, goal: float) -> bool:
    ours, theirs = rows[OURS]["s"], rows[other]["s"]
    rest = ", ".join(f"{name} {row['s']:.2f} s" for name, row in rows.items() if name not in {OURS, other})
    return report(title, ours / theirs, goal, f"{ours:.2f} s, {theirs:.2f} s" + f" ({rest})" * bool(rest))


@contextlib.contextmanager
def serving() -> Iterator[Callable[[str], str]]:
    """The service with files to fetch, in its own process; yields what makes a base URL of what is to be served."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "fetch_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=HERE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        try:
            yield lambda spec: f"http://127.0.0.1:{port}/{spec}/v1"
        finally:
            server.stdin.close()
            server.wait(10)


def live(runs: int) -> bool:
    """5,000 tokens, shown as they come: bytes to the front end, and the kernel's own work."""
    rows = in_turn({name: partial(child, "live_child.py", name) for name in ("ours", "per-token")}, runs)
    ours, usual = rows["ours"], rows["per-token"]
    bytes_met = report(
        "5,000 tokens shown: bytes on iopub / the text",
        ours["bytes"] / ours["text"],
        12,
        f"{ours['bytes'] / 1000:.0f} kB in {ours['messages']:.0f} messages, {usual['bytes'] / usual['text']:.0f} at "
        "every token",
    )
    cpu_met = report(
        "5,000 tokens shown: the kernel's CPU time / an update at every token",
        ours["cpu_ms"] / usual["cpu_ms"],
        0.01,
        f"{ours['cpu_ms']:.0f} ms, {usual['cpu_ms']:.0f} ms",
    )
    whole_met = report("5,000 tokens shown: last states that are not the whole text", ours["lost_end"], 0, "")
    return bytes_met and cpu_met and whole_met


def preview(runs: int) -> bool:
    """The head of a table of 1 GB against reading it whole, and what a picture of 20 megapixels adds to a notebook."""
    runs = min(runs, 3)
    with tempfile.TemporaryDirectory() as folder:
        table, picture = Path(folder, "table.csv"), Path(folder, "picture.png")
        _write_table(table, 1_000_000_000)
        _write_picture(picture, 5472, 3648)
        rows = in_turn(
            {name: partial(child, "preview_child.py", name, str(table)) for name in ("csv-head", "csv-pandas")}, runs
        )
        shown = in_turn({"picture": partial(child, "preview_child.py", "picture", str(picture))}, runs)["picture"]
    head, whole = rows["csv-head"], rows["csv-pandas"]
    csv_met = report(
        "head and size of a 1 GB CSV / pandas.read_csv",
        head["ms"] / whole["ms"],
        0.001,
        f"{head['ms']:.1f} ms, {whole['ms']:.0f} ms; about {head['rows']:,.0f} rows, in truth {whole['rows']:,.0f}",
    )
    picture_met = report(
        "bytes a 20-megapixel picture adds to the notebook / its size",
        shown["bytes"] / shown["size"],
        1 / 300,
        f"{shown['bytes'] / 1000:.0f} kB, {shown['size'] / 1e6:.0f} MB; {shown['ms']:.0f} ms",
    )
    return csv_met and picture_met


def replay(runs: int) -> bool:
    """A turn of 2,000 deltas and 20 files of 5 MB: replayed, against the obvious loop; and what recording costs."""
    runs = min(runs, 3)  # the live turn is as long as a model takes to write 2,000 tokens
    files = "files=20,bytes=5000000,latency=150,deltas=2000,cited=0.98"
    with serving() as base_url, tempfile.TemporaryDirectory() as directory:
        at_once, at_a_models_pace = base_url(f"{files},rate=1000000"), base_url(f"{files},rate=200")
        live = in_turn({"record": partial(child, "replay_child.py", "record", at_a_models_pace, directory)}, runs)
        rows = in_turn(
            {name: partial(child, "replay_child.py", name, at_once, directory) for name in ("naive", "replay")}, runs
        )
    naive, replayed, recorded = rows["naive"], rows["replay"], live["record"]
    detail = f"{naive['ms']:.0f} ms"
    met = [
        report(
            "replay, every file hashed / the obvious loop, no thinking time",
            replayed["hashed_ms"] / naive["ms"],
            1 / 20,
            f"{replayed['hashed_ms']:.0f} ms, {detail}",
        ),
        report(
            "replay, files unchanged since the last / the obvious loop",
            replayed["again_ms"] / naive["ms"],
            1 / 300,
            f"{replayed['again_ms']:.1f} ms, {detail}",
        ),
        report("the SDK is imported by a replay", replayed["sdk"], 0, "`openai` in sys.modules"),
        report(
            "recording / the live turn, 200 tokens a second",
            recorded["recording_ms"] / recorded["ms"],
            0.03,
            f"{recorded['recording_ms']:.0f} ms, {recorded['ms']:.0f} ms",
        ),
    ]
    return all(met)


def inputs(runs: int) -> bool:
    """A second cell with the same 500,000 rows against writing and uploading them again, and 500 MB uploaded."""
    runs = min(runs, 3)
    rows = in_turn({name: partial(child, "inputs_child.py", name) for name in ("cells", "obvious")}, runs)
    with _sink() as url, tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        _write_table(path, 500_000_000)
        sent = in_turn(
            {name: partial(child, "inputs_child.py", f"upload-{name}", str(path), url) for name in ("ours", "obvious")},
            runs,
        )
    ours, again = rows["cells"], rows["obvious"]
    added = {name: max(row["added_mb"], 0.1) for name, row in sent.items()}
    met = [
        report("a second cell with the same 500,000 rows: uploads", ours["uploads"], 0, ""),
        report(
            "a second cell with the same 500,000 rows / to_csv and upload again",
            ours["second_ms"] / again["ms"],
            0.75,
            f"{ours['second_ms']:.0f} ms, {again['ms']:.0f} ms; the first cell {ours['first_ms']:.0f} ms",
        ),
        report(
            "memory added by uploading 500 MB / the SDK with a path",
            added["ours"] / added["obvious"],
            0.02,
            f"{added['ours']:.1f} MB, {added['obvious']:.0f} MB",
        ),
    ]
    return all(met)


@contextlib.contextmanager
def _sink() -> Iterator[str]:
    """A service in its own process that takes uploads and keeps none; yields its base URL."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "inputs_child.py"), "sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=HERE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.stdin.close()
            server.wait(10)


def _write_table(path: Path, size: int) -> None:
    with path.open("w") as file:
        file.write("id,name,share,age,count\n")
        for start in itertools.count(0, 100_000):
            file.writelines(
                f"{n},name{n % 997},{n * 7 % 1000 / 10},{n % 13},{n * 3}\n" for n in range(start, start + 100_000)
            )
            if file.tell() >= size:
                return


def _write_picture(path: Path, width: int, height: int) -> None:
    from PIL import Image

    rough = Image.effect_noise((width // 8, height // 8), 60).resize((width, height))
    fine = [Image.effect_noise((width, height), 10) for _ in range(3)]
    Image.merge("RGB", [Image.blend(rough, noise, 0.3) for noise in fine]).save(path, compress_level=1)


def engine(runs: int) -> bool:
    """The embedded engine: a cold turn, a warm one, what it adds to the code itself, what idle containers take."""
    runs = min(runs, 3)
    turns = in_turn({"turns": partial(child, "engine_child.py", "turns")}, runs)["turns"]
    rows = in_turn({name: partial(child, "engine_child.py", name) for name in ("overhead", "bare")}, runs)
    whole, bare = rows["overhead"]["ms"], rows["bare"]["ms"]
    overhead_met = report(
        "a turn of the engine / the same code in a bare kernel", whole / bare, 1.2, f"{whole:.0f} ms, {bare:.0f} ms"
    )
    plot_met = report(
        "a first plot in a new container: seconds",
        turns["warm_ms"] / 1000,
        0.3,
        f"first event after {turns['warm_first_ms']:.1f} ms; cold {turns['cold_first_ms']:.0f} ms to the first event, "
        f"{turns['cold_ms']:.0f} ms to the plot",
    )
    print(
        f"        memory: {turns['container_mb']:.0f} MB for an idle container, {turns['engine_mb']:.0f} MB the engine"
    )
    return overhead_met and plot_met


def finding(runs: int) -> bool:
    """Looking for model servers on this machine, where nothing listens and where all four hang."""
    rows = in_turn({name: partial(child, "finding_child.py", name) for name in ("none", "silent")}, runs)
    none, silent = rows["none"]["s"], rows["silent"]["s"]
    detail = f"{1000 * none:.0f} ms where nothing listens, {1000 * silent:.0f} ms where all four hang"
    return report("looking for model servers, once / 0.25 s", silent / 0.25, 1.0, detail)


def first_answer(runs: int) -> bool:
    """The first answer of `basic` in a new kernel: asked at once, and once a person could have typed the question."""
    rows = in_turn({wait: partial(child, "first_answer_child.py", wait) for wait in ("0", "5")}, min(runs, 3))
    met = [
        report(f"first answer of `basic`, asked {when} / 1.5 s", rows[wait]["s"] / 1.5, 1.0, f"{rows[wait]['s']:.2f} s")
        for wait, when in (("0", "right after %load_ext"), ("5", "5 s after it"))
    ]
    return all(met)


BENCHMARKS = {
    "finding": finding,
    "load": load,
    "first-token": first_token,
    "saved": saved,
    "fetch": fetch,
    "live": live,
    "preview": preview,
    "engine": engine,
    "first-answer": first_answer,
    "replay": replay,
    "inputs": inputs,
}


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
