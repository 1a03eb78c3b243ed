"""A chat model fills in a plan or writes Python: scripted chat servers, a real engine, real kernels."""

import base64
import json
import threading
from typing import Any
from unittest.mock import AsyncMock

import jsonschema
import pytest
from engines import OUTPUTS, annotations, calls, in_thread, logs, tool
from hypothesis import given
from hypothesis import strategies as st
from tests_support.chat_servers import KINDS, Reply, ScriptedServer, refusal

from ipython_assistant.engine.models import free_python
from ipython_assistant.engine.models.chat_models import ChatModel
from ipython_assistant.engine.models.chat_server import ChatServer
from ipython_assistant.engine.models.free_python import ADDED, CORRECT, DONE, ELSEWHERE, NO_CODE
from ipython_assistant.engine.models.safe_markdown import split

TABLE = "district,code,year,cases\nNorth,007,2021,3\nSouth,012,2021,5\nNorth,007,2022,4\n"
NO_PLAN = '{"cannot": "needs statistics, forecasting or several steps"}'
SAVES = "worst = cases[cases['cases'] > 3]\nworst.to_csv('worst.csv', index=False)\nprint(cases['cases'].sum())\n"


def fenced(code: str, before: str = "I will look.") -> Reply:
    return Reply(f"{before}\n\n```python\n{code}```\n")


@pytest.fixture(scope="module")
def engine(servers):
    def model(kind: str, name: str) -> ChatModel:
        return ChatModel(name, AsyncMock(return_value=ChatServer(servers[kind].url, name)))

    # A model of 27 billion parameters writes Python also where a plan does not pass its checks.
    models = {kind: model(kind, "small-4b") for kind in KINDS} | {"large": model("vllm", "large-27b")}
    with in_thread(models) as running:
        yield running


@pytest.fixture(scope="module")
def container(engine):
    made = engine.client().containers.create(name="of all tests").id
    for name, content in {"cases.csv": TABLE, "list.csv": "a\n1\n"}.items():
        engine.client().containers.files.create(made, file=(name, content.encode()))
    return made


@pytest.fixture
def server(servers):
    """The one that is asked for Python: it says of each question that no plan can say it."""
    for one in servers.values():
        one.forget()
        one.plan = ""
    servers["vllm"].plan = NO_PLAN
    yield servers["vllm"]
    assert servers["vllm"].script == []


@pytest.fixture
def ask(engine, server, servers, container):
    def asking(*replies: Any, model: str = "large", **parameters: Any) -> Any:
        (servers.get(model) or server).script = list(replies)
        asked = {"model": model, "input": "Sum the cases.", "tools": [tool(container)], "include": OUTPUTS}
        return engine.client().responses.create(**{**asked, "metadata": {"named": "cases.csv"}, **parameters})

    return asking


def said(response: Any, kind: str = "output_text", words: str = "text") -> str:
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    return "\n\n".join(getattr(part, words) for part in parts if part.type == kind)


def codes(response: Any) -> list[str]:
    return [item.code for item in calls(response)]


def told(server: ScriptedServer, question: int = -1) -> str:
    """The last message the model was sent with one of the questions."""
    return server.asked[question]["messages"][-1]["content"]


# Pictures. ------------------------------------------------------------------------------------------------------------
PNG = b"\x89PNG\r\n\x1a\n-a-form-with-12-cases"
AS_BASE64 = base64.b64encode(PNG).decode()
WITHIN = [
    {"type": "input_text", "text": "How many cases does the form report?"},
    {"type": "input_image", "image_url": f"data:image/png;base64,{AS_BASE64}"},
]
NO_PDF = {"type": "input_file", "filename": "scan.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}


@pytest.fixture(scope="module")
def form(engine):
    """A container with a picture."""
    made = engine.client().containers.create(name="with a form").id
    engine.client().containers.files.create(made, file=("form.png", PNG))
    return made


@pytest.fixture
def mixed(engine, container):
    """The container of the tables, with a picture."""
    engine.client().containers.files.create(container, file=("form.png", PNG))
    yield container
    engine.ask("import os\nos.remove('form.png')", container=container)


def named(*names: str, share: str = "results") -> dict[str, str]:
    return {"share": share, "inputs": "form.png\ncases.csv", "named": "\n".join(names)}


@pytest.mark.parametrize("kind", ["ollama", "llama.cpp", "vllm"])
def test_a_picture_in_the_question_is_shown_to_the_model_and_may_be_answered_without_code(ask, servers, kind):
    content = [*WITHIN, NO_PDF]
    response = ask(Reply("It reports 12."), model=kind, input=[{"role": "user", "content": content}], tools=[tool()])
    (body,) = servers[kind].asked
    said_to_it = body["messages"][-1]
    if kind == "ollama":
        assert (said_to_it["images"], said_to_it["content"]) == ([AS_BASE64], WITHIN[0]["text"])
    else:
        shown = [part["image_url"]["url"] for part in said_to_it["content"] if part["type"] == "image_url"]
        assert shown == [WITHIN[1]["image_url"]]
        assert said_to_it["content"][0] == {"type": "text", "text": WITHIN[0]["text"]}
    own_words, _, ours = said(response).partition(ADDED)
    assert own_words == "It reports 12."
    assert "`scan.pdf`" in ours
    assert "form" not in ours


def test_a_picture_of_the_container_is_shown_and_again_in_the_next_question(ask, server, form):
    first = ask(Reply("It reports 12."), input="What does it say?", tools=[tool(form)], metadata=named("form.png"))
    ask(Reply("In 2024."), input="And when?", tools=[tool(form)], previous_response_id=first.id, metadata=named())
    shown = [json.dumps(body["messages"][-1]) for body in server.asked]
    assert ["form.png:" in one and AS_BASE64 in one for one in shown] == [True, True]


def test_numbers_about_a_table_are_still_asked_of_code_where_a_picture_came_too(ask, server, mixed):
    replies = [Reply("There are 99."), fenced("print(cases['cases'].sum())\n", ""), Reply("There are 12.")]
    response = ask(*replies, tools=[tool(mixed)], metadata=named("form.png", "cases.csv"))
    assert len(server.planned) == 1
    assert told(server, 1) == NO_CODE
    assert said(response) == "There are 12."


@pytest.mark.parametrize("share", ["names", "shapes"])
@pytest.mark.parametrize("kind", ["ollama", "vllm"])
def test_no_picture_reaches_a_model_that_may_see_no_values(ask, servers, form, share, kind):
    metadata = named("form.png", share=share)
    response = ask(Reply("No idea."), model=kind, input="What does it say?", tools=[tool(form)], metadata=metadata)
    left = json.dumps([servers[kind].asked, servers[kind].planned])
    assert all(part not in left for part in (AS_BASE64[:20], AS_BASE64[-20:]))
    assert f'`form.png` (share is "{share}")' in said(response)


def test_a_model_that_refuses_pictures_is_asked_without_them_from_then_on(ask, servers, form):
    refuses, answers = refusal(500, "image input is not supported - hint: provide the mmproj"), Reply("I see none.")
    asked = {"model": "lmstudio", "input": "What does it say?", "tools": [tool(form)], "metadata": named("form.png")}
    responses = [ask(refuses, answers, **asked), ask(answers, **asked)]
    assert [AS_BASE64 in json.dumps(body) for body in servers["lmstudio"].asked] == [True, False, False]
    assert all("`form.png` (it sees no pictures" in said(response) for response in responses)


def test_a_model_of_ollama_that_sees_nothing_is_sent_no_picture(ask, servers, form):
    server = servers["ollama"]
    server.abilities = ["completion"]
    response = ask(Reply("No."), model="ollama", input="What is it?", tools=[tool(form)], metadata=named("form.png"))
    server.abilities = ["completion", "vision"]
    assert AS_BASE64 not in json.dumps(server.asked)
    assert "`form.png` (it sees no pictures" in said(response)


def test_pictures_beyond_the_limit_are_left_to_code_and_said(ask, server, form, monkeypatch):
    monkeypatch.setattr(free_python, "MOST_PICTURE_BYTES", len(PNG) - 1)
    response = ask(Reply("No."), input="What does it say?", tools=[tool(form)], metadata=named("form.png"))
    assert AS_BASE64 not in json.dumps(server.asked)
    assert "`form.png`" in said(response).partition(ADDED)[2]


def test_a_plan_over_tables_says_that_no_picture_was_looked_at(ask, server, mixed):
    server.plan = ""
    asked = {"input": "Describe the table cases.csv, as about.csv", "metadata": named("form.png", "cases.csv")}
    response = ask(fill_in, model="vllm", tools=[tool(mixed)], **asked)
    assert "not `form.png`" in said(response)


# Plans. ---------------------------------------------------------------------------------------------------------------
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
def test_each_kind_of_server_is_held_to_a_valid_schema_and_its_plan_is_carried_out(ask, servers, kind):
    servers[kind].plan = ""
    name = f"overview{KINDS.index(kind)}.csv"
    response = ask(fill_in, model=kind, input=f"Describe the table cases.csv, as {name}")
    (body,) = servers[kind].asked
    jsonschema.Draft202012Validator.check_schema(schema_of(body))
    jsonschema.validate(json.loads(fill_in(body).text), schema_of(body))
    (code,) = codes(response)
    assert name in code
    assert said(response).startswith("Read as:")
    assert response.usage.input_tokens == 100


def test_two_answers_to_one_question_are_paragraphs_of_their_own(ask, server):
    words = "Describe the table cases.csv, as one.csv. Describe the table cases.csv, as two.csv."
    server.plan = ""
    response = ask(fill_in, fill_in, model="vllm", input=words)
    assert len(codes(response)) == 2
    assert said(response).count("\n\nRead as:") == 1


@pytest.mark.parametrize("written", [
    "no JSON", '{"output": "table", "filters": [', '{"output": "no such"}', "[]", "", '{"a":' * 5000 + "1" + "}" * 5000,
], ids=["none", "torn", "no such", "list", "empty", "deep"])  # fmt: skip
def test_a_plan_that_is_none_lets_the_model_write_python(ask, server, written):
    server.plan = written or " "
    response = ask(fenced("cases.to_csv('sums.csv')\n"), Reply("It is saved."), model="vllm")
    assert said(response).endswith("It is saved.")


def test_a_word_that_is_not_understood_is_refused_by_a_small_model_and_left_to_a_large_one(ask):
    words = "Sum of cases per district during the pandemic"
    refusal = said(ask(model="vllm", input=words), "refusal", "refusal")
    answered = ask(fenced("print(1)\n"), Reply("It is 1."), input=words)
    assert all(words in refusal for words in ("pandemic", "-m"))
    assert said(answered).endswith("It is 1.")


@pytest.mark.parametrize("share", ["names", "shapes"])
def test_the_values_of_a_plan_are_told_in_the_questions_own_spelling(ask, server, share):
    server.plan = ""
    metadata = {"share": share, "inputs": "cases.csv", "named": "cases.csv"}
    ask(fill_in, model="vllm", input="Sum of cases per district where the district is north", metadata=metadata)
    sent = json.dumps(server.asked)
    assert [value in sent for value in ("north", "North", "South")] == [True, False, False]


# Python. --------------------------------------------------------------------------------------------------------------
def test_code_is_run_and_what_it_did_goes_back_to_the_model(ask, server):
    response = ask(fenced(SAVES), Reply("There are 12 cases: [worst.csv](sandbox:/mnt/data/worst.csv)."))
    assert [item.type for item in response.output] == ["message", "code_interpreter_call", "message"]
    assert logs(response) == "12\n"
    assert said(response) == "I will look.\n\nThere are 12 cases: [worst.csv](sandbox:/mnt/data/worst.csv)."
    assert [citation.filename for citation in annotations(response)] == ["worst.csv"]
    assert server.asked[1]["messages"][-2] == {"role": "assistant", "content": f"I will look.\n\n```python\n{SAVES}```"}
    for fact in ("The code printed:\n12", "worst.csv: 2 rows × 4 columns", "district|code|year|cases\nSouth|012|"):
        assert fact in told(server)
    assert told(server).endswith(DONE)
    assert response.usage.output_tokens == 60  # of the plan that was tried first, too


def test_tables_are_loaded_once_in_a_process_under_names_of_their_own_with_the_right_types(ask, server):
    first = fenced("print(cases['code'].iloc[0], cases['cases'].mean())\n")
    dies, looks = fenced("import os\nos._exit(len(cases))\n"), fenced("print(len(cases), len(table_list))\n")
    response = ask(fenced("cases_2020 = 1\n"), first, fenced("print(len(cases))\n"), dies, looks, Reply("4."))
    assert [*logs(response).split()[:3], logs(response).split("\n")[-2]] == ["007", "4.0", "3", "3 1"]
    assert [code.count("read_csv") for code in codes(response)] == [0, 1, 0, 0, 2]
    system = server.asked[0]["messages"][0]["content"]
    assert all(words in system for words in ("`cases`: the table cases.csv, 3 rows", "'code' (text, 007, 012)"))


def test_code_that_raised_is_written_anew_until_the_model_has_had_its_chances(ask, server):
    response = ask(*[fenced(f"print(cases['no{number}'])\n") for number in range(3)])
    assert (len(codes(response)), told(server).endswith(CORRECT)) == (3, True)
    assert "KeyError" in told(server)
    assert said(response).partition(ADDED.strip())[2].startswith(" the code stopped with KeyError")


def test_a_model_that_repeats_its_code_or_runs_code_again_and_again_is_stopped(ask):
    assert codes(ask(fenced("print(1)\n"), fenced("print(1)\n"))) == ["print(1)\n"]
    response = ask(*[fenced(f"print({number})\n") for number in range(6)])
    assert len(codes(response)) == 6
    assert ADDED.strip() in said(response)


def test_a_model_that_writes_on_behind_its_code_is_stopped(ask, server):
    endless = Reply("```python\nprint(2)\n```\nIt prints 3. " + "And so on. " * 10, endless=True)
    assert said(ask(endless, Reply("It is 2."))) == "It is 2."
    assert server.gone.wait(5)


def test_labels_that_index_false_would_lose_are_kept(ask, engine, container):
    code = "cases.groupby('district')['cases'].sum().to_csv('sums.csv', index=False)\n"
    ask(fenced(code), Reply("Done."), input="Sum of cases per district as sums.csv")
    files = engine.client().containers.files
    found = next(file for file in files.list(container) if file.path.endswith("sums.csv"))
    assert files.content.retrieve(found.id, container_id=container).text == "district,cases\nNorth,7\nSouth,5\n"


@pytest.mark.parametrize("invented", ["There are 99.", "| district | n |\n|---|---|\n| A | many |\n", "See out.csv"])
def test_an_answer_that_calculated_nothing_twice_is_refused(ask, invented):
    response = ask(Reply(invented), Reply(invented), input="Sum the cases, as out.csv" if "out" in invented else "Sum.")
    assert (codes(response), said(response)) == ([], "")
    assert said(response, "refusal", "refusal")


def test_an_answer_in_words_alone_is_shown(ask):
    words = "The column cases holds the reported cases of each district."
    assert said(ask(Reply(words), Reply(words), input="What does the column cases hold?")) == words


def test_a_file_that_was_not_written_is_asked_for_again_and_in_the_end_missed(ask, server):
    saves = fenced("cases.to_csv('all.csv', index=False)\n")
    ask(fenced("print(12)\n"), Reply("There are 12."), saves, Reply("Saved."), input="Save the cases as all.csv")
    assert "all.csv" in told(server, 2)
    response = ask(fenced("print(1)\n"), *[Reply("It is 1.")] * 3, input="Save the cases as never.csv")
    assert "`never.csv` was asked for, and no code wrote it." in said(response)


@pytest.mark.parametrize("share", ["results", "shapes"])
def test_a_table_without_rows_is_told_to_the_model_and_the_reader(ask, server, share):
    empty = "cases[cases['district'] == 'Z'].to_csv('North.csv', index=False)\n"
    again = [Reply("Saved.")] * 3 if share == "results" else [fenced(empty + "\n" * n) for n in (1, 2)]
    response = ask(fenced(empty), *again, metadata={"share": share, "inputs": "cases.csv", "named": "cases.csv"})
    assert ("North.csv" if share == "results" else "a file") + " has no rows." in told(server, 1)
    assert "`North.csv` has no rows." in said(response)


def test_what_we_add_never_goes_back_as_the_models_own_words(ask, server):
    ours = f"There are 12.{ADDED}`none.csv` has no rows.", "Read as: sum of **cases** per **district**, from **c.csv**."
    words = ("Sum the cases.", ours[0], "And per district.", ours[1], "And now in words.")
    rules = [{"role": role, "content": f"From {role}."} for role in ("system", "developer")]
    earlier = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(words)]
    ask(Reply("Twelve."), Reply("Twelve."), input=[*rules, *earlier], instructions="Answer in German.")
    system, *conversation = server.asked[0]["messages"]
    assert [one["content"] for one in conversation] == [words[0], "There are 12.", words[2], ELSEWHERE, words[4]]
    assert system["content"].endswith("\n\nFrom system.\n\nFrom developer.\n\nAnswer in German.")


def test_limits_and_sampling_reach_the_model_and_the_code_of_an_answer_that_was_cut_is_not_run(ask, server):
    wishes = {"temperature": 0.3, "max_output_tokens": 99, "reasoning": {"effort": "low"}}
    response = ask(Reply("```python\nprint(1", cut=True, tokens=(100, 99)), **wishes)
    asked = server.asked[0]
    assert (asked["temperature"], asked["max_tokens"], asked["reasoning_effort"]) == (0.3, 99, "low")
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert codes(response) == []


def test_python_in_the_question_is_run_as_given_without_asking_the_model(ask, server):
    assert logs(ask(input="```python\nprint(6 * 7)\n```")) == "42\n"
    assert server.asked == server.planned == []


def test_the_answer_after_a_run_is_shown_while_it_is_written(engine, server, container):
    server.script = [fenced("print(12)\n"), Reply("There are twelve cases in all of them.")]
    events = engine.events("", model="large", input="Sum.", tools=[tool(container)])
    pieces = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert len(pieces) > 5
    assert "".join(pieces).endswith("There are twelve cases in all of them.")


def test_a_client_that_hangs_up_stops_the_model(engine, server, container):
    never = threading.Event()
    server.script = [fenced("print(12)\n"), Reply("late", hold=never)]
    asked = engine.client().responses.create(model="large", input="Sum.", tools=[tool(container)], stream=True)
    for event in asked:
        if event.type == "response.code_interpreter_call.completed":
            break
    asked.close()
    assert server.gone.wait(10)
    never.set()


# The text of a model. -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("written", "prose", "code"), [
    ("Words.", "Words.", ""), ("1.\r\n2.\r\n3.\r\n```python\r\nx = 1\r\n```\r\nIt is 2.", "1.\n2.\n3.", "x = 1\n"),
    ("```py\nprint(1)", "", "print(1)\n"), ("```\nprint(1)\n```", "", "print(1)\n"),
    ("```\nKenya, Chad\n```", "```\nKenya, Chad\n```", ""),
    ("```\nA | B\n```\nThat is it.", "```\nA | B\n```\nThat is it.", ""),
    ("```json\n{}\n```\n```python\nprint(1)\n```", "```json\n{}\n```", "print(1)\n"),
    ("````python\ns = '''\n```\n'''\n````\n", "", "s = '''\n```\n'''\n"),
    ("- First:\n  ```python\n  if x:\n    y\n  ```", "- First:", "if x:\n  y\n"),
])  # fmt: skip
def test_prose_and_code_are_told_apart(written, prose, code):
    assert split(written) == (prose, code)


@given(st.text(alphabet="`pyx \n=1(", max_size=80))
def test_any_text_is_split_without_an_error(text):
    prose, code = split(text)
    assert len(prose) + len(code) <= len(text) + 1


GROUPED = "df.groupby('a')['b'].mean()"


@pytest.mark.parametrize(("code", "fixed"), [
    (f"{GROUPED}.to_csv('x.csv', index=False)", True),
    (f"{GROUPED}.round(2).sort_values().to_csv('x.csv', index=False)", True),
    (f"t = {GROUPED}\nt.to_excel('x.xlsx', index = False)", True),
    (f"t = {GROUPED}\ns = t[['b']]\ns.to_csv('x.csv', index=False)", True),
    ("df['é'].value_counts().to_csv('é.csv', index=False)", True),
    ("pd.pivot_table(df, index='a').to_csv('x.csv', index=False)", True),
    (f"{GROUPED}.reset_index().to_csv('x.csv', index=False)", False),
    ("df.groupby('a', as_index=False).mean().to_csv('x.csv', index=False)", False),
    ("df.groupby('a').head(2).to_csv('x.csv', index=False)", False), ("df.to_csv('x.csv', index=False)", False),
    ("df.to_csv('x.csv'", False),
    (f"s = {' + '.join('a' * 999)}\n({' + '.join('a' * 999)}).to_csv('x.csv', index=False)", False),
])  # fmt: skip
def test_only_tables_that_would_lose_their_labels_are_written_with_them(code, fixed):
    assert free_python.with_labels(code) == (code.replace("False", "True") if fixed else code)


@pytest.mark.parametrize(("text", "numbers"), [
    ("Three cases.", False), ("There are 3.", True), ("In 2021 it fell.", False), ("| a |\n|---|", True),
    ("1. A\n2. B", False),
])  # fmt: skip
def test_numbers_that_the_question_does_not_hold_are_noticed(text, numbers):
    assert free_python.has_numbers(text, "What happened in 2021?") is numbers
