"""HTML in small pieces. Text becomes `Html` only through `escaped`, so the type checker sees what was forgotten."""

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NewType, TypeGuard

import numpy as np

Html = NewType("Html", str)

SHARES = ("fraction", "accuracy", "share")
MINUS = "\N{MINUS SIGN}"


def escaped(value: object) -> Html:
    """Text that is safe between tags and in quoted attributes."""
    return Html(html.escape(str(value), quote=True))


def joined(parts: Iterable[Html], between: str = "") -> Html:
    """The parts one after another."""
    return Html(between.join(parts))


def element(tag: str, *children: Html, attributes: Mapping[str, object] | None = None) -> Html:
    """A tag around its children; attribute values are escaped, those that are None are left out.

    Examples:
        >>> element("p", escaped("a < b"), attributes={"class": "note"})
        '<p class="note">a &lt; b</p>'
    """
    shown = "".join(f' {name}="{escaped(value)}"' for name, value in (attributes or {}).items() if value is not None)
    return Html(f"<{tag}{shown}>{''.join(children)}</{tag}>")


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number to be shown as one (NumPy's included, truth values not)."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def number(value: object, *, signed: bool = False, digits: int = 4) -> str:
    """A number for reading: significant digits, a true minus sign, a dash for what is missing.

    Examples:
        >>> number(0.123456), number(-2, signed=True), number(None)
        ('0.1235', '−2', '–')
    """
    if not is_number(value):
        return "–" if value is None else str(value)
    if not math.isfinite(value):
        return "–"
    form = ",.0f" if 10**digits <= abs(value) < 1e12 else f".{digits}g"
    shown = f"{float(value):{'+' if signed else ''}{form}}"
    return shown.replace("-", MINUS)


def difference(value: object, unit: str) -> str:
    """A difference with its sign; a share is given in percentage points."""
    if unit in SHARES and is_number(value):
        return f"{100 * float(value):+.2f}".replace("-", MINUS)
    return number(value, signed=True, digits=3)


def difference_unit(unit: str) -> str:
    """The unit that `difference` speaks in."""
    return "percentage points" if unit in SHARES else unit


def data_uri(content: bytes, mime: str) -> str:
    """The bytes as an address that needs no network."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def element_image(content: bytes, *, mime: str, alt: str) -> Html:
    """A picture inside the page. Scripts in an SVG do not run there."""
    return Html(f'<img src="{data_uri(content, mime)}" alt="{escaped(alt)}">')


def download(content: bytes, *, name: str, mime: str, text: str) -> Html:
    """A link that saves the bytes as a file."""
    return element(
        "a", escaped(text), attributes={"class": "download", "download": name, "href": data_uri(content, mime)}
    )


def data_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str) -> Html:
    """A table with a heading per column; numbers stand right and carry their full value for sorting."""
    head = joined(element("th", escaped(_heading(name)), attributes={"scope": "col"}) for name in columns)
    body = joined(element("tr", *(_cell(value) for value in row)) for row in rows)
    table = element(
        "table",
        element("caption", escaped(caption)),
        element("thead", element("tr", head)),
        element("tbody", body),
    )
    return element("div", table, attributes={"class": "scroll", "tabindex": 0, "role": "region", "aria-label": caption})


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: Any) -> Html:
    if is_number(value):
        key = repr(float(value)) if math.isfinite(value) else ""
        return element("td", escaped(number(value)), attributes={"class": "number", "data-value": key})
    return element("td", escaped("–" if value is None else value))
