// What close codes mean to somebody who writes a client (docs/protocol.md, "Close codes").

import { mayReconnect } from "./protocol.js";

const MEANINGS = {
  1000: ["OK", "the conversation is over"],
  1001: ["GOING_AWAY", "the other side goes away"],
  1002: ["PROTOCOL_ERROR", "broken frames, or a close code that must not travel"],
  1005: ["NO_STATUS", "a close without a code"],
  1006: ["ABNORMAL", "the connection ended without a close; a client that does not read is cut off so"],
  1007: ["BAD_TEXT", "a text frame was not UTF-8"],
  1009: ["TOO_BIG", "a message above the hard limit"],
  1011: ["INTERNAL", "the server, or a proxy before it, has failed"],
  1012: ["RESTART", "the server, or a proxy before it, restarts"],
  3001: ["SHUTDOWN", "the server shuts down"],
  3004: ["INTERNAL_ERROR", "a fault of the server"],
  3005: ["EXPIRED", "the token has expired and was not refreshed"],
  3008: ["SLOW_CONSUMER", "the client did not read"],
  3010: ["INSUFFICIENT_STATE", "the client has missed something"],
  3011: ["RECONNECT", "the server wants the client elsewhere"],
  3012: ["NO_PONG", "the client was silent for too long"],
  3013: ["TOO_MANY_REQUESTS", "the waits in rate_limited were not heeded"],
  3500: ["INVALID_TOKEN", "the token sent in hello is wrong"],
  3501: ["BAD_MESSAGES", "too many bad frames in a row"],
  3502: ["NEVER_AUTHENTICATED", "no token came in time"],
  3503: ["KICKED", "the application or a plugin removed the user"],
  3504: ["CONNECTION_LIMIT", "the user has too many connections"],
  3507: ["BANNED", "the user is banned"],
};

/** Say what a close code means and what a client does about it; the peer's reason goes along. */
export function explainClose(code, reason = "") {
  const [name, meaning] = MEANINGS[code] ?? [null, "a code of the application's own"];
  const title = name ? `${code} ${name}` : String(code);
  const said = reason ? ` (“${reason}”)` : "";
  const then = mayReconnect(code) ? "connects again, with growing waits" : "does not connect again";
  return `Closed with ${title}: ${meaning}${said}. A client ${then}.`;
}
