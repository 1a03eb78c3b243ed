"""Python by a chat model: a scripted chat server, a real engine, real kernels."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from engines import OUTPUTS, Running, annotations, in_thread, logs, tool
from hypothesis import given
from hypothesis import strategies as st
from tests_support.chat_servers import Reply, ScriptedServer

from ipython_assistant.engine.models.chat_models import ChatModel
from ipython_assistant.engine.models.chat_server import ChatServer
from ipython_assistant.engine.models.free_python import ADDED, CORRECT, DONE, NO_CODE
from ipython_assistant.engine.models.python_code import has_numbers, split, with_labels

TABLE = "district,code,cases\nA,007,3\nB,012,5\nA,007,4\n"
SAVES = "worst = cases[cases['cases'] > 3]\nworst.to_csv('worst.csv', index=False)\nprint(cases['cases'].sum())\n"
NO_PLAN = '{"cannot": "needs statistics, forecasting or several steps"}'


def fenced(code: str, before: str = "I will look.") -> Reply:
    return Reply(f"{before}\n\n```python\n{code}```\n")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer("vllm") as server:
        yield server


@pytest.fixture(scope="module")
def engine(server: ScriptedServer) -> Iterator[Running]:
    def model(name: str, **more: Any) -> ChatModel:
        made: list[ChatServer] = []

        async def connect() -> ChatServer:
            made.extend([] if made else [ChatServer(server.url, name, key="sk-of-the-server", kind="vllm")])
            return made[0]

        return ChatModel(name, connect, **more)

    # A model of this size writes Python also where a plan does not pass its checks.
    models = {
        "here": model("here-27b"),
        "elsewhere": model("elsewhere", on_this_machine=False),
    }
    with in_thread(models, time.time) as running:
        yield running


@pytest.fixture(autouse=True)
def used_up(server: ScriptedServer) -> Iterator[None]:
    """Each test begins with an empty script, and has used up its own."""
    server.script, server.asked, server.planned, server.headers = [], [], [], []
    server.plan = NO_PLAN
    server.gone.clear()
    yield
    assert server.script == []


@pytest.fixture(scope="module")
def container(engine: Running) -> str:
    made = engine.client().containers.create(name="of all tests").id
    engine.client().containers.files.create(made, file=("cases.csv", TABLE.encode()))
    return made


@pytest.fixture
def ask(engine: Running, server: ScriptedServer, container: str) -> Any:
    def asking(*replies: Any, model: str = "here", **parameters: Any) -> Any:
        server.script = list(replies)
        asked = {"model": model, "input": "Sum the cases.", "tools": [tool(container)], "include": OUTPUTS}
        return engine.client().responses.create(**{**asked, **parameters})

    return asking


def said(response: Any) -> str:
    messages = [item for item in response.output if item.type == "message"]
    return "\n\n".join(part.text for item in messages for part in item.content if hasattr(part, "text"))


def refusal(response: Any) -> str:
    messages = [item for item in response.output if item.type == "message"]
    return "".join(getattr(part, "refusal", "") for item in messages for part in item.content)


def codes(response: Any) -> list[str]:
    return [item.code for item in response.output if item.type == "code_interpreter_call"]


def told(server: ScriptedServer, question: int = -1) -> str:
    """The last message the model was sent with one of the questions."""
    return server.asked[question]["messages"][-1]["content"]


# Running code. --------------------------------------------------------------------------------------------------------


def test_code_is_run_and_what_it_did_goes_back_to_the_model(ask: Any, server: ScriptedServer) -> None:
    response = ask(fenced(SAVES), Reply("There are 12 cases: [worst.csv](sandbox:/mnt/data/worst.csv)."))

    assert [item.type for item in response.output] == ["message", "code_interpreter_call", "message"]
    assert logs(response) == "12\n"
    assert said(response) == "I will look.\n\nThere are 12 cases: [worst.csv](sandbox:/mnt/data/worst.csv)."
    assert [citation.filename for citation in annotations(response)] == ["worst.csv"]
    assert server.asked[1]["messages"][-2] == {"role": "assistant", "content": f"I will look.\n\n```python\n{SAVES}```"}
    assert "The code printed:\n12" in told(server)
    assert "worst.csv: 2 rows × 3 columns" in told(server)
    assert "district|code|cases\nB|12|5" in told(server).replace("|012|", "|12|")
    assert told(server).endswith(DONE)


def test_tables_are_loaded_under_their_names_with_the_right_types(ask: Any, server: ScriptedServer) -> None:
    response = ask(fenced("print(cases['code'].iloc[0], cases['cases'].mean())\n"), Reply("The mean is 4."))

    assert logs(response) == "007 4.0\n"
    assert codes(response)[0].startswith("import pandas as pd\n")
    system = server.asked[0]["messages"][0]["content"]
    assert "`cases`: the table cases.csv, 3 rows" in system
    assert "'code' (text, 007, 012)" in system


def test_tables_are_loaded_once_and_only_those_that_are_used(ask: Any, engine: Running, container: str) -> None:
    engine.client().containers.files.create(container, file=("other.csv", b"a\n1\n"))
    response = ask(fenced("print(len(cases))\n"), fenced("print(len(cases) + 1)\n"), Reply("There are 3 and 4."))

    assert [code.count("read_csv") for code in codes(response)] == [1, 0]
    assert "other" not in codes(response)[0]


def test_code_that_raised_is_written_anew_until_the_model_has_had_its_chances(ask: Any, server: ScriptedServer) -> None:
    broken = [fenced(f"print(cases['no{number}'])\n") for number in range(3)]
    response = ask(*broken)

    assert len(codes(response)) == 3
    assert "KeyError" in told(server)
    assert told(server).endswith(CORRECT)
    assert said(response).partition(ADDED.strip())[2].startswith(" the code stopped with KeyError")


def test_code_that_was_corrected_leads_to_the_models_answer(ask: Any) -> None:
    response = ask(fenced("print(cases['Cases'])\n"), fenced("print(cases['cases'].sum())\n"), Reply("There are 12."))

    assert logs(response).endswith("12\n")
    assert said(response).endswith("There are 12.")


def test_a_model_that_repeats_its_code_is_stopped(ask: Any) -> None:
    response = ask(fenced("print(1)\n"), fenced("print(1)\n"))

    assert codes(response) == ["print(1)\n"]


def test_a_model_that_runs_code_again_and_again_is_stopped(ask: Any) -> None:
    response = ask(*[fenced(f"print({number})\n") for number in range(6)])

    assert len(codes(response)) == 6
    assert ADDED.strip() in said(response)


def test_a_model_that_writes_on_behind_its_code_is_stopped(ask: Any, server: ScriptedServer) -> None:
    response = ask(
        Reply("```python\nprint(2)\n```\nIt prints 3. " + "And so on. " * 10, endless=True), Reply("It is 2.")
    )

    assert said(response) == "It is 2."
    assert server.gone.wait(5)


def test_labels_that_index_false_would_lose_are_kept(ask: Any, engine: Running, container: str) -> None:
    code = "cases.groupby('district')['cases'].sum().to_csv('sums.csv', index=False)\n"
    ask(fenced(code), Reply("Done."), input="Sum of cases per district as sums.csv")

    files = engine.client().containers.files
    found = next(file for file in files.list(container) if file.path.endswith("sums.csv"))
    assert files.content.retrieve(found.id, container_id=container).text == "district,cases\nA,7\nB,5\n"


# Answers that cannot stand. -------------------------------------------------------------------------------------------


def test_an_answer_that_calculated_nothing_is_asked_for_once_more(ask: Any, server: ScriptedServer) -> None:
    response = ask(Reply("There are 99 cases."), fenced("print(cases['cases'].sum())\n", ""), Reply("There are 12."))

    assert told(server, 1) == NO_CODE
    assert said(response) == "There are 12."


@pytest.mark.parametrize(
    "invented", ["There are 99 cases.", "| district | cases |\n|---|---|\n| A | many |\n", "See [out.csv](out.csv)."]
)
def test_an_answer_that_calculated_nothing_twice_is_refused(ask: Any, invented: str) -> None:
    response = ask(Reply(invented), Reply(invented), input="Sum the cases, as out.csv" if "out" in invented else "Sum.")

    assert codes(response) == []
    assert said(response) == ""
    assert refusal(response)


def test_an_answer_in_words_alone_is_shown(ask: Any) -> None:
    words = "The column cases holds the reported cases of each district."
    response = ask(Reply(words), Reply(words), input="What does the column cases hold?")

    assert said(response) == words


def test_a_file_that_was_asked_for_and_not_written_is_asked_for_again(ask: Any, server: ScriptedServer) -> None:
    response = ask(
        fenced("print(cases['cases'].sum())\n"),
        Reply("There are 12."),
        fenced("cases.to_csv('all.csv', index=False)\n"),
        Reply("Saved."),
        input="Save the cases as all.csv",
    )

    assert "all.csv" in told(server, 2)
    assert len(codes(response)) == 2


def test_a_file_that_never_comes_is_said(ask: Any) -> None:
    response = ask(*[fenced("print(1)\n"), *[Reply("It is 1.")] * 3], input="Save the cases as never.csv")

    assert "`never.csv` was asked for, and no code wrote it." in said(response)


def test_a_table_without_rows_is_told_to_the_model_and_the_reader(ask: Any, server: ScriptedServer) -> None:
    empty = "cases[cases['district'] == 'Z'].to_csv('none.csv', index=False)\n"
    response = ask(fenced(empty), Reply("Saved."), Reply("Saved."), Reply("Saved."))

    assert "none.csv has no rows." in told(server, 1)
    assert "`none.csv` has no rows." in said(response)


# The conversation. ----------------------------------------------------------------------------------------------------


def test_what_we_add_never_goes_back_as_the_models_own_words(ask: Any, server: ScriptedServer) -> None:
    earlier = [
        {"role": "user", "content": "Sum the cases."},
        {"role": "assistant", "content": f"There are 12.{ADDED}`none.csv` has no rows."},
        {"role": "user", "content": "And now in words."},
    ]
    ask(Reply("Twelve."), Reply("Twelve."), input=earlier)

    assert [message["content"] for message in server.asked[0]["messages"][1:]] == [
        "Sum the cases.", "There are 12.", "And now in words.",
    ]  # fmt: skip


def test_instructions_of_the_request_reach_the_model_in_one_system_message(ask: Any, server: ScriptedServer) -> None:
    ask(Reply("Ja."), Reply("Ja."), instructions="Answer in German.", input="Are there cases?")

    roles = [message["role"] for message in server.asked[0]["messages"]]
    assert roles == ["system", "user"]
    assert server.asked[0]["messages"][0]["content"].endswith("Answer in German.")


def test_limits_and_sampling_of_the_request_reach_the_model(ask: Any, server: ScriptedServer) -> None:
    ask(Reply("x"), Reply("x"), temperature=0.3, max_output_tokens=99, reasoning={"effort": "low"})

    asked = server.asked[0]
    assert (asked["temperature"], asked["max_tokens"], asked["reasoning_effort"]) == (0.3, 99, "low")


def test_tokens_of_all_completions_are_counted(ask: Any) -> None:
    response = ask(fenced("print(1)\n"), Reply("It is 1."))

    assert (response.usage.input_tokens, response.usage.output_tokens) == (
        300,
        60,
    )  # the plan that was tried first, too


def test_an_answer_that_was_cut_is_incomplete_and_its_code_is_not_run(ask: Any) -> None:
    response = ask(Reply("```python\nprint(1", cut=True, tokens=(100, 4_096)))

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert codes(response) == []


def test_without_a_code_interpreter_the_model_just_answers(ask: Any, server: ScriptedServer) -> None:
    response = ask(Reply("A mean is a sum divided by a count."), tools=[], input="What is a mean?")

    assert said(response) == "A mean is a sum divided by a count."
    assert [message["role"] for message in server.asked[0]["messages"]] == ["user"]


def test_python_in_the_question_is_run_as_given_without_asking_the_model(ask: Any, server: ScriptedServer) -> None:
    response = ask(input="```python\nprint(6 * 7)\n```")

    assert logs(response) == "42\n"
    assert server.asked == []


def test_the_answer_after_a_run_is_shown_while_it_is_written(
    engine: Running, server: ScriptedServer, container: str
) -> None:
    server.script = [fenced("print(12)\n"), Reply("There are twelve cases in all of them.")]
    events = engine.events("", model="here", input="Sum.", tools=[tool(container)])

    pieces = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert len(pieces) > 5
    assert "".join(pieces).endswith("There are twelve cases in all of them.")


def test_a_client_that_hangs_up_stops_the_model(engine: Running, server: ScriptedServer, container: str) -> None:
    never = threading.Event()
    server.script = [fenced("print(12)\n"), Reply("late", hold=never)]
    asked = engine.client().responses.create(model="here", input="Sum.", tools=[tool(container)], stream=True)
    for event in asked:
        if event.type == "response.code_interpreter_call.completed":
            break
    asked.close()

    assert server.gone.wait(10)
    never.set()


# The text of a model. -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "prose", "code"),
    [
        ("Words.", "Words.", ""),
        ("Look:\n```python\nx = 1\n```\nIt is 2.", "Look:", "x = 1\n"),
        ("```py\nprint(1)", "", "print(1)\n"),
        ("```\nprint(1)\n```", "", "print(1)\n"),
        ("```\nA | B\n```\nThat is it.", "```\nA | B\n```\nThat is it.", ""),
        ("```json\n{}\n```\n```python\nprint(1)\n```", "```json\n{}\n```", "print(1)\n"),
        ("````python\ns = '''\n```\n'''\n````\n", "", "s = '''\n```\n'''\n"),
    ],
)
def test_prose_and_code_are_told_apart(written: str, prose: str, code: str) -> None:
    assert split(written) == (prose, code)


@given(st.text(alphabet="`pyx \n=1(", max_size=80))
def test_any_text_is_split_without_an_error(text: str) -> None:
    prose, code = split(text)
    assert len(prose) + len(code) <= len(text) + 1


GROUPED = "df.groupby('a')['b'].mean()"


@pytest.mark.parametrize(
    ("code", "fixed"),
    [
        (f"{GROUPED}.to_csv('x.csv', index=False)", True),
        (f"{GROUPED}.round(2).sort_values().to_csv('x.csv', index=False)", True),
        (f"t = {GROUPED}\nt.to_excel('x.xlsx', index = False)", True),
        (f"t = {GROUPED}\ns = t[['b']]\ns.to_csv('x.csv', index=False)", True),
        ("df['é'].value_counts().to_csv('é.csv', index=False)", True),
        ("pd.pivot_table(df, index='a').to_csv('x.csv', index=False)", True),
        (f"{GROUPED}.reset_index().to_csv('x.csv', index=False)", False),
        ("df.groupby('a', as_index=False).mean().to_csv('x.csv', index=False)", False),
        ("df.groupby('a').head(2).to_csv('x.csv', index=False)", False),
        ("df.to_csv('x.csv', index=False)", False),
        ("df.to_csv('x.csv'", False),
    ],
)
def test_only_tables_that_would_lose_their_labels_are_written_with_them(code: str, fixed: bool) -> None:
    assert with_labels(code) == (code.replace("False", "True") if fixed else code)


@pytest.mark.parametrize(
    ("text", "told_numbers"),
    [
        ("Three cases.", False),
        ("There are 3.", True),
        ("In 2021 it fell.", False),
        ("| a |\n|---|", True),
        ("1. First\n2. Then", False),
    ],
)
def test_numbers_that_the_question_does_not_hold_are_noticed(text: str, told_numbers: bool) -> None:
    assert has_numbers(text, "What happened in 2021?") is told_numbers
