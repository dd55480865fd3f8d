// The names of direct rooms: `dm:`, and the ids of both users in order.

const PREFIX = "dm:";

/** Tell whether a room is a direct one. */
export function isDirect(room) {
  return room.startsWith(PREFIX);
}

/** Return the name of the direct room of two users, given by their ids in any order. */
export function directRoom(one, other) {
  return PREFIX + [one, other].sort(byCodePoints).map(escaped).join(":");
}

/** Return the id of the user with whom `user` is in a direct room. */
export function partner(room, user) {
  const [one, other] = room.slice(PREFIX.length).split(":").map(unescaped);
  return one === user ? other : one;
}

function escaped(user) {
  return user.replaceAll("%", "%25").replaceAll(":", "%3A");
}

function unescaped(text) {
  return text.replaceAll("%3A", ":").replaceAll("%25", "%");
}

// As the server orders them; comparing strings goes by UTF-16, which puts some characters elsewhere.
function byCodePoints(one, other) {
  const [left, right] = [one, other].map((text) => Array.from(text, (char) => char.codePointAt(0)));
  const at = left.findIndex((code, index) => code !== right[index]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}
