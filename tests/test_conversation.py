"""core.conversation: what a turn continues from."""

from dataclasses import replace

from ipython_assistant.core.conversation import Conversations, PlacedTurn, ancestors, as_messages
from ipython_assistant.core.turn import Message, TextPart, Turn


def step(prompt, before=None):
    return PlacedTurn(prompt, Turn(items=(Message("m", (TextPart(f"answer to {prompt}"),)),)), "test", before=before)


def ask(conversation, cell, prompt):
    return conversation.with_turn("", cell, step(prompt, conversation.parent("", cell)))


def prompts(conversation, cell):
    return [past.prompt for past in ancestors(conversation.present(cell))]


def test_the_first_cell_continues_from_nothing():
    assert Conversations().parent("", "a") is None


def test_each_cell_continues_from_the_one_that_ran_before_it():
    conversation = ask(ask(ask(Conversations(), "a", "A"), "b", "B"), "c", "C")

    assert prompts(conversation, "c") == ["A", "B", "C"]


def test_running_a_cell_again_replaces_its_turn_and_keeps_its_place():
    conversation = ask(ask(ask(Conversations(), "a", "A"), "b", "B"), "c", "C")
    conversation = ask(conversation, "b", "B2")

    assert prompts(conversation, "b") == ["A", "B2"]
    assert prompts(conversation, "c") == ["A", "B", "C"]
    assert prompts(ask(conversation, "c", "C2"), "c") == ["A", "B2", "C2"]


def test_restart_and_run_all_tells_the_same_conversation():
    once = ask(ask(Conversations(), "a", "A"), "b", "B")
    again = ask(ask(once, "a", "A"), "b", "B")

    assert prompts(again, "b") == prompts(once, "b") == ["A", "B"]


def test_a_cell_inserted_in_the_middle_continues_from_the_last_one_run():
    conversation = ask(ask(ask(Conversations(), "a", "A"), "c", "C"), "b", "B")

    assert prompts(conversation, "b") == ["A", "C", "B"]


def test_a_conversation_as_messages_alternates_and_leaves_out_empty_answers():
    first = PlacedTurn("A", Turn(), "test")
    messages = as_messages(step("B", first))

    assert [(message.role, message.text) for message in messages] == [
        ("user", "A"),
        ("user", "B"),
        ("assistant", "answer to B"),
    ]


def test_a_cell_that_is_asked_in_another_conversation_leaves_its_place_in_the_first():
    talks = (
        Conversations().with_turn("", "a", step("A")).with_turn("", "b", step("B")).with_turn("other", "a", step("A2"))
    )

    cells = {name: [cell for cell, _ in turns] for name, turns in talks.by_name.items()}
    assert cells == {"": ["b"], "other": ["a"]}
    assert talks.present("a").prompt == "A2"
    assert [made.prompt for _, made in talks.turns] == ["A", "B", "A2"]


def test_a_turn_outside_every_conversation_is_the_last_one_and_has_no_place():
    talks = Conversations().with_turn("", "a", step("A")).with_turn(None, "ask 1", step("aside"))

    assert talks.last.prompt == "aside"
    assert talks.present("ask 1") is None
    assert talks.parent("", "b").prompt == "A"


def test_a_cut_turn_is_counted_and_nothing_goes_on_from_it():
    talks = Conversations().with_turn("", "a", step("A")).with_cut_turn("b", step("B"))

    assert [made.prompt for _, made in talks.turns] == ["A", "B"]
    assert talks.last.prompt == talks.parent("", "c").prompt == "A"


def test_a_step_that_is_amended_is_the_same_turn_everywhere():
    first = step("A")
    amended = replace(first, status="whole now")
    talks = Conversations().with_turn("", "a", first).amended(first, amended)

    assert talks.present("a") is talks.last is talks.turns[0][1] is amended


def test_begun_anew_the_next_cell_continues_from_nothing_and_the_old_ones_keep_their_places():
    talks = Conversations().with_turn("", "a", step("A")).with_turn("", "b", step("B")).begun_anew("")

    assert talks.parent("", "c") is None
    assert talks.parent("", "b").prompt == "A"
