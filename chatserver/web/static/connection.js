// The socket's life: open, greet, keep alive, notice its end, come back.

import * as protocol from "./protocol.js";
import { Refused } from "./protocol.js";
import { Requests } from "./requests.js";

const OPEN_TIMEOUT = 15_000;
const REPLY_TIMEOUT = 15_000;
const PROBE_TIMEOUT = 10_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
// A connection that lived this long was a good one: the next back-off starts from the beginning.
const STEADY_AFTER = 10_000;

/**
 * One conversation with the server over as many sockets as it takes.
 *
 * The listener is told `state({name, text?, until?})` with the names connecting, online, waiting
 * (`until` in ms of Date.now) and stopped; `greeting()` returns the fields of hello, and
 * `greetingRefused(error)` hears of their refusal; `welcomed(welcome)` may throw Refused, then the
 * connection starts again; `event(frame)` hears what answers no request.
 */
export class Connection {
  #url;
  #path;
  #token;
  #listener;
  #socket = null;
  #requests = new Requests();
  #limit = Infinity;
  #attempt = 0;
  #since = null; // ms of performance.now at the welcome
  #returnAt = null; // ms of Date.now, when the server has named a time
  #timers = new Map();
  #waiting = false;

  constructor({ path, page, token, listener }) {
    this.#path = path;
    this.#url = protocol.socketUrl(path, page);
    this.#token = token;
    this.#listener = listener;
  }

  /** Connect at once, also out of a wait or a stop. */
  open() {
    this.#drop();
    this.#returnAt = null;
    this.#listener.state({ name: "connecting" });
    const socket = new WebSocket(this.#url, protocol.offers(this.#token));
    let opened = false;
    this.#socket = socket;
    this.#after("open", OPEN_TIMEOUT, () => this.restart("The server does not answer."));
    socket.onopen = () => {
      opened = true;
      this.#clear("open");
      this.#greet(socket);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => (opened ? this.#closed(code, reason) : this.#refused());
  }

  /** Connect now if we are only waiting for the time to do so. */
  hurry() {
    if (this.#waiting) this.open();
  }

  /** Give this socket up and come back, after `wait` ms or the back-off. */
  restart(text, wait = null) {
    this.#drop();
    const planned = this.#returnAt === null ? null : Math.max(0, this.#returnAt - Date.now());
    const delay = wait ?? planned ?? protocol.backoff(this.#attempt);
    this.#attempt += 1;
    this.#waiting = true;
    this.#after("return", delay, () => this.open());
    this.#listener.state({ name: "waiting", text, until: Date.now() + delay });
  }

  /** Send an action and return its reply; rejects with Refused (codes lost and timeout are ours). */
  async request(action, fields = {}, timeout = REPLY_TIMEOUT) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      throw new Refused("lost", "There is no connection.");
    }
    const { id, reply } = this.#requests.open(timeout);
    const frame = JSON.stringify({ action, id, ...fields });
    if (new TextEncoder().encode(frame).length > this.#limit) {
      const message = "This is too long for the server. Make it shorter.";
      this.#requests.settle({ action: "error", id, code: "too_large", message });
    } else {
      this.#socket.send(frame);
    }
    return reply;
  }

  async #greet(socket) {
    try {
      const welcome = await this.#hello();
      this.#limit = welcome.limits?.max_message_size ?? Infinity;
      await this.#listener.welcomed(welcome);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (socket === this.#socket) this.restart(error.message, seconds(error.retryAfter));
      return;
    }
    if (socket !== this.#socket) return;
    this.#since = performance.now();
    this.#listener.state({ name: "online" });
    this.#schedulePing(socket);
  }

  async #hello() {
    try {
      return await this.request("hello", this.#listener.greeting());
    } catch (error) {
      if (error instanceof Refused && !error.transient) this.#listener.greetingRefused(error);
      throw error;
    }
  }

  #schedulePing(socket) {
    this.#after("ping", PING_EVERY, async () => {
      try {
        await this.request("ping", { timestamp: Date.now() }, PONG_WITHIN);
      } catch (error) {
        if (socket !== this.#socket) return;
        if (error.code === "timeout") {
          this.restart("The server does not answer.");
          return;
        }
        // An error reply is an answer, too: the server is alive.
      }
      if (socket === this.#socket) this.#schedulePing(socket);
    });
  }

  #receive(data) {
    const frame = protocol.parseFrame(data);
    if (!frame || this.#requests.settle(frame)) return;
    if (frame.action === "reconnect") {
      this.#leaveSoon(frame);
    } else {
      this.#listener.event(frame);
    }
  }

  // The close that follows may get lost, so the time to come back counts from here.
  #leaveSoon({ after_ms: after, reason }) {
    const wait = Number.isFinite(after) && after >= 0 ? after : protocol.backoff(0);
    this.#returnAt = Date.now() + wait;
    const why = reason ? ` (${reason})` : "";
    this.#after("leave", wait, () => this.restart(`The server asked us to connect again${why}.`));
  }

  #closed(code, reason) {
    const text = protocol.explainClose(code, reason);
    if (protocol.mayReconnect(code)) this.restart(text);
    else this.#stop(text);
  }

  // A browser does not say why an upgrade failed; the same path, asked plainly, does.
  async #refused() {
    const socket = this.#socket;
    this.#clear("open");
    let verdict = { stop: false, wait: null, text: null };
    try {
      const response = await fetch(this.#path, {
        cache: "no-store",
        headers: this.#token ? { Authorization: `Bearer ${this.#token}` } : {},
        signal: AbortSignal.timeout(PROBE_TIMEOUT),
      });
      const header = response.headers.get("Retry-After");
      const plain = response.headers.get("Content-Type")?.startsWith("text/plain");
      const body = plain ? await response.text() : "";
      verdict = protocol.judgeRefusal(response.status, header, body, Date.now());
    } catch {
      verdict.text = "The server cannot be reached.";
    }
    if (socket !== this.#socket) return;
    if (verdict.stop) this.#stop(verdict.text);
    else this.restart(verdict.text ?? "The connection could not be made.", verdict.wait);
  }

  #stop(text) {
    this.#drop();
    this.#attempt = 0;
    this.#listener.state({ name: "stopped", text });
  }

  #drop() {
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    this.#waiting = false;
    if (this.#since !== null && performance.now() - this.#since > STEADY_AFTER) this.#attempt = 0;
    this.#since = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#requests.abandon();
  }

  #after(name, delay, call) {
    this.#clear(name);
    this.#timers.set(name, setTimeout(call, delay));
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

function seconds(value) {
  return value == null ? null : value * 1_000;
}
