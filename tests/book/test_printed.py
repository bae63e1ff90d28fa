"""The print: every numbered line is there, beside the statement that has its number."""

import re
from xml.etree import ElementTree

import pytest

from formal_tx.book import editions, printed
from formal_tx.crosscheck import ALGORITHMS

of_each = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)


@of_each
def test_the_print_has_the_lines_that_the_pseudocode_numbers(algorithm):
    found = re.findall(r"#\s*(\d+(?:,\s*\d+)*)\s*$", "\n".join(editions.source(algorithm)), re.MULTILINE)
    numbers = {int(n) for group in found for n in group.split(",")}
    assert {line.number for line in printed.printed()[algorithm.number].lines} == numbers


@of_each
def test_every_statement_of_the_pseudocode_stands_beside_a_line(algorithm):
    shown = {line.strip() for text in editions.paper_lines(algorithm).values() for line in text.split("\n")}
    for statement in algorithm.listing.statements:
        assert algorithm.listing.text(statement.number).split("\n")[0] in shown
    for text in editions.source(algorithm)[1:]:
        code = re.sub(r"\s*#.*$", "", text).strip()
        assert not code or any(code in line for line in shown), code


@of_each
def test_what_assigns_a_value_has_a_statement_of_the_library(algorithm):
    rows = {row.line.number: row for row in editions.rows(algorithm)}
    silent = {n for n in {s.number for s in algorithm.listing.assigned} if not rows[n].library}
    # With a cache there is no P of all positions, and the token is appended in place; the loop's end returns.
    assert silent <= {14: {3, 6}, 15: {2, 4, 7, 9}}.get(algorithm.number, set())


@of_each
def test_the_mathematics_is_well_formed_and_has_no_tex_left(algorithm):
    words = printed.printed()[algorithm.number]
    for html in (words.head, words.does, *(fact for _, fact in words.facts), *(line.html for line in words.lines)):
        tree = ElementTree.fromstring(f"<p>{html}</p>")
        assert "\\" not in "".join(tree.itertext())
        assert "$" not in html
        assert "xmlns" not in html


def test_each_algorithm_is_said_in_two_sentences():
    for words in printed.printed().values():
        text = "".join(ElementTree.fromstring(f"<p>{words.does}</p>").itertext())
        assert len(re.findall(r"[.](?: |$)", text)) == 2, text


def test_code_keeps_its_text_and_knows_its_depth():
    html = editions.coloured('for h in heads:\n    Y = a < b  # "q"')
    assert re.findall(r"--in:(\d+)ch", html) == ["0", "4"]
    assert "&lt;" in html
    assert "".join(ElementTree.fromstring(f"<p>{html}</p>").itertext()) == 'for h in heads:    Y = a < b  # "q"'
