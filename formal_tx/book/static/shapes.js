// The shapes for sizes that the reader types.

const LARGEST = 1e6;

/** "l + i + 1", "H d_mid", "≤ l" as a number. */
function sizeOf(dim, sizes) {
  const product = (term) => term.split(" ").reduce((all, word) => all * (/^\d+$/.test(word) ? Number(word) : sizes[word]), 1);
  return dim.replace("≤ ", "").split(" + ").reduce((all, term) => all + product(term), 0);
}

/** What is wrong with the sizes, and where; null if nothing is. */
function wrongSize(inputs, data) {
  for (const input of inputs) {
    const least = input.name === "i" ? 0 : 1;
    const value = input.value.trim();
    if (!/^\d+$/.test(value) || Number(value) < least || Number(value) > LARGEST) {
      return { input, text: `${input.name} is “${value}”, expected a whole number from ${least} to ${LARGEST.toLocaleString("en")}.` };
    }
  }
  const sizes = Object.fromEntries(inputs.map((input) => [input.name, Number(input.value)]));
  for (const [length, most] of data.limits) {
    if (sizeOf(length, sizes) > sizes[most]) {
      const input = inputs.find(({ name }) => name === length.split(" ")[0]);
      return { input, text: `${length} is ${sizeOf(length, sizes)}, and ${most} is ${sizes[most]}: no sequence is longer than ${most}.` };
    }
  }
  return null;
}

/** Fills in the table of an article for the sizes in its form. */
function startShapes(article, data) {
  const inputs = [...article.querySelectorAll(".sizes input")];
  const rows = [...article.querySelectorAll(".shapes tbody tr")];
  const message = article.querySelector(".message");

  function show() {
    const wrong = wrongSize(inputs, data);
    for (const input of inputs) input.setAttribute("aria-invalid", String(Boolean(wrong) && wrong.input === input));
    message.textContent = wrong ? wrong.text : "";
    if (wrong) return;
    const sizes = Object.fromEntries(inputs.map((input) => [input.name, Number(input.value)]));
    data.shapes.forEach((shape, i) => {
      const [size, count] = [rows[i].querySelector(".size"), rows[i].querySelector(".count")];
      if (shape.dims[0] === "θ") return;
      const numbers = shape.dims.map((dim) => sizeOf(dim, sizes));
      const times = shape.times.map((loop) => sizes[loop]);
      const most = shape.dims.some((dim) => dim.startsWith("≤")) ? "≤ " : "";
      size.textContent = most + (numbers.join(" × ") || "a number") + times.map((n) => `, ${n} times`).join("");
      count.textContent = most + [...numbers, ...times].reduce((all, n) => all * n, 1).toLocaleString("en");
    });
  }

  article.querySelector(".sizes").addEventListener("input", show);
  article.querySelector(".sizes").addEventListener("submit", (event) => event.preventDefault());
  show();
}
