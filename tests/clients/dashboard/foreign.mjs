// Pages of others: they change nothing, frame nothing and read nothing.

import assert from "node:assert/strict";
import http from "node:http";
import { login } from "./visits.mjs";
import { until } from "./browser.mjs";

/// So that a browser takes `evil.example` for a site of this machine.
export const FLAGS = ["--host-resolver-rules=MAP evil.example 127.0.0.1"];

const TOKENS = ["none", "empty", "guessed"];

export async function foreign({ browser, api }) {
  // Sent from within a turn: without keys nobody else speaks for an agent.
  await api.place("send", JSON.stringify({ type: "STATUS", to: "office", payload: { text: "Berth 4 is free." } }));
  await api.untilMessage(await api.receives("Please send-it."), "answered");
  const { id } = await until("a dead letter", async () => (await api.deadLetters())[0]);
  await api.receives("Please wait-for-gate.");
  const turn = (await api.untilTurn("coder", "running")).id;
  const actions = [`dead-letters/${id}/retry`, `dead-letters/${id}/drop`, `turns/${turn}/cancel`, "agents/coder/stop", "agents/coder/resume", "agents/coder/start", "logout"];
  await api.place("peer-takes");

  const evil = await Evil.start(api.url, actions);
  // The same host at another port is another origin of the same site: its requests carry the cookie.
  for (const host of ["127.0.0.1", "evil.example"]) {
    const visitor = await browser.visitor();
    const ours = await visitor.page(api.url);
    if (api.key) await login(ours, api.key);
    else await ours.goto("/");
    await ours.untilLive();
    // It may complain as it likes: its requests are meant to fail.
    const page = await visitor.page(evil.at(host));
    await attacks(page, evil.at(host), actions, api);
    await expectUnchanged(api, { id, turn });
    await ours.goto("/");
    assert.equal(ours.path(), "/", "the session has ended");
    ours.expectNoFaults("while others attack");
    await visitor.close();
  }
  evil.close();
}

async function attacks(page, evil, actions, api) {
  for (const [number, action] of actions.entries()) {
    await page.page.goto(`${evil}/form?action=${number}&token=${TOKENS[number % TOKENS.length]}`);
    const submit = () => void setTimeout(() => document.forms[0].submit());
    const [answer] = await Promise.all([page.page.waitForNavigation({ waitUntil: "load" }), page.see(submit)]);
    assert.equal(answer.url(), `${api.url}/web/${action}`, `a form of ${evil} is obeyed: ${action}`);
    const status = answer.status();
    assert.ok(status === 403 || status === 400, `a form of ${evil} without the token: ${action} answers ${status}`);
    await page.page.goto(`${evil}/fetch?action=${number}`);
    await until(`the end of fetches of ${action}`, () => page.see(() => document.body.dataset.done));
  }
  await page.page.goto(`${evil}/read`);
  await until("the end of reading", () => page.see(() => document.body.dataset.done));
  const read = await page.see(() => JSON.parse(document.body.dataset.done));
  // Without any key, pages of this machine may ask the API too; what they must not get is a page with a session in it.
  for (const { how, text } of read) assert.ok(!text.includes("data-agent") || (!api.key && evil.includes("127.0.0.1")), `${evil} reads the dashboard by ${how}`);
  await page.page.goto(`${evil}/frame`, { waitUntil: "load" });
  for (const frame of page.page.frames().slice(1)) {
    const inside = await textOf(frame);
    assert.ok(!inside.includes("coder") && !inside.includes("Postroom"), `the dashboard is framed by ${evil}: ${inside}`);
    assert.ok(!frame.url().startsWith(api.url), `the dashboard is framed by ${evil}: ${frame.url()}`);
  }
  assert.ok(page.page.frames().length > 1, "no frame was tried");
  assert.equal(page.dialogs, 0);
}

// A frame that is refused may be replaced by an error page just now; then asking it throws at once.
async function textOf(frame) {
  try {
    return await frame.evaluate(() => document.body?.innerText ?? "");
  } catch {
    return "";
  }
}

async function expectUnchanged(api, { id, turn }) {
  assert.equal((await api.message(id)).state, "dead");
  assert.deepEqual((await api.deadLetters()).map((letter) => letter.id), [id]);
  assert.equal((await api.get(`/turns/${turn}`)).state, "running");
  assert.equal((await api.get("/agents/coder")).state, "running");
}

/// A web server of somebody else.
class Evil {
  static async start(target, actions) {
    const evil = new Evil();
    evil.server = http.createServer((request, response) => {
      const url = new URL(request.url, "http://evil.example");
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(evil.page(url, target, actions));
    });
    await new Promise((listening) => evil.server.listen(0, "127.0.0.1", listening));
    return evil;
  }

  at(host) {
    return `http://${host}:${this.server.address().port}`;
  }

  page(url, target, actions) {
    const action = `${target}/web/${actions[Number(url.searchParams.get("action"))]}`;
    const icon = '<!doctype html><link rel="icon" href="data:,"><body>';
    if (url.pathname === "/form") {
      const tokens = { none: "", empty: '<input name="csrf" value="">', guessed: '<input name="csrf" value="0123456789abcdef0123456789abcdef">' };
      return `${icon}<form method="post" action="${action}">${tokens[url.searchParams.get("token")]}</form>`;
    }
    if (url.pathname === "/fetch") {
      return `${icon}<script>
        const body = () => new URLSearchParams({ csrf: "guess" });
        const tries = [["no-cors", "include"], ["no-cors", "omit"], ["cors", "include"], ["cors", "omit"]].map(([mode, credentials]) =>
          fetch(${JSON.stringify(action)}, { method: "POST", mode, credentials, body: body() }).catch(() => {}));
        const json = fetch(${JSON.stringify(action)}, { method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body: "{}" }).catch(() => {});
        const beacon = navigator.sendBeacon(${JSON.stringify(action)}, body());
        Promise.all([...tries, json]).then(() => { document.body.dataset.done = "yes"; });
      </script>`;
    }
    if (url.pathname === "/read") {
      return `${icon}<script>
        const tries = ["include", "omit"].flatMap((credentials) => ["/", "/web/messages", "/web/live?page=/"].map(async (path) => {
          const stop = AbortSignal.timeout(3000);
          const answer = await fetch(${JSON.stringify(target)} + path, { credentials, signal: stop });
          const reader = answer.body.getReader();
          const { value } = await reader.read();
          await reader.cancel();
          return { how: credentials + " " + path, text: new TextDecoder().decode(value) };
        }).map((one) => one.catch((error) => ({ how: String(error), text: "" }))));
        Promise.all(tries).then((read) => { document.body.dataset.done = JSON.stringify(read); });
      </script>`;
    }
    return `${icon}<iframe src="${target}/"></iframe><iframe src="${target}/web/login"></iframe><iframe src="${target}/web/dead-letters" sandbox></iframe><object data="${target}/web"></object>`;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
