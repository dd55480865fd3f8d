// The lists of rooms: joined ones with what is unread, direct ones, and those one could join.

import { KeyedList, make, makeButton, makeIconButton, makeWritten, put, tell } from "./dom.js";

/** Tells `join {room}` and `leave {room}`. */
export class Rooms extends HTMLElement {
  #joined = this.#list(".joined", { leave: true });
  #direct = this.#list(".direct");
  #others = this.#list(".others");

  connectedCallback() {
    const form = this.querySelector("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const input = form.querySelector("input");
      const room = input.value.trim();
      input.value = "";
      if (room) tell(this, "join", { room });
    });
  }

  /** Show rooms, each `[name, {title, members, unread, current}]`. */
  show({ joined, direct, others }) {
    this.#joined.show(joined);
    this.#direct.show(direct);
    this.#others.show(others);
    this.querySelector(".no-direct").hidden = direct.length > 0;
    this.querySelector(".no-others").hidden = others.length > 0;
  }

  #list(selector, { leave = false } = {}) {
    const create = (name) => {
      const item = roomItem(() => tell(this, "join", { room: name }));
      if (leave) item.append(this.#leaveButton(name));
      return item;
    };
    return new KeyedList(this.querySelector(selector), create, showRoom);
  }

  #leaveButton(name) {
    return makeIconButton("leave", "close", `Leave ${name}`, () => {
      tell(this, "leave", { room: name });
    });
  }
}

/** Make a list of rooms that only offers to pick one. */
export function roomChoice(list, pick) {
  return new KeyedList(list, (name) => roomItem(() => pick(name)), showRoom);
}

function roomItem(pick) {
  const item = make("li", "room");
  const button = makeButton("pick", "", pick);
  const members = make("span", "members");
  members.append(make("span", "count"), make("span", "hush"));
  const unread = make("span", "unread");
  unread.append(make("span", "count"), make("span", "hush", " unread"));
  button.append(makeWritten("span", "name", ""), " ", members, " ", unread);
  item.append(button);
  return item;
}

function showRoom(item, { title, members = 0, unread = 0, current = false }) {
  const word = members === 1 ? "member" : "members";
  put(item.querySelector(".name"), title);
  put(item.querySelector(".members .count"), String(members));
  put(item.querySelector(".members .hush"), ` ${word}`);
  item.querySelector(".members").title = `${members} ${word}`;
  item.querySelector(".members").hidden = members === 0;
  put(item.querySelector(".unread .count"), unread > 99 ? "99+" : String(unread));
  item.querySelector(".unread").hidden = unread === 0;
  if (current) item.querySelector(".pick").setAttribute("aria-current", "true");
  else item.querySelector(".pick").removeAttribute("aria-current");
}

customElements.define("chat-rooms", Rooms);
