// Logging in and out, and what a session opens.

import assert from "node:assert/strict";
import { COOKIE, fillIn, login } from "./visits.mjs";

const REFUSED = /status 40[13]: |status of 40[13]/;

async function sessionCookie(page) {
  const { cookies } = await page.session.send("Network.getCookies", { urls: [`${page.origin}/`] });
  return cookies.find((cookie) => cookie.name === COOKIE && cookie.value);
}

export async function sessions(scene) {
  const { browser, api } = scene;
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await wrongThenRight(page, api);
  await whatItOpens(page);
  await logout(visitor, page, api);
  await leadsNowhereElse(browser, api);
  await revoked(browser, api);
  page.expectNoFaults("login");
  await visitor.close();
}

async function wrongThenRight(page, api) {
  for (const path of ["/", "/web", "/web/messages", "/web/agents/coder", "/web/dead-letters", "/web/connect"]) {
    await page.goto(path);
    assert.ok(page.path().startsWith(`/web/login?next=`), `${path} is open: ${page.path()}`);
    assert.ok(!(await page.has("[data-agent]")), `${path} tells something before the login`);
  }
  page.expectNoFaults("before the login");
  page.allow(REFUSED);
  for (const wrong of ["not-the-key", `${api.key} x`, "' or '1'='1"]) {
    await fillIn(page, wrong);
    assert.ok(page.path().startsWith("/web/login"), `\`${wrong}\` opens ${page.path()}`);
    assert.ok(await page.has("form#login"), "there is no second try");
    assert.equal(await sessionCookie(page), undefined, "a wrong key makes a session");
    assert.equal(await page.see(() => document.querySelector("form#login input[name=key]").value), "", "the wrong key is shown");
  }
  await login(page, api.key, "/web/connect");
  assert.equal(await page.see(() => location.search + location.hash), "");
}

async function whatItOpens(page) {
  const cookie = await sessionCookie(page);
  assert.ok(cookie, "no session cookie");
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Strict");
  assert.equal(cookie.path, "/");
  assert.ok(cookie.value.length >= 32, "the session can be guessed");
  assert.equal(await page.see(() => document.cookie), "");
  assert.deepEqual(await page.see(() => [localStorage.length, sessionStorage.length]), [0, 0]);
  for (const path of ["/agents", "/messages", "/metrics", "/keys", "/v1/models"]) {
    assert.equal(await page.see(async (path) => (await fetch(path)).status, path), 401, `the session opens ${path}`);
  }
}

async function logout(visitor, page, api) {
  await page.goto("/");
  await page.untilLive();
  const cookie = await sessionCookie(page);
  const other = await visitor.page(api.url);
  await other.goto("/web/messages");
  await other.untilLive();
  await page.follow("[data-action=logout]");
  assert.ok(page.path().startsWith("/web/login"), `logout leads to ${page.path()}`);
  assert.equal(await sessionCookie(page), undefined, "the cookie is still there");
  await expectDead(page, api, cookie);
  await other.close();
}

/// The cookie, put back, opens nothing.
async function expectDead(page, api, cookie) {
  const { name, value } = cookie;
  const answer = await fetch(`${api.url}/web/messages`, { headers: { cookie: `${name}=${value}` }, redirect: "manual" });
  assert.equal(answer.status, 303, "the session still lives");
  const act = await fetch(`${api.url}/web/agents/coder/stop`, { method: "POST", headers: { cookie: `${name}=${value}` }, redirect: "manual" });
  assert.equal(act.status, 403, "the session still acts");
}

const ELSEWHERE = [
  "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example/", "javascript:window.pwned=1", "/\t/evil.example/", "/web/..//evil.example/",
  "/web\r\nLocation: https://evil.example/", "data:text/html,<script>window.pwned=1</script>", "http:evil.example", "/@evil.example", "/.//evil.example/", "/%2f/evil.example",
];

/// Whatever `next` says, a login ends here.
async function leadsNowhereElse(browser, api) {
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  page.allow(/status 404: |status of 404/);
  for (const next of ELSEWHERE) {
    // Away from the page of the last try, which would find its session gone.
    await page.page.goto("about:blank");
    await page.session.send("Network.clearBrowserCookies");
    await page.goto(`/web/login?next=${encodeURIComponent(next)}`);
    await fillIn(page, api.key);
    const { origin, pwned } = await page.see(() => ({ origin: location.origin, pwned: window.pwned }));
    assert.equal(origin, page.origin, `\`${next}\` leads away`);
    assert.equal(pwned, undefined, `\`${next}\` runs`);
  }
  page.expectNoFaults("logins that should lead elsewhere");
  await visitor.close();
}

/// A key that is revoked ends the sessions that it opened, also on a page that is open.
async function revoked(browser, api) {
  const made = await api.must("POST", "/keys", { name: "night-watch", role: "operator" });
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, made.key);
  await page.untilLive();
  const cookie = await sessionCookie(page);
  page.expectNoFaults("a key that holds");
  page.allow(REFUSED);
  await api.must("DELETE", "/keys/night-watch");
  await expectDead(page, api, cookie);
  await page.goto("/web/messages");
  assert.ok(page.path().startsWith("/web/login"), "a revoked key still opens pages");
  const client = await api.must("POST", "/keys", { name: "only-chats", role: "client" });
  await fillIn(page, client.key);
  assert.ok(page.path().startsWith("/web/login"), "a key that is no operator's opens the dashboard");
  page.expectNoFaults("a revoked key");
  await visitor.close();
}

/// By TLS the cookie is never sent without it, and has a name that no other host can set.
export async function tls({ browser, api }) {
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, api.key, "/web/messages");
  await page.untilLive();
  const { cookies } = await page.session.send("Network.getCookies", { urls: [`${page.origin}/`] });
  const [cookie, ...more] = cookies;
  assert.deepEqual(more, []);
  assert.equal(cookie.name, `__Host-${COOKIE}`);
  assert.deepEqual([cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path], [true, true, "Strict", "/"]);
  await page.follow("[data-action=logout]");
  await page.goto("/");
  assert.ok(page.path().startsWith("/web/login"), "the session still lives");
  page.expectNoFaults("by TLS");
  await visitor.close();
}
