"""Files that are well formed, with a right hash, and wrong inside: any JSON value in any place of a card or plan."""

import copy
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from subjects import STUDY, _cards, study_folder

from darkprobe.cards import read_knowledge_card
from darkprobe.errors import DarkprobeError
from darkprobe.files import content_hash
from darkprobe.study.plan_file import study_from, study_toml
from darkprobe.study.status import read_plan

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-1, 1e308, 2**63, 2**200])
WORDS = st.text(max_size=20) | st.sampled_from(["../x", "<script>", "\x00", "kd"])
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


def try_card(content: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps({**content, "sha256": content_hash(content)}))
    with suppress(DarkprobeError):
        found = read_knowledge_card(path)
        found.table(), found.affinity_matrix()  # what `compare` and the page then do


def try_plan(values: dict[str, Any]) -> None:
    with suppress(DarkprobeError):
        study_toml(study_from(values, source="made.toml"))


def test_cards_of_another_content_with_a_right_hash(card: dict[str, Any], tmp_path: Path) -> None:
    few(given(changed(card))(lambda content: try_card(content, tmp_path / "made.json")))()


def test_plans_of_another_content() -> None:
    few(given(changed(json.loads(json.dumps(read_plan(STUDY).as_dict()))))(try_plan))()


@pytest.mark.trust
def test_a_thousand_cards(card: dict[str, Any], tmp_path: Path, tally: Any) -> None:
    many(given(changed(card))(lambda content: try_card(content, tmp_path / "made.json")))()
    tally("inputs tried", many.max_examples)


@pytest.mark.trust
def test_a_thousand_plans(tally: Any) -> None:
    many(given(changed(json.loads(json.dumps(read_plan(STUDY).as_dict()))))(try_plan))()
    tally("inputs tried", many.max_examples)


@pytest.mark.trust
def test_a_thousand_verdict_files(tmp_path: Path, tally: Any) -> None:
    sound = json.loads((STUDY / "verdicts.json").read_text())
    (tmp_path / "study.json").write_text((STUDY / "study.json").read_text())

    def attempt(content: Any) -> None:
        (tmp_path / "verdicts.json").write_text(json.dumps(content))
        with suppress(DarkprobeError):
            study_folder(tmp_path / "verdicts.json")

    many(given(changed(sound))(attempt))()
    tally("inputs tried", many.max_examples)
