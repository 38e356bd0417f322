// What an operator sees happen, and does by clicks, on a page that is never loaded anew.

import assert from "node:assert/strict";
import { login } from "./visits.mjs";

async function livePage({ browser, api }, path) {
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, api.key, path);
  await page.untilLive();
  page.navigations = 0;
  return { visitor, page };
}

function expectNoReload(page) {
  assert.equal(page.navigations, 0, "the page was loaded anew");
}

/// A message arrives, its turn begins and ends; the overview and the message's own page show it.
export async function live(scene) {
  const { api } = scene;
  const { visitor, page } = await livePage(scene, "/");
  const id = await api.receives("Please wait-for-gate.", { context_id: "harbour/7" });
  await page.untilHas(`[data-message="${id}"]`);
  const turn = (await api.untilTurn("coder", "running")).id;
  await page.untilHas(`[data-turn="${turn}"][data-state="running"]`);
  await page.untilHas('[data-agent="coder"][data-state="running"]');
  await page.untilHas(`[data-message="${id}"][data-state="running"]`);

  const own = await visitor.page(api.url);
  await own.goto(`/web/messages/${id}`);
  await own.untilLive();
  own.navigations = 0;
  await api.place("open");
  const ended = await api.untilMessage(id, "done", "answered");
  for (const shown of [page, own]) await shown.untilHas(`[data-message="${id}"][data-state="${ended.state}"]`);
  await page.untilHas('[data-agent="coder"][data-state="idle"]');
  await own.untilText("the gate is open");
  for (const shown of [page, own]) {
    expectNoReload(shown);
    shown.expectNoFaults("live");
  }
  await visitor.close();
}

/// A refused message is retried and delivered, another one dropped.
export async function deadLetters(scene) {
  const { api } = scene;
  const { visitor, page } = await livePage(scene, "/web/dead-letters");
  const ids = [await api.sends("The tide is late.", { context_id: "one" }), await api.sends("The tide is early.", { context_id: "two" })];
  for (const id of ids) await page.untilHas(`[data-dead-letter="${id}"]`);
  await page.untilText("no such project");
  expectNoReload(page);

  // It is refused once more: then it is a dead letter again.
  await page.click(`[data-dead-letter="${ids[0]}"] [data-action=retry]`);
  const again = await api.untilMessage(ids[0], "dead");
  assert.ok(again.delivery.history.length >= 1, JSON.stringify(again));
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
  await visitor.close();
}

/// A turn that would run on is ended; the test looks for its processes afterwards.
export async function cancel(scene) {
  const { api } = scene;
  const { visitor, page } = await livePage(scene, "/");
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
  await visitor.close();
}
