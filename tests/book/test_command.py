"""The command that makes the book."""

import typer
from typer.testing import CliRunner

from formal_tx import book
from formal_tx.cli.book import book as command

app = typer.Typer()
app.command()(command)


def test_it_writes_the_page_and_says_where(tmp_path, monkeypatch):
    asked = []

    def write_book(directory, model, *, tell):
        tell("Algorithm 1")
        asked.append((directory, model))
        path = tmp_path / "index.html"
        path.write_bytes(bytes(3 * 2**20))
        return path

    monkeypatch.setattr(book, "write_book", write_book)
    done = CliRunner().invoke(app, ["--out", str(tmp_path), "--model", "trained"])
    assert done.exit_code == 0
    assert done.output.strip() == f"{tmp_path / 'index.html'}: 3.0 MB"
    assert [(str(directory), str(model)) for directory, model in asked] == [(str(tmp_path), "trained")]
