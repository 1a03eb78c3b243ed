"""What an agent can do through jupyter-server-mcp; with the server itself where it is installed."""

import asyncio
from importlib import import_module, metadata

import pytest
from tests_support import events as wire

from ipython_assistant import batch

CSV = b"a\n1\n"


@pytest.fixture
def answered(hosted, notebook_dir, monkeypatch):
    monkeypatch.delenv("IPYTHON_ASSISTANT_MODE")
    (notebook_dir / "cases.csv").write_bytes(CSV)
    hosted.put("out.csv", CSV, "cfile_1")
    hosted.will_say([wire.Code("save()"), wire.Message("Done.")])
    return str(notebook_dir)


def test_the_entry_point_names_tools_that_there_are():
    (entry,) = metadata.entry_points(group="jupyter_server_mcp.tools")
    functions = [getattr(import_module(tool.partition(":")[0]), tool.partition(":")[2]) for tool in entry.load()]
    assert all(function.__doc__ and asyncio.iscoroutinefunction(function) for function in functions)


def test_an_agent_asks_and_sees_the_files_and_a_question_asked_before_is_answered_from_its_recording(answered, hosted):
    first, again = (asyncio.run(batch.ask_about_data("Mean?", answered, ["cases.csv"])) for _ in range(2))
    assert (first["text"], first["status"], list(first["files"])) == ("Done.", "completed", ["out.csv"])
    assert again == first
    assert len(hosted.questions()) == 1


def test_nothing_outside_the_directory_is_read_or_sent(answered, hosted, notebook_dir):
    (notebook_dir.parent / "private.csv").write_bytes(CSV)
    said = asyncio.run(batch.ask_about_data("Mean?", answered, ["../private.csv"]))
    assert "outside the directory" in said["error"]
    assert hosted.requests == []


def test_the_server_offers_the_tools_and_calls_them(answered):
    server = pytest.importorskip("jupyter_server_mcp.mcp_server")
    from fastmcp import Client

    mcp = server.MCPServer(name="test")
    mcp.register_tools([batch.ask_about_data])

    async def call():
        async with Client(mcp.mcp) as client:
            names = [tool.name for tool in await client.list_tools()]
            about = {"question": "Mean?", "directory": answered, "inputs": ["cases.csv"]}
            return names, (await client.call_tool("ask_about_data", about)).data

    names, answer = asyncio.run(call())
    assert (names, answer["text"]) == (["ask_about_data"], "Done.")
