"""What holds of the source as a whole: one name, one meaning; rooms to read in one sitting; a whole sdist."""

import ast
import re
import statistics
import tarfile
from collections import defaultdict
from functools import cache
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder

import ipython_assistant

ROOT = Path(__file__).parent.parent
PACKAGE = Path(ipython_assistant.__file__).parent
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
MOST_LINES_OF_A_MODULE = 500
MOST_METHODS = 25
MOST_LINES, MOST_MODULES, LARGEST_MEDIAN = 20_000, 110, 160
"""Of the package, and of its modules' lines; these numbers may only fall."""


@cache
def modules():
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def place_of(path):
    return str(path.relative_to(PACKAGE))


def classes():
    found = ((path, node) for path, tree in modules().items() for node in ast.walk(tree))
    return [(path, node) for path, node in found if isinstance(node, ast.ClassDef)]


def used_twice(named):
    found = defaultdict(list)
    for name, path in named:
        found[name].append(place_of(path))
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_the_name_of_a_class_a_module_or_a_public_function_means_one_thing():
    functions = ((node, path) for path, tree in modules().items() for node in tree.body if isinstance(node, FUNCTIONS))
    public = [(node.name, path) for node, path in functions if not node.name.startswith("_")]
    assert used_twice([(node.name.lstrip("_"), path) for path, node in classes()]) == {}
    assert used_twice([(path.stem, path) for path in modules() if not path.stem.startswith("__")]) == {}
    assert {name for name in used_twice(public) if name != "main"} == set()


def test_modules_and_classes_are_small_enough_to_read():
    lines = {place_of(path): len(path.read_text("utf-8").splitlines()) for path in modules()}
    methods = {(path, node.name): sum(isinstance(part, FUNCTIONS) for part in node.body) for path, node in classes()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES_OF_A_MODULE} == {}
    assert {name: count for name, count in methods.items() if count > MOST_METHODS} == {}
    assert len(lines) <= MOST_MODULES
    assert sum(lines.values()) <= MOST_LINES
    assert statistics.median(lines.values()) <= LARGEST_MEDIAN


def test_architecture_says_what_each_module_is_for_in_the_modules_own_words():
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8").replace("\\|", "|")
    jobs = {
        path: (ast.get_docstring(tree) or "").split("\n")[0]
        for path, tree in modules().items()
        if path.stem != "__init__"
    }
    assert [row for path, job in jobs.items() if (row := f"| `{place_of(path)}` | {job} |") not in page] == []


def test_the_sdist_has_every_page_that_a_test_or_the_readme_names(tmp_path):
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    with tarfile.open(archive) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    pages = re.findall(r"\]\((?!https?:|#)([\w./-]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"docs/errors.md", "tests/test_errors.py", "pyproject.toml", *pages} <= inside
    assert not [name for name in inside if ".venv" in name or "__pycache__" in name]
