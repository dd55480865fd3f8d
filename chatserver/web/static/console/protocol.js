// What the console knows of the wire protocol chatserver.v1, as functions without side effects.

const SUBPROTOCOL = "chatserver.v1";

// Frames we would only break again in the same way: there is no use in coming back.
const OUR_FAULT = new Set([1000, 1002, 1003, 1007, 1008, 1010]);

/** Tell whether a close code allows the client to come back by itself. */
export function mayReconnect(code) {
  if ((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999)) return false;
  return !OUR_FAULT.has(code);
}

/** List the subprotocols to offer; a token travels as the second of them. */
export function offers(token) {
  return token ? [SUBPROTOCOL, `bearer.${base64url(token)}`] : [SUBPROTOCOL];
}

/** Build the ws:// or wss:// address that belongs to the page's own address. */
export function socketUrl(path, page) {
  const url = new URL(path, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
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

// Base64url without padding (RFC 4648, section 5) of its UTF-8 bytes.
function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
