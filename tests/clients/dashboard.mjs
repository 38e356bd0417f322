// The dashboard of a broker in a real Chromium.
//
// node dashboard.mjs --tools DIR --url http://127.0.0.1:PORT [--key KEY] --stage DIR [--secret SECRET] [--agent-key KEY] [--screenshots DIR] SECTION…
//
// Sections: reading live dead-letters cancel sessions tls foreign hostile looks restart many tabs pictures; each wants the broker of its
// test in `dashboard_browser.rs`. `--stage` is the folder by which scripts and peers there are told what to do, `--secret` that of
// the peer `office`, `--agent-key` speaks for the agent `coder`. `pictures` writes its images to `--screenshots`.
// Chromium is `CHROMIUM`, or `chromium` on PATH.

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { cancel, deadLetters, live } from "./dashboard/acting.mjs";
import { Api } from "./dashboard/api.mjs";
import { startBrowser } from "./dashboard/browser.mjs";
import { FLAGS, foreign } from "./dashboard/foreign.mjs";
import { hostile } from "./dashboard/hostile.mjs";
import { many, restart, tabs } from "./dashboard/lasting.mjs";
import { looks } from "./dashboard/looks.mjs";
import { MINUTES, pictures } from "./dashboard/pictures.mjs";
import { reading } from "./dashboard/reading.mjs";
import { sessions, tls } from "./dashboard/sessions.mjs";

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tools: { type: "string" },
    url: { type: "string" },
    key: { type: "string" },
    stage: { type: "string" },
    secret: { type: "string", default: "" },
    "agent-key": { type: "string", default: "" },
    screenshots: { type: "string" },
  },
});

const sections = { reading, live, "dead-letters": deadLetters, cancel, sessions, tls, foreign, hostile, looks, restart, many, tabs, pictures };
assert.ok(positionals.length > 0 && positionals.every((name) => name in sections), `sections: ${Object.keys(sections).join(" ")}`);

/// A section that hangs ends before the test is killed, so that its browser ends too.
const LONGEST_MS = 240_000 + MINUTES * 60_000;
setTimeout(() => {
  console.error("FAILED: it takes too long");
  process.exit(1);
}, LONGEST_MS).unref();

const browser = await startBrowser(given.tools, FLAGS);
for (const name of positionals) {
  const api = new Api({ url: given.url, key: given.key, secret: given.secret, agentKey: given["agent-key"], stage: given.stage });
  try {
    await sections[name]({ browser, api, folder: given.screenshots });
  } catch (error) {
    console.error(`FAILED: ${name}: ${error?.stack ?? error}`);
    await browser.close();
    process.exit(1);
  }
  console.log(`ok: ${name}`);
}
await browser.close();
process.exit(0);
