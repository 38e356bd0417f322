// The broker as programs see it: what the dashboard shows is compared with what the API says.

import assert from "node:assert/strict";
import { writeFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { until } from "./browser.mjs";

export class Api {
  /// `stage` is the folder through which scripted agents and peers are told what to do.
  constructor({ url, key, secret, agentKey, stage }) {
    Object.assign(this, { url, key, secret, agentKey, stage });
  }

  async ask(method, path, body, headers = {}) {
    const given = body === undefined ? {} : { "content-type": "application/json" };
    const credential = this.key ? { authorization: `Bearer ${this.key}` } : {};
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...given, ...credential, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: "manual",
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text };
  }

  async get(path) {
    const answer = await this.ask("GET", path);
    assert.equal(answer.status, 200, `${path}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text);
  }

  async must(method, path, body, headers) {
    const answer = await this.ask(method, path, body, headers);
    assert.ok(answer.status >= 200 && answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.text ? JSON.parse(answer.text) : {};
  }

  /// A peer writes to an agent; the id of its message.
  async receives(text, fields = {}, headers = {}) {
    const body = { type: "TASK", payload: { text }, ...fields };
    const answer = await this.must("POST", "/message", body, { authorization: "", "x-shared-secret": this.secret, ...headers });
    return answer.id;
  }

  /// An agent writes to somebody; the id of its message.
  async sends(text, fields = {}, headers = {}) {
    const body = { type: "STATUS", payload: { text }, to: "office", ...fields };
    const answer = await this.must("POST", "/send", body, { authorization: `Bearer ${this.agentKey}`, ...headers });
    return answer.id;
  }

  async message(id) {
    return this.get(`/messages/${id}`);
  }

  async untilMessage(id, ...states) {
    let last;
    return until(`message ${id} ${states.join(" or ")}`, async () => {
      last = await this.message(id);
      return states.includes(last.state) && last;
    }).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  }

  async turns(agent) {
    return (await this.get(`/agents/${agent}/turns?limit=50`)).turns;
  }

  async untilTurn(agent, state) {
    return until(`a turn of ${agent} ${state}`, async () => (await this.turns(agent)).find((turn) => turn.state === state));
  }

  async deadLetters() {
    return (await this.get("/dead-letters")).dead_letters;
  }

  /// Makes a file on the stage, whole or not at all.
  async place(name, text = "") {
    const path = join(this.stage, name);
    await writeFile(`${path}.part`, text);
    await rename(`${path}.part`, path);
  }
}
