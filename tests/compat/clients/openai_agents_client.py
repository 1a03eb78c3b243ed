"""openai-agents: a streamed run with the hosted code interpreter, its file, a second run of the same conversation."""

import asyncio

from agents import Agent, CodeInterpreterTool, Runner, set_tracing_disabled
from flow import CSV, FIRST, MODEL, SECOND, done, fetch

set_tracing_disabled(disabled=True)


def cited(items):
    for item in items:
        for part in getattr(getattr(item, "raw_item", None), "content", None) or []:
            yield from (a for a in part.annotations if a.type == "container_file_citation")


async def main() -> None:
    tool = CodeInterpreterTool(tool_config={"type": "code_interpreter", "container": {"type": "auto"}})
    agent = Agent(name="analyst", model=MODEL, tools=[tool])
    run = Runner.run_streamed(agent, FIRST)
    async for _ in run.stream_events():
        pass
    file = next(cited(run.new_items))
    assert fetch(file.container_id, file.file_id) == CSV
    again = await Runner.run(agent, SECOND, previous_response_id=run.last_response_id)
    assert "kept-42.csv" in [a.filename for a in cited(again.new_items)]
    replayed = await Runner.run(agent, [*run.to_input_list(), {"role": "user", "content": SECOND}])
    assert "kept-42.csv" in [a.filename for a in cited(replayed.new_items)]


asyncio.run(main())
done("streamed, file, second turn by id and by items")
