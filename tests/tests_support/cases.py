"""How tests are written down: tables whose rows have names, and errors as their readers meet them."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ipython_assistant.errors import AssistantError


def cases(names: str | tuple[str, ...], table: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Run a test with each value of a table, called by its key."""
    return pytest.mark.parametrize(names, table.values(), ids=table.keys())


def and_slow(values: list[Any], slow: list[Any]) -> list[Any]:
    """The values of a parameter, and those with which a test is slow."""
    return [*values, *(pytest.param(value, marks=pytest.mark.slow) for value in slow)]


@contextlib.contextmanager
def told(
    kind: type[AssistantError] | tuple[type[AssistantError], ...], happened: str = "", cure: str = "", lines: int = 2
) -> Iterator[pytest.ExceptionInfo[Any]]:
    """What runs in it has to end in this error; what happened and what to do have these words, and so many lines."""
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert happened in error.message, error.message
    assert cure in error.hint, error.hint
    assert len(error._render_traceback_()) == lines, error
