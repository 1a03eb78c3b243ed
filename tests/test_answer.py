"""answer: what the user holds afterwards, kept, copied and compared; what is shown of it, in which order, how much."""

import io
import json
import pickle
from dataclasses import replace

import pytest
from PIL import Image
from tests_support import events as wire
from tests_support.files import PNG, write
from tests_support.markup import Markup

from ipython_assistant.answer import Answer, Files
from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.fold import read_response
from ipython_assistant.core.turn import CodeCall, OtherItem, Turn

TABLE = b"district,cases\n007,3\n"


@pytest.fixture
def answer(tmp_path):
    turn = read_response(wire.response([wire.Code("print(1)", (wire.logs("1\n"),)), wire.Message("Three cases.")]))
    return Answer("Three cases.", turn, (write(tmp_path / "files" / "a.csv", TABLE),), prompt="How many?", shown_in=3)


def test_an_answer_comes_out_of_a_pickle_as_it_went_in(answer):
    again = pickle.loads(pickle.dumps(answer))
    assert again == answer
    assert (again.text, again.code, again.files["a.csv"].read_bytes()) == ("Three cases.", "print(1)", TABLE)


def test_an_answer_equals_its_replay_in_another_folder(answer, tmp_path):
    elsewhere = write(tmp_path / "elsewhere" / "a.csv", TABLE)
    replay = replace(answer, artifacts=(elsewhere,), shown_in=9, notes=("From a recording.",))
    assert (replay, hash(replay)) == (answer, hash(answer))


def test_answers_that_a_recording_tells_apart_are_not_equal(answer, tmp_path):
    others = {
        "another question": replace(answer, prompt="How few?"),
        "other bytes": replace(answer, artifacts=(write(tmp_path / "other" / "a.csv", b"district,cases\n"),)),
        "a lost file": replace(answer, failed=(FailedArtifact("b.csv", "gone"),)),
        "an interruption": replace(answer, interrupted=True),
        "another text": replace(answer, turn=read_response(wire.response([wire.Message("Four cases.")]))),
    }
    assert [what for what, other in others.items() if other == answer] == []
    assert answer != "Three cases."


def test_items_without_a_view_are_shown_after_the_code(answer):
    search = OtherItem("ws_1", "web_search_call", {"action": {"query": "districts"}})
    with_search = replace(answer, turn=replace(answer.turn, items=(search, *answer.turn.items)))
    kinds = [bundle.metadata["ipython_assistant"]["output"] for bundle in with_search.outputs()]
    assert kinds == ["work", "other items", "table", "card"]


def test_a_file_that_is_not_there_is_a_key_error_that_names_the_files(tmp_path):
    files = Files((write(tmp_path / "a.csv", b"1"), write(tmp_path / "b.png", b"1")))
    with pytest.raises(KeyError, match=r"c\.csv.*a\.csv, b\.png"):
        files["c.csv"]


# --- what is shown below it ---
def large_picture():
    drawn = io.BytesIO()
    Image.effect_noise((600, 300), 80).resize((2400, 1200)).convert("RGB").save(drawn, "PNG", compress_level=1)
    return drawn.getvalue()


def made_of(folder, files):
    artifacts = tuple(write(folder / "files" / name, content) for name, content in files.items())
    turn = Turn(status="completed", items=(CodeCall("ci", "cntr", "x = 1", "completed", ("1\n",)),))
    return Answer(text="Done.", turn=turn, artifacts=artifacts, prompt="Plot it all")


def kind(bundle):
    return bundle.metadata["ipython_assistant"]["output"]


def kinds(answer):
    return [(kind(one), one.data["text/plain"].partition(" — ")[0].partition(" is ")[0]) for one in answer.outputs()]


def test_work_pictures_tables_texts_and_the_card_come_in_this_order(tmp_path):
    made = made_of(tmp_path, {
        "notes.md": b"# Notes\n", "b.json": b'[{"a": 1}]', "settings.json": b'{"a": [1]}', "a.csv": b"a,b\n1,2\n",
        "big.png": large_picture(), "small.png": PNG, "broken.csv": b"<html>error</html>", "run.log": b"started\n",
        "a.zip": b"PK\x03\x04", "page.html": b"<script>alert(1)</script>", "empty.txt": b"",
    })  # fmt: skip
    *described, (last, _) = kinds(made)
    assert described == [
        ("work", "Code, 1 step\n\n    x = 1\n\nPrinted:\n\n    1"),
        ("picture", "big.png: Plot it all"), ("caption", "big.png"),
        ("picture", "small.png: Plot it all"), ("caption", "small.png"), ("table", "b.json"), ("table", "a.csv"),
        *(("source", name) for name in ("notes.md", "settings.json", "broken.csv", "run.log", "page.html")),
    ]  # fmt: skip
    assert last == "card"
    assert "broken.csv is not shown as a table: it holds a web page." in list(made.outputs())[-1].data["text/plain"]
    assert [table.name for table in made.tables] == ["b.json", "a.csv", "broken.csv"]
    for bundle in made.outputs():
        assert Markup.of(bundle.data.get("text/html", "")).harm() == []


def test_in_place_of_a_picture_that_cannot_be_shown_a_line_says_so_and_links_to_it(tmp_path):
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg">%s</svg>'
    files = {
        "large.svg": drawing % (b"<g/>" * 1_000_000),
        "entities.svg": b'<!DOCTYPE svg [<!ENTITY a "a">]>' + drawing % b"&a;",
        "bomb.png": PNG[:16] + b"\xff" * 8,
    }
    _, *lines, card = made_of(tmp_path, files).outputs()
    assert [line.data["text/plain"] for line in lines] == [
        f"{name} is not shown here; it is too large, damaged, or more than a picture: files/{name}" for name in files
    ]
    links = [link for line in lines for link in Markup.of(line.data["text/html"]).all("a")]
    assert links == [{"href": f"files/{name}", "download": name} for name in files]
    assert all(name in card.data["text/plain"] for name in files)


def test_files_that_are_gone_are_still_in_the_card(tmp_path):
    made = made_of(tmp_path, {"a.png": PNG, "a.csv": b"a\n1\n", "a.txt": b"x", "a.json": b"[]"})
    for saved in made.artifacts:
        saved.path.unlink()
    assert [kind for kind, _ in kinds(made)] == ["work", "card"]


def test_a_notebook_with_six_hundred_tables_and_pictures_stays_small(tmp_path):
    files = {f"{number}.csv": b"a,b\n" + b"%d,2\n" % number * 20 for number in range(600)}
    made = made_of(tmp_path, files | {f"{number}.png": PNG for number in range(600)})
    shown = list(made.outputs())
    assert shown == list(made.outputs()), "it is the same each time"
    assert [[kind(bundle) for bundle in shown].count(one) for one in ("picture", "table", "card")] == [12, 12, 1]
    (card,) = (bundle for bundle in shown if kind(bundle) == "card")
    for what in ("pictures", "tables"):
        assert f"588 more {what} are listed, but not shown." in card.data["text/plain"]
    assert len(json.dumps(shown)) < 500_000


def test_a_table_that_stands_in_the_answer_or_under_two_names_is_not_shown_once_more(tmp_path):
    made = made_of(tmp_path, {"a.csv": b"district,mean\nNorth,74.66666\n", "b.csv": b"district,mean\nNorth,3\n"})
    in_words = replace(made, text="So it is:\n\n| district | mean |\n|---|--:|\n| **North** | 74.67 |\n")
    assert [kind for kind, _ in kinds(made)] == ["work", "table", "table", "card"]
    assert kinds(in_words)[1:-1] == [("table", "b.csv")]
    card = next(one.data["text/plain"] for one in in_words.outputs() if "a.csv" in one.data["text/plain"])
    assert "a.csv  CSV table, 1 row × 2 columns" in card
    _, table, card = made_of(tmp_path, {"a.csv": b"a,b\n1,2\n", "b.csv": b"a,b\n1,2\n"}).outputs()
    assert table.data["text/plain"].startswith("a.csv")
    assert "CSV table, 1 row × 2 columns, the same as a.csv" in card.data["text/plain"]


@pytest.mark.parametrize(("text", "alt"), [
    ("See [Coverage by year, District B](files/a.png).", "a.png: See Coverage by year, District B."),
    ("Coverage rose to 83 percent ([a.png](files/a.png)).", "a.png: Coverage rose to 83 percent (a.png)."),
    ("- [a.png](files/a.png): 8 points", "a.png: 8 points"), ("Nothing of it.", "a.png: Plot it all"),
])  # fmt: skip
def test_a_picture_is_described_by_what_the_answer_says_of_it(tmp_path, text, alt):
    made = replace(made_of(tmp_path, {"a.png": PNG}), text=text)
    assert list(made.outputs())[1].metadata["image/png"] == {"alt": alt}


VEGA = {"data": {"values": [{"a": 1}]}, "mark": "bar", "encoding": {"x": {"field": "a"}}}


def test_a_chart_is_one_output_with_its_picture_and_neither_is_shown_twice(tmp_path):
    files = {"c.png": PNG, "c.vl.json": json.dumps(VEGA).encode(), "d.vl.json": json.dumps(VEGA).encode()}
    _, both, _, alone, card = made_of(tmp_path, files).outputs()
    assert set(both.data) == {"application/vnd.vegalite.v5+json", "image/png", "text/plain"}
    assert set(alone.data) == {"application/vnd.vegalite.v5+json", "text/plain"}
    assert kind(card) == "card"


def test_every_chart_is_shown_though_its_picture_cannot_be_or_another_has_its_name(tmp_path):
    plotly = json.dumps({"data": [{"type": "bar", "y": [1]}], "layout": {}}).encode()
    files = {"c.png": b"no picture", "c.vl.json": json.dumps(VEGA).encode(), "c.plotly.json": plotly}
    assert [kind(one) for one in made_of(tmp_path, files).outputs()].count("chart") == 2


def test_of_a_chart_that_is_not_drawn_the_list_of_files_says_why(tmp_path):
    spec = {**VEGA, "data": {"url": "http://h.test/?q=1"}}
    work, card = made_of(tmp_path, {"c.vl.json": json.dumps(spec).encode()}).outputs()
    assert "c.vl.json is not shown: it uses “url”" in card.data["text/plain"]
    assert "h.test" not in json.dumps([work, card])


def test_long_previews_stand_below_the_list_of_files(tmp_path):
    made = made_of(tmp_path, {f"{number}.csv": b"a,b\n" + b"%d,2\n" % number * 20 for number in range(4)})
    above, below = ([kind(bundle) for bundle in part] for part in made.output_parts())
    assert (above, below) == (["work", "table", "table", "card"], ["table"] * 2)


def test_below_a_table_stands_how_it_was_read(tmp_path):
    made = made_of(tmp_path, {"a.csv": b"Title\n\nday,n\n25/02/2026,1\n01/02/2026,2\n,\nSource: <b>M</b>,\n"})
    _, table, _ = made.outputs()
    for form in ("text/plain", "text/html"):
        assert "The lines above the header were left out." in table.data[form]
        assert "day: dates were read day first, because 25/02/2026 occurs." in table.data[form]
    assert Markup.of(table.data["text/html"]).harm() == []
