"""Extraction against the bare `model(x)` loop and against decoding, and its peak memory, measured in one run.

    python benchmarks/bench_extract.py [--quick] [--device cuda]

Budgets: extraction, store included, at least 0.97 of the bare loop on tensors that are in memory, preprocessed and in
the faster memory layout (ResNet-20, batch 256, float32 and bf16); from JPEG parquet that was never read before at most
1.15 times the longer of decoding alone and extracting decoded images (decoding alone takes every core, so that where
both halves are long no schedule reaches this: their processor time over the cores is held beside it); peak memory at
most the model, three batches and 200 MB, whatever the number of examples.

The two loops run in turn, round by round; each ratio is of one round and the median of rounds is printed, on the wall
and of processor time. On a machine that does other work too, both scatter by a tenth; beside them stands the share of
its processor time that the extraction spends inside the network, which does not. bf16 takes few images on a processor
without bf16 instructions, which is slow at it; what a bf16 pass does to the metrics is measured on one image in 400, at
least 32, and this time is left out here. Memory is the peak that Linux reports (VmHWM, reset before).
"""

import argparse
import gc
import io
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from darkprobe.data import Split, load_split
from darkprobe.extract import extract_logits, extraction
from darkprobe.zoo import Model, load_model, preprocess

BATCH = 256
_TEST, _TRAIN = 40, 195
"""Batches of about the test and the training split of CIFAR-10: what is done once a file, above all waiting for the
disk four times, is some hundredths of the first at the speed of bf16.
"""


def made_split(examples: int, *, side: int, folder: Path | None = None) -> Split:
    """Random images in memory, or in a memory-mapped file of `folder`."""
    shape, rng = (examples, side, side, 3), np.random.default_rng(0)
    if folder is None:
        inputs = rng.integers(0, 256, shape, dtype=np.uint8)
    else:
        np.lib.format.open_memmap(folder / "inputs.npy", "w+", np.uint8, shape).flush()
        inputs = np.load(folder / "inputs.npy", mmap_mode="r")
    return Split(
        dataset="random",
        name="train",
        kind="image",
        inputs=inputs,
        labels=np.zeros(examples, np.int64),
        example_ids=np.arange(examples),
        class_names=tuple(map(str, range(10))),
        source="random",
        _fingerprint="0" * 64,
    )


def clocks() -> np.ndarray:
    """Seconds on the wall, and of processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def bare_loop(model: Model, batches: list[torch.Tensor], *, precision: str) -> np.ndarray:
    """Seconds of the loop that does nothing but the forward passes: wall and processor."""
    device = batches[0].device.type
    start = clocks()
    with torch.inference_mode():
        for batch in batches:
            with torch.autocast(device, dtype=torch.bfloat16) if precision == "bf16" else nullcontext():
                model.module(batch)
    if device == "cuda":
        torch.cuda.synchronize()
    return clocks() - start


class Clocked(torch.nn.Module):
    """A network that adds up the processor time of its passes."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.seconds = inner, 0.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """As the network within."""
        start = time.process_time()
        outputs: torch.Tensor = self.inner(inputs)
        self.seconds += time.process_time() - start
        return outputs


def whole_extraction(model: Model, split: Split, *, precision: str, device: str) -> np.ndarray:
    """Seconds from the call to the renamed file, without the measuring of effects: wall and processor."""
    measure, effects = extraction._effects, np.zeros(2)

    def timed(*arguments: object) -> object:
        begin, inside = clocks(), getattr(model.module, "seconds", 0.0)
        found = measure(*arguments)  # type: ignore[arg-type]
        effects[:] += clocks() - begin
        model.module.seconds = inside
        return found

    extraction._effects = timed  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = clocks()
            extract_logits(model, split, folder, precision=precision, device=device, progress=False)  # type: ignore[arg-type]
            return clocks() - start - effects
    finally:
        extraction._effects = measure


def bench_speed(*, quick: bool, device: str) -> None:
    """Prints images per second of both loops and their ratio."""
    model = load_model("resnet20", input_shape=(3, 32, 32), num_classes=10, seed=0)
    model.module.to(device).eval()
    print(f"ResNet-20, batch {BATCH}, 32x32, {torch.get_num_threads()} threads, {device}, ", end="")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    slow = device == "cpu"
    has_bf16 = not slow or (torch.backends.mkldnn.is_available() and "avx512_bf16" in _processor_flags())
    rounds = 3 if quick else 11
    plan = [("float32", _TEST, rounds), ("bf16", _TEST, rounds), ("bf16", _TRAIN, rounds)]
    for precision, count, rounds in plan if has_bf16 else [*plan[:1], ("bf16", 1, 2)]:
        split = made_split(BATCH * count, side=32)
        with torch.inference_mode():
            batches = [
                preprocess(split.inputs[start : start + BATCH], model.card.preprocessing)
                .to(device)
                .contiguous(memory_format=torch.channels_last)
                for start in range(0, len(split), BATCH)
            ]
        bare_loop(model, batches[:1], precision=precision)
        pairs, shares = [], []
        for _ in range(rounds):
            bare = bare_loop(model, batches, precision=precision)
            clocked = Clocked(model.module)
            ours = whole_extraction(Model(card=model.card, module=clocked), split, precision=precision, device=device)
            pairs.append((bare, ours))
            shares.append(clocked.seconds / ours[1])
        ratio = np.median([bare / ours for bare, ours in pairs], axis=0)
        rate = len(split) / np.median([ours[0] for _, ours in pairs])
        print(f"  {precision}: {rate:,.0f} images/s of {len(split):,}; ratio to the bare loop {ratio[0]:.3f} ", end="")
        print(f"(budget 0.97), of processor time {ratio[1]:.3f}, ", end="")
        print(f"inside the network {np.median(shares):.3f}; medians of {rounds} rounds")


def write_jpegs(folder: Path, *, examples: int, side: int) -> None:
    """Smooth random colour images as JPEG parquet in Hugging Face layout."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rng, blobs = np.random.default_rng(0), []
    for _ in range(examples):
        small = Image.fromarray(rng.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((side, side)).save(buffer, "JPEG", quality=90)
        blobs.append({"bytes": buffer.getvalue(), "path": None})
    pq.write_table(pa.table({"image": blobs, "label": np.arange(examples) % 10}), folder / "train.parquet")


def first_time(name: str, model: Model, *, decode: bool, forward: bool, device: str) -> np.ndarray:
    """Seconds of decoding, of extracting decoded images, or of both at once from an empty cache: wall and processor."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as store:
        os.environ["DARKPROBE_CACHE"] = cache
        if not decode:
            load_split(name, "train").fingerprint  # noqa: B018  # fills the cache
        start = clocks()
        split = load_split(name, "train", wait=not forward)
        if forward:
            extract_logits(model, split, store, device=device, progress=False)
        return clocks() - start


def bench_decoding(*, quick: bool, device: str) -> None:
    """Prints what the first extraction from JPEG takes, against the longer of its two halves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the forward passes have one core and decoding the others; on a GPU it has them all
    print("first extraction from JPEG parquet: total / max(decode, forward) (budget 1.15)")
    for network, side, examples in (("resnet20", 32, 1024), ("mlp-256", 64, 8192)):
        examples = examples // 2 if quick else examples
        model = load_model(network, input_shape=(3, side, side), num_classes=10, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            write_jpegs(Path(folder), examples=examples, side=side)
            rounds = [
                [
                    first_time(f"parquet:{folder}", model, decode=decode, forward=forward, device=device)
                    for decode, forward in ((True, False), (False, True), (True, True))
                ]
                for _ in range(3)
            ]
        wall, work = np.moveaxis(rounds, -1, 0)
        decode, forward, both = np.median(wall, axis=0)
        longer = wall[:, :2].max(axis=1)
        least = np.maximum(longer, work[:, :2].sum(axis=1) / (os.cpu_count() or 1))
        ratio, of_least = np.median(wall[:, 2] / longer), np.median(wall[:, 2] / least)
        print(f"  {network}, {examples:,} of {side}x{side}: decode {decode:.2f} s, forward {forward:.2f} s, ", end="")
        print(
            f"together {both:.2f} s, ratio {ratio:.2f}; to the least that these cores need for the work of both ",
            end="",
        )
        print(f"{of_least:.2f}; medians of 3 rounds")
    torch.set_num_threads(threads)


def _processor_flags() -> set[str]:
    with open("/proc/cpuinfo") as lines:
        return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _memory(name: str) -> int:
    """VmRSS or VmHWM of this process, kB."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def memory_of(examples: int, *, decoding: bool) -> None:
    """Run in a process of its own: extracts a split and prints its peak in MB above what model and split took.

    The split is memory-mapped, or `decoding`, of JPEG files that are read for the first time.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = load_model("mlp-8", input_shape=(3, 32, 32), num_classes=10, seed=0)
        split = made_split(256, side=32)
        extract_logits(model, split, Path(folder) / "warm", device="cpu", progress=False)  # libraries allocate once
        if decoding:
            os.environ["DARKPROBE_CACHE"] = f"{folder}/cache"
            write_jpegs(Path(folder), examples=examples, side=32)
        else:
            split = made_split(examples, side=32, folder=Path(folder))
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
        before = _memory("VmRSS")
        if decoding:
            split = load_split(f"parquet:{folder}", "train", wait=False)
        extract_logits(model, split, Path(folder) / "s", batch_size=BATCH, device="cpu", progress=False)
        print((_memory("VmHWM") - before) / 1024)


def bench_memory(*, quick: bool) -> None:
    """Prints the peak for two lengths of a split, memory-mapped and decoded for the first time."""
    lengths = {False: (20_000, 100_000 if quick else 400_000), True: (5_000, 10_000 if quick else 40_000)}
    for decoding, examples in ((decoding, n) for decoding, some in lengths.items() for n in some):
        command = [sys.executable, __file__, "--memory-of", str(examples), *(["--decoding"] if decoding else [])]
        peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        size, what = examples * 3072 / 1e6, "JPEGs read for the first time" if decoding else "memory-mapped images"
        print(f"peak memory of extracting {examples:,} {what} ({size:.0f} MB of pixels): {peak:.0f} MB (budget 200)")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer images and repeats")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--decoding", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_of:
        memory_of(given.memory_of, decoding=given.decoding)
        return
    bench_speed(quick=given.quick, device=given.device)
    bench_decoding(quick=given.quick, device=given.device)
    bench_memory(quick=given.quick)


if __name__ == "__main__":
    main()
