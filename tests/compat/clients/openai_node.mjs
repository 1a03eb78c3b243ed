// openai for Node: a streamed turn, its file, a second turn, an upload.
import assert from "node:assert";
import OpenAI, { toFile } from "openai";

const model = process.env.COMPAT_MODEL;
const FIRST = "```python\nkept = 41\nopen('made.csv', 'w').write('a,b\\n1,2\\n')\n```";
const SECOND = "```python\nopen(f'kept-{kept + 1}.csv', 'w').write('x\\n1\\n')\n```";
const tools = [{ type: "code_interpreter", container: { type: "auto" } }];
const client = new OpenAI();
const cited = (response) =>
  response.output.flatMap((item) => item.content ?? []).flatMap((part) => part.annotations ?? [])
    .filter((note) => note.type === "container_file_citation");

let first;
for await (const event of await client.responses.create({ model, input: FIRST, tools, stream: true })) {
  if (event.type === "response.completed") first = event.response;
}
const [file] = cited(first);
const content = await client.containers.files.content.retrieve(file.file_id, { container_id: file.container_id });
assert.equal(await content.text(), "a,b\n1,2\n");
const second = await client.responses.create({ model, input: SECOND, tools, previous_response_id: first.id });
assert(cited(second).some((note) => note.filename === "kept-42.csv"));
const container = await client.containers.create({ name: "compat" });
await client.containers.files.create(container.id, { file: await toFile(Buffer.from("a,b\n1,2\n"), "in.csv") });
const read = await client.responses.create({
  model, input: "```python\nprint(open('in.csv').read())\n```",
  tools: [{ type: "code_interpreter", container: container.id }], include: ["code_interpreter_call.outputs"],
});
assert(JSON.stringify(read.output).includes("1,2"));
console.log("passed: streamed, file, second turn, upload");
