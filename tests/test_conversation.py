"""core.conversation: what a turn continues from."""

from __future__ import annotations

from ipython_assistant.core.conversation import Conversation, Step, as_messages, line_of
from ipython_assistant.core.turn import Message, TextPart, Turn


def step(prompt: str, before: Step | None = None) -> Step:
    return Step(prompt, Turn(items=(Message("m", (TextPart(f"answer to {prompt}"),)),)), "test", before=before)


def ask(conversation: Conversation, cell: str, prompt: str) -> Conversation:
    return conversation.with_step(cell, step(prompt, conversation.parent(cell)))


def prompts(conversation: Conversation, cell: str) -> list[str]:
    return [past.prompt for past in line_of(conversation.present(cell))]


def test_the_first_cell_continues_from_nothing():
    assert Conversation().parent("a") is None


def test_each_cell_continues_from_the_one_that_ran_before_it():
    conversation = ask(ask(ask(Conversation(), "a", "A"), "b", "B"), "c", "C")

    assert prompts(conversation, "c") == ["A", "B", "C"]


def test_running_a_cell_again_replaces_its_turn_and_keeps_its_place():
    conversation = ask(ask(ask(Conversation(), "a", "A"), "b", "B"), "c", "C")
    conversation = ask(conversation, "b", "B2")

    assert prompts(conversation, "b") == ["A", "B2"]
    assert prompts(conversation, "c") == ["A", "B", "C"]
    assert prompts(ask(conversation, "c", "C2"), "c") == ["A", "B2", "C2"]


def test_restart_and_run_all_tells_the_same_conversation():
    once = ask(ask(Conversation(), "a", "A"), "b", "B")
    again = ask(ask(once, "a", "A"), "b", "B")

    assert prompts(again, "b") == prompts(once, "b") == ["A", "B"]


def test_a_cell_inserted_in_the_middle_continues_from_the_last_one_run():
    conversation = ask(ask(ask(Conversation(), "a", "A"), "c", "C"), "b", "B")

    assert prompts(conversation, "b") == ["A", "C", "B"]


def test_a_conversation_as_messages_alternates_and_leaves_out_empty_answers():
    first = Step("A", Turn(), "test")
    messages = as_messages(step("B", first))

    assert [(message.role, message.text) for message in messages] == [
        ("user", "A"),
        ("user", "B"),
        ("assistant", "answer to B"),
    ]
