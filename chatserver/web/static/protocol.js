// What the wire protocol chatserver.v1 says, as functions without side effects.

export const SUBPROTOCOL = "chatserver.v1";

const BACKOFF_FIRST = 1_000;
const BACKOFF_LAST = 30_000;
// Frames we would only break again in the same way: there is no use in coming back.
const OUR_FAULT = new Set([1000, 1002, 1003, 1007, 1008, 1010]);
const TRANSIENT = new Set(["rate_limited", "unavailable", "draining", "timeout", "lost"]);

const CLOSE_TEXTS = {
  1000: "The server ended the conversation.",
  1009: "A message was too large for the server.",
  1012: "The server is restarting.",
  3001: "The server is restarting.",
  3004: "The server had an internal error.",
  3005: "Your sign-in has expired.",
  3011: "The server asked us to connect again.",
  3012: "The connection went silent.",
  3013: "Too many requests.",
  3500: "Your sign-in is not valid.",
  3501: "The server could not understand this page. Reload it.",
  3502: "The server waited for a sign-in that did not come.",
  3503: "A moderator has removed you.",
  3504: "You have too many connections open. Close some and try again.",
  3507: "You are banned from this server.",
};

const REFUSAL_TEXTS = {
  401: "The server wants a valid sign-in.",
  403: "The server does not allow this page to connect.",
  429: "Too many attempts from here.",
  503: "The server is busy or going down.",
};

/** An error reply, or our own verdict on a request (lost, timeout); `message` is for people. */
export class Refused extends Error {
  constructor(code, message, retryAfter = null) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter; // seconds
  }

  /** Whether the same request may succeed later. */
  get transient() {
    return TRANSIENT.has(this.code);
  }
}

/** Return the wait in ms before attempt 0, 1, 2, …: full jitter below 1 s, 2 s, 4 s … 30 s. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_LAST, BACKOFF_FIRST * 2 ** attempt);
}

/** Tell whether a close code allows the client to come back by itself. */
export function mayReconnect(code) {
  if ((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999)) return false;
  return !OUR_FAULT.has(code);
}

/** Say in words why a connection was closed; a reason the server wrote itself goes along. */
export function explainClose(code, reason = "") {
  const known = CLOSE_TEXTS[code];
  if (known) return known;
  if (reason) return `The server closed the connection: ${reason}`;
  return code === 1006 ? "The connection was lost." : `The connection was closed (${code}).`;
}

/** Encode text as base64url without padding (RFC 4648, section 5) of its UTF-8 bytes. */
export function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** List the subprotocols to offer; a token travels as the second of them. */
export function offers(token) {
  return token ? [SUBPROTOCOL, `bearer.${base64url(token)}`] : [SUBPROTOCOL];
}

/** Take `token` out of a URL fragment: the token (or null) and the fragment without it. */
export function takeToken(fragment) {
  const fields = fragment.replace(/^#/, "").split("&");
  const rest = fields.filter((field) => !field.startsWith("token="));
  const found = fields.find((field) => field.startsWith("token="));
  return {
    token: (found && unquote(found.slice("token=".length))) || null,
    fragment: rest.some(Boolean) ? `#${rest.join("&")}` : "",
  };
}

// Not URLSearchParams, which makes a space of the plus sign that tokens may contain.
function unquote(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Build the ws:// or wss:// address that belongs to the page's own address. */
export function socketUrl(path, page) {
  const url = new URL(path, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

/** Read a Retry-After header (RFC 9110, section 10.2.3) as ms from `now`; null when absent. */
export function retryAfter(header, now) {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/**
 * Judge the plain answer to GET of the socket path after an upgrade failed: whether to stop, the
 * wait in ms the server wants (null: our own), and the reason for people (null: none was given).
 */
export function judgeRefusal(status, header, body, now) {
  const known = REFUSAL_TEXTS[status];
  if (!known) return { stop: false, wait: null, text: null };
  const detail = body.trim().slice(0, 200);
  return {
    stop: status === 401 || status === 403,
    wait: status === 429 || status === 503 ? retryAfter(header, now) : null,
    text: detail ? `${known} (${detail})` : known,
  };
}

/** Parse one frame; null for everything that is not a JSON object. */
export function parseFrame(data) {
  if (typeof data !== "string") return null;
  try {
    const frame = JSON.parse(data);
    return frame !== null && typeof frame === "object" && !Array.isArray(frame) ? frame : null;
  } catch {
    return null;
  }
}
