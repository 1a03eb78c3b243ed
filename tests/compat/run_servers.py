"""Ask servers that other people wrote: `python tests/compat/run_servers.py [LITELLM_COMMAND]`.

LiteLLM's proxy stands between the extension and the tests' own service. Without a command it is installed, at the
version pinned here, into a virtual environment of its own; that needs the package indexes. Four cells are asked: one
that makes a file, and three follow-ups; each has to save its file.

Where `IPYTHON_ASSISTANT_COMPAT_GGUF` names a model file, llama.cpp's server is installed the same way (xllamacpp) and
asked by its Responses API: it does not hold conversations and has no containers. The exit code is the number of
failures.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from faults.scenarios import Stage  # noqa: E402
from faults.server import FaultyService  # noqa: E402
from IPython.core.interactiveshell import InteractiveShell  # noqa: E402 the tests' own modules are found from here on
from tests_support.loopback import free_port, wait_until_it_answers  # noqa: E402
from tests_support.notebook import run_cell  # noqa: E402

LITELLM = "litellm==1.108.14"
# The extras of that version name a package that the index does not have.
OVERRIDES = ("litellm-proxy-extras==0.4.110", "litellm-enterprise==0.1.83")
LLAMA_CPP = "xllamacpp==2026.10.11549"
MODEL_FILE = os.environ.get("IPYTHON_ASSISTANT_COMPAT_GGUF", "")
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
        command = command or [str(Path(install(folder, LITELLM.replace("==", "[proxy]=="))).with_name("litellm"))]
        port, config, log = free_port(), folder / "litellm.yaml", folder / "litellm.log"
        config.write_text(CONFIG.format(url=service.url, key=KEY))
        environment = {**os.environ, "OPENAI_API_KEY": "sk-behind", "OPENAI_BASE_URL": service.url}
        environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the internet
        command += ["--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with log.open("wb") as written:
            process = subprocess.Popen(command, env=environment, stdout=written, stderr=written)
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/health/liveliness", process, log)
            return ask(service, f"http://127.0.0.1:{port}/v1", folder / "notebook")
        finally:
            process.terminate()
            process.wait(20)
            print(log.read_text(errors="replace")[-3000:] if "-v" in sys.argv else "", end="")


def main_of_llama_cpp() -> int:
    if not MODEL_FILE:
        print("llama.cpp: not run, IPYTHON_ASSISTANT_COMPAT_GGUF names no model file")
        return 0
    with tempfile.TemporaryDirectory(prefix="compat-") as name:
        folder = Path(name)
        environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "IPYTHON_ASSISTANT_RUNTIME_TOKEN": KEY}
        command = [install(folder, LLAMA_CPP, "openai"), "-m", "ipython_assistant.engine.models.gguf", MODEL_FILE]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            address = json.loads(process.stdout.readline())["address"]
            return converse(f"{address}/v1", Path(MODEL_FILE).stem, folder / "notebook")
        finally:
            process.stdin.close()
            process.wait(20)


def converse(url: str, model: str, notebook_dir: Path) -> int:
    """Whether the second answer knows the first question, and a cell with an input says where its code can run."""
    shell, failures = notebook(url, model, notebook_dir), 0
    (notebook_dir / "cases.csv").write_text("district,cases\nA,1\n")
    cells = [
        ("--no-code", "My number is 4817. Answer OK.", ""),
        ("--no-code", "Which number did I name? Answer with its digits.", "4817"),
        ("-i cases.csv", "Sum the cases.", "-m http://"),
    ]
    for line, words, expected in cells:
        ran = run_cell(shell, f"%%assistant {line}\n{words}")
        said = " ".join(f"{ran.plain} {ran.error or ''} {getattr(ran.error, 'hint', '')}".split())
        failures += expected not in said or (ran.error is not None and line == "--no-code")
        print(f"llama.cpp, {line}: {said}", flush=True)
    shell.run_line_magic("unload_ext", "ipython_assistant")
    os.chdir(TESTS)
    return failures


def notebook(url: str, model: str, notebook_dir: Path) -> InteractiveShell:
    notebook_dir.mkdir()
    os.chdir(notebook_dir)
    os.environ.update(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url, IPYTHON_ASSISTANT_MODE="live")
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "ipython_assistant")
    shell.run_line_magic("config", f"AssistantMagics.model = {model!r}")
    return shell


def ask(service: FaultyService, url: str, notebook_dir: Path) -> int:
    shell = notebook(url, "test-model", notebook_dir)
    stage, failures = Stage(service, "cited", notebook_dir), 0
    cells = ("one.csv", "two.csv", "three.csv", "four.csv")
    for name in cells:
        stage.play(stage.file(name))
    for name in cells:
        ran = run_cell(shell, f"%%assistant\nMake {name}.")
        saved = (notebook_dir / "assistant_files" / name).is_file()
        failures += ran.error is not None or not saved
        said = ran.error or " ".join(ran.plain.split())[-160:]
        print(f"{name}: {'saved' if saved else 'missing'}; {said}", flush=True)
    shell.run_line_magic("unload_ext", "ipython_assistant")
    os.chdir(TESTS)
    return failures


def install(folder: Path, *packages: str) -> str:
    """A Python with these packages."""
    venv.create(folder / "venv", with_pip=True)
    overrides = folder / "overrides.txt"
    overrides.write_text("\n".join(OVERRIDES))
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    pip = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    subprocess.run([*pip, "--override", str(overrides), *packages], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main([argument for argument in sys.argv[1:] if argument != "-v"]) + main_of_llama_cpp())
