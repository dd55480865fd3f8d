// Web addresses in what people write.

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\\{}|^]+/giu;

/** Split a text into parts, `{text, href}`; `href` is null where it is no address. */
export function split(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = trimmed(found);
    if (!URL.canParse(address)) continue;
    if (index > end) parts.push({ text: text.slice(end, index), href: null });
    parts.push({ text: address, href: new URL(address).href });
    end = index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

// What ends the sentence does not belong to the address, nor does a bracket that it did not open.
function trimmed(address) {
  let text = address;
  for (;;) {
    const last = text.at(-1);
    const open = { ")": "(", "]": "[" }[last];
    const stray = open ? count(text, last) > count(text, open) : /[.,:;!?*_~…]/u.test(last);
    if (!stray) return text;
    text = text.slice(0, -1);
  }
}

function count(text, char) {
  return text.split(char).length - 1;
}
