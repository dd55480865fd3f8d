// What chatserver.js finds in browsers and in Node 22, for older versions of Node.

import { webcrypto } from "node:crypto";

const ws = "../../.npm/ws/node_modules/ws/wrapper.mjs";

globalThis.crypto ??= webcrypto;
globalThis.WebSocket ??= (await import(ws)).WebSocket;
