// Pictures of a broker at work, for the README.

import assert from "node:assert/strict";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "./browser.mjs";
import { packed } from "./png.mjs";
import { login } from "./visits.mjs";

const MOST_BYTES = 200_000;
/// How long there is traffic before the pictures, so that the plots have something to show. Unit: minutes.
export const MINUTES = Number(process.env.POSTROOM_PICTURE_MINUTES ?? 0);

const LETTERS = [
  ["librarian", "TASK", "catalogue/maps", "Which maps of the harbour do we have?"],
  ["writer", "TASK", "newsletter/november", "Draft the opening of the November newsletter."],
  ["librarian", "QUESTION", "catalogue/tides", "Since when do we keep tide tables?"],
  ["writer", "TASK", "newsletter/events", "Three lines about the lantern evening, please."],
];

export async function pictures({ browser, api, folder }) {
  assert.ok(folder, "--screenshots is missing");
  await mkdir(folder, { recursive: true });
  const where = { folder, stage: api.stage };
  const message = await work(api);
  const visitor = await browser.visitor();
  const wide = await visitor.page(api.url, { width: 1200, height: 1660 });
  await login(wide, api.key);
  await wide.untilLive();
  await picture(wide, where, "dashboard-light.png", "/", "light");
  await picture(wide, where, "dashboard-dark.png", "/", "dark");
  await wide.page.setViewport({ width: 1200, height: 1120 });
  await picture(wide, where, "dashboard-message.png", `/web/messages/${message}`, "light");
  const phone = await visitor.page(api.url, { width: 390, height: 844, phone: true });
  await picture(phone, where, "dashboard-phone.png", "/", "light");
  for (const page of [wide, phone]) page.expectNoFaults("pictures");
  await visitor.close();
}

async function picture(page, { stage, folder }, name, path, scheme) {
  await page.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
  await page.goto(path);
  await page.untilLive();
  await page.see((stage) => {
    // The folder of a test says nothing to anybody.
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.nodeValue = texts.currentNode.nodeValue.replaceAll(stage, "/home/ann/harbour");
  }, stage);
  const file = join(folder, name);
  await writeFile(file, packed(Buffer.from(await page.page.screenshot({ type: "png" }))));
  const { size } = await stat(file);
  assert.ok(size > 5_000 && size < MOST_BYTES, `${name} has ${size} bytes`);
}

/// A morning at the office; the id of a message whose page shows a whole exchange.
async function work(api) {
  await traffic(api);
  await untilParked(api);
  await api.must("POST", "/agents/courier/stop", {});
  await untilOver(api, await api.receives("Summarise the harbour master's letter.", { to: "apprentice", type: "TASK", context_id: "letters/9" }));
  for (const [to, type, context_id, text] of LETTERS) await untilOver(api, await api.receives(text, { to, type, context_id }));
  const dead = await api.sends("The loading plan for Thursday is ready.", { context_id: "loading/thursday", type: "RESULT", to: "warehouse" });
  await api.untilMessage(dead, "dead");
  const shown = await api.receives("Which berth is free on Thursday at noon? The ferry from Aalborg asks.", { to: "manager", type: "QUESTION", context_id: "berths/thursday" });
  await untilOver(api, shown);
  await api.receives("Translate the welcome sheet into Danish, please; the printer needs it by four.", { to: "translator", type: "TASK", context_id: "welcome-sheet" });
  await api.untilTurn("translator", "running");
  await api.receives("And the map's legend as well.", { to: "translator", type: "TASK", context_id: "welcome-sheet" });
  if (MINUTES > 0) await pause(40_000);
  return shown;
}

/// Chats, now more, now fewer.
async function traffic(api) {
  const ends = performance.now() + MINUTES * 60_000;
  for (let number = 0; performance.now() < ends; number += 1) {
    const wave = 1 + Math.sin(number / 60) + 0.5 * Math.sin(number / 7);
    const chats = Math.max(1, Math.round(4 * wave));
    await Promise.all(Array.from({ length: chats }, () => api.must("POST", "/v1/chat/completions", chat("local-agent", "Is the crane free?"))));
    await pause(1000);
  }
}

/// An agent whose program is not installed any more.
async function untilParked(api) {
  await until("a parked agent", async () => {
    await api.ask("POST", "/v1/chat/completions", chat("weatherman", "Will it rain?"));
    return (await api.get("/agents/weatherman")).state === "parked";
  });
}

function chat(model, content) {
  return { model, messages: [{ role: "user", content }] };
}

function pause(milliseconds) {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}

async function untilOver(api, id) {
  await until(`the end of ${id}`, async () => !["queued", "waiting", "running"].includes((await api.message(id)).state));
}
