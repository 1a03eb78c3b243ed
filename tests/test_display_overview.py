"""display.overview: rows of words as a table."""

from __future__ import annotations

from ipython_assistant.display.overview import overview


def test_each_cell_is_one_line_and_no_markup():
    bundle = overview(("cell", "question"), [("1", "Count rows\nper <b>disease</b>")], ["In all: one."])

    assert bundle.data["text/plain"].splitlines()[1] == "1     Count rows per <b>disease</b>"
    assert bundle.data["text/plain"].endswith("\n\nIn all: one.")
    assert "Count rows per &lt;b&gt;disease" in bundle.data["text/html"]


def test_without_rows_there_are_only_the_remarks():
    assert overview(("cell",), [], ["Nothing was asked yet."]).data["text/plain"] == "Nothing was asked yet."
