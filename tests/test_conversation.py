"""core.conversation: what a turn continues from."""

from dataclasses import replace

from tests_support.cases import cases

from ipython_assistant.core.conversation import Conversations, PlacedTurn, ancestors, as_messages
from ipython_assistant.core.turn import Message, TextPart, Turn


def step(prompt, before=None):
    return PlacedTurn(prompt, Turn(items=(Message("m", (TextPart(f"answer to {prompt}"),)),)), "test", before=before)


def ran(*cells):
    """Cells that were run in this order, each a letter and what marks its question."""
    conversation = Conversations()
    for cell in cells:
        conversation = conversation.with_turn("", cell[0], step(cell, conversation.parent("", cell[0])))
    return conversation


@cases(("cells", "of", "expected"), {
    "each cell continues from the one that ran before it": ("A B C", "C", "A B C"),
    "running a cell again replaces its turn and keeps its place": ("A B C B2", "B", "A B2"),
    "what ran below it knows the old one": ("A B C B2", "C", "A B C"),
    "until it runs again": ("A B C B2 C2", "C", "A B2 C2"),
    "restart and run all tells the same": ("A B A B", "B", "A B"),
    "a cell inserted in the middle continues from the last one run": ("A C B", "B", "A C B"),
})  # fmt: skip
def test_what_a_cell_continues_from(cells, of, expected):
    assert [past.prompt for past in ancestors(ran(*cells.split()).present(of))] == expected.split()
    assert Conversations().parent("", "A") is None


def test_a_conversation_as_messages_alternates_and_leaves_out_empty_answers():
    first = PlacedTurn("A", Turn(), "test")
    assert as_messages(step("B", first)) == (("user", "A"), ("user", "B"), ("assistant", "answer to B"))


def test_a_turn_outside_every_conversation_is_the_last_one_and_nothing_goes_on_from_it_or_from_a_cut_one():
    talks = Conversations().with_turn("", "a", step("A")).with_turn(None, "ask 1", step("aside"))
    assert (talks.last.prompt, talks.present("ask 1"), talks.parent("", "b").prompt) == ("aside", None, "A")
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
