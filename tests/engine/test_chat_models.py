"""A chat model fills in a plan, this machine does the rest: a scripted chat server, a real engine, real kernels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from engines import OUTPUTS, Running, in_thread, tool
from tests_support.chat_servers import KINDS, Reply, ScriptedServer, refusal

from ipython_assistant.engine.models.chat_models import ChatModel
from ipython_assistant.engine.models.chat_server import ChatServer
from ipython_assistant.engine.models.plan.tables import Column, TableProfile
from ipython_assistant.engine.models.share import Veil

TABLE = "district,year,cases\nNorth,2021,3\nSouth,2021,5\nNorth,2022,4\n"
QUESTION = "Sum of cases per district where the district is north, as sums.csv"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, ScriptedServer]]:
    made = {kind: ScriptedServer(kind) for kind in KINDS}
    for server in made.values():
        server.__enter__()
    yield made
    for server in made.values():
        server.__exit__()


@pytest.fixture(scope="module")
def engine(servers: dict[str, ScriptedServer]) -> Iterator[Running]:
    def model(kind: str, name: str) -> ChatModel:
        made: list[ChatServer] = []

        async def connect() -> ChatServer:
            made.extend([] if made else [ChatServer(servers[kind].url, name)])
            return made[0]

        return ChatModel(name, connect)

    models = {kind: model(kind, "small-4b") for kind in KINDS} | {"large": model("vllm", "large-70b")}
    with in_thread(models, time.time) as running:
        yield running


@pytest.fixture(scope="module")
def container(engine: Running) -> str:
    made = engine.client().containers.create(name="of all tests").id
    engine.client().containers.files.create(made, file=("cases.csv", TABLE.encode()))
    return made


@pytest.fixture
def ask(engine: Running, servers: dict[str, ScriptedServer], container: str) -> Any:
    for server in servers.values():
        server.script, server.asked, server.planned = [], [], []

    def asking(kind: str, *replies: Reply, words: str = QUESTION, model: str = "", **parameters: Any) -> Any:
        servers[kind].script = list(replies)
        asked = {"model": model or kind, "input": words, "tools": [tool(container)], "include": OUTPUTS}
        return engine.client().responses.create(**{**asked, **parameters})

    return asking


def text_of(response: Any) -> str:
    messages = [item for item in response.output if item.type == "message"]
    return "\n".join(getattr(part, "text", "") or getattr(part, "refusal", "") for m in messages for part in m.content)


def schema_of(body: dict[str, Any]) -> dict[str, Any]:
    return body.get("format") or body["response_format"]["json_schema"]["schema"]


def fill_in(body: dict[str, Any]) -> Reply:
    """A plan as a model writes it that keeps to the schema: the first branch, with everything that has to be there."""
    return Reply(json.dumps(_filled(schema_of(body))))


def _filled(schema: dict[str, Any]) -> Any:
    if "anyOf" in schema:
        return _filled(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: _filled(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [_filled(schema["items"])] * schema.get("minItems", 0)
    return 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_server_is_held_to_a_valid_schema_and_its_plan_is_carried_out(kind, ask, servers) -> None:
    response = ask(kind, fill_in, words="Describe the table, as overview.csv")

    (body,) = servers[kind].asked
    jsonschema.Draft202012Validator.check_schema(schema_of(body))
    jsonschema.validate(json.loads(fill_in(body).text), schema_of(body))
    codes = [item.code for item in response.output if item.type == "code_interpreter_call"]
    assert len(codes) == 1, text_of(response)
    assert "overview.csv" in codes[0]
    assert text_of(response).startswith("Read as:")
    assert response.usage.input_tokens == 100


def test_a_schema_that_is_refused_is_asked_for_as_plain_json(ask, servers) -> None:
    response = ask(
        "vllm", refusal(400, "response_format is not supported"), Reply('{"cannot": "x"}'), Reply("No."), Reply("No.")
    )

    first, second, *_ = servers["vllm"].asked
    assert "response_format" in first
    assert "response_format" not in second
    assert json.dumps(schema_of(first)) in second["messages"][-1]["content"]
    assert response.status == "completed"


@pytest.mark.parametrize(
    "written", ["not JSON at all", '{"output": "table", "filters": [', '{"output": "no such"}', "[]", ""]
)
def test_a_plan_that_is_none_lets_the_model_write_python(ask, servers, written: str) -> None:
    code = "```python\ncases.groupby('district')['cases'].sum().to_csv('sums.csv')\n```"
    response = ask("vllm", Reply(written), Reply(code), Reply("It is saved."))

    assert text_of(response).endswith("It is saved.")


def test_a_word_that_is_not_understood_is_refused_by_a_small_model_and_left_to_a_large_one(ask, servers) -> None:
    words = "Sum of cases per district during the pandemic"
    refused = ask("vllm", words=words)
    answered = ask("vllm", Reply("```python\nprint(1)\n```"), Reply("It is 1."), words=words, model="large")

    assert "pandemic" in text_of(refused)
    assert "-m" in text_of(refused)
    assert text_of(answered).endswith("It is 1.")


@pytest.mark.parametrize("share", ["names", "shapes"])
def test_the_values_of_a_plan_are_told_in_the_questions_own_spelling(ask, servers, share: str) -> None:
    ask("vllm", fill_in, metadata={"share": share, "inputs": "cases.csv", "named": "cases.csv"})

    sent = json.dumps(servers["vllm"].asked)
    assert "north" in sent
    assert "North" not in sent
    assert "South" not in sent


def test_a_veil_gives_back_every_value_that_a_stand_in_stands_for() -> None:
    column = Column("village", "text", values=("KANARIAT", "Kanariat", "Zwergdorf", "other"))
    veil = Veil("cases in kanariat and other and zwergdorv", [TableProfile("t", columns=(column,))])
    hidden = veil.hide({"value": {"enum": ["KANARIAT", "Kanariat", "Zwergdorf", "other", 7]}, "text": "in Zwergdorf."})

    assert hidden == {"value": {"enum": ["kanariat", "kanariat", "zwergdorv", "other", 7]}, "text": "in zwergdorv."}
    lifted = json.loads(veil.lift('{"value": ["kanariat", "other"], "one": "zwergdorv", "n": [1]}'))
    assert lifted == {"value": ["KANARIAT", "Kanariat", "other"], "one": "Zwergdorf", "n": [1]}
    assert veil.lift("not JSON") == "not JSON"
