"""`profile`, `compare` and `metrics` on the command line: readable tables, stable JSON, one-sentence errors."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from darkprobe.cards import read_knowledge_card, write_knowledge_card
from darkprobe.cli import app
from darkprobe.cli.tables import number
from darkprobe.errors import DataError, InvalidValueError, StoreError, UnknownNameError
from darkprobe.measure import compare_cards, measure, sign_conflicts
from darkprobe.measure.table import COLUMNS
from darkprobe.metrics import METRICS
from darkprobe.store import LogitStore
from darkprobe.zoo import ModelCard


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 300)
    for seed, (width, parameters) in enumerate(((8, 100), (8, 100), (64, 900), (64, 900))):
        logits = rng.normal(size=(6, 6))[labels] + rng.normal(size=(300, 6))
        logits[np.arange(300), labels] += 2
        card = ModelCard(
            architecture=f"mlp-{width}",
            tag=f"s{seed}",
            line="mlp",
            parameters=parameters,
            input_shape=(4,),
            num_classes=6,
            weights_sha256=f"{seed}" * 64,
        )
        LogitStore(tmp_path / "store", create=True).add(
            card,
            dataset="toy",
            split="test",
            logits=logits.astype(np.float32),
            labels=labels,
            example_ids=np.arange(300),
            class_names=tuple("abcdef"),
            fingerprint="0" * 64,
            source="made here",
        )
    return tmp_path / "store"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_profile_fits_a_hundred_columns_and_counts(store: Path) -> None:
    text = run("profile", store, "--temperatures", "1,4,16", "--resamples", "20")
    assert max(len(line) for line in text.splitlines()) <= 100
    for part in ("toy/test", "mlp-8.s0", "mlp-64.s3", "accuracy", "fitted T", "common examples", "300", "±", "95 %"):
        assert part in text


def test_a_pair_whose_order_hangs_on_the_metric_has_one_line_a_temperature(store: Path) -> None:
    told = run("profile", store, "--resamples", 10).split("who is more distinct depends on the metric")
    assert len(told) == 2, "one table for the one data set"
    table = measure(store, resamples=2)
    conflicts = sign_conflicts(table)
    assert told[1].count(" | ") - 1 == 4 * len(conflicts) > 0, "four metrics, each on all and on common examples"
    values = table[(table["subset"] == "all") & (table["temperature"] == conflicts[0].temperature)]
    (own, other) = (
        values[(values["model"] == name) & (values["metric"] == "inherent_std")]["value"].item()
        for name in (conflicts[0].model, conflicts[0].reference)
    )
    assert conflicts[0].sign("inherent_std", "all") == (">" if own > other else "<")


def test_profile_json_is_the_tidy_table(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    text = run("profile", store, "--json", out, "--resamples", "20", "--model", "mlp-8.s0")
    assert text.splitlines()[-1] == str(out)
    rows = json.loads(out.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["subset"] for row in rows} == {"all", "correct", "common"}
    accuracy = next(row for row in rows if row["metric"] == "accuracy")
    assert accuracy["temperature"] is None and accuracy["reference"] is None and 0 < accuracy["value"] < 1
    assert run(
        "profile", store, "--json", out, "--resamples", "20", "--model", "mlp-8.s0"
    )  # the same again: done already
    with pytest.raises(InvalidValueError, match="must name a new file"):
        run("profile", store, "--json", out, "--resamples", "20")


def test_compare_prints_the_scale_where_there_are_two_seeds(store: Path, tmp_path: Path) -> None:
    text = run("compare", store, "--resamples", "20", "--json", tmp_path / "pairs.json")
    assert max(len(line) for line in text.splitlines()) <= 100
    for part in ("mlp-8.s0 : mlp-64.s2", "Kendall", "floor: chance", "ceiling: seeds", "consistency"):
        assert part in text
    rows = json.loads((tmp_path / "pairs.json").read_text())
    assert {row["metric"] for row in rows} >= {"kendall", "spearman_consistency", "class_affinity_ceiling"}
    assert all(row["reference"] for row in rows)


def test_one_metric_alone_is_listed(store: Path) -> None:
    assert "power_sum" in run("profile", store, "--metric", "power_sum", "--temperatures", "4")


def test_the_catalogue_is_printed(store: Path) -> None:
    text = run("metrics", "list")
    assert all(name in text for name in METRICS)
    shown = run("metrics", "show", "non_ground_truth_entropy")
    for part in ("H(pt)", "nats", "[0, log(C - 1)]", "descriptive", "[design", "not to be confused with"):
        assert part in shown
    with pytest.raises(UnknownNameError, match="Did you mean 'entropy'"):
        run("metrics", "show", "entropie")


def test_wrong_use_is_one_sentence(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        run("profile", tmp_path / "nowhere")
    with pytest.raises(InvalidValueError, match="--temperatures must be numbers"):
        run("profile", store, "--temperatures", "warm")
    with pytest.raises(InvalidValueError, match="`temperature` must be a finite number > 0, got 0"):
        run("profile", store, "--temperatures", "0")
    with pytest.raises(UnknownNameError, match="unknown split 'train'"):
        run("profile", store, "--split", "train")


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.05184, 0.0511, 0.0525, ".05184 ±.00074"),
        (0.8103, 0.8025, 0.8181, ".8103 ±.0078"),
        (1.5943, 1.5873, 1.6013, "1.5943 ±.0070"),
        (12.0, 10.0, 14.0, "12.00 ±2.00"),
        (-0.5, -0.6, -0.4, "-.50 ±.10"),
        (math.nan, math.nan, math.nan, "-"),
        (math.inf, math.nan, math.nan, "inf"),
        (0.5, math.nan, math.nan, ".5000"),
    ],
)
def test_numbers_show_the_digits_that_the_interval_supports(value: float, low: float, high: float, text: str) -> None:
    assert number(value, low, high) == text


def test_seeds_of_a_network_are_told_apart_from_examples(store: Path, tmp_path: Path) -> None:
    text = run("profile", store, "--resamples", "10", "--json", tmp_path / "rows.json")
    for part in ("several seeds of a network", "mlp/plain, 900", "2 seeds", "std of seeds", "from examples"):
        assert part in text
    rows = [row for row in json.loads((tmp_path / "rows.json").read_text()) if row["subset"] == "all seeds"]
    assert {row["metric"] for row in rows} >= {"entropy", "entropy_between_seed_std", "entropy_example_error"}
    spread = next(row for row in rows if row["metric"] == "entropy_between_seed_std")
    assert spread["low"] <= spread["value"] < spread["high"]
    single = run("profile", store, "--resamples", "10", "--model", "mlp-8.s0", "--model", "mlp-64.s2")
    assert "seeds" not in single


def test_by_class_and_hierarchy(store: Path, tmp_path: Path) -> None:
    (tmp_path / "tree.csv").write_text("".join(f"{name},{'early' if name < 'd' else 'late'}\n" for name in "abcdef"))
    text = run(
        "profile", store, "--resamples", "10", "--by", "class", "--hierarchy", tmp_path / "tree.csv", "--model",
        "mlp-8.s0", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert max(len(line) for line in text.splitlines()) <= 100
    for part in ("mlp-8.s0 by class · T = 4", "fit to the hierarchy", "blocks"):
        assert part in text
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["subset"] for row in rows} >= {f"class {name}" for name in "abcdef"}
    assert {"cophenetic_correlation", "block_structure"} <= {row["metric"] for row in rows}
    pairs = run("compare", store, "--resamples", "5", "--by", "class", "--model", "mlp-8.s0", "--model", "mlp-64.s2")
    assert "mlp-8.s0 : mlp-64.s2 by class" in pairs and max(len(line) for line in pairs.splitlines()) <= 100
    with pytest.raises(UnknownNameError, match="unknown way to split tables 'classes'"):
        run("profile", store, "--by", "classes")
    with pytest.raises(UnknownNameError, match="unknown class 'a'"):
        run("profile", store, "--resamples", "2", "--hierarchy", "cifar10")
    with pytest.raises(DataError, match="must hold features, got none"):
        run("profile", store, "--resamples", "2", "--features")


def test_metrics_without_a_column_are_listed_beside_others(store: Path) -> None:
    text = run("profile", store, "--metric", "accuracy", "--metric", "ece_debiased", "--resamples", "5")
    assert "accuracy" in text and "ece_debiased" in text


class TestCards:
    def cards(self, store: Path, folder: Path, *models: str) -> list[Path]:
        paths = [folder / f"{model}.json" for model in models]
        for model, path in zip(models, paths, strict=True):
            run("card", model, store, "-o", path)
        return paths

    def test_cards_agree_with_the_store(self, store: Path, tmp_path: Path) -> None:
        first, second = self.cards(store, tmp_path, "mlp-8.s0", "mlp-64.s2")
        text = run("compare", first, second, "--json", tmp_path / "pairs.json")
        assert "mlp-8.s0 : mlp-64.s2" in text and "accuracy" in text
        assert max(len(line) for line in text.splitlines()) <= 100
        (pair,) = [row for row in json.loads((tmp_path / "pairs.json").read_text()) if row["reference"]]
        run("compare", store, "--resamples", "2", "--temperatures", "4", "--model", "mlp-8.s0", "--model", "mlp-64.s2",
            "--json", tmp_path / "store.json")  # fmt: skip
        rows = json.loads((tmp_path / "store.json").read_text())
        expected = next(row for row in rows if row["metric"] == "class_affinity" and row["subset"] == "all")
        assert pair["value"] == pytest.approx(expected["value"], abs=1e-4) and pair["n"] == 300

    def test_a_card_with_a_store(self, store: Path, tmp_path: Path) -> None:
        (card,) = self.cards(store, tmp_path, "mlp-8.s0")
        text = run("compare", card, store, "--model", "mlp-64.s3")
        assert "mlp-8.s0 : mlp-64.s3" in text
        with pytest.raises(InvalidValueError, match=r"'mlp-8\.s0' twice"):
            run("compare", card, store)

    def test_refusals(self, store: Path, tmp_path: Path) -> None:
        first, second = self.cards(store, tmp_path, "mlp-8.s0", "mlp-64.s2")
        with pytest.raises(InvalidValueError, match="`cards` must be two or more, got 1"):
            run("compare", first)
        with pytest.raises(InvalidValueError, match="one store holds the models"):
            run("compare", store, store)
        card = read_knowledge_card(second)
        other = dataclasses.replace(card, fingerprint="1" * 64)
        write_knowledge_card(other, tmp_path / "other.json")
        with pytest.raises(DataError, match="must be of the same examples, got other data fingerprints"):
            run("compare", first, tmp_path / "other.json")
        write_knowledge_card(dataclasses.replace(card, split="train"), tmp_path / "train.json")
        with pytest.raises(DataError, match="same data set and split, got toy/test from"):
            run("compare", first, tmp_path / "train.json")
        second.write_text(second.read_text().replace("900", "901"))
        with pytest.raises(DataError, match="match its own hash"):
            run("compare", first, second)

    def test_cards_that_keep_a_part_of_the_matrix_compare_what_they_keep(self, store: Path, tmp_path: Path) -> None:
        first, second = (read_knowledge_card(p) for p in self.cards(store, tmp_path, "mlp-8.s0", "mlp-64.s2"))
        short = [
            dataclasses.replace(
                card,
                affinity_classes=tuple(row[:2] for row in card.affinity_classes),
                affinity_values=tuple(row[:2] for row in card.affinity_values),
            )
            for card in (first, second)
        ]
        table = compare_cards(short)
        (row,) = table[table["reference"].notna()].to_dict("records")
        shared = [
            len(set(a[:2]) & set(b[:2])) / 2
            for a, b in zip(first.affinity_classes, second.affinity_classes, strict=True)
        ]
        assert row["metric"] == "class_top2_overlap" and row["value"] == pytest.approx(np.mean(shared))


PLUGIN = """
import numpy as np
from darkprobe import register_metric
from darkprobe.metrics import Metric

register_metric(
    Metric(
        name="logit_range",
        kind="per_example",
        summary="Largest minus smallest logit over T.",
        function=lambda logits, labels, *, temperature: np.ptp(logits, axis=-1) / temperature,
    )
)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """A file with a metric of one's own; what it registered is forgotten afterwards."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    yield tmp_path / "mine.py"
    METRICS._records.pop("logit_range", None)
    sys.modules.pop("darkprobe_plugin_mine", None)


class TestPlugin:
    def test_a_metric_of_ones_own_in_profile_plot_and_catalogue(
        self, store: Path, tmp_path: Path, plugin: Path
    ) -> None:
        text = run("--plugin", plugin, "profile", store, "--resamples", 5, "--json", tmp_path / "rows.json")
        assert "logit_range" in text
        rows = [r for r in json.loads((tmp_path / "rows.json").read_text()) if r["metric"] == "logit_range"]
        entry = LogitStore(store).entries(model="mlp-8.s0")[0]
        found = next(r for r in rows if r["model"] == "mlp-8.s0" and r["temperature"] == 4 and r["subset"] == "all")
        assert found["value"] == pytest.approx(np.ptp(np.asarray(entry.logits), axis=1).mean() / 4, rel=1e-6)
        assert found["low"] < found["value"] < found["high"]
        for kind in ("capacity", "temperature"):
            output = tmp_path / f"{kind}.png"
            run("--plugin", plugin, "plot", kind, store, "-o", output, "--metric", "logit_range")
            assert "logit_range" in output.with_suffix(".csv").read_text()
        assert "Largest minus smallest" in run("--plugin", plugin, "metrics", "show", "logit_range")

    def test_refusals(self, tmp_path: Path, plugin: Path) -> None:
        with pytest.raises(InvalidValueError, match="--plugin must be a Python file"):
            run("--plugin", tmp_path / "no.py", "metrics", "list")
        plugin.write_text("1 / 0\n")
        with pytest.raises(DataError, match="must run without an error, got ZeroDivisionError"):
            run("--plugin", plugin, "metrics", "list")
        plugin.write_text(PLUGIN.replace("logit_range", "entropy"))
        with pytest.raises(InvalidValueError, match="'entropy', which is taken"):
            run("--plugin", plugin, "metrics", "list")

    def test_the_environment_names_plugins_too(self, tmp_path: Path, plugin: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "darkprobe", "metrics", "list", "logit*"],
            env={**os.environ, "DARKPROBE_PLUGINS": str(plugin)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0 and "logit_range" in done.stdout, done.stderr
