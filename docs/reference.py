"""Fills the reference pages: a line `members of MODULE` becomes an entry for every public function and class there."""

import importlib
import inspect
import re
from typing import Any

MEMBERS = re.compile(r"^members of (\S+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by the site's builder with the text of each page."""
    return MEMBERS.sub(lambda found: entries(found[1]), markdown)


def entries(module: str) -> str:
    """What the builder of docstrings reads, in alphabetical order."""
    room = importlib.import_module(module)
    names = getattr(room, "__all__", None) or [name for name in vars(room) if not name.startswith("_")]
    told = [room.__doc__ or ""]
    for name in sorted(names, key=str.lower):
        value = getattr(room, name)
        home = getattr(value, "__module__", "")
        if home.startswith("darkprobe") and (inspect.isfunction(value) or inspect.isclass(value)):
            told.append(f"::: {home}.{value.__name__}\n")
    return "\n\n".join(told)
