"""Chat models behind the code interpreter: a scripted chat-completions server, a real engine, real kernels."""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chat_server import USAGE, ChatServer, Reply, call, text
from engines import DEADLINE_S, OUTPUTS, Running, annotations, in_thread, logs, tool
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from ipython_assistant.engine.models.chat import Chat, Manner
from ipython_assistant.engine.models.chat_http import Server
from ipython_assistant.engine.models.chat_text import Arguments, Code, Fences, Piece, Prose
from ipython_assistant.engine.models.chosen import UnknownModel, add_model_options, chosen

KEY = "sk-of-the-chat-server"
TABLE = "district,cases\nA,3\nB,5\n"
SAVES = (
    "import pandas as pd\n"
    "cases = pd.read_csv('cases.csv')\n"
    "cases.to_csv('worst.csv', index=False)\n"
    "print(cases['cases'].sum())\n"
)


def fenced(code: str) -> str:
    return f"I will look.\n\n```python\n{code}```\n"


@pytest.fixture(scope="module")
def engine(chat: ChatServer) -> Iterator[Running]:
    """One engine with a model for each manner, all of the same server."""
    manners = {
        "fenced": Manner(),
        "tools": Manner(form="tools"),
        "sees": Manner(vision=True),
        "twice": Manner(runs=2, repairs=0),
    }
    models: dict[str, Any] = {name: Chat(name, Server(chat.url, KEY), manner) for name, manner in manners.items()}
    models["nobody"] = Chat("nobody", Server("http://127.0.0.1:9/v1"))
    models["impatient"] = Chat("impatient", Server(chat.url, patience_s=0.3))
    with in_thread(models, time.time) as running:
        yield running


@pytest.fixture(scope="module")
def container(engine: Running) -> str:
    made = engine.client().containers.create(name="shared").id
    engine.client().containers.files.create(made, file=("cases.csv", TABLE.encode()))
    return made


@pytest.fixture(autouse=True)
def rested(chat: ChatServer) -> Iterator[None]:
    """Each test begins with an empty script, and has used up its own."""
    chat.script, chat.asked, chat.headers = [], [], []
    chat.hung_up.clear()
    chat.asked_once.clear()
    yield
    assert chat.script == []


@pytest.fixture
def ask(engine: Running, chat: ChatServer, container: str) -> Any:
    def asking(*replies: Any, model: str = "fenced", **parameters: Any) -> Any:
        chat.script = list(replies)
        asked = {"model": model, "input": "Sum the cases.", "tools": [tool(container)], "include": OUTPUTS}
        return engine.client().responses.create(**{**asked, **parameters})

    return asking


def said(response: Any) -> str:
    return "\n\n".join(
        part.text
        for item in response.output
        if item.type == "message"
        for part in item.content
        if hasattr(part, "text")
    )


def codes(response: Any) -> list[str]:
    return [item.code for item in response.output if item.type == "code_interpreter_call"]


def test_fenced_code_is_run_and_what_it_printed_goes_back_to_the_model(ask: Any, chat: ChatServer) -> None:
    response = ask(text(fenced(SAVES)), text("There are 8 cases: [worst.csv](sandbox:/mnt/data/worst.csv)."))

    assert [item.type for item in response.output] == ["message", "code_interpreter_call", "message"]
    assert codes(response) == [SAVES]
    assert logs(response) == "8\n"
    assert [citation.filename for citation in annotations(response)] == ["worst.csv"]
    last = chat.asked[1]["messages"]
    assert last[-2] == {"role": "assistant", "content": fenced(SAVES).rstrip("\n")}
    assert "The code printed:\n8" in last[-1]["content"]
    assert "worst.csv (2 rows × 2 columns) begins:\ndistrict | cases\nA | 3\nB | 5" in last[-1]["content"]


def test_the_answer_shows_each_new_table_and_says_to_check_the_result(ask: Any) -> None:
    response = ask(text(fenced(SAVES)), text("There are 8 cases."))

    assert "`worst.csv`, 2 rows × 2 columns:\n\n| district | cases |\n| --- | --- |\n| A | 3 |\n| B | 5 |" in said(
        response
    )
    assert "Files: [worst.csv](sandbox:/mnt/data/worst.csv)" in said(response)
    assert said(response).endswith("*fenced wrote this answer and its code: check the result.*")
    assert [citation.filename for citation in annotations(response)] == ["worst.csv"]


def test_an_answer_without_code_says_that_nothing_was_calculated(ask: Any) -> None:
    response = ask(text("There are 12 cases."))

    assert codes(response) == []
    assert said(response).endswith("*fenced wrote this answer and ran no code: nothing in it was calculated.*")


def test_the_model_knows_files_columns_and_types_and_no_rows(ask: Any, chat: ChatServer) -> None:
    said_before = [("developer", "Use SI units."), ("user", "Hello."), ("assistant", "Hi."), ("user", "And?")]
    messages = [{"role": role, "content": content} for role, content in said_before]

    ask(text("Yes."), instructions="Be brief.", input=messages)

    system, *others = chat.asked[0]["messages"]
    assert "- cases.csv: 2 rows × 2 columns: 'district'" in system["content"]
    assert "'cases' (int64)" in system["content"]
    assert "A | 3" not in system["content"]
    assert "Be brief." in system["content"]
    assert "Use SI units." in system["content"]
    assert [message["role"] for message in others] == ["user", "assistant", "user"]


def test_code_is_streamed_while_it_is_written(engine: Running, chat: ChatServer, container: str) -> None:
    chat.script = [text(fenced(SAVES)), text("Done.")]
    asked = {"model": "fenced", "input": "Sum.", "tools": [tool(container)], "include": OUTPUTS, "stream": True}
    events = engine.events("", **asked)

    deltas = [event["delta"] for event in events if event["type"] == "response.code_interpreter_call_code.delta"]
    assert "".join(deltas) == SAVES
    assert len(deltas) > 10
    done = [event["code"] for event in events if event["type"] == "response.code_interpreter_call_code.done"]
    assert done == [SAVES]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    parse = TypeAdapter(ResponseStreamEvent).validate_python
    assert len([parse(event) for event in events]) == len(events)


@pytest.mark.parametrize("model", ["fenced", "tools"])
def test_a_tool_call_is_taken_whether_or_not_it_was_asked_for(ask: Any, chat: ChatServer, model: str) -> None:
    code = 'print("1 → \\n 2")\n'

    response = ask(call(json.dumps({"code": code})), text("Done."), model=model)

    assert codes(response) == [code]
    assert ("tools" in chat.asked[0]) is (model == "tools")
    assistant, told = chat.asked[1]["messages"][-2:]
    assert assistant["tool_calls"][0]["id"] == told["tool_call_id"] == "call_7"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"code": code}
    assert told["role"] == "tool"
    assert "The code printed:\n1 → \n 2" in told["content"]


def test_code_shown_in_a_text_is_not_run_where_code_comes_as_tool_calls(ask: Any) -> None:
    response = ask(text(fenced("print(1)\n")), model="tools")

    assert codes(response) == []
    assert "```python\nprint(1)\n```" in said(response)


def test_a_call_that_holds_no_code_is_asked_for_again(ask: Any, chat: ChatServer) -> None:
    response = ask(call('{"query": 1}'), call(json.dumps({"code": "print(2)"})), text("Two."), model="tools")

    assert codes(response) == ["print(2)"]
    assert "could not be read" in chat.asked[1]["messages"][-1]["content"]


def test_code_that_raised_is_mended_once_and_no_more(ask: Any, chat: ChatServer) -> None:
    response = ask(text(fenced("1/0\n")), text(fenced("print(1)\nraise KeyError('x')\n")))

    statuses = [item.status for item in response.output if item.type == "code_interpreter_call"]
    assert statuses == ["failed", "failed"]
    assert "It stopped with ZeroDivisionError: division by zero." in chat.asked[1]["messages"][-1]["content"]
    assert "The code stopped again with KeyError: 'x'" in said(response)


def test_how_often_code_runs_and_is_mended_is_a_setting(ask: Any) -> None:
    failing = ask(text(fenced("1/0\n")), model="twice")
    running = ask(text(fenced("print(1)\n")), text(fenced("print(2)\n")), model="twice")

    assert len(codes(failing)) == 1
    assert len(codes(running)) == 2
    assert "Code has run 2 times without an answer" in said(running)


def test_a_model_that_repeats_its_code_is_stopped(ask: Any) -> None:
    response = ask(text(fenced("print(1)\n")), text(fenced("print(1)\n")))

    assert [item.status for item in response.output if item.type == "code_interpreter_call"] == [
        "completed",
        "incomplete",
    ]
    assert said(response).endswith("check the result.*")


def test_a_model_that_writes_on_behind_its_code_is_stopped(ask: Any, chat: ChatServer) -> None:
    on_and_on = fenced("print(1)\n") + "The output is 99. " * 100_000
    response = ask(text(on_and_on, piece=20), text("One."))

    assert codes(response) == ["print(1)\n"]
    assert "99" not in said(response)
    assert chat.hung_up.wait(DEADLINE_S)


def test_a_model_that_can_see_is_shown_the_pictures_its_code_made(ask: Any, chat: ChatServer) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('line.png')\nplt.show()\n"
    ask(text(fenced(code)), text("A line."), model="sees")

    content = chat.asked[1]["messages"][-1]["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    assert len(urls) == 2
    for url in urls:
        assert base64.b64decode(url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert "displayed a figure" in content[0]["text"]


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LOOK = [
    {"type": "input_text", "text": "What is this?"},
    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    {"type": "input_file", "filename": "plan.pdf", "file_data": "eA=="},
]


@pytest.mark.parametrize("interpreter", [True, False], ids=["beside code", "without code"])
def test_a_model_that_can_see_is_shown_the_pictures_of_the_question(
    ask: Any, chat: ChatServer, container: str, interpreter: bool
) -> None:
    tools = [tool(container)] if interpreter else []
    ask(text("A dot."), model="sees", tools=tools, input=[{"role": "user", "content": LOOK}])

    words, picture = chat.asked[0]["messages"][-1]["content"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert ("attached plan.pdf. It cannot be shown" in words["text"]) is not interpreter
    assert ("- plan.pdf" in chat.asked[0]["messages"][0]["content"]) is interpreter


def test_a_model_that_cannot_see_is_told_that_there_was_something(ask: Any, chat: ChatServer) -> None:
    ask(text("I cannot see it."), tools=[], input=[{"role": "user", "content": LOOK}])

    assert chat.asked[0]["messages"][-1]["content"] == (
        "What is this?\n\n(The user attached input-image-1.png, plan.pdf. It cannot be shown to you: say so.)"
    )


def test_tokens_of_all_completions_are_counted(ask: Any) -> None:
    usage = ask(text(fenced("print(1)\n")), text("One.")).usage

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (200, 40, 240)
    assert usage.input_tokens_details.cached_tokens == 2 * USAGE["prompt_tokens_details"]["cached_tokens"]
    assert usage.output_tokens_details.reasoning_tokens == 10


def test_what_a_model_thinks_aloud_is_not_its_answer(ask: Any) -> None:
    thinking = "<think>\nPerhaps:\n```python\nprint('no')\n```\n</think>\n\n"
    response = ask(text(thinking + fenced("print('yes')\n")), text("Yes.", usage=None))

    assert codes(response) == ["print('yes')\n"]
    assert "Perhaps" not in said(response)


def test_wishes_of_the_request_reach_the_model(ask: Any, chat: ChatServer) -> None:
    ask(text("Yes."), temperature=0.2, top_p=0.5, max_output_tokens=500, reasoning={"effort": "low"})

    body = chat.asked[0]
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["reasoning_effort"]) == (0.2, 0.5, 500, "low")


def test_an_answer_that_was_cut_off_is_incomplete_and_its_code_is_not_run(ask: Any) -> None:
    response = ask(text("So:\n\n```python\nimport os\nos.remove(", finish="length"))

    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert [item.status for item in response.output if item.type == "code_interpreter_call"] == ["incomplete"]
    assert response.usage.output_tokens == 20


def test_without_a_code_interpreter_the_model_just_answers(ask: Any, chat: ChatServer) -> None:
    response = ask(text("Hello, ```python\nprint(1)\n```"), tools=[], instructions="Be kind.")

    assert said(response) == "Hello, ```python\nprint(1)\n```"
    assert chat.asked[0]["messages"] == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Sum the cases."},
    ]  # fmt: skip


def test_a_server_that_does_not_stream_is_understood(ask: Any) -> None:
    body = {"choices": [{"message": {"content": "Plain."}, "finish_reason": "stop"}], "usage": USAGE}
    response = ask(Reply(body=json.dumps(body).encode()))

    assert said(response).startswith("Plain.")
    assert response.usage.input_tokens == 100


def test_a_conversation_goes_on_in_its_own_words(ask: Any, chat: ChatServer) -> None:
    first = ask(text("Eight."))
    ask(text("As I said."), previous_response_id=first.id, input="Again?")

    contents = [message["content"] for message in chat.asked[1]["messages"]]
    assert contents[1] == "Sum the cases."
    assert contents[2] == "Eight."
    assert contents[3] == "Again?"


def test_the_key_goes_to_the_server_and_nowhere_else(ask: Any, chat: ChatServer) -> None:
    echoed = json.dumps({"error": {"message": f"no such key: {KEY}"}}).encode()
    response = ask(Reply(status=401, body=echoed))

    assert chat.headers[0]["authorization"] == f"Bearer {KEY}"
    assert response.status == "failed"
    assert KEY not in response.model_dump_json()
    assert "refused with status 401: no such key: …" in response.error.message
    assert KEY not in repr(Server("http://localhost/v1", KEY))


ECHOES = {
    "in a body": Reply(body=json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()),
    "in the middle of a stream": Reply([{"content": "So "}], finish=None, error={"message": f"bad key {KEY}"}),
    "as a mere text": Reply(status=403, body=f"bad key {KEY}".encode()),
    "where a text is cut off": Reply(status=403, body=("x" * 290 + KEY).encode()),
    "where nothing of it makes sense": Reply(body=f"\x00{KEY}".encode()),
}


@pytest.mark.parametrize("reply", ECHOES.values(), ids=ECHOES.keys())
def test_a_key_that_the_server_repeats_is_not_passed_on(ask: Any, reply: Reply) -> None:
    response = ask(reply)

    assert response.status == "failed"
    for length in range(6, len(KEY) + 1):
        assert KEY[:length] not in response.model_dump_json()


FAULTS = {
    "it refuses": (Reply(status=404, body=b'{"error": "model \\"q\\" not found"}'), 'status 404: model "q" not found'),
    "it says nothing that can be read": (Reply(status=502, body=b"<html>Bad"), "status 502: <html>Bad"),
    "it fails in the middle": (Reply([{"content": "So "}], None, None, cut=True), "ended in the middle of an answer"),
    "it gives up in the middle": (Reply(body=b'{"error": {"message": "out of memory"}}'), "gave up: out of memory"),
    "it sends no JSON": (Reply(body=b"hello"), "broke"),
}


@pytest.mark.parametrize(("reply", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_of_the_server_is_told_in_words(ask: Any, reply: Reply, words: str) -> None:
    response = ask(reply)

    assert response.status == "failed"
    assert words in response.error.message


def test_a_model_that_the_server_does_not_have_is_answered_with_those_it_has(ask: Any, chat: ChatServer) -> None:
    refusal = Reply(status=404, body=b'{"error": "no such model"}')
    chat.offers, chat.looked_at = [f"coder-{number}" for number in range(12)], []
    message = ask(refusal).error.message
    ask(text("Fine."))
    chat.offers = []

    names = ", ".join(f"coder-{number}" for number in range(10))
    assert message.endswith(f"refused with status 404: no such model. It has: {names} and 2 more.")
    assert chat.looked_at == ["/v1/models"]


def test_a_server_that_is_not_there_is_named(ask: Any) -> None:
    message = ask(model="nobody").error.message

    assert message.startswith("No server answers at http://127.0.0.1:9/v1 (")


def test_a_server_that_falls_silent_is_given_up(ask: Any, chat: ChatServer) -> None:
    late = threading.Event()

    def silent(_: dict[str, Any]) -> Reply:
        late.wait(DEADLINE_S)
        return text("Late.")

    message = ask(silent, model="impatient").error.message
    late.set()

    assert "was silent for 0.3 seconds" in message


def test_a_client_that_hangs_up_stops_the_model(engine: Running, chat: ChatServer, container: str) -> None:
    chat.script = [text("Never said.", hold=threading.Event())]
    with engine.client().responses.create(model="fenced", input="Sum.", tools=[tool(container)], stream=True) as stream:
        next(iter(stream))
        assert chat.asked_once.wait(DEADLINE_S)

    assert chat.hung_up.wait(DEADLINE_S)


def test_an_engine_process_takes_its_chat_model_from_the_command_line(chat: ChatServer) -> None:
    command = [sys.executable, "-m", "ipython_assistant.engine", "--model", chat.url, "--name", "mine"]
    environment = {**os.environ, "IPYTHON_ASSISTANT_MODEL_KEY": KEY}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        ready = json.loads(process.stdout.readline())
        running = Running(ready["url"], ready["token"], ready["pid"], tuple(ready["models"]), ready["sandbox"])
        chat.script = [text(fenced("import os\nprint(sorted(os.environ.values()))\n")), text("Done.")]
        response = running.ask("", model="mine", input="Go.")
    finally:
        process.stdin.close()
        process.wait(DEADLINE_S)
        process.stdout.close()

    assert running.models == ("mine", "analyst")
    assert chat.headers[0]["authorization"] == f"Bearer {KEY}"
    assert logs(response).startswith("[")
    assert KEY not in logs(response)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "http://localhost:1/v1"], "needs a name"),
        (["--model", "llama", "--name", "a"], "is not the address of a server"),
        (["--model", "http://u:p@localhost/v1", "--name", "a"], "holds no name, password or query"),
        (["--name", "a"], "put it behind --model URL"),
        (["--model", "http://a/v1", "--name", "a", "--key-from", "NO_SUCH_KEY"], "NO_SUCH_KEY: there is no such"),
        (["--model", "http://a/v1", "--name", "a", "--model", "http://b/v1", "--name", "a"], "Two models are called a"),
        (["--model", "http://localhost/v1", "--name", "a", "--repairs", "-1"], "is not a whole number"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused(arguments: list[str], words: str, capsys: Any) -> None:
    from ipython_assistant.engine.__main__ import main

    with pytest.raises(SystemExit):
        main(arguments)

    assert words in capsys.readouterr().err


def test_what_follows_a_model_is_about_that_one() -> None:
    line = "--model http://a/v1 --name a --format tools --vision --model http://b/v1 --name b --repairs 3"
    models = chat_models(line, {})

    assert list(models) == ["a", "b", "analyst"]
    assert models["a"]._manner == Manner(form="tools", vision=True)
    assert models["b"]._manner == Manner(repairs=3)


def chat_models(line: str, environment: dict[str, str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_model_options(parser)
    return chosen(parser.parse_args(line.split()), environment)


@pytest.mark.parametrize("second", ["http://b/v1", "http://a:8000/v1", "https://a/v1"])
def test_a_key_is_never_sent_to_a_second_server(second: str) -> None:
    line = f"--model http://a/v1 --name a --model {second} --name b"

    with pytest.raises(UnknownModel, match="is for one server, and would go to a and"):
        chat_models(line, {"IPYTHON_ASSISTANT_MODEL_KEY": KEY})
    with pytest.raises(UnknownModel, match="is for one server"):
        chat_models(line.replace(" --name", " --key-from MINE --name"), {"MINE": KEY})
    assert len(chat_models(line, {})) == 3


def test_each_server_has_a_key_of_its_own_and_no_key_stays_in_the_environment() -> None:
    environment = {"KEY_OF_B": "b-key", "IPYTHON_ASSISTANT_MODEL_KEY": "a-key", "HOME": "/"}
    line = "--model http://a/v1 --name a --model http://a/v1 --name a2 --model http://b/v1 --name b --key-from KEY_OF_B"
    models = chat_models(line, environment)

    assert [models[name]._server.key for name in ("a", "a2", "b")] == ["a-key", "a-key", "b-key"]
    assert environment == {"HOME": "/"}


# The text of a model, taken apart.


def parts(*pieces: str) -> tuple[str, list[str]]:
    """The prose, and the code that is to run."""
    fences, found = Fences(), []
    for piece in pieces:
        found += fences.feed(piece)
    found += fences.end()
    assert "".join(part.code for part in found if isinstance(part, Piece)) in {
        "", *(part.code for part in found if isinstance(part, Code))
    }  # fmt: skip
    return "".join(part.text for part in found if isinstance(part, Prose)), [
        part.code for part in found if isinstance(part, Code)
    ]


BLOCKS = {
    "python": ("A\n```python\nx = 1\n```\nB", "A\n", ["x = 1\n"]),
    "py": ("```py\nx = 1\n```", "", ["x = 1\n"]),
    "indented in a list": ("1. so\n   ```python\n   if x:\n       y\n   ```\n", "1. so\n", ["if x:\n    y\n"]),
    "never closed": ("```python\nx = 1", "", ["x = 1"]),
    "backticks in code": ("````python\ns = '```'\n````\n", "", ["s = '```'\n"]),
    "no language, Python": ("```\nx = 1\n```\n", "", ["x = 1\n"]),
    "no language, a sample": ("```\nA 3\nB 5\n```\nEnd", "```\nA 3\nB 5\n```\nEnd", []),
    "no language, a number": ("```\n42\n```\n", "```\n42\n```\n", []),
    "another language": ("```sql\nselect 1\n```\n", "```sql\nselect 1\n```\n", []),
    "code in a line": ("Use `x = 1` and ```y```.", "Use `x = 1` and ```y```.", []),
    "only prose": ("Nothing else.", "Nothing else.", []),
    "an empty block": ("```python\n\n```\n", "", ["\n"]),
    "thoughts that never end": ("<think>So ```python\nx\n```", "", []),
    "a tag that is none": ("<thin air", "<thin air", []),
}


@pytest.mark.parametrize(("written", "prose", "code"), BLOCKS.values(), ids=BLOCKS.keys())
def test_a_text_is_taken_apart(written: str, prose: str, code: list[str]) -> None:
    assert parts(written) == (prose, code)
    assert parts(*written) == (prose, code)


@given(st.text("ab`\n py thon<>/k", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_where_a_text_is_cut_into_pieces_does_not_matter(written: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(written)), len(written)]
    pieces = [written[start:end] for start, end in itertools.pairwise(places)]

    assert parts(*pieces) == parts(written)


@given(st.text(max_size=60), st.booleans(), st.integers(1, 7))
def test_the_code_of_a_tool_call_is_read_while_it_comes(code: str, plain: bool, size: int) -> None:
    raw = json.dumps({"id": 3, "code": code}, ensure_ascii=plain)
    arguments, streamed = Arguments(), ""
    for start in range(0, len(raw), size):
        streamed += arguments.feed(raw[start : start + size])

    assert streamed == code
    assert arguments.code == code or "```" in code


def test_code_that_a_model_sends_bare_as_arguments_is_taken_if_it_is_python() -> None:
    bare, fence, words = Arguments(), Arguments(), Arguments()
    bare.feed("import os\nprint(1)")
    fence.feed(json.dumps({"code": "```python\nprint(2)\n```"}))
    words.feed("please run it")

    assert (bare.code, fence.code, words.code) == ("import os\nprint(1)", "print(2)", "")
