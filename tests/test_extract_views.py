"""Views, replays, pairs, ranks and merges: the same rows whoever computes them, and proof that they are."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kill_and_resume import model_and_split

from darkprobe.data import load_split
from darkprobe.data.policy import parse_policy
from darkprobe.data.split import Split
from darkprobe.data.views import Views
from darkprobe.errors import InvalidValueError, StoreError
from darkprobe.extract import PairedTargets, extract_logits, replay
from darkprobe.store import LogitFile, LogitStore
from darkprobe.store.logit_file import open_file
from darkprobe.store.merge import merge
from darkprobe.store.reporting import describe_unfinished
from darkprobe.zoo import load_model
from darkprobe.zoo.card import Model


@pytest.fixture(scope="module")
def digits() -> Split:
    return load_split("digits", "test").take(np.arange(60))


@pytest.fixture(scope="module")
def network() -> Model:
    return load_model("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=0)


def with_views(model: Model, split: Split, directory: Path, batch_size: int = 32) -> LogitFile:
    path = extract_logits(
        model, split, directory, views=3, policy="pad1", view_seed=5, batch_size=batch_size, progress=False
    )
    return open_file(path)


def test_rows_of_views_are_the_model_on_those_views(tmp_path: Path, network: Model, digits: Split) -> None:
    entry = with_views(network, digits, tmp_path / "s")
    assert entry.logits.shape == (3, 60, 10) and entry.attributes["view_policy"] == "pad1"
    views = Views(digits, policy=parse_policy("pad1"), seed=5)
    with torch.inference_mode():
        expected = network.module(network.prepare(views.images([7, 2], view=1))).numpy()
    np.testing.assert_allclose(entry.logits[1, [7, 2]], expected, atol=1e-5)


def test_pixel_hashes_do_not_depend_on_the_batch_size(tmp_path: Path, network: Model, digits: Split) -> None:
    entries = [with_views(network, digits, tmp_path / str(size), size) for size in (1, 7, 256)]
    for entry in entries[1:]:
        np.testing.assert_array_equal(entry.array("pixel_hash"), entries[0].array("pixel_hash"))
        np.testing.assert_allclose(entry.logits, entries[0].logits, atol=1e-5)
    assert len(np.unique(entries[0].array("pixel_hash"))) > 60


def test_replay_finds_nothing_when_nothing_changed_and_states_its_bound(
    tmp_path: Path, network: Model, digits: Split
) -> None:
    result = replay(with_views(network, digits, tmp_path / "s"), network, digits, rows=300)
    assert result.different == 0 and result.largest < 1e-4
    assert result.share_bound == pytest.approx(1 - 0.01 ** (1 / 300), rel=1e-6)


def test_replay_finds_rows_that_differ(tmp_path: Path, network: Model, digits: Split) -> None:
    entry = with_views(network, digits, tmp_path / "s")
    logits = np.array(entry.logits)
    wrong = np.random.default_rng(0).random((3, 60)) < 0.2
    logits[wrong] += 0.1
    store = LogitStore(tmp_path / "t", create=True)
    facts = {key: entry.attributes[key] for key in ("view_policy", "view_seed")}
    path = store.add(
        entry.card,
        dataset=entry.dataset,
        split=entry.split,
        logits=logits,
        labels=entry.labels,
        example_ids=entry.example_ids,
        class_names=entry.class_names,
        fingerprint=str(entry.attributes["fingerprint"]),
        source="made",
        attributes=facts,
        features={},
    )
    changed = open_file(path)
    with pytest.raises(StoreError, match="holds no array 'pixel_hash'"):
        replay(changed, network, digits)


def test_replay_refuses_other_weights_and_data(tmp_path: Path, network: Model, digits: Split) -> None:
    entry = with_views(network, digits, tmp_path / "s")
    other = load_model("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=1)
    with pytest.raises(StoreError, match="made from other weights"):
        replay(entry, other, digits)
    with pytest.raises(StoreError, match="made from other data"):
        replay(entry, network, digits.take(np.arange(50)))


def test_clean_rows_replayed_after_a_change_are_found(tmp_path: Path, network: Model, digits: Split) -> None:
    entry = open_file(extract_logits(network, digits, tmp_path / "s", progress=False))
    wrong = np.array(entry.logits)
    wrong[::4] += 0.5
    store = LogitStore(tmp_path / "t", create=True)
    path = store.add(
        entry.card,
        dataset=entry.dataset,
        split=entry.split,
        logits=wrong,
        labels=entry.labels,
        example_ids=entry.example_ids,
        class_names=entry.class_names,
        fingerprint=str(entry.attributes["fingerprint"]),
        source="made",
    )
    result = replay(open_file(path), network, digits, rows=400)
    assert 0.15 < result.different / result.checked < 0.35 and result.share_bound > 0.25


def test_pairs_hold_the_pixels_the_logits_came_from(tmp_path: Path, network: Model, digits: Split) -> None:
    entry = with_views(network, digits, tmp_path / "s")
    shuffled = digits.take(np.random.default_rng(0).permutation(60))
    pairs = PairedTargets(entry, shuffled, parameters={"temperature": 2.0})
    assert len(pairs) == 180
    inputs, targets, labels = pairs.batch([3, 70, 179])
    with torch.inference_mode():
        expected = torch.softmax(network.module(network.prepare(inputs)) / 2, -1)
    torch.testing.assert_close(targets, expected, atol=1e-5, rtol=0)
    assert labels.tolist() == [int(entry.labels[i]) for i in (3, 10, 59)]
    one = pairs[70]
    torch.testing.assert_close(one[0], inputs[1])
    with pytest.raises(StoreError, match="made from other data"):
        PairedTargets(entry, digits.take(np.arange(50)))
    with pytest.raises(InvalidValueError, match="one example at a time, got 'class-affinity'"):
        PairedTargets(entry, digits, fix="class-affinity", parameters={"temperature": 4.0, "mix": 0.5})


def test_pairs_come_through_a_loader(tmp_path: Path, network: Model, digits: Split) -> None:
    entry = with_views(network, digits, tmp_path / "s")
    ats = {"target_temperature": 8.0, "wrong_temperature": 4.0}
    loader = torch.utils.data.DataLoader(PairedTargets(entry, digits, fix="ats", parameters=ats), batch_size=64)
    batches = list(loader)
    inputs, targets, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert len(inputs) == 180 and targets.shape == (180, 10) and labels.shape == (180,)
    torch.testing.assert_close(targets.sum(-1), torch.ones(180), atol=1e-5, rtol=0)


def as_rank(rank: int, world_size: int, directory: Path) -> Path:
    """One rank's work, as torchrun would have it done."""
    model, split = model_and_split()
    before = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size)}
    try:
        return extract_logits(model, split, directory, batch_size=16, progress=False)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def test_ranks_fill_one_file_and_missing_blocks_are_named(tmp_path: Path) -> None:
    model, split = model_and_split()
    whole = extract_logits(model, split, tmp_path / "whole", batch_size=16, progress=False)
    final = as_rank(1, 2, tmp_path / "s")
    assert not final.exists()
    (line,) = describe_unfinished(LogitStore(tmp_path / "s"))
    assert "47 of 94 blocks missing (0-46)" in line
    as_rank(0, 2, tmp_path / "s")
    assert final.read_bytes() == whole.read_bytes()
    assert describe_unfinished(LogitStore(tmp_path / "s")) == []


def test_parts_of_nodes_without_a_common_file_system_are_merged(tmp_path: Path) -> None:
    model, split = model_and_split()
    whole = extract_logits(model, split, tmp_path / "whole", batch_size=16, progress=False)
    for rank in range(3):
        as_rank(rank, 3, tmp_path / f"node{rank}")
    parts = sorted(tmp_path.glob("node*/*/*/*.part"))
    assert len(parts) == 3
    with pytest.raises(StoreError, match=r"blocks 31-61 of 94 are in none of the parts"):
        merge([parts[0], parts[2]], tmp_path / "s")
    assert merge(parts, tmp_path / "s").read_bytes() == whole.read_bytes()


def test_parts_of_different_settings_are_not_merged(tmp_path: Path, network: Model, digits: Split) -> None:
    first = extract_logits(network, digits, tmp_path / "a", batch_size=8, progress=False)
    second = extract_logits(network, digits, tmp_path / "b", batch_size=16, progress=False)
    with pytest.raises(StoreError, match="differ in `block_rows`"):
        merge([first, second], tmp_path / "s")


@pytest.mark.slow
def test_torchrun_gives_the_bytes_of_one_process(tmp_path: Path) -> None:
    extract = [
        "extract",
        "mlp-16",
        "--seed",
        "1",
        "--data",
        "digits",
        "--split",
        "train",
        "--batch-size",
        "32",
        "--out",
    ]
    runner = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "darkprobe"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command, out in ((runner, "two"), ([sys.executable, "-m", "darkprobe"], "one")):
        ran = subprocess.run([*command, *extract, str(tmp_path / out)], capture_output=True, text=True, env=env)
        assert ran.returncode == 0, ran.stderr
    (two,), (one,) = (list((tmp_path / out).rglob("*.h5")) for out in ("two", "one"))
    assert two.name == one.name and two.read_bytes() == one.read_bytes()
    assert [p for p in (tmp_path / "two").rglob("*") if p.is_file() and p != two and not p.name.startswith(".")] == []
