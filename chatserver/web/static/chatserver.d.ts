// The types of chatserver.js; docs/javascript.md explains them.

/** A place in a room's history. */
export interface Position {
  epoch: string;
  offset: number;
}

/** What localStorage offers; anything else that does so serves as well. */
export interface StorageLike {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface Options {
  /** A token, or a function that gets one, called for each connection and before one expires. */
  token?: string | (() => string | Promise<string>) | null;
  /** The name to register on each connection. */
  username?: string | null;
  /** Where the guest token, the outbox and positions are kept; localStorage by default. */
  storage?: StorageLike;
  /** The waits before connecting again, in ms: 1000, 30000 and 10000 by default. */
  backoff?: { first?: number; most?: number; steady?: number };
  /** How long a handshake and a request may take, in ms: 15000 by default. */
  timeout?: number;
  /** How often the server is pinged, in ms: 25000 by default; it has half of that to answer. */
  pingInterval?: number;
  /** Events that may wait for their reader, in each room: 1000 by default. */
  maxQueue?: number;
  /** Messages that may wait for their acknowledgement: 1000 by default. */
  maxOutbox?: number;
}

export interface JoinOptions {
  /** A position to go on from. */
  since?: Position | null | undefined;
  /** How many of the newest messages to begin with, 1 to 1000. */
  last?: number;
  /** Go on from where this browser has come to, if it was here before. */
  resume?: boolean;
  /** Read by pages what was missed and is more than a join brings. */
  catchUp?: boolean;
}

export interface Cid {
  /** The message's id, 1 to 64 characters; a random one if left out. */
  cid?: string;
}

export interface Say extends Cid {
  /** The offset of the message it answers. */
  replyTo?: number;
}

export interface Removable extends Cid {
  /** Take it back instead. */
  remove?: boolean;
}

export interface Span {
  /** The messages behind this offset, or the oldest that are kept. */
  since?: number | undefined;
  /** The messages next before this offset; not with `since` or `thread`. */
  before?: number | undefined;
  /** Only the message at this offset and those that answer it, the oldest first. */
  thread?: number | undefined;
  /** Only the messages that are pinned; not with `since` or `thread`. */
  pinned?: boolean;
  /** 1 to 1000 messages, 50 by default. */
  limit?: number;
}

export interface Scope {
  /** `next` of the answer that this one continues. */
  before?: number | string | undefined;
  /** 1 to 100 messages, 20 by default. */
  limit?: number;
}

/** A frame of the server, with whatever fields docs/protocol.md or a plugin gives it. */
export interface Frame {
  action: string;
  [field: string]: unknown;
}

/** What the server adds to events of a room. */
export interface Stamp {
  room: string;
  timestamp: string;
  sender?: string;
  username?: string;
  cid?: string;
  offset?: number;
}

export interface MessageEvent extends Stamp {
  action: "message";
  text: string;
  reply_to?: number;
}

export interface NotificationEvent extends Stamp {
  action: "notification";
  event: "join" | "leave" | "rename";
  text: string;
  old?: string;
}

/** Where a room stands, as the answer to a join tells. */
export interface Standing {
  room: string;
  members: number;
  moderate?: boolean;
  epoch?: string;
  offset?: number;
  oldest?: number;
  more?: boolean;
  read?: number;
  unread?: number;
}

/** The room is joined for the first time. */
export interface JoinedEvent extends Standing {
  action: "joined";
}

/** The room is joined again, and nothing of its history was missed. */
export interface RecoveredEvent extends Standing {
  action: "recovered";
  /** How many events follow that happened meanwhile. */
  missed: number;
}

/** The room is joined again, and something may have been missed. */
export interface GapEvent extends Partial<Standing> {
  action: "gap";
  room: string;
  reason: "no_history" | "long" | "trimmed" | "reset";
  /** The last position before the gap. */
  seen: Position | null;
  /** Events follow behind this position. */
  resumes: Position | null;
}

/** Somebody is typing. */
export interface TypingEvent extends Stamp {
  action: "typing";
}

/** A user came, or has been away for a while. */
export interface PresenceEvent extends Stamp {
  action: "presence";
  state: "online" | "offline";
}

/** A message has another text. */
export interface EditEvent extends Stamp {
  action: "edit";
  /** The message's offset. */
  target: number;
  text: string;
}

/** A message was deleted. */
export interface DeleteEvent extends Stamp {
  action: "delete";
  target: number;
}

/** Somebody reacted to a message, or took that back. */
export interface ReactionEvent extends Stamp {
  action: "reaction";
  target: number;
  emoji: string;
  remove: boolean;
}

/** A message was pinned, or taken off. */
export interface PinEvent extends Stamp {
  action: "pin";
  target: number;
  remove: boolean;
}

/** In what was missed: a message that has been deleted since. */
export interface ErasedEvent {
  action: "erased";
  room: string;
  offset: number;
}

/** An event of a plugin; their names have a dot. */
export interface PluginEvent {
  action: `${string}.${string}`;
  [field: string]: unknown;
}

/** What the server sends of a room. */
export type Publication =
  | MessageEvent
  | NotificationEvent
  | TypingEvent
  | PresenceEvent
  | EditEvent
  | DeleteEvent
  | ReactionEvent
  | PinEvent
  | PluginEvent;

/** What iterating over a room gives. */
export type RoomEvent = Publication | JoinedEvent | RecoveredEvent | GapEvent | ErasedEvent;

export interface Limits {
  max_message_size: number;
  max_frame_out: number;
  max_rooms: number;
  max_in_flight: number;
}

export interface Welcome {
  session: string;
  user: string;
  username?: string;
  server: string;
  version: string;
  limits: Limits;
  ping_interval: number;
  time: string;
}

export interface OnlineEvent extends Welcome {
  action: "online";
}

export interface ConnectingEvent {
  action: "connecting";
}

export interface OfflineEvent {
  action: "offline";
  /** Why, for people. */
  reason: string;
  /** The close code; null where no connection was made. */
  code: number | null;
  /** Ms until the next try. */
  wait: number;
}

/** A message of the outbox of a tab that is gone is sent by this one now. */
export interface AdoptedEvent extends Omit<Letter, "action"> {
  action: "adopted";
  /** What is asked for: message, edit, delete, react, pin or direct. */
  kind: string;
  outcome: Promise<Sent>;
}

/** The server sent what is no JSON, as action `broadcast` does. */
export interface PlainTextEvent {
  action: "plain_text";
  text: string;
}

/** Another connection of the user has read a room. */
export interface ReadEvent extends Stamp {
  action: "read";
  offset: number;
}

/** The server refuses something that was not asked with an id. */
export interface ErrorEvent {
  action: "error";
  code: string;
  message: string;
}

/** What iterating over the chat gives: the connection, and what is of no joined room. */
export type ChatEvent =
  | ConnectingEvent
  | OnlineEvent
  | OfflineEvent
  | AdoptedEvent
  | PlainTextEvent
  | ReadEvent
  | ErrorEvent
  | Publication;

/** A message that waits for its acknowledgement, with the fields of its request. */
export interface Letter {
  action: string;
  room: string;
  cid: string;
  text?: string;
  reply_to?: number;
  offset?: number;
  emoji?: string;
  remove?: boolean;
  to?: string;
}

/** An acknowledgement: the message is stored, with this position for ever. */
export interface Sent {
  room: string;
  timestamp: string;
  cid: string;
  /** Missing in rooms that keep no history. */
  offset?: number;
  epoch?: string;
  duplicate?: boolean;
}

/** A message as a history has it; one that was deleted has only its offset. */
export interface Entry {
  offset: number;
  [field: string]: unknown;
}

export interface Page {
  room: string;
  messages: Entry[];
  offset: number;
  epoch: string;
  oldest: number;
  more: boolean;
  next?: number;
}

export interface Found {
  results: Entry[];
  more: boolean;
  next?: number | string;
}

export interface Reaction {
  emoji: string;
  sender: string;
}

export interface OwnRoom {
  room: string;
  members: number;
  offset?: number;
  epoch?: string;
  read?: number;
  unread?: number;
  last?: Entry;
}

export interface Member {
  username: string;
  sender: string;
}

export interface Present extends Member {
  since: string;
  devices: number;
}

/** Connect to a chat server; by default, to that which this module came from. */
export function connect(url?: string | URL, options?: Options): Chat;

export class Chat implements AsyncIterable<ChatEvent> {
  private constructor();
  readonly user: string | null;
  readonly username: string | null;
  readonly outbox: Letter[];
  connected(): Promise<Welcome>;
  reconnect(): void;
  request(action: string, fields?: Record<string, unknown>): Promise<Frame>;
  join(room: string, options?: JoinOptions): Promise<Room>;
  leave(room: string): Promise<void>;
  publish(room: string, text: string, options?: Say): Promise<Sent>;
  edit(room: string, offset: number, text: string, options?: Cid): Promise<Sent>;
  remove(room: string, offset: number, options?: Cid): Promise<Sent>;
  react(room: string, offset: number, emoji: string, options?: Removable): Promise<Sent>;
  pin(room: string, offset: number, options?: Removable): Promise<Sent>;
  direct(to: string, text: string, options?: Say): Promise<Sent>;
  retract(cid: string): void;
  history(room: string, options?: Span): Promise<Page>;
  reactions(room: string, offset: number): Promise<Reaction[]>;
  search(text: string, options?: Scope & { room?: string }): Promise<Found>;
  read(room: string, offset: number): Promise<{ room: string; offset: number }>;
  rooms(): Promise<OwnRoom[]>;
  members(room: string): Promise<Member[]>;
  presence(room: string): Promise<Present[]>;
  typing(room: string): void;
  register(username: string): Promise<string>;
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<ChatEvent, undefined>;
}

export class Room implements AsyncIterable<RoomEvent> {
  private constructor();
  readonly name: string;
  readonly position: Position | null;
  publish(text: string, options?: Say): Promise<Sent>;
  edit(offset: number, text: string, options?: Cid): Promise<Sent>;
  remove(offset: number, options?: Cid): Promise<Sent>;
  react(offset: number, emoji: string, options?: Removable): Promise<Sent>;
  pin(offset: number, options?: Removable): Promise<Sent>;
  history(options?: Span): Promise<Page>;
  reactions(offset: number): Promise<Reaction[]>;
  search(text: string, options?: Scope): Promise<Found>;
  read(offset: number): Promise<{ room: string; offset: number }>;
  members(): Promise<Member[]>;
  presence(): Promise<Present[]>;
  typing(): void;
  leave(): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<RoomEvent, undefined>;
}

/** Return a room's name as the server writes it. */
export function cleanName(name: string): string;

export class ChatError extends Error {}

export class ActionError extends ChatError {
  private constructor();
  readonly code: string;
  readonly field: string | null;
  /** Seconds. */
  readonly retryAfter: number | null;
}

export class HandshakeError extends ChatError {
  constructor(status: number, message: string);
  readonly status: number;
}

export class ClosedError extends ChatError {
  private constructor();
  readonly code: number;
}

export class LostError extends ChatError {
  private constructor();
}

export class OutboxFullError extends ChatError {
  private constructor();
}
