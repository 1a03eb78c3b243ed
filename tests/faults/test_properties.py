"""What holds for any stream, any cutting of its bytes and any names."""

import itertools
import json
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.utils.capture import capture_output
from tests_support import events as wire
from tests_support.mutation import mutated
from tests_support.scripted import Answer

from faults.scenarios import NASTY_NAMES, data_uri
from faults.server import png, sha256_of
from ipython_assistant.core.artifacts import Artifact
from ipython_assistant.core.fold import TurnFold, read_response
from ipython_assistant.errors import AssistantError
from ipython_assistant.service.stream import decode
from ipython_assistant.workspace.folder import Folder, Incoming

TEXTS = st.text(max_size=40)
OUTPUTS = st.lists(st.one_of(TEXTS.map(wire.logs), st.just(wire.image("data:image/png;base64,AA=="))), max_size=3).map(
    tuple
)
FILE_NAMES = st.text(st.characters(exclude_characters="()[]", exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def messages(draw):
    names = draw(st.lists(FILE_NAMES, max_size=3))
    text = draw(TEXTS) + "".join(f" [x](sandbox:/mnt/data/{name})" for name in names) + draw(TEXTS)
    cited = [wire.cite(text, name, f"cfile_{number}") for number, name in enumerate(names)]
    figures = [wire.cite_figure(f"cfile_f{number}") for number in range(draw(st.integers(0, 2)))]
    return wire.Message(text, (*figures, *cited))


ITEMS = st.lists(
    st.one_of(
        messages(),
        TEXTS.map(lambda text: wire.Message(text, refusal=True)),
        st.builds(wire.Code, TEXTS, st.one_of(st.none(), OUTPUTS)),
        st.builds(wire.Reasoning),
    ),
    min_size=1,
    max_size=4,
)


def fold(events):
    turn_fold = TurnFold()
    for event in events:
        turn_fold.feed(event)
    return turn_fold.turn


@given(ITEMS, st.data(), st.sampled_from(["\n", "\r\n"]))
def test_any_chunking_of_the_same_bytes_gives_the_same_turn(items, data, newline):
    body = wire.sse(wire.stream(items), newline)
    edges = data.draw(st.lists(st.integers(0, len(body)), max_size=20))
    chunks = [body[start:end] for start, end in itertools.pairwise([0, *sorted(edges), len(body)])]
    assert fold(decode(chunks)) == read_response(wire.response(items))


NAMES = st.lists(
    st.one_of(
        st.sampled_from(NASTY_NAMES),
        st.text(max_size=300),
        st.text("aAäÄ./\\: -~\u202e\u0308\n", max_size=12).map(lambda stem: f"{stem}.csv"),
        st.sampled_from(
            [
                "con", "a.csv", "A.CSV", "a-2.csv", "a.csv ", "\uff43\uff4f\uff4e", "\ufb00.csv", "ff.csv", "ß.csv",
                "SS.csv",
            ]
        ),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


def save_all(folder, names, cell):
    """Save a file under each name, each with bytes of its own."""
    staging, saved = folder.stage(), []
    for number, name in enumerate(names):
        content, staged = f"{number} {name!r}".encode(), staging / f"{number}.part"
        staged.write_bytes(content)
        saved.append(folder.save(Incoming(name, staged, len(content), sha256_of(content), "cited"), cell, turn=cell))
    folder.unstage(staging)
    return saved


@given(NAMES)
def test_any_names_are_distinct_inside_the_folder_and_the_same_the_second_time(names):
    with tempfile.TemporaryDirectory() as directory:
        around = Path(directory)
        home = around / "notebook" / "assistant_files"
        first = save_all(Folder(home.parent, home), names, "cell-1")
        assert all(isinstance(artifact, Artifact) for artifact in first)
        there = {path: path.read_bytes() for path in home.iterdir() if path.is_file()}
        again = save_all(Folder(home.parent, home), names, "cell-1")

        assert len({unicodedata.normalize("NFC", artifact.name).casefold() for artifact in first}) == len(names)
        for number, (artifact, name) in enumerate(zip(first, names, strict=True)):
            assert artifact.path.parent == home
            assert artifact.path.read_bytes() == f"{number} {name!r}".encode()
            assert len(artifact.name.encode()) <= 255
        assert [artifact.name for artifact in again] == [artifact.name for artifact in first]
        assert {path: path.read_bytes() for path in home.iterdir() if path.is_file()} == there
        assert [path for path in around.rglob("*") if path.is_file() and home not in path.parents] == []


FIGURE = data_uri(png("figure", 2))
TEXT = "See [a.csv](sandbox:/mnt/data/a.csv)."
WHOLE_TURN = wire.stream([
    wire.Reasoning(),
    wire.Code("plot()", (wire.logs("1\n"), wire.image(FIGURE))),
    wire.Message(TEXT, (wire.cite(TEXT, "a.csv", "cfile_a"), wire.cite_figure("cfile_b"))),
])  # fmt: skip


@given(events=mutated(WHOLE_TURN))
@pytest.mark.slow  # a whole cell for each example
def test_whatever_an_answer_holds_its_cell_ends_in_an_answer_or_in_two_lines(shell, hosted, events):
    hosted.put("a.csv", b"a\n1\n", "cfile_a")
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    hosted.will_answer(Answer(body, headers={"Content-Type": "text/event-stream"}))
    with capture_output():
        outcome = shell.run_cell("%%assistant --new\nAsk.", store_history=True)
    error = outcome.error_before_exec or outcome.error_in_exec

    assert error is None or isinstance(error, AssistantError), repr(error)
    assert error is None or len(error._render_traceback_()) >= 2
