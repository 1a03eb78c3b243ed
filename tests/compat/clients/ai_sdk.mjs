// The AI SDK: a streamed turn, its file, a second turn by items (item_reference by default) and one by id.
import assert from "node:assert";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const FIRST = "```python\nkept = 41\nopen('made.csv', 'w').write('a,b\\n1,2\\n')\n```";
const SECOND = "```python\nopen(f'kept-{kept + 1}.csv', 'w').write('x\\n1\\n')\n```";
const model = openai.responses(process.env.COMPAT_MODEL);
const tools = { code_interpreter: openai.tools.codeInterpreter({}) };
const first = streamText({ model, tools, prompt: FIRST });
let text = "";
for await (const piece of first.textStream) text += piece;
assert(text.includes("made.csv"), text);
const file = (await first.sources).map((source) => source.providerMetadata?.openai).find((found) => found?.fileId);
const url = `${process.env.OPENAI_BASE_URL}/containers/${file.containerId}/files/${file.fileId}/content`;
const bytes = await fetch(url, { headers: { Authorization: `Bearer ${process.env.OPENAI_API_KEY}` } });
assert.equal(await bytes.text(), "a,b\n1,2\n");
const messages = [
  { role: "user", content: FIRST }, ...(await first.response).messages, { role: "user", content: SECOND },
];
const byItems = await generateText({ model, tools, messages });
assert(byItems.text.includes("kept-42.csv"), byItems.text);
const previousResponseId = (await first.providerMetadata).openai.responseId;
const byId = await generateText({ model, tools, prompt: SECOND, providerOptions: { openai: { previousResponseId } } });
assert(byId.text.includes("kept-42.csv"), byId.text);
console.log("passed: streamed, file, second turn by items and by id");
