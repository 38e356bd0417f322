// OpenAI's JavaScript SDK against a broker.
//
// node openai_js.mjs --tools DIR --url http://127.0.0.1:PORT --key KEY [--text TEXT] [--predecessor] SECTION…
//
// Sections: chat stream models errors, or all. `--text` is the text that answers must have (default: empty).

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

const sections = { chat, stream, models, errors };
const wanted = positionals.length === 1 && positionals[0] === "all" ? Object.keys(sections) : positionals;
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
