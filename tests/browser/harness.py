"""A real JupyterLab and a real Chromium for tests: started fresh, on loopback, nothing of the user's, no network.

The same server has Notebook 7, which is built of JupyterLab's parts: a notebook is driven in the same way in both.

Used through the fixtures of `conftest.py`. Nothing here waits for a time to pass; it waits for the page or the kernel
to say so.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import BrowserContext, Locator, Page
from tests_support.loopback import free_port, wait_until_it_answers

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = CHECKOUT / "notebooks"
CHROMIUM_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # No name but loopback's address can be resolved, so nothing can leave this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
_PANEL = "window.jupyterapp.shell.currentWidget"
_WATCH = """
cell => {
    window.seenTexts = [];
    const note = () => {
        const area = document.querySelectorAll('.jp-Notebook .jp-Cell')[cell].querySelector('.jp-Cell-outputArea');
        const text = area?.querySelector('.jp-RenderedHTMLCommon')?.innerText ?? '';
        if (text && text !== window.seenTexts.at(-1)) { window.seenTexts.push(text); }
    };
    new MutationObserver(note).observe(
        document.querySelector('.jp-Notebook'), {subtree: true, childList: true, characterData: true}
    );
}
"""


def find_chromium() -> str | None:
    """Chromium as `CHROMIUM` names it, or as it is installed on this machine."""
    named = os.environ.get("CHROMIUM")
    candidates = [named] if named else ["chromium", "chromium-browser", "google-chrome", "/usr/bin/chromium"]
    return next((found for name in candidates if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab that serves `root`."""

    root: Path
    url: str
    token: str
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def home(self) -> Path:
        """Where all its files are, `root` among them."""
        return self.root.parent

    def add_kernel(self, name: str, python: Path, environment: Mapping[str, str]) -> None:
        """Let the server have a kernel of this name, run by another interpreter, with these variables."""
        command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        specification = {"argv": command, "display_name": name, "env": dict(environment), "language": "python"}
        folder = self.home / "data" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(specification))

    def copy_first_notebook(self, folder: str, more: Mapping[int, str] | None = None) -> Path:
        """The first notebook of the documentation, its tables beside it, without outputs, with more cells in it."""
        path = self.root / folder / "01_first_cell.ipynb"
        shutil.copytree(NOTEBOOKS, path.parent, ignore=shutil.ignore_patterns("assistant_files"))
        notebook = nbformat.read(path, as_version=4)
        for place, cell in (more or {}).items():
            notebook.cells.insert(place, new_code_cell(cell))
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)
        return path

    def write_notebook(self, name: str, cells: Sequence[str], kernel_name: str = "python3") -> Path:
        """A notebook with these cells."""
        kernel = {"name": kernel_name, "display_name": kernel_name, "language": "python"}
        metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path


@dataclass(frozen=True)
class Notebook:
    """A notebook that is open in a page, its kernel ready."""

    lab: Lab
    page: Page
    path: Path

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Run one of JupyterLab's commands and wait for its end; running cells ends when the last one has run."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args ?? {}).then(() => null)", [name, arguments]
        )

    def run_all(self) -> None:
        """Run all cells; back when the kernel is idle again."""
        self.command("notebook:run-all-cells")
        self.wait_for_kernel("idle")

    def start(self, cell: int) -> None:
        """Run one cell, counted from 0; back at once."""
        run = "window.jupyterapp.commands.execute('notebook:run-cell')"
        self.page.evaluate(f"cell => {{ {_PANEL}.content.activeCellIndex = cell; {run}; }}", cell)

    def watch(self, cell: int) -> None:
        """From now on note in `window.seenTexts` every text that this cell's first output shows."""
        self.page.evaluate(_WATCH, cell)

    def wait_for_kernel(self, status: str) -> None:
        """Wait until the kernel says that it is `idle`, `busy`, ..."""
        session = f"{_PANEL}.sessionContext.session"
        self.page.wait_for_function(f"status => {session}?.kernel?.status === status", arg=status)

    def kernel_status(self) -> str:
        """What the kernel said last."""
        return self.page.evaluate(f"() => {_PANEL}.sessionContext.session.kernel.status")

    def save(self) -> nbformat.NotebookNode:
        """Save it, and give what is on disk then."""
        self.command("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def close(self) -> None:
        """End the kernel and close the page. May be called twice."""
        if not self.page.is_closed():
            self.page.evaluate(f"() => {_PANEL}?.sessionContext?.shutdown()")
            self.page.close()

    def output(self, cell: int) -> Locator:
        """The output area of a cell, counted from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea")

    def download(self, locator: Locator) -> bytes:
        """Click it and give the bytes of the download that this starts."""
        with self.page.expect_download() as download:
            locator.click()
        return Path(download.value.path()).read_bytes()

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme: `JupyterLab Light` or `JupyterLab Dark`."""
        self.command("apputils:change-theme", {"theme": name})
        # A curtain is drawn while the theme changes.
        is_over = "document.body.dataset.jpThemeName === name && !document.getElementById('jupyterlab-splash')"
        self.page.wait_for_function(f"name => {is_over}", arg=name)


@contextlib.contextmanager
def running_lab(home: Path, *, extension: bool = True) -> Iterator[Lab]:
    """JupyterLab on a free port, all its files below `home`, with our extensions of it and of its server or without.
    Ended, with its kernels, on the way out."""
    root, token, port = home / "root", secrets.token_hex(16), free_port()
    root.mkdir(parents=True)
    _configure(home, token, extension=extension)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser", f"--port={port}"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, str(root)], env=environment(home), stdout=log, stderr=log, cwd=root)
    lab = Lab(root, f"http://127.0.0.1:{port}", token, process)
    try:
        wait_until_it_answers(f"{lab.url}/api/status", process, home / "server.log", token)
        yield lab
    finally:
        end(process)


@contextlib.contextmanager
def opened_notebooks(lab: Lab, context: BrowserContext) -> Iterator[Callable[[Path], Notebook]]:
    """A function that opens a notebook in a page of its own; all that it opened are closed on the way out.

    With `kernel=False` no kernel can be started for it; with `application="notebooks"` it is opened in Notebook 7.
    """
    with contextlib.ExitStack() as opened:

        def open_one(path: Path, *, kernel: bool = True, application: str = "lab") -> Notebook:
            notebook = _open(lab, context, path, kernel=kernel, application=application)
            opened.callback(notebook.close)
            return notebook

        yield open_one


def _open(lab: Lab, context: BrowserContext, path: Path, *, kernel: bool, application: str) -> Notebook:
    page = context.new_page()
    name = path.relative_to(lab.root).as_posix()
    place = f"lab/workspaces/{secrets.token_hex(4)}/tree" if application == "lab" else application
    if not kernel:
        refuse = lambda route: route.abort() if route.request.method == "POST" else route.fallback()  # noqa: E731
        page.route("**/api/sessions*", refuse)
    token = f"token={lab.token}&" if lab.token else ""
    page.goto(f"{lab.url}/{place}/{name}?{token}reset")
    if not kernel:
        # It says that it could not start the kernel, then asks for another.
        for button in ("Ok", "No Kernel"):
            page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()
    page.wait_for_function(f"() => window.jupyterapp && {_PANEL}?.content && {_PANEL}.sessionContext?.isReady")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    notebook = Notebook(lab, page, path)
    if kernel:
        notebook.wait_for_kernel("idle")
    return notebook


def _configure(home: Path, token: str, *, extension: bool) -> None:
    never = {"check_for_updates_class": "jupyterlab.NeverCheckForUpdate", "extension_manager": "readonly"}
    # A container often runs as root.
    app = {"allow_root": True, "ip": "127.0.0.1", "port_retries": 0, "terminals_enabled": False}
    # Where the wheel is installed it does this, and here nothing but this file decides it.
    app["jpserver_extensions"] = {"ipython_assistant.lab": extension}
    server = {"IdentityProvider": {"token": token}, "LabApp": {**never, "news_url": None}, "ServerApp": app}
    settings = {
        "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
        # Every cell is in the page, also one that is scrolled out of sight.
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    if extension:
        extensions = home / "data" / "labextensions"
        extensions.mkdir(parents=True)
        (extensions / "ipython-assistant").symlink_to(CHECKOUT / "ipython_assistant" / "lab" / "labextension")
    config = home / "config"
    config.mkdir()
    (config / "jupyter_server_config.json").write_text(json.dumps(server))
    exposed = {"JupyterNotebookApp": {"expose_app_in_browser": True}}
    (config / "jupyter_notebook_config.json").write_text(json.dumps(exposed))
    for name, values in settings.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def environment(home: Path) -> dict[str, str]:
    """This process's environment without keys and settings of its user, with all of Jupyter's files below `home`."""
    # Kernels inherit it: without pytest's names, which would tell them that nobody watches, and without keys.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "JUPYTER", "JPY_", "IPYTHON", "OPENAI_", "AZURE_")) and name != "CI"
    }
    own = {
        "HOME": home, "IPYTHONDIR": home / "ipython", "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces", "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data", "JUPYTER_PREFER_ENV_PATH": 1, "JUPYTER_RUNTIME_DIR": home / "runtime",
        "MPLCONFIGDIR": home / "matplotlib",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
    }  # fmt: skip
    return inherited | {name: str(value) for name, value in own.items()}


def from_npm(folder: Path, *command: str) -> str:
    """What npm prints; the test is skipped where npm is not installed, or cannot fetch."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed, for: npm {' '.join(command)}")
    fetched = subprocess.run([npm, *command, "--silent"], cwd=folder, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"npm {' '.join(command)}: {fetched.stderr.strip()[:200]}")
    return fetched.stdout.strip()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(family, timeout=5)[1]:
        left.kill()
