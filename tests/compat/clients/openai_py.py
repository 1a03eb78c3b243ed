"""openai for Python: a streamed turn, its file, a second turn; an upload into a container of one's own."""

import asyncio

from flow import AUTO, CSV, FIRST, MODEL, SECOND, cited, done
from openai import AsyncOpenAI, OpenAI

client = OpenAI()
events = list(client.responses.create(model=MODEL, input=FIRST, tools=[AUTO], stream=True))
first = events[-1].response
assert events[-1].type == "response.completed"
file = next(cited(first.output))
content = client.containers.files.content.retrieve(file.file_id, container_id=file.container_id).read()
assert content == CSV, content

with client.responses.stream(model=MODEL, input=SECOND, tools=[AUTO], previous_response_id=first.id) as stream:
    second = stream.get_final_response()
assert "kept-42.csv" in [a.filename for a in cited(second.output)]

container = client.containers.create(name="compat")
client.containers.files.create(container.id, file=("in.csv", CSV))
own = {"type": "code_interpreter", "container": container.id}
read = "```python\nprint(open('in.csv').read())\n```"
answer = client.responses.create(model=MODEL, input=read, tools=[own], include=["code_interpreter_call.outputs"])
assert "1,2" in answer.output[1].outputs[0].logs or "1,2" in str(answer.output)
client.containers.delete(container.id)

sent = client.files.create(file=("in.csv", CSV), purpose="user_data")
auto = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [sent.id]}}
answer = client.responses.create(model=MODEL, input=read, tools=[auto], include=["code_interpreter_call.outputs"])
assert "1,2" in str(answer.output)


async def asynchronous() -> None:
    async with AsyncOpenAI() as other:
        got = await other.responses.create(model=MODEL, input=FIRST, tools=[AUTO])
        assert next(cited(got.output)).filename == "made.csv"


asyncio.run(asynchronous())
done("streamed, file, second turn, upload, async")
