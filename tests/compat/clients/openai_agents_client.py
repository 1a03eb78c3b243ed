"""openai-agents: a streamed run with the hosted code interpreter, its file, a second run of the same conversation."""

import asyncio

from agents import Agent, CodeInterpreterTool, Runner, set_tracing_disabled
from flow import AUTO, CSV, FIRST, MODEL, SECOND, cited, done, fetch

set_tracing_disabled(disabled=True)


def files(run):
    return cited(getattr(item, "raw_item", None) for item in run.new_items)


async def main() -> None:
    agent = Agent(name="analyst", model=MODEL, tools=[CodeInterpreterTool(tool_config=AUTO)])
    run = Runner.run_streamed(agent, FIRST)
    async for _ in run.stream_events():
        pass
    file = next(files(run))
    assert fetch(file.container_id, file.file_id) == CSV
    again = await Runner.run(agent, SECOND, previous_response_id=run.last_response_id)
    assert "kept-42.csv" in [a.filename for a in files(again)]
    replayed = await Runner.run(agent, [*run.to_input_list(), {"role": "user", "content": SECOND}])
    assert "kept-42.csv" in [a.filename for a in files(replayed)]


asyncio.run(main())
done("streamed, file, second turn by id and by items")
