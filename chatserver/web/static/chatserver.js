// A client of chatserver that comes back after every interruption, without loss or duplicate.
//
// One module without dependencies, for browsers and Node. docs/javascript.md has what it exports,
// chatserver.d.ts the types. Times are in ms, except where the protocol has seconds.

const SUBPROTOCOL = "chatserver.v1";
const RETRYABLE = new Set(["rate_limited", "unavailable", "timeout", "draining"]);
const RETRY_AFTER = 1_000; // after a refusal that says nothing about it
const MOST_WAIT = 3_600_000; // whatever a server says
const SLOW_DOWN = 5_000; // after 3013, whose receiver has been too fast for a while
// Closes that the next connection would only repeat, 1000 among them: the server is done.
const FAULTS = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);
const TRANSIENT = new Set([408, 425, 429]); // HTTP statuses that may be better in a moment, as 5xx
const OURS = new Set([401, 403]); // by which a server refuses this client, wherever it connects
const REFUSALS = {
  400: "The server does not take this for a WebSocket handshake of chatserver.v1",
  401: "The token is missing, wrong or expired",
  403: "The server does not let this client in",
  429: "There were too many attempts",
  503: "The server is busy or going down",
};
const TOKEN_SPENT = 0.8; // the part of a token's life after which a newer one is brought
const TOGETHER = 8; // requests of the client's own that may wait for their replies
const HEADROOM = 1.25; // how much slower than the server allows; pings count as well
const PACE_KEPT = 60_000; // without a refusal; then the server may be tried at full speed again
const PAGE = 500; // messages asked for at most when a room catches up by pages
const MAX_SIZE = 65_536; // bytes of a message, and messages in flight, unless the server says
const MAX_IN_FLIGHT = 64;
const TYPING_EVERY = 2_000;
const LEASE_RENEWED = 20_000;
// Browsers let the timers of a tab in the background run once a minute.
const LEASE_EXPIRES = 90_000;
const LONGEST_TIMER = 2 ** 31 - 1;

// Errors

/** Stands above everything that this module rejects with. */
export class ChatError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** An error reply of the server; programs decide by `code`. */
export class ActionError extends ChatError {
  constructor({ code = "internal_error", message = "", field = null, retry_after: after = null }) {
    super(message || code);
    this.code = code;
    this.field = field;
    this.retryAfter = after; // seconds
  }
}

/** The server does not let this client in, and would not the next time; `status` is HTTP's. */
export class HandshakeError extends ChatError {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The conversation is over: closed for good, or by `close()` (code 1000). */
export class ClosedError extends ChatError {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** No reply came: what was asked for may have been done, or not. */
export class LostError extends ChatError {
  constructor(message = "The connection was lost before the reply came") {
    super(message);
  }
}

/** `maxOutbox` messages wait for their acknowledgement; this one was not taken. */
export class OutboxFullError extends ChatError {
  constructor(capacity) {
    super(`${capacity} messages wait for their acknowledgement; send this one later`);
  }
}

function retryable(error) {
  return error instanceof ActionError && RETRYABLE.has(error.code);
}

// A wait that is none would have the request sent again and again without one.
function retryAfter({ retryAfter: asked }) {
  return asked > 0 ? Math.min(asked * 1_000, MOST_WAIT) : RETRY_AFTER;
}

// Waiting

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Wait `delay` ms, or until `early` resolves. */
function rest(delay, early) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.min(delay, LONGEST_TIMER));
    early.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Wakes everybody who waits for the next time something changes. */
class Signal {
  #next = deferred();

  next() {
    return this.#next.promise;
  }

  raise() {
    this.#next.resolve();
    this.#next = deferred();
  }
}

/**
 * Keeps below a rate that is known only from refusals.
 *
 * A token bucket that is empty asks for a wait of at most one token's time. The longest wait of
 * those that were refused together therefore tells the rate. Refusals are few then, which matters:
 * a server closes the connections of those who collect them.
 */
class Pace {
  nextTime = 0;
  #interval = 0;
  #refusedAt = -Infinity;

  /** Note that something goes out. */
  sent(now) {
    if (now - this.#refusedAt > PACE_KEPT) this.#interval = 0;
    this.nextTime = now + this.#interval;
  }

  /** Note that what went out at `sent` was refused, and that the server asks for a wait. */
  refused(sent, wait, now) {
    let interval = HEADROOM * wait;
    // Behind an earlier refusal, the pace was still too fast.
    if (sent > this.#refusedAt) {
      this.#refusedAt = now;
      interval = Math.max(interval, 2 * this.#interval);
    }
    this.#interval = Math.max(this.#interval, interval);
    this.nextTime = Math.max(this.nextTime, now + wait);
  }
}

/** Lets so many requests pass at the same time, those of one action not too fast. */
class Gate {
  #free;
  #left = new Signal();
  #paces = new Map();

  constructor(free) {
    this.#free = free;
  }

  /** Make a request when its turn has come, or when `lost` resolves. */
  async pass(action, lost, request) {
    while (this.#free === 0) await this.#left.next();
    this.#free -= 1;
    try {
      return await this.#paced(this.#pace(action), lost, request);
    } finally {
      this.#free += 1;
      this.#left.raise();
    }
  }

  #pace(action) {
    if (!this.#paces.has(action)) this.#paces.set(action, new Pace());
    return this.#paces.get(action);
  }

  async #paced(pace, lost, request) {
    let ended = false;
    lost.then(() => {
      ended = true;
    });
    let start;
    // Others may be refused meanwhile, and what they were told counts for all.
    while ((start = performance.now()) < pace.nextTime && !ended) {
      await rest(pace.nextTime - start, lost);
    }
    pace.sent(start);
    try {
      return await request();
    } catch (error) {
      if (error.code === "rate_limited") pace.refused(start, retryAfter(error), performance.now());
      throw error;
    }
  }
}

/** Entries on their way to whoever iterates; the end comes behind the last of them. */
class Feed {
  #entries = [];
  #takers = [];
  #end = null;

  get length() {
    return this.#entries.length;
  }

  put(entry) {
    if (this.#end) return;
    const taker = this.#takers.shift();
    if (taker) taker.resolve(entry);
    else this.#entries.push(entry);
  }

  /** Forget the oldest entry. */
  drop() {
    this.#entries.shift();
  }

  /** Let there be no more entries; with an error, that is how it ends. */
  end(error = null) {
    if (this.#end) return;
    this.#end = { error };
    for (const taker of this.#takers) {
      if (error) taker.reject(error);
      else taker.resolve(null);
    }
  }

  /** Return the next entry, null at the end. */
  async take() {
    if (this.#entries.length) return this.#entries.shift();
    if (this.#end?.error) throw this.#end.error;
    if (this.#end) return null;
    const taker = deferred();
    this.#takers.push(taker);
    return taker.promise;
  }
}

// What is kept, and by which tab

/** The part of a storage that belongs to one chat; where it cannot be used, nothing is kept. */
class Kept {
  #storage;
  #scope;

  constructor(storage, scope) {
    this.#storage = storage;
    this.#scope = scope;
  }

  get(key) {
    try {
      return JSON.parse(this.#storage.getItem(this.#scope + key));
    } catch {
      return null;
    }
  }

  set(key, value) {
    try {
      this.#storage.setItem(this.#scope + key, JSON.stringify(value));
    } catch {
      // Private windows and full disks: all of it is a copy of what this page knows.
    }
  }

  remove(key) {
    try {
      this.#storage.removeItem(this.#scope + key);
    } catch {
      // Nothing was stored then.
    }
  }

  /** List the keys with this beginning, in order. */
  keys(beginning) {
    const found = [];
    try {
      for (let index = 0; index < this.#storage.length; index += 1) {
        const key = this.#storage.key(index);
        if (key.startsWith(this.#scope + beginning)) found.push(key.slice(this.#scope.length));
      }
    } catch {
      // As above.
    }
    return found.sort();
  }
}

/** Stands for localStorage where there is none: it lasts as long as the page. */
class MemoryStorage {
  #items = new Map();

  get length() {
    return this.#items.size;
  }

  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    this.#items.set(key, value);
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}

/** Knows which tabs are there by Web Locks, which end with their tab whatever ends it. */
class LockedTabs {
  #locks;
  #scope;
  #over = new AbortController();

  constructor(locks, scope) {
    this.#locks = locks;
    this.#scope = scope;
  }

  /** Be there, until `close`. */
  live(tab) {
    const over = new Promise((resolve) => this.#over.signal.addEventListener("abort", resolve));
    this.#locks.request(this.#name(tab), () => over);
  }

  /** Call, once, when that tab is gone; no other tab does so at the same time. */
  whenGone(tab, call) {
    const { signal } = this.#over;
    this.#locks.request(this.#name(tab), { signal }, call).catch(() => {}); // closed before
  }

  /** Do something that tabs must do one after the other. */
  alone(work) {
    return this.#locks.request(`${this.#scope}alone`, work);
  }

  close() {
    this.#over.abort();
  }

  #name(tab) {
    return `${this.#scope}tab:${tab}`;
  }
}

/** Knows it by leases in the storage, where there are no Web Locks (plain http, Node). */
class LeasedTabs {
  #kept;
  #tab = null;
  #heirs = new Map();
  #timer = null;
  #leave = () => this.#kept.remove(`lease:${this.#tab}`);

  constructor(kept) {
    this.#kept = kept;
  }

  live(tab) {
    this.#tab = tab;
    this.#renew();
    this.#timer = setInterval(() => this.#renew(), LEASE_RENEWED);
    this.#timer.unref?.(); // Node would stay for it.
    globalThis.addEventListener?.("pagehide", this.#leave);
  }

  whenGone(tab, call) {
    this.#heirs.set(tab, call);
    this.#look();
  }

  alone(work) {
    return work();
  }

  close() {
    clearInterval(this.#timer);
    globalThis.removeEventListener?.("pagehide", this.#leave);
    this.#leave();
  }

  #renew() {
    this.#kept.set(`lease:${this.#tab}`, Date.now());
    this.#look();
  }

  #look() {
    for (const [tab, call] of this.#heirs) {
      if (Date.now() - this.#kept.get(`lease:${tab}`) < LEASE_EXPIRES) continue;
      this.#heirs.delete(tab);
      this.#kept.remove(`lease:${tab}`);
      call();
    }
  }
}

/**
 * Keeps this tab's letters in the storage, and hands on those of tabs that are gone.
 *
 * Letters belong to the tab that wrote them while it lives, then to the first that takes them over.
 */
class Shelf {
  #kept;
  #tabs;
  #tab = randomId();
  #user = null;
  #adopt;
  #watched = new Set([this.#tab]);

  constructor(kept, tabs, adopt) {
    this.#kept = kept;
    this.#tabs = tabs;
    this.#adopt = adopt;
    tabs.live(this.#tab);
  }

  put(letter) {
    const { number, user, room, action, fields } = letter;
    // Without knowing whose it is, nobody could take it over.
    if (user) this.#kept.set(this.#key(number), { user, room, action, fields });
  }

  drop({ number }) {
    this.#kept.remove(this.#key(number));
  }

  /** Look for letters of this user that other tabs have left, now and when such a tab goes. */
  look(user) {
    this.#user = user;
    for (const key of this.#kept.keys("outbox:")) {
      const tab = key.split(":")[1];
      if (this.#watched.has(tab)) continue;
      this.#watched.add(tab);
      this.#tabs.whenGone(tab, () => this.#inherit(tab));
    }
  }

  /** Take it that another tab has changed a key of the storage, or all of them (null). */
  hear(key) {
    if (this.#user && key?.includes(":outbox:")) this.look(this.#user);
  }

  #inherit(tab) {
    this.#watched.delete(tab);
    for (const key of this.#kept.keys(`outbox:${tab}:`)) {
      const letter = this.#kept.get(key);
      if (letter?.user !== this.#user) continue;
      this.#adopt(letter);
      this.#kept.remove(key);
    }
  }

  // Padded, so that the order of the keys is that of the letters.
  #key(number) {
    return `outbox:${this.#tab}:${String(number).padStart(12, "0")}`;
  }
}

// Not crypto.randomUUID: that is missing on plain http.
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One connection after another

/** Judge a close code by its range, so that unknown ones make no difference. */
function afterClose(code, text) {
  const closed = code === 1006 ? "The connection was lost" : `The connection was closed (${code})`;
  const reason = text || closed;
  const forbidden = (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999);
  if (forbidden || FAULTS.has(code)) return { reason, code, error: new ClosedError(code, reason) };
  return { reason, code, atLeast: code === 3013 ? SLOW_DOWN : 0 };
}

/**
 * Judge the plain answer to GET of the socket's address, after an upgrade failed.
 *
 * Where there has been a chat (`known`), its absence passes: some proxies answer 404 during a
 * deployment.
 */
function afterRefusal(status, header, body, known) {
  // It would let us in, or shows a page to who asks plainly; so it was something else.
  if (status === 426 || status < 300) return { reason: "The connection could not be made" };
  const passes = TRANSIENT.has(status) || status >= 500;
  const why = REFUSALS[status] ?? (passes ? REFUSALS[503] : "There is no chat at this address");
  const reason = `${why} (${body.trim().slice(0, 200) || `HTTP ${status}`})`;
  if (passes) return { reason, wait: readRetryAfter(header) };
  if (known && !OURS.has(status)) return { reason };
  return { reason, error: new HandshakeError(status, reason) };
}

// Seconds or a date (RFC 9110, section 10.2.3).
function readRetryAfter(header) {
  if (/^\s*\d+\s*$/.test(header ?? "")) return Number(header) * 1_000;
  const date = Date.parse(header ?? "");
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** List the subprotocols to offer; browsers cannot send a token in a header. */
function offers(token) {
  if (token === null) return [SUBPROTOCOL];
  const binary = String.fromCharCode(...new TextEncoder().encode(token));
  const base64url = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return [SUBPROTOCOL, `bearer.${base64url}`];
}

/** Waits at random below a bound that doubles: full jitter. */
class Backoff {
  #first;
  #most;
  #steady;
  #bound;

  constructor({ first = 1_000, most = 30_000, steady = 10_000 } = {}) {
    this.#first = this.#bound = first;
    this.#most = most;
    this.#steady = steady;
  }

  wait() {
    const bound = this.#bound;
    this.#bound = Math.min(2 * bound, this.#most);
    return Math.random() * bound;
  }

  /** Note how long a connection held: a good one starts the waits anew. */
  held(time) {
    if (time >= this.#steady) this.#bound = this.#first;
  }
}

/**
 * Owns one WebSocket: matches replies with requests, and tells its end.
 *
 * `onEvent(frame)` takes what answers no request. `onEnd(verdict)` is called before the requests
 * that were not answered get their LostError; a verdict has a `reason`, and perhaps a close `code`,
 * an `error` that ends it all, a `wait` until the next try, or the wait `atLeast`.
 */
class Connection {
  over = false;
  maxSize = Infinity;
  #socket;
  #onEvent;
  #onEnd;
  #opened = deferred();
  #ended = deferred();
  #asked = new Map();
  #last = 0;
  #returnAt = null;
  #timers = new Set();

  constructor(socket, onEvent, onEnd) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    this.#onEnd = onEnd;
    socket.onopen = () => this.#opened.resolve(true);
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.leave(afterClose(code, reason));
    // Some runtimes tell no close of what never was open.
    socket.onerror = () => this.#opened.resolve(false);
  }

  get ended() {
    return this.#ended.promise;
  }

  /** Tell whether it opened, within `timeout`. */
  opened(timeout) {
    this.#after(timeout, () => this.#opened.resolve(false));
    return this.#opened.promise;
  }

  /** End it, with a verdict of our own. */
  leave(verdict) {
    if (this.over) return;
    this.over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket.close();
    const told = { ...verdict };
    if (this.#returnAt !== null) told.wait = Math.max(0, this.#returnAt - Date.now());
    this.#onEnd(told);
    this.#opened.resolve(false);
    this.#ended.resolve(told);
    for (const onAnswer of this.#asked.values()) onAnswer(new LostError(), null);
  }

  /** Send a request; `onAnswer(error, reply)` is called before the next frame is looked at. */
  ask(action, fields, onAnswer) {
    if (this.over) {
      onAnswer(new LostError(), null);
      return;
    }
    const id = (this.#last += 1);
    const frame = JSON.stringify({ ...fields, action, id });
    // What is larger than the server reads at all would cost the connection, again and again.
    if (new TextEncoder().encode(frame).length > this.maxSize) {
      const message = `The message is larger than ${this.maxSize} bytes`;
      onAnswer(new ActionError({ code: "too_large", message }), null);
      return;
    }
    this.#asked.set(id, onAnswer);
    this.#socket.send(frame);
  }

  /** Send a request and return the reply, which `atOnce` sees before the next frame. */
  request(action, fields = {}, atOnce = () => {}) {
    return new Promise((resolve, reject) => {
      this.ask(action, fields, (error, reply) => {
        if (error) {
          reject(error);
          return;
        }
        atOnce(reply);
        resolve(reply);
      });
    });
  }

  /** Send what is not answered, if it is still possible. */
  tell(action, fields) {
    if (!this.over) this.#socket.send(JSON.stringify({ ...fields, action }));
  }

  /** Ping every `interval`; half of that without an answer is the end. */
  keepAlive(interval) {
    this.#after(interval, () => {
      const answered = this.#after(interval / 2, () => {
        this.leave({ reason: "The server does not answer", code: 1006 });
      });
      // An error reply is an answer, too: the server is alive.
      this.ask("ping", {}, () => {
        answered();
        if (!this.over) this.keepAlive(interval);
      });
    });
  }

  #receive(data) {
    if (this.over) return;
    const frame = parseFrame(data);
    if (frame.id === undefined) {
      if (frame.action === "reconnect") this.#leaveSoon(frame);
      else this.#onEvent(frame);
      return;
    }
    const onAnswer = this.#asked.get(frame.id);
    this.#asked.delete(frame.id);
    if (frame.action === "error") onAnswer?.(new ActionError(frame), null);
    else onAnswer?.(null, frame);
  }

  // The close that follows may get lost, so the time to come back counts from here.
  #leaveSoon({ after_ms: after, reason }) {
    this.#returnAt = Date.now() + (after >= 0 ? Math.min(after, MOST_WAIT) : 0);
    const text = reason ? ` (${reason})` : "";
    this.#after(this.#returnAt - Date.now(), () => {
      this.leave({ reason: `The server asked us to connect again${text}`, code: 3011 });
    });
  }

  /** Call later, unless the connection ends before; returns how to prevent it. */
  #after(delay, call) {
    const forget = () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
    const timer = setTimeout(() => {
      forget();
      call();
    }, delay);
    this.#timers.add(timer);
    return forget;
  }
}

/** Make a request, and again after refusals that pass by, as long as the connection lives. */
async function insist(connection, action, fields) {
  for (;;) {
    try {
      return await connection.request(action, fields);
    } catch (error) {
      if (!retryable(error)) throw error;
      await rest(retryAfter(error), connection.ended);
    }
  }
}

// A frame that is no JSON object is a text, as action `broadcast` of the server sends it.
function parseFrame(data) {
  try {
    const frame = JSON.parse(data);
    if (frame !== null && typeof frame === "object" && !Array.isArray(frame)) return frame;
  } catch {
    // No JSON.
  }
  return { action: "plain_text", text: String(data) };
}

/**
 * Connects, greets, and connects again, as long as that makes sense.
 *
 * The listener is told `connecting()`, `online(welcome, connection)` before anybody else can use
 * the connection, `offline()`, `waiting({reason, code, wait})`, and `event(frame)`.
 */
class Life {
  connection = null;
  username;
  #options;
  #kept;
  #tabs;
  #listener;
  #backoff;
  #guest = null;
  #dialled = null;
  #changed = new Signal();
  #hurry = new Signal();
  #known = false; // whether there was a connection to this address before
  #error = null;

  constructor(options, kept, tabs, listener) {
    this.#options = options;
    this.#kept = kept;
    this.#tabs = tabs;
    this.#listener = listener;
    this.#backoff = new Backoff(options.backoff);
    this.username = options.username;
  }

  /** Wait for a connection that is greeted. */
  async connected() {
    while (!this.connection) {
      if (this.#error) throw this.#error;
      await this.#changed.next();
    }
    return this.connection;
  }

  /** Connect now if that is only a matter of waiting. */
  hurry() {
    this.#hurry.raise();
  }

  /** Let there be no connection any more. */
  end(error) {
    this.#error = error;
    this.#dialled?.leave({ reason: error.message, error });
    this.#changed.raise();
    this.#hurry.raise();
  }

  /** Live until there is no use in connecting again, and reject with the reason. */
  async run() {
    while (!this.#error) {
      this.#listener.connecting();
      const began = performance.now();
      const { reason, code = null, error, wait, atLeast = 0 } = await this.#converse();
      // It may have been ended while there was no connection that could tell.
      if (error ?? this.#error) throw error ?? this.#error;
      this.#backoff.held(code === null ? 0 : performance.now() - began);
      const delay = wait ?? Math.max(this.#backoff.wait(), atLeast);
      this.#listener.waiting({ reason, code, wait: delay });
      await rest(delay, this.#hurry.next());
    }
  }

  async #converse() {
    let token;
    try {
      token = await this.#token();
    } catch (error) {
      const reason = `There is no token: ${error?.message ?? error}`;
      return { reason, error: error instanceof ChatError ? error : undefined };
    }
    if (this.#error) return { error: this.#error };
    const { url, timeout } = this.#options;
    const onEvent = (frame) => this.#listener.event(frame);
    const connection = new Connection(new WebSocket(url, offers(token)), onEvent, () => {
      if (this.connection !== connection) return;
      this.connection = null;
      this.#listener.offline();
    });
    this.#dialled = connection;
    if (!(await connection.opened(timeout))) {
      connection.leave({ reason: "The connection could not be made" });
      return this.#error ? { error: this.#error } : this.#ask(token);
    }
    this.#attend(connection, token);
    return connection.ended;
  }

  async #token() {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  // A browser does not say why an upgrade failed; the same address, asked plainly, does.
  async #ask(token) {
    const { url, timeout } = this.#options;
    try {
      const response = await fetch(url.replace(/^ws/, "http"), {
        cache: "no-store",
        headers: token === null ? {} : { Authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(timeout),
      });
      const plain = response.headers.get("Content-Type")?.startsWith("text/plain");
      const body = plain ? await response.text() : "";
      const after = response.headers.get("Retry-After");
      return afterRefusal(response.status, after, body, this.#known);
    } catch {
      return { reason: "The server cannot be reached" };
    }
  }

  async #attend(connection, token) {
    const { timeout, pingInterval } = this.#options;
    const late = setTimeout(() => {
      connection.leave({ reason: "The server does not answer", code: 1006 });
    }, timeout);
    try {
      const welcome = await this.#greet(connection);
      if (connection.over) return;
      connection.maxSize = welcome.limits?.max_message_size ?? MAX_SIZE;
      this.connection = connection;
      this.#known = true;
      this.#listener.online(welcome, connection);
      this.#changed.raise();
      connection.keepAlive(pingInterval);
      this.#keepToken(connection, welcome, token);
    } catch (error) {
      connection.leave({ reason: error.message, error });
    } finally {
      clearTimeout(late);
    }
  }

  async #greet(connection) {
    const welcome = await this.#hello(connection);
    const { username } = this;
    if (username === null || username === welcome.username) return welcome;
    const registered = await insist(connection, "register", { username });
    return { ...welcome, username: registered.username };
  }

  async #hello(connection) {
    if (this.#options.token !== null) return insist(connection, "hello");
    this.#guest ??= this.#kept.get("guest");
    if (this.#guest) return this.#helloAgain(connection);
    // Tabs that are opened together are to be one guest, not several.
    return this.#tabs.alone(() => {
      this.#guest = this.#kept.get("guest");
      return this.#helloAgain(connection);
    });
  }

  async #helloAgain(connection) {
    const known = this.#guest ? { guest_token: this.#guest.token } : {};
    let welcome;
    try {
      welcome = await insist(connection, "hello", known);
    } catch (error) {
      if (!this.#guest || error.code !== "unauthorized") throw error;
      // Another server, or one that has lost its key: we are somebody else from now on.
      welcome = await insist(connection, "hello");
    }
    if (welcome.guest_token) {
      this.#guest = { token: welcome.guest_token, user: welcome.user };
      this.#kept.set("guest", this.#guest);
    }
    return welcome;
  }

  async #keepToken(connection, welcome, first) {
    if (typeof this.#options.token !== "function") return;
    const ahead = Date.parse(welcome.time) - Date.now();
    let token = first;
    try {
      while (!connection.over) {
        // The first time it is the token we came with: the answer tells how long it lives.
        const { expires } = await connection.request("refresh", { token });
        if (expires === null) return;
        const life = expires * 1_000 - ahead - Date.now();
        await rest(Math.max(1_000, TOKEN_SPENT * life), connection.ended);
        token = await this.#token();
      }
    } catch {
      // The connection lives as long as its token; the next one asks for another.
    }
  }
}

// Messages on their way

/**
 * Keeps letters until they are settled, and says which may be sent now; knows no connection.
 *
 * Each room's go in order. A refused one returns to its place, and those of its room that were
 * refused behind it follow it again. Rooms do not wait for each other, except where all have to.
 */
class Outbox {
  #capacity;
  #lines = new Map();
  #most = MAX_IN_FLIGHT;
  #pace = new Pace();
  #drained = false;

  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** All letters, in the order in which they were written. */
  get letters() {
    return byNumber([...this.#lines.values()].flatMap((line) => [...line.flying, ...line.waiting]));
  }

  /** Throw where there are as many letters as there may be. */
  check() {
    let size = 0;
    for (const { waiting, flying } of this.#lines.values()) size += waiting.length + flying.length;
    if (size >= this.#capacity) throw new OutboxFullError(this.#capacity);
  }

  add(letter) {
    this.#line(letter.room).waiting.push(letter);
  }

  /** Return the letter to send now, which is in flight from here on, or null. */
  take(now) {
    const lines = [...this.#lines.values()];
    const flying = lines.reduce((sum, line) => sum + line.flying.length, 0);
    if (this.#drained || now < this.#pace.nextTime || flying >= this.#most) return null;
    const ready = lines.filter((line) => !line.shut && now >= line.heldUntil && inOrder(line));
    if (!ready.length) return null;
    const line = ready.reduce((a, b) => (a.waiting[0].number < b.waiting[0].number ? a : b));
    const letter = line.waiting.shift();
    letter.sent = now;
    this.#pace.sent(now);
    line.flying.push(letter);
    return letter;
  }

  /** Return when a wait ends that keeps letters back, or null. */
  nextTime(now) {
    if (this.#drained) return null;
    const lines = [...this.#lines.values()].filter((line) => line.waiting.length && !line.shut);
    const ends = lines.map((line) => Math.max(line.heldUntil, this.#pace.nextTime));
    const next = Math.min(...ends.filter((end) => end > now));
    return Number.isFinite(next) ? next : null;
  }

  /** Forget a letter: it is acknowledged, refused for good, or nobody wants it any more. */
  settle(letter) {
    const line = this.#line(letter.room);
    line.flying = line.flying.filter((other) => other !== letter);
    line.waiting = line.waiting.filter((other) => other !== letter);
    this.#tidy(letter.room);
  }

  /**
   * Put a letter back that was refused for now, and keep to the wait that the error names.
   *
   * rate_limited holds all rooms up and sets the pace of what follows; draining holds them up until
   * the connection is lost.
   */
  refuse(letter, error, now) {
    const line = this.#line(letter.room);
    if (!line.flying.includes(letter)) return;
    line.flying = line.flying.filter((other) => other !== letter);
    line.waiting = byNumber([letter, ...line.waiting]);
    const wait = retryAfter(error);
    if (error.code === "draining") this.#drained = true;
    else if (error.code === "rate_limited") this.#pace.refused(letter.sent, wait, now);
    else line.heldUntil = Math.max(line.heldUntil, now + wait);
  }

  /** Put everything in flight back: the connection is lost. */
  lose() {
    for (const line of this.#lines.values()) {
      line.waiting = byNumber([...line.flying, ...line.waiting]);
      line.flying = [];
    }
    this.#drained = false;
  }

  /** Take the number of letters that the server allows in flight. */
  allow(most) {
    this.#most = Math.max(1, most);
  }

  /** Keep a room's letters back: it is not joined. */
  shut(room) {
    this.#line(room).shut = true;
  }

  /** Let a room's letters go. */
  open(room) {
    this.#line(room).shut = false;
    this.#tidy(room);
  }

  #line(room) {
    if (!this.#lines.has(room)) {
      this.#lines.set(room, { waiting: [], flying: [], heldUntil: 0, shut: false });
    }
    return this.#lines.get(room);
  }

  #tidy(room) {
    const { waiting, flying, shut } = this.#lines.get(room);
    if (!waiting.length && !flying.length && !shut) this.#lines.delete(room);
  }
}

function byNumber(letters) {
  return letters.sort((a, b) => a.number - b.number);
}

// Behind a refused letter others may still fly; it goes out again once they have landed.
function inOrder({ waiting, flying }) {
  if (!waiting.length) return false;
  return !flying.length || flying.at(-1).number < waiting[0].number;
}

/** Carries the outbox over whatever connection there is, and brings the answers back. */
class Courier {
  #outbox;
  #shelf;
  #onSent;
  #outcomes = new Map();
  #number = 0;
  #connection = null;
  #timer = null;

  /** `onSent(sent)` hears of each acknowledgement before the next frame is looked at. */
  constructor(capacity, shelf, onSent) {
    this.#outbox = new Outbox(capacity);
    this.#shelf = shelf;
    this.#onSent = onSent;
  }

  get letters() {
    return this.#outbox.letters;
  }

  /** Take a letter and return the promise of its acknowledgement. */
  post({ user, room, action, fields }, { adopted = false } = {}) {
    if (!adopted) this.#outbox.check();
    const letter = { number: (this.#number += 1), user, room, action, fields };
    const outcome = deferred();
    this.#outcomes.set(letter, outcome);
    this.#outbox.add(letter);
    this.#shelf.put(letter);
    this.#pump();
    return outcome.promise;
  }

  /** Send over this connection until `lose`; letters of somebody else are given up. */
  serve(connection, user, limits) {
    for (const letter of this.letters) {
      letter.user ??= user;
      if (letter.user === user) this.#shelf.put(letter);
      else this.#settle(letter, new LostError("Who we are has changed; it may be stored"), null);
    }
    this.#outbox.allow(limits?.max_in_flight ?? MAX_IN_FLIGHT);
    this.#connection = connection;
    this.#pump();
  }

  lose() {
    this.#connection = null;
    clearTimeout(this.#timer);
    this.#outbox.lose();
  }

  shut(room) {
    this.#outbox.shut(room);
  }

  open(room) {
    this.#outbox.open(room);
    this.#pump();
  }

  /** Give up letters that `which` picks. */
  fail(error, which) {
    for (const letter of this.letters.filter(which)) this.#settle(letter, error, null);
  }

  /** Tell everybody who waits that there will be no answer here; the storage keeps the letters. */
  end(error) {
    this.lose();
    for (const outcome of this.#outcomes.values()) outcome.reject(error);
    this.#outcomes.clear();
  }

  #pump() {
    clearTimeout(this.#timer);
    let letter;
    let now;
    while (this.#connection && (letter = this.#outbox.take((now = performance.now())))) {
      this.#send(letter);
    }
    if (!this.#connection) return;
    // As of the same moment: a wait that has ended since is one that still kept a letter back.
    const next = this.#outbox.nextTime(now);
    if (next !== null) this.#timer = setTimeout(() => this.#pump(), Math.ceil(next - now));
  }

  #send(letter) {
    this.#connection.ask(letter.action, letter.fields, (error, sent) => {
      if (error instanceof LostError) return; // It goes again over the next connection.
      if (sent) this.#onSent(sent);
      if (retryable(error)) this.#outbox.refuse(letter, error, performance.now());
      else this.#settle(letter, error, sent);
      this.#pump();
    });
  }

  #settle(letter, error, sent) {
    this.#outbox.settle(letter);
    this.#shelf.drop(letter);
    const outcome = this.#outcomes.get(letter);
    this.#outcomes.delete(letter);
    if (error) outcome?.reject(error);
    else outcome?.resolve(sent);
  }
}

// Rooms

/** Knows the position up to which a room was seen, and what its next events mean for that. */
class Stream {
  position;

  constructor(position) {
    this.position = position;
  }

  /** Whether nothing was said in the room yet, so that its history has no name. */
  get nameless() {
    return this.position !== null && !this.position.epoch;
  }

  /** Take the name of a nameless history from elsewhere, such as an acknowledgement. */
  name(epoch) {
    if (this.nameless && epoch) this.position = { epoch, offset: 0 };
  }

  /**
   * Go on to an event that came live: it is the "next" one, "seen" before, or "astray", too far on.
   *
   * The first one of a nameless stream is astray: only a join tells the name, without which nothing
   * can be recovered later.
   */
  take(offset) {
    const seen = this.position;
    if (offset === undefined || seen === null) return "next";
    if (offset <= seen.offset) return "seen";
    if (!seen.epoch || offset !== seen.offset + 1) return "astray";
    this.position = { epoch: seen.epoch, offset };
    return "next";
  }

  /** Take the answer to a join with `since`; return the gap that it leaves, or null. */
  resume(reply, catchUp) {
    const seen = this.position;
    const here = positionOf(reply);
    if (reply.recovered || seen === null || here === null) {
      this.position = here;
      return reply.recovered ? null : { reason: "no_history", seen, resumes: here };
    }
    const { oldest = 1 } = reply;
    const known = seen.epoch === here.epoch || (!seen.epoch && seen.offset === 0);
    let reason = "long";
    let start = { epoch: here.epoch, offset: seen.offset };
    if (!known || seen.offset > here.offset) reason = "reset";
    else if (seen.offset < oldest - 1) reason = "trimmed";
    if (reason !== "long") start = { epoch: here.epoch, offset: oldest - 1 };
    this.position = catchUp ? start : here;
    return catchUp && reason === "long" ? null : { reason, seen, resumes: this.position };
  }

  /** Take a page read from the position on; return the gap where its beginning is gone. */
  read({ epoch, oldest }) {
    const seen = this.position;
    if (epoch !== seen.epoch || oldest - 1 <= seen.offset) return null;
    this.position = { epoch, offset: oldest - 1 };
    return { reason: "trimmed", seen, resumes: this.position };
  }

  /** Go on to an event of a page, or its end; false where that has been seen. */
  reach(offset) {
    if (offset <= this.position.offset) return false;
    this.position = { epoch: this.position.epoch, offset };
    return true;
  }
}

function positionOf({ epoch = "", offset }) {
  return offset === undefined ? null : { epoch, offset };
}

/**
 * Joins a room, and joins it again when the connection, or an event, was lost.
 *
 * While it does not follow, live events are dropped: the next join, or the pages before it, bring
 * those of the history again. That is so while the reader has half of `most` events or more to read
 * since there were too many, when an offset is missing, and while it catches up by pages.
 *
 * The host has `connected()`, a `gate`, and is told `entered(room)`.
 */
class Membership {
  room;
  feed = new Feed(); // of {event, position}
  joined = deferred();
  inside = null; // the connection over which the room is joined
  #host;
  #stream;
  #last;
  #catchUp;
  #most;
  #first = true;
  #over = false;
  #following = false;
  #paging = false;
  #stirred = new Signal();

  constructor(room, host, { since = null, last, catchUp = false, most }) {
    this.room = room;
    this.#host = host;
    this.#stream = new Stream(since);
    this.#last = last;
    this.#catchUp = catchUp;
    this.#most = most;
    this.joined.promise.catch(() => {}); // whoever iterates hears of it, too
  }

  /** Keep the membership until `end`; rejects where the server refuses it for good. */
  async run() {
    while (!this.#over) {
      const connection = await this.#host.connected();
      try {
        await this.#tend(connection);
      } catch (error) {
        if (error instanceof LostError) await connection.ended;
        else if (retryable(error)) await rest(retryAfter(error), this.#stirred.next());
        else throw error;
      }
    }
  }

  /** Let the reader come to an end, with an error or quietly. */
  end(error, { quietly = false } = {}) {
    this.#over = true;
    this.joined.reject(error);
    this.feed.end(quietly ? null : error);
    this.#stirred.raise();
  }

  take(frame) {
    if (!this.#following) return;
    const step = this.feed.length < this.#most ? this.#stream.take(frame.offset) : "astray";
    if (step === "next") {
      this.feed.put({ event: frame, position: this.#stream.position });
    } else if (step === "astray") {
      this.#following = false;
      this.#stirred.raise();
    }
  }

  /** Take the name of the room's history from an acknowledgement, which saves a join. */
  name(epoch) {
    // A join that is under way already would pass for one after an interruption.
    if (this.#following) this.#stream.name(epoch);
  }

  /** Note that the connection is lost. */
  lose() {
    this.inside = null;
    this.#following = false;
    this.#stirred.raise();
  }

  /** Note that the reader took an event. */
  consumed() {
    if (!this.#following && this.#hasSpace) this.#stirred.raise();
  }

  get #hasSpace() {
    return this.feed.length <= this.#most / 2;
  }

  async #tend(connection) {
    const inside = this.inside === connection;
    if (inside && (this.#following || !this.#hasSpace)) await this.#stirred.next();
    else if (inside && this.#paging) await this.#readPage(connection);
    else await this.#inTurn("join", connection, () => this.#join(connection));
  }

  #inTurn(action, connection, request) {
    return this.#host.gate.pass(action, connection.ended, request);
  }

  async #join(connection) {
    if (this.#over) return;
    const { position } = this.#stream;
    const resume = this.#hasSpace && !this.#paging;
    const fields = { room: this.room };
    if (resume && position !== null) fields.since = position;
    else if (this.#first) fields.last = this.#last;
    await connection.request("join", fields, (reply) => this.#enter(connection, reply, resume));
  }

  #enter(connection, reply, resume) {
    if (this.#over) return;
    const again = this.inside === connection;
    const before = this.#stream.position;
    const { id, action, messages, ...told } = reply;
    this.inside = connection;
    this.#host.entered(this.room);
    if (this.#first) {
      this.#first = false;
      this.joined.resolve();
      const here = positionOf(reply);
      const position = before ?? (messages.length ? null : here);
      this.feed.put({ event: { action: "joined", ...told }, position });
      if (before === null) {
        this.#stream.position = here;
        this.#putAll(messages);
        this.#following = true;
        return;
      }
    }
    if (!resume) return;
    const namedNow = again && this.#stream.nameless;
    const gap = this.#stream.resume(reply, this.#catchUp);
    if (gap) {
      this.feed.put({ event: { action: "gap", ...told, ...gap }, position: this.#stream.position });
    } else if (reply.recovered) {
      const event = { action: "recovered", ...told, missed: messages.length };
      if (!namedNow) this.feed.put({ event, position: before });
      this.#putAll(messages);
    }
    this.#paging = this.#catchUp && this.#stream.position?.offset !== reply.offset;
    this.#following = !this.#paging;
  }

  async #readPage(connection) {
    const { position } = this.#stream;
    const limit = Math.max(1, Math.min(PAGE, Math.floor(this.#most / 2)));
    const fields = { room: this.room, since: position.offset, limit };
    const page = await this.#inTurn("history", connection, () =>
      connection.request("history", fields),
    );
    const gap = this.#stream.read(page);
    if (gap) {
      const event = { action: "gap", room: this.room, ...gap };
      this.feed.put({ event, position: this.#stream.position });
    }
    if (page.epoch === position.epoch) {
      for (const event of page.messages) {
        if (this.#stream.reach(event.offset)) this.#put(event);
      }
      this.#stream.reach(page.more ? (page.next ?? 0) : page.offset);
    }
    const moved = this.#stream.position.offset > position.offset;
    this.#paging = page.more && page.epoch === position.epoch && moved;
  }

  #putAll(events) {
    for (const event of events) this.#put(event);
  }

  // What was erased since is no event any more; it is told as one, so that all have an action.
  #put(given) {
    const event = given.action ? given : { action: "erased", room: this.room, ...given };
    const here = this.#stream.position;
    const position = here && { epoch: here.epoch, offset: event.offset ?? here.offset };
    this.feed.put({ event, position });
  }
}

/** A joined room; iterating over it gives what happens there. Made by `Chat.join`. */
export class Room {
  #membership;
  #chat;
  #note;
  #position = null;

  constructor(membership, chat, note) {
    this.#membership = membership;
    this.#chat = chat;
    this.#note = note;
  }

  get name() {
    return this.#membership.room;
  }

  /** How far the iteration has come in the history, `{epoch, offset}`; null where there is none. */
  get position() {
    return this.#position;
  }

  publish(text, options) {
    return this.#chat.publish(this.name, text, options);
  }

  edit(offset, text, options) {
    return this.#chat.edit(this.name, offset, text, options);
  }

  remove(offset, options) {
    return this.#chat.remove(this.name, offset, options);
  }

  react(offset, emoji, options) {
    return this.#chat.react(this.name, offset, emoji, options);
  }

  pin(offset, options) {
    return this.#chat.pin(this.name, offset, options);
  }

  history(options) {
    return this.#chat.history(this.name, options);
  }

  reactions(offset) {
    return this.#chat.reactions(this.name, offset);
  }

  search(text, options) {
    return this.#chat.search(text, { ...options, room: this.name });
  }

  read(offset) {
    return this.#chat.read(this.name, offset);
  }

  typing() {
    this.#chat.typing(this.name);
  }

  presence() {
    return this.#chat.presence(this.name);
  }

  members() {
    return this.#chat.members(this.name);
  }

  leave() {
    return this.#chat.leave(this.name);
  }

  /** Breaking off is allowed: a later iteration goes on with what was not taken. */
  [Symbol.asyncIterator]() {
    return { next: () => this.#next() };
  }

  async #next() {
    const entry = await this.#membership.feed.take();
    if (entry === null) return { done: true, value: undefined };
    if (entry.position) this.#note((this.#position = entry.position));
    this.#membership.consumed();
    return { done: false, value: entry.event };
  }
}

// The chat

/** One conversation with a server, over as many connections as it takes. Made by `connect`. */
export class Chat {
  #options;
  #kept;
  #tabs;
  #shelf;
  #courier;
  #life;
  #feed = new Feed();
  #gate = new Gate(TOGETHER);
  #rooms = new Map();
  #welcome = null;
  #user; // as of the last welcome, before the first one that of the guest who was here before
  #typed = new Map();
  #error = null;
  #awake = () => this.#life.hurry();
  #stored = ({ key }) => this.#shelf.hear(key);

  constructor(options) {
    this.#options = options;
    const scope = `chatserver:${options.url}:`;
    const { locks } = globalThis.navigator ?? {};
    this.#kept = new Kept(options.storage, scope);
    // Locks say something about localStorage only, which all tabs of the browser share.
    const shared = options.storage === browserStorage();
    this.#tabs = locks && shared ? new LockedTabs(locks, scope) : new LeasedTabs(this.#kept);
    this.#shelf = new Shelf(this.#kept, this.#tabs, (letter) => this.#adopt(letter));
    this.#courier = new Courier(options.maxOutbox, this.#shelf, ({ room, epoch }) =>
      this.#rooms.get(room)?.name(epoch),
    );
    this.#life = new Life(options, this.#kept, this.#tabs, this.#listener());
    this.#user = options.token === null ? (this.#kept.get("guest")?.user ?? null) : null;
    globalThis.addEventListener?.("online", this.#awake);
    globalThis.addEventListener?.("storage", this.#stored);
    if (this.#user) this.#shelf.look(this.#user);
    this.#life.run().catch((error) => this.#end(error));
  }

  /** Our user id, `sender` in events; null before the first connection. */
  get user() {
    return this.#welcome?.user ?? null;
  }

  /** Our name, if we have one. */
  get username() {
    return this.#welcome?.username ?? null;
  }

  /** What waits for its acknowledgement, oldest first: `{action, room, cid, …}`. */
  get outbox() {
    return this.#courier.letters.map(describe);
  }

  /** Wait for a connection and return the server's welcome. */
  async connected() {
    await this.#life.connected();
    return this.#welcome;
  }

  /** Connect now if the client only waits for the time to do so. */
  reconnect() {
    this.#life.hurry();
  }

  /** Ask for something and return the reply; it waits for a connection, and is not sent again. */
  async request(action, fields = {}) {
    this.#check();
    const late = new LostError("No reply came in time");
    let timer;
    const timeout = new Promise((_, reject) => {
      timer = setTimeout(() => reject(late), this.#options.timeout);
    });
    const reply = this.#life.connected().then((connection) => connection.request(action, fields));
    try {
      return await Promise.race([reply, timeout]);
    } finally {
      clearTimeout(timer);
      reply.catch(() => {}); // when it comes after all
    }
  }

  /**
   * Join a room, and again after each lost connection, until it is left.
   *
   * Resolves once the room is joined. `since` is a position to go on from, `resume` takes the one
   * that this browser has come to, and `last` is the number of messages to begin with otherwise.
   */
  async join(room, { since = null, last, resume = false, catchUp = false } = {}) {
    this.#check();
    const name = cleanName(room);
    if (this.#rooms.has(name)) throw new ChatError(`${name} is joined already`);
    const from = since ?? (resume ? this.#kept.get(`position:${name}`) : null);
    const most = this.#options.maxQueue;
    const membership = new Membership(name, this.#host(), { since: from, last, catchUp, most });
    this.#rooms.set(name, membership);
    this.#courier.shut(name);
    membership.run().catch((error) => this.#expelled(membership, error));
    await membership.joined.promise;
    return new Room(membership, this, resume ? (at) => this.#note(name, at) : () => {});
  }

  /** Leave a room, which ends the iteration over it; leaving any other does nothing. */
  async leave(room) {
    const name = cleanName(room);
    const membership = this.#rooms.get(name);
    if (!membership) return;
    this.#rooms.delete(name);
    membership.end(new ClosedError(1000, `${name} was left`), { quietly: true });
    this.#kept.remove(`position:${name}`);
    // A direct room cannot be left: its events go to the chat from now on.
    const connection = name.startsWith(DIRECT) ? null : this.#life.connection;
    try {
      if (connection) await insist(connection, "leave", { room: name });
    } catch (error) {
      // Who is not connected is in no room.
      if (!(error instanceof LostError)) throw error;
    }
    this.#courier.open(name);
  }

  /** Say something; resolves once it is acknowledged. It is sent again until then. */
  async publish(room, text, { cid = randomId(), replyTo } = {}) {
    // The message ends what others see of the typing; what is typed next is shown again.
    this.#typed.delete(cleanName(room));
    return this.#post(room, "message", { text, cid, reply_to: replyTo });
  }

  edit(room, offset, text, { cid = randomId() } = {}) {
    return this.#post(room, "edit", { offset, text, cid });
  }

  remove(room, offset, { cid = randomId() } = {}) {
    return this.#post(room, "delete", { offset, cid });
  }

  react(room, offset, emoji, { remove = false, cid = randomId() } = {}) {
    return this.#post(room, "react", { offset, emoji, remove, cid });
  }

  pin(room, offset, { remove = false, cid = randomId() } = {}) {
    return this.#post(room, "pin", { offset, remove, cid });
  }

  /** Say something to one user, given by id. */
  async direct(to, text, { cid = randomId(), replyTo } = {}) {
    this.#check();
    const fields = { to, text, cid, reply_to: replyTo };
    const letter = { user: this.#user, room: `${DIRECT}${to}`, action: "direct", fields };
    return this.#courier.post(letter);
  }

  /** Take a message out of the outbox; whoever waits for it gets a LostError. */
  retract(cid) {
    const error = new LostError("It was retracted; it may be stored");
    this.#courier.fail(error, (letter) => letter.fields.cid === cid);
  }

  history(room, { since, before, thread, pinned, limit } = {}) {
    const span = { since, before, thread, pinned, limit };
    return this.request("history", { room: cleanName(room), ...span });
  }

  /** List who has reacted to a message with what, `{emoji, sender}`. */
  reactions(room, offset) {
    return this.#list("reactions", "reactions", { room: cleanName(room), offset });
  }

  search(text, { room, before, limit } = {}) {
    return this.request("search", { text, room: room && cleanName(room), before, limit });
  }

  /** Note up to where the user has read a room. */
  read(room, offset) {
    return this.request("read", { room: cleanName(room), offset });
  }

  /** List the user's own rooms, with what is unread. */
  rooms() {
    return this.#list("rooms", "rooms");
  }

  /** List who is in a room, connection by connection. */
  members(room) {
    return this.#list("members", "members", { room: cleanName(room) });
  }

  /** List the users in a room; from then on, presence events tell who comes and goes. */
  presence(room) {
    return this.#list("presence", "users", { room: cleanName(room) });
  }

  /** Show that something is being typed; call it as often as you like. */
  typing(room) {
    const name = cleanName(room);
    const now = performance.now();
    if (now - (this.#typed.get(name) ?? -Infinity) < TYPING_EVERY) return;
    this.#typed.set(name, now);
    if (this.#rooms.get(name)?.inside) this.#life.connection?.tell("typing", { room: name });
  }

  /** Take a name, and take it again after each lost connection; return it as it is written. */
  async register(username) {
    const registered = await this.request("register", { username });
    this.#rename(registered.username);
    return registered.username;
  }

  /** Close the connection and end everything; what is in the outbox stays in the storage. */
  close() {
    this.#end(new ClosedError(1000, "The chat was closed"), { quietly: true });
  }

  /** Give what is of no joined room, and how the connection fares. */
  [Symbol.asyncIterator]() {
    const next = async () => {
      const value = await this.#feed.take();
      return value === null ? { done: true, value: undefined } : { done: false, value };
    };
    return { next };
  }

  #check() {
    if (this.#error) throw this.#error;
  }

  #tell(event) {
    if (this.#feed.length >= this.#options.maxQueue) this.#feed.drop();
    this.#feed.put(event);
  }

  async #post(room, action, fields) {
    this.#check();
    const name = cleanName(room);
    const letter = { user: this.#user, room: name, action, fields: { ...fields, room: name } };
    return this.#courier.post(letter);
  }

  async #list(action, key, fields = {}) {
    const entries = [];
    let page = { more: true };
    while (page.more) {
      page = await this.request(action, { ...fields, after: page.after });
      entries.push(...page[key]);
    }
    return entries;
  }

  // Letters of a room that nobody has joined here wait until somebody does.
  #adopt(letter) {
    if (this.#courier.letters.some(({ fields }) => fields.cid === letter.fields.cid)) return;
    const { room } = letter;
    if (!room.startsWith(DIRECT) && !this.#rooms.get(room)?.inside) this.#courier.shut(room);
    const outcome = this.#courier.post(letter, { adopted: true });
    outcome.catch(() => {}); // whoever wrote it is gone, and not everybody looks
    const { action: kind, ...message } = describe(letter);
    this.#tell({ action: "adopted", kind, ...message, outcome });
  }

  #note(room, position) {
    const before = this.#kept.get(`position:${room}`);
    if (before?.epoch === position.epoch && before.offset >= position.offset) return;
    this.#kept.set(`position:${room}`, position);
  }

  #listener() {
    return {
      connecting: () => this.#tell({ action: "connecting" }),
      online: (welcome, connection) => this.#online(welcome, connection),
      offline: () => this.#offline(),
      waiting: (why) => this.#tell({ action: "offline", ...why }),
      event: (frame) => {
        if (frame.action === "notification") this.#followName(frame);
        // Its offset is not its place in the room's stream, of which it is no part.
        const membership = frame.action !== "read" && this.#rooms.get(frame.room);
        if (membership) membership.take(frame);
        else this.#tell(frame);
      },
    };
  }

  // Another connection of ours may have changed it; the next one here must not undo that.
  #followName({ event, sender, username }) {
    if (event === "rename" && sender === this.user && this.#life.username) this.#rename(username);
  }

  #rename(username) {
    this.#life.username = username;
    this.#welcome = { ...this.#welcome, username };
  }

  #host() {
    return {
      gate: this.#gate,
      connected: () => this.#life.connected(),
      entered: (room) => this.#courier.open(room),
    };
  }

  #online({ id, action, guest_token: secret, ...welcome }, connection) {
    this.#welcome = welcome;
    this.#user = welcome.user;
    this.#courier.serve(connection, welcome.user, welcome.limits);
    this.#tell({ action: "online", ...welcome });
    this.#shelf.look(welcome.user);
  }

  #offline() {
    this.#courier.lose();
    for (const [room, membership] of this.#rooms) {
      this.#courier.shut(room);
      membership.lose();
    }
  }

  #expelled(membership, error) {
    const { room } = membership;
    if (this.#rooms.get(room) !== membership) return;
    this.#rooms.delete(room);
    membership.end(error);
    this.#courier.fail(error, (letter) => letter.room === room);
    this.#courier.open(room);
  }

  #end(error, { quietly = false } = {}) {
    if (this.#error) return;
    this.#error = error;
    this.#life.end(error);
    this.#courier.end(error);
    this.#tabs.close();
    this.#feed.end(quietly ? null : error);
    for (const membership of this.#rooms.values()) membership.end(error, { quietly });
    this.#rooms.clear();
    globalThis.removeEventListener?.("online", this.#awake);
    globalThis.removeEventListener?.("storage", this.#stored);
  }
}

const DIRECT = "dm:"; // how the names of rooms of two begin

/** Return a room's name as the server writes it; those of rooms of two, made of ids, stay as they are. */
export function cleanName(name) {
  if (name.startsWith(DIRECT)) return name;
  return name.normalize("NFKC").replace(/\s+/g, " ").trim();
}

function describe({ action, room, fields }) {
  return { action, ...fields, room };
}

// Asking for it raises where the browser forbids it.
function browserStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * Connect to a chat server.
 *
 * `url` is the address of the socket, ws:// or http://, also relative to the page; by default it is
 * that of the server this module came from. The options are in docs/javascript.md.
 */
export function connect(url = new URL("../ws", import.meta.url), options = {}) {
  const address = new URL(url, globalThis.document?.baseURI);
  address.protocol = address.protocol.replace(/^http/, "ws");
  address.hash = "";
  if (!/^wss?:$/.test(address.protocol)) {
    throw new TypeError(`${url} is no address of a chat; give one such as wss://chat.example/ws`);
  }
  const { token, username, storage, backoff } = options;
  const { timeout = 15_000, pingInterval = 25_000, maxQueue = 1_000, maxOutbox = 1_000 } = options;
  return new Chat({
    url: address.href,
    token: token ?? null,
    username: username ?? null,
    storage: storage ?? browserStorage() ?? new MemoryStorage(),
    backoff,
    timeout,
    pingInterval,
    maxQueue,
    maxOutbox,
  });
}
