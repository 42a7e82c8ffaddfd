"""Numbers of two public CIFAR-10 networks on real images, weights and data made by others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.measure import measure

WEIGHTS = {"resnet20": "resnet20-12fca82f.th", "resnet56": "resnet56-4bfd9763.th"}

# Per example and then averaged over the 10,000 test images, population std over the 9 wrong classes.
STATED = {
    ("accuracy", None): (0.8103, 0.8320),
    ("distinctness_std", 1.0): (0.05615, 0.05069),
    ("distinctness_std", 4.0): (0.05184, 0.04829),
    ("inherent_std", 1.0): (0.26260, 0.25719),
    ("inherent_std", 4.0): (0.13493, 0.12518),
}
STATED_VARIANCE = {
    ("distinctness_variance", 1.0): (0.013580, 0.012956),
    ("distinctness_variance", 4.0): (0.005560, 0.005786),
}


@pytest.fixture(scope="module")
def store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from darkprobe.data import load_split
    from darkprobe.extract import extract_logits
    from darkprobe.store import LogitStore
    from darkprobe.zoo import load_model

    path = tmp_path_factory.mktemp("public") / "store"
    test = load_split(f"parquet:{shared_data / 'cifar10'}", "test")
    for name, file in WEIGHTS.items():
        model = load_model(
            f"{name}={shared_data / 'pretrained' / file}", input_shape=test.input_shape, num_classes=test.num_classes
        )
        extract_logits(model, test, LogitStore(path, create=True))
    return path


@pytest.fixture(scope="module")
def table(store: Path) -> pd.DataFrame:
    return measure(store, temperatures=[1.0, 2.0, 4.0], resamples=100)


def values(table: pd.DataFrame, metric: str, temperature: float | None, subset: str = "all") -> np.ndarray:
    rows = table[(table["metric"] == metric) & (table["subset"] == subset)]
    rows = rows[rows["temperature"].isna() if temperature is None else rows["temperature"] == temperature]
    assert list(rows["model"].str.slice(0, 8)) == list(WEIGHTS)
    return rows["value"].to_numpy()


@pytest.mark.slow
class TestPublicResNets:
    def test_the_stated_numbers(self, table: pd.DataFrame) -> None:
        for (metric, temperature), expected in STATED.items():
            np.testing.assert_allclose(values(table, metric, temperature), expected, atol=2e-5, err_msg=metric)
        for (metric, temperature), expected in STATED_VARIANCE.items():
            np.testing.assert_allclose(values(table, metric, temperature), expected, atol=2e-6, err_msg=metric)

    def test_the_sign_flips_between_variance_and_std_and_between_raw_and_inherent(self, table: pd.DataFrame) -> None:
        """At T = 4 the larger network's mean variance is higher, its mean std lower; its shape is flatter anyway."""
        small, large = values(table, "distinctness_variance", 4.0)
        assert large > small
        small, large = values(table, "distinctness_std", 4.0)
        assert large < small
        for temperature in (1.0, 2.0, 4.0):
            small, large = values(table, "inherent_variance", temperature)
            assert large < small
            small, large = values(table, "distinctness_variance", temperature, subset="common")
            assert large < small

    def test_common_examples(self, table: pd.DataFrame) -> None:
        rows = table[(table["subset"] == "common") & (table["metric"] == "entropy")]
        assert set(rows["n"]) == {7503}

    def test_the_profile_and_compare_commands_print_them(self, store: Path, tmp_path: Path) -> None:
        result = CliRunner().invoke(
            app, ["profile", str(store), "--resamples", "20", "--json", str(tmp_path / "p.json")]
        )
        assert result.exit_code == 0
        for text in (".8103", ".8320", ".0518", ".0483", ".1349", ".1252", "10,000", "7,503"):
            assert text in result.stdout, text
        assert result.stdout.strip().splitlines()[-1] == str(tmp_path / "p.json")
        result = CliRunner().invoke(app, ["compare", str(store), "--resamples", "20"])
        assert result.exit_code == 0 and "10,000" in result.stdout

    def test_levels_people_and_the_warning(self, store: Path, shared_data: Path) -> None:
        human = shared_data / "cifar10h" / "cifar10h-probs.npy"
        arguments = ["profile", str(store), "--resamples", "20", "--levels", "--human", str(human)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        warning = "who is more distinct depends on the metric"
        for text in ("levels of knowledge", "against people", "ceiling", "5,608", warning):
            assert text in result.stdout, text
        assert max(len(line) for line in result.stdout.splitlines()) <= 100
