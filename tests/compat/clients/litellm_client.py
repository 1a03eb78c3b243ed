"""litellm: a streamed turn through `responses`, its file, a second turn."""

import litellm
from flow import CSV, FIRST, MODEL, SECOND, done, fetch

TOOLS = [{"type": "code_interpreter", "container": {"type": "auto"}}]


def cited(response):
    for item in response.output:
        for part in getattr(item, "content", None) or []:
            yield from (a for a in part.annotations if a.type == "container_file_citation")


first = None
for event in litellm.responses(model=f"openai/{MODEL}", input=FIRST, tools=TOOLS, stream=True):
    if event.type == "response.completed":
        first = event.response
assert first is not None
file = next(cited(first))
assert fetch(file.container_id, file.file_id) == CSV
second = litellm.responses(model=f"openai/{MODEL}", input=SECOND, tools=TOOLS, previous_response_id=first.id)
assert "kept-42.csv" in [a.filename for a in cited(second)]
done("streamed, file, second turn")
