// How it looks: nothing runs out of the window, texts can be read, buttons can be hit.

import assert from "node:assert/strict";
import { login } from "./visits.mjs";

const WINDOWS = [
  { width: 390, height: 844, phone: true },
  { width: 360, height: 740, phone: true },
  { width: 1280, height: 800, phone: false },
];
const LONG = "a-very-long-name-without-any-place-to-break-".repeat(8);

/// The least side of what a finger must hit, in CSS pixels.
const TARGET = 24;
const CONTRAST = 4.5;
const CONTRAST_OF_LARGE = 3;

export async function looks({ browser, api }) {
  const paths = await prepare(api);
  for (const window of WINDOWS) {
    const visitor = await browser.visitor();
    const page = await visitor.page(api.url, window);
    for (const scheme of ["light", "dark"]) {
      await page.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.goto("/web/login");
      const where = `${window.width}x${window.height} ${scheme}`;
      await check(page, window, `${where} /web/login`);
      if (scheme === "light") await login(page, api.key);
      for (const path of paths) {
        await page.goto(path);
        await page.untilLive();
        await check(page, window, `${where} ${path}`);
      }
    }
    await bothSchemesDiffer(page);
    page.expectNoFaults(`${window.width}`);
    await visitor.close();
  }
}

async function prepare(api) {
  const dead = await api.sends(LONG, { context_id: LONG });
  await api.untilMessage(dead, "dead");
  const long = await api.receives(`${LONG} ${"Which berth is free? ".repeat(60)}`, { context_id: LONG, type: LONG.slice(0, 200) });
  await api.untilMessage(long, "done", "answered");
  await api.receives("Please complain-of-it.");
  await api.receives("Please wait-for-gate.", { context_id: "harbour/gate" });
  const turn = (await api.untilTurn("coder", "running")).id;
  const ended = (await api.turns("coder")).find((one) => one.state !== "running");
  return ["/", "/web/messages", `/web/messages/${dead}`, `/web/messages/${long}`, "/web/agents/coder", `/web/turns/${turn}`, `/web/turns/${ended.id}`, "/web/dead-letters", "/web/connect"];
}

async function check(page, window, where) {
  const { width, over, faint, small } = await page.see(measure, { target: TARGET, contrast: CONTRAST, large: CONTRAST_OF_LARGE });
  assert.ok(width <= window.width, `${where}: the page is ${width} wide; beyond the window: ${JSON.stringify(over)}`);
  assert.deepEqual(faint, [], `${where}: texts that are hard to read`);
  if (window.phone) assert.deepEqual(small, [], `${where}: targets that are hard to hit`);
}

async function bothSchemesDiffer(page) {
  const background = () => getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor;
  const seen = [];
  for (const value of ["light", "dark"]) {
    await page.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
    seen.push(await page.see(background));
  }
  assert.notEqual(seen[0], seen[1], "light and dark look the same");
}

// Runs in the page: it may use nothing of this file.
function measure(limits) {
  const name = (element) => `${element.tagName.toLowerCase()}${element.className?.baseVal === undefined && element.className ? `.${element.className}` : ""} ${(element.textContent ?? "").trim().slice(0, 40)}`;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  // Whatever notation the style uses: as red, green, blue and opacity.
  const read = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const over = (top, below) => top.rgb.map((part, index) => part * top.alpha + below[index] * (1 - top.alpha));
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark");
  const behind = (element) => {
    const layers = [];
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) {
      layers.push(read(getComputedStyle(one).backgroundColor));
      opacity *= Number(getComputedStyle(one).opacity);
    }
    const ground = layers.reverse().reduce((below, layer) => over(layer, below), isDark ? [18, 18, 18] : [255, 255, 255]);
    return { ground, opacity };
  };
  const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length > 0;
  const ownText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());

  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!ownText(element) || !isSeen(element) || ["SCRIPT", "STYLE", "TITLE", "OPTION"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = read(element instanceof SVGElement ? style.fill : style.color);
    const { ground, opacity } = behind(element);
    const seen = ratio(over({ ...ink, alpha: ink.alpha * opacity }, ground), ground);
    const size = Number.parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (element.matches("button:disabled, button:disabled *")) continue;
    if (seen < (isLarge ? limits.large : limits.contrast)) faint.push(`${name(element)}: ${seen.toFixed(2)} (${style.color} on ${ground.map(Math.round)})`);
  }

  const small = [];
  for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")) {
    if (!isSeen(element)) continue;
    // A link within a sentence is as high as its line.
    if (element.tagName === "A" && getComputedStyle(element).display === "inline" && element.parentElement.textContent.trim() !== element.textContent.trim()) continue;
    const { width, height } = element.getBoundingClientRect();
    if (width < limits.target || height < limits.target) small.push(`${name(element)}: ${width.toFixed(0)}x${height.toFixed(0)}`);
  }

  const width = Math.max(document.documentElement.scrollWidth, window.innerWidth);
  const clipped = (element) => {
    for (let one = element.parentElement; one; one = one.parentElement) if (getComputedStyle(one).overflowX !== "visible") return true;
    return false;
  };
  const beyond = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !clipped(one));
  return { width, over: beyond.slice(0, 5).map(name), faint: faint.slice(0, 10), small: small.slice(0, 10) };
}
