"""The committed notebooks and their recordings, as they are; `make notebooks` runs them."""

import json
import re
from pathlib import Path

import pytest

from ipython_assistant import cli

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
RECORDINGS = sorted(NOTEBOOKS.glob("assistant_files/**/.turns"))
OF_A_MACHINE = re.compile(r"/(tmp|home|root|work|Users|var)/|127\.0\.0\.1|localhost|[A-Z]:\\")
MOST_RECORDED_BYTES = 1_000_000


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    import nbformat  # late: with its validators it takes two seconds, in each process that collects the tests

    return nbformat.read(request.param, as_version=4)


def test_a_lesson_says_first_that_its_figures_are_invented(lesson):
    prose = [line for line in lesson.cells[0].source.splitlines() if line and not line.startswith("#")]
    assert "invented" in prose[0]
    assert "invented" in (NOTEBOOKS / "data" / "README.md").read_text(encoding="utf-8")


def test_nothing_of_one_run_or_one_machine_stands_in_a_lesson(lesson):
    for cell in lesson.cells:
        assert "execution" not in cell.metadata
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
            assert "recorded" not in output.get("metadata", {}).get("ipython_assistant", {})
    assert not OF_A_MACHINE.search(json.dumps(lesson))


def test_every_question_of_a_lesson_shows_its_answer(lesson):
    questions = [cell for cell in lesson.cells if cell.source.startswith("%%assistant")]
    assert questions
    assert all(cell.outputs for cell in questions)
    assert not [output for cell in lesson.cells for output in cell.get("outputs", []) if output.output_type == "error"]


@pytest.mark.parametrize("turns", RECORDINGS, ids=lambda path: path.parent.name)
def test_the_recordings_are_whole_and_name_no_machine(turns, capsys):
    assert cli.main(["recordings", str(turns.parent)]) == 0, capsys.readouterr().out
    for path in turns.glob("*.json"):
        assert not OF_A_MACHINE.search(path.read_text(encoding="utf-8")), path.name


def test_each_lesson_has_recordings_of_its_own_and_all_together_stay_small():
    assert len(RECORDINGS) == len(LESSONS)
    assert sum(path.stat().st_size for turns in RECORDINGS for path in turns.rglob("*")) < MOST_RECORDED_BYTES
