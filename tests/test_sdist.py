"""What is published is whole: the tests pass from the sdist, and the README's links lead somewhere there."""

import re
import tarfile
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder

ROOT = Path(__file__).parent.parent


def test_the_sdist_has_every_page_that_a_test_or_the_readme_names(tmp_path):
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    with tarfile.open(archive) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    pages = re.findall(r"\]\((?!https?:|#)([\w./-]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"docs/errors.md", "tests/test_errors.py", "pyproject.toml", *pages} <= inside
    assert not [name for name in inside if ".venv" in name or "__pycache__" in name]
