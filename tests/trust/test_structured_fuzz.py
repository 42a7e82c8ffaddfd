"""Files that are well formed, with a right hash, and wrong inside: any JSON value in any place of a card or plan."""

import copy
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from subjects import EXAMPLES, STUDY, _cards

from darkprobe.cards import read_knowledge_card
from darkprobe.errors import DarkprobeError
from darkprobe.files import content_hash
from darkprobe.report import write_report
from darkprobe.study.plan_file import study_from, study_toml
from darkprobe.study.status import read_plan

HUGE = 10**400
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-1, 1e308, 2**63, HUGE])
PAYLOAD = "</script><script>alert(1)</script>"
WORDS = st.text(max_size=20) | st.sampled_from(["../x", PAYLOAD, "\x00", "kd", "inf", "\ud800"])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
many = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(many, max_examples=100)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, held in inner for place in [(*at, key), *places(held, (*at, key))]]


@st.composite
def changed(draw: st.DrawFn, sound: Any) -> Any:
    """The sound value with one to three of its inner values exchanged or removed."""
    found = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        known = places(found)
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        home = found
        for key in way:
            home = home[key]
        if draw(st.booleans()) or isinstance(home, list):
            home[last] = draw(VALUES)
        else:
            del home[last]
    return found


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    content = json.loads(_cards(tmp_path_factory.mktemp("card"))[0].path.read_text())
    del content["sha256"]
    return dict(content)


def tried(contents: st.SearchStrategy[Any], attempt: Callable[[Any], None], how_many: settings) -> int:
    """Number of contents that `attempt` refused by an error of ours or took; it must do either now and then."""
    found = Counter[bool]()

    def one(content: Any) -> None:
        try:
            attempt(content)
        except DarkprobeError:
            found[False] += 1
        else:
            found[True] += 1

    how_many(given(contents)(one))()
    assert found[False] and found[True], f"refused {found[False]}, taken {found[True]}"
    return found.total()


def cards(card: dict[str, Any], folder: Path, how_many: settings) -> int:
    """What `compare` and the page do with a card."""

    def attempt(content: dict[str, Any]) -> None:
        path = folder / "made.json"
        path.write_text(json.dumps({**content, "sha256": content_hash(content)}))
        found = read_knowledge_card(path)
        found.table(), found.affinity_matrix()

    return tried(changed(card), attempt, how_many)


def plans(how_many: settings) -> int:
    """What `verify` does with a study file, and back."""
    sound = json.loads(json.dumps(read_plan(STUDY).as_dict()))
    return tried(changed(sound), lambda values: study_toml(study_from(values, source="made.toml")), how_many)


def pages(folder: Path, how_many: settings) -> int:
    """What `report` makes of a study's plan, verdicts, examples and tables."""
    shutil.copytree(STUDY, folder, dirs_exist_ok=True)
    objects = {"verdicts": folder / "verdicts.json", "study": folder / "study.json"}
    sound = {name: json.loads(path.read_text()) for name, path in objects.items()}
    objects["examples"], sound["examples"] = folder / "tables" / "examples.json", EXAMPLES
    sound |= {path.stem: pd.read_csv(path).head(6).to_dict("list") for path in (STUDY / "tables").glob("*.csv")}

    def attempt(content: dict[str, Any]) -> None:
        for name in sound:
            path = objects.get(name, folder / "tables" / f"{name}.csv")
            held = content.get(name)
            if path.suffix == ".json":
                path.write_text(json.dumps(held))
            else:
                columns = held if isinstance(held, dict) else {"x": held}
                filled = {key: value if isinstance(value, list) else [value] for key, value in columns.items()}
                pd.DataFrame({key: pd.Series(value, dtype=object) for key, value in filled.items()}).to_csv(
                    path, errors="surrogatepass"
                )
        assert PAYLOAD not in write_report(folder).read_text()

    return tried(changed(sound), attempt, how_many)


@pytest.mark.filterwarnings("ignore")  # of other libraries, on numbers such as 1e308
def test_content_that_is_wrong_inside(card: dict[str, Any], tmp_path: Path, tally: Any) -> None:
    tally("inputs tried", cards(card, tmp_path, few))
    tally("inputs tried", plans(few))


@pytest.mark.filterwarnings("ignore")
def test_pages_of_studies_that_are_wrong_inside(tmp_path: Path, tally: Any) -> None:
    tally("inputs tried", pages(tmp_path, few))


@pytest.mark.trust
def test_a_thousand_cards_and_plans(card: dict[str, Any], tmp_path: Path, tally: Any) -> None:
    tally("inputs tried", cards(card, tmp_path, many))
    tally("inputs tried", plans(many))


@pytest.mark.trust
@pytest.mark.filterwarnings("ignore")
def test_a_thousand_pages(tmp_path: Path, tally: Any) -> None:
    tally("inputs tried", pages(tmp_path, many))
