"""magics: what the shell sees."""

import os
import pydoc
import sys
from types import ModuleType, SimpleNamespace

import pytest
from IPython.utils.capture import capture_output
from tests_support import events as wire

import ipython_assistant
from ipython_assistant import errors
from ipython_assistant.batch import ASK_OPTIONS
from ipython_assistant.magics import hooks_of

CITES_A_FILE = wire.response([wire.Code("x"), wire.cited(("a.csv", "cfile_1"))])


def out(shell, source):
    with capture_output() as captured:
        outcome = shell.run_cell(source, store_history=True)
    outcome.raise_error()
    return captured.stdout


@pytest.mark.parametrize(("source", "said"), [
    *((source, "Write your question below the first line") for source in ("%%assistant", "%%assistant \n\n  \n")),
    *((source, "usage: %%assistant [options]") for source in ("%%assistant --help", "%%assistant -h\nwords")),
])  # fmt: skip
def test_an_empty_cell_says_what_to_write_and_help_is_help_with_or_without_a_body(shell, source, said):
    assert out(shell, source).startswith(said)


def test_a_line_command_that_ends_in_a_question_mark_is_not_ipythons_help(shell):
    assert out(shell, "%assistant status?").splitlines()[0].split() == ["service", "local"]


def test_in_colab_the_key_is_taken_from_the_notebooks_secrets(shell, monkeypatch):
    granted = {}
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab.userdata", SimpleNamespace(get=granted.__getitem__))
    for key in ("", "a-key-of-colab"):
        shell.run_line_magic("reload_ext", "ipython_assistant")
        assert os.environ["OPENAI_API_KEY"] == key
        granted["OPENAI_API_KEY"] = "a-key-of-colab"


def test_config_shows_and_sets_the_traits(shell):
    out(shell, '%config AssistantMagics.save_dir = "elsewhere"')
    assert "elsewhere" in out(shell, "%assistant status")
    assert "Where files are saved" in out(shell, "%config AssistantMagics")


def test_loading_twice_registers_once_and_unloading_takes_everything_back(shell):
    bare = shell
    bare.run_line_magic("unload_ext", "ipython_assistant")
    before = len(bare.input_transformers_cleanup)
    bare.run_line_magic("load_ext", "ipython_assistant")
    loaded = len(bare.input_transformers_cleanup)
    bare.run_line_magic("reload_ext", "ipython_assistant")
    assert len(bare.input_transformers_cleanup) == loaded
    assert "assistant" in bare.magics_manager.magics["cell"]
    bare.run_line_magic("unload_ext", "ipython_assistant")
    assert not [kind for kind in ("cell", "line") if "assistant" in bare.magics_manager.magics[kind]]
    assert len(bare.input_transformers_cleanup) == before
    assert "AssistantMagics" not in [type(configurable).__name__ for configurable in bare.configurables]
    bare.run_line_magic("load_ext", "ipython_assistant")


@pytest.mark.parametrize("lines", [
    ["x = 1\n", "%assistantship?\n"], ["%%assistants\n"], ["%%assistant -i a\n", "plot?\n"], ["%assistant status\n"],
    [], ["%%writefile note.txt\n", "%assistant files?\n"],
])  # fmt: skip
def test_the_transformer_leaves_everything_else_alone(shell, lines):
    assert hooks_of(shell).keep_lines(list(lines)) == lines


def test_the_notebooks_directory_is_that_at_load_or_what_is_set(shell, notebook_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(notebook_dir / "assistant_files") in out(shell, "%assistant status")
    monkeypatch.setenv("IPYTHON_ASSISTANT_DIR", str(tmp_path / "other"))
    shell.run_line_magic("reload_ext", "ipython_assistant")
    assert str(tmp_path / "other" / "assistant_files") in out(shell, "%assistant status")


def test_loading_imports_nothing_heavy(run_python):
    others = run_python("""
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic('load_ext', 'ipython_assistant')
print(sorted(name for name in set(sys.modules) - before if not name.startswith('ipython_assistant')))
""")
    assert others.splitlines()[-1] == "['IPython.core.magics.extension']", "a module of somebody else's is imported"


@pytest.mark.parametrize("there", [True, False])
def test_a_response_of_the_sdk_that_ends_a_cell_is_shown_or_names_its_files(shell, hosted, notebook_dir, there):
    from openai.types.responses import Response

    if there:
        hosted.put("a.csv", b"a\n1\n", "cfile_1")
    shell.user_ns["response"] = Response.model_construct(**CITES_A_FILE)
    with capture_output() as captured:
        outcome = shell.run_cell("response", store_history=True)
    assert outcome.success
    everything = captured.stdout + "".join(output.data.get("text/html", "") for output in captured.outputs)
    assert ("show(response, client=client)" in everything) is not there
    assert "a.csv" in everything
    if there:
        assert (notebook_dir / "assistant_files" / "a.csv").read_bytes() == b"a\n1\n"
        assert 'download="a.csv"' in captured.outputs[-1].data["text/html"]


def test_show_asks_the_client_it_is_given(shell, service, notebook_dir):
    import openai

    service.put("a.csv", b"a\n1\n", "cfile_1")
    client = openai.OpenAI(api_key="x", base_url=service.url)
    assert ipython_assistant.show(CITES_A_FILE, client).files["a.csv"].read_bytes() == b"a\n1\n"


def test_enter_after_the_first_line_goes_on_in_a_terminal_as_with_any_cell_magic(shell):
    assert shell.check_complete("%%assistant -i x") == shell.check_complete("%%bash -s x")
    assert shell.check_complete("%%assistant\nPlot")[0] == "incomplete"
    assert shell.check_complete("%%assistant\nPlot\n\n")[0] == "complete"
    assert shell.check_complete("%assistant status?")[0] == "complete"


def test_a_working_directory_that_is_gone_is_a_two_line_error(shell, notebook_dir):
    notebook_dir.rmdir()
    with pytest.raises(errors.ConfigError, match="working directory is gone"):
        out(shell, "%%assistant\nPlot")


def test_dir_and_help_show_the_python_api():
    assert {"ask", "aask", "ask_each", "show", "Answer"} <= set(dir(ipython_assistant))
    assert "ask(prompt" in pydoc.plain(pydoc.render_doc(ipython_assistant))
    assert [name for name in ASK_OPTIONS if name not in ipython_assistant.ask.__doc__] == []
