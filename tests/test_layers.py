"""Imports point down only. The rule is read from the code; a second test proves that it can fail."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "darkprobe"

LAYER = {
    **dict.fromkeys(["errors", "types", "checks", "blocks", "files", "numpy_files", "registry"], 0),
    **dict.fromkeys(["provenance", "_version"], 0),
    **dict.fromkeys(["zoo", "data", "store", "metrics", "targets", "cards"], 1),
    **dict.fromkeys(["extract", "measure", "plots", "distill"], 2),
    **dict.fromkeys(["study", "report"], 3),
    **dict.fromkeys(["cli", "__main__"], 4),
    "__init__": -1,
}
# Same layer, and allowed: the store writes cards.
ALLOWED = {("store", "zoo"), ("cards", "zoo"), ("report", "study")}
ONLY_IN = {"h5py": {"store"}, "matplotlib": {"plots", "report"}, "seaborn": {"plots", "report"}}


def imports_of(source: str) -> set[str]:
    """Dotted names that a module imports anywhere, also inside functions; type-checking imports count too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import: layers cannot be read from it"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "darkprobe" else {str(node.module)}
    return found


def violations(room: str, source: str) -> list[str]:
    """What a module in `room` imports although the layers forbid it."""
    bad = []
    for name in sorted(imports_of(source)):
        top, *rest = name.split(".")
        if top == "darkprobe" and rest and rest[0] in LAYER and rest[0] != room:
            down = LAYER[rest[0]] < LAYER[room] or (LAYER[room] == LAYER[rest[0]] in (0, 4))
            if not down and (room, rest[0]) not in ALLOWED:
                bad.append(f"{room} (layer {LAYER[room]}) imports {name} (layer {LAYER[rest[0]]})")
        if top in ONLY_IN and room not in ONLY_IN[top]:
            bad.append(f"{room} imports {top}, which belongs to {sorted(ONLY_IN[top])}")
    return bad


def modules() -> list[tuple[str, Path]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in paths]


def test_every_room_has_a_layer() -> None:
    assert {room for room, _ in modules()} <= set(LAYER)


@pytest.mark.parametrize(
    ("room", "path"), [m for m in modules() if m[0] != "__init__"], ids=lambda value: str(value)[-40:]
)
def test_imports_point_down(room: str, path: Path) -> None:
    assert violations(room, path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("metrics", "from darkprobe.measure import measure"),
        ("metrics", "def f():\n    import darkprobe.store"),
        ("checks", "from darkprobe import zoo"),
        ("zoo", "import h5py"),
        ("distill", "import matplotlib.pyplot"),
        ("study", "from darkprobe.cli import main"),
    ],
)
def test_the_rule_can_fail(room: str, source: str) -> None:
    assert violations(room, source)


def test_the_rule_allows_what_it_should() -> None:
    assert violations("measure", "import numpy\nfrom darkprobe.metrics import METRICS\nimport darkprobe.checks") == []
