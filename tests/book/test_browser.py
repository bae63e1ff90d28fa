"""The page in a browser: Chromium as Debian has it, driven from outside, with nothing but the file."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import d_transformer
from formal_tx.book import build, demo_model
from formal_tx.book.values import shown
from formal_tx.crosscheck import ALGORITHMS
from formal_tx.crosscheck.catalog import find
from formal_tx.crosscheck.layout import to_paper
from formal_tx.tagging import reap

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright drives the browser: install the extra browser"
)
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}: apt-get install chromium"),
]
of_each = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
LOOKS = {"desktop-light": (1440, "light"), "desktop-dark": (1440, "dark"), "phone-dark": (375, "dark")}


@pytest.fixture(scope="module")
def model():
    with jax.numpy_dtype_promotion("standard"):  # optax wants it
        return demo_model.demo_model(lambda what: None)


@pytest.fixture(scope="module")
def book(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("book") / "index.html"
    path.write_text(build.page(model=model), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, book):
    """Opens the page; whatever it says to the console or asks of anybody is a failure at the end of the test."""
    contexts, complaints = [], []

    def opened(width=1440, theme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: complaints.append(request.url) if request.url != book.as_uri() else None)
        tab.goto(book.as_uri())
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def begun(tab, number):
    """The article of an algorithm, after it has been used."""
    article = tab.locator(f"#algorithm-{number}")
    article.locator("[data-step=on]").scroll_into_view_if_needed()
    article.locator(".heat").first.wait_for()
    return article


def number_of(text):
    return float(text.replace("−", "-").replace("∞", "inf"))


_FRESH = """article => [...article.querySelectorAll('.new table')].map(table => {
    const cells = part => [...table.tBodies[0].rows].map(row => [...row.querySelectorAll('td')].map(td => td[part]));
    return {name: table.dataset.name, texts: cells('textContent'), whole: cells('title')};
})"""


@of_each
def test_every_step_shows_the_values_of_python(algorithm, visit, small_run):
    made = small_run(algorithm)
    article = begun(visit(), algorithm.number)
    for n, step in enumerate(made.steps, 1):
        article.evaluate("article => article.querySelector('[data-step=on]').click()")
        assert f"Step {n} of {len(made.steps)}. Line {step.number}" in article.locator(".now").inner_text()
        assert article.locator("tr.current").get_attribute("data-line") == str(step.number)
        tables = article.evaluate(_FRESH)
        expected = shown(step.variable, step.value)
        assert [table["name"] for table in tables] == [part["name"] for part in expected]
        for table, part in zip(tables, expected, strict=True):
            _same(table, part["rows"])
    assert article.locator("[data-step=on]").get_attribute("aria-disabled") == "true"


def _same(table, rows):
    if rows == [[None]]:
        assert table["texts"] == [["nothing"]]
        return
    exact = np.array([[float(v) for v in row] for row in rows])
    np.testing.assert_array_equal(np.array([[float(v) for v in row] for row in table["whole"]]), exact)
    said = np.array([[number_of(v) for v in row] for row in table["texts"]])
    np.testing.assert_allclose(said, exact, rtol=0.051)
    large = np.abs(exact) >= 0.001
    np.testing.assert_allclose(said[large], exact[large], rtol=0.0051)


def test_the_arrow_keys_step_and_go_from_line_to_line(visit):
    tab = visit()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    article = begun(tab, 4)
    article.locator("[data-step=on]").focus()
    for key, step in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 6), ("Home", 0)):
        tab.keyboard.press(key)
        assert article.get_attribute("data-steps") == str(step)
    article.locator(".number").first.focus()
    for line in (2, 3, 4):
        tab.keyboard.press("ArrowDown")
        assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == f"Line {line}"
        assert article.locator("tr.current").get_attribute("data-line") == str(line)
        assert article.get_attribute("data-steps") == str(line)
    assert article.locator(".number[tabindex='0']").count() == 1


def test_a_tap_on_a_line_shows_its_mistakes(visit):
    tab = visit(375, has_touch=True)
    article = begun(tab, 4)
    article.locator("tr[data-line='6'] td.printed").tap()
    first = article.locator(".about li").first
    first.locator("summary").tap()
    assert "√d_attn" in first.inner_text()
    assert "V_tilde = V @ softmax(S)" in first.inner_text()


def test_sizes_that_the_reader_types(visit):
    article = begun(visit(), 10)
    article.locator(".shapes summary").click()
    box = article.locator("input[name=d_e]")
    row = article.locator(".shapes tbody tr", has_text="theta.W_u")
    box.fill("768")
    assert row.locator(".size").inner_text() == "7 × 768"
    assert row.locator(".count").inner_text() == "5,376"
    for wrong in ("", "0", "1.5", "-3", "many", "1e9"):
        box.fill(wrong)
        assert article.locator(".message").inner_text().startswith(f"d_e is “{wrong}”, expected a whole number from 1")
        assert box.get_attribute("aria-invalid") == "true"
    box.fill("8")
    assert article.locator(".message").inner_text() == ""
    article.locator("input[name=l]").fill("100")
    assert "l is 100, and l_max is 6: no sequence is longer" in article.locator(".message").inner_text()


@pytest.mark.parametrize("width", [320, 375, 768, 1440])
def test_the_page_is_not_wider_than_the_window(width, visit):
    tab = visit(width)
    _everything(tab)
    for edition in ("printed", "paper", "library"):
        tab.evaluate(f"document.querySelectorAll('input[value={edition}]').forEach(box => box.click())")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        shown_editions = 3 if width > 900 else 1
        cells = tab.locator("#algorithm-4 tr[data-line='4'] td:visible").count()
        assert cells == shown_editions + (width > 900)


def test_the_colours_can_be_chosen(visit):
    tab = visit(theme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(paper)
    tab.get_by_label("Colours").select_option("dark")
    dark = tab.evaluate(paper)
    assert dark != light
    tab.reload()
    assert tab.evaluate(paper) == dark
    assert visit(theme="dark").evaluate(paper) == dark


def test_without_scripts_the_algorithms_can_be_read_and_printed(visit):
    tab = visit(java_script_enabled=False)
    assert tab.locator("#algorithm-10 tr[data-line='11'] td.library").is_visible()
    tab.emulate_media(media="print")
    assert tab.locator("#algorithm-10 tr[data-line='11'] td.library").is_visible()
    assert not tab.locator("#algorithm-10 .steps").is_visible()


def test_on_paper_all_editions_and_shapes_are_there_whatever_the_window(visit):
    tab = visit(375)
    begun(tab, 4)
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    for edition in ("printed", "paper", "library"):
        assert tab.locator(f"#algorithm-4 tr[data-line='4'] td.{edition}").is_visible()
    assert tab.locator("#algorithm-4 .shapes tbody tr").first.is_visible()


def _everything(tab):
    """Starts every part of the page and opens whatever can be opened, but for the mistakes, of which one is enough."""
    tab.evaluate(
        """() => {
        document.querySelectorAll('article').forEach(start);
        document.querySelectorAll('[data-step=last]').forEach(button => button.click());
        document.querySelectorAll('details').forEach(part => { part.open = !part.closest('li + li'); });
        }"""
    )
    tab.wait_for_timeout(700)


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_violation(look, visit):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core audits: install the extra browser"
    )
    tab = visit(*LOOKS[look])
    _everything(tab)
    violations = axe.Axe().run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in violations] == []


def test_the_model_in_the_page_is_algorithm_10(visit, model):
    tab = visit()
    tab.locator("#model").scroll_into_view_if_needed()
    tab.locator("#model .next tbody tr").first.wait_for()
    text = tab.locator("#model-text").input_value()
    found = tab.evaluate(
        "(r => ({P: r.P.map(p => [...p]), lens: r.lens.map(X => X.map(p => [...p])),"
        " maps: r.maps.map(l => l.map(h => h.map(w => [...w])))}))(document.getElementById('model').result)"
    )
    x = [int(i) for i in model.tokenizer.encode(text)]
    halved = jax.tree.map(lambda W: np.asarray(W, np.float16).astype(np.float64), model.params)
    P = find(10).paper(x, to_paper(halved), model.hyperparameters.epsilon)
    np.testing.assert_allclose(np.array(found["P"]).T, P, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(found["lens"][-1], found["P"])

    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, halved)
        _, lines = reap(lambda x: d_transformer(x, params, model.hyperparameters))(jnp.asarray(x))
    (weights,) = [value for path, value in lines.items() if path.endswith("attention/6.A")]
    np.testing.assert_allclose(found["maps"], np.asarray(weights), rtol=1e-10, atol=1e-14)

    told = [cell.inner_text() for cell in tab.locator("#model .next tbody td:nth-child(2)").all()]
    best = np.sort(P[:, -1])[::-1][: len(told)]
    assert told == [f"{100 * p:.1f} %" for p in best]


def test_what_the_model_cannot_read_is_said(visit):
    tab = visit()
    box = tab.locator("#model-text")
    box.scroll_into_view_if_needed()
    tab.locator("#model .next tbody tr").first.wait_for()
    for text, complaint in (
        ("", "There is no text"),
        ("a" * 60, "The text has 60 characters, and the model reads at most 48."),
        ("日", "The model has never seen “日”"),
    ):
        box.fill(text)
        assert tab.locator("#model .message").inner_text().startswith(complaint)
    box.fill("And ")
    tab.get_by_role("button", name="Append").click()
    assert len(box.input_value()) == 5
    assert tab.locator("#model .message").inner_text() == ""


def test_the_page_is_small_and_made_the_same_again(book, model):
    assert book.stat().st_size <= 5 * 2**20
    assert build.page(model=model) == book.read_text(encoding="utf-8")
    assert json.loads(book.read_text(encoding="utf-8").split('id="data-15">')[1].split("</script>")[0])["steps"]
