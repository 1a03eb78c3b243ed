r"""`{name}` in a question → its value; nothing else is touched.

Filled in are `{name}`, `{name.attribute}`, `{name[0]}`, `{name["key"]}` and any chain of these. Nothing is called and
nothing is computed. What names no variable stays as it is, and so do fenced blocks, inline code and formulas.
"""

from __future__ import annotations

import ast
import difflib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_VALUE = 20_000  # in characters; what is longer belongs into a file

# A dollar before a digit is money; Pandoc's rules for the others: https://pandoc.org/MANUAL.html#math. Code in a line
# and a formula end within so many characters or are none: a search for the end is made at every beginning.
_NO_PROSE = r"""
    ^[ \t>]*(?P<fence>`{3,}+|~{3,}+)[^\n]*\n (?:.*?^[ \t>]*(?P=fence)[`~]*[ \t]*$ | .*)
    | (?<!`)(?P<ticks>`{1,9})(?!`) .{1,1000}? (?<!`)(?P=ticks)(?!`)
    | \$\$.{1,1000}?\$\$ | \\\(.{1,1000}?\\\) | \\\[.{1,1000}?\\\]
    | \\begin\{(?P<block>\w{1,20}\*?)\}.{1,1000}?\\end\{(?P=block)\}
    | (?<![\\$\w])\$(?=[^\s\d$])[^$\n]{0,200}?(?<=[^\s\\])\$(?![\w{$])
"""
_PLACEHOLDER = r"""
    (?<!\{) \{ (?P<name>[^\W\d]\w*)
    (?P<chain> (?: \.[^\W\d]\w* | \[-?\d{1,18}\] | \["[^"\\\n]*"\] | \['[^'\\\n]*'\] )* )
    \} (?!\})
"""
_PARTS = re.compile(rf"(?P<no_prose>{_NO_PROSE})|{_PLACEHOLDER}", re.VERBOSE | re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\.(?P<attribute>[^\W\d]\w*)|\[(?P<item>-?\d+|\"[^\"]*\"|'[^']*')\]")
_TABLES = frozenset({"DataFrame", "LazyFrame", "Series", "GeoDataFrame", "GeoSeries"})
_NO_TEXT = re.compile(r"<.*>|.* at 0x[0-9A-Fa-f]+.*", re.DOTALL)


def fill(prompt: str, namespace: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The question with each `{name}` of the namespace filled in, and hints about what looks like a name and stays."""
    hints = dict[str, None]()

    def replaced(found: re.Match[str]) -> str:
        try:
            return found[0] if found["no_prose"] is not None else _value(found, namespace)
        except _LeaveAsIs as reason:
            hints[f"{found[0]} was left as it is: {reason}"] = None
            return found[0]

    return _PARTS.sub(replaced, prompt), tuple(hints)


class _LeaveAsIs(Exception):
    """Says why a placeholder is not filled in; `fill` turns the message into a hint for the user."""


def _value(found: re.Match[str], namespace: Mapping[str, Any]) -> str:
    name = found["name"]
    if name not in namespace:
        near = difflib.get_close_matches(name, [known for known in namespace if not known.startswith("_")], n=1)
        raise _LeaveAsIs(f"there is no variable {name}." + (f" Did you mean {{{near[0]}}}?" if near else ""))
    try:
        value = namespace[name]
        for link in _LINK.finditer(found["chain"]):
            value = getattr(value, link["attribute"]) if link["attribute"] else value[ast.literal_eval(link["item"])]
        # A set in one order in every process: the question is the key of its recording.
        is_set = isinstance(value, set | frozenset) and value
        text = f"{{{', '.join(sorted(map(repr, value)))}}}" if is_set else str(value)
    except Exception as error:  # a property of somebody's class can raise anything
        said = " ".join(str(error).split())[:100].rstrip(".")
        raise _LeaveAsIs(f"{type(error).__name__}{f': {said}' if said else ''}.") from error
    kind = type(value).__name__
    if kind in _TABLES:
        raise _LeaveAsIs(f"it is a {kind}. Give it with -i, and it is sent as a file.")
    if not isinstance(value, str) and (callable(value) or _NO_TEXT.fullmatch(text)):
        raise _LeaveAsIs(f"it is a {kind}, which has no text of its own.")
    if len(text) > LONGEST_VALUE:
        raise _LeaveAsIs(f"its value has {len(text):,} characters. Give it with -i {name}.")
    return text
