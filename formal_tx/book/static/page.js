// Starts the parts of the page, each when it is needed.

function startTheme() {
  const select = document.getElementById("theme");
  const remembered = recall("theme");
  function set(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  }
  select.value = remembered;
  set(remembered);
  select.addEventListener("change", () => {
    set(select.value);
    remember("theme", select.value);
  });
}

/** A browser may forbid a page to remember anything; then it forgets. */
function recall(name) {
  try {
    return localStorage.getItem(name) || "";
  } catch (error) {
    if (error.name !== "SecurityError") throw error;
    return "";
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch (error) {
    if (error.name !== "SecurityError" && error.name !== "QuotaExceededError") throw error;
  }
}

function start(article) {
  if (article.dataset.started) return;
  article.dataset.started = "yes";
  const data = JSON.parse(document.getElementById(`data-${article.dataset.number || "model"}`).textContent);
  if (!article.dataset.number) {
    startModel(article, data);
    return;
  }
  startRun(article, data);
  startShapes(article, data);
}

/** An article starts when it comes near, when it is used, and when a printer or a search needs it. */
function startArticles() {
  const near = new IntersectionObserver(
    (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => start(one.target)),
    { rootMargin: "800px" },
  );
  for (const article of document.querySelectorAll("article")) {
    near.observe(article);
    article.addEventListener("focusin", () => start(article), { capture: true });
  }
  addEventListener("beforeprint", () => document.querySelectorAll(".shapes").forEach((part) => (part.open = true)));
}

startTheme();
requestAnimationFrame(() => setTimeout(startArticles));
