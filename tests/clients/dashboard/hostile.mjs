// Texts of others that try to be more than texts, in every field that a sender or an agent controls.

import assert from "node:assert/strict";
import { crawl, livePage, login } from "./visits.mjs";
import { until } from "./browser.mjs";

const RUN = (mark) => `window.pwned='${mark}'`;

/// Each in its way: `mark` says which field it was in.
const TRICKS = [
  (mark) => `<script>${RUN(mark)}</script>${mark}`,
  (mark) => `<img src=x onerror="${RUN(mark)}">${mark}`,
  (mark) => `"><img src=x onerror=${RUN(mark)}>${mark}`,
  (mark) => `'><svg/onload=${RUN(mark)}>${mark}`,
  (mark) => `</script><script>${RUN(mark)}</script>${mark}`,
  (mark) => `</title></textarea></pre></template><iframe srcdoc="<script>parent.${RUN(mark)}</script>"></iframe>${mark}`,
  (mark) => `" autofocus onfocus="${RUN(mark)}" x="${mark}`,
  (mark) => `' onmouseover='${RUN(mark)}' x='${mark}`,
  (mark) => `javascript:${RUN(mark)}//${mark}`,
  (mark) => `<a href="javascript:${RUN(mark)}">click</a><form action="https://evil.example"><button>${mark}</button></form>`,
  (mark) => `<template><script>${RUN(mark)}</script></template><base href="https://evil.example/">${mark}`,
  (mark) => `<meta http-equiv="refresh" content="0;url=https://evil.example/"><style>*{display:none}</style>${mark}`,
  (mark) => `{{constructor.constructor('${mark}')()}}\${7*7}<%= 7*7 %>${mark}`,
  (mark) => `&lt;b&gt;&#60;script&#62;&amp;lt;${mark}&quot;`,
  (mark) => `<!-- ${mark} --><![CDATA[<script>${RUN(mark)}</script>]]>`,
  (mark) => `\u202e${mark}\u2066<b>right to left</b>\u2069\u200f\ufeff\u2028`,
];

/// Only where control characters are taken: what ends a line of an event stream, and what ends a text.
const BROKEN = "\r\n\r\ndata: <script>window.pwned='stream'</script>\r\n\r\nevent: patch\rid: 7\n\ndata: {}\n\n\u0000\u0001\u001b[31m\u0008\ufffe<b>red</b>\n";

let marks = 0;
function trick(number = marks) {
  marks += 1;
  return TRICKS[number % TRICKS.length](`mark${marks}mark`);
}
const everything = () => `${TRICKS.map((_, number) => trick(number)).join("\n")}${BROKEN}`;
const long = () => `${"<b>".repeat(3000)}${"W".repeat(5000)}${trick()}`;

/// A crawler reads faster than anybody else: for more live pages at once than are kept up to date there is no room.
const NO_ROOM = [/status 503: .*\/web\/live\?/, /status of 503 .*\/web\/live\?/];

/// What must be seen as it was written, and where: `[what, text, path]`.
const wanted = [];
function want(what, text, path) {
  wanted.push([what, text, path]);
  return text;
}

export async function hostile(scene) {
  const { browser, api } = scene;
  const open = [];
  for (const path of ["/", "/web/messages", "/web/dead-letters"]) open.push(await livePage(scene, path));

  await messages(api);
  await deliveries(api);
  await requests(api);
  await outputs(api);
  await whileItRuns(scene);
  for (const page of open) await untilUpToDate(page, api);
  for (const page of open) await expectHarmless(page, `live ${page.path()}`);

  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, api.key);
  page.allow(...NO_ROOM);
  const shown = new Map();
  const look = async (path) => {
    await expectHarmless(page, path);
    shown.set(path, await page.see(textOfPage));
  };
  const seen = await crawl(page, look);
  assert.ok(seen.length > 30, `only ${seen.length} pages were found: ${seen}`);
  for (const path of new Set(wanted.map(([, , path]) => path))) {
    if (shown.has(path)) continue;
    await page.goto(path);
    await look(path);
  }
  expectTexts(shown);
  await paths(visitor, api);
  for (const one of [...open, page]) one.expectNoFaults(one.path());
  await visitor.close();
}

/// The fields of a message that a peer writes.
async function messages(api) {
  for (let number = 0; number < TRICKS.length; number += 1) {
    const text = trick(number);
    const fields = { type: trick(number), context_id: trick(number), id: trick(number), priority: "high" };
    const id = await api.receives(text, fields);
    const path = `/web/messages/${id}`;
    want(`text ${number}`, text, path);
    want(`type ${number}`, fields.type, path);
    want(`context_id ${number}`, fields.context_id, path);
    want(`id ${number}`, fields.id, path);
  }
  const whole = everything();
  const id = await api.receives(whole, { type: "TASK", extra: trick(), payload: { text: whole, [trick()]: { deeper: [trick()] } } });
  for (const line of whole.split(BROKEN)[0].split("\n")) want("everything", line, `/web/messages/${id}`);
  await api.receives(long(), { context_id: "W".repeat(500) });
  await api.receives(trick(), { payload: trick(), in_reply_to: trick() });
  for (const from of ["clerk", trick(), "Clerk<b>"]) await api.receives(trick(), { from });
  // What an address may hold is little; the rest is refused.
  const reply_to = `http://127.0.0.1:1909/?'onmouseover='window.pwned=1;javascript:alert(1)`;
  const answered = await api.receives(trick(), { reply_to });
  want("reply_to", reply_to, `/web/messages/${answered}`);
  for (const header of ["idempotency-key", "webhook-id", "traceparent", "x-request-id"]) await api.receives(trick(), {}, { [header]: latin(trick(1)) });
  // What is refused is not shown; it must do no harm either.
  await api.ask("POST", "/message", { type: "T", reply_to: `http://127.0.0.1:1909/"><script>window.pwned='reply_to'</script>` }, { authorization: "", "x-shared-secret": api.secret });
  for (const to of [trick(), "../x"]) await api.ask("POST", "/message", { type: "T", to, payload: trick() }, { authorization: "", "x-shared-secret": api.secret });
}

/// What an agent sends, and what a peer says to it.
async function deliveries(api) {
  for (let number = 0; number < 4; number += 1) {
    const text = trick();
    const id = await api.sends(text, { type: trick(), context_id: trick(), id: trick() });
    await api.untilMessage(id, "dead");
    want("text of a dead letter", text, `/web/messages/${id}`);
    want("answer of a peer", "<img src=x onerror=\"window.pwned='peer'\">", `/web/messages/${id}`);
    want("answer of a peer, listed", "<img src=x onerror=\"window.pwned='peer'\">", "/web/dead-letters");
  }
}

/// Requests of OpenAI's form: who asks, in which session, for which model.
async function requests(api) {
  const chat = (fields, headers = {}) => {
    const body = { model: "coder", messages: [{ role: "user", content: trick() }], user: trick(), ...fields };
    return api.ask("POST", "/v1/chat/completions", body, headers);
  };
  await chat({});
  await chat({ prompt_cache_key: trick(), metadata: { [trick()]: trick() } });
  for (const header of ["x-openclaw-session-key", "session_id", "x-session-affinity", "x-openclaw-agent-id", "user-agent", "x-forwarded-for"]) {
    await chat({ user: undefined }, { [header]: latin(trick(2)) });
  }
  await chat({ model: trick() });
  await chat({ messages: [{ role: "system", content: trick() }, { role: "assistant", content: trick(), name: "x" }, { role: "user", content: [{ type: "text", text: trick() }] }] });
  await chat({ model: "local-agent", context_id: trick() });
  const input = trick();
  const answer = await api.must("POST", "/v1/responses", { model: "coder", input, instructions: trick(), user: trick(), metadata: { a: trick() }, background: true });
  await until("the end of a response", async () => !["queued", "in_progress"].includes((await api.get(`/v1/responses/${answer.id}`)).status));
  await api.ask("POST", "/agent-reply", { task_id: trick(), event: trick(), data: { text: trick() }, metadata: { [trick()]: 1 } });
  await api.ask("POST", "/agents", { role: "tester", name: trick() });
  await api.ask("POST", "/agents", { role: "tester", name: "harmless", cli: `sh -c 'echo "<img src=x onerror=window.pwned=1>"'` });
  await api.ask("POST", "/keys", { name: trick(), role: "client" });
}

// Headers hold bytes of one character set alone.
const latin = (text) => text.replace(/[^\x20-\x7e]/g, "?");

/// What the agent prints, complains of, fails with, and writes back.
async function outputs(api) {
  const say = async (order, fields = {}) => {
    const id = await api.receives(order, fields);
    const ended = await api.untilMessage(id, "done", "answered", "dead", "failed");
    return { id, ended, turn: await turnOf(api, id) };
  };
  const output = everything();
  await api.place("say", output);
  const said = await say("say-it");
  for (const line of output.split(BROKEN)[0].split("\n")) want("output of a turn", line, `/web/turns/${said.turn}`);
  const complaint = `${trick(1)} ${trick(0)}`;
  await api.place("complain", complaint);
  const failed = await say("complain-of-it");
  want("error of a turn", complaint, `/web/turns/${failed.turn}`);
  for (let number = 0; number < 4; number += 1) {
    const text = trick(number);
    await api.place("send", JSON.stringify({ type: trick(number + 4), payload: { text }, context_id: trick() }));
    const answered = await say("send-it");
    const [callback] = (await api.message(answered.id)).callbacks;
    want("callback", text, `/web/messages/${callback.id}`);
  }
}

async function turnOf(api, id) {
  const turns = await api.turns("coder");
  const tasks = (turn) => JSON.stringify(turn);
  const listed = turns.find((turn) => tasks(turn).includes(id));
  if (listed) return listed.id;
  for (const turn of turns) if (tasks(await api.get(`/turns/${turn.id}`)).includes(id)) return turn.id;
  throw new Error(`no turn of ${id}`);
}

/// The same while it is seen live: a transcript grows by lines that try to break the stream.
async function whileItRuns(scene) {
  const { api } = scene;
  await api.place("say", everything());
  const id = await api.receives("Please wait-for-gate, then say-it.");
  const turn = (await api.untilTurn("coder", "running")).id;
  const pages = [await livePage(scene, `/web/turns/${turn}`), await livePage(scene, `/web/messages/${id}`)];
  await api.place("open");
  await api.untilMessage(id, "done", "answered");
  for (const page of pages) {
    await page.untilHas(`[data-turn="${turn}"][data-state="done"]`);
    await expectHarmless(page, `live ${page.path()}`);
    page.expectNoFaults(page.path());
    await page.close();
  }
}

async function untilUpToDate(page, api) {
  const path = page.path();
  const selector = path === "/web/dead-letters" ? `[data-dead-letter="${(await api.deadLetters())[0].id}"]` : `[data-message="${(await api.get("/messages?limit=1")).messages[0].id}"]`;
  await page.untilHas(selector);
}

/// No element, no handler and no link is made of what others wrote.
async function expectHarmless(page, where) {
  const found = await page.see(() => {
    const ours = (url) => new URL(url, location.href).origin === location.origin;
    const asset = (url) => new URL(url, location.href).pathname;
    const all = [...document.querySelectorAll("*")];
    return {
      pwned: window.pwned ?? null,
      scripts: [...document.scripts].filter((one) => asset(one.src) !== "/web/assets/live.js" || one.textContent.trim()).map((one) => one.outerHTML),
      elements: all.filter((one) => one.matches("iframe, object, embed, base, style, template, math, video, audio, source, meta[http-equiv], foreignObject, animate, set")).map((one) => one.outerHTML),
      images: [...document.images].filter((one) => asset(one.src) !== "/web/assets/icon.svg").map((one) => one.outerHTML),
      bold: [...document.querySelectorAll("b")].filter((one) => /mark\d|right to left|^(red)?$|W/.test(one.textContent)).map((one) => one.outerHTML),
      turned: (document.body.textContent.match(/.{0,20}[\u202a-\u202e\u2066-\u2069].{0,20}/gu) ?? []),
      handlers: all.filter((one) => [...one.attributes].some(({ name }) => /^on|^style$|^srcdoc$/i.test(name))).map((one) => one.outerHTML),
      links: all.flatMap((one) => ["href", "src", "action", "formaction", "xlink:href"].map((name) => one.getAttribute(name)).filter(Boolean)).filter((url) => !url.startsWith("#") && !ours(url)),
      title: document.title.length,
    };
  });
  assert.deepEqual({ ...found, title: 0 }, { pwned: null, scripts: [], elements: [], images: [], bold: [], turned: [], handlers: [], links: [], title: 0 }, `${where} runs or shows what others wrote as more than text`);
  assert.ok(found.title < 300, `${where} has a title of ${found.title} characters`);
  assert.equal(page.dialogs, 0, `${where} opened a dialog`);
}

// Runs in the page.
function textOfPage() {
  const values = [...document.querySelectorAll("input, textarea")].map((one) => one.value);
  return [document.body.textContent, ...values].join("\n");
}

/// What others wrote is there, as they wrote it.
function expectTexts(shown) {
  // Signs that are not seen, or turn texts around, are shown by another sign.
  const squeeze = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, " ").replace(/\s+/g, " ").trim();
  // JSON that is shown as it is has quotes and some signs escaped.
  const isShown = ([, text, path]) => [text, JSON.stringify(text).slice(1, -1)].some((form) => squeeze(shown.get(path)).includes(squeeze(form)));
  const missing = wanted.filter((one) => !isShown(one));
  assert.deepEqual(missing, [], "what others wrote is not shown as it was written");
}

/// Addresses that somebody could be sent to.
async function paths(visitor, api) {
  const page = await visitor.page(api.url);
  page.allow(...NO_ROOM, /status 40[0134]: /, /status of 40[0134]/);
  const places = [
    (part) => `/web/messages/${part}`,
    (part) => `/web/agents/${part}`,
    (part) => `/web/turns/${part}`,
    (part) => `/web/messages?state=${part}&agent=${part}&kind=${part}&${part}=${part}`,
    (part) => `/web/login?next=${part}`,
    (part) => `/web/dead-letters?before=${part}&done=${part}`,
    (part) => `/web/${part}`,
    (part) => `/${part}`,
  ];
  for (let number = 0; number < 3 * TRICKS.length; number += 1) {
    // So that each trick comes to three places, and each place has six tricks.
    const path = places[(number + Math.floor(number / TRICKS.length)) % places.length](encodeURIComponent(trick(number)));
    const answer = await page.goto(path);
    const kind = answer.headers()["content-type"] ?? "";
    if (kind.startsWith("text/html")) await expectHarmless(page, path);
    else assert.equal(await page.see(() => window.pwned), undefined, path);
  }
  page.expectNoFaults("hostile addresses");
  await page.close();
}
