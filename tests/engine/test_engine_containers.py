"""What code sees in a container, and what happens when its process ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest
from engines import DEADLINE_S, annotations, calls, gone, kernel_in, kernels_of, logs, until

from ipython_assistant.engine.container import FORGOTTEN
from ipython_assistant.engine.container_folder import DEEPEST
from ipython_assistant.engine.kernel import _CHART_FONTS
from ipython_assistant.engine.kernel_output import MAX_FIGURES
from ipython_assistant.engine.models import Run


def test_mnt_data_is_the_working_directory_and_no_machine_path_is_shown(engine, container):
    code = """
import os, pathlib, tempfile, warnings
pathlib.Path('/mnt/data/mapped.txt').write_text('x')
print(os.getcwd(), os.path.exists('mapped.txt'), pathlib.Path('mapped.txt').resolve())
print('sandbox:/mnt/data/mapped.txt', '/mnt/database', 'x/mnt/data', '/mnt/data.bak')
print(os.path.expanduser('~'), tempfile.gettempdir())
warnings.warn('careful')
open('/mnt/data/absent.txt')
"""
    response = engine.ask(code, container=container)
    lines = logs(response).split("\n")
    assert lines[:3] == [
        "/mnt/data True /mnt/data/mapped.txt", "sandbox:/mnt/data/mapped.txt /mnt/database x/mnt/data /mnt/data.bak",
        "/home/user /tmp",
    ]  # fmt: skip
    assert "<code>:6: UserWarning: careful" in lines
    assert lines[-2] == "FileNotFoundError: [Errno 2] No such file or directory: '/mnt/data/absent.txt'"
    assert "ipa-engine-" not in json.dumps(response.to_dict())
    assert calls(response)[0].code == code.strip("\n")


def test_logs_are_plain_text_with_progress_bars_at_their_last_state(engine, container):
    code = r"""
import sys
print('\x1b[31mred\x1b[0m')
for i in range(3): print(f'\r{i}', end='', file=sys.stderr)
print(' of 2\nline\r\nend', file=sys.stderr)
"""
    assert logs(engine.ask(code, container=container)) == "red\n2 of 2\nline\nend\n"


def test_endless_printing_is_cut_and_said(engine, container):
    printed = logs(engine.ask("for i in range(1300): print('x' * 999)", container=container))
    assert len(printed) < 1_001_000
    assert printed.endswith("\n[300,000 more characters were printed and left out]\n")


ODD = """
kernel = get_ipython().kernel
def publish(kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
for png in ('abc', '!!!!', 'bm8gcGljdHVyZQ==', 3, ['a']):
    publish('display_data', {'data': {'image/png': png, 'text/plain': 'instead'}})
for kind in ('display_data', 'execute_result', 'stream', 'status', 'no such kind'):
    for content in ({}, {'data': 3, 'text': 3}, b'["a"]'):
        publish(kind, content)
publish('error', {})
publish('error', {'ename': 'Odd', 'evalue': 3, 'traceback': [None]})
kernel.iopub_socket.send_multipart([b'no message'])
kernel.iopub_socket.send_multipart([b'stream', b'<IDS|MSG>', b'', b'{', b'{}', b'{}', b'{}'])
print('after all that')
"""


def test_messages_that_make_no_sense_are_passed_over(engine, container):
    response = engine.ask(ODD, container=container)
    [call] = calls(response)
    assert (response.status, call.status) == ("completed", "failed")
    assert logs(response).count("instead\n") == 5
    assert logs(response).endswith("Error\nOdd: 3\nafter all that\n")
    assert logs(engine.ask("print('as ever')", container=container)) == "as ever\n"


def test_figures_beyond_the_limit_are_left_out_and_counted(engine, container):
    code = f"""
import matplotlib.pyplot as plt, io
from IPython.display import Image, display
drawn = io.BytesIO(); plt.figure(figsize=(.2, .2)).savefig(drawn); plt.close()
for _ in range({MAX_FIGURES + 3}): display(Image(drawn.getvalue()))
print('end')
"""
    [call] = calls(engine.ask(code, container=container))
    kinds = [part.type for part in call.outputs]
    assert (kinds.count("image"), kinds.count("logs")) == (MAX_FIGURES, 1)
    assert call.outputs[-1].logs.startswith("end\n[3 more figures were left out; ")


def test_code_that_asks_for_input_fails_with_stdin_not_implemented(engine, container):
    response = engine.ask("input('name? ')", container=container)
    assert "StdinNotImplementedError" in response.output_text


@pytest.mark.slow
def test_a_process_that_dies_in_mid_run_is_said_and_the_next_code_runs_in_a_new_one(engine, container):
    code = "import os\nopen('kept.txt', 'w').write('kept')\nkept = 1\nprint('so far', flush=True)\nos._exit(3)"
    died = engine.ask(code, container=container)
    after = engine.ask("print(open('kept.txt').read(), 'kept' in globals())", container=container)
    [call] = calls(died)
    assert (died.status, call.status) == ("completed", "failed")
    assert "process ended while it ran this code. Variables are gone, files are kept" in logs(died)
    assert [mark.filename for mark in annotations(died)] == ["kept.txt"]
    assert logs(after) == "kept False\n"


def test_deleting_a_container_ends_its_process_even_while_code_runs(engine, client):
    container = client.containers.create(name="busy").id
    pid = kernel_in(engine, container)
    stream = engine.begin("import time\ntime.sleep(60)", container=container)
    assert pid in kernels_of(engine.pid)
    client.containers.delete(container)
    assert gone(pid)
    *_, last = stream
    assert (last.type, [call.status for call in calls(last.response)]) == ("response.completed", ["failed"])


@pytest.mark.slow
def test_two_questions_in_one_container_are_answered_one_after_the_other(stage):
    second_has_begun, second_was_let_in = threading.Event(), threading.Event()

    async def steps(ask, interpreter):
        if "second" in ask.prompt:
            second_was_let_in.set()
            yield Run("order.append('second')")
            return
        yield Run("order = ['first']")
        assert await asyncio.to_thread(second_has_begun.wait, DEADLINE_S)
        await asyncio.to_thread(second_was_let_in.wait, 0.5)  # with all the time it needs to come between
        yield Run("order.append('first again')")

    stage.model.steps = steps
    first = iter(stage.engine.ask("first", container=stage.container, stream=True))
    next(event for event in first if event.type == "response.code_interpreter_call.completed")
    second = iter(stage.engine.ask("second", container=stage.container, stream=True))
    assert next(second).type == "response.created"
    second_has_begun.set()
    assert [list(stream)[-1].type for stream in (first, second)] == ["response.completed"] * 2

    async def looks(ask, interpreter):
        yield Run("print(order)")

    assert logs(stage.ask(looks)) == "['first', 'first again', 'second']\n"


def test_an_upload_beside_running_code_is_not_taken_for_its_file(engine, container):
    client = engine.client()
    code = """
import os, time
while not os.path.exists('given_late.csv'): time.sleep(0.01)
open('made.csv', 'w').write('1')
"""
    stream = engine.begin(code, container=container)
    client.containers.files.list(container)
    client.containers.files.create(container, file=("given_late.csv", b"1"))
    *_, last = stream
    assert [mark.filename for mark in annotations(last.response)] == ["made.csv"]


@pytest.mark.slow
def test_uploaded_modules_do_not_stop_a_process_from_starting(engine, container):
    names = ("random.py", "ipykernel_launcher.py", "sitecustomize.py")
    for name in names:
        engine.client().containers.files.create(container, file=(name, b"raise SystemExit('hijacked')"))
    engine.ask("import os\nos._exit(0)", container=container)
    started = engine.ask(f"import os\nfor name in {names!r}: os.remove(name)\nprint('started')", container=container)
    assert logs(started) == "started\n"


def test_exit_ends_neither_the_process_nor_its_variables(engine, container):
    assert logs(engine.ask("kept = 1\nexit()", container=container)) == ""
    assert logs(engine.ask("print(kept)", container=container)) == "1\n"


def test_a_process_that_cannot_be_started_is_said_with_the_end_of_its_own_log(serve):
    engine = serve(environment={"PYTHONHOME": "/nonexistent"})
    events = engine.events("1", model="basic")
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    told = events[-2]["error"]["message"]
    assert all(said in told for said in ("could not be started", "No module named 'encodings'"))


def test_a_chart_is_in_a_font_that_has_its_characters_and_matplotlib_says_what_none_has(engine, container):
    code = """
import matplotlib as mpl, matplotlib.pyplot as plt
mpl.rcParams['font.family'] = ['cmss10']  # has no Cyrillic
plt.bar(['Жук', chr(0x10fffd)], [1, 2])
plt.savefig('bars.png')
plt.close()
print(mpl.rcParams['font.family'])
mpl.rcdefaults()
"""
    printed = logs(engine.ask(code, container=container))
    assert all(said in printed for said in ("Glyph 1114109 ", "['cmss10', 'DejaVu Sans']\n"))
    assert "CYRILLIC" not in printed


def test_a_module_that_draws_before_any_cell_names_matplotlib_has_fonts_too(tmp_path):
    (tmp_path / "helper.py").write_text("""
import io
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib import figure as figures, rcParams
rcParams['font.family'] = ['cmss10']
figure = figures.Figure(); figure.text(0, 0, chr(0x416) + chr(0x10fffd))
with PdfPages(written := io.BytesIO()) as pages: pages.savefig(figure)
print(rcParams['font.family'], written.getvalue().count(b'/Type /Page '))
""")
    start = f"exec({_CHART_FONTS!r}, dict(__name__='chart_fonts')); import sys; sys.path.insert(0, '.'); import helper"
    ran = subprocess.run([sys.executable, "-c", start], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "['cmss10', 'DejaVu Sans'] 1\n"
    assert ran.stderr.count("Glyph 1114109 ") == 1


@pytest.mark.slow
def test_what_only_charts_need_is_loaded_while_a_container_waits_for_its_first_question(engine):
    code = "import sys; print('matplotlib.pyplot' in sys.modules, 'pandas' in sys.modules)"
    waiting, asked_at_once = (engine.client().containers.create(name="new").id for _ in range(2))
    assert logs(engine.ask(code, container=asked_at_once)) == "False True\n"
    process = psutil.Process(kernel_in(engine, waiting))
    family = lambda: (process, *process.children(recursive=True))  # noqa: E731
    until(lambda: any("ft2font" in str(each.memory_maps()) for each in family()), "matplotlib is loaded")
    assert logs(engine.ask(code, container=waiting)) == "True True\n"


def test_a_figure_left_open_is_shown_and_a_closed_one_is_not(engine, container):
    code = """
import matplotlib.pyplot as plt
plt.plot([1]); plt.savefig('closed.png'); plt.close()
plt.plot([2])
"""
    response = engine.ask(code, container=container)
    [call] = calls(response)
    assert [part.type for part in call.outputs] == ["logs", "image"]
    assert [mark.filename for mark in annotations(response)] == ["closed.png"]


@pytest.mark.slow
def test_a_process_that_was_killed_while_idle_is_replaced_and_that_is_said_once(engine, container):
    engine.ask("pass", container=container)
    pid = kernel_in(engine, container)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), "the kernel is killed")
    replaced = engine.ask("print(1)", container=container)
    again = engine.ask("print(2)", container=container)
    assert logs(replaced) == f"{FORGOTTEN}1\n"
    assert logs(again) == "2\n"


NESTED = f"""
import os
for level in range(1, 1201):
    os.mkdir('d' if level % 100 else 'd' * 250); os.chdir('d' if level % 100 else 'd' * 250)
    if level == {DEEPEST - 1}: open('last.txt', 'w').close()
os.chdir('/mnt/data')
"""


@pytest.mark.slow
def test_directories_that_code_nested_without_end_end_neither_their_container_nor_the_engine(engine):
    client = engine.client()
    container = client.containers.create(name="nested").id
    engine.ask(NESTED, container=container)
    assert [row.path.count("/d") for row in client.containers.files.list(container)] == [DEEPEST]
    client.containers.delete(container)
    assert logs(engine.ask("print('another')")) == "another\n"
