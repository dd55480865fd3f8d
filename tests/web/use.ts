// Uses everything that chatserver.d.ts declares; tests/web/test_types.py has tsc look at it.

import {
  ActionError,
  type Chat,
  ChatError,
  cleanName,
  ClosedError,
  connect,
  HandshakeError,
  LostError,
  OutboxFullError,
  type Room,
  type RoomEvent,
} from "../../chatserver/web/static/chatserver.js";

const chat: Chat = connect("wss://chat.example/ws", {
  token: async () => "token",
  username: "alice",
  storage: sessionStorage,
  backoff: { first: 500, most: 10_000, steady: 5_000 },
  timeout: 10_000,
  pingInterval: 30_000,
  maxQueue: 100,
  maxOutbox: 100,
});

function show(event: RoomEvent): string {
  switch (event.action) {
    case "message":
      return `${event.username}: ${event.text} (${event.offset})`;
    case "edit":
      return `${event.target}: ${event.text}`;
    case "reaction":
      return event.remove ? "" : event.emoji;
    case "gap":
      return `${event.reason} ${event.seen?.offset} ${event.resumes?.offset}`;
    case "recovered":
      return String(event.missed + event.members);
    case "dice.rolled":
      return String(event["value"]);
    default:
      return event.action;
  }
}

async function follow(room: Room): Promise<void> {
  for await (const event of room) show(event);
}

async function watch(): Promise<void> {
  for await (const event of chat) {
    if (event.action === "offline") console.log(event.reason, event.code, event.wait);
    if (event.action === "online") console.log(event.user, event.limits.max_rooms);
    if (event.action === "adopted") console.log(event.cid, (await event.outcome).offset);
  }
}

async function main(): Promise<void> {
  const { user } = await chat.connected();
  const room = await chat.join("lobby", { last: 50, resume: true, catchUp: true });
  void follow(room);
  void watch();
  const sent = await room.publish("Hello!", { cid: "c-1", replyTo: 1 });
  const offset: number | undefined = sent.offset;
  if (offset !== undefined) await room.edit(offset, "Hello?");
  await room.react(1, "👍", { remove: true });
  await chat.direct(user, "Psst!");
  if (cleanName(" Tea  room") !== room.name) await chat.leave(room.name);
  const rooms: string[] = (await chat.rooms()).map(({ room }) => room);
  const { results, next } = await chat.search(rooms.join(" "), { limit: 5 });
  await chat.search("more", { before: next, room: "lobby" });
  const pins = await room.history({ pinned: true, before: 9 });
  const reactions = await chat.reactions("lobby", pins.messages[0]?.offset ?? 1);
  console.log((await room.reactions(1)).length, reactions[0]?.emoji, reactions[0]?.sender);
  await chat.request("dice.roll", { sides: results.length });
}

main().catch((error: unknown) => {
  if (error instanceof ActionError) console.log(error.code, error.field, error.retryAfter);
  else if (error instanceof HandshakeError) console.log(error.status);
  else if (error instanceof ClosedError) console.log(error.code);
  else if (error instanceof LostError || error instanceof OutboxFullError) console.log(error.name);
  else if (error instanceof ChatError) console.log(error.message);
});

// @ts-expect-error: the text is missing
void chat.publish("lobby");
// @ts-expect-error: a message has no emoji
show({ action: "message", room: "lobby", text: "", timestamp: "", emoji: "👍" });
// @ts-expect-error: there is no such option
connect("wss://chat.example/ws", { reconnect: true });
