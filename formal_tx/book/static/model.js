// The trained model: text in; what comes next, what every head attends to, and what every layer would say, out.

const TOLD = 8; // how many of the most probable characters are shown

const letter = (text) => ({ " ": "␣", "\n": "↵" })[text] || text;
const percent = (p) => `${(100 * p).toFixed(1)} %`;
const best = (values, count) => [...values].map((p, i) => ({ p, i })).sort((a, b) => b.p - a.p).slice(0, count);

/** What is wrong with a text for this model; nothing if it can be read. */
function wrongText(text, data) {
  const letters = [...text];
  if (!letters.length) return "There is no text: the model needs a character to start from.";
  if (letters.length > data.sizes.l_max) return `The text has ${letters.length} characters, and the model reads at most ${data.sizes.l_max}.`;
  const strange = letters.find((one) => !data.characters.includes(one));
  return strange ? `The model has never seen “${strange}”: its characters are ${data.characters.map(letter).join("")}` : "";
}

/** A map of weights (t_x, t_z): a row for each token that asks; the chosen one framed. */
function drawMap(canvas, weights, t) {
  const pixel = Math.max(2, Math.floor(192 / weights.length));
  canvas.width = canvas.height = pixel * weights.length;
  const pen = canvas.getContext("2d");
  pen.fillStyle = pen.strokeStyle = getComputedStyle(canvas).color;
  weights.forEach((row, y) => row.forEach((weight, x) => {
    pen.globalAlpha = weight;
    pen.fillRect(x * pixel, y * pixel, pixel, pixel);
  }));
  pen.globalAlpha = 0.6;
  pen.strokeRect(0.5, t * pixel + 0.5, canvas.width - 1, pixel - 1);
}

/** The words of a map: to which tokens the chosen one attends most. */
function toldMap(weights, letters, t) {
  const most = best(weights[t], 3).filter(({ p }) => p >= 0.005);
  return most.map(({ p, i }) => `${letter(letters[i])} (${i}) ${percent(p)}`).join(", ");
}

function showNext(body, P, characters) {
  body.replaceChildren(...best(P, TOLD).map(({ p, i }) => {
    const bar = element("span", { class: "bar" });
    bar.style.setProperty("--p", p);
    return element("tr", null, element("th", { scope: "row" }, i < characters.length ? letter(characters[i]) : "special"), element("td", null, percent(p)), element("td", { "aria-hidden": "true" }, bar));
  }));
}

function showLens(body, lens, t, characters) {
  const name = (l) => (l ? `after layer ${l}` : "after line 3");
  body.replaceChildren(...lens.map((P, l) => element("tr", null, element("th", { scope: "row" }, name(l)),
    ...best(P[t], 3).map(({ p, i }) => element("td", null, `${i < characters.length ? letter(characters[i]) : "special"} ${percent(p)}`)))));
}

/** Wires the part of the page that has the model. */
function startModel(article, data) {
  const find = (selector) => article.querySelector(selector);
  const [text, position, message] = [find("#model-text"), find("#model-position"), find(".message")];
  const theta = unpack(data);
  let letters = [];
  let result = null;

  function showPosition() {
    const t = Number(position.value);
    find("#model-here").textContent = `${t}: after “${letters.slice(Math.max(0, t - 15), t + 1).map(letter).join("")}”`;
    showNext(find(".next tbody"), result.P[t], data.characters);
    showLens(find(".lens tbody"), result.lens, t, data.characters);
    for (const figure of article.querySelectorAll(".map")) {
      const weights = result.maps[figure.dataset.layer][figure.dataset.head];
      const told = toldMap(weights, letters, t);
      drawMap(figure.querySelector("canvas"), weights, t);
      figure.querySelector("canvas").setAttribute("aria-label", `Attention weights of ${figure.dataset.name}. Position ${t} attends to ${told}.`);
      figure.querySelector("span").textContent = told;
    }
  }

  function read() {
    const wrong = wrongText(text.value, data);
    message.textContent = wrong;
    text.setAttribute("aria-invalid", String(Boolean(wrong)));
    if (wrong) return;
    letters = [...text.value];
    result = decoder(letters.map((one) => data.characters.indexOf(one)), theta, data);
    article.result = result;
    position.max = letters.length - 1;
    position.value = letters.length - 1;
    showPosition();
  }

  text.addEventListener("input", read);
  position.addEventListener("input", () => result && showPosition());
  find(".append").addEventListener("click", () => {
    if (!result || message.textContent) return;
    const [{ i }] = best(result.P[letters.length - 1].slice(0, data.characters.length), 1);
    text.value = [...letters, data.characters[i]].join("");
    read();
  });
  const redraw = () => result && showPosition();
  document.getElementById("theme").addEventListener("change", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  read();
}
