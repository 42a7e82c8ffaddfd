"""The figures that stand beside the tables of every kept study, drawn again from these tables.

The same code draws them at the end of a study. Trains nothing.

    python figures/study_figures.py
"""

from pathlib import Path

from _figure import KEPT, read_numbers
from default_studies import KEPT_FIGURES

from darkprobe.files import read_json
from darkprobe.study.figures import draw_figures
from darkprobe.study.status import read_plan

NEEDED = ("profile", "accuracy", "effects", "controls")


def redraw(folder: Path) -> None:
    """Draws the kept figures of one study into its folder."""
    paths = {name: folder / "tables" / f"{name}.csv" for name in NEEDED}
    tables = {name: read_numbers(path) for name, path in paths.items() if path.exists()}
    tables["accuracy"] = tables["accuracy"].fillna({"teacher": ""})  # the student alone has none
    facts = read_json(folder / "study.json", who="study_figures")["provenance"]
    draw_figures(read_plan(folder), folder, tables=tables, facts=facts, only=KEPT_FIGURES)
    print(folder)


def main() -> None:
    """Draws those of every study of a ladder in figures/studies/; others have a plan of another name."""
    for plan in sorted(KEPT.glob("**/study.json")):
        redraw(plan.parent)


if __name__ == "__main__":
    main()
