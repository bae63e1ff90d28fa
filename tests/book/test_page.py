"""The page: complete, by itself, and the numbers in it are those of the run."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from formal_tx.book import build, mistakes, page
from formal_tx.book.values import as_json, matrix, shown
from formal_tx.crosscheck import ALGORITHMS, Comparison, check, find
from formal_tx.crosscheck.layout import is_theta
from formal_tx.crosscheck.systems import SYSTEMS, System
from formal_tx.crosscheck.variations import VARIATIONS

PARTS = ALGORITHMS[:7]
of_each = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)


def data_of(text, number):
    return json.loads(re.search(rf'id="data-{number}">(.*?)</script>', text, re.DOTALL).group(1))


class Outline(HTMLParser):
    """What elements there are, with their attributes, and whether they are closed."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_elements_are_closed_and_ids_are_unique(parts_page):
    outline = Outline(parts_page)
    assert outline.open == []
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [a["href"] for _, a in outline.found if a.get("href", "").startswith("#")]
    assert {reference[1:] for reference in references} <= set(ids)


def test_nothing_is_fetched(parts_page):
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(", parts_page)
    sources = [a for tag, a in Outline(parts_page).found if "src" in a or (tag == "link" and a.get("href") != "data:,")]
    assert sources == []
    assert "default-src 'none'" in parts_page


def test_every_line_is_there_in_three_editions(parts_page):
    for algorithm in PARTS:
        article = parts_page.split(f'id="algorithm-{algorithm.number}"')[1].split("</article>")[0]
        lines = re.findall(r'<tr data-line="(\d+)">(.*?)</tr>', article, re.DOTALL)
        assert [int(n) for n, _ in lines] == list(range(1, len(lines) + 1))
        for n, row in lines:
            for edition in ("printed", "paper", "library"):
                assert f'class="{edition}"' in row
            assert f'aria-label="Line {n}"' in row


def test_a_system_has_its_lines_in_two_editions_and_their_errors():
    one = find("sliding_window", also=VARIATIONS)
    system = System("near", "Near tokens alone", "long_context", ("2004.05150",), (one,))
    text = page((find(6),), systems=(system,))
    assert Outline(text).open == []
    section = text.split('id="near"')[1].split("</section>")[0]
    assert "2004.05150" in section
    (row,) = re.findall(r"<tr>\n<th scope=\"row\">1</th>(.*?)</tr>", section, re.DOTALL)
    assert "Mask" in row
    assert '<td class="error">0</td>' in row
    assert '<a href="#near">' in text


@pytest.mark.slow
def test_all_systems_are_in_the_book():
    text = page((find(6),), systems=SYSTEMS)
    assert Outline(text).open == []
    for system in SYSTEMS:
        section = text.split(f'id="{system.name}"')[1].split("</section>")[0]
        assert all(f"<h3>{one.name}</h3>" in section for one in system.checks)


def test_the_same_twice_is_the_same_to_the_byte():
    some = (find(4), find(6))
    assert page(some) == page(some)


@of_each
def test_the_values_are_those_of_the_run(algorithm, small_run):
    made = small_run(algorithm)
    found = json.loads(build.embedded(build.data(made, Comparison(made.algorithm, 0, 0, 1, 0.0, None, None))))
    assert len(found["steps"]) == len(made.steps)
    for step, recorded in zip(found["steps"], made.steps, strict=True):
        assert (step["line"], step["variable"]) == (recorded.number, recorded.variable)
        if is_theta(recorded.value) or recorded.value is None:
            assert step["parts"] == shown(recorded.variable, recorded.value)
            continue
        (part,) = step["parts"]
        assert part["shape"] == list(matrix(recorded.value).shape)
        values = np.array([[float(v) for v in row] for row in part["rows"]])
        np.testing.assert_array_equal(values.ravel(), np.asarray(matrix(recorded.value), float).ravel())


def test_what_json_cannot_say_is_in_words():
    values = [as_json(v) for v in (-np.inf, np.nan, np.bool_(True), np.int64(3), 0.1)]
    assert values == ["-inf", "nan", 1, 3, 0.1]
    assert shown("y", None) == [{"name": "y", "shape": [], "rows": [[None]]}]


def test_no_data_can_end_its_element():
    text = build.embedded({"instead": "</script><script>alert(1)</script>"})
    assert "<" not in text
    assert json.loads(text) == {"instead": "</script><script>alert(1)</script>"}


def test_the_errors_are_those_of_the_check(parts_page):
    for algorithm in PARTS:
        worst = check(algorithm).worst
        found = data_of(parts_page, algorithm.number)["checks"]
        assert max(c["error"] for c in found.values()) == worst.error
        assert found[str(worst.number)]["text"] in parts_page


@of_each
def test_the_mistakes_change_their_line(algorithm):
    known = mistakes.mistakes(algorithm)
    assert known
    assert known.keys() <= {s.number for s in algorithm.listing.statements}
    for listed in known.values():
        assert len({one["title"] for one in listed}) == len(listed)
        assert all(one["paper"] != one["instead"] for one in listed)


def test_the_book_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "page", lambda **given: f"the page with {given['model']}")
    monkeypatch.setattr(build, "demo_model", lambda tell: "a model")
    assert build.write_book(tmp_path / "new" / "place").read_text() == "the page with a model"
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        build.write_book(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="none does not exist, expected the directory of a trained model"):
        build.write_book(tmp_path / "new", tmp_path / "none")
