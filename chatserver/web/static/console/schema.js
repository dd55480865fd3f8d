// What a form has to know of a payload, out of the JSON Schema that msgspec makes.

const KINDS = new Set(["string", "integer", "number", "boolean"]);

const BOUNDS = {
  minimum: (bound) => exact("from", bound),
  exclusiveMinimum: (bound) => exact("above", bound),
  maximum: (bound) => exact("to", bound),
  exclusiveMaximum: (bound) => exact("below", bound),
  minLength: (bound) => `${bound} or more characters`,
  maxLength: (bound) => `up to ${bound} characters`,
  minItems: (bound) => `${bound} or more items`,
  maxItems: (bound) => `up to ${bound} items`,
  pattern: (bound) => `like ${bound}`,
  format: (bound) => bound,
};

/**
 * List the fields of a payload: name, kind (string, integer, number, boolean, choice or json),
 * choices, preset (its default), required, nullable, and a hint for people.
 */
export function fieldsOf(schema) {
  const { properties = {}, required = [] } = follow(schema, schema);
  return Object.entries(properties).map(([name, property]) =>
    describe(name, property, required.includes(name), schema),
  );
}

/** Tell whether a schema says nothing, because the payload's type has none. */
export function isUnknown(schema) {
  return !follow(schema, schema).properties;
}

function describe(name, property, required, schema) {
  const options = (property.anyOf ?? [property]).map((option) => follow(option, schema));
  const some = options.filter((option) => option.type !== "null");
  const only = some.length === 1 ? some[0] : {};
  const choices = only.enum?.filter((choice) => choice !== null) ?? [];
  const nullable = some.length < options.length || Boolean(only.enum?.includes(null));
  const kind = choices.length ? "choice" : KINDS.has(only.type) ? only.type : "json";
  const names = kind === "choice" ? ["one of these"] : some.map(nameOf);
  const hint = [
    [...names, ...(nullable ? ["null"] : [])].join(" or "),
    ...Object.entries(BOUNDS).map(([key, say]) => (key in only ? say(only[key]) : "")),
    required ? "required" : "",
    "default" in property ? `default ${JSON.stringify(property.default)}` : "",
    property.description ?? only.description ?? "",
  ];
  const { default: preset } = property;
  return { name, kind, choices, preset, required, nullable, hint: hint.filter(Boolean).join(", ") };
}

// JavaScript cannot tell larger integers from their neighbours.
function exact(word, bound) {
  return Math.abs(bound) <= Number.MAX_SAFE_INTEGER ? `${word} ${bound}` : "";
}

function nameOf(option) {
  if (option.enum) return option.enum.map((choice) => JSON.stringify(choice)).join(" or ");
  return option.type ?? "anything";
}

function follow(part, schema) {
  if (!part.$ref) return part;
  const { $ref, ...rest } = part;
  const target = $ref.split("/").slice(1).reduce((node, key) => node[key], schema);
  return { ...follow(target, schema), ...rest };
}
