// The lines of an algorithm: choosing one, what the check says about it, and the mistakes that are made in it.

/** The numbers of the lines are one stop of the Tab key; the arrow keys go from one to the next. */
function startLines(article, goTo) {
  const numbers = [...article.querySelectorAll(".number")];
  numbers.forEach((button, i) => {
    button.addEventListener("click", () => goTo(i + 1));
    button.addEventListener("keydown", (event) => {
      const to = { ArrowDown: i + 1, ArrowRight: i + 1, ArrowUp: i - 1, ArrowLeft: i - 1, Home: 0, End: numbers.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = numbers[Math.min(Math.max(to, 0), numbers.length - 1)];
      next.focus();
      next.click();
    });
  });
  for (const row of article.querySelectorAll(".editions tbody tr")) {
    row.addEventListener("click", (event) => {
      if (!event.target.closest("button") && !String(getSelection())) goTo(Number(row.dataset.line));
    });
  }
}

function code(text) {
  return element("pre", null, element("code", null, text));
}

/** A mistake: its name, and on opening what the paper has and what was written instead. */
function mistake(one) {
  const both = [element("small", null, "the paper"), code(one.paper || "# nothing"), element("small", null, "instead"), code(one.instead || "# left out")];
  return element("li", null, element("details", null, element("summary", null, one.title), ...both));
}

/** What the check found in a line. */
function checkOf(data, line) {
  const found = data.checks[line];
  if (!found) return element("p", null, "It is not compared by itself: the lines that use it are.");
  const text = found.error === 0 ? "no difference at all" : `largest relative error ${found.text}`;
  return element("p", null, `Both programs on ${data.cases} inputs: ${text}; up to ${found.allowed} is rounding.`);
}

/** Wires the panel of an article; gives what shows a line. */
function startLine(article, data) {
  const rows = [...article.querySelectorAll(".editions tbody tr")];
  const about = article.querySelector(".about");
  const title = article.querySelector(".line h3");
  return function showLine(line) {
    for (const row of rows) {
      const here = Number(row.dataset.line) === line;
      const button = row.querySelector(".number");
      row.classList.toggle("current", here);
      button.tabIndex = here ? 0 : -1;
      if (here) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    title.textContent = `Line ${line}`;
    const known = data.mistakes[line] || [];
    const count = known.length ? `The diagnosis knows ${known.length} ${known.length === 1 ? "mistake" : "mistakes"} in it:` : "The diagnosis knows no mistake in it.";
    about.replaceChildren(checkOf(data, line), element("p", null, count), element("ul", null, ...known.map(mistake)));
  };
}
