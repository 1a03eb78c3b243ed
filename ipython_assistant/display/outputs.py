"""What an output of ours is: representations by media type, always with `text/plain`, and its name in the metadata.

Each output is a function of the turn and its files alone, so that two runs of one recording save the same notebook;
what may differ goes to the metadata, under the key `ipython_assistant`. The HTML has inline styles only: a `<style>`
block is removed from a notebook that is not trusted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.core.turn import objects_in, text_of
from ipython_assistant.core.wording import counted
from ipython_assistant.display.escaping import CODE_STYLE, code_block, escaped, one_line, printed, visible
from ipython_assistant.display.markdown import NO_MATH, Growing, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.turn import CodeCall, OtherItem

KEY = "ipython_assistant"  # our own key in output metadata
QUIET = "opacity:.7"  # the style of what a reader needs second; its contrast is still over 4.5 : 1 in both themes
LONGEST_LOGS = 20_000  # in characters for each code call; what is beyond it is left out in the middle, and said
LONGEST_ITEM = 4_000  # in characters for each item without a view of its own
LONGEST_TEXT = 500  # in characters for each text in it, which may be a picture in base64

# An id or a time says nothing to a reader, and would make two runs of one question differ.
# The picture of an image generation has an output of its own.
_NOT_SHOWN = frozenset({"id", "type", "call_id", "encrypted_content", "created_at", "created_by", "result"})
_NO_ITEMS = frozenset({"compaction", "shell_call", "shell_call_output"})
"""A shell's commands are code steps; a conversation that the service has shortened is its own business."""
_TITLE = f'<p style="margin:.8em 0 0;{QUIET}">'


class Bundle(NamedTuple):
    """What `_repr_mimebundle_` returns: representations by media type, and the output's metadata."""

    data: dict[str, Any]
    metadata: dict[str, Any]


def html_bundle(output: str, html: str, plain: str, **more: Any) -> Bundle:
    """An output as safe HTML and as text; `output` says in the metadata what it is, beside whatever `more` says."""
    return Bundle({"text/html": html, "text/plain": plain}, {KEY: {"output": output, **more}})


def answer(text: str, hrefs: Mapping[str, str]) -> Bundle:
    """The answer's text; see `markdown.render`."""
    return html_bundle("answer", render(text, hrefs=hrefs), visible(text))


def live(text: str, activity: str, growing: Growing | None = None) -> Bundle:
    """The answer so far, drawn by `growing`, and a status line; as plain text the status, or the answer without one."""
    html = (growing or Growing()).render(text) if text else ""
    status = one_line(f"{activity[:1].upper()}{activity[1:]} …") if activity else ""
    line = f'<p style="margin:.5em 0 0;{QUIET}">{escaped(status)}</p>' if status else ""
    return html_bundle("live", html + line, status or visible(text))


def remark_html(sentence: str) -> str:
    """A sentence below a list."""
    return f'<p style="margin:.4em 0 0;{QUIET}">{escaped(sentence)}</p>'


def indented(text: str) -> str:
    """A block of code or of logs in an output's plain text."""
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))


def work(calls: Sequence[CodeCall]) -> Bundle:
    """The code that was run and what it printed: folded, but open where a call failed."""
    html, plain, troubles = [], list[str](), []
    for number, call in enumerate(calls, 1):
        trouble = "" if call.status == "completed" else "did not finish"
        if call.raised:
            trouble = "ended in an error"
        if trouble:
            troubles.append(f"step {number} {trouble}" if len(calls) > 1 else trouble)
        if len(calls) > 1:
            title = f"Step {number}" + (f", {trouble}" if trouble else "")
            html.append(f"{_TITLE}{title}</p>")
            plain.append(title)
        code, logs, half = call.code.strip("\n"), printed(call.logs).strip("\n"), LONGEST_LOGS // 2
        html.append(code_block(code, call.language))
        plain.append(indented(visible(code)))
        if (left_out := len(logs) - LONGEST_LOGS) > 0:
            logs = f"{logs[:half]}\n… {left_out:,} characters left out …\n{logs[-half:]}"
        if logs:
            html.append(f'<pre style="{CODE_STYLE};border-left-color:transparent;{QUIET}">{escaped(logs)}</pre>')
            plain.append(f"Printed:\n\n{indented(logs)}")
    summary = f"Code, {counted(len(calls), 'step')}" + (f" ({'; '.join(troubles)})" if troubles else "")
    return _folded("work", summary, html, plain, is_open=bool(troubles))


def other_items(items: Iterable[OtherItem]) -> Bundle | None:
    """The output items without a view of their own, folded, long texts cut; of reasoning the summary; None for none."""
    shown = []
    for item in items:
        if item.type == "reasoning":
            body = "\n\n".join(text_of(part.get("text")) for part in objects_in(item.raw.get("summary"))).strip()
        else:
            kept = {key: value for key, value in item.raw.items() if key not in _NOT_SHOWN and value is not None}
            short = {key: _cut(value, LONGEST_TEXT) if isinstance(value, str) else value for key, value in kept.items()}
            body = json.dumps(short, ensure_ascii=False, indent=2)
        if body and item.type not in _NO_ITEMS:
            shown.append((one_line(item.type) or "item", _cut(body, LONGEST_ITEM)))
    if not shown:
        return None
    # `web_search_call` is a web search.
    kinds = dict.fromkeys(kind.removesuffix("_call").replace("_", " ") for kind, _ in shown)
    summary = visible(f"Also done, {counted(len(shown), 'step')}: {', '.join(kinds)}")
    html = [f'{_TITLE}{escaped(kind)}</p><pre style="{CODE_STYLE}">{escaped(text)}</pre>' for kind, text in shown]
    return _folded("other items", summary, html, [f"{kind}\n\n{indented(visible(text))}" for kind, text in shown])


def _folded(output: str, summary: str, html: Iterable[str], plain: Iterable[str], *, is_open: bool = False) -> Bundle:
    head = f'<summary style="cursor:pointer;{QUIET}">{escaped(summary)}</summary>'
    folded = f'<details{" open" if is_open else ""} class="{NO_MATH}">{head}{"".join(html)}</details>'
    return html_bundle(output, folded, "\n\n".join([summary, *plain]))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… {len(text) - longest:,} more characters"
