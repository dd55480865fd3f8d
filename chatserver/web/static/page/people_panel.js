// The panel that shows who is in a room, and leads to direct messages.

import { KeyedList, make, makeButton, makeWritten, put, tell } from "./dom.js";

/** Tells `direct {sender, username}`. */
export class PeoplePanel extends HTMLElement {
  #names = new Map();
  #list = new KeyedList(
    this.querySelector("ul"),
    (sender) => this.#create(sender),
    (item, person) => this.#update(item, person),
  );

  /** Show people, `People`; one of them is the user. */
  show({ list, outdated }, user) {
    this.querySelector(".hint").hidden = !outdated;
    this.#list.show(
      list.map((person) => [person.sender, { ...person, outdated, me: person.sender === user }]),
    );
  }

  #create(sender) {
    const item = make("li", "person");
    const button = makeButton("pick", "", () => {
      tell(this, "direct", { sender, username: this.#names.get(sender) });
    });
    button.append(
      make("span", "dot"),
      makeWritten("span", "name", ""),
      make("span", "note"),
      make("span", "hush", " Write to them"),
    );
    item.append(button);
    return item;
  }

  #update(item, { sender, username, devices, outdated, me }) {
    this.#names.set(sender, username);
    put(item.querySelector(".name"), username);
    const device = devices > 1 ? `${devices} devices` : "";
    put(item.querySelector(".note"), devices === 0 ? "away" : me ? "you" : device);
    item.querySelector(".hush").hidden = me;
    item.querySelector(".dot").classList.toggle("away", outdated || devices === 0);
    item.querySelector("button").disabled = me;
  }
}

customElements.define("chat-people", PeoplePanel);
