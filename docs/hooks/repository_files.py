"""Files of the repository that pages link to (`../examples/…`) are put into the site, under `repository/`.

A page can so be read, and its links followed, in the repository and in the site alike.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?P<path>\.\./[^)#\s]+)(?=[)#])")
FOLDER = "repository"


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files, **_: Any) -> str:
    """The page with links out of the folder of the pages led to copies, which are added to `files`."""
    docs = Path(config.docs_dir).resolve()
    folder = (docs / page.file.src_uri).parent

    def led(link: re.Match[str]) -> str:
        target = (folder / link["path"]).resolve()
        if target.is_relative_to(docs) or not target.is_file():
            return link["path"]  # a page, or a link that leads nowhere, of which MkDocs warns
        copy = f"{FOLDER}/{target.relative_to(docs.parent).as_posix()}"
        if files.get_file_from_path(copy) is None:
            files.append(File.generated(config, copy, abs_src_path=str(target)))
        return f"{'../' * (len(PurePosixPath(page.file.src_uri).parts) - 1)}{copy}"

    return LINK.sub(led, markdown)
