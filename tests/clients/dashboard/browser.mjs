// A real Chromium, and pages whose every complaint is noted.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/// How long a condition may take, in milliseconds: far more than it needs, for machines that are busy.
export const DEADLINE_MS = 30_000;
const POLL_MS = 20;

/// Waits until `look` gives something true, and returns it. A failure says what was seen last.
export async function until(what, look, within = DEADLINE_MS) {
  const deadline = performance.now() + within;
  let last;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen;
      last = seen;
    } catch (error) {
      if (!isOnItsWay(error)) throw error;
      last = error.message;
    }
    assert.ok(performance.now() < deadline, `never saw ${what} within ${within} ms; last: ${String(last)}`);
    await new Promise((resume) => setTimeout(resume, POLL_MS));
  }
}

// A look at a page that is just being replaced by the next one.
function isOnItsWay(error) {
  return /context was destroyed|detached|Cannot find context|Inspected target navigated/.test(error?.message ?? "");
}

/// Starts Chromium. It ends with this process, since it is spoken to through a pipe.
export async function startBrowser(tools, moreFlags = []) {
  const fromTools = createRequire(pathToFileURL(join(resolve(tools), "browser", "package.json")));
  const { default: puppeteer } = await import(pathToFileURL(fromTools.resolve("puppeteer-core")).href);
  const program = process.env.CHROMIUM;
  const browser = await puppeteer.launch({
    executablePath: program || (await onPath("chromium")),
    headless: true,
    pipe: true,
    acceptInsecureCerts: true,
    protocolTimeout: 120_000,
    timeout: 90_000,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--no-first-run",
      "--force-color-profile=srgb",
      "--font-render-hinting=none",
      "--hide-scrollbars",
      ...moreFlags,
    ],
  });
  return new Browser(browser);
}

async function onPath(name) {
  const { access, constants } = await import("node:fs/promises");
  for (const folder of (process.env.PATH ?? "").split(":").filter(Boolean)) {
    const file = join(folder, name);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // The next folder may have it.
    }
  }
  throw new Error(`\`${name}\` is not on PATH; run tests/run, which installs it, or set CHROMIUM`);
}

class Browser {
  #browser;

  constructor(browser) {
    this.#browser = browser;
  }

  /// A visitor who shares no cookies with another.
  async visitor() {
    return new Visitor(await this.#browser.createBrowserContext());
  }

  async close() {
    await this.#browser.close();
  }
}

class Visitor {
  #context;

  constructor(context) {
    this.#context = context;
  }

  /// A page of this visitor that belongs to `origin`: what goes wrong with it is a fault.
  async page(origin, { javascript = true, width = 1280, height = 800, phone = false } = {}) {
    const page = await this.#context.newPage();
    await page.setViewport({ width, height, isMobile: phone, hasTouch: phone, deviceScaleFactor: 1 });
    if (!javascript) await page.setJavaScriptEnabled(false);
    const watched = new WatchedPage(page, origin);
    await watched.watch();
    return watched;
  }

  async cookies() {
    return this.#context.cookies();
  }

  async close() {
    await this.#context.close();
  }
}

export class WatchedPage {
  #faults = [];
  #allowed = [];

  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
    this.navigations = 0;
    this.dialogs = 0;
  }

  async watch() {
    const { page } = this;
    page.on("console", (message) => {
      if (["error", "warn"].includes(message.type())) this.#note(`console: ${message.text()} ${message.location()?.url ?? ""}`);
    });
    page.on("pageerror", (error) => this.#note(`page error: ${error?.stack ?? error}`));
    page.on("requestfailed", (request) => this.#noteFailed(request));
    page.on("response", (response) => {
      if (this.#isOurs(response.url()) && response.status() >= 400) this.#note(`status ${response.status()}: ${response.url()}`);
    });
    page.on("dialog", (dialog) => {
      this.dialogs += 1;
      this.#note(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("framenavigated", (frame) => {
      if (frame === page.mainFrame()) this.navigations += 1;
    });
    const session = await page.createCDPSession();
    session.on("Log.entryAdded", ({ entry }) => {
      // What failed to load is noted with its status; here it would be noted twice.
      if (entry.level === "error" && entry.source !== "network") this.#note(`log: ${entry.source}: ${entry.text}`);
    });
    await session.send("Log.enable");
    this.session = session;
  }

  #isOurs(url) {
    return url.startsWith(`${this.origin}/`);
  }

  #noteFailed(request) {
    const why = request.failure()?.errorText ?? "";
    // A page that is left behind leaves its stream, and what it was still loading.
    if (why === "net::ERR_ABORTED" || !this.#isOurs(request.url())) return;
    this.#note(`failed: ${why}: ${request.url()}`);
  }

  #note(fault) {
    this.#faults.push(fault);
  }

  /// From now on what matches is no fault.
  allow(...patterns) {
    this.#allowed.push(...patterns);
  }

  /// Fails where anything went wrong that was not allowed.
  expectNoFaults(where = "") {
    const faults = this.#faults.filter((fault) => !this.#allowed.some((pattern) => pattern.test(fault)));
    assert.deepEqual(faults, [], `${where} the page complains`);
  }

  faults() {
    return [...this.#faults];
  }

  async goto(path) {
    return this.page.goto(new URL(path, `${this.origin}/`).href, { waitUntil: "load" });
  }

  path() {
    const url = new URL(this.page.url());
    return url.pathname + url.search;
  }

  /// Looks at the document: `look` runs in the page.
  async see(look, ...given) {
    return this.page.evaluate(look, ...given);
  }

  async until(what, look, ...given) {
    return until(what, () => this.page.evaluate(look, ...given));
  }

  async has(selector) {
    return (await this.page.$(selector)) !== null;
  }

  async untilHas(selector, within = DEADLINE_MS) {
    await until(`\`${selector}\` in ${this.page.url()}`, () => this.has(selector), within);
  }

  async untilGone(selector) {
    await until(`the end of \`${selector}\` in ${this.page.url()}`, async () => !(await this.has(selector)));
  }

  async untilLive(state = "on") {
    await this.untilHas(`body[data-live="${state}"]`);
  }

  async text(selector = "body") {
    return this.page.$eval(selector, (element) => element.innerText ?? element.textContent);
  }

  async untilText(words, selector = "body") {
    await until(`${JSON.stringify(words)} in ${this.page.url()}`, async () => (await this.text(selector)).includes(words));
  }

  /// Clicks as a user does, and waits for the page that comes of it.
  async follow(selector) {
    await Promise.all([this.page.waitForNavigation({ waitUntil: "load", timeout: DEADLINE_MS }), this.click(selector)]);
  }

  /// Clicks as soon as a pointer would hit it. In one step, since a live page may put another element in its place.
  async click(selector) {
    await this.until(`something to click at \`${selector}\` in ${this.page.url()}`, (selector) => {
      const element = document.querySelector(selector);
      if (!element || element.disabled) return false;
      element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      const { left, top, width, height } = element.getBoundingClientRect();
      const hit = document.elementFromPoint(left + width / 2, top + height / 2);
      if (!hit || !(element.contains(hit) || hit.contains(element))) return false;
      element.click();
      return true;
    }, selector);
  }

  async close() {
    await this.page.close();
  }
}
