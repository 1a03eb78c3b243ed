"""The list of files below an answer."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests_support.files import artifact
from tests_support.markup import Markup

from ipython_assistant.core.artifacts import Artifact, FailedArtifact
from ipython_assistant.display.previews import card


def test_the_card_names_links_and_measures_each_file():
    bundle = card([artifact("a b.csv"), artifact("c.xlsx", "application/octet-stream", 2_120_588)])
    markup = Markup.of(bundle.data["text/html"])

    assert markup.all("a") == [
        {"href": "assistant_files/a%20b.csv", "download": "a b.csv"},
        {"href": "assistant_files/c.xlsx", "download": "c.xlsx"},
    ]
    assert bundle.data["text/plain"] == (
        "a b.csv  CSV table  1,234 bytes  assistant_files/a b.csv\n"
        "c.xlsx   file       2.1 MB       assistant_files/c.xlsx"
    )
    for words in ("CSV table", "1,234 bytes", "Saved in assistant_files/"):
        assert words in markup.text


def test_files_of_several_folders_have_their_paths_beside_them():
    bundle = card([artifact("a.csv"), artifact("b.csv", folder="maps"), artifact("c.vl.json", "application/json")])

    for words in ("assistant_files/a.csv", "maps/b.csv", "interactive chart"):
        assert words in Markup.of(bundle.data["text/html"]).text
    assert "Saved in" not in bundle.data["text/html"]


def test_the_card_says_what_else_is_known_of_a_file_and_what_the_answer_calls_it():
    saved = replace(artifact("a-2.csv"), own_name="a.csv")
    bundle = card([saved], details={"a-2.csv": "3 rows × 2 columns"})

    for text in (Markup.of(bundle.data["text/html"]).text, bundle.data["text/plain"]):
        assert "a-2.csv (a.csv in the answer)" in text
        assert "CSV table, 3 rows × 2 columns" in text


@pytest.mark.parametrize("folder", ["../elsewhere", "/tmp/files", "C:/files"])
def test_of_files_outside_the_notebooks_folder_the_card_says_that_a_link_may_not_reach_them(folder):
    assert "outside the notebook's folder" in card([artifact(folder=folder)]).data["text/plain"]
    assert "outside" not in card([artifact()]).data["text/plain"]


def test_of_very_many_files_the_card_lists_the_first_and_counts_the_others():
    bundle = card([artifact(f"{number}.csv") for number in range(10_000)])

    assert len(Markup.of(bundle.data["text/html"]).all("a")) == 500
    assert bundle.data["text/plain"].endswith("9,500 more files in the same folder.")


def test_the_card_says_what_is_missing_and_why():
    bundle = card([], [FailedArtifact("model.pkl", "the container expired")], ["A note."])

    for text in (Markup.of(bundle.data["text/html"]).text, bundle.data["text/plain"]):
        assert "model.pkl" in text
        assert "not saved: the container expired" in text
        assert "A note." in text
    assert Markup.of(bundle.data["text/html"]).all("a") == []


def test_a_path_that_is_not_relative_is_told_but_not_linked():
    bundle = card([artifact("x.csv", folder="//h.test")])

    assert Markup.of(bundle.data["text/html"]).all("a") == []
    assert "//h.test/x.csv" in bundle.data["text/plain"]


def test_a_name_like_a_script_address_leads_to_a_file_of_that_name():
    saved = Artifact("j", "j", Path("j"), "javascript:alert(1)", 1, "0" * 64, "text/csv")

    assert Markup.of(card([saved]).data["text/html"]).all("a")[0]["href"] == "javascript%3Aalert%281%29"
