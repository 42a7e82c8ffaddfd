"""Extraction from encoded images while they are still being decoded: the same bytes, however it is interrupted."""

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from darkprobe.data import Split, images, load_split
from darkprobe.data.cache import Allocate, Offer, growing_pixels
from darkprobe.data.growing import Growing
from darkprobe.errors import DataError, StoreError
from darkprobe.extract import extract_logits
from darkprobe.store.logit_file import open_file
from darkprobe.zoo import Model, load_model

pytest.importorskip("pyarrow")
Image = pytest.importorskip("PIL.Image")

N = 600


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DARKPROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def encoded(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pixels = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    table = pa.table({"image": [encoded(image) for image in pixels], "label": np.arange(N) % 4})
    (tmp_path / "pictures").mkdir()
    pq.write_table(table, tmp_path / "pictures" / "train.parquet")
    return tmp_path / "pictures"


@pytest.fixture
def network() -> Model:
    return load_model("mlp-8", input_shape=(3, 8, 8), num_classes=4, seed=0)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Images from the 200th on are decoded only when the gate is set."""
    opened, decode = threading.Event(), images._decode

    def held(blob: bytes, size: int | None, where: str) -> np.ndarray:
        if int(where.rpartition(" ")[2]) >= 200:
            assert opened.wait(20)
        return decode(blob, size, where)

    monkeypatch.setattr(images, "_decode", held)
    return opened


def extracted(model: Model, split: Split, store: Path, **options: object) -> bytes:
    return extract_logits(model, split, store, batch_size=32, progress=False, device="cpu", **options).read_bytes()  # type: ignore[arg-type]


class Watched(torch.nn.Module):
    """A network that does something in one of its passes."""

    def __init__(self, inner: torch.nn.Module, act: Callable[[], object], *, passes: int) -> None:
        super().__init__()
        self.inner, self.act, self.left = inner, act, passes

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left == 0:
            self.act()
        outputs: torch.Tensor = self.inner(inputs)
        return outputs


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("options", [{}, {"storage": "int8"}, {"views": 2, "policy": "pad1+flip"}])
def test_forward_passes_run_before_the_last_image_is_decoded(
    tmp_path: Path, folder: Path, network: Model, gate: threading.Event, options: dict[str, object]
) -> None:
    split = load_split(f"parquet:{folder}", "train", wait=False)
    assert isinstance(split.inputs, Growing)
    assert not split.is_decoded
    # The gate opens after a probe and four blocks: had the extraction waited for all pixels, it would never open.
    counted = Model(card=network.card, module=Watched(network.module, gate.set, passes=5))
    hurried = extracted(counted, split, tmp_path / "hurried", **options)
    again = load_split(f"parquet:{folder}", "train")
    assert again.is_decoded
    assert split.fingerprint == again.fingerprint
    assert hurried == extracted(network, again, tmp_path / "unhurried", **options)


def test_a_run_stopped_while_decoding_is_finished_from_the_cache(
    tmp_path: Path, folder: Path, network: Model, gate: threading.Event
) -> None:
    split = load_split(f"parquet:{folder}", "train", wait=False)

    stopping = Model(card=network.card, module=Watched(network.module, interrupt, passes=4))
    with pytest.raises(KeyboardInterrupt):
        extracted(stopping, split, tmp_path / "s")
    (part,) = (tmp_path / "s").rglob("*.part")
    assert str(open_file(part).attributes["fingerprint"]).startswith("pending-")
    gate.set()
    whole = load_split(f"parquet:{folder}", "train")
    assert extracted(network, whole, tmp_path / "s") == extracted(network, whole, tmp_path / "unbroken")
    assert [path.name for path in (tmp_path / "s").rglob("*.part*")] == []


def test_a_part_begun_with_other_images_is_not_finished(tmp_path: Path, folder: Path, network: Model) -> None:
    split = load_split(f"parquet:{folder}", "train")
    path = extract_logits(network, split, tmp_path / "s", batch_size=32, progress=False, device="cpu")
    path.rename(path.with_name(path.name + ".part"))
    for cached in (tmp_path / "cache").glob("*-pixels-*"):
        cached.unlink()
    other = load_split(f"parquet:{folder}", "train", wait=False)
    object.__setattr__(other, "_fingerprint", "f" * 64)  # the same files, other pixels: a decoder that changed
    other.inputs.whole()  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="another `fingerprint`"):
        extracted(network, other, tmp_path / "s")


def test_rows_are_waited_for_and_no_longer(folder: Path, gate: threading.Event) -> None:
    growing = load_split(f"parquet:{folder}", "train", wait=False).inputs
    assert growing.shape == (N, 8, 8, 3)
    assert len(growing[150:160]) == 10
    assert growing[[3, 100]].shape == (2, 8, 8, 3)
    got: list[np.ndarray] = []
    reader = threading.Thread(target=lambda: got.append(growing[-1]))
    reader.start()
    time.sleep(0.05)
    assert reader.is_alive()
    gate.set()
    reader.join(20)
    np.testing.assert_array_equal(got[0], load_split(f"parquet:{folder}", "train").inputs[-1])
    np.testing.assert_array_equal(np.asarray(growing), load_split(f"parquet:{folder}", "train").inputs)


def test_a_damaged_image_stops_the_extraction_by_its_row(tmp_path: Path, folder: Path, network: Model) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "train.parquet")
    blobs = table.column("image").to_pylist()
    blobs[400] = b"no image"
    pq.write_table(table.set_column(0, "image", pa.array(blobs)), folder / "train.parquet")
    with pytest.raises(DataError, match="row 400"):
        extracted(network, load_split(f"parquet:{folder}", "train", wait=False), tmp_path / "s")
    assert not list((tmp_path / "s").rglob("*.h5"))
    assert not list((tmp_path / "cache").glob("*-pixels-*"))


def test_the_fingerprint_is_kept_beside_the_pixels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_split(f"parquet:{folder}", "train").fingerprint
    monkeypatch.setattr(Split, "_digest", lambda self: pytest.fail("it was computed again"))
    assert load_split(f"parquet:{folder}", "train").fingerprint == first


def test_who_comes_second_waits_for_the_one_that_decodes(own_cache: Path) -> None:
    """Locks are held by open files, so that two threads stand for two processes here."""
    calls, go = [], threading.Event()

    def decode(allocate: Allocate, offer: Offer) -> np.ndarray:
        calls.append(threading.get_ident())
        pixels = allocate((4, 2, 2, 3))
        assert go.wait(20)
        pixels[:] = 7
        offer(pixels, 4)
        return pixels

    own_cache.mkdir()
    (own_cache / ".k.npy.killed.tmp").write_text("left by a decoder that was killed")
    first, second = (growing_pixels("k", 4, decode) for _ in range(2))
    assert isinstance(first, Growing) and isinstance(second, Growing)
    go.set()
    assert (first.whole() == 7).all() and (second.whole() == 7).all()
    assert len(calls) == 1
    assert not isinstance(growing_pixels("k", 4, decode), Growing)
    assert [path.name for path in own_cache.iterdir() if "lock" not in path.name] == ["k.npy"]
