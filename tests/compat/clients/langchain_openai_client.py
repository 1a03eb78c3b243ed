"""langchain-openai: a streamed turn, its file, a second turn."""

import os

import langchain_openai as package
from flow import AUTO, CSV, FIRST, MODEL, SECOND, done, fetch

how = {"use_responses_api": True, "output_version": "responses/v1", "base_url": os.environ["OPENAI_BASE_URL"]}
bound = package.ChatOpenAI(model=MODEL, **how).bind_tools([AUTO])


def cited(message):
    notes = [note for block in message.content for note in block.get("annotations") or []]
    return [note for note in notes if note.get("type") == "container_file_citation"]


whole = None
for chunk in bound.stream(FIRST):
    whole = chunk if whole is None else whole + chunk
file = cited(whole)[0]
assert fetch(file["container_id"], file["file_id"]) == CSV
second = bound.invoke(SECOND, previous_response_id=whole.response_metadata["id"])
assert "kept-42.csv" in [note["filename"] for note in cited(second)]
done("streamed, file, second turn")
