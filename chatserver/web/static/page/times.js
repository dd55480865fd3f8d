// Times as people read them.

import { make } from "./dom.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** Read the server's timestamp; what is none stands for now. */
export function readTime(timestamp) {
  const told = new Date(timestamp ?? Date.now());
  return Number.isNaN(told.getTime()) ? new Date() : told;
}

/** Name the day of a time. */
export function dayOf(at) {
  return day.format(at);
}

/** Create an element that shows the time of day, and the rest to whoever points at it. */
export function stamp(at) {
  const element = make("time", "", clock.format(at));
  element.dateTime = at.toISOString();
  element.title = full.format(at);
  return element;
}
