// Pages that stay open: over a broken connection, over a restart, and with many messages.

import assert from "node:assert/strict";
import net from "node:net";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "./browser.mjs";
import { fillIn, login } from "./visits.mjs";

/// An address that leads to a broker, until it is cut.
class Line {
  #sockets = new Set();
  #target;

  static async to(url) {
    const line = new Line();
    line.lead(url);
    line.server = net.createServer((socket) => line.#join(socket));
    await new Promise((listening) => line.server.listen(0, "127.0.0.1", listening));
    line.url = `http://127.0.0.1:${line.server.address().port}`;
    return line;
  }

  lead(url) {
    this.#target = new URL(url);
  }

  cut() {
    this.#target = null;
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(socket) {
    if (!this.#target) return void socket.destroy();
    const other = net.connect(Number(this.#target.port), this.#target.hostname);
    for (const [one, end] of [[socket, other], [other, socket]]) {
      this.#sockets.add(one);
      one.on("error", () => end.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        end.destroy();
      });
    }
    socket.pipe(other);
    other.pipe(socket);
  }

  close() {
    this.cut();
    this.server.close();
  }
}

const BROKEN = [/ERR_(CONNECTION|EMPTY|INCOMPLETE|NETWORK|SOCKET)/, /status 40[13]: .*\/web\/live/, /status of 40[13]/];

/// The test starts the broker again where it finds `restart` on the stage, and says where in `restarted`.
export async function restart({ browser, api }) {
  const line = await Line.to(api.url);
  const visitor = await browser.visitor();
  const page = await visitor.page(line.url);
  await login(page, api.key);
  await page.untilLive();
  page.expectNoFaults("before the line is cut");
  page.allow(...BROKEN);
  page.navigations = 0;

  line.cut();
  await page.untilLive("off");
  const missed = await api.receives("What was that?");
  line.lead(api.url);
  await page.untilLive();
  await page.untilHas(`[data-message="${missed}"]`);
  assert.equal(page.navigations, 0, "the page was loaded anew");

  line.cut();
  await page.untilLive("off");
  await api.place("restart");
  api.url = await until("the broker again", () => readFile(join(api.stage, "restarted"), "utf8").catch(() => ""));
  line.lead(api.url);
  // The session was of the broker before: whoever looks is asked for the key again.
  await until("the login, or the live page", async () => page.path().startsWith("/web/login") || (await page.has('body[data-live="on"]')));
  if (page.path().startsWith("/web/login")) await fillIn(page, api.key);
  await page.untilLive();
  assert.equal(page.path(), "/");
  await page.untilHas(`[data-message="${missed}"]`);
  const after = await api.receives("Are you back?");
  await page.untilHas(`[data-message="${after}"]`);
  page.expectNoFaults("after the restart");
  await visitor.close();
  line.close();
}

const MANY = 500;
const LOOKS = 5;
const SOON_MS = 2000;

/// With many messages on the page, the next one is still seen soon.
export async function many({ browser, api }) {
  await api.receives("Please wait-for-gate.", { context_id: "gate" });
  await api.untilTurn("coder", "running");
  const numbers = Array.from({ length: MANY }, (_, number) => number);
  while (numbers.length > 0) {
    await Promise.all(numbers.splice(0, 20).map((number) => api.receives(`Parcel ${number} has arrived.`, { context_id: "gate" })));
  }
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, api.key);
  for (const path of ["/", "/web/messages"]) {
    await page.goto(path);
    await page.untilLive();
    page.navigations = 0;
    const rows = await page.see(() => document.querySelectorAll("[data-message]").length);
    assert.ok(rows >= 10, `${path} shows ${rows} messages`);
    const times = [];
    for (let look = 0; look < LOOKS; look += 1) {
      const began = performance.now();
      const id = await api.receives(`One more, number ${look}.`, { context_id: "gate" });
      await page.untilHas(`[data-message="${id}"]`);
      times.push(Math.round(performance.now() - began));
    }
    const middle = times.toSorted((one, other) => one - other)[Math.floor(LOOKS / 2)];
    assert.ok(middle < SOON_MS, `${path}: a new message is seen after ${times} ms`);
    assert.equal(page.navigations, 0, "the page was loaded anew");
  }
  await onwards(page);
  page.expectNoFaults("many messages");
  await visitor.close();
}

/// Older messages are reached page by page.
async function onwards(page) {
  await page.goto("/web/messages");
  const seen = new Set();
  for (let number = 0; number < 60; number += 1) {
    const ids = await page.see(() => [...document.querySelectorAll("[data-message]")].map((row) => row.dataset.message));
    for (const id of ids) seen.add(id);
    if (seen.size >= MANY || !(await page.has('a[rel="next"]'))) break;
    await page.follow('a[rel="next"]');
  }
  assert.ok(seen.size >= MANY, `of ${MANY} messages ${seen.size} can be reached`);
}

/// A browser opens six connections to one place: pages that are left, or hidden behind others, must not hold them.
export async function tabs({ browser, api }) {
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, api.key);
  const paths = ["/web/messages", "/web/dead-letters", "/web/agents/coder", "/web/connect", "/web/messages", "/", "/web/dead-letters", "/web/agents/coder", "/web/messages"];
  for (const path of paths) {
    await page.goto(path);
    await page.untilLive();
  }
  await page.page.goBack({ waitUntil: "load" });
  await page.page.goBack({ waitUntil: "load" });
  assert.equal(page.path(), "/web/dead-letters");
  await page.untilLive();
  const id = await api.sends("Is this seen after going back?");
  await page.untilHas(`[data-dead-letter="${id}"]`);

  const pages = [page];
  for (let number = 0; number < 8; number += 1) {
    const one = await visitor.page(api.url);
    await one.goto("/");
    pages.push(one);
  }
  await pages.at(-1).untilLive();
  // One that was hidden is live again once it is looked at.
  await page.page.bringToFront();
  await page.untilLive();
  for (const one of pages) one.expectNoFaults("tabs");
  await visitor.close();
}
