"""pydantic-ai: a streamed run with the built-in code execution tool. It does not expose annotations, so no file."""

import asyncio

from flow import FIRST, MODEL, done
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel

try:
    from pydantic_ai import CodeExecutionTool
    from pydantic_ai.capabilities import NativeTool

    settings = {"capabilities": [NativeTool(CodeExecutionTool())]}
except ImportError:
    from pydantic_ai import CodeExecutionTool

    settings = {"builtin_tools": [CodeExecutionTool()]}


async def main() -> None:
    agent = Agent(OpenAIResponsesModel(MODEL), **settings)
    async with agent.run_stream(FIRST) as run:
        text = await run.get_output()
    assert "made.csv" in text, text
    again = await agent.run("```python\nopen('again.csv', 'w').write('x')\n```", message_history=run.all_messages())
    assert "again.csv" in again.output


asyncio.run(main())
done("streamed, second turn by items (it exposes no annotations)")
