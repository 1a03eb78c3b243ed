"""Run five cells against the real service and report: `make live`, with OPENAI_API_KEY in the environment.
It says what it costs before it asks anything, records the traffic without keys and account ids in the format that the
tests read (`IPYTHON_ASSISTANT_RECORDINGS`), and writes `report.md`, which can be attached to a bug report."""

import argparse
import json
import os
import platform
import re
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from recording_proxy import RecordingProxy

COST = "at most $0.30: five short answers, up to three containers at $0.03, one small generated picture"
EXPIRED = """\
import time, openai
container, client = _.turn.container_ids[-1], openai.OpenAI()
until = time.monotonic() + 300
while client.containers.retrieve(container).status == "running" and time.monotonic() < until:
    time.sleep(5)
print(client.containers.retrieve(container).status)"""
CELLS = {
    "a chart and a table": (
        "%%assistant -i coverage -o by_district\n"
        "Plot coverage by year with one line per district as coverage.png,"
        " and save the mean coverage per district as by_district.csv."
    ),
    "a follow-up": "%%assistant -o change\nSave the change from the first to the last year per district as change.csv.",
    "an upload": "%%assistant -i visits.csv -o visits_by_month\nSave the visits per month as visits_by_month.csv.",
    "an expired container": "%%assistant -o again\nSave the table of coverage you were given as again.csv.",
    "a generated picture": (
        '%%assistant --no-code --tool \'{"type": "image_generation", "quality": "low", "size": "1024x1024"}\'\n'
        "Draw a plain icon of a mosquito net, black on white."
    ),
}
SETUP = """\
%load_ext ipython_assistant
%config AssistantMagics.expires_after = 1
%config AssistantMagics.mode = "live"
import pandas as pd
coverage = pd.DataFrame({"district": ["A", "A", "B", "B"], "year": [2022, 2023] * 2, "coverage": [61, 68, 72, 70]})
pd.DataFrame({"day": pd.date_range("2024-01-01", periods=60), "visits": range(60)}).to_csv("visits.csv", index=False)"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Five cells against the real service.")
    parser.add_argument("folder", type=Path, help="where the report, the notebook and the traffic go; it must be new")
    parser.add_argument("--upstream", default="https://api.openai.com/v1", help="the service's base URL")
    parser.add_argument("--model", default="gpt-6-luna", help="the model to ask")
    parser.add_argument("--yes", action="store_true", help="do not ask before spending money")
    options = parser.parse_args()
    key = os.environ.get("OPENAI_API_KEY", "")
    print(f"Five cells ({', '.join(CELLS)}) go to {options.upstream}, model {options.model}. Cost: {COST}.")
    if not key:
        print("OPENAI_API_KEY is not set, so nothing was asked. Set it and run this again.")
        return 0
    if not options.yes and input("Go on? [y/N] ").strip().lower() != "y":
        return 0
    options.folder.mkdir(parents=True)
    with RecordingProxy(options.upstream, key, options.folder / "traffic") as proxy:
        os.environ |= {"OPENAI_BASE_URL": proxy.url, "IPYTHON_ASSISTANT_MODEL": options.model}
        outcomes = run_cells(options.folder)
    report = report_of(outcomes, options.folder, options.model)
    (options.folder / "report.md").write_text(report)
    print(report)
    return sum(not outcome.startswith("passed") for outcome in outcomes.values())


def run_cells(folder: Path) -> dict[str, str]:
    """Run every cell, also after one that failed. Returns the outcome of each question in words."""
    import nbformat  # late: it takes seconds, and without a key nothing is run
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    cell, code = nbformat.v4.new_code_cell, []
    for name, text in CELLS.items():
        code += [cell(EXPIRED)] if name == "an expired container" else []
        code.append(cell(text, metadata={"question": name}))
    notebook = nbformat.v4.new_notebook(cells=[cell(SETUP), *code])
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    outcomes = {}
    with client.setup_kernel():
        for index, asked in enumerate(notebook.cells):
            began = time.monotonic()
            try:
                client.execute_cell(asked, index)
                outcome = "passed"
            except CellExecutionError as error:
                outcome = f"FAILED: {error.ename}: {error.evalue}".splitlines()[0]
            if question := asked.metadata.get("question"):
                outcomes[question] = f"{outcome} in {time.monotonic() - began:.0f} s"
    nbformat.write(notebook, folder / "live.ipynb")
    return outcomes


def report_of(outcomes: dict[str, str], folder: Path, model: str) -> str:
    """The report as Markdown: what passed, which files came, which events and items the service sent."""
    events, items, tokens = Counter[str](), Counter[str](), Counter[str]()
    for stream in sorted((folder / "traffic").glob("*.sse")):
        for line in re.findall(r"^data: (\{.*)$", stream.read_text(), re.MULTILINE):
            event = json.loads(line)
            events[event["type"]] += 1
            if event["type"] == "response.completed":
                items.update(item["type"] for item in event["response"]["output"])
                usage = event["response"].get("usage") or {}
                tokens.update({name: usage.get(name) or 0 for name in ("input_tokens", "output_tokens")})
    saved = sorted(path.name for path in (folder / "assistant_files").glob("*") if path.is_file())
    versions = f"ipython_assistant {version('ipython_assistant')}, openai {version('openai')}"
    machine = f"Python {platform.python_version()}, {platform.system()}"
    return "\n".join([
        f"# Five cells against the real service\n\n{versions}, {machine}; model {model}\n",
        *(f"- {question}: {outcome}" for question, outcome in outcomes.items()),
        f"\nFiles saved: {', '.join(saved) or 'none'}",
        f"Tokens: {tokens['input_tokens']:,} in, {tokens['output_tokens']:,} out",
        f"Output items: {', '.join(f'{name} {number}' for name, number in sorted(items.items()))}",
        f"Events: {', '.join(f'{name} {number}' for name, number in sorted(events.items()))}\n",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
