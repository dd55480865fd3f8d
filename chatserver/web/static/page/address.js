// A token in the page's address: `#token=…`.

/** Take the token out of a fragment; return it, or null, and what is left of the fragment. */
export function takeToken(fragment) {
  const fields = fragment.replace(/^#/, "").split("&");
  const rest = fields.filter((field) => !field.startsWith("token="));
  const found = fields.find((field) => field.startsWith("token="));
  return {
    token: (found && unquote(found.slice("token=".length))) || null,
    fragment: rest.some(Boolean) ? `#${rest.join("&")}` : "",
  };
}

// Not URLSearchParams, which makes a space of the plus sign that tokens may contain.
function unquote(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
