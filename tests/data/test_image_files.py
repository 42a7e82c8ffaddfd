"""parquet and npz: pixels, labels, ids, caches, and what is refused."""

import io
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darkprobe.data import load_split
from darkprobe.data.cache import cached_array
from darkprobe.data.images import content_ids
from darkprobe.errors import DataError, InvalidValueError, UnknownNameError

Write = Callable[..., Path]


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 1]


def test_parquet_gives_back_pixels_labels_and_names(pixels: np.ndarray, write_parquet: Write) -> None:
    folder = write_parquet([png(p) for p in pixels], LABELS, classes=["cat", "dog", "owl"])
    split = load_split(f"parquet:{folder}", "train")
    np.testing.assert_array_equal(split.inputs, pixels)
    np.testing.assert_array_equal(split.labels, LABELS)
    assert split.class_names == ("cat", "dog", "owl")
    assert (split.dataset, split.input_shape) == ("pictures", (3, 6, 5))


def test_rows_in_another_order_have_the_same_ids_and_fingerprint(pixels: np.ndarray, write_parquet: Write) -> None:
    blobs = [png(p) for p in pixels]
    blobs[5] = blobs[3]  # a copy under another label
    blobs[11] = blobs[4]  # a copy under the same label
    first = load_split(f"parquet:{write_parquet(blobs, LABELS, classes=list('abc'))}", "train")
    order = np.random.default_rng(1).permutation(12)
    moved = write_parquet([blobs[i] for i in order], [LABELS[i] for i in order], classes=list("abc"))
    second = load_split(f"parquet:{moved}", "train")
    assert first.fingerprint == second.fingerprint
    assert dict(zip(first.example_ids, first.labels, strict=True)) == dict(
        zip(second.example_ids, second.labels, strict=True)
    )
    assert len(set(first.example_ids)) == 12


def test_ids_do_not_change_between_versions() -> None:
    # First 8 bytes, little-endian and signed, of SHA-256("abc") = ba7816bf 8f01cfea... (FIPS 180-2, appendix B.1).
    expected = int.from_bytes(bytes.fromhex("ba7816bf8f01cfea"), "little", signed=True)
    ids = content_ids([b"abc", b"abc", b"d"], np.array([0, 0, 0]))
    assert ids[0] == expected and len(set(ids.tolist())) == 3


def test_splits_are_found_by_file_name(pixels: np.ndarray, write_parquet: Write) -> None:
    blobs = [png(p) for p in pixels]
    write_parquet(blobs[:8], LABELS[:8])
    write_parquet(blobs[8:10], LABELS[8:10], name="test-00000-of-00002.parquet")
    write_parquet(blobs[10:], LABELS[10:], name="test-00001-of-00002.parquet")
    folder = write_parquet(blobs[:3], LABELS[:3], name="validation-00000-of-00001.parquet")
    assert len(load_split(f"parquet:{folder}", "val")) == 3
    np.testing.assert_array_equal(load_split(f"parquet:{folder}", "test").inputs, pixels[8:])
    assert load_split(f"parquet:{folder}", "test").class_names == ("0", "1", "2")
    with pytest.raises(DataError, match="must be one of train, val, test, got 'dev'"):
        load_split(f"parquet:{folder}", "dev")


def test_missing_val_says_how_to_hold_it_out(pixels: np.ndarray, write_parquet: Write) -> None:
    folder = write_parquet([png(p) for p in pixels], LABELS)
    with pytest.raises(DataError, match=r"must be one of train, got 'val'.*'train\[0.9:\]'"):
        load_split(f"parquet:{folder}", "val")
    assert len(load_split(f"parquet:{folder}", "train[:0.5]")) == 6


def test_grey_images_have_one_channel_unless_some_are_coloured(pixels: np.ndarray, write_parquet: Write) -> None:
    grey = [png(p[..., 0]) for p in pixels]
    assert load_split(f"parquet:{write_parquet(grey, LABELS)}", "train").input_shape == (1, 6, 5)
    mixed = load_split(f"parquet:{write_parquet([*grey[:-1], png(pixels[-1])], LABELS)}", "train")
    np.testing.assert_array_equal(mixed.inputs[0], np.repeat(pixels[0, ..., :1], 3, -1))
    np.testing.assert_array_equal(mixed.inputs[-1], pixels[-1])


def test_size_scales_the_shorter_side_and_crops_the_middle(write_parquet: Write) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    folder = write_parquet([png(wide), png(wide[:, :12])], [0, 1])
    with pytest.raises(DataError, match=r"must have one size, got 10x12 in row 1 after 10x30 in row 0.*\?size=224"):
        load_split(f"parquet:{folder}", "train")
    split = load_split(f"parquet:{folder}?size=10", "train")
    assert split.inputs.shape == (2, 10, 10, 3)
    np.testing.assert_array_equal(split.inputs[0], np.full((10, 10, 3), 200))
    assert split.dataset == "pictures-size-10"


def test_columns_can_be_chosen(pixels: np.ndarray, write_parquet: Write) -> None:
    folder = write_parquet([png(p) for p in pixels], LABELS, columns=("picture", "kind"))
    with pytest.raises(DataError, match=r"must have one image column, got columns picture, kind.*\?image=COLUMN"):
        load_split(f"parquet:{folder}", "train")
    chosen = load_split(f"parquet:{folder}?image=picture&label=kind", "train")
    np.testing.assert_array_equal(chosen.labels, LABELS)
    with pytest.raises(UnknownNameError, match=r"unknown option of parquet 'lable'. Did you mean 'label'"):
        load_split(f"parquet:{folder}?lable=kind", "train")
    with pytest.raises(InvalidValueError, match="`size` of parquet must be a whole number from 1 to 4096, got '0'"):
        load_split(f"parquet:{folder}?image=picture&label=kind&size=0", "train")


def test_a_broken_image_names_its_row(pixels: np.ndarray, write_parquet: Write) -> None:
    blobs = [png(p) for p in pixels]
    blobs[7] = blobs[7][:40]
    with pytest.raises(DataError, match=r"image must be readable, got 40 bytes that are not \(pictures/train, row 7"):
        load_split(f"parquet:{write_parquet(blobs, LABELS)}", "train")


def test_deep_images_are_refused(write_parquet: Write) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(buffer, "PNG")
    with pytest.raises(DataError, match="8 bits a channel, got mode I;16"):
        load_split(f"parquet:{write_parquet([buffer.getvalue()], [0])}", "train")


def test_labels_out_of_range_are_refused(pixels: np.ndarray, write_parquet: Write) -> None:
    folder = write_parquet([png(p) for p in pixels], LABELS, classes=["a", "b"])
    with pytest.raises(InvalidValueError, match=r"`labels` must lie in \[0, 2\), got 2 at index \(2,\)"):
        load_split(f"parquet:{folder}", "train")


def test_no_folder_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"parquet:DIR must name a folder with SPLIT-\*.parquet files"):
        load_split(f"parquet:{tmp_path}", "train")
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet must be a readable parquet file"):
        load_split(f"parquet:{tmp_path}", "train")


def test_second_load_reads_the_cache(pixels: np.ndarray, write_parquet: Write, own_cache: Path) -> None:
    name = f"parquet:{write_parquet([png(p) for p in pixels], LABELS)}"
    assert load_split(name, "train").fingerprint == load_split(name, "train").fingerprint
    (kept,) = own_cache.glob("*pixels*.npy")
    np.save(kept, np.zeros_like(pixels))
    assert load_split(name, "train").inputs.max() == 0
    assert isinstance(load_split(name, "train").inputs, np.memmap)


def test_changed_files_are_decoded_again(pixels: np.ndarray, write_parquet: Write) -> None:
    name = f"parquet:{write_parquet([png(p) for p in pixels], LABELS)}"
    before = load_split(name, "train").fingerprint
    write_parquet([png(255 - p) for p in pixels], LABELS)
    assert load_split(name, "train").fingerprint != before


def _fill_cache(barrier: object, folder: str, seed: int) -> None:
    import os

    os.environ["DARKPROBE_CACHE"] = folder
    barrier.wait()
    array = cached_array("both", lambda: np.arange(2_000_000).reshape(1000, 2000))
    assert array[-1, -1] == 1_999_999


def test_two_processes_may_fill_the_cache_at_once(own_cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    workers = [context.Process(target=_fill_cache, args=(barrier, str(own_cache), i)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)  # a busy machine takes its time to start them
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert [path.name for path in own_cache.iterdir()] == ["both.npy"]


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DARKPROBE_CACHE", str(tmp_path / "file" / "cache"))
    array = cached_array("x", lambda: np.arange(3))
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert not array.flags.writeable


def test_npz_of_features_with_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((7, 4))
    np.savez(tmp_path / "d.npz", inputs_train=values, labels_train=np.arange(7) % 3, ids_train=np.arange(7) * 10,
             inputs_test=values[:2], labels_test=[3, 0])  # fmt: skip
    split = load_split(f"npz:{tmp_path / 'd.npz'}", "train")
    np.testing.assert_array_equal(split.inputs, values.astype(np.float32))
    assert list(split.example_ids) == [0, 10, 20, 30, 40, 50, 60]
    assert (split.num_classes, split.dataset, split.kind) == (4, "d", "features")
    assert len(load_split(f"npz:{tmp_path / 'd.npz'}", "test")) == 2


def test_npz_of_images_without_splits(tmp_path: Path, pixels: np.ndarray) -> None:
    np.savez(tmp_path / "d.npz", inputs=pixels[..., 0], labels=LABELS, class_names=["a", "b", "c"])
    split = load_split(f"npz:{tmp_path / 'd.npz'}", "test")
    assert split.input_shape == (1, 6, 5) and split.class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "must hold `inputs` or `inputs_SPLIT`, got x"),
        ({"inputs": np.zeros((3, 2))}, "must hold `labels`, got inputs"),
        ({"inputs": np.zeros((3, 2), int), "labels": np.zeros(3, int)}, r"must be uint8 .* got int64 \(3, 2\)"),
        ({"inputs": np.zeros((3, 2)), "labels": np.zeros(2, int)}, r"one row per input \(3\), got 2"),
        ({"inputs": np.zeros((3, 2)), "labels": np.zeros(3)}, "`labels` of .* must be integers"),
        ({"inputs": np.array([[0.0], [np.nan]]), "labels": np.zeros(2, int)}, r"NaN or infinity in row 1 \(1 rows\)"),
        ({"inputs": np.zeros((2, 1)), "labels": np.array([0, -1])}, r"`labels` must lie in \[0, 1\), got -1"),
        ({"inputs": np.zeros((2, 1)), "labels": np.array([0, 1]), "ids": np.array([4, 4])}, "2 distinct integers"),
        ({"inputs": np.array([None, {}]), "labels": np.zeros(2, int)}, "holds Python objects"),
    ],
)
def test_wrong_archives_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises((DataError, InvalidValueError), match=message):
        load_split(f"npz:{tmp_path / 'd.npz'}", "test")


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_files_that_are_no_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"must be a readable .npz archive"):
        load_split(f"npz:{tmp_path / 'd.npz'}", "test")
