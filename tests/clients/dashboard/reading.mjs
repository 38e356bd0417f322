// Without JavaScript: everything is readable, and every action works by plain forms.

import assert from "node:assert/strict";
import { SECTIONS, login } from "./visits.mjs";
import { until } from "./browser.mjs";

export async function reading({ browser, api }) {
  const done = await api.receives("Which berth is free at noon?", { context_id: "harbour/berths" });
  await api.untilMessage(done, "done", "answered");
  const dead = [await api.sends("Berth 4 is free.", { context_id: "one" }), await api.sends("Berth 5 is free.", { context_id: "two" })];
  for (const id of dead) await api.untilMessage(id, "dead");
  const running = await api.receives("Please wait-for-gate.", { context_id: "harbour/gate" });
  const turn = (await api.untilTurn("coder", "running")).id;

  const visitor = await browser.visitor();
  const page = await visitor.page(api.url, { javascript: false });
  await login(page, api.key);
  await overview(page, { done, turn });
  await lists(page, { done, dead, running, turn });
  await acts(page, api, { dead, running, turn });
  page.expectNoFaults("without JavaScript");
  await visitor.close();
}

async function overview(page, { done, turn }) {
  for (const section of SECTIONS) assert.ok(await page.has(`[data-section="${section}"]`), `no section ${section}`);
  assert.equal(await page.see(() => document.body.dataset.live), "off");
  assert.ok(await page.has('[data-agent="coder"][data-state="running"]'), "coder is not shown as running");
  assert.ok(await page.has(`[data-message="${done}"]`), "the message is not shown");
  assert.ok(await page.has(`[data-turn="${turn}"]`), "the turn is not shown");
  const plots = await page.see(() => [...document.querySelectorAll("[data-section=throughput] svg title, [data-section=latency] svg title")].map((one) => one.textContent));
  assert.ok(plots.length >= 2 && plots.every((title) => title.trim()), `plots: ${plots}`);
}

async function lists(page, { done, dead, running, turn }) {
  await page.goto("/web/messages");
  for (const [id, state] of [[done, null], [dead[0], "dead"], [running, null]]) {
    const row = `[data-message="${id}"]${state ? `[data-state="${state}"]` : ""}`;
    assert.ok(await page.has(row), `no \`${row}\` in the list`);
  }
  await page.follow(`[data-message="${done}"] a[href="/web/messages/${done}"]`);
  assert.equal(page.path(), `/web/messages/${done}`);
  const message = await page.text();
  for (const words of ["Which berth is free at noon?", "harbour/berths", "office", "coder"]) assert.ok(message.includes(words), `${words} is not in ${message}`);
  await page.goto(`/web/messages/${dead[0]}`);
  assert.ok((await page.text()).includes("no such project"), "why it is dead is not told");
  await page.goto("/web/agents/coder");
  assert.ok(await page.has(`[data-turn="${turn}"][data-state="running"]`), "its turn is not shown");
  await page.goto(`/web/turns/${turn}`);
  assert.ok((await page.text()).includes("wait-for-gate"), "the prompt is not shown");
  await page.goto("/web/connect");
  assert.ok((await page.text('[data-section="connect"]')).includes(page.origin), "the address to connect to is not shown");
  await page.goto("/web/dead-letters");
  for (const id of dead) assert.ok(await page.has(`[data-dead-letter="${id}"]`), `dead letter ${id} is not shown`);
}

async function acts(page, api, { dead, running, turn }) {
  await api.place("peer-takes");
  await page.follow(`[data-dead-letter="${dead[0]}"] [data-action=retry]`);
  await api.untilMessage(dead[0], "delivered");
  await page.goto("/web/dead-letters");
  assert.ok(!(await page.has(`[data-dead-letter="${dead[0]}"]`)), "what was delivered is still shown");
  await page.follow(`[data-dead-letter="${dead[1]}"] [data-action=drop]`);
  assert.ok(!(await page.has(`[data-dead-letter="${dead[1]}"]`)), "what was dropped is still shown");
  assert.deepEqual(await api.deadLetters(), []);

  await page.goto(`/web/turns/${turn}`);
  await page.follow("[data-action=cancel]");
  await api.untilMessage(running, "cancelled");
  await page.goto("/web/agents/coder");
  for (const [action, state] of [["stop", "stopped"], ["start", "idle"]]) {
    await page.follow(`[data-action=${action}]`);
    await until(`coder ${state}`, async () => (await api.get("/agents/coder")).state === state);
    await page.goto("/web/agents/coder");
    assert.ok(await page.has(`[data-agent="coder"][data-state="${state}"]`), `coder is not shown as ${state}`);
  }
}
