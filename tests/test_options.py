"""options: the line after %%assistant."""

import pytest

from ipython_assistant import errors
from ipython_assistant.errors import OptionError
from ipython_assistant.options import Options, option_help, parse_options


def test_every_option_of_the_first_version_is_read():
    options = parse_options('-i cases --input "data/my table.csv" -m gpt-5 --dir out')

    assert options == Options(inputs=("cases", "data/my table.csv"), model="gpt-5", directory="out")


def test_an_empty_line_is_no_options():
    assert parse_options("") == Options()


def test_a_windows_path_keeps_its_backslashes():
    assert parse_options(r"-i C:\data\new.csv").inputs == (r"C:\data\new.csv",)


@pytest.mark.parametrize(("written", "meant"), [("--inputt", "--input"), ("--modle", "--model"), ("--dri", "--dir")])
def test_a_mistyped_option_names_the_nearest(written, meant):
    with pytest.raises(OptionError) as caught:
        parse_options(f"{written} x")

    assert f"There is no option {written}" in caught.value.message
    assert f"Did you mean {meant}?" in caught.value.hint


def test_an_option_without_its_value_says_so():
    with pytest.raises(OptionError, match="Argument -i/--input: expected one argument"):
        parse_options("-i")


def test_words_on_the_first_line_are_refused_with_the_corrected_cell():
    with pytest.raises(OptionError) as caught:
        parse_options("plot coverage by year -i coverage.csv")

    assert caught.value.hint.splitlines()[1:] == ["%%assistant -i coverage.csv", "plot coverage by year"]


def test_the_corrected_cell_keeps_the_body():
    with pytest.raises(OptionError) as caught:
        parse_options("by year", "please\n")

    assert caught.value.hint.splitlines()[1:] == ["%%assistant", "by year", "please"]


def test_a_quotation_mark_without_its_partner_is_named():
    with pytest.raises(OptionError, match="no partner"):
        parse_options("-i 'a.csv")


def test_help_lists_every_option():
    text = option_help()

    assert parse_options("--help").help
    assert all(option in text for option in ("-i", "--input", "-m", "--model", "--dir", "--help"))
    assert text.startswith("usage: %%assistant [options]")


def test_an_option_error_shows_as_two_lines():
    with pytest.raises(OptionError) as caught:
        parse_options("--inputt x")

    assert len(caught.value._render_traceback_()) == 2
    assert caught.value._render_traceback_()[0].startswith("OptionError: ")


def test_every_option_of_the_second_screen_is_read():
    tool = '{"type": "image_generation"}'
    options = parse_options(
        "-o by_district -o worst -c maps --new --fresh --assistant coverage --dry-run --instructions 'Be short.' "
        f"--tool web_search --tool '{tool}' --effort low --container cntr_1 --memory 4g --timeout 30 --yes"
    )

    assert options.outputs == ("by_district", "worst")
    assert (options.conversation, options.new, options.fresh, options.assistant) == ("maps", True, True, "coverage")
    assert (options.instructions, options.tools) == ("Be short.", ("web_search", tool))
    assert (options.effort, options.container, options.memory, options.timeout_s) == ("low", "cntr_1", "4g", 30.0)
    assert options.dry_run
    assert options.yes


def test_the_first_screen_of_help_leaves_out_what_is_rarely_needed():
    assert "--memory" not in option_help()
    assert "--help-all" in option_help()
    assert "--memory" in option_help(everything=True)


@pytest.mark.parametrize(
    ("line", "what", "cure"),
    [
        ("-o 3x", "-o 3x", "-o table_3x"),
        ("-o out/by-district.csv", "-o out", "-o by_district"),
        ("--no-code -o x", "-o needs code", "Leave one"),
        ("--no-code --container cntr_1", "--container needs code", "Leave one"),
        ("--effort lots", "--effort lots", "low, medium, high"),
        ("--timeout 0", "--timeout 0", "1 or more"),
        ("--timeout soon", "--timeout", "--help"),
        ("--memory 3g", "--memory 3g", "16g"),
    ],
)
def test_an_option_that_cannot_be_meant_says_what_to_write(line, what, cure):
    with pytest.raises(OptionError) as caught:
        parse_options(line)

    assert what in caught.value.message
    assert cure in caught.value.hint


def test_a_variable_without_its_option_is_told_the_option():
    with pytest.raises(OptionError) as caught:
        parse_options("cases --new", "Plot it.", {"cases"})

    assert caught.value.hint == "Write: %%assistant -i cases --new"


def test_a_folder_without_a_name_is_refused():
    with pytest.raises(OptionError, match="--dir has no folder"):
        parse_options('--dir ""')


def test_the_corrected_cell_loses_whole_words_and_not_parts_of_other_words():
    with pytest.raises(errors.OptionError) as caught:
        parse_options("-m this-model is B missing?")

    assert caught.value.hint == "Write:\n%%assistant -m this-model\nis B missing?"


def test_the_corrected_cell_keeps_the_quotes_of_what_needs_them():
    with pytest.raises(errors.OptionError) as caught:
        parse_options("-i 'my cases.csv' why?")

    assert caught.value.hint.splitlines()[1] == "%%assistant -i 'my cases.csv'"


def test_the_help_of_no_code_says_what_it_does_and_not_that_it_hides_code():
    (line,) = [line for line in option_help(everything=True).splitlines() if "--no-code" in line]

    assert line.split("--no-code")[1].strip().startswith("answer in words")
