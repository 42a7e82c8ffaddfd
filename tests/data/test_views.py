"""Views: the same pixels whatever the batch, order or worker; each operation against a slow reference."""

import itertools
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import view_hashes

from darkprobe.data import Split, ViewPolicy, Views, load_split, parse_policy, pixel_hash, pixel_operations
from darkprobe.data.keyed import Purpose, fraction, keyed_words, philox4x32, whole
from darkprobe.errors import InvalidValueError

POLICIES = ["pad4+flip", "window0.25+flip", "pad2+jitter0.4", "pad4+flip+mixup0.2", "flip+cutmix1", "clean"]


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    return Split(
        dataset="noise",
        name="train",
        kind="image",
        inputs=rng.integers(0, 256, (300, 12, 10, 3), dtype=np.uint8),
        labels=rng.integers(0, 4, 300),
        example_ids=rng.choice(2**40, 300, replace=False) - 2**39,
        class_names=tuple("abcd"),
        source="test",
    )


def test_philox_gives_its_authors_test_vectors() -> None:
    ones, pi = [0xFFFFFFFF] * 4, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    vectors = [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (ones, ones[:2], "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (pi, [0xA4093822, 0x299F31D0], "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, expected in vectors:
        words = philox4x32(np.array([counter], np.uint64), np.array(key, np.uint64))[0]
        assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_draws_are_uniform_and_unrelated_between_views_and_purposes() -> None:
    ids = np.arange(20000)
    draws = [
        fraction(keyed_words(ids, seed=1, view=view, purpose=purpose))
        for view, purpose in itertools.product([0, 1], [Purpose.PLACE, Purpose.MIX])
    ]
    columns = np.concatenate(draws, axis=1)
    histogram = np.stack([np.histogram(column, 10, (0, 1))[0] for column in columns.T])
    assert abs(histogram - 2000).max() < 200  # 4.7 standard deviations
    correlation = np.corrcoef(columns.T) - np.eye(16)
    assert abs(correlation).max() < 0.035


def test_whole_numbers_cover_their_range_evenly() -> None:
    values = whole(keyed_words(np.arange(9000), seed=0, view=0, purpose=Purpose.PLACE)[:, 0], 9)
    assert abs(np.bincount(values, minlength=9) - 1000).max() < 150
    assert whole(np.array([0, 2**32 - 1], np.uint64), 9).tolist() == [0, 8]


@pytest.mark.parametrize("text", POLICIES)
def test_same_pixels_in_batches_of_1_7_and_256_and_in_any_order(split: Split, text: str) -> None:
    views = Views(split, policy=parse_policy(text), seed=3)
    rows = np.arange(300)
    whole_view = views.images(rows, view=5)
    for batch in (1, 7, 256):
        parts = [views.images(rows[start : start + batch], view=5) for start in range(0, 300, batch)]
        assert torch.equal(torch.cat(parts), whole_view)
    shuffled = np.random.default_rng(1).permutation(300)
    assert torch.equal(views.images(shuffled, view=5), whole_view[shuffled])
    hashes = [pixel_hash(split.example_ids[rows[s : s + 7]], whole_view[s : s + 7]) for s in range(0, 300, 7)]
    assert sum(hashes) % 2**64 == pixel_hash(split.example_ids, whole_view)


@pytest.mark.parametrize("text", POLICIES)
def test_rows_of_the_split_in_another_order_give_the_same_view_of_each_example(split: Split, text: str) -> None:
    order = np.random.default_rng(2).permutation(300)
    moved = Views(split.take(order), policy=parse_policy(text), seed=3).images(np.arange(300), view=1)
    assert torch.equal(moved, Views(split, policy=parse_policy(text), seed=3).images(order, view=1))


@pytest.mark.parametrize("text", [text for text in POLICIES if text != "clean"])
def test_views_and_seeds_differ(split: Split, text: str) -> None:
    rows = np.arange(300)
    first = Views(split, policy=parse_policy(text), seed=3).images(rows, view=0)
    again = Views(split, policy=parse_policy(text), seed=3).images(rows, view=1)
    other = Views(split, policy=parse_policy(text), seed=4).images(rows, view=0)
    for different in (again, other):
        changed = (different != first).flatten(1).any(1).double().mean()
        assert changed > 0.4


def _hash_in_worker(arguments: tuple[Split, str, int, int]) -> int:
    split, text, start, stop = arguments
    rows = np.arange(start, stop)
    return pixel_hash(split.example_ids[rows], Views(split, policy=parse_policy(text), seed=3).images(rows, view=2))


def test_two_processes_give_the_pixels_of_one(split: Split) -> None:
    text = "pad4+flip+cutmix1"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.map(_hash_in_worker, [(split, text, 0, 130), (split, text, 130, 300)])
    assert sum(parts) % 2**64 == _hash_in_worker((split, text, 0, 300))


class _Rows(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, views: Views) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views.split)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.views.images([row], view=2)[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader_workers_give_the_same_pixels(split: Split, workers: int) -> None:
    views = Views(split.take(np.arange(40)), policy=parse_policy("pad4+flip+jitter0.4+mixup1"), seed=3)
    loader = torch.utils.data.DataLoader(
        _Rows(views), batch_size=16, num_workers=workers, multiprocessing_context="spawn" if workers else None
    )
    assert torch.equal(torch.cat(list(loader)), views.images(np.arange(40), view=2))


def test_one_augmentation_does_not_change_the_draws_of_another(split: Split) -> None:
    rows = np.arange(50)
    flipped = Views(split, policy=ViewPolicy(flip=True), seed=9).images(rows, view=0)
    own = torch.from_numpy(split.inputs[rows])
    mirrored = (flipped != own).flatten(1).any(1)
    both = Views(split, policy=ViewPolicy(flip=True, jitter=0.4), seed=9)
    words = both._words(rows, 0, Purpose.PLACE)[:, 2] >> np.uint64(31)
    np.testing.assert_array_equal(mirrored.numpy(), words.astype(bool))


def test_place_is_a_crop_of_the_framed_image() -> None:
    images = torch.randint(0, 256, (20, 6, 5, 3), dtype=torch.uint8)
    down, right = torch.randint(0, 5, (20,)), torch.randint(0, 5, (20,))
    mirrored = torch.rand(20) < 0.5
    placed = pixel_operations.place(images, down=down, right=right, mirrored=mirrored, pad=2)
    for i in range(20):
        framed = np.pad(images[i].numpy(), ((2, 2), (2, 2), (0, 0)))
        crop = framed[down[i] : down[i] + 6, right[i] : right[i] + 5]
        np.testing.assert_array_equal(placed[i].numpy(), crop[:, ::-1] if mirrored[i] else crop)


def test_zoom_is_bilinear_interpolation_of_the_window() -> None:
    images = torch.randint(0, 256, (30, 16, 12, 3), dtype=torch.uint8)
    top, left = torch.randint(0, 8, (30,)), torch.randint(0, 6, (30,))
    size = torch.stack([torch.randint(1, 9, (30,)), torch.randint(1, 7, (30,))], 1)
    zoomed = pixel_operations.zoom(images, top=top, left=left, size=size)
    for i in range(30):
        window = images[i, top[i] : top[i] + size[i, 0], left[i] : left[i] + size[i, 1]].permute(2, 0, 1)[None]
        expected = torch.nn.functional.interpolate(window.double(), (16, 12), mode="bilinear", align_corners=False)
        assert (zoomed[i].double() - expected[0].permute(1, 2, 0)).abs().max() <= 2.5  # weights have 8 bits


def test_zoom_to_the_whole_image_changes_nothing() -> None:
    images = torch.randint(0, 256, (4, 9, 7, 3), dtype=torch.uint8)
    zero = torch.zeros(4, dtype=torch.int64)
    same = pixel_operations.zoom(images, top=zero, left=zero, size=torch.tensor([[9, 7]] * 4))
    assert torch.equal(same, images)


def test_windows_stay_inside_and_keep_the_asked_share(split: Split) -> None:
    views = Views(split, policy=ViewPolicy(window=0.3), seed=0)
    top, left, tall, wide = views._windows(np.arange(300), 0).T
    assert (top >= 0).all() and (left >= 0).all() and (tall >= 1).all() and (wide >= 1).all()
    assert (top + tall <= 12).all() and (left + wide <= 10).all()
    share = tall * wide / 120
    assert 0.2 < share.min() < 0.4 and 0.55 < share.mean() < 0.7


def test_neutral_jitter_changes_nothing_and_extremes_are_known() -> None:
    images = torch.randint(0, 256, (5, 4, 4, 3), dtype=torch.uint8)
    assert torch.equal(pixel_operations.jitter(images, torch.full((5, 3), 256, dtype=torch.int32)), images)
    black = pixel_operations.jitter(images, torch.tensor([[0, 256, 256]] * 5, dtype=torch.int32))
    assert black.max() == 0
    grey = pixel_operations.jitter(images, torch.tensor([[256, 256, 0]] * 5, dtype=torch.int32))
    assert torch.equal(grey[..., 0], grey[..., 2])
    flat = pixel_operations.jitter(images, torch.tensor([[256, 0, 256]] * 5, dtype=torch.int32))
    assert all(len(image.unique()) == 1 for image in flat)


def test_jitter_agrees_with_floating_point() -> None:
    images = torch.randint(40, 200, (6, 5, 5, 3), dtype=torch.uint8)
    factors = torch.tensor([[230, 300, 200]] * 6, dtype=torch.int32)
    fb, fc, fs = (factors[0].double() / 256).tolist()
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.double)
    bright = images.double() * fb
    contrast = bright * fc + (bright @ weights).mean((1, 2))[:, None, None, None] * (1 - fc)
    expected = (contrast * fs + (contrast @ weights)[..., None] * (1 - fs)).clamp(0, 255)
    assert (pixel_operations.jitter(images, factors).double() - expected).abs().max() < 4


def test_one_channel_survives_every_policy() -> None:
    digits = load_split("digits", "train")
    for text in POLICIES:
        images = Views(digits, policy=parse_policy(text.replace("pad4", "pad1")), seed=0).images([0, 5], view=0)
        assert images.shape == (2, 8, 8, 1) and images.dtype == torch.uint8


def test_mixup_is_the_share_it_says(split: Split) -> None:
    views = Views(split, policy=parse_policy("mixup1"), seed=1)
    rows = np.arange(100)
    mixing = views.mixing(rows, view=0)
    assert mixing is not None
    share = mixing.share[:, None, None, None]
    expected = share * split.inputs[rows] + (1 - share) * split.inputs[mixing.partner_rows]
    assert np.abs(views.images(rows, view=0).numpy() - expected).max() <= 0.5
    assert 0.4 < mixing.share.mean() < 0.6 and len(set(mixing.partner_rows)) > 60


def test_cutmix_share_is_the_area_that_stayed(split: Split) -> None:
    views = Views(split, policy=parse_policy("cutmix1"), seed=1)
    rows = np.arange(200)
    mixing, box = views._mixing(rows, 0)
    assert mixing is not None and box is not None
    images = views.images(rows, view=0).numpy()
    for i, (top, bottom, left, right) in enumerate(box):
        pasted = np.zeros((12, 10), bool)
        pasted[top:bottom, left:right] = True
        assert mixing.share[i] == pytest.approx(1 - pasted.mean())
        np.testing.assert_array_equal(images[i][pasted], split.inputs[mixing.partner_rows[i]][pasted])
        np.testing.assert_array_equal(images[i][~pasted], split.inputs[i][~pasted])


def test_beta_shares_have_the_variance_of_beta(split: Split) -> None:
    views = Views(load_split("digits", "train"), policy=parse_policy("mixup0.2"), seed=1)
    mixing = views.mixing(np.arange(600), view=0)
    assert mixing is not None
    assert mixing.share.var() == pytest.approx(0.25 / 1.4, rel=0.1)  # 1 / (4 (2 alpha + 1))


@pytest.mark.parametrize("text", POLICIES)
def test_policies_are_read_back_from_their_text(text: str) -> None:
    assert parse_policy(text).text == text
    assert parse_policy(text).clean == (text == "clean")


@pytest.mark.parametrize("text", ["", "pad", "flip2", "pad4+pad2", "mixup1+cutmix1", "rotate3", "pad4 + flip"])
def test_wrong_policies_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"parse_policy: `text` must join parts|`pad` must be a whole number"):
        parse_policy(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 1.0}, r"`window` must be in \[0, 1\), got 1.0"),
        ({"pad": -1}, "`pad` must be a whole number from 0 to 64, got -1"),
        ({"jitter": 2.0}, r"`jitter` must be in \[0, 1\]"),
        ({"mix": "blend"}, "`mix` must be none, mixup or cutmix, got blend"),
        ({"mix_alpha": 0.0}, "`mix_alpha` must be a finite number > 0"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        ViewPolicy(**values)


def test_doors_of_views(split: Split) -> None:
    with pytest.raises(InvalidValueError, match="`seed` must lie in"):
        Views(split, policy=ViewPolicy(), seed=-1)
    with pytest.raises(InvalidValueError, match="`view` must lie in"):
        Views(split, policy=ViewPolicy(), seed=0).images([0], view=-1)
    with pytest.raises(InvalidValueError, match="`policy` must be clean for features, got flip"):
        Views(load_split("synthetic", "val"), policy=ViewPolicy(flip=True), seed=0)


@pytest.mark.gpu
@pytest.mark.parametrize("text", POLICIES)
def test_gpu_gives_the_pixels_of_the_cpu(split: Split, text: str) -> None:
    views = Views(split, policy=parse_policy(text), seed=3)
    rows = np.arange(300)
    assert torch.equal(views.images(rows, view=1, device="cuda").cpu(), views.images(rows, view=1))


def _hash_on_ranks(ranks: int, *, batch: int, workers: int) -> str:
    script = Path(__file__).with_name("view_hashes.py")
    runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    ran = subprocess.run(
        [*runner, str(script), str(batch), str(workers)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()[-1]


@pytest.mark.slow
def test_a_view_has_one_pixel_hash_for_every_batch_size_worker_count_and_number_of_ranks() -> None:
    whole_view = view_hashes.Examples(range(view_hashes.EXAMPLES)).views
    rows = np.arange(view_hashes.EXAMPLES)
    wanted = pixel_hash(whole_view.split.example_ids, whole_view.images(rows, view=5))
    everything = range(view_hashes.EXAMPLES)
    for batch in (1, 7, 256):
        assert view_hashes.loaded_hash(everything, batch=batch, workers=0) == wanted
    for batch in (7, 256):
        assert view_hashes.loaded_hash(everything, batch=batch, workers=2) == wanted
    assert _hash_on_ranks(2, batch=7, workers=0) == f"{wanted:016x}"
    assert _hash_on_ranks(2, batch=256, workers=2) == f"{wanted:016x}"
    assert wanted != pixel_hash(whole_view.split.example_ids, whole_view.images(rows, view=4))
