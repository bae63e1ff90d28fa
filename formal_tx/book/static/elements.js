// Makes elements, and says numbers.

/** An element with attributes and children; text is never taken for markup. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const INFINITE = { inf: "∞", "-inf": "−∞", nan: "nan" };

/** A number to three digits; whole numbers whole; "-inf" and "nan" come as words. */
function said(value) {
  if (typeof value === "string") return INFINITE[value];
  if (Number.isInteger(value)) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size >= 1000 || size < 0.001 ? value.toExponential(1) : value.toPrecision(3);
  return text.replaceAll("-", "−");
}

/** "l + i" and "H d_mid" with subscripts. */
function axis(text) {
  const made = element("span");
  for (const word of text.split(/([ ])/)) {
    const [name, ...below] = word.split("_");
    made.append(name);
    if (below.length) made.append(element("sub", null, below.join(" ")));
  }
  return made;
}
