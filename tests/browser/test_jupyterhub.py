"""JupyterHub on loopback: below `/user/NAME/` pictures appear, and links and buttons download."""

import os
import secrets
import subprocess
import sys
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect
from tests_support.loopback import free_port, wait_until_it_answers

from browser.harness import Lab, end, environment, from_npm, opened_notebooks
from browser.test_outputs import FILES, SETUP, SHOW, saved

pytestmark = [pytest.mark.browser, pytest.mark.slow]
pytest.importorskip("jupyterhub", reason="pip install jupyterhub")

PROXY = "configurable-http-proxy@5"
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.notebook_dir = {root!r}
c.Spawner.args = ["--allow-root", "--LabApp.expose_app_in_browser=True"]
c.Spawner.env_keep = {keep!r}
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The hub's proxy, from the npm registry."""
    folder = tmp_path_factory.mktemp("proxy")
    from_npm(folder, "install", PROXY, "--no-save")
    return folder / "node_modules" / ".bin" / "configurable-http-proxy"


@contextmanager
def running_hub(home, proxy, password):
    """A hub of one user, alice."""
    root, config, variables = home / "root", home / "jupyterhub_config.py", environment(home)
    root.mkdir(parents=True)
    ports = {name: free_port() for name in ("port", "hub_port", "api_port")}
    about = {**ports, "proxy": str(proxy), "password": password, "python": sys.executable}
    config.write_text(CONFIG.format(**about, root=str(root), keep=sorted(variables)))
    command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
    variables |= {"CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16), "PATH": os.environ["PATH"]}
    with (home / "hub.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=home)
    url = f"http://127.0.0.1:{ports['port']}"
    lab = Lab(root, f"{url}/user/alice", "", process)
    try:
        wait_until_it_answers(f"{url}/hub/health", process, home / "hub.log")
        yield lab
    finally:
        end(process)


def test_below_a_users_address_pictures_links_and_buttons_work(proxy, context, tmp_path):
    password = secrets.token_hex(8)
    with running_hub(tmp_path / "hub", proxy, password) as lab:
        page = context.new_page()
        page.goto(f"{lab.url.removesuffix('/user/alice')}/hub/login")
        page.fill("#username_input", "alice")
        page.fill("#password_input", password)
        page.click("#login_submit")
        page.wait_for_url("**/user/alice/**")
        path = lab.write_notebook("my cases/shown.ipynb", [SETUP + FILES + SHOW])
        with opened_notebooks(lab, context) as open_notebook:
            notebook = open_notebook(path)
            notebook.run_all()
            output = notebook.output(0)
            on_disk = saved(notebook)
            image = output.locator(".jp-RenderedImage img")
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
            for name in ("a chart.png", "large.bin"):
                assert notebook.download(output.locator(f"a[download='{name}']").last) == on_disk[name]
                assert notebook.download(output.get_by_role("button", name=f"Download {name}")) == on_disk[name]
            expect(output.get_by_role("status")).to_be_empty()
        page.close()
