"""Docstrings have no blank line between their sections (`Args:`, `Returns:`, …), and griffe wants one."""

import re
from typing import Any

from griffe import Extension, Object

HEADING = re.compile(r"(?<!\n)\n(?=(?:Args|Attributes|Raises|Returns|Yields):\n)")


class DocstringSections(Extension):
    """Puts a blank line in front of every section."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = HEADING.sub("\n\n", obj.docstring.value)
