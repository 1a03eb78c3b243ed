"""Ask through a gateway that other people wrote: `python tests/compat/run_servers.py [LITELLM_COMMAND]`.

LiteLLM's proxy stands between the extension and the tests' own service. Without a command it is installed, at the
version pinned here, into a virtual environment of its own; that needs the package indexes. Three cells are asked: one
that makes a file, a follow-up, one with an input; each has to save its file. The exit code is the number of failures.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from urllib.request import urlopen

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from faults.scenarios import Stage  # noqa: E402
from faults.server import FaultyService  # noqa: E402
from IPython.core.interactiveshell import InteractiveShell  # noqa: E402 the tests' own modules are found from here on
from IPython.utils.capture import capture_output  # noqa: E402

LITELLM = "litellm==1.108.14"
# The extras of that version name a package that the index does not have.
OVERRIDES = ("litellm-proxy-extras==0.4.110", "litellm-enterprise==0.1.83")
KEY = "sk-compat"
CONFIG = """
model_list:
  - model_name: test-model
    litellm_params: {{model: openai/test-model, api_key: sk-behind, api_base: {url}}}
files_settings:
  - {{custom_llm_provider: openai, api_key: sk-behind, api_base: {url}}}
general_settings: {{master_key: {key}}}
"""


def main(command: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="compat-") as name, FaultyService() as service:
        folder = Path(name)
        command = command or [install(folder)]
        port = free_port()
        config = folder / "litellm.yaml"
        config.write_text(CONFIG.format(url=service.url, key=KEY))
        environment = {**os.environ, "OPENAI_API_KEY": "sk-behind", "OPENAI_BASE_URL": service.url}
        environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the internet
        log = (folder / "litellm.log").open("wb")
        process = subprocess.Popen(
            [*command, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            await_answer(f"http://127.0.0.1:{port}/health/liveliness", process)
            return ask(service, f"http://127.0.0.1:{port}/v1", folder / "notebook")
        finally:
            process.terminate()
            process.wait(20)
            print((folder / "litellm.log").read_text(errors="replace")[-3000:] if "-v" in sys.argv else "", end="")


def ask(service: FaultyService, url: str, notebook_dir: Path) -> int:
    notebook_dir.mkdir()
    os.chdir(notebook_dir)
    os.environ.update(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url, IPYTHON_ASSISTANT_MODE="live")
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "ipython_assistant")
    shell.run_line_magic("config", "AssistantMagics.model = 'test-model'")
    stage, failures = Stage(service, "cited", notebook_dir), 0
    cells = [("one.csv", ""), ("two.csv", ""), ("three.csv", f"-i {stage.input_file()}"), ("four.csv", "")]
    for name, _ in cells:
        stage.play(stage.file(name))
    for name, line in cells:
        with capture_output() as captured:
            outcome = shell.run_cell(f"%%assistant {line}\nMake {name}.")
        error = outcome.error_before_exec or outcome.error_in_exec
        saved = (notebook_dir / "assistant_files" / name).is_file()
        failures += error is not None or not saved
        said = " ".join(captured.outputs[-1].data.get("text/plain", "").split())[-160:] if captured.outputs else ""
        print(f"{name}: {'saved' if saved else 'missing'}; {error or said}", flush=True)
    shell.run_line_magic("unload_ext", "ipython_assistant")
    os.chdir(TESTS)
    return failures


def install(folder: Path) -> str:
    venv.create(folder / "venv", with_pip=True)
    overrides = folder / "overrides.txt"
    overrides.write_text("\n".join(OVERRIDES))
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    pip = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    subprocess.run([*pip, "--override", str(overrides), LITELLM.replace("==", "[proxy]==")], check=True)
    return str(folder / "venv" / "bin" / "litellm")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        assert process.poll() is None, "LiteLLM ended"
        try:
            with urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} did not answer")


if __name__ == "__main__":
    sys.exit(main([argument for argument in sys.argv[1:] if argument != "-v"]))
