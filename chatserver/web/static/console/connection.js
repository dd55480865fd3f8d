// One socket at a time, opened and closed by hand: nothing comes back by itself here.

import { offers } from "./protocol.js";
import { explainClose } from "./closes.js";

const ASK_TIMEOUT = 10_000;

/**
 * The connection under test.
 *
 * The listener is told `state(name, text)` with the names closed, connecting and open, and
 * `received(data)` with what each message holds: text, or an ArrayBuffer.
 */
export class Connection {
  #listener;
  #socket = null;

  constructor(listener) {
    this.#listener = listener;
  }

  get idle() {
    return this.#socket === null;
  }

  /** Connect; a token is offered as the second subprotocol. */
  open(url, token) {
    let socket;
    try {
      socket = new WebSocket(url, offers(token));
    } catch (error) {
      this.#listener.state("closed", `This address cannot be used: ${error.message}`);
      return;
    }
    let opened = false;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      opened = true;
      this.#listener.state("open", `Connected to ${socket.url}`);
    };
    socket.onmessage = ({ data }) => this.#listener.received(data);
    socket.onclose = async ({ code, reason }) => {
      const text = opened ? explainClose(code, reason) : await explainRefusal(socket.url, token);
      this.#socket = null;
      this.#listener.state("closed", text);
    };
    this.#listener.state("connecting", `Connecting to ${socket.url} …`);
  }

  /** Close with 1000; the state changes when the server has answered. */
  close() {
    this.#socket?.close(1000);
  }

  /** Send a text as one frame; return whether there was a connection to send it on. */
  send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }
}

// A browser does not say why an upgrade failed; the same address, asked plainly, does. It may be
// asked only where it is our own.
async function explainRefusal(address, token) {
  const url = new URL(address);
  url.protocol = url.protocol.replace("ws", "http");
  if (url.origin !== location.origin) {
    return "No connection; the browser does not say why a server elsewhere refused it.";
  }
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const signal = AbortSignal.timeout(ASK_TIMEOUT);
    const response = await fetch(url, { cache: "no-store", headers, signal });
    if (response.status === 426) return "No connection, but the server would let us in now.";
    return `Refused with ${response.status}: ${(await response.text()).trim()}`;
  } catch {
    return "No connection: the server does not answer.";
  }
}
