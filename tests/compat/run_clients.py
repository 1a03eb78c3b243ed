"""Ask the embedded engine with clients that other people wrote: `python tests/compat/run_clients.py [NAME ...]`.

Each client is installed at the version pinned here, into a virtual environment (or node_modules) of its own in a
temporary directory, and runs its file in `clients/` against one `ipython-assistant serve` on loopback. The outcome is a
Markdown table; the exit code is the number of clients that failed. It needs the package indexes, and `node` for three.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

HERE = Path(__file__).parent / "clients"
PYTHON = {
    "openai": ("openai==3.57.0", "openai_py.py"),
    "openai-agents": ("openai-agents==0.24.0", "openai_agents_client.py"),
    "langchain-openai": ("langchain-openai==1.7.4", "langchain_openai_client.py"),
    "pydantic-ai": ("pydantic-ai-slim[openai]==2.62.0", "pydantic_ai_client.py"),
    "litellm": ("litellm==1.110.2", "litellm_client.py"),
    "llm": ("llm==0.36", "llm_client.py"),
}
NODE = {
    "openai (Node)": ("openai@7.59.0", "openai_node.mjs"),
    "@openai/agents": ("@openai/agents@0.20.0", "openai_agents_node.mjs"),
    "ai + @ai-sdk/openai": ("ai@6.0.326 @ai-sdk/openai@3.0.141", "ai_sdk.mjs"),
}


def main(wanted: list[str]) -> int:
    failures = 0
    with tempfile.TemporaryDirectory(prefix="compat-") as folder, Engine() as engine:
        print("| client | version | what passed |\n|---|---|---|", flush=True)
        for name, (package, script) in (PYTHON | NODE).items():
            if wanted and name not in wanted:
                continue
            run = run_python if name in PYTHON else run_node
            outcome = run(Path(folder, re.sub(r"\W", "-", name)), package, script, engine.environment)
            failures += not outcome.startswith("passed: ")
            print(f"| {name} | {package} | {outcome.removeprefix('passed: ')} |", flush=True)
    return failures


class Engine:
    """`ipython-assistant serve` as a process of its own, and what a client's environment needs to reach it."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "ipython_assistant.cli", "serve"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        found: dict[str, str] = {}
        while len(found) < 2 and (line := self._process.stderr.readline()):
            if match := re.search(r"export (OPENAI_\w+)=(\S+)", line):
                found[match[1]] = match[2]
        if len(found) < 2:
            raise SystemExit("The engine did not start.")
        headers = {"Authorization": f"Bearer {found['OPENAI_API_KEY']}"}
        with urlopen(Request(f"{found['OPENAI_BASE_URL']}/models", headers=headers)) as reply:
            found["COMPAT_MODEL"] = json.load(reply)["data"][0]["id"]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")} | found
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self._process.wait(30)


def run_python(folder: Path, package: str, script: str, environment: dict[str, str]) -> str:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    return outcome_of([python, HERE / script], folder, environment)


def run_node(folder: Path, packages: str, script: str, environment: dict[str, str]) -> str:
    if shutil.which("node") is None:
        return "not run: there is no node"
    folder.mkdir()
    shutil.copy(HERE / script, folder)
    subprocess.run(["npm", "init", "-y"], cwd=folder, check=True, capture_output=True)
    subprocess.run(["npm", "install", "--silent", *packages.split()], cwd=folder, check=True, capture_output=True)
    return outcome_of(["node", script], folder, environment)


def outcome_of(command: list[str | Path], folder: Path, environment: dict[str, str]) -> str:
    how = {"cwd": folder, "env": environment, "timeout": 180}
    done = subprocess.run(command, **how, capture_output=True, text=True, check=False)
    last = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip().splitlines() or [""]
    return last[-1] if done.returncode == 0 else f"FAILED: {last[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
