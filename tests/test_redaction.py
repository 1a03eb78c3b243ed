"""What must not be kept is taken out of a turn, and the turn still says the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests_support.events import Code, Message, Reasoning, logs, stream
from tests_support.replaying import folded

from ipython_assistant.core.footnotes import answer_text
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.core.redaction import Redactor, redacted_turn, secrets_in, without_secrets

KEY = "sk-planted-0123456789"
LONG = "k" * 40
REDACT = Redactor([KEY, LONG])

# --- citations point at the same words --------------------------------------------------------------------------------
WORDS = st.sampled_from(["It rose", " é", "\U0001f600", "[1]", "\n", " (see) "])
PIECES = st.lists(WORDS | st.sampled_from([f" {KEY} ", f" {LONG} "]), min_size=1, max_size=8)
KINDS = ("url_citation", "container_file_citation", "file_citation", "nested")


def annotation(kind, start, end, number=1):
    span = {"start_index": start, "end_index": end}
    web = {"url": f"https://example.org/{number}", "title": "A page"}
    if kind == "url_citation":
        return {"type": kind, **web, **span}
    if kind == "nested":
        return {"type": "url_citation", "url_citation": {**web, **span}}
    if kind == "file_citation":
        return {"type": kind, "file_id": "file_1", "filename": "a.pdf", "index": start}
    return {"type": kind, "container_id": "cntr_test", "file_id": f"cfile_{number}", "filename": "a.csv", **span}


@st.composite
def cited_texts(draw):
    """The pieces of a text, and citations of some of them: kind, first piece, the piece behind the last."""
    pieces = draw(PIECES)
    place = st.integers(0, len(pieces))
    spans = st.tuples(st.sampled_from(KINDS), place, place).map(lambda it: (it[0], *sorted(it[1:])))
    return pieces, draw(st.lists(spans, min_size=1, max_size=4, unique=True))


def turn_of(pieces, spans):
    def length(number):
        return sum(map(len, pieces[:number]))

    told = tuple(annotation(kind, length(start), length(end), at) for at, (kind, start, end) in enumerate(spans))
    return folded(stream([Message("First."), Message("".join(pieces), told)]))


@given(cited_texts())
def test_citations_point_at_the_same_words_wherever_a_key_stood(cited):
    pieces, spans = cited
    short = [" <secret> " if KEY in piece or LONG in piece else piece for piece in pieces]
    assert redacted_turn(turn_of(pieces, spans), REDACT) == turn_of(short, spans)


def test_the_footnote_stands_behind_the_words_it_stood_behind_and_a_figure_without_a_span_gets_none():
    text = f"On {KEY} it rose.\nOn {LONG} it fell."
    cited = annotation("url_citation", text.index("it rose"), text.index("it rose") + len("it rose"))
    figure = {**annotation("container_file_citation", 0, 0), "filename": "cfile_0.png"}
    turn = redacted_turn(folded(stream([Message(text, (cited, figure))])), REDACT)
    assert answer_text(turn, ()).startswith("On <secret> it rose.\u202f¹\nOn <secret> it fell.")
    assert [(it.start, it.end) for it in turn.citations] == [(0, 0)]


def test_a_secret_is_taken_out_of_code_what_it_printed_and_every_other_item():
    turn = folded(stream([Code(f"# {KEY}", (logs(f"{KEY}\n"),)), Reasoning(), Message("Done.")]))
    other = replace(turn.others[0], raw={"type": "reasoning", "summary": [{"text": f"It is {KEY}"}]})
    turn = replace(turn, items=(turn.items[0], other, turn.items[2]))
    redacted = redacted_turn(turn, REDACT)
    assert (redacted.calls[0].code, redacted.calls[0].logs) == ("# <secret>", "<secret>\n")
    assert redacted.others[0].raw["summary"] == [{"text": "It is <secret>"}]
    assert redacted.response_id == turn.response_id


# --- secrets in tools -------------------------------------------------------------------------------------------------
TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "server_url": "https://ada:planted-pass@mcp.example.org/sse?api_key=planted-in-address&team=red",
    "authorization": "Bearer planted-authorization",
    "headers": {"Authorization": "Bearer planted-header", "X-Anything": "planted-other"},
    "require_approval": "never",
    "allowed_tools": ["search"],
    "config": [{"apiKey": "planted-api-key", "deeper": {"client_secret": "planted-client", "password": 12345678}}],
    "env": [{"name": "ACCESS_TOKEN", "value": "planted-token"}, {"name": "REGION", "value": "eu"}],
    "other": ["Bearer planted-bearer"],
    "network_policy": {
        "allowed_domains": ["api.example.org"],
        "domain_secrets": [{"domain": "api.example.org", "name": "ANY", "value": "planted-domain-secret"}],
    },
    "max_tokens": 100,
    "filters": {"type": "eq", "key": "region", "value": "eu"},
    "parameters": {"type": "object", "primary_key": "id"},
}  # fmt: skip


def test_every_secret_in_a_tool_is_taken_out_at_any_depth_and_nothing_else():
    assert without_secrets([TOOL]) == [
        {
            **TOOL,
            "server_url": "https://<secret>@mcp.example.org/sse?api_key=<secret>&team=red",
            "authorization": "<secret>",
            "headers": "<secret>",
            "config": [{"apiKey": "<secret>", "deeper": {"client_secret": "<secret>", "password": "<secret>"}}],
            "env": [{"name": "ACCESS_TOKEN", "value": "<secret>"}, {"name": "REGION", "value": "eu"}],
            "network_policy": {"allowed_domains": ["api.example.org"], "domain_secrets": "<secret>"},
            "other": ["<secret>"],
        }
    ]
    assert without_secrets(without_secrets([TOOL])) == without_secrets([TOOL])
    assert {"planted-header", "planted-pass", "planted-in-address", "planted-authorization"} <= secrets_in([TOOL])


NAMES = ["authorization", "api_key", "apiKey", "token", "access_token", "secret", "password", "x-api-key", "headers"]


@given(
    name=st.sampled_from(NAMES),
    wrapped=st.lists(st.sampled_from(["config", "list"]), max_size=4),
    secrets=st.lists(st.text(min_size=1), min_size=2, max_size=2),
)
def test_another_secret_in_the_same_place_is_the_same_question(name, wrapped, secrets):
    def written(secret):
        value = {name: {"A": secret} if name == "headers" else secret}
        for kind in wrapped:
            value = [value] if kind == "list" else {"config": value}
        return TurnKey("Ask.", tools=({"type": "mcp", "options": value},))

    one, other = map(written, secrets)
    assert one.sha256 == other.sha256
    assert one.redacted(Redactor()).tools == other.redacted(Redactor()).tools
    assert one.sha256 != replace(one, tools=({"type": "mcp"},)).sha256


def test_a_tool_without_secrets_has_the_key_it_always_had():
    # printf '{"prompt":"Ask.","tools":[{"filters":{"key":"region"},"type":"file_search"}]}' | sha256sum
    tools = ({"type": "file_search", "filters": {"key": "region"}},)
    assert TurnKey("Ask.", tools=tools).sha256 == "e5e9d4334be207c91c924d48a1517676dccdb1c5d6b4916f5d5f3027f9299159"
