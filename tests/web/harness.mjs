// Servers to talk to, a storage that tabs share, and events to wait for.

import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "../../chatserver/web/static/chatserver.js";

// No other program gets one of them while its server is down.
const PORTS = process.env.PORTS.split(" ").map(Number);

export const QUICK = { first: 50, most: 200 };
const EVENT_WITHIN = 30_000;

/** A chatserver in a process of its own, on a port that it keeps over a restart. */
export class Server {
  #folder;
  #settings;
  #port = PORTS.pop();
  #process = 0;
  #gone = null;

  /** Start one that the test ends. */
  static async start(test, settings = {}) {
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), "chatserver-"));
    server.#settings = settings;
    await server.start();
    test.after(async () => {
      await server.end("SIGTERM");
      await rm(server.#folder, { recursive: true });
    });
    return server;
  }

  get url() {
    return `ws://127.0.0.1:${this.#port}/ws`;
  }

  async start() {
    const { server = {}, ...others } = this.#settings;
    const data = join(this.#folder, "data");
    const where = { host: "127.0.0.1", port: this.#port, data_dir: data, ...server };
    const config = join(this.#folder, "config.yaml");
    await writeFile(config, JSON.stringify({ server: where, ...others }));
    const asked = createConnection(process.env.SERVERS);
    asked.write(`${config}\n`);
    this.#gone = new Promise((resolve) => asked.once("close", resolve));
    this.#process = await new Promise((resolve, reject) => {
      const lines = createInterface({ input: asked });
      lines.once("line", (number) => {
        lines.on("line", (line) => {
          if (line === `Listening on http://127.0.0.1:${this.#port}/`) resolve(Number(number));
        });
      });
      lines.once("close", () => reject(new Error("the server ended before it listened")));
    });
  }

  /** End it by SIGTERM or SIGKILL, and wait until it is gone. */
  async end(signal) {
    if (this.#process === 0) return;
    process.kill(this.#process, signal);
    this.#process = 0;
    await this.#gone;
  }
}

/**
 * Serve sockets that are closed as soon as they are open, or refused; return their address.
 *
 * What comes behind the address, as a number, says how: by close codes or by HTTP statuses.
 */
export async function serveEnds(test) {
  const server = createServer((request, response) => {
    response.writeHead(Number(request.url.slice(1)), { "Retry-After": "7" }).end();
  });
  server.on("upgrade", ({ url, headers }, socket) => {
    const code = Number(url.slice(1));
    socket.on("error", () => {}); // what the client still sends
    if (code < 1000) {
      socket.end(`HTTP/1.1 ${code} Refused\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const answer = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Protocol: chatserver.v1",
      `Sec-WebSocket-Accept: ${createHash("sha1").update(key).digest("base64")}`,
    ];
    socket.write(`${answer.join("\r\n")}\r\n\r\n`);
    // Two stand for what does not travel: a close without a code, and an end without a close.
    const close = { 1005: [0x88, 0], 1006: [] }[code] ?? [0x88, 2, code >> 8, code & 0xff];
    socket.end(Buffer.from(close));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => server.close());
  return `ws://127.0.0.1:${server.address().port}/`;
}

/** Return the rows of the tables in a page of docs/ that begin with these columns. */
export async function rows(page, ...columns) {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), "utf8");
  const found = [];
  let wanted = false;
  for (const line of text.split("\n")) {
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    if (cells.length === 0) wanted = false;
    else if (wanted) found.push(cells);
    else wanted = columns.every((column, index) => cells[index] === column);
  }
  return found.filter(([first]) => !first.startsWith("---"));
}

/** What the tabs of a browser share. */
export class SharedStorage {
  items = new Map();

  get length() {
    return this.items.size;
  }

  key(index) {
    return [...this.items.keys()][index];
  }

  getItem(key) {
    return this.items.get(key) ?? null;
  }

  setItem(key, value) {
    this.items.set(key, value);
  }

  removeItem(key) {
    this.items.delete(key);
  }
}

/** Connect a client that the test closes. */
export function open(test, url, options = {}) {
  const chat = connect(url, { backoff: QUICK, ...options });
  test.after(() => chat.close());
  return chat;
}

/** Takes the events of a chat or room one by one. */
export class Reader {
  #iterator;

  constructor(source) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Return the next event of an action, passing over others. */
  async expect(action) {
    let timer;
    const late = new Promise((_, reject) => {
      const error = new Error(`no ${action} came`);
      timer = setTimeout(() => reject(error), EVENT_WITHIN);
    });
    try {
      for (;;) {
        const { done, value } = await Promise.race([this.#iterator.next(), late]);
        if (done) throw new Error(`the end came before ${action}`);
        if (value.action === action) return value;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Return the texts of so many messages, in their order. */
  async texts(count) {
    const texts = [];
    while (texts.length < count) texts.push((await this.expect("message")).text);
    return texts;
  }
}
