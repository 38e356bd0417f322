// What an operator sees happen, and does by clicks, on a page that is never loaded anew.

import assert from "node:assert/strict";
import { until } from "./browser.mjs";
import { livePage } from "./visits.mjs";

function expectNoReload(page) {
  assert.equal(page.navigations, 0, "the page was loaded anew");
}

/// A message arrives, its turn begins and ends; the overview and the message's own page show it.
export async function live(scene) {
  const { api } = scene;
  const page = await livePage(scene, "/");
  const id = await api.receives("Please wait-for-gate.", { context_id: "harbour/7" });
  await page.untilHas(`[data-message="${id}"]`);
  const turn = (await api.untilTurn("coder", "running")).id;
  await page.untilHas(`[data-turn="${turn}"][data-state="running"]`);
  await page.untilHas('[data-agent="coder"][data-state="running"]');
  await page.untilHas(`[data-message="${id}"][data-state="running"]`);

  const own = await livePage(scene, `/web/messages/${id}`);
  const work = await livePage(scene, `/web/turns/${turn}`);
  await work.untilHas(`[data-turn="${turn}"][data-state="running"]`);
  await api.place("open");
  const ended = await api.untilMessage(id, "done", "answered");
  for (const shown of [page, own]) await shown.untilHas(`[data-message="${id}"][data-state="${ended.state}"]`);
  await page.untilHas('[data-agent="coder"][data-state="idle"]');
  await work.untilHas(`[data-turn="${turn}"][data-state="done"]`);
  await work.untilText("the gate is open");
  for (const shown of [page, own, work]) {
    expectNoReload(shown);
    shown.expectNoFaults(`live ${shown.path()}`);
  }
}

/// A refused message is retried and delivered, another one dropped.
export async function deadLetters(scene) {
  const { api } = scene;
  const page = await livePage(scene, "/web/dead-letters");
  const ids = [await api.sends("The tide is late.", { context_id: "one" }), await api.sends("The tide is early.", { context_id: "two" })];
  for (const id of ids) await page.untilHas(`[data-dead-letter="${id}"]`);
  await page.untilText("no such project");
  expectNoReload(page);

  // It is refused once more: then it is a dead letter again.
  await page.click(`[data-dead-letter="${ids[0]}"] [data-action=retry]`);
  await until("the second refusal", async () => (await api.message(ids[0])).delivery.history.length >= 2);
  await page.untilHas(`[data-dead-letter="${ids[0]}"]`);
  await api.place("peer-takes");
  await page.untilLive();
  await page.click(`[data-dead-letter="${ids[0]}"] [data-action=retry]`);
  await api.untilMessage(ids[0], "delivered");
  await page.untilGone(`[data-dead-letter="${ids[0]}"]`);
  await page.untilLive();
  await page.click(`[data-dead-letter="${ids[1]}"] [data-action=drop]`);
  await page.untilGone(`[data-dead-letter="${ids[1]}"]`);
  assert.deepEqual(await api.deadLetters(), []);
  assert.notEqual((await api.message(ids[1])).state, "delivered");
  page.expectNoFaults("dead letters");
}

/// A turn that would run on is ended; the test looks for its processes afterwards.
export async function cancel(scene) {
  const { api } = scene;
  const page = await livePage(scene, "/");
  const id = await api.receives("Please wait-for-gate.");
  const turn = (await api.untilTurn("coder", "running")).id;
  await page.untilHas(`[data-turn="${turn}"][data-state="running"]`);
  const button = `[data-turn="${turn}"] [data-action=cancel]`;
  if (!(await page.has(button))) await page.goto(`/web/turns/${turn}`);
  await page.click("[data-action=cancel]");
  await api.untilMessage(id, "cancelled");
  await page.untilGone(`[data-turn="${turn}"][data-state="running"]`);
  await page.goto(`/web/turns/${turn}`);
  await page.untilHas(`[data-turn="${turn}"][data-state="cancelled"]`);
  page.expectNoFaults("cancel");
}
