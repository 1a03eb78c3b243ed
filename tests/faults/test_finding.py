"""Which files there are: what a listing shows, what it does not, and what they are called on disk."""

import base64
from functools import partial
from types import SimpleNamespace

from tests_support import events as wire
from tests_support.markup import Markup

from faults.server import FaultyService, table
from ipython_assistant import errors


def test_a_listed_file_without_content_is_named(asking):
    stage = asking.stage("uncited")
    stage.play(stage.file(), acts={0: [partial(FaultyService.list_also, path="/mnt/data/ghost.csv", bytes=12)]})
    ran = asking.run()
    assert isinstance(ran.error, errors.FilesMissing)
    assert (ran.missing, ran.files) == (["ghost.csv"], ["file.csv"])


def test_a_citation_without_a_name_takes_the_listings(asking):
    (ran,) = asking.scenario("cited_without_a_name")
    assert ran.files == ["file.csv"]
    assert "(assistant_files/file.csv)" in ran.answer.text


def test_one_file_under_two_ids_is_one_artifact(asking):
    (ran,) = asking.scenario("listing_and_citation_ids_differ")
    assert sorted(ran.answer.files) == ["beside.csv", "file.csv"]
    assert [artifact.found for artifact in ran.answer.artifacts if artifact.name == "file.csv"] == ["cited"]
    assert sorted(path.name for path in asking.folder.glob("*.csv")) == ["beside.csv", "file.csv"]


def test_an_upload_that_code_left_alone_is_not_offered_back(asking):
    stage = asking.turns("made.csv", kind="uncited")
    assert asking.run("Look.", f"-i {stage.input_file('cases.csv')}").files == ["made.csv"]
    assert len(asking.service.of("content")) == 1


def test_an_upload_that_code_changed_is_offered_under_its_own_name(asking):
    (ran,) = asking.scenario("an_upload_that_was_changed", "uncited")
    assert ran.files == ["cases.csv"]
    assert ran.answer.files["cases.csv"].read_bytes().endswith(b"30,0.5,new\n")
    assert (asking.notebook_dir / "data" / "cases.csv").read_bytes() == table("cases.csv", 30)


def test_the_same_name_in_two_turns_is_two_files_and_each_answer_links_its_own(asking):
    first, second = asking.scenario("same_name_in_two_turns")
    assert (first.files, second.files) == (["file.csv"], ["file-2.csv"])
    assert "(assistant_files/file.csv)" in first.answer.text
    assert "(assistant_files/file-2.csv)" in second.answer.text
    assert second.answer.files["file.csv"].path.name == "file-2.csv"


def test_the_same_name_in_two_subfolders_is_two_files_and_each_link_leads_to_its_own(asking):
    (ran,) = asking.scenario("same_name_in_two_subfolders")
    assert sorted(ran.answer.files) == ["x-2.csv", "x.csv"]
    assert ran.answer.text == "Two: [x](assistant_files/x.csv) and [x](assistant_files/x-2.csv)."
    assert ran.answer.files["x.csv"].read_bytes() == table("a")


def test_a_link_to_a_file_that_was_never_made_says_so(asking):
    stage = asking.stage()
    text = "Get it: [all of it](sandbox:/mnt/data/dreamt.csv)."
    stage.play(stage.file("made.csv"), items=[wire.Code("make()"), wire.Message(text)])
    ran = asking.run()
    assert ran.answer.text == "Get it: all of it (no such file was made)."
    assert (ran.error, ran.files) == (None, ["made.csv"])


def test_a_locked_target_gets_a_number_and_the_card_says_why(asking):
    first, second = asking.scenario("target_locked")
    card = Markup.of(second.outputs[-1]["text/html"]).text
    assert (first.files, sorted(second.files)) == (["file.csv"], ["beside.csv", "file-2.csv"])
    assert "file-2.csv" in card
    assert any(word in card for word in ("in use", "open in", "another program", "locked"))


def test_figures_that_were_only_shown_are_decoded_once_numbered_and_shown(asking, monkeypatch):
    decoded: list[int] = []

    def counting(text, *args, **more):
        decoded.append(len(content := base64.b64decode(text, *args, **more)))
        return content

    monkeypatch.setattr("ipython_assistant.core.artifacts.base64", SimpleNamespace(b64decode=counting))
    (ran,) = asking.scenario("figures_of_the_last_call_only_are_cited", "figure")
    sizes = [file.size for file in ran.answer.figures]
    assert sorted(ran.answer.files) == ["figure-1.png", "figure-2.png", "figure-3.png"]
    assert sum("image/png" in bundle for bundle in ran.outputs) == len(sizes) == 3
    assert [decoded.count(size) for size in set(sizes)] == [sizes.count(size) for size in set(sizes)]
