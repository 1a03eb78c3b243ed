"""The event stream: its order, its numbers, its shapes, its citations."""

import base64
from unittest.mock import Mock

from engines import annotations, logs, tool

from ipython_assistant.engine.models import Run, Say
from ipython_assistant.engine.responder import StoredResponses

SHOWS_AND_SAVES = """
import matplotlib.pyplot as plt
print('first')
plt.plot([1, 2])
plt.savefig('/mnt/data/line.png')
plt.show()
print('then')
"""


async def shown_and_saved(ask, interpreter):
    yield Say("I will plot it. ")
    yield Say("One moment.")
    yield (run := Run(SHOWS_AND_SAVES.strip()))
    name = run.outcome.files[0]
    yield Say(f"Done 🎉 “naïve”: [{name}](sandbox:/mnt/data/{name}), see ![it](sandbox:/mnt/data/line.png).")


def test_a_shown_figure_is_in_the_outputs_and_a_saved_one_is_a_file(stage):
    files = stage.engine.client().containers.files
    before = {row.id for row in files.list(stage.container)}
    response = stage.ask(shown_and_saved)
    rows = {row.id: row for row in files.list(stage.container) if row.id not in before}
    assert {row.path for row in rows.values()} == {"/mnt/data/line.png"}
    assert {row.source for row in rows.values()} == {"assistant"}
    assert [mark.file_id for mark in annotations(response)] == [*rows] * 2
    call = response.output[1]
    assert [part.type for part in call.outputs] == ["logs", "image", "logs"]
    assert base64.b64decode(call.outputs[1].url.partition(",")[2]).startswith(b"\x89PNG")


def test_awkward_names_are_linked_cited_and_fetched(engine, client, container):
    names = ["a b.csv", "größe.csv", "50%.csv", "x (1).csv", "[x].csv", "sub/inner.csv", "x.csv", "x.csv.gz"]
    code = f"import os; os.makedirs('sub', exist_ok=True)\nfor name in {names!r}: open(name, 'w').write(name)"
    response = engine.ask(code, container=container)
    fetch = client.containers.files.content.retrieve
    marks = annotations(response)
    assert {fetch(mark.file_id, container_id=mark.container_id).text for mark in marks} == set(names)
    assert {mark.filename for mark in annotations(response)} == {name.rpartition("/")[2] for name in names}
    text = response.output[-1].content[0].text
    assert {text[mark.start_index : mark.end_index][:18] for mark in marks} == {"sandbox:/mnt/data/"}


def test_a_model_that_raises_and_a_full_disk_end_the_stream_with_error_and_failed(stage, caplog, monkeypatch):
    async def breaks(ask, interpreter):
        yield Say("So far so good.")
        raise ZeroDivisionError("the model is broken")

    events = stage.events(breaks)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    error, failed = events[-2]["error"], events[-1]["response"]
    assert (error["code"], error["param"]) == ("server_error", None)
    assert error.items() >= {key: events[-2][key] for key in ("code", "message", "param")}.items()
    assert "the model is broken" in error["message"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    assert "ZeroDivisionError: the model is broken" in caplog.text
    assert stage.ask(breaks).status == "failed"
    monkeypatch.setattr(StoredResponses, "put", Mock(side_effect=OSError(28, "No space")))
    *events, error, failed = stage.events(shown_and_saved)
    assert (error["message"], failed["type"]) == ("The response could not be stored: No space", "response.failed")
    assert (failed["sequence_number"], failed["response"]["completed_at"]) == (len(events) + 1, None)


def test_a_model_gets_the_messages_and_files_that_the_client_sent(stage):
    async def listens(ask, interpreter):
        yield Say("Yes.")

    client = stage.engine.client()
    container = client.containers.create(name="c").id
    for name in ("b.csv", "a.csv"):
        client.containers.files.create(container, file=(name, b"1"))
    first = stage.ask(listens, tools=[tool(container)], input="One?", instructions="Be brief.")
    stage.ask(listens, input=[{"role": "user", "content": "Two?"}], previous_response_id=first.id)
    *_, said, then = stage.model.asked
    assert (said.prompt, said.files, said.history, said.instructions) == ("One?", ("b.csv", "a.csv"), (), "Be brief.")
    assert [(message.role, message.text) for message in then.history] == [("user", "One?"), ("assistant", "Yes.")]
    assert (then.prompt, then.instructions) == ("Two?", "")


def test_a_probe_sees_files_and_variables_and_leaves_nothing_behind(stage):
    async def probes(ask, interpreter):
        yield Run("seen = 1")
        told = await interpreter.probe("hidden = seen + 1\nprint(open('/mnt/data/in.txt').read(), hidden)")
        try:
            await interpreter.probe("open('/mnt/data/absent.txt')")
        except RuntimeError as error:
            told += str(error)
        yield Run("print('hidden' in globals(), __file__ if '__file__' in globals() else None)")
        yield Say(told)

    stage.engine.client().containers.files.create(stage.container, file=("in.txt", b"given"))
    response = stage.ask(probes)
    assert response.output_text.startswith("given 2\nFileNotFoundError")
    assert response.output_text.endswith("'/mnt/data/absent.txt'")
    assert logs(response) == "False None\n"
    assert [item.type for item in response.output] == ["code_interpreter_call"] * 2 + ["message"]
