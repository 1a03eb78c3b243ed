"""Events of which some fields are of another type: what a server that is nearly right, or hostile, may send."""

import contextlib
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

KEYS = st.text(max_size=8)


def json_values(*texts: str, keys: Any = KEYS, max_leaves: int = 12) -> Any:
    """JSON of any shape, with these among its texts, and with keys as they come or from a strategy."""
    numbers, said = st.integers() | st.floats(allow_nan=False), st.text(max_size=20) | st.sampled_from(["", *texts])
    return st.recursive(
        st.none() | st.booleans() | numbers | said,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=max_leaves,
    )  # fmt: skip


VALUES = json_values("\ud83d", max_leaves=5)


@st.composite
def mutated(draw: Any, events: list[Any]) -> list[Any]:
    """The events with something else in one to three places below their top level."""
    places = [path for path in _paths(events) if len(path) >= 2]
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places))
        with contextlib.suppress(LookupError, TypeError):  # an earlier one took the place away
            events = _put(events, path, draw(VALUES))
    return events


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield at
    for key, one in inner:
        yield from _paths(one, (*at, key))


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _put(value[path[0]], path[1:], new)
    return copy
