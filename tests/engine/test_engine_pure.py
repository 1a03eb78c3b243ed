"""The engine's pure rooms: fenced code, links, names of places."""

import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipython_assistant.engine.kernel_output import KernelOutput, readable_traceback
from ipython_assistant.engine.models.safe_markdown import fenced, file_link
from ipython_assistant.engine.response_output import LINK, links
from ipython_assistant.engine.sandbox import VisiblePaths

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@pytest.mark.parametrize(("prompt", "code"), [
    ("```python\nx = 1\n```", "x = 1"), ("Please run\n\n```py\nx\n```\nand\n```\ny\n```\nthanks", "x\n\ny"),
    ("````python\nprint('''\n```\n''')\n````", "print('''\n```\n''')"),
    ("  ```python\n  if x:\n    y\n  ```", "if x:\n  y"), ("```Python title=x.py\n1\n```", "1"),
    ("```python\nnever closed", "never closed"), ("```python\r\nx\r\n```\r\n", "x"), ("```csv\na,b\n```", None),
    ("```csv\na,b\n```\n```python\n2\n```", "2"), ("```python\n\n```", None),
    ("Use `x` and ```inline``` code", None), ("Plot cases by year", None), ("```" + "a" * 50_000 + "`", None),
])  # fmt: skip
def test_python_is_found_in_fenced_blocks_only(prompt, code):
    assert fenced(prompt) == code


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
@example(["a.csv", "a.csv.gz", "a b.csv", "a"])
@example(["%41.csv", "A.csv"])
@example(["):"])
def test_a_link_to_any_name_is_found_again(names):
    text = "🎉 " + ", ".join(file_link(name) for name in names) + "."
    found = list(links(text, dict.fromkeys(names)))
    assert [name for name, _, _ in found] == names
    for name, start, end in found:
        assert text[start : start + len(LINK)] == LINK
        assert urllib.parse.unquote(text[start + len(LINK) : end]) == name


@pytest.mark.parametrize(("text", "found"), [
    ("sandbox:/mnt/data/x.csv", ["x.csv"]), ("sandbox:/mnt/data/", []), ("/mnt/data/x.csv", []),
    ("(sandbox:/mnt/data/x.csv) sandbox:/mnt/data/x.csv, `sandbox:/mnt/data/x.csv`", ["x.csv"] * 3),
    ("sandbox:/mnt/data/my file.csv.", ["my file.csv"]), ("sandbox:/mnt/data/my%20file.csv.", ["my file.csv"]),
    ("sandbox:/mnt/data/d/x.csv", ["d/x.csv"]),
    ("sandbox:/mnt/data/x.csv.bak sandbox:/mnt/data/x.csvs sandbox:/mnt/data/ax.csv", []),
])  # fmt: skip
def test_a_link_is_one_to_a_name_that_exists(text, found):
    names = dict.fromkeys(["x.csv", "my file.csv", "d/x.csv"])
    assert [name for name, _, _ in links(text, names)] == found


def test_the_mount_is_a_whole_name_in_both_directions():
    mount = VisiblePaths("/tmp/ipa/c/1/data", "/tmp/ipa/c/1/home", "/tmp/ipa/c/1/home/tmp")
    code = "a('/mnt/data/x') b('/mnt/data') c('/mnt/database') d('~/mnt/data') e('file:///mnt/data/x')"
    assert mount.inward(code) == (
        "a('/tmp/ipa/c/1/data/x') b('/tmp/ipa/c/1/data') c('/mnt/database') d('~/mnt/data') "
        "e('file:///tmp/ipa/c/1/data/x')"
    )
    assert mount.outward(mount.inward(code)) == code
    shown = (
        "/tmp/ipa/c/1/data-old /tmp/ipa/c/1/home/tmp/y /tmp/ipa/c/1/home/z /tmp/ipa/c/1/home/tmp/ipykernel_9/12.py:3"
    )
    assert mount.outward(shown) == "/tmp/ipa/c/1/data-old /tmp/y /home/user/z <code>:3"


@pytest.mark.parametrize(
    ("name", "message", "said"), [("E", "hey", "E: hey"), ("", "hey", "Error: hey"), ("", "", "Error")]
)
def test_an_error_has_a_name_and_its_message(name, message, said):
    output = KernelOutput(VisiblePaths("/w", "/h", "/t"), begins_with="status")
    output.take("error", {"ename": name, "evalue": message})
    assert output.error == said


def test_a_traceback_is_shown_without_the_frames_of_libraries():
    blocks = [
        "\x1b[31m" + "-" * 75, "ValueError   Traceback (most recent call last)",
        "File /usr/lib/site-packages/lib.py:3, in inner()\n 3 raise", "ValueError: inner",
        "\nThe above exception was the direct cause of the following exception:\n",
        "KeyError     Traceback (most recent call last)", "Cell In[1], line 2\n----> 2 call()",
        "File /w/own.py:7, in call()\n----> 7 inner()", "File lib/internal.pyx:9, in deep()", "KeyError: 'outer'",
    ]  # fmt: skip
    assert readable_traceback(blocks, own="/w/") == (
        "KeyError     Traceback (most recent call last)\nCell In[1], line 2\n----> 2 call()\n"
        "File /w/own.py:7, in call()\n----> 7 inner()\nKeyError: 'outer'"
    )
    assert "ValueError: inner" in readable_traceback([*blocks[:2], blocks[6], *blocks[3:]], own="/w/")
