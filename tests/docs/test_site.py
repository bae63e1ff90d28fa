"""The site: complete, built without a warning, and nothing in it is loaded from anywhere else."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from . import pages

CONFIGURATION = (pages.ROOT / "mkdocs.yml").read_text("utf-8")
PUBLIC = (
    "",
    ".book",
    ".crosscheck",
    ".crosscheck.adapters",
    ".crosscheck.capture",
    ".crosscheck.laws",
    ".data.batches",
    ".diagnosis",
    ".inference",
    ".tagging",
    ".vectors",
)


def test_the_navigation_has_every_page():
    named = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", CONFIGURATION, re.M)
    assert sorted(named) == sorted(page.relative_to(pages.DOCS).as_posix() for page in pages.DOCS.rglob("*.md"))


def _documented():
    """The modules of the reference, and for each the members that are named."""
    for page in sorted(pages.DOCS.glob("reference/*.md")):
        for entry in re.finditer(r"^::: (\S+)\n((?: +.*\n)*)", page.read_text("utf-8") + "\n", re.M):
            members = re.search(r"members: \[(.*)\]", entry[2])
            yield entry[1], members[1].split(", ") if members else []


def _imported(name):
    """A module, or a skipped test where it needs PyTorch and that is not there."""
    if ".capture" in name:
        pytest.importorskip("torch", reason="make test-all installs PyTorch")
    return importlib.import_module(name)


def _modules(names):
    return [pytest.param(name, marks=[pytest.mark.oracle] if ".capture" in name else [], id=name) for name in names]


# The entries without members are adapters to libraries that may not be installed.
@pytest.mark.parametrize("module", _modules([module for module, members in _documented() if members]))
def test_the_reference_names_what_there_is(module):
    there = _imported(module)
    assert [name for name in dict(_documented())[module] if not hasattr(there, name)] == []


@pytest.mark.parametrize("package", _modules([f"formal_tx{name}" for name in PUBLIC]))
def test_the_reference_has_all_that_is_public(package):
    documented = {name for _, members in _documented() for name in members}
    documented |= {module.rpartition(".")[2] for module, _ in _documented()}
    assert set(_imported(package).__all__) - documented == set()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built by `mkdocs build --strict`."""
    pytest.importorskip("mkdocs", reason='needs pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=pages.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class _Page(HTMLParser):
    """What a browser loads for a page, the links that a reader may follow, and the names to jump to."""

    def __init__(self, path):
        super().__init__()
        self.loaded, self.links, self.ids = [], [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.append(given.get("id"))
        self.loaded += [given[name] for name in ("src", "srcset", "data", "poster") if given.get(name)]
        if tag == "link":
            self.loaded.append(given["href"])
        elif tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.loaded += re.findall(r"url\(([^)]*)\)", given.get("style") or "")


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    outside = re.compile(r"^['\"]?(?:https?:)?//")
    found = list(site.rglob("*.html"))
    assert len(found) > 30
    for path in found:
        assert [url for url in _Page(path).loaded if outside.match(url)] == [], path
    sheets = list(site.rglob("*.css"))
    assert sheets
    for path in sheets:
        loaded = re.findall(r"(?:url\(|@import )([^);]*)", path.read_text("utf-8"))
        assert [url for url in loaded if outside.match(url)] == [], path


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(site):
    """But for the one to the book, which is made on its own."""
    for path in site.rglob("*.html"):
        for link in _Page(path).links:
            target = link.partition("#")[0]
            if target and not re.match(r"\w+:", target) and not target.endswith("book/index.html"):
                base = site if target.startswith("/") else path.parent
                assert (base / target.lstrip("/")).exists(), f"{path.relative_to(site)}: {link}"


@pytest.mark.slow
def test_the_reference_shows_every_member(site):
    """One without a docstring would be left out."""
    shown = {name for path in site.glob("reference/*.html") for name in _Page(path).ids}
    for module, members in _documented():
        assert [name for name in members if f"{module}.{name}" not in shown] == [], module


@pytest.mark.heavy
def test_a_browser_asks_for_nothing_and_finds_what_is_searched(site):
    """From a disk, without any server."""
    playwright = pytest.importorskip("playwright.sync_api", reason='needs pip install -e ".[browser]"')
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    asked, said = [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        for name in ("index.html", "tutorial.html", "reference/algorithms.html"):
            page.goto((site / name).as_uri())
        page.click("input.md-search__input")
        page.keyboard.type("plant", delay=50)
        page.wait_for_selector(".md-search-result__item a", timeout=20_000)
        results = page.locator(".md-search-result__item a").first.get_attribute("href")
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert said == []
    assert Path(results.partition("?")[0].removeprefix("file://")).is_file()
