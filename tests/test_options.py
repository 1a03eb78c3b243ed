"""options: the line after %%assistant."""

import pytest
from tests_support.cases import told

from ipython_assistant.errors import OptionError
from ipython_assistant.options import Options, option_help, parse_options


def test_every_option_is_read():
    tool = '{"type": "image_generation"}'
    options = parse_options(
        '-i cases --input "data/my table.csv" -m gpt-5 --dir out -o by_district -o worst -c maps --new --fresh '
        f"--dry-run --assistant coverage --instructions 'Be short.' --tool web_search --tool '{tool}' --effort low "
        "--memory 4g --container cntr_1 --timeout 30 --yes"
    )
    assert options == Options(
        inputs=("cases", "data/my table.csv"), outputs=("by_district", "worst"), model="gpt-5", conversation="maps",
        new=True, fresh=True, directory="out", assistant="coverage", dry_run=True, instructions="Be short.",
        tools=("web_search", tool), effort="low", container="cntr_1", memory="4g", timeout_s=30.0, yes=True,
    )  # fmt: skip
    assert parse_options("") == Options()
    assert parse_options(r"-i C:\data\new.csv").inputs == (r"C:\data\new.csv",)  # as Windows writes it


@pytest.mark.parametrize(("line", "what", "cure"), [
    ("--inputt x", "There is no option --inputt", "Did you mean --input?"),
    ("--modle x", "There is no option --modle", "Did you mean --model?"),
    ("--dri x", "There is no option --dri", "Did you mean --dir?"),
    ("-i", "Argument -i/--input: expected one argument", "--help"), ("-i 'a.csv", "no partner", "Close it"),
    ('--dir ""', "--dir has no folder", "--dir PATH"),
    ("-o 3x", "-o 3x", "-o table_3x"), ("-o out/by-district.csv", "-o out", "-o by_district"),
    ("--no-code -o x", "need code", "Leave one"), ("--effort lots", "--effort lots", "low, medium, high"),
    ("--timeout 0", "--timeout 0", "1 or more"), ("--timeout soon", "--timeout", "--help"),
    ("--memory 3g", "--memory 3g", "16g"),
])  # fmt: skip
def test_an_option_that_cannot_be_meant_says_in_two_lines_what_to_write(line, what, cure):
    with told(OptionError, what, cure) as caught:
        parse_options(line)
    assert caught.value._render_traceback_()[0].startswith("OptionError: ")


@pytest.mark.parametrize(("line", "body", "cell"), [
    ("plot by year -i coverage.csv", "", "Write:\n%%assistant -i coverage.csv\nplot by year"),
    ("by year", "please\n", "Write:\n%%assistant\nby year\nplease"),
    ("-m this-model is B missing?", "", "Write:\n%%assistant -m this-model\nis B missing?"),
    ("-i 'my cases.csv' why?", "", "Write:\n%%assistant -i 'my cases.csv'\nwhy?"),
    ("cases --new", "Plot it.", "Write:\n%%assistant --new\ncases\nPlot it."),
])  # fmt: skip
def test_words_on_the_first_line_are_refused_with_the_corrected_cell(line, body, cell):
    with pytest.raises(OptionError) as caught:
        parse_options(line, body)
    assert caught.value.hint == cell


def test_the_first_screen_of_help_leaves_out_what_is_rarely_needed():
    first, second = option_help(), option_help(everything=True)
    assert parse_options("--help").help
    assert all(option in first for option in ("-i", "--input", "-m", "--model", "--dir", "--help", "--help-all"))
    assert first.startswith("usage: %%assistant [options]")
    assert "--memory" not in first
    assert "--memory" in second
    (line,) = [line for line in second.splitlines() if "--no-code" in line]
    assert line.split("--no-code")[1].strip().startswith("answer in words")
