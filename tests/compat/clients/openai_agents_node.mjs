// @openai/agents: a streamed run with the hosted code interpreter, and a second one with the first one's items.
import assert from "node:assert";
import { Agent, codeInterpreterTool, run, setTracingDisabled } from "@openai/agents";

setTracingDisabled(true);
const FIRST = "```python\nkept = 41\nopen('made.csv', 'w').write('a,b\\n1,2\\n')\n```";
const SECOND = "```python\nopen(f'kept-{kept + 1}.csv', 'w').write('x\\n1\\n')\n```";
const agent = new Agent({
  name: "analyst", model: process.env.COMPAT_MODEL, tools: [codeInterpreterTool({ container: { type: "auto" } })],
});
const first = await run(agent, FIRST, { stream: true });
for await (const _ of first) { /* the events are read to the end */ }
await first.completed;
assert(String(first.finalOutput).includes("made.csv"), first.finalOutput);
const second = await run(agent, [...first.history, { role: "user", content: SECOND }]);
assert(String(second.finalOutput).includes("kept-42.csv"), second.finalOutput);
console.log("passed: streamed, second turn by items");
