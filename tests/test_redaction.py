"""What must not be kept is taken out of a turn, and the turn still says the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests_support.events import Code, Message, Reasoning, cite, logs, stream
from tests_support.files import artifact
from tests_support.replaying import folded

from ipython_assistant.core.footnotes import answer_text
from ipython_assistant.core.named_secrets import secrets_in, without_secrets
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.core.redaction import Redactor, redacted_turn

KEY = "sk-planted-0123456789"
LONG = "k" * 40
REDACT = Redactor([KEY, LONG])


def test_where_a_secret_stood_sources_are_listed_without_a_mark_and_links_still_lead_to_their_files():
    text = f"On {KEY} it rose: [a.csv](sandbox:/mnt/data/a.csv)."
    source = {"type": "url_citation", "url": "https://e.org/", "title": "A page", "start_index": 0, "end_index": 4}
    turn = redacted_turn(folded(stream([Message(text, (cite(text, "a.csv", "cfile_1"), source))])), REDACT)
    saved = artifact("a.csv", folder="files", container_id="cntr_test", file_id="cfile_1")
    told, _, listed = answer_text(turn, [saved]).partition("\n\n**Sources**\n\n")
    assert told == "On <secret> it rose: [a.csv](files/a.csv)."
    assert listed == "1. [A page](https://e.org/), e.org"
    assert not turn.citations[0].anonymous


def test_an_address_at_the_beginning_of_a_text_from_which_a_secret_was_taken_leads_to_its_own_file():
    text = f"sandbox:/mnt/data/a.csv, {KEY}, sandbox:/mnt/data/b.csv"
    cited = [cite(text, name, f"cfile_{name}") for name in ("a.csv", "b.csv")]
    turn = redacted_turn(folded(stream([Message(text, tuple(cited))])), REDACT)
    ids = {"folder": "files", "container_id": "cntr_test"}
    saved = [artifact(name, **ids, file_id=f"cfile_{name}") for name in ("a.csv", "b.csv")]
    assert answer_text(turn, saved) == "[a.csv](files/a.csv), <secret>, [b.csv](files/b.csv)"


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
    "type": "mcp", "server_label": "crm",
    "server_url": "https://ada:planted-pass@mcp.example.org/sse?api_key=planted-in-address&team=red",
    "authorization": "Bearer planted-authorization",
    "headers": {"Authorization": "Bearer planted-header", "X-Anything": "planted-other"},
    "require_approval": "never", "allowed_tools": ["search"], "max_tokens": 100,
    "config": [{"apiKey": "planted-api-key", "deeper": {"client_secret": "planted-client", "password": 12345678}}],
    "env": [{"name": "ACCESS_TOKEN", "value": "planted-token"}, {"name": "REGION", "value": "eu"}],
    "network_policy": {"allowed_domains": ["api.example.org"],
                       "domain_secrets": [{"domain": "api.example.org", "name": "ANY", "value": "planted-secret"}]},
    "filters": {"type": "eq", "key": "region", "value": "eu"}, "parameters": {"type": "object", "primary_key": "id"},
    "other": ["Bearer planted-bearer"],
}  # fmt: skip


def test_every_secret_in_a_tool_is_taken_out_at_any_depth_and_nothing_else():
    expected = {
        **TOOL, "authorization": "<secret>", "headers": "<secret>", "other": ["<secret>"],
        "server_url": "https://<secret>@mcp.example.org/sse?api_key=<secret>&team=red",
        "config": [{"apiKey": "<secret>", "deeper": {"client_secret": "<secret>", "password": "<secret>"}}],
        "env": [{"name": "ACCESS_TOKEN", "value": "<secret>"}, {"name": "REGION", "value": "eu"}],
        "network_policy": {"allowed_domains": ["api.example.org"], "domain_secrets": "<secret>"},
    }  # fmt: skip
    assert without_secrets([TOOL]) == [expected]
    assert without_secrets(without_secrets([TOOL])) == without_secrets([TOOL])
    assert secrets_in({"credentials": "postgres://ana:s3cretPass99@db.example.org/x"}) >= {"s3cretPass99"}
    assert {"planted-header", "planted-pass", "planted-in-address", "planted-authorization"} <= secrets_in([TOOL])


NAMES = ["authorization", "api_key", "apiKey", "token", "access_token", "secret", "password", "x-api-key", "headers"]
WRAPPED = st.lists(st.sampled_from(["config", "list"]), max_size=4)


@given(st.sampled_from(NAMES), WRAPPED, st.tuples(st.text(min_size=1), st.text(min_size=1)))
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
