"""Secrets and this machine's folders are taken out of a text before it is kept in a file that others may read.

A secret is a value that was named as one, or a text in the form of a well-known key. A short value is taken out only
where it stands as a word of its own, so that no ordinary word of an answer is changed.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ipython_assistant.core.turn import CodeCall, Message
from ipython_assistant.errors import AssistantError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipython_assistant.core.turn import Item, TextPart, Turn

SECRET = "<secret>"  # noqa: S105 it stands where one was
SHORTEST_SECRET = 8
LONG = 16
"""In characters: a value this long is a secret if its name says so; a shorter one if it mixes letters and digits."""
UNMISTAKABLE = 24  # in characters: a secret this long is taken out wherever it stands, also in the middle of a word

# The forms in which services hand out keys.
_KEY = re.compile(
    r"""(?<![\w-])sk-(?=[\w-]*\d)[\w-]{16,}
      | \b(?:gh[opsru]|github_pat|hf|[rs]k_live|[rs]k_test)_\w{16,}
      | \bxox[abeoprs]-[\w-]{10,}
      | \b(?:A[KS]IA[0-9A-Z]{16}|AIza[\w-]{35})\b
      | \beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}
      | -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----.{0,20000}?-----END[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----
      | (?<=://)[^\s/:@{}$<>()"']{1,100}:[^\s/@{}$<>()"']{3,200}(?=@[\w.\[-])
      | (?<=AccountKey=)[\w+/-]{20,}=* | (?<=SharedAccessKey=)[\w+/-]{20,}=*
    """,
    re.VERBOSE | re.DOTALL,
)
_BEGINNINGS = (
    *("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "hf_", "k_live_", "k_test_", "xox", "AKIA"),
    *("ASIA", "AIza", "eyJ", "PRIVATE KEY", "://", "AccessKey=", "AccountKey="),
)
"""A text without any of these has no key in it: to look for them first is some thirty times as fast as the pattern."""


class Redactor:
    r"""Gives a text without these secrets, and without anything in the form of a well-known key.

    The absolute path of a folder, at the beginning of a path, becomes what is given for it.

    >>> redact = Redactor(["open-sesame-1"], {"/home/ada": "~", "/home/ada/work": "."})
    >>> redact("open-sesame-1: /home/ada/work/a.csv, /home/ada/.ssh, /home/adam")
    '<secret>: ./a.csv, ~/.ssh, /home/adam'
    """

    def __init__(self, secrets: Iterable[str] = (), folders: Mapping[str, str] | None = None) -> None:
        self._secrets, self._folders = frozenset(secrets), dict(folders or {})
        stand_ins = {form: SECRET for secret in self._secrets for form in _written_forms(secret)}
        patterns = [_as_a_word(form) for form in sorted(stand_ins, key=len, reverse=True)]
        for folder, stand_in in sorted(self._folders.items(), key=lambda item: len(item[0]), reverse=True):
            # As it is, and as it stands in a Python or JSON string: Windows paths have backslashes.
            for written in dict.fromkeys((folder, folder.replace("\\", "\\\\"))):
                if written.strip("/\\"):
                    stand_ins[written] = stand_in
                    patterns.append(rf"(?<![\w.-]){re.escape(written)}(?![\w.-])")
        self._stand_ins = stand_ins
        self._known = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        """The text with every secret, well-known key and local folder replaced."""
        if self._known is not None and any(written in text for written in self._stand_ins):
            text = self._known.sub(lambda match: self._stand_ins[match[0]], text)
        return _KEY.sub(SECRET, text) if any(beginning in text for beginning in _BEGINNINGS) else text

    def with_secrets(self, secrets: Iterable[str]) -> Redactor:
        """A redactor that takes these out too."""
        more = frozenset(secrets) - self._secrets
        return Redactor(self._secrets | more, self._folders) if more else self


def may_be_secret(value: str) -> bool:
    """Whether a value whose name says that it is a secret can be one: an ordinary word cannot, whatever its name."""
    value = value.strip()
    if _KEY.search(value):
        return True
    if any(char.isspace() for char in value):
        return False
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return len(value) >= LONG or (len(value) >= SHORTEST_SECRET and mixed)


def _as_a_word(secret: str) -> str:
    r"""A pattern for a secret: no letter or digit may touch a short one, but for that of an escape such as `\n`."""
    escaped = re.escape(secret)
    if len(secret) >= UNMISTAKABLE:
        return escaped
    before = r"(?:(?<!\w)|(?<=\\[nrtbf]))" if re.match(r"\w", secret) else ""
    return f"{before}{escaped}" + (r"(?!\w)" if re.search(r"\w\Z", secret) else "")


def _written_forms(secret: str) -> frozenset[str]:
    """A secret as it is, without the blanks around it, as it stands in JSON, and in an address."""
    forms = {secret, secret.strip()}
    forms |= {json.dumps(form)[1:-1] for form in forms} | {quote(form, safe="") for form in forms}
    return frozenset(form for form in forms if len(form.strip()) >= SHORTEST_SECRET)


def redacted_json(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value with `redact` applied to every text in it."""
    if isinstance(value, dict):
        return {name: redacted_json(part, redact) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_json(part, redact) for part in value]
    return redact(value) if isinstance(value, str) else value


def redacted_turn(turn: Turn, redact: Callable[[str], str]) -> Turn:
    """A turn with `redact` applied to all that a model or a program wrote; where that changes a text, its spans go."""

    def redacted(item: Item) -> Item:
        if isinstance(item, Message):
            return replace(item, parts=tuple(_redacted_part(part, redact) for part in item.parts))
        if isinstance(item, CodeCall):
            said = item.outputs and tuple(redact(it) if isinstance(it, str) else it for it in item.outputs)
            return replace(item, code=redact(item.code), outputs=said)
        return replace(item, raw=redacted_json(item.raw, redact))

    return replace(turn, items=tuple(map(redacted, turn.items)))


def _redacted_part(part: TextPart, redact: Callable[[str], str]) -> TextPart:
    text = redact(part.text)
    if text == part.text:
        return part
    cited = tuple(replace(citation, start=0, end=0) for citation in part.citations)
    return replace(part, text=text, citations=cited, sources=tuple(replace(it, start=0, end=0) for it in part.sources))


def redact_error(error: BaseException | None, secrets: Iterable[str]) -> None:
    """Take secrets out of an error, and out of the errors that led to it: its stack can be asked for."""
    redact, seen = Redactor(secrets), set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, AssistantError):
            error.message, error.hint = redact(error.message), redact(error.hint)
            error.args = (error.message,)
        error = error.__cause__
