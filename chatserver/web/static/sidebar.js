// The lists of rooms: joined ones with what is unread, and those one could join.

import { KeyedList, make, makeWritten } from "./dom.js";

/** Shows rooms as `[name, {members, unread, current}]`. */
export class Sidebar {
  #joined;
  #others;
  #nothing;

  /** `actions`: `select(room)`, `leave(room)`, `join(room)`. */
  constructor(root, { select, leave, join }) {
    this.#nothing = root.querySelector("#no-others");
    this.#joined = new KeyedList(
      root.querySelector("#joined"),
      (name) => {
        const item = roomItem(name, () => select(name));
        const button = make("button", "leave", "×");
        button.type = "button";
        button.ariaLabel = `Leave ${name}`;
        button.title = `Leave ${name}`;
        button.addEventListener("click", () => leave(name));
        item.append(button);
        return item;
      },
      update,
    );
    this.#others = new KeyedList(
      root.querySelector("#others"),
      (name) => roomItem(name, () => join(name)),
      update,
    );
  }

  show(joined, others) {
    this.#joined.show(joined);
    this.#others.show(others);
    this.#nothing.hidden = others.length > 0;
  }
}

/** Make a list of rooms that only offers to pick one. */
export function roomChoice(list, pick) {
  return new KeyedList(list, (name) => roomItem(name, () => pick(name)), update);
}

function roomItem(name, pick) {
  const item = make("li", "room");
  const button = make("button", "pick");
  button.type = "button";
  const members = make("span", "members");
  members.append(make("span", "count"), make("span", "hush"));
  const unread = make("span", "unread");
  unread.append(make("span", "count"), make("span", "hush", " unread"));
  button.append(makeWritten("span", "name", name), " ", members, " ", unread);
  button.addEventListener("click", pick);
  item.append(button);
  return item;
}

function update(item, { members = 0, unread = 0, current = false }) {
  const word = members === 1 ? "member" : "members";
  put(item.querySelector(".members .count"), String(members));
  put(item.querySelector(".members .hush"), ` ${word}`);
  item.querySelector(".members").title = `${members} ${word}`;
  put(item.querySelector(".unread .count"), unread > 99 ? "99+" : String(unread));
  item.querySelector(".unread").hidden = unread === 0;
  if (current) item.querySelector(".pick").setAttribute("aria-current", "true");
  else item.querySelector(".pick").removeAttribute("aria-current");
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
