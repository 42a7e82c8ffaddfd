"""Properties that every entry of the catalogue declares, tried on generated logits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkprobe.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from darkprobe.metrics import BUILT_IN, METRICS, Metric, register_metric
from darkprobe.metrics.glossary import facts_of, glossary

NAMES = [metric.name for metric in BUILT_IN]
TEMPERATURES = st.sampled_from([0.4, 1.0, 2.0, 4.0, 16.0])


@st.composite
def soft_labels(
    draw: st.DrawFn, *, ties: bool = True, classes: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two models and labels; with `ties` the logits are whole numbers."""
    classes, examples = classes or draw(st.integers(2, 12)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0.1, 2.0, 10.0, 1e4]))
    pair = rng.normal(size=(2, examples, classes)) * spread
    if ties:
        pair = np.round(pair)
    return pair[0], pair[1], rng.integers(0, classes, examples)


def call(name: str, first: np.ndarray, second: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    metric = METRICS[name]
    arrays = (first, second, labels) if metric.kind == "pairwise" else (first, labels)
    return np.asarray(metric.function(*arrays, temperature=temperature))


def shape_of(metric: Metric, logits: np.ndarray) -> tuple[int, ...]:
    if metric.kind == "dataset":
        return ()
    return (logits.shape[1],) if metric.class_level else (logits.shape[0],)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=soft_labels(), temperature=TEMPERATURES)
def test_stays_in_its_range_and_shape(name: str, data: tuple[np.ndarray, ...], temperature: float) -> None:
    found = call(name, *data, temperature)
    low, high = METRICS[name].bounds
    assert found.shape == shape_of(METRICS[name], data[0])
    defined = found[~np.isnan(found)]
    assert (defined >= low - 1e-12).all() and (defined <= high + 1e-12).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(data=soft_labels(), temperature=TEMPERATURES, shift=st.integers(-1000, 1000))
def test_adding_a_constant_changes_nothing(
    name: str, data: tuple[np.ndarray, ...], temperature: float, shift: int
) -> None:
    first, second, labels = data
    assert METRICS[name].shift_invariant
    shifts = shift * np.arange(1, len(labels) + 1)[:, None]
    before, after = call(name, *data, temperature), call(name, first + shifts, second - shifts, labels, temperature)
    np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(data=soft_labels(ties=False), temperature=TEMPERATURES, seed=st.integers(0, 99))
def test_renaming_classes_changes_nothing(
    name: str, data: tuple[np.ndarray, ...], temperature: float, seed: int
) -> None:
    first, second, labels = data
    order = np.random.default_rng(seed).permutation(first.shape[1])
    renamed = np.argsort(order)[labels]
    before = call(name, *data, temperature)
    after = call(name, first[:, order], second[:, order], renamed, temperature)
    if METRICS[name].class_level:
        before = before[order]
    np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(data=soft_labels(), temperature=TEMPERATURES, seed=st.integers(0, 99))
def test_follows_the_order_of_examples(name: str, data: tuple[np.ndarray, ...], temperature: float, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(data[0]))
    before, after = call(name, *data, temperature), call(name, *(part[order] for part in data), temperature)
    if METRICS[name].kind != "dataset" and not METRICS[name].class_level:
        before = before[order]
    np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if not METRICS[name].depends_on_temperature])
@settings(max_examples=10, deadline=None)
@given(data=soft_labels(), temperature=TEMPERATURES)
def test_does_not_depend_on_temperature_when_it_says_so(
    name: str, data: tuple[np.ndarray, ...], temperature: float
) -> None:
    np.testing.assert_array_equal(call(name, *data, temperature), call(name, *data, 1.0))


@pytest.mark.parametrize(
    "name",
    [metric.name for metric in BUILT_IN if metric.kind == "pairwise" and metric.direction != "descriptive"],
)
@settings(max_examples=15, deadline=None)
@given(data=soft_labels(), temperature=TEMPERATURES)
def test_a_model_compared_with_itself_is_ideal(name: str, data: tuple[np.ndarray, ...], temperature: float) -> None:
    first, _, labels = data
    found = call(name, first, first.copy(), labels, temperature)
    ideal = 0.0 if METRICS[name].direction == "lower is better" else 1.0
    np.testing.assert_allclose(found[~np.isnan(found)], ideal, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "uniform"),
    [
        ("target_confidence", lambda c: 1 / c),
        ("non_target_mass", lambda c: 1 - 1 / c),
        ("derived_average", lambda c: 1 / c),
        ("distinctness_std", lambda c: 0),
        ("inherent_std", lambda c: 0),
        ("non_ground_truth_entropy", lambda c: np.log(c - 1)),
        ("entropy", lambda c: np.log(c)),
        ("secondary_gap", lambda c: 0),
        ("power_sum", lambda c: c),
        ("nll", lambda c: np.log(c)),
    ],
)
@settings(max_examples=15, deadline=None)
@given(data=soft_labels(ties=False))
def test_the_limit_of_a_high_temperature(name: str, uniform: object, data: tuple[np.ndarray, ...]) -> None:
    first, second, labels = data
    found = call(name, first, second, labels, 1e12)
    np.testing.assert_allclose(found, uniform(first.shape[1]), atol=1e-6)  # type: ignore[operator]


# Without end: the label's, or the other model's, class may have a probability that goes to 0.
UNBOUNDED = ("nll", "kl_from_reference")


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].depends_on_temperature])
@settings(max_examples=8, deadline=None)
@given(data=soft_labels(ties=False))
def test_there_is_a_limit_of_high_and_of_low_temperatures(name: str, data: tuple[np.ndarray, ...]) -> None:
    for near, far in ((1e10, 1e12), (1e-7, 1e-9)):
        first, second = (call(name, *data, temperature) for temperature in (near, far))
        np.testing.assert_array_equal(np.isnan(first), np.isnan(second))
        if name == "class_affinity" and near > 1:
            continue  # an order of mean probabilities that differ by less than their rounding
        if name == "rescaling_factor":
            continue  # a quotient whose denominator, the student's error at the label, may go to 0
        if name in UNBOUNDED and near < 1:
            assert (second >= first - 1e-9).all()
        elif name == "power_sum" and near < 1:
            assert (second <= first + 1e-9).all()  # to 1 or 0 as the largest probability is 1 or only nearly so
        else:
            np.testing.assert_allclose(second, first, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(data=soft_labels(classes=2), temperature=TEMPERATURES)
def test_one_wrong_class(name: str, data: tuple[np.ndarray, ...], temperature: float) -> None:
    """With one wrong class there is nothing to tell apart: shape is 0 or undefined, the rest stays in its range."""
    found = call(name, *data, temperature)
    low, high = METRICS[name].bounds
    defined = found[~np.isnan(found)]
    assert found.shape == shape_of(METRICS[name], data[0])
    assert (defined >= low - 1e-12).all() and (defined <= high + 1e-12).all()
    if name in ("distinctness_std", "distinctness_variance", "inherent_std", "inherent_variance"):
        assert (found == 0).all()
    if name in ("kendall", "spearman", "pearson", "weighted_tau", "class_affinity"):
        assert np.isnan(found).all()


@pytest.mark.parametrize("name", NAMES)
def test_without_examples(name: str) -> None:
    found = call(name, np.zeros((0, 5)), np.zeros((0, 5)), np.zeros(0, dtype=np.int64), 1.0)
    assert found.shape == shape_of(METRICS[name], np.zeros((0, 5)))
    assert np.isnan(found).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(name: str, bad: float) -> None:
    good, broken = np.eye(5), np.eye(5)
    broken[3, 1] = bad
    with pytest.raises(InvalidValueError, match=r"must be finite, got (nan|inf)"):
        call(name, broken, good, np.arange(5), 1.0)
    if METRICS[name].kind == "pairwise":
        with pytest.raises(InvalidValueError, match="`reference_logits` must be finite"):
            call(name, good, broken, np.arange(5), 1.0)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(data=soft_labels(), temperature=TEMPERATURES, where=st.integers(0, 99))
def test_gaps_of_ten_thousand_and_probabilities_of_zero(
    name: str, data: tuple[np.ndarray, ...], temperature: float, where: int
) -> None:
    """Never an infinity from a probability that is 0, in either precision."""
    first, second, labels = (part.copy() for part in data)
    first[where % len(first), where % first.shape[1]] += 1e4
    second[where % len(first), (where + 1) % first.shape[1]] -= 1e4
    for kind in (np.float32, np.float64):
        found = call(name, first.astype(kind), second.astype(kind), labels, temperature)
        if name not in ("fitted_temperature", "rescaling_factor"):  # of which infinity is a value
            assert not np.isinf(found).any()


@pytest.mark.parametrize("name", [metric.name for metric in BUILT_IN if metric.kind != "per_example"])
@settings(max_examples=10, deadline=None)
@given(data=soft_labels(ties=False), temperature=TEMPERATURES)
def test_float32_is_within_1e5_of_float64(name: str, data: tuple[np.ndarray, ...], temperature: float) -> None:
    """Of the same logits; metrics of one example are tried in test_per_example_references at more temperatures."""
    single = [part.astype(np.float32) for part in data[:2]]
    double = [part.astype(np.float64) for part in single]
    found, exact = (call(name, *pair, data[2], temperature) for pair in (single, double))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(data=soft_labels(ties=False))
def test_the_limit_of_a_low_temperature(data: tuple[np.ndarray, ...]) -> None:
    first, second, labels = data
    right = (first.argmax(1) == labels).astype(float)
    np.testing.assert_allclose(call("target_confidence", first, second, labels, 1e-9), right, atol=1e-6)
    np.testing.assert_allclose(call("entropy", first, second, labels, 1e-9), 0, atol=1e-4)
    np.testing.assert_allclose(call("non_ground_truth_entropy", first, second, labels, 1e-9), 0, atol=1e-4)


@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: metric.name)
def test_every_entry_tells_its_facts(metric: Metric) -> None:
    assert metric.summary.endswith(".") and len(metric.summary) < 130
    assert metric.formula and metric.range and metric.edge_cases and metric.source and metric.not_to_be_confused_with
    assert dict(facts_of(metric))["metric"] == metric.name


def test_the_glossary_page_is_the_catalogue() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
    assert page.read_text() == glossary(BUILT_IN), "python -m darkprobe.metrics.glossary > docs/glossary.md"


def test_registering_refuses_what_cannot_work() -> None:
    def function(logits: np.ndarray, labels: np.ndarray, *, temperature: float) -> np.ndarray:
        return logits.max(-1) / temperature

    with pytest.raises(InvalidValueError, match="'entropy', which is taken"):
        register_metric(Metric(name="entropy", function=function, kind="per_example", summary="Twice."))
    with pytest.raises(InvalidValueError, match="must be a word"):
        Metric(name="my metric", function=function, kind="per_example", summary="A space.")
    with pytest.raises(UnknownNameError, match="unknown metric kind 'per_class'"):
        Metric(name="other", function=function, kind="per_class", summary="No such kind.")  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="`function` must be callable, got int"):
        Metric(name="other", function=3, kind="dataset", summary="No function.")  # type: ignore[arg-type]
    assert json.dumps(facts_of(METRICS["ece"]))
