"""`darkprobe plot tree|cosines|features|classes`, and bands of whole curves, on a store with features and weights."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.errors import DataError, InvalidValueError, UnknownNameError
from darkprobe.measure import measure
from darkprobe.metrics import weight_cosines
from darkprobe.plots import plot_classes, plot_cosines
from darkprobe.store import LogitStore
from darkprobe.zoo.card import ModelCard

NAMES = ("cat", "dog", "ship", "truck", "horse")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("relations") / "store"
    made = LogitStore(path, create=True)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 40)
    weight = rng.normal(size=(5, 6)).astype(np.float32)
    for place, noise in enumerate((1.5, 0.5)):
        features = (weight[labels] + rng.normal(size=(200, 6)) * noise).astype(np.float32)
        card = ModelCard(
            architecture=f"net-{place}",
            tag="s0",
            line="net",
            parameters=100 * (place + 1),
            input_shape=(4,),
            num_classes=5,
            weights_sha256=f"{place}" * 64,
        )
        made.add(
            card,
            dataset="toy",
            split="test",
            logits=features @ weight.T,
            labels=labels,
            example_ids=np.arange(200),
            class_names=NAMES,
            fingerprint="0" * 64,
            source="made here",
            features={"pool": features},
            head_weight=weight,
        )
    return path


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip().splitlines()[-1]


def numbers(store: Path, output: Path, kind: str, *words: object) -> pd.DataFrame:
    assert run("plot", kind, store, "-o", output, *words) == str(output)
    assert output.stat().st_size > 1000 and output.with_suffix(".json").exists()
    return pd.read_csv(output.with_suffix(".csv"))


def test_trees_with_their_fit(store: Path, tmp_path: Path) -> None:
    found = numbers(store, tmp_path / "tree.png", "tree", "--hierarchy", "cifar10", "--temperature", 2)
    merges = found[found["distance"].notna()]
    assert len(merges) == 2 * 4 and (merges["classes"].max(), merges["distance"].min()) == (5, 0)
    assert (found["metric"] == "cophenetic_correlation").sum() == 2
    with pytest.raises(UnknownNameError, match="unknown class 'cat'"):
        run("plot", "tree", store, "-o", tmp_path / "other.png", "--hierarchy", "cifar100")


def test_cosines_of_weights_and_centres(store: Path, tmp_path: Path) -> None:
    found = numbers(store, tmp_path / "w.png", "cosines", "--hierarchy", "cifar10")
    expected = weight_cosines(np.asarray(LogitStore(store).entries()[0].head_weight))
    first = found[found["model"] == "net-0.s0"].set_index(["class", "other"])["cosine"]
    assert first["dog", "cat"] == pytest.approx(expected[1, 0]) and len(found) == 2 * 10
    centres = numbers(store, tmp_path / "c.png", "cosines", "--of", "centres")
    assert centres["cosine"].between(-1, 1).all() and set(centres["of"]) == {"centres"}
    with pytest.raises(UnknownNameError, match="unknown kind of cosines 'logits'"):
        run("plot", "cosines", store, "-o", tmp_path / "x.png", "--of", "logits")
    with pytest.raises(DataError, match="features of layer 'stem', got pool"):
        run("plot", "cosines", store, "-o", tmp_path / "x.png", "--of", "centres", "--layer", "stem")


def test_feature_geometry_against_capacity(store: Path, tmp_path: Path) -> None:
    found = numbers(store, tmp_path / "f.png", "features")
    assert set(found["metric"]) == {"feature_compactness", "centre_cosine_spread", "weight_alignment"}
    compact = found[found["metric"] == "feature_compactness"].set_index("model")
    assert compact.loc["net-1.s0", "high"] < compact.loc["net-0.s0", "low"]  # made with less noise


@pytest.mark.parametrize("metric", ["agreement", "distinctness_std", "accuracy"])
def test_classes(store: Path, tmp_path: Path, metric: str) -> None:
    found = numbers(store, tmp_path / "k.svg", "classes", "--metric", metric)
    assert len(found) == 5 * (1 if metric == "agreement" else 2) and (found["n"] == 40).all()


def test_bands_hold_for_whole_curves_unless_points_are_asked_for(store: Path, tmp_path: Path) -> None:
    for kind, single in (("temperature", {"temperatures": [1.0, 4.0]}), ("capacity", {"temperatures": [4.0]})):
        words = ("--temperatures", "1,4") if kind == "temperature" else ()
        bands = numbers(store, tmp_path / f"{kind}-b.png", kind, "--metric", "entropy", *words)
        points = numbers(store, tmp_path / f"{kind}-p.png", kind, "--metric", "entropy", "--pointwise", *words)
        assert set(bands["interval"]) == {"simultaneous intervals"} and set(points["interval"]) == {"intervals"}
        np.testing.assert_allclose(bands["value"], points["value"])
        assert (bands["low"] < points["low"]).all() and (bands["high"] > points["high"]).all()
        expected = measure(store, metrics=["entropy"], subsets=["all"], **single)
        np.testing.assert_allclose(points["low"], expected["low"])
    ece = numbers(store, tmp_path / "ece.png", "temperature", "--metric", "ece", "--temperatures", "1,4")
    assert set(ece["interval"]) == {"intervals"}  # no bands for what is not a mean


def test_drawing_refuses_what_does_not_fit() -> None:
    with pytest.raises(InvalidValueError, match=r"must have shape \(2, 2\)"):
        plot_cosines(np.eye(3), class_names=["a", "b"])
    table = pd.DataFrame({"metric": ["entropy"], "subset": ["all"], "temperature": [1.0], "reference": [None]})
    with pytest.raises(UnknownNameError, match="metric by class 'entropy'"):
        plot_classes(table, metric="entropy")


def test_pairs_beyond_the_seventh_colour_have_another_sign() -> None:
    table = pd.DataFrame(
        [
            {"model": f"m{i}", "reference": "r", "dataset": "d", "split": "s", "metric": "agreement",
             "temperature": np.nan, "subset": f"class {own}", "value": 0.5, "low": 0.4, "high": 0.6, "n": 9,
             "unit": "fraction"}
            for i in range(9) for own in "ab"
        ]
    )  # fmt: skip
    drawn = plot_classes(table, metric="agreement").get_legend_handles_labels()[0]
    looks = [(bar[0].get_color(), bar[0].get_marker()) for bar in drawn]
    assert len(set(looks)) == 9


def test_maps_side_by_side_share_their_colours() -> None:
    maps = [plot_cosines(np.full((3, 3), value), class_names="abc", reach=0.9).images[0] for value in (0.2, 0.9)]
    assert [drawn.get_clim() for drawn in maps] == [(-0.9, 0.9)] * 2


def test_many_classes_are_framed_by_superclass_and_cut_short() -> None:
    cosines = np.corrcoef(np.random.default_rng(0).normal(size=(60, 8)))
    ax = plot_cosines(cosines, class_names=[str(i) for i in range(60)], groups=[f"g{i % 6}" for i in range(60)])
    assert {text.get_text() for text in ax.texts} >= {f"g{i}" for i in range(6)} and len(ax.lines) == 6
    facts = {"dataset": "d", "split": "s", "metric": "entropy", "temperature": 1.0, "unit": "nats", "n": 5}
    rows = [
        {"model": "a", "reference": None, "subset": f"class {i}", "value": i, "low": i - 1, "high": i + 1, **facts}
        for i in range(60)
    ]
    drawn = plot_classes(pd.DataFrame(rows), metric="entropy")
    labels = [label.get_text() for label in drawn.get_yticklabels()]
    assert len(labels) == 40 and (labels[0], labels[-1]) == ("0", "59")
