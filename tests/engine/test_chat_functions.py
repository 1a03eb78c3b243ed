"""Functions of the client's, called by chat models: a scripted chat-completions server, a real engine, the SDK."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from chat_server import ChatServer, Reply, call, text
from engines import OUTPUTS, Running, in_thread, logs, tool
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from ipython_assistant.engine.models.chat import Chat, Manner
from ipython_assistant.engine.models.chat_http import Server
from ipython_assistant.engine.models.chat_turn import Turn
from ipython_assistant.engine.models.default import Unaided

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    "strict": False,
}
NOTE = {"type": "function", "name": "note", "parameters": None}
PARIS = '{"town": "Paris"}'


@pytest.fixture(scope="module")
def engine(chat: ChatServer) -> Iterator[Running]:
    models: dict[str, Any] = {
        "fenced": Chat("fenced", Server(chat.url)),
        "tools": Chat("tools", Server(chat.url), Manner(form="tools")),
        "analyst": Unaided(),
    }
    with in_thread(models, time.time) as running:
        yield running


@pytest.fixture(scope="module")
def container(engine: Running) -> str:
    return engine.client().containers.create(name="shared").id


@pytest.fixture(autouse=True)
def rested(chat: ChatServer) -> Iterator[None]:
    chat.script, chat.asked, chat.headers = [], [], []
    yield
    assert chat.script == []


@pytest.fixture
def ask(engine: Running, chat: ChatServer) -> Any:
    def asking(*replies: Any, model: str = "fenced", **parameters: Any) -> Any:
        chat.script = list(replies)
        asked = {"model": model, "input": "How is the weather in Paris?", "tools": [WEATHER], "include": OUTPUTS}
        return engine.client().responses.create(**{**asked, **parameters})

    return asking


def together(*calls: tuple[str, str, str]) -> Reply:
    """Calls in one answer, each whole and all of them numbered 0, as Ollama has sent them: id, name, arguments."""
    return Reply(
        [
            {"tool_calls": [{"index": 0, "id": one, "type": "function", "function": {"name": name, "arguments": said}}]}
            for one, name, said in calls
        ],
        finish="tool_calls",
    )


def called(response: Any) -> list[tuple[str, str, str]]:
    return [(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"]


def gave(call_id: str, output: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


@pytest.mark.parametrize("model", ["fenced", "tools"])
@pytest.mark.parametrize("interpreter", [True, False], ids=["beside code", "without code"])
def test_a_function_is_called_and_what_it_gave_is_answered(
    ask: Any, chat: ChatServer, container: str, model: str, interpreter: bool
) -> None:
    tools = [*([tool(container)] if interpreter else []), WEATHER]
    first = ask(call(PARIS, name="get_weather"), model=model, tools=tools)

    assert first.status == "completed"
    assert [item.type for item in first.output] == ["function_call"]
    assert called(first) == [("call_7", "get_weather", PARIS)]

    then = ask(
        text("It rains."), model=model, tools=tools, previous_response_id=first.id, input=[gave("call_7", "rain")]
    )

    assert then.output_text.startswith("It rains.")
    offered = [each["function"]["name"] for each in chat.asked[0]["tools"]]
    assert offered == (["python", "get_weather"] if interpreter and model == "tools" else ["get_weather"])
    assert chat.asked[0]["tools"][-1]["function"] == {
        "name": "get_weather",
        "description": "The weather in a town.",
        "parameters": WEATHER["parameters"],
        "strict": False,
    }
    asked, assistant, told = [each for each in chat.asked[1]["messages"] if each["role"] != "system"]
    assert asked["content"] == "How is the weather in Paris?"
    assert assistant["tool_calls"] == [
        {"id": "call_7", "type": "function", "function": {"name": "get_weather", "arguments": PARIS}}
    ]
    assert told == {"role": "tool", "tool_call_id": "call_7", "content": "rain"}


def test_a_conversation_without_a_stored_response_is_sent_whole(ask: Any, chat: ChatServer) -> None:
    first = ask(call(PARIS, name="get_weather"), store=False)
    sent = [{"role": "user", "content": "Weather?"}, *first.to_dict()["output"], gave("call_7", "sun")]

    ask(text("It shines."), input=sent, store=False)

    assert [each["role"] for each in chat.asked[1]["messages"]] == ["user", "assistant", "tool"]
    assert chat.asked[1]["messages"][1]["tool_calls"][0]["function"]["arguments"] == PARIS


def test_code_that_is_sent_whole_is_told_where_the_answer_is_not_over(
    ask: Any, chat: ChatServer, container: str
) -> None:
    tools = [tool(container), NOTE]
    first = ask(text("```python\nprint(3 + 5)\n```\n"), call("{}", name="note"), tools=tools, store=False)
    question = {"role": "user", "content": "Add."}
    sent = [question, *first.to_dict()["output"], gave("call_7", "ok")]
    ask(text("Eight."), tools=tools, input=sent, store=False)
    ask(text("Yes."), tools=tools, input=[*sent, {"role": "user", "content": "Sure?"}], store=False)

    during, after = (json.dumps(asked["messages"][1:]) for asked in chat.asked[2:])
    assert "print(3 + 5)" in during
    assert "The code printed:\\n8" in during
    assert "print(3 + 5)" not in after


def test_the_events_of_a_call_come_in_the_order_of_the_service(engine: Running, chat: ChatServer) -> None:
    chat.script = [Reply([{"content": "Let me "}, {"content": "look."}, *call(PARIS, name="get_weather").deltas])]
    asked = {"model": "tools", "input": "Weather?", "tools": [WEATHER], "stream": True}
    events = engine.events("", **asked)

    kinds = [event["type"].removeprefix("response.") for event in events if event["type"] != "response.in_progress"]
    deltas = kinds.count("function_call_arguments.delta")
    assert kinds == [
        "created",
        *("output_item.added", "content_part.added", *["output_text.delta"] * kinds.count("output_text.delta")),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", *["function_call_arguments.delta"] * deltas, "function_call_arguments.done"),
        *("output_item.done", "completed"),
    ]
    assert deltas > 2
    pieces = [event["delta"] for event in events if event["type"].endswith("call_arguments.delta")]
    done = next(event for event in events if event["type"].endswith("call_arguments.done"))
    item = events[-1]["response"]["output"][1]
    assert "".join(pieces) == done["arguments"] == item["arguments"] == PARIS
    assert {event["item_id"] for event in events if "call_arguments" in event["type"]} == {item["id"]}
    assert (item["status"], item["call_id"]) == ("completed", "call_7")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    parse = TypeAdapter(ResponseStreamEvent).validate_python
    assert [parse(event).type for event in events] == [event["type"] for event in events]


def test_the_sdk_carries_a_streamed_call_through(engine: Running, chat: ChatServer) -> None:
    chat.script = [call(PARIS, name="get_weather"), text("It rains in Paris.")]
    client = engine.client()
    tools: Any = [WEATHER]
    with client.responses.stream(model="fenced", input="Weather?", tools=tools) as stream:
        first = stream.get_final_response()
    (wanted,) = [item for item in first.output if item.type == "function_call"]
    weather = {"Paris": "rain"}[json.loads(wanted.arguments)["town"]]
    output: Any = [gave(wanted.call_id, weather)]
    with client.responses.stream(model="fenced", input=output, tools=tools, previous_response_id=first.id) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]

    assert "".join(deltas) == "It rains in Paris."
    stored = client.responses.retrieve(first.id).output[0]
    assert (stored.id, stored.call_id, stored.arguments) == (wanted.id, wanted.call_id, wanted.arguments)


def test_several_calls_at_once_are_told_apart(ask: Any, chat: ChatServer) -> None:
    two = together(("a", "get_weather", PARIS), ("b", "get_weather", '{"town": "Rome"}'))
    first = ask(two, parallel_tool_calls=True)

    assert called(first) == [("a", "get_weather", PARIS), ("b", "get_weather", '{"town": "Rome"}')]
    ask(text("Rain, sun."), previous_response_id=first.id, input=[gave("b", "sun"), gave("a", "rain")])

    assert chat.asked[0]["parallel_tool_calls"] is True
    _, assistant, *told = chat.asked[1]["messages"]
    assert [each["id"] for each in assistant["tool_calls"]] == ["a", "b"]
    assert [(each["tool_call_id"], each["content"]) for each in told] == [("a", "rain"), ("b", "sun")]


def test_calls_whose_pieces_are_mixed_come_out_whole(ask: Any) -> None:
    pieces = [(0, "get_weather", '{"to'), (1, "note", ""), (0, None, 'wn": "Paris"}'), (1, None, "")]
    deltas = [
        {"tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": name, "arguments": piece}}]}
        for index, name, piece in pieces
    ]
    response = ask(Reply(deltas, finish="tool_calls"), tools=[WEATHER, NOTE])

    assert called(response) == [("c0", "get_weather", PARIS), ("c1", "note", "{}")]


def test_one_call_at_a_time_is_kept_to_even_by_a_model_that_does_not_know(ask: Any) -> None:
    response = ask(together(("a", "note", "{}"), ("b", "note", "{}")), tools=[NOTE], parallel_tool_calls=False)

    assert called(response) == [("a", "note", "{}")]


@pytest.mark.parametrize("given", ["", "x" * 200, "a\x00b"])
def test_a_call_that_has_no_name_of_its_own_is_given_one(ask: Any, given: str) -> None:
    first = ask(together((given, "note", "{}")), tools=[NOTE])
    ((made, _, _),) = called(first)
    again = ask(
        together((made, "note", "{}")), tools=[NOTE], previous_response_id=first.id, input=[gave(made, "noted")]
    )

    assert made.startswith("call_")
    assert called(again)[0][0] not in {"", made}


def test_text_before_a_call_is_said_before_it_and_stays_with_it(ask: Any, chat: ChatServer) -> None:
    words = [{"content": "`note` "}, {"content": "is next."}]  # a line like this one waits: it might be a fence
    first = ask(Reply([*words, *call("{}", name="note").deltas, {"content": "\n"}]), tools=[NOTE])
    ask(text("Noted."), tools=[NOTE], previous_response_id=first.id, input=[gave("call_7", "ok")])

    assert [item.type for item in first.output] == ["message", "function_call"]
    assert first.output_text == "`note` is next."
    roles = [(each["role"], each["content"]) for each in chat.asked[1]["messages"]]
    assert roles[1:] == [("assistant", "`note` is next."), ("tool", "ok")]


def test_code_that_a_call_interrupts_runs_first_and_the_call_comes_again(
    ask: Any, chat: ChatServer, container: str
) -> None:
    both = Reply([{"content": "```python\nprint(7)\n"}, *call('{"seven": 7}', name="note").deltas])
    response = ask(both, call('{"seven": 7}', name="note"), tools=[tool(container), NOTE])

    assert [item.type for item in response.output] == ["code_interpreter_call", "function_call"]
    assert "The code printed:\n7" in chat.asked[1]["messages"][-1]["content"]


def test_arguments_that_come_as_an_object_are_passed_on_as_json(ask: Any) -> None:
    parts = {"index": 0, "id": "o", "function": {"name": "get_weather", "arguments": {"town": "Paris"}}}

    assert called(ask(Reply([{"tool_calls": [parts]}]))) == [("o", "get_weather", PARIS)]


def test_a_model_that_calls_what_it_may_not_is_stopped(ask: Any) -> None:
    response = ask(call("{}", name="get_weather"), tool_choice="none")

    assert response.status == "failed"
    assert called(response) == []


@pytest.mark.parametrize("model", ["fenced", "tools"])
def test_code_runs_before_a_function_is_called_and_is_remembered(
    ask: Any, chat: ChatServer, container: str, model: str
) -> None:
    code = "total = 3 + 5\nprint(total)\n"
    runs = text(f"```python\n{code}```\n") if model == "fenced" else call(json.dumps({"code": code}))
    tools = [tool(container), NOTE]
    first = ask(runs, call('{"total": 8}', name="note"), model=model, tools=tools)
    then = ask(text("Noted."), model=model, tools=tools, previous_response_id=first.id, input=[gave("call_7", "ok")])

    assert [item.type for item in first.output] == ["code_interpreter_call", "function_call"]
    assert logs(first) == "8\n"
    told = json.dumps(chat.asked[2]["messages"])
    assert "total = 3 + 5" in told
    assert "The code printed:\\n8" in told
    assert [each["role"] for each in chat.asked[2]["messages"]][-1] == "tool"
    assert then.output_text.endswith("wrote this answer and its code: check the result.*")

    ask(text("Yes."), model=model, tools=tools, previous_response_id=then.id, input="Sure?")
    assert "total = 3 + 5" not in json.dumps(chat.asked[3]["messages"])


def test_an_answer_from_what_functions_gave_says_that_no_code_ran(ask: Any, container: str) -> None:
    tools = [tool(container), WEATHER]
    first = ask(call(PARIS, name="get_weather"), tools=tools)
    then = ask(text("It rains."), tools=tools, previous_response_id=first.id, input=[gave("call_7", "rain")])

    assert then.output_text.endswith("ran no code of its own: check the result.*")


@pytest.mark.parametrize(
    ("choice", "model", "sent"),
    [
        ("auto", "fenced", None),
        ("required", "fenced", "required"),
        ("none", "fenced", "none"),
        ({"type": "function", "name": "note"}, "fenced", {"type": "function", "function": {"name": "note"}}),
        ({"type": "code_interpreter"}, "tools", {"type": "function", "function": {"name": "python"}}),
        ({"type": "code_interpreter"}, "fenced", None),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "note"}]}, "tools",
         "required"),
    ],
)  # fmt: skip
def test_the_choice_of_tools_is_passed_on(
    ask: Any, chat: ChatServer, container: str, *, choice: Any, model: str, sent: Any
) -> None:
    ask(text("Well."), model=model, tools=[tool(container), WEATHER, NOTE], tool_choice=choice)

    asked = chat.asked[0]
    names = [each["function"]["name"] for each in asked["tools"]]
    assert asked.get("tool_choice") == sent
    assert ("get_weather" in names) is ("allowed_tools" not in str(choice))
    assert ("python" in names) is (model == "tools" and "allowed_tools" not in str(choice))


def test_what_has_to_be_called_has_to_be_called_once(ask: Any, chat: ChatServer, container: str) -> None:
    ask(call('{"code": "print(1)"}'), text("1"), model="tools", tools=[tool(container)], tool_choice="required")

    assert [asked.get("tool_choice") for asked in chat.asked] == ["required", None]


def test_a_function_that_is_called_like_our_own_tool_is_the_clients(ask: Any, chat: ChatServer, container: str) -> None:
    own = {"type": "function", "name": "python", "parameters": None}
    response = ask(call('{"code": "1"}'), model="tools", tools=[tool(container), own])

    assert called(response) == [("call_7", "python", '{"code": "1"}')]
    assert [each["function"]["name"] for each in chat.asked[0]["tools"]] == ["run_python_code", "python"]


def test_a_function_whose_name_was_got_wrong_is_called_again(ask: Any, chat: ChatServer, container: str) -> None:
    wrong, right = call(PARIS, name="getWeather"), call(PARIS, name="get_weather")
    response = ask(wrong, right, tools=[tool(container), WEATHER])

    assert called(response) == [("call_7", "get_weather", PARIS)]
    assert chat.asked[1]["messages"][-1]["content"] == "There is no tool 'getWeather'. There are: get_weather."


def test_a_call_of_something_that_was_not_offered_is_said(ask: Any) -> None:
    response = ask(call("{}", name="order_pizza"))

    assert response.status == "failed"
    assert "called 'order_pizza', which the request does not offer" in response.error.message


def test_a_call_that_was_cut_off_is_not_to_be_carried_out(ask: Any, chat: ChatServer) -> None:
    response = ask(call('{"town": "Par', name="get_weather", finish="length"))

    assert (response.status, response.output[0].status) == ("incomplete", "incomplete")
    ask(text("Again."), previous_response_id=response.id, input="Go on.")
    assert [each["role"] for each in chat.asked[1]["messages"]] == ["user", "assistant", "user"]


def test_arguments_of_a_megabyte_arrive_in_time(ask: Any) -> None:
    long = json.dumps({"town": "é" * 100_000, "code": "x = 1\n" * 50_000}, ensure_ascii=False)
    began = time.monotonic()
    response = ask(call(long, name="get_weather", piece=40))

    assert called(response)[0][2] == long
    assert time.monotonic() - began < 20


@given(
    st.lists(st.tuples(st.sampled_from(["get_weather", "note"]), st.text(max_size=12)), min_size=1, max_size=3),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_how_a_server_cuts_and_mixes_calls_does_not_matter(
    calls: list[tuple[str, str]], size: int, chance: random.Random
) -> None:
    wanted = [(name, json.dumps({"code": said})) for name, said in calls]
    queues = [
        [{"index": index, "id": f"c{index}", "function": {"name": name, "arguments": raw[:size]}},
         *({"index": index, "function": {"arguments": raw[at : at + size]}} for at in range(size, len(raw), size))]
        for index, (name, raw) in enumerate(wanted)
    ]  # fmt: skip
    turn, steps = Turn(code_in_text=True, functions={"get_weather", "note"}), []
    left: list[list[dict[str, Any]]] = []  # calls begin in their order, and then come as they like
    while left or queues:
        if queues and (not left or chance.random() < 0.5):
            left.append(queues.pop(0))
            piece = left[-1].pop(0)
        else:
            piece = chance.choice(left).pop(0)
        left = [queue for queue in left if queue]
        steps += turn.take({"choices": [{"delta": {"tool_calls": [piece]}}]})
    steps += turn.end()

    numbers = [step.number for step in steps]
    assert numbers == sorted(numbers)
    told = [[step for step in steps if step.number == number] for number in dict.fromkeys(numbers)]
    assert [(one[0].call_id, one[0].name, "".join(step.arguments for step in one)) for one in told] == [
        (f"c{index}", *one) for index, one in enumerate(wanted)
    ]


REFUSED = {
    "an output without its call": (
        {"input": [gave("call_x", "1"), {"role": "user", "content": "So?"}]},
        "No tool call found for function call output with call_id call_x.",
    ),
    "a call without its output": (
        {"input": [{"type": "function_call", "call_id": "call_x", "name": "note", "arguments": "{}"},
                   {"role": "user", "content": "So?"}]},
        "No tool output found for function call call_x.",
    ),
    "nothing to answer": ({"input": [gave("call_x", "1")]}, "a message of the user is expected"),
    "an output that is no text": ({"input": [gave("call_x", 5)]}, "Invalid type for 'input[0].output'"),
    "a function without a name": ({"tools": [{"type": "function"}]}, "Missing required parameter: 'tools[0].name'"),
    "a function as chat completions have it": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]}, "Missing required parameter: 'tools[0].name'"
    ),
    "a name that is none": ({"tools": [{"type": "function", "name": "a b"}]}, "Invalid 'tools[0].name'"),
    "two of a name": ({"tools": [NOTE, NOTE]}, "There are two functions 'note'"),
    "arguments that are no schema": (
        {"tools": [{"type": "function", "name": "f", "parameters": []}]}, "Invalid type for 'tools[0].parameters'"
    ),
    "a choice that is not there": ({"tool_choice": {"type": "function", "name": "f"}}, "Tool choice 'f' not found"),
    "the analyst": ({"model": "analyst"}, "'analyst' is no language model and calls no functions"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused(ask: Any, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(**changed)

    assert words in refused.value.body["message"]


def test_a_new_question_in_the_middle_of_a_call_is_refused(ask: Any) -> None:
    first = ask(call(PARIS, name="get_weather"))
    with pytest.raises(openai.BadRequestError) as refused:
        ask(previous_response_id=first.id, input="Never mind.")

    assert refused.value.body == {
        "message": "No tool output found for function call call_7.",
        "type": "invalid_request_error",
        "param": "input",
        "code": None,
    }
