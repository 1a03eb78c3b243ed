"""demo: the main job on a fresh machine, whatever its environment holds."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests_support.cases import cases

from ipython_assistant import cli


@pytest.fixture
def hostile_environment(monkeypatch, service, tmp_path):
    """A key, a base URL that must not be asked, CI, a model and settings that would all lead elsewhere."""
    config = tmp_path / "ipython" / "profile_default"
    config.mkdir(parents=True)
    (config / "ipython_config.py").write_text("c.AssistantMagics.service = 'openai'\n")
    ours = {"SERVICE": "openai", "MODE": "replay", "MODEL": "gpt-5", "DIR": str(tmp_path)}
    proxy = service.url.removesuffix("/v1")
    others = {"OPENAI_API_KEY": "sk-planted-key", "OPENAI_BASE_URL": service.url, "HTTP_PROXY": proxy, "CI": "1"}
    for name, value in {**others, **{f"IPYTHON_ASSISTANT_{name}": value for name, value in ours.items()}}.items():
        monkeypatch.setenv(name, value)
    return service


@pytest.mark.slow
def test_headless_asks_on_this_machine_and_prints_what_was_saved(hostile_environment, capsys):
    began = datetime.now(UTC).replace(microsecond=0)
    code = cli.main(["demo", "--headless"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert hostile_environment.requests == []
    saved = [Path(path) for path in re.findall(r"^Saved: +(.+?)  \(", printed, re.MULTILINE)]
    assert {path.suffix for path in saved} == {".png", ".csv"}
    assert all(path.stat().st_size > 0 for path in saved)
    assert "sk-planted-key" not in Path(saved[0].parent.parent, cli.NOTEBOOK).read_text()
    records = [json.loads(path.read_text()) for path in (saved[0].parent / ".turns").glob("*.json")]
    assert {record["service"] for record in records} == {"local"}
    assert all(datetime.fromisoformat(record["began"]) >= began for record in records), "nothing came from a recording"


@cases(("cells", "said"), {
    "nothing was saved": (["1 + 1"], ""),
    "a cell fails": (["%load_ext ipython_assistant", "%%assistant --nope\nx"], "There is no option --nope"),
})  # fmt: skip
def test_headless_fails_where(monkeypatch, tmp_path, capsys, cells, said):
    import nbformat  # late, as in the lessons

    (tmp_path / "notebooks" / "data").mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, tmp_path / "notebooks" / cli.NOTEBOOK)
    monkeypatch.setattr(cli, "NOTEBOOKS", tmp_path / "notebooks")
    assert cli.main(["demo", "--headless"]) == 1
    printed = capsys.readouterr().out
    assert ("Saved:" in printed, said in printed) == (False, True)


def test_the_copy_has_no_outputs_so_that_the_reader_sees_them_come():
    directory = cli._copy_of_notebook()
    notebook = json.loads((directory / cli.NOTEBOOK).read_bytes())
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    assert not (directory / "assistant_files").exists(), "no recording either: the questions are really asked"
    assert (directory / "data" / "mda_coverage.csv").is_file()


LAB = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("up", flush=True)
signal.sigwait({signal.SIGINT})
print("Stop?", flush=True)
signal.sigwait({signal.SIGINT})
raise SystemExit(7)
"""


def test_where_no_process_can_take_the_place_of_another_ctrl_c_is_left_to_it_all_the_same():
    on_windows = "import os, types; cli.os = types.SimpleNamespace(name='nt', environ=os.environ)"
    start = f"from ipython_assistant import cli; {on_windows}; cli.sys.exit(cli._become(['-c', {LAB!r}]))"
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, start_new_session=True) as process:
        for _ in range(2):
            process.stdout.readline()
            os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 7


@pytest.mark.slow
def test_the_demonstration_becomes_jupyterlab_on_the_copy_and_ctrl_c_is_its_own(tmp_path, notebook_dir):
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ipython_assistant.cli", "demo", "--no-browser"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, env=environment, start_new_session=True, **quiet) as process:
        try:
            printed = process.stdout.readline()
            for line in process.stdout:
                printed += line
                if f"{cli.NOTEBOOK}?token=" in line or "Jupyter Server" in line:
                    break
            assert process.poll() is None, printed
            os.killpg(process.pid, signal.SIGINT)
            process.terminate()
            rest, _ = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert printed.startswith("The notebook is ")
    assert "cli.py" not in rest, "our own stack is no news to the reader"
