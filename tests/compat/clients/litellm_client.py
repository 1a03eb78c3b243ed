"""litellm: a streamed turn through `responses`, its file, a second turn."""

import litellm
from flow import AUTO, CSV, FIRST, MODEL, SECOND, cited, done, fetch

first = None
for event in litellm.responses(model=f"openai/{MODEL}", input=FIRST, tools=[AUTO], stream=True):
    if event.type == "response.completed":
        first = event.response
assert first is not None
file = next(cited(first.output))
assert fetch(file.container_id, file.file_id) == CSV
second = litellm.responses(model=f"openai/{MODEL}", input=SECOND, tools=[AUTO], previous_response_id=first.id)
assert "kept-42.csv" in [a.filename for a in cited(second.output)]
done("streamed, file, second turn")
