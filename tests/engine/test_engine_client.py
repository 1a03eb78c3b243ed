"""An unmodified `openai` client against a real engine process."""

import json

import openai
import pytest
from engines import OUTPUTS, annotations, calls, fence, logs, tool


def test_a_question_about_an_uploaded_file_is_answered_and_its_file_is_fetched(client, container):
    uploaded = client.containers.files.create(container, file=("cases.csv", b"year,cases\n2020,3\n2021,5\n"))
    code = "import pandas as pd\npd.read_csv('cases.csv').sum().to_csv('/mnt/data/total.csv')\nprint('done')"
    response = client.responses.create(model="basic", input=fence(code), include=OUTPUTS, tools=[tool(container)])
    assert (uploaded.path, uploaded.source, uploaded.bytes) == ("/mnt/data/cases.csv", "user", 25)
    assert response.status == "completed"
    assert logs(response) == "done\n"
    [citation] = annotations(response)
    assert (citation.container_id, citation.filename) == (container, "total.csv")
    content = client.containers.files.content.retrieve(citation.file_id, container_id=container)
    assert content.read() == b",0\nyear,4041\ncases,8\n"


def test_a_streamed_response_ends_in_the_same_object_that_can_be_retrieved(client, engine, container):
    *_, last = engine.ask("print(6 * 7)", container=container, stream=True)
    retrieved = client.responses.retrieve(last.response.id, include=OUTPUTS)
    assert last.type == "response.completed"
    assert logs(retrieved) == "42\n"
    assert retrieved.to_dict() == last.response.to_dict()


def test_outputs_are_null_unless_they_are_asked_for(client, engine, container):
    response = engine.ask("print(1)", container=container, include=[])
    [call] = calls(response)
    assert call.outputs is None
    assert client.responses.retrieve(response.id) == response


def test_a_follow_up_continues_in_the_same_container_with_the_same_variables(engine, container):
    first = engine.ask("x = 20", container=container)
    second = engine.ask("print(x + 1)", previous_response_id=first.id)
    assert logs(second) == "21\n"
    assert second.previous_response_id == first.id
    assert [item.container_id for item in calls(second)] == [container]


def test_a_replayed_conversation_reuses_its_container_without_being_stored(engine, container):
    first = engine.ask("y = 'kept'", container=container, store=False)
    replayed = [{"role": "user", "content": fence("y = 'kept'")}, *[item.to_dict() for item in first.output]]
    second = engine.ask("", input=[*replayed, {"role": "user", "content": fence("print(y)")}], store=False)
    assert logs(second) == "kept\n"
    assert engine.request("GET", f"/v1/responses/{second.id}")[0] == 404


def test_files_of_the_files_api_are_in_the_container_under_their_own_name(client, engine):
    uploaded = client.files.create(file=("größe ☃.txt", b"snow"), purpose="user_data")
    tools = [tool({"type": "auto", "file_ids": [uploaded.id]})]
    response = engine.ask("print(open('/mnt/data/größe ☃.txt').read())", tools=tools)
    assert (uploaded.filename, uploaded.bytes) == ("größe ☃.txt", 4)
    assert logs(response) == "snow\n"


def test_files_and_pictures_within_the_input_are_in_the_container_once_even_after_a_refusal(engine, container):
    parts = [
        {"type": "input_file", "filename": "../within.csv", "file_data": "data:text/csv;base64,YSxiCjEsMgo="},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
    ]
    code = "import glob\nprint(open('within.csv').read(), open(glob.glob('input-image-*.png')[0], 'rb').read()[:4])"
    asked = [{"role": "user", "content": [*parts, {"type": "input_text", "text": fence(code)}]}]
    engine.ask("import os\nos.mkdir('within.csv')", container=container)
    with pytest.raises(openai.BadRequestError, match="cannot be used as a file name"):
        engine.ask("", container=container, input=asked)
    engine.ask("os.rmdir('within.csv')", container=container)
    responses = [engine.ask("", container=container, input=asked) for _ in range(2)]
    assert [logs(response) for response in responses] == ["a,b\n1,2\n b'\\x89PNG'\n"] * 2
    paths = [row.path for row in engine.client().containers.files.list(container, limit=100)]
    assert [paths.count(f"/mnt/data/{name}") for name in ("within.csv", "input-image-2.png")] == [1, 1]


def test_code_is_not_run_where_tools_are_refused(engine, container):
    response = engine.ask("print(1)", container=container, tool_choice="none")
    assert [item.type for item in response.output] == ["message"]


def test_every_file_of_a_container_is_listed_once_in_the_order_that_is_asked_for(client):
    container = client.containers.create(name="many")
    for number in range(25):
        client.containers.files.create(container.id, file=(f"{number:02}.txt", b"x"))
    ascending = [file.path for file in client.containers.files.list(container.id, limit=10, order="asc")]
    assert ascending == [f"/mnt/data/{number:02}.txt" for number in range(25)]
    assert [file.path for file in client.containers.files.list(container.id)] == ascending[::-1]


def test_code_that_raises_is_a_failed_call_whose_log_ends_with_the_traceback(engine, container):
    code = "import pandas as pd\nprint('before')\npd.DataFrame({'a': [1]})['b']"
    response = engine.ask(code, container=container)
    [call] = calls(response)
    assert (response.status, call.status) == ("completed", "failed")
    assert (logs(response)[:7], logs(response).rstrip()[-13:]) == ("before\n", "KeyError: 'b'")
    assert "----> 3 pd.DataFrame({'a': [1]})['b']" in logs(response)
    assert all(part not in logs(response) for part in ("_libs", "\x1b"))
    assert "stopped with KeyError: 'b'" in response.output_text


def test_a_response_without_a_code_interpreter_refuses_and_says_what_is_missing(client):
    response = client.responses.create(model="basic", input="Plot it.")
    [message] = response.output
    assert message.content[0].type == "refusal"
    assert "code_interpreter" in message.content[0].refusal
    assert response.status == "completed"


@pytest.mark.slow
def test_items_of_a_stored_response_are_replayed_by_reference(engine, client):
    """As the Vercel AI SDK sends its second turn: the code runs where that of the first turn has."""
    first = engine.ask("kept = 42")
    referred = [{"type": "item_reference", "id": item.id} for item in first.output]
    question, follow_up = ({"role": "user", "content": fence(code)} for code in ("kept = 42", "print(kept)"))
    assert logs(engine.ask("", input=[question, *referred, follow_up])) == "42\n"
    with pytest.raises(openai.NotFoundError, match="Item with id 'msg_unknown' not found"):
        engine.ask("", input=[{"type": "item_reference", "id": "msg_unknown"}, {"role": "user", "content": "x"}])


def test_missing_values_are_left_out_where_the_description_forbids_null(engine, client):
    created, *_, completed = engine.events("1")
    container = client.containers.create(name="empty").id
    empty = json.loads(engine.request("GET", f"/v1/containers/{container}/files")[2])
    file = client.files.create(file=("a.csv", b"1"), purpose="user_data")
    assert {"user", "usage"}.isdisjoint(created["response"])
    assert completed["response"]["usage"]["total_tokens"] == 0
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], "", "")
    assert {"expires_at", "status_details"}.isdisjoint(file.model_dump(exclude_unset=True))
