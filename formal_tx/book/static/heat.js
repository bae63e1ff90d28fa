// A matrix as a table whose cells are coloured by what is in them.

/** The shape in words: "d_attn × l_x = 3 × 5"; nothing for a number. */
function shapeOf(part, dims) {
  const sizes = part.shape.join(" × ");
  const made = element("span");
  if (!part.shape.length) return made;
  if (dims && dims.length === part.shape.length && dims[0] !== "θ") {
    dims.forEach((dim, i) => made.append(i ? " × " : " ", axis(dim)));
    made.append(" = " + sizes);
  } else made.append(" " + sizes);
  return made;
}

/** One cell: its number, its colour relative to the largest of the matrix, all digits on pointing at it. */
function cell(value, largest) {
  const made = element("td", { title: String(value) }, value === null ? "nothing" : said(value));
  if (typeof value === "string") made.className = "no";
  else if (largest > 0 && value !== 0) {
    made.className = value > 0 ? "plus" : "minus";
    made.style.setProperty("--a", (Math.abs(value) / largest).toFixed(3));
  }
  return made;
}

/** A heat map of `part` (name, shape, rows), with indices where there are several rows or columns. */
function heat(part, dims) {
  const { rows } = part;
  const finite = rows.flat().filter((value) => typeof value === "number");
  const plain = part.shape.length < 2 && finite.every(Number.isInteger); // a length, or token ids: no scale to be seen on
  const largest = plain || !part.shape.length ? 0 : Math.max(0, ...finite.map(Math.abs));
  const table = element("table", { class: "heat", "data-name": part.name });
  table.append(element("caption", null, element("b", null, part.name), shapeOf(part, dims)));
  if (rows[0] && rows[0].length > 1) {
    const head = element("tr", null, ...(rows.length > 1 ? [element("td", { class: "corner" })] : []));
    rows[0].forEach((_, i) => head.append(element("th", { scope: "col" }, String(i))));
    table.append(element("thead", null, head));
  }
  const body = element("tbody");
  rows.forEach((row, i) => {
    const line = element("tr");
    if (rows.length > 1) line.append(element("th", { scope: "row" }, String(i)));
    row.forEach((value) => line.append(cell(value, largest)));
    body.append(line);
  });
  table.append(body);
  return wide(element("div", { class: "scroll" }, table), part.name);
}

/** What is wider than the page can be scrolled, and then reached by keyboard. */
function wide(box, name) {
  requestAnimationFrame(() => {
    if (box.scrollWidth <= box.clientWidth) return;
    for (const [key, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": name })) {
      box.setAttribute(key, value);
    }
  });
  return box;
}
