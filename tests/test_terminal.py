"""An answer in a terminal: printed as it comes, and right at the end."""

import io

import pytest

from ipython_assistant.display.live import TerminalOutput
from ipython_assistant.display.outputs import Bundle


@pytest.fixture
def printed():
    return io.StringIO()


def finish(output, text):
    output.finish(Bundle({"text/plain": text}, {}))


def test_lines_are_printed_as_soon_as_they_are_whole_and_once(printed):
    with TerminalOutput(printed) as output:
        output.update("One\nTwo", "writing")
        assert printed.getvalue() == "One\n"
        output.update(lambda: "One\nTwo\nThree", "writing")
        assert printed.getvalue() == "One\nTwo\n"
        finish(output, "One\nTwo\nThree")

    assert printed.getvalue() == "One\nTwo\nThree\n"


def test_a_link_into_the_container_waits_until_it_leads_to_the_saved_file(printed):
    with TerminalOutput(printed) as output:
        output.update("One\nSee [a](sandbox:/mnt/data/a.csv)\nMore\n")
        assert printed.getvalue() == "One\n"
        finish(output, "One\nSee [a](assistant_files/a.csv)\nMore\n")

    assert printed.getvalue() == "One\nSee [a](assistant_files/a.csv)\nMore\n"


def test_a_text_that_changed_at_the_end_is_printed_anew(printed):
    with TerminalOutput(printed) as output:
        output.update("A source (link)\n")
        finish(output, "A source\u00b9")

    assert printed.getvalue() == "A source (link)\n\nA source\u00b9\n"


def test_characters_that_drive_a_terminal_are_shown_and_do_nothing(printed):
    with TerminalOutput(printed) as output:
        output.update("\x1b]0;title\x07\n")
        finish(output, "\x1b]0;title\x07\n")

    assert "\x1b" not in printed.getvalue()
