// A run of one algorithm, step by step: a step is one assignment.

/** What the variables are after `steps` steps, in the order in which they first came. */
function variablesAfter(data, steps) {
  const found = new Map();
  data.steps.slice(0, steps).forEach(({ variable, parts, dims }, i) => {
    found.set(variable, { name: variable, parts, dims, fresh: i === steps - 1 });
  });
  return found.values();
}

/** Several arrays under one name fold away; one stands for itself. */
function group(name, parts, dims, fresh) {
  const maps = parts.map((part) => heat(part, part.dims || dims));
  if (fresh) maps.forEach((map) => map.classList.add("new"));
  if (maps.length === 1) return maps;
  return [element("details", { "data-group": name }, element("summary", null, `${name}: ${maps.length} arrays`), element("div", null, ...maps))];
}

/** Everything that has a value after `steps` steps. */
function showVariables(box, data, steps) {
  const open = new Set([...box.querySelectorAll("details[open]")].map((part) => part.dataset.group));
  const [plain, sets] = [[], []];
  for (const argument of data.arguments) (argument.parts.length > 1 ? sets : plain).push(argument);
  const variables = [...variablesAfter(data, steps)];
  const section = (title, list) => {
    if (list.length) box.append(element("h4", null, title));
    for (const { name, parts, dims, fresh } of list) box.append(...group(name, parts, dims, fresh));
  };
  box.replaceChildren();
  section("just assigned", variables.filter(({ fresh }) => fresh));
  section("assigned before", variables.filter(({ fresh }) => !fresh));
  section("what goes in", [...plain, ...sets]);
  for (const part of box.querySelectorAll("details")) part.open = open.has(part.dataset.group);
}

/** What the last step did, in a sentence. */
function sentence(data, steps) {
  const made = element("span", null, `Step ${steps} of ${data.steps.length}. `);
  if (!steps) return element("span", null, `Before the first of ${data.steps.length} steps.`);
  const step = data.steps[steps - 1];
  made.append(`Line ${step.line}${step.round ? `, ${step.round}` : ""}, assigns `, element("b", null, step.variable));
  const [part] = step.parts;
  if (step.parts.length > 1) made.append(`, ${step.parts.length} arrays`);
  else if (part.shape.length) made.append(", ", shapeOf(part, step.dims));
  else made.append(` = ${part.rows[0][0] === null ? "nothing" : said(part.rows[0][0])}`);
  made.append(".");
  return made;
}

/** Wires the run of an article; gives what goes to a line. */
function startRun(article, data) {
  const box = article.querySelector(".variables");
  const now = article.querySelector(".now");
  const buttons = Object.fromEntries([...article.querySelectorAll("[data-step]")].map((b) => [b.dataset.step, b]));
  const showLine = startLine(article, data);
  let steps = 0;

  function show(to, line) {
    steps = Math.min(Math.max(to, 0), data.steps.length);
    article.dataset.steps = steps;
    showVariables(box, data, steps);
    now.replaceChildren(sentence(data, steps));
    for (const [name, button] of Object.entries(buttons)) { // not `disabled`, which would take the keyboard away from it
      button.setAttribute("aria-disabled", String(steps === (name === "on" || name === "last" ? data.steps.length : 0)));
    }
    showLine(line || (steps ? data.steps[steps - 1].line : data.steps[0].line));
  }

  /** The first step of a line, or the step before it where the line assigns nothing. */
  function goTo(line) {
    const at = data.steps.findIndex((step) => step.line >= line);
    const exact = at >= 0 && data.steps[at].line === line;
    show(at < 0 ? data.steps.length : exact ? at + 1 : at, line);
  }

  const moves = { first: () => 0, back: () => steps - 1, on: () => steps + 1, last: () => data.steps.length };
  for (const [name, button] of Object.entries(buttons)) {
    button.addEventListener("click", () => show(moves[name]()));
  }
  const keys = { ArrowRight: "on", ArrowLeft: "back", Home: "first", End: "last" };
  article.querySelector(".live").addEventListener("keydown", (event) => {
    const move = moves[keys[event.key]];
    if (!move || event.altKey || event.ctrlKey || event.metaKey || event.target.closest(".scroll[tabindex]")) return;
    event.preventDefault();
    show(move());
  });
  startLines(article, goTo);
  show(0);
}
