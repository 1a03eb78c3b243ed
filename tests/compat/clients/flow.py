"""What every client is asked to do: code given in a fenced block needs no model, so any engine can answer it."""

import os
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.request import Request, urlopen

MODEL = os.environ["COMPAT_MODEL"]
AUTO = {"type": "code_interpreter", "container": {"type": "auto"}}
CSV = b"a,b\n1,2\n"
FIRST = "```python\nkept = 41\nopen('made.csv', 'w').write('a,b\\n1,2\\n')\n```"
SECOND = "```python\nopen(f'kept-{kept + 1}.csv', 'w').write('x\\n1\\n')\n```"


def cited(items: Iterable[Any]) -> Iterator[Any]:
    """The citations of files in the output items of a response, as objects of the `openai` package."""
    for item in items:
        for part in getattr(item, "content", None) or []:
            yield from (mark for mark in part.annotations if mark.type == "container_file_citation")


def fetch(container_id: str, file_id: str) -> bytes:
    """The file's bytes, for clients that do not fetch files themselves."""
    base, key = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
    url = f"{base}/containers/{container_id}/files/{file_id}/content"
    with urlopen(Request(url, headers={"Authorization": f"Bearer {key}"})) as reply:
        return bytes(reply.read())


def done(what: str) -> None:
    print(f"passed: {what}")
