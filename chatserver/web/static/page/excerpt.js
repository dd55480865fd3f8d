// A message as lists beside the log show it.

import { make, makeButton, makeWritten } from "./dom.js";
import { readTime, stamp } from "./times.js";

/** Make an entry of such a list; `where` names the room, if that is not clear. */
export function excerpt({ username = "", text = "", timestamp }, where, onPick) {
  const button = makeButton("result", "", onPick);
  const head = make("span", "head");
  head.append(makeWritten("b", "", username));
  if (where) head.append(" in ", makeWritten("span", "", where));
  head.append(" ", stamp(readTime(timestamp)));
  button.append(head, makeWritten("span", "said", text));
  const item = make("li");
  item.append(button);
  return item;
}
