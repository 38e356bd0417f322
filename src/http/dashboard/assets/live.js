// Keeps a page up to date. Without it every page and every form works as well.
"use strict";

(() => {
  const page = document.body.dataset.page;
  const liveness = document.querySelector(".live");
  const title = document.title;

  // Spans of time, as the server words them.
  const span = (seconds) => {
    if (seconds < 1) return "now";
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };

  const words = {
    ago: (passed) => (passed < 1 ? "now" : `${span(passed)} ago`),
    since: (passed) => span(passed),
    until: (passed) => (passed > -1 ? "now" : `in ${span(-passed)}`),
  };

  const setClock = (clock) => {
    const passed = (Date.now() - Date.parse(clock.dateTime)) / 1000;
    const text = words[clock.dataset.clock]?.(passed);
    if (text && clock.textContent !== text) clock.textContent = text;
  };

  const setClocks = () => document.querySelectorAll("time[data-clock]").forEach(setClock);

  // What makes two elements the same thing, wherever they stand among their siblings.
  const KEYS = ["id", "data-message", "data-agent", "data-turn", "data-dead-letter", "data-actor", "data-key", "action"];
  const keyOf = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return null;
    const name = KEYS.find((key) => node.hasAttribute(key));
    return name ? `${node.localName} ${name} ${node.getAttribute(name)}` : null;
  };

  const isSame = (one, other) =>
    one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

  // Makes `old` like `fresh` and keeps whatever is the same: focus, selection, scroll, open details.
  const morph = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    morphChildren(old, fresh);
  };

  const morphChildren = (old, fresh) => {
    const keyed = new Map();
    for (const child of old.childNodes) {
      const key = keyOf(child);
      if (key) keyed.set(key, child);
    }
    let place = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const key = keyOf(wanted);
      let match = key ? keyed.get(key) : null;
      if (!key && place && isSame(place, wanted)) match = place;
      if (!match) {
        old.insertBefore(wanted, place);
        continue;
      }
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      morph(match, wanted);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };

  const show = ({ name, revision, html }) => {
    const old = document.querySelector(`section[data-section="${CSS.escape(name)}"]`);
    if (!old || old.dataset.revision === revision) return;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    const fresh = parsed.querySelector("section");
    if (!fresh) return;
    morph(old, document.importNode(fresh, true));
    setClocks();
    setTitle();
  };

  const setTitle = () => {
    const state = document.querySelector('section[data-section="service"]')?.dataset.state;
    document.title = state && state !== "ok" ? `(!) ${title}` : title;
  };

  let source = null;
  let again = null;
  let pause = 1000;

  const tell = (isLive, text) => {
    document.body.dataset.live = isLive ? "on" : "off";
    if (liveness && liveness.textContent !== text) liveness.textContent = text;
  };

  const close = () => {
    clearTimeout(again);
    source?.close();
    source = null;
  };

  // Whoever has to log in again is sent there by loading the page anew.
  const findOut = async () => {
    try {
      const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" || answer.status === 404) location.reload();
    } catch {
      // It is away: the next try will tell.
    }
  };

  const open = () => {
    close();
    source = new EventSource(`/web/live?page=${encodeURIComponent(page)}`);
    source.addEventListener("section", (event) => {
      pause = 1000;
      tell(true, "live");
      show(JSON.parse(event.data));
    });
    source.addEventListener("ended", () => location.reload());
    source.addEventListener("error", () => {
      close();
      tell(false, "not live, trying again");
      again = setTimeout(open, pause);
      if (pause >= 2000) findOut();
      pause = Math.min(pause * 2, 15000);
    });
  };

  // A page that nobody sees costs nobody anything.
  const follow = () => {
    if (document.hidden) {
      close();
      tell(false, "paused");
    } else {
      open();
    }
  };

  const addCopyButtons = () => {
    if (!navigator.clipboard) return;
    for (const snippet of document.querySelectorAll(".snippet")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(snippet.querySelector("pre").textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      snippet.append(button);
    }
  };

  addCopyButtons();
  if (!page) return;
  setClocks();
  setInterval(setClocks, 1000);
  setTitle();
  tell(false, "connecting");
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  follow();
})();
