// What most visits begin with, and what must hold on every page.

import assert from "node:assert/strict";

export const COOKIE = "postroom_session";

/// Logs in and ends at `path`.
export async function login(page, key, path = "/") {
  await page.goto(path);
  await fillIn(page, key);
  assert.equal(page.path(), path, "the login leads elsewhere");
}

/// A live page in a window of its own: of several in one window only one is seen, and need be live.
export async function livePage({ browser, api }, path) {
  const visitor = await browser.visitor();
  const page = await visitor.page(api.url);
  await login(page, api.key, path);
  await page.untilLive();
  page.navigations = 0;
  return page;
}

/// Fills in the login form, which must be there.
export async function fillIn(page, key) {
  assert.ok(page.path().startsWith("/web/login"), `no login asked for at ${page.path()}`);
  await page.page.type("form#login input[name=key]", key);
  await page.follow("form#login button");
}

/// Every page of the dashboard that can be reached by links, from `/` on.
export async function crawl(page, visit, limit = 150) {
  const found = ["/"];
  for (let number = 0; number < found.length && number < limit; number += 1) {
    await page.goto(found[number]);
    await visit(found[number]);
    const links = await page.see(() => [...document.querySelectorAll("a[href]")].map((link) => link.href));
    for (const link of links) {
      const url = new URL(link);
      const path = url.pathname + url.search;
      if (url.origin === page.origin && /^\/(web([/?]|$)|$)/.test(path) && !found.includes(path)) found.push(path);
    }
  }
  return found;
}

/// The overview's parts, and those that have a page of their own.
export const SECTIONS = ["service", "actors", "agents", "messages", "dead-letters", "throughput", "latency"];
