"""Stores larger than memory: nothing asks for all logits at once, and blocks of any size give the same numbers."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from darkprobe import metrics
from darkprobe.measure import (
    SoftLabels,
    between_seeds,
    compare,
    compare_by_class,
    measure,
    measure_by_class,
    measure_hierarchy,
    measure_people,
    measure_student,
    temperature_bands,
)
from darkprobe.measure.moments import Moments
from darkprobe.metrics import METRICS
from darkprobe.metrics.levels import LEVELS

EXAMPLES, CLASSES = 9_000, 64


class Watched:
    """Logits on disk, as far as anyone can tell: only rows can be read, and the most rows of one read are noted."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.most = values, 0
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, rows: Any) -> np.ndarray:
        found = self.values[rows].copy()
        self.most = max(self.most, len(found))
        return found

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise AssertionError("all logits were asked for at once")


@pytest.fixture(scope="module")
def data() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Logits of three models, labels and votes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES)
    shared = rng.normal(size=(EXAMPLES, CLASSES))
    shared[np.arange(EXAMPLES), labels] += 4
    logits = [(shared + rng.normal(size=shared.shape) * 0.5).astype(np.float32) for _ in range(3)]
    probs = np.exp(shared) / np.exp(shared).sum(1, keepdims=True)
    return logits, labels, np.stack([rng.multinomial(40, p) for p in probs])


def records(data: tuple[list[np.ndarray], np.ndarray, np.ndarray], *, watched: bool) -> list[SoftLabels]:
    """The second model's examples are stored in another order."""
    logits, labels, _ = data
    order = np.random.default_rng(1).permutation(EXAMPLES)
    found = []
    for place, values in enumerate(logits):
        ids = order if place == 1 else np.arange(EXAMPLES)
        kept: Any = Watched(values[ids]) if watched else values[ids]
        found.append(
            SoftLabels(model=f"m{place}", logits=kept, labels=labels[ids], ids=ids, family="net", parameters=10)
        )
    return found


@pytest.fixture
def hierarchy(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tree") / "tree.csv"
    path.write_text("".join(f"{c},g{c // 8}\n" for c in range(CLASSES)))
    return str(path)


Task = Callable[[list[SoftLabels], np.ndarray, str], pd.DataFrame]
TASKS: dict[str, Task] = {
    "measure": lambda r, v, h: measure(r, temperatures=[4.0], resamples=5),
    "levels": lambda r, v, h: measure(r, metrics=LEVELS, temperatures=[4.0], subsets=["all"]),
    "compare": lambda r, v, h: compare(r, metrics=["spearman", "agreement", "class_affinity"], resamples=5),
    "people": lambda r, v, h: measure_people(r, v / 40, temperatures=[4.0], resamples=5),
    "student": lambda r, v, h: measure_student(r, "m0", temperatures=[4.0]),
    "bands": lambda r, v, h: temperature_bands(r, "entropy", temperatures=[1.0, 4.0]),
    "seeds": lambda r, v, h: between_seeds(r, temperatures=[4.0]),
    "classes": lambda r, v, h: measure_by_class(r, temperatures=[4.0]),
    "pairs by class": lambda r, v, h: compare_by_class(r, temperatures=[4.0]),
    "hierarchy": lambda r, v, h: measure_hierarchy(r, h, temperatures=[4.0], resamples=5),
}


@pytest.mark.parametrize("name", list(TASKS))
def test_no_task_reads_everything_and_the_numbers_are_the_same(
    name: str,
    data: tuple[list[np.ndarray], np.ndarray, np.ndarray],
    hierarchy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = TASKS[name](records(data, watched=False), data[2], hierarchy)
    for module in [m for n, m in sys.modules.items() if n.startswith("darkprobe.") and hasattr(m, "rows_per_block")]:
        monkeypatch.setattr(module, "rows_per_block", lambda logits: 700)
    held = records(data, watched=True)
    streamed = TASKS[name](held, data[2], hierarchy)
    numbers = [c for c in ("value", "low", "high", "between_seed_std", "example_error") if c in whole]
    for column in numbers:
        # float32 sums over other blocks, and floors that are drawn anew for each block
        kept = ~whole["metric"].str.contains("_floor_permuted|_consistency").to_numpy()
        np.testing.assert_allclose(streamed[column][kept], whole[column][kept], rtol=2e-5, atol=1e-7, err_msg=column)
    assert 0 < max(record.logits.most for record in held) <= 4_500  # a start for Newton's method is every second row


def test_shards_merge_to_the_whole(data: tuple[list[np.ndarray], np.ndarray, np.ndarray]) -> None:
    """Moments made on shards of the examples, merged in any order, are those of all."""
    logits, labels, _ = data
    names = ("entropy", "distinctness_std", "accuracy")

    def moments(rows: slice) -> Moments:
        values = [METRICS[n].function(logits[0][rows], labels[rows], temperature=4.0) for n in names]
        return Moments.of(torch.from_numpy(np.stack(values)))

    shards = [moments(slice(start, start + 2_500)) for start in range(0, EXAMPLES, 2_500)]
    merged = shards[2].merge(shards[0]).merge(shards[3].merge(shards[1]))
    whole = measure(
        SoftLabels(model="a", logits=logits[0], labels=labels), metrics=names, temperatures=[4.0], subsets=["all"]
    ).set_index("metric")
    for i, name in enumerate(names):
        assert merged.mean[i] == pytest.approx(whole.loc[name, "value"], rel=1e-12) and merged.count[i] == EXAMPLES


def on_host(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of all tensors that go to the host from here on, by any of the ways there."""
    sizes: list[int] = []
    for way in ("cpu", "numpy", "tolist", "__array__"):
        original = getattr(torch.Tensor, way)

        def noted(self: torch.Tensor, *rest: Any, _original: Any = original, **named: Any) -> Any:
            sizes.append(self.numel())
            return _original(self, *rest, **named)

        monkeypatch.setattr(torch.Tensor, way, noted)
    return sizes


@pytest.mark.parametrize("metric", metrics.BUILT_IN, ids=lambda metric: metric.name)
def test_no_metric_brings_logits_to_the_host(
    metric: metrics.Metric, data: tuple[list[np.ndarray], np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors in, tensors out; on an accelerator each such move would be a copy and a wait."""
    rows = slice(0, 500)
    first, second = (torch.from_numpy(values[rows]) for values in data[0][:2])
    labels = torch.from_numpy(data[1][rows])
    arrays = (first, second, labels) if metric.kind == "pairwise" else (first, labels)
    sizes = on_host(monkeypatch)
    found = metric.function(*arrays, temperature=4.0)
    assert isinstance(found, torch.Tensor)
    assert max(sizes, default=0) <= 8, sizes


def test_measurements_bring_sums_but_no_logits_to_the_host(
    data: tuple[list[np.ndarray], np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = [
        SoftLabels(
            model=f"m{i}",
            logits=torch.from_numpy(values),
            labels=data[1],
            family="net",
            parameters=i // 2,
        )
        for i, values in enumerate(data[0])
    ]
    sizes = on_host(monkeypatch)
    measure(tensors, temperatures=[4.0], resamples=5)
    measure(tensors, metrics=LEVELS, temperatures=[4.0], subsets=["all"])
    compare(tensors, temperatures=[4.0], resamples=5)
    compare_by_class(tensors, temperatures=[4.0])
    assert 0 < max(sizes) <= EXAMPLES  # moments, resampled totals, labels
