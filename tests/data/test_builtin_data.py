"""digits and synthetic: sizes, shares, seeds, ids, knobs."""

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.datasets import load_digits

from darkprobe.data import SyntheticConfig, list_data, load_split, register_data, synthetic_split
from darkprobe.data.order import keyed_ranks, stratified_order
from darkprobe.data.synthetic import class_directions, class_scores, parse_config
from darkprobe.errors import DataError, InvalidValueError, UnknownNameError

SPLITS = ("train", "val", "test")


def test_digits_parts_are_disjoint_and_complete() -> None:
    ids = [load_split("digits:4", split).example_ids for split in SPLITS]
    assert [len(part) for part in ids] == [600, 600, 597]
    np.testing.assert_array_equal(np.sort(np.concatenate(ids)), np.arange(1797))


def test_digits_rows_are_those_of_scikit_learn() -> None:
    bunch = load_digits()
    split = load_split("digits:2", "test")
    np.testing.assert_array_equal(split.labels, bunch.target[split.example_ids])
    back = split.inputs[..., 0] * (16 / 255)
    np.testing.assert_allclose(back, bunch.images[split.example_ids], atol=16 / 255)
    assert split.dataset == "digits-2" and split.input_shape == (1, 8, 8)


@pytest.mark.parametrize("split", SPLITS)
def test_digits_classes_keep_their_shares(split: str) -> None:
    whole = np.bincount(load_digits().target) / 1797
    part = load_split("digits:9", split)
    assert np.abs(np.bincount(part.labels) - whole * len(part)).max() <= 1.01


def test_each_seed_splits_afresh_and_the_same_seed_the_same() -> None:
    first, again, other = (load_split(f"digits:{seed}", "train") for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    shared = len(np.intersect1d(first.example_ids, other.example_ids))
    assert 150 < shared < 250  # a third of 600 by chance
    assert load_split("digits", "train").fingerprint == first.fingerprint


def test_split_of_seed_0_never_changes() -> None:
    ids = load_split("digits:0", "train").example_ids
    assert ids[:6].tolist() == [193, 1682, 1308, 1012, 1732, 128]  # read once; any change is a break


def test_stratified_order_holds_shares_in_every_stretch() -> None:
    labels = np.repeat([0, 1, 2], [500, 300, 100])
    order = stratified_order(labels, keyed_ranks("test", np.arange(900)))
    assert sorted(order) == list(range(900))
    for start in range(0, 810, 90):
        counts = np.bincount(labels[order[start : start + 90]], minlength=3)
        assert np.abs(counts - [50, 30, 10]).max() <= 1


def test_synthetic_labels_are_the_best_scores() -> None:
    config = SyntheticConfig(seed=3)
    split = synthetic_split(config, "test")
    np.testing.assert_array_equal(split.labels, class_scores(config, split.inputs).argmax(1))
    assert split.inputs.shape == (4000, 50) and split.inputs.dtype == np.float32
    assert abs(split.inputs.mean()) < 0.01 and abs(split.inputs.std() - 1) < 0.01


def test_synthetic_directions_have_the_correlation_asked_for() -> None:
    cosines = np.zeros((20, 20))
    for seed in range(40):
        z = class_directions(SyntheticConfig(seed=seed, correlation=0.6))
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1)
        cosines += z @ z.T / 40
    group = SyntheticConfig().superclass_of
    same = (group[:, None] == group) & ~np.eye(20, dtype=bool)
    assert cosines[same].mean() == pytest.approx(0.6, abs=0.02)
    assert cosines[group[:, None] != group].mean() == pytest.approx(0, abs=0.02)


def test_synthetic_without_waves_is_linear() -> None:
    config = SyntheticConfig(wave_height=0)
    inputs = synthetic_split(config, "val").inputs
    np.testing.assert_allclose(class_scores(config, inputs), inputs.astype(float) @ class_directions(config).T)


def test_synthetic_score_of_one_example_by_hand() -> None:
    config = SyntheticConfig(seed=1, classes=2, superclasses=1, features=3, waves=2, wave_height=0.3, frequency=2.0)
    rng = np.random.default_rng([1, 1])
    a = 2.0 * rng.uniform(0.8, 1.2, 2)
    b = rng.uniform(0, 2 * np.pi, 2)
    x = np.array([[0.5, -1.0, 2.0]])
    t = class_directions(config) @ x[0]
    expected = t + 0.3 * (np.sin(a[0] * t + b[0]) + np.sin(a[1] * t + b[1]))
    np.testing.assert_allclose(class_scores(config, x)[0], expected)


def test_label_noise_replaces_its_share_of_training_and_validation_labels_and_nothing_else() -> None:
    sizes = {"classes": 10, "train": 20_000, "val": 20_000, "test": 2_000}
    clean, noisy = SyntheticConfig(**sizes), SyntheticConfig(**sizes, label_noise=0.3)
    for part in ("train", "val"):
        true, given = synthetic_split(clean, part), synthetic_split(noisy, part)
        np.testing.assert_array_equal(true.inputs, given.inputs)
        changed = true.labels != given.labels
        expected = 0.3 * 9 / 10  # a label drawn from all classes is the old one in a tenth of the draws
        assert abs(changed.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(changed))
        drawn = np.bincount((given.labels - true.labels)[changed] % 10, minlength=10)
        assert drawn[0] == 0 and chisquare(drawn[1:]).pvalue > 1e-3  # to every other class alike
    np.testing.assert_array_equal(synthetic_split(clean, "test").labels, synthetic_split(noisy, "test").labels)
    assert noisy.dataset != clean.dataset
    assert load_split("synthetic:0,label_noise=0.3", "val").fingerprint != load_split("synthetic", "val").fingerprint


def test_synthetic_seeds_and_splits_share_nothing() -> None:
    ids = [load_split("synthetic", split).example_ids for split in SPLITS]
    assert len(np.unique(np.concatenate(ids))) == 7000
    assert load_split("synthetic:1", "val").fingerprint != load_split("synthetic:2", "val").fingerprint


def test_size_of_one_split_leaves_the_others_alone() -> None:
    small = synthetic_split(SyntheticConfig(train=10), "test")
    np.testing.assert_array_equal(small.inputs, synthetic_split(SyntheticConfig(), "test").inputs)


def test_knobs_in_the_name() -> None:
    assert parse_config("7,classes=40,wave_height=.1") == SyntheticConfig(seed=7, classes=40, wave_height=0.1)
    assert load_split("synthetic:7,classes=40", "val").dataset == "synthetic-7-classes40"


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"classes": 21}, "`classes` must be at least 2 and a multiple of superclasses = 5, got 21"),
        ({"superclasses": 0}, "`superclasses` must be at least 1, got 0"),
        ({"correlation": 1.0}, r"`correlation` must be in \[0, 1\), got 1.0"),
        ({"wave_height": float("nan")}, "`wave_height` must be a finite number >= 0, got nan"),
        ({"train": 0}, "`train` must be at least 1, got 0"),
        ({"seed": -1}, "`seed` must be a whole number >= 0, got -1"),
    ],
)
def test_knobs_out_of_range_are_refused(knobs: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        SyntheticConfig(**knobs)


@pytest.mark.parametrize(
    ("name", "split", "error", "message"),
    [
        ("digit", "train", UnknownNameError, "unknown data set 'digit'. Did you mean 'digits"),
        ("digits:x", "train", InvalidValueError, "seed of digits must be a whole number >= 0, got 'x'"),
        ("digits", "dev", DataError, "`split` of digits must be one of train, val, test, got 'dev'"),
        ("digits", "train[", InvalidValueError, "`split` must look like"),
        ("digits", "train[1.2.3:]", InvalidValueError, "counts or fractions in brackets"),
        ("digits", "train[700:]", InvalidValueError, r"within its 600 examples .* got \[700:600\]"),
        ("digits", "train[:0]", InvalidValueError, "hold at least one"),
        ("parquet", "train", InvalidValueError, "must be parquet:DIR, got 'parquet'"),
        ("synthetic:colour=3", "train", InvalidValueError, "knob of synthetic must be one of seed"),
        ("synthetic:classes=many", "train", InvalidValueError, "`classes` of synthetic must be a number"),
    ],
)
def test_wrong_names_say_what_was_expected(name: str, split: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_split(name, split)


def test_parts_of_a_split_are_disjoint_stratified_and_independent_of_row_order() -> None:
    whole = load_split("digits", "train")
    first, rest = load_split("digits", "train[:450]"), load_split("digits", "train[450:]")
    assert (first.name, rest.name) == ("train-0-450", "train-450-600")
    assert set(first.example_ids) | set(rest.example_ids) == set(whole.example_ids)
    assert len(first) + len(rest) == 600
    assert np.abs(np.bincount(first.labels) - np.bincount(whole.labels) * 0.75).max() <= 1
    assert load_split("digits", "train[:0.75]").fingerprint == first.fingerprint

    from darkprobe.data.order import stratified_part

    shuffled = whole.take(np.random.default_rng(0).permutation(600))
    assert set(stratified_part(shuffled, None, 450).example_ids) == set(first.example_ids)


def test_users_register_their_own() -> None:
    register_data("own-digits", read=lambda argument, split: load_split("digits", split), splits=lambda a: ("train",))
    assert "own-digits" in list_data()
    assert len(load_split("own-digits", "train")) == 600
    with pytest.raises(InvalidValueError, match="must be 'own-digits' alone"):
        load_split("own-digits:3", "train")
