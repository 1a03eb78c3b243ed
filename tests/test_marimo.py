"""marimo shows an answer as the value of a cell: the example of the documentation, run as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests_support import events as wire
from tests_support.files import PNG

marimo: Any = pytest.importorskip("marimo", reason="pip install marimo")

PAGE = Path(__file__).parent.parent / "docs" / "front_ends.md"


def test_the_documented_cell_shows_text_pictures_tables_and_buttons(hosted, notebook_dir):
    (notebook_dir / "coverage.csv").write_text("district,coverage\nNorth,0.5\n")
    hosted.put("by_district.csv", b"district,mean\nNorth,0.5\n", "cfile_1")
    hosted.put("map.png", PNG, "cfile_2")
    cited = wire.cited(("by_district.csv", "cfile_1"), ("map.png", "cfile_2"))
    hosted.will_say([wire.Code("save()"), wire.Message("**Done**"), cited])
    (cell,) = re.findall(r"## marimo.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(cell, names)
    shown = marimo.as_html(names["answer"]).text
    assert "<strong>Done</strong>" in shown
    assert "data:image/png;base64," in shown
    assert "1 row × 2 columns" in shown
    assert shown.count("<marimo-download") == 2
