// OpenAI's JavaScript SDK against a broker.
//
// node openai_js.mjs --tools DIR --url http://127.0.0.1:PORT --key KEY [--text TEXT] [--predecessor] [--agent NAME] SECTION…
//
// Sections: chat stream models errors, or all of these. `--text` is the text that answers must have (default: empty).
// embeddings, tools, slashes and backend-errors want the backend of `openai_sdks.rs`.
// With `--agent NAME` also `agent`: that agent answers `--text`, and never where it is asked to wait.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tools: { type: "string" },
    url: { type: "string" },
    key: { type: "string" },
    text: { type: "string", default: "" },
    predecessor: { type: "boolean", default: false },
    agent: { type: "string" },
  },
});

// The SDK lives in the tools' folder, not above this file: it is found from there.
const fromTools = createRequire(pathToFileURL(join(resolve(given.tools), "openclaw", "package.json")));
const { default: OpenAI } = await import(pathToFileURL(fromTools.resolve("openai")).href);
const sdk = OpenAI.OpenAI ?? OpenAI;

const model = "local-agent";
const withKey = (apiKey) => new sdk({ baseURL: `${given.url}/v1`, apiKey, maxRetries: 0, timeout: 60_000 });
const client = withKey(given.key);
const messages = (words) => [{ role: "user", content: words }];

async function expectError(kind, status, call) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, `wanted ${kind.name} for ${status}, saw ${error?.constructor?.name}: ${error}`);
    assert.equal(error.status, status);
    assert.ok(error.error?.message, `${status} has no message: ${JSON.stringify(error.error)}`);
    return true;
  });
}

async function chat() {
  const answer = await client.chat.completions.create({ model, messages: messages("Is the crane free?") });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.equal(answer.choices[0].message.content, given.text);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.usage, "usage is missing");
}

async function stream() {
  const extra = given.predecessor ? {} : { stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ model, messages: messages("Until when?"), stream: true, ...extra })) {
    chunks.push(chunk);
  }
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.ok(choices.length > 0, "no chunk has a choice");
  assert.equal(choices.map((choice) => choice.delta.content ?? "").join(""), given.text);
  assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), ["stop"]);
  if (!given.predecessor) {
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage, "the last chunk has no usage");
  }
}

async function models() {
  const listed = [];
  for await (const item of client.models.list()) listed.push(item.id);
  assert.ok(listed.includes(model), `models: ${listed}`);
  assert.equal((await client.models.retrieve(model)).id, model);
  await expectError(sdk.NotFoundError, 404, () => client.models.retrieve("no-such-model"));
}

async function errors() {
  await expectError(sdk.AuthenticationError, 401, () =>
    withKey("not-the-key").chat.completions.create({ model, messages: messages("Hello?") }),
  );
  const headers = { "content-type": "application/json" };
  await expectError(sdk.BadRequestError, 400, () => client.post("/chat/completions", { body: new TextEncoder().encode('{"messages": ['), headers }));
  if (!given.predecessor) await expectError(sdk.NotFoundError, 404, () => client.post("/no-such-resource", { body: {} }));
}

async function untilEnded(id) {
  for (let look = 0; look < 400; look += 1) {
    const response = await client.responses.retrieve(id);
    if (!["queued", "in_progress"].includes(response.status)) return response;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${id} never ended`);
}

async function agentChats() {
  const chat = { model: given.agent, messages: messages("Is the crane free?") };
  const answer = await client.chat.completions.create(chat);
  assert.equal(answer.choices[0].message.content, given.text);
  assert.equal(answer.model, given.agent);
  const runner = client.chat.completions.stream(chat);
  assert.equal(await runner.finalContent(), given.text);
}

async function agentResponds() {
  const ask = { model: given.agent, input: "Until when?", metadata: { crane: "7" } };
  const answer = await client.responses.create(ask);
  assert.equal(answer.output_text, given.text);
  assert.equal(answer.status, "completed");
  assert.deepEqual(answer.metadata, { crane: "7" });
  const next = await client.responses.create({ ...ask, previous_response_id: answer.id });
  assert.equal(next.previous_response_id, answer.id);
  const runner = client.responses.stream(ask);
  const kinds = [];
  for await (const event of runner) kinds.push(event.type);
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
  assert.equal((await runner.finalResponse()).output_text, given.text);
  const items = [];
  for await (const item of client.responses.inputItems.list(answer.id)) items.push(item);
  assert.equal(items[0].content[0].text, "Until when?");
}

async function agentWorksInTheBackground() {
  const ask = { model: given.agent, input: "Until when?", background: true };
  const queued = await client.responses.create(ask);
  assert.equal(queued.status, "queued");
  assert.equal((await untilEnded(queued.id)).output_text, given.text);
  const again = [];
  const events = await client.responses.retrieve(queued.id, { stream: true, starting_after: 2 });
  for await (const event of events) again.push(event.sequence_number);
  assert.equal(again[0], 3);
  const endless = await client.responses.create({ ...ask, input: "Please wait." });
  assert.equal((await client.responses.cancel(endless.id)).status, "cancelled");
  assert.equal((await client.responses.retrieve(endless.id)).status, "cancelled");
  await client.responses.delete(endless.id);
  await expectError(sdk.NotFoundError, 404, () => client.responses.retrieve(endless.id));
}

async function agent() {
  await agentChats();
  await agentResponds();
  await agentWorksInTheBackground();
  await expectError(sdk.NotFoundError, 404, () => client.responses.create({ model: "openclaw/nobody", input: "Hello?" }));
  await expectError(sdk.BadRequestError, 400, () => client.responses.create({ model: given.agent, input: " " }));
}

const vectors = [
  [0.5, -0.25, 2],
  [1, 0, -8],
];

async function embeddings() {
  const ask = { model: "harbour-vectors", input: ["north pier", "south pier"] };
  const read = async (more) => (await client.embeddings.create({ ...ask, ...more })).data.map((item) => item.embedding);
  assert.deepEqual(await read({ encoding_format: "float" }), vectors);
  const encoded = vectors.map((vector) => Buffer.from(new Float32Array(vector).buffer).toString("base64"));
  assert.deepEqual(await read({ encoding_format: "base64" }), encoded);
  // The SDK asks for base64 by itself, and decodes it.
  assert.deepEqual(await read({ dimensions: 3 }), vectors);
  await expectError(sdk.BadRequestError, 400, () => client.embeddings.create({ ...ask, input: Array(129).fill("pier") }));
}

async function tools() {
  const tool = { type: "function", function: { name: "tide", parameters: { type: "object", properties: {} } } };
  const ask = { model: "harbour/large", messages: messages("Tides?"), tools: [tool], tool_choice: "required", parallel_tool_calls: true };
  const [choice] = (await client.chat.completions.create(ask)).choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.deepEqual(choice.message.tool_calls.map((call) => call.function.name), ["tide", "tide"]);
  const whole = await client.chat.completions.stream(ask).finalChatCompletion();
  assert.deepEqual(whole.choices[0].message.tool_calls.map((call) => call.function.name), ["tide", "tide"]);
}

async function slashes() {
  const listed = [];
  for await (const item of client.models.list()) listed.push(item.id);
  assert.deepEqual(listed, ["harbour/large", "harbour/small/v2"]);
  for (const id of listed) assert.equal((await client.models.retrieve(id)).id, id);
}

async function backendErrors() {
  const expected = [
    ["harbour-bad", 400, sdk.BadRequestError],
    ["harbour-none", 404, sdk.NotFoundError],
    ["harbour-long", 422, sdk.UnprocessableEntityError],
    ["harbour-busy", 429, sdk.RateLimitError],
    ["harbour-ill", 502, sdk.InternalServerError],
  ];
  for (const [name, status, kind] of expected) {
    await expectError(kind, status, () => client.embeddings.create({ model: name, input: "pier" }));
  }
}

const ordinary = { chat, stream, models, errors };
const further = { embeddings, tools, slashes, "backend-errors": backendErrors };
const sections = given.agent ? { ...ordinary, agent } : { ...ordinary, ...further };
const wanted = positionals.length === 1 && positionals[0] === "all" ? Object.keys(ordinary) : positionals;
assert.ok(wanted.length > 0 && wanted.every((name) => name in sections), `sections: ${Object.keys(sections).join(" ")}`);
for (const name of wanted) {
  try {
    await sections[name]();
  } catch (error) {
    console.error(`FAILED: ${name}: ${error?.stack ?? error}`);
    process.exit(1);
  }
  console.log(`ok: ${name}`);
}
