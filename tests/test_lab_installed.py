"""A plain `pip install` of the wheel enables what runs inside Jupyter."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from ipython_assistant import __version__

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment of its own with the wheel in it; all else it sees here. Gives its folder."""
    pytest.importorskip("pip", reason="the environment has no pip to build and install a wheel with")
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    base = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", base))
    (packages / "elsewhere.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT], folder)
    (wheel,) = folder.glob("*.whl")
    run([*pip, "--python", python, "install", "--no-deps", "--no-index", "--ignore-installed", wheel], folder)
    return folder


def run(command, home):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "JUPYTER", "PYTEST_"))
    }
    environment |= {"HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "NO_COLOR": "1"}
    ran = subprocess.run(
        list(map(str, command)), cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(("command", "said"), [
    ("jupyter_server extension list", r"ipython_assistant.lab enabled[\s\S]*ipython_assistant.lab  OK"),
    ("jupyterlab.labextensions list", r"ipython-assistant v[0-9.]+ enabled +OK \(python, ipython_assistant\)"),
], ids=["the server extension", "the labextension"])  # fmt: skip
def test_it_is_enabled_and_ok(installed, command, said):
    listed = run([installed / "venv" / "bin" / "python", "-m", *command.split()], installed)
    assert re.search(said, plain := re.sub(r"\x1b\[[0-9;]*m", "", listed)), plain


def test_the_labextension_has_the_packages_version():
    folder = CHECKOUT / "ipython_assistant" / "lab" / "labextension"
    description = json.loads((folder / "package.json").read_text())
    assert description["version"] == __version__
    assert (folder / description["jupyterlab"]["_build"]["load"]).is_file()
