"""workspace.inputs: what -i names."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from ipython_assistant.errors import InputError
from ipython_assistant.workspace.inputs import gather

FRAME = pd.DataFrame({"district": ["A", "B"], "IU code": ["001", "002"], "coverage": [0.5, None]})


def look(tmp_path, *named, **namespace):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return gather(named, namespace, tmp_path, lambda: scratch)


def test_a_dataframe_becomes_a_csv_of_its_name(tmp_path):
    (item,) = look(tmp_path, "cases", cases=FRAME)

    assert item.name == "cases.csv"
    assert item.path.read_text() == "district,IU code,coverage\nA,001,0.5\nB,002,\n"
    assert item.description == "DataFrame cases, 2 rows × 3 columns: district (str), IU code (str), coverage (float64)"


def test_an_index_with_a_meaning_is_kept_as_a_column(tmp_path):
    (item,) = look(tmp_path, "cases", cases=FRAME.set_index("district"))

    assert item.path.read_text().startswith("district,IU code,coverage\n")


def test_a_file_is_sent_as_it_is_under_its_own_name(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "my table.csv").write_bytes(b"a\r\n1\r\n")
    (item,) = look(tmp_path, "data/my table.csv")

    assert (item.name, item.size) == ("my table.csv", 6)
    assert item.sha256 == hashlib.sha256(b"a\r\n1\r\n").hexdigest()


def test_the_same_input_named_twice_is_sent_once(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")

    assert len(look(tmp_path, "a.csv", "a.csv")) == 1


def test_a_missing_name_lists_the_nearest_variables_and_files(tmp_path):
    (tmp_path / "coverage.csv").write_text("a\n")
    with pytest.raises(InputError) as caught:
        look(tmp_path, "covrage.csv", coverage_2024=FRAME, unrelated=1)

    assert "no variable and no file 'covrage.csv'" in caught.value.message
    assert caught.value.hint == "Did you mean coverage.csv or coverage_2024?"


def test_a_file_that_lies_one_folder_further_down_is_named_with_its_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mda_coverage.csv").write_text("a\n")
    with pytest.raises(InputError) as near:
        look(tmp_path, "covrage.csv")
    with pytest.raises(InputError) as wrong_folder:
        look(tmp_path, "date/mda_coverage.csv")

    assert near.value.hint == "Did you mean data/mda_coverage.csv?"
    assert wrong_folder.value.hint == "Did you mean data/mda_coverage.csv?"


def test_a_mistyped_variable_lists_the_nearest_one(tmp_path):
    with pytest.raises(InputError) as caught:
        look(tmp_path, "caes", cases=FRAME)

    assert caught.value.hint == "Did you mean cases?"


def test_where_nothing_is_near_it_says_what_there_is(tmp_path):
    (tmp_path / "q.csv").write_text("a\n")
    with pytest.raises(InputError) as caught:
        look(tmp_path, "something_else.xlsx", cases=FRAME)

    assert caught.value.hint == "There is: cases, q.csv."


def test_a_variable_that_is_no_table_says_what_it_is(tmp_path):
    with pytest.raises(InputError, match="The variable total is of type int, which cannot be sent as a file"):
        look(tmp_path, "total", total=3)


def test_a_folder_and_an_address_are_refused_with_a_reason(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        look(tmp_path, ".")
    with pytest.raises(InputError, match="is an address"):
        look(tmp_path, "https://example.org/a.csv")


def test_two_inputs_of_one_name_are_refused(tmp_path):
    (tmp_path / "cases.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"both named cases\.csv"):
        look(tmp_path, "cases", "cases.csv", cases=FRAME)
