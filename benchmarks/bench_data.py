"""Views and decoding, as rates and as ratios to plain per-image loops measured in the same run on the same machine.

    python benchmarks/bench_data.py [--quick] [--data DIR]

Budget: 100,000 or more 32x32 colour images per second on 2 cores, held against every policy. Rates are those of the
fastest of several runs: the others waited for something. Without --data, images are noise and are encoded as PNG.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from darkprobe.data import Split, Views, load_split, parse_policy

POLICIES = ("pad4+flip", "window0.25+flip", "pad4+flip+jitter0.4", "pad4+flip+mixup1", "pad4+flip+cutmix1")
BUDGET = 100_000
BATCH = 2048


def seconds(function: Callable[[], object], *, repeats: int) -> float:
    """Seconds of the fastest of some runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def noise(examples: int) -> Split:
    """Random 32x32 colour images."""
    rng = np.random.default_rng(0)
    return Split(
        dataset="noise",
        name="train",
        kind="image",
        inputs=rng.integers(0, 256, (examples, 32, 32, 3), dtype=np.uint8),
        labels=np.arange(examples) % 10,
        example_ids=np.arange(examples),
        class_names=tuple("0123456789"),
        source="noise",
    )


def crop_and_flip_one_by_one(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The usual augmentation of a data loader: each image padded, cropped and flipped on its own."""
    out = np.empty_like(images)
    for i, image in enumerate(images):
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
        top, left = rng.integers(0, 9, 2)
        crop = padded[top : top + 32, left : left + 32]
        out[i] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return out


def bench_views(split: Split, *, repeats: int) -> None:
    """Prints images per second of each policy, and the ratio of crops and flips to a loop over images."""
    rows = np.arange(BATCH)
    rng = np.random.default_rng(0)
    plain = BATCH / seconds(lambda: crop_and_flip_one_by_one(split.inputs[rows], rng), repeats=repeats)
    print(f"{f'views, images per second, {torch.get_num_threads()} threads':<34}{'rate':>12}")
    print(f"{'a loop over images, pad4+flip':<34}{plain:>12,.0f}")
    for text in POLICIES:
        views = Views(split, policy=parse_policy(text), seed=0)
        rate = BATCH / seconds(lambda views=views: views.images(rows, view=1), repeats=repeats)  # type: ignore[misc]
        verdict = "ok" if rate >= BUDGET else "BELOW BUDGET"
        print(f"{text:<34}{rate:>12,.0f}  {rate / plain:5.1f}x  {verdict}")


def write_parquet(split: Split, folder: Path) -> None:
    """The split as PNG parquet in Hugging Face layout."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    blobs = []
    for image in split.inputs:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        blobs.append({"bytes": buffer.getvalue(), "path": None})
    pq.write_table(pa.table({"image": blobs, "label": split.labels}), folder / "train-00000-of-00001.parquet")


def decode_one_by_one(folder: Path) -> int:
    """The usual way: one table, one PIL image after another."""
    import pyarrow.parquet as pq

    column = pq.read_table(next(folder.glob("train-*.parquet")), columns=["image"]).column("image")
    return len(
        np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"].as_py())).convert("RGB")) for image in column])
    )


def bench_decoding(folder: Path) -> None:
    """Prints seconds of the first load, of the next, and of a plain loop."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DARKPROBE_CACHE"] = cache
        name = f"parquet:{folder}"
        first = seconds(lambda: load_split(name, "train"), repeats=1)
        again = seconds(lambda: load_split(name, "train"), repeats=3)
        plain = seconds(lambda: decode_one_by_one(folder), repeats=1)
        n = len(load_split(name, "train"))
    print(f"\n{f'parquet of {n:,} images, seconds':<34}{'time':>12}")
    print(f"{'a loop over images':<34}{plain:>12.2f}")
    print(f"{'first load: ids, pixels, cache':<34}{first:>12.2f}  {plain / first:5.1f}x")
    print(f"{'next load':<34}{again:>12.4f}  {plain / again:5.0f}x")


def main() -> None:
    """Measures and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer examples and repeats")
    parser.add_argument("--data", type=Path, help="folder with train-*.parquet")
    options = parser.parse_args()
    split = noise(BATCH if options.quick else 10_000)
    bench_views(split, repeats=5 if options.quick else 50)
    if options.data:
        bench_decoding(options.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(split, Path(folder))
        bench_decoding(Path(folder))


if __name__ == "__main__":
    main()
