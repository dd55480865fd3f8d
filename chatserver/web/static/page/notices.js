// Comings and goings, folded into one line as long as nobody says anything in between.

const NAMED = 3;

/** Make an entry of a notification, which later ones may join. */
export function noticeEntry(event) {
  return { kind: "notices", notices: [event], timestamp: event.timestamp };
}

/** Say in one line what a row of notifications comes to. */
export function summary(notices) {
  if (notices.length === 1) return notices[0].text ?? "";
  const ends = new Map();
  for (const { sender, username, event, text, old } of notices) {
    const before = ends.get(sender) ?? { first: event };
    ends.set(sender, { ...before, name: username, last: event, old: before.old ?? old, text });
  }
  const users = [...ends.values()];
  const of = (first, last) => users.filter((user) => user.first === first && user.last === last);
  const came = users.filter(({ first, last }) => first !== "leave" && last === "join");
  const sentences = [
    [came, "joined"],
    [users.filter(({ first, last }) => first !== "join" && last === "leave"), "left"],
    [of("join", "leave"), "came and went"],
    [of("leave", "join"), "left and came back"],
    [users.filter(({ last }) => last === "rename"), "changed names"],
  ];
  return sentences
    .filter(([who]) => who.length)
    .map(([who, did]) => `${names(who)} ${did}`)
    .join("; ");
}

function names(users) {
  const named = users.slice(0, NAMED).map(({ name }) => name);
  const rest = users.length - named.length;
  if (rest) return `${named.join(", ")} and ${rest} more`;
  if (named.length === 1) return named[0];
  return `${named.slice(0, -1).join(", ")} and ${named.at(-1)}`;
}
