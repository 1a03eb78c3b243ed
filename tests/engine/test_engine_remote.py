"""Kernels of an installed kernel specification: they share no disk with the engine, as on another machine."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Running, annotations, in_thread, logs

from ipython_assistant.engine.models.script import Script
from ipython_assistant.engine.server import Options, UnusableOptions
from ipython_assistant.engine.transfer import CHUNK, is_inside


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An engine whose code runs in a kernel that is installed for it alone."""
    jupyter = tmp_path_factory.mktemp("jupyter")
    installed = jupyter / "kernels" / "elsewhere"
    installed.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {"argv": argv, "display_name": "Elsewhere", "language": "python"}
    (installed / "kernel.json").write_text(json.dumps(specification))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(jupyter))
        patch.setenv("OPENAI_API_KEY", "sk-not-for-code")
        with in_thread({"script": Script()}, time.time, options=Options(kernel="elsewhere")) as engine:
            yield engine


@pytest.fixture(scope="module")
def place(remote: Running) -> str:
    return remote.client().containers.create(name="remote").id


def test_files_go_there_and_come_back_through_the_kernel(remote: Running, place: str) -> None:
    files = remote.client().containers.files
    given = os.urandom(2 * CHUNK + 7)
    files.create(place, file=("given.bin", given))
    code = """
import hashlib, os
content = open('/mnt/data/given.bin', 'rb').read()
os.makedirs('made'); open('made/back ☃.bin', 'wb').write(content[::-1]); open('empty.txt', 'w').close()
os.symlink('/etc/passwd', 'link.txt')
print(len(content), os.getcwd(), 'OPENAI_API_KEY' in os.environ)
"""
    response = remote.ask(code, container=place)

    rows = {row.path: row for row in files.list(place)}
    made = rows["/mnt/data/made/back ☃.bin"]
    assert logs(response) == f"{len(given)} /mnt/data False\n"
    assert set(rows) == {"/mnt/data/given.bin", "/mnt/data/made/back ☃.bin", "/mnt/data/empty.txt"}
    assert files.content.retrieve(made.id, container_id=place).read() == given[::-1]
    assert (rows["/mnt/data/given.bin"].source, made.source) == ("user", "assistant")
    assert {mark.filename for mark in annotations(response)} == {"back ☃.bin", "empty.txt"}


def test_what_is_removed_or_replaced_on_one_side_is_so_on_the_other(remote: Running, place: str) -> None:
    files = remote.client().containers.files
    remote.ask("for name in 'abc': open(name, 'w').write(name)", container=place)
    rows = {row.path.rpartition("/")[2]: row.id for row in files.list(place)}
    files.delete(rows["a"], container_id=place)
    files.create(place, file=("b", b"replaced"))

    response = remote.ask("import os\nprint(os.path.exists('a'), open('b').read())\nos.remove('c')", container=place)

    assert logs(response) == "False replaced\n"
    assert not {"/mnt/data/a", "/mnt/data/c"} & {row.path for row in files.list(place)}


def test_a_new_process_over_there_is_given_the_files_again(remote: Running, place: str) -> None:
    remote.ask("open('kept.txt', 'w').write('kept')", container=place)
    died = remote.ask("import os\nos._exit(1)", container=place)
    after = remote.ask("print(open('kept.txt').read())", container=place)

    assert "process ended" in logs(died)
    assert logs(after).endswith("kept\n")


def test_nothing_is_left_over_there_and_interrupting_works(remote: Running) -> None:
    place = remote.client().containers.create(name="short").id
    directory = logs(remote.ask("import os\nprint(os.getcwd()[::-1])", container=place)).strip()[::-1]
    assert Path(directory).is_dir()
    with remote.ask("import time\ntime.sleep(60)", container=place, stream=True) as stream:
        for event in stream:
            if event.type == "response.code_interpreter_call.interpreting":
                break
    assert logs(remote.ask("print('free')", container=place)) == "free\n"

    remote.client().containers.delete(place)

    assert not Path(directory).exists()


def test_how_code_is_confined_is_not_for_this_engine_to_say(remote: Running) -> None:
    health = json.loads(remote.request("GET", "/health")[2])

    assert (health["sandbox"], health["reason"]) == ("none", "code runs where the kernel 'elsewhere' is started")
    with pytest.raises(UnusableOptions, match="No kernel 'absent' is installed"):
        Options(kernel="absent").check()


SAYS = "import builtins, sys; kept = print; builtins.print = lambda *_: sys.stdout.write({!r})"


@pytest.mark.parametrize(
    ("spoils", "undo", "said"),
    [
        ("open('a', 'wb').truncate(9 << 30)", "pass", "The files take more than 8,589,934,592 bytes"),
        (SAYS.format("no list"), "builtins.print = kept", "Instead of a list of the files there came 'no list'"),
        (SAYS.format('[["a", "x"]]'), "builtins.print = kept", "Instead of a list of the files there came"),
        (
            "import base64; kept = base64.b64encode; base64.b64encode = lambda _: b'IyMj'; open('a', 'w').write('1')",
            "base64.b64encode = kept",
            "'a' could not be fetched: what came is not its content",
        ),
    ],
)
def test_files_that_cannot_be_fetched_cost_nothing_of_what_was_printed(
    remote: Running, place: str, spoils: str, undo: str, said: str
) -> None:
    response = remote.ask(f"print('printed'); {spoils}; None", container=place)
    remote.ask(f"{undo}; import os; os.path.exists('a') and os.remove('a')", container=place)

    [call] = [item for item in response.output if item.type == "code_interpreter_call"]
    assert (response.status, call.status) == ("completed", "failed")
    assert logs(response).startswith("printed\nThe files that this code made could not be fetched: ")
    assert said in logs(response)
    assert logs(remote.ask("print('on')", container=place)) == "on\n"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "a\\..\\x", "a\0", "\ud800", None, 3])
def test_a_name_from_over_there_that_would_lead_out_is_left_alone(name: object) -> None:
    assert not is_inside(name)
    assert is_inside("a/b ☃.csv")
