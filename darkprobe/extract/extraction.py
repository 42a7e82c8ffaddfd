"""`extract_logits`: one forward pass over a split, in blocks of one batch, into one file.

Each finished block is on disk with its checksum before it counts, so that a run which is stopped at any moment goes on
where it was, and ends in the same bytes.
"""

import os
import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from darkprobe.checks import check_choice
from darkprobe.data.policy import ViewPolicy, parse_policy
from darkprobe.data.progress import tracked
from darkprobe.data.split import Split
from darkprobe.data.views import Views
from darkprobe.errors import DataError, InvalidValueError
from darkprobe.extract.effects import measure_effects, measure_sparse_effects, sample_size
from darkprobe.extract.runner import Runner, check_fit, head_weight
from darkprobe.provenance import guarantee
from darkprobe.store import LogitStore
from darkprobe.store.encode import Encoding, check_rows_finite, decode
from darkprobe.store.header import make_layout
from darkprobe.store.part_file import PartFile, is_written, open_part
from darkprobe.store.schema import Layout, RowArray, check_name
from darkprobe.zoo.card import Model

_SYNC_SECONDS = 1.0
_HELD_BYTES = 1 << 26


def extract_logits(
    model: Model,
    split: Split,
    store: LogitStore | Path | str,
    *,
    batch_size: int = 256,
    precision: Literal["float32", "bf16"] = "float32",
    storage: Literal["float32", "float16", "int8"] = "float32",
    top_k: int = 0,
    temperatures: Sequence[float] = (),
    features: Sequence[str] = (),
    views: int = 0,
    policy: ViewPolicy | str = "clean",
    view_seed: int = 0,
    device: str | None = None,
    progress: bool = True,
) -> Path:
    """Path of the file that holds the logits of `model` on `split`, after writing or finishing it.

    A file that is complete is left alone; one that was begun is resumed, and ends in the bytes of an unbroken run.
    Started by `torchrun`, each rank fills its own range of blocks and the one that completes the file renames it.

    Args:
        model: network and card; left in evaluation mode, where it was before.
        split: the examples.
        store: a store or its directory, which is made when absent.
        batch_size: examples per forward pass and per block. Other sizes agree to rounding, not bit by bit.
        precision: "bf16" runs under autocast: faster; what it does to every metric is measured and kept in the file.
        storage: number format on disk; what a coarse one does to every metric is measured and kept in the file.
        top_k: keep only so many classes of each example, for very many classes; 0 keeps all.
        temperatures: at which probabilities stay exact with a top-k.
        features: names of layers whose outputs are kept beside the logits.
        views: number of augmented views; 0 takes the clean examples.
        policy: augmentations of the views, e.g. "pad4+flip".
        view_seed: seed of the views.
        device: a torch device; without it, the first GPU where there is one, else the processor.
        progress: show a bar on stderr when it takes more than two seconds.

    Raises:
        DataError: model and data do not fit: input shape or number of classes.
        InvalidValueError: an output is NaN or infinite, or overflows float16; the example is named.
        StoreError: the file is held by another process, was begun with other settings, or is there with other content.
    """
    check_choice("precision", precision, ("float32", "bf16"))
    encoding = Encoding(storage=storage, top_k=top_k, temperatures=tuple(float(t) for t in temperatures))
    if batch_size < 1 or views < 0:
        raise InvalidValueError(
            f"extract_logits: `batch_size` must be at least 1 and `views` at least 0, got {batch_size} and {views}. "
            "Choose e.g. 256 and 0."
        )
    check_fit(model, split)
    encoding.check_classes(model.card.num_classes)
    policy = parse_policy(policy) if isinstance(policy, str) else policy
    chosen = Views(split, policy=policy, seed=view_seed) if views else None
    store = store if isinstance(store, LogitStore) else LogitStore(store, create=True)
    final = store.file_path(model.card, dataset=split.dataset, split=split.name)
    runner = Runner(model, split, views=chosen, precision=precision, features=tuple(features), device=device)
    with runner.evaluating():
        describe = partial(_layout, runner, encoding, views=views, batch_size=batch_size)
        layout = describe(settled=split.is_decoded or final.exists())
        if not is_written(final, layout):
            _write(final, layout, runner, encoding=encoding, progress=progress, describe=describe)
    return final


def _write(
    final: Path, layout: Layout, runner: Runner, *, encoding: Encoding, progress: bool, describe: Callable[..., Layout]
) -> None:
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))  # torchrun
    with open_part(final, layout, rank=rank, world_size=world_size) as part:
        blocks = _share(part, rank=rank, world_size=world_size)
        what = f"{runner.model.card.model_id} on {runner.split.dataset}/{runner.split.name}"
        _fill(part, runner, encoding, blocks=blocks, what=what if progress else "")
        hurried = layout.header["fingerprint"] == layout.stand_in  # pixels were still being decoded
        part.finish(describe(settled=True) if hurried else None)


def _share(part: PartFile, *, rank: int, world_size: int) -> list[int]:
    """The missing blocks among those of this rank: a contiguous range, nothing padded and nothing twice."""
    n = part.layout.n_blocks
    start, stop = rank * n // world_size, (rank + 1) * n // world_size
    return [block for block in part.missing() if start <= block < stop]


def _fill(part: PartFile, runner: Runner, encoding: Encoding, *, blocks: list[int], what: str) -> None:
    last, read = time.monotonic(), 0
    row_bytes = runner.split.inputs[:1].nbytes
    runner.release()  # the fingerprint has read all of it
    try:
        for block in tracked(blocks, total=len(blocks), what=what) if what else blocks:
            part.write_block(block, _encoded(runner, encoding, part.rows(block)))
            read += row_bytes * part.layout.block_rows
            if read > _HELD_BYTES:
                runner.release()
                read = 0
            if time.monotonic() - last > _SYNC_SECONDS:
                part.sync()
                last = time.monotonic()
    finally:
        part.sync()


def _encoded(runner: Runner, encoding: Encoding, rows: slice) -> dict[str, np.ndarray]:
    """What goes on disk for some rows, refused where it is not finite."""
    arrays, split = runner.run(rows), runner.split
    index = np.arange(rows.start, rows.stop) % len(split)
    ids, logits = split.example_ids[index], arrays.pop("logits")
    check_rows_finite("extract_logits", logits, example_ids=ids, offset=rows.start)
    return arrays | encoding.encode("extract_logits", logits, labels=split.labels[index], example_ids=ids)


def _layout(runner: Runner, encoding: Encoding, *, views: int, batch_size: int, settled: bool) -> Layout:
    """The layout of the file; the shapes are those of a first pass over two examples, and must be right.

    Unless it is `settled` it does without what needs every pixel: the fingerprint and the measured effects.
    """
    card, split = runner.model.card, runner.split
    probe = runner.run(slice(0, min(2, len(split))))
    seen, wanted = probe["logits"].shape, (min(2, len(split)), card.num_classes)
    if seen != wanted:
        raise DataError(
            f"extract_logits: outputs of {card.model_id} for {wanted[0]} examples must be {wanted}, got {seen}. "
            "Correct the model's card, or give a network that ends in its logits."
        )
    rows = encoding.row_arrays(card.num_classes)
    kind = np.dtype("<f2" if encoding.storage == "float16" else "<f4")
    for layer in runner.features:
        check_name("extract_logits", "features", layer)
        rows[f"features/{layer}"] = RowArray(dtype=kind, shape=probe[f"features/{layer}"].shape[1:])
    if runner.views is not None:
        rows["pixel_hash"] = RowArray(dtype=np.dtype("<u8"), shape=())
    return make_layout(
        card,
        dataset=split.dataset,
        split=split.name,
        rows=rows,
        whole=encoding.whole_arrays(),
        labels=split.labels,
        example_ids=split.example_ids,
        class_names=split.class_names,
        head_weight=head_weight(runner.model),
        views=views,
        block_rows=min(batch_size, len(split) * max(views, 1)),
        header={
            "fingerprint": split.fingerprint if settled else split.stand_in,
            "source": split.source,
            "storage": encoding.label,
            "precision": runner.precision,
            "command": _command(runner, encoding, views=views, batch_size=batch_size),
        },
        extra={"guarantee": guarantee(runner.device.type), **_view_facts(runner)},
        effects=_effects(runner, encoding) if settled else (),
        stand_in=split.stand_in,
    )


def _effects(runner: Runner, encoding: Encoding) -> list[dict[str, Any]]:
    """The measured effect of a coarse pass or format, or of the sparse form; nothing to measure for float32."""
    if encoding.storage == "float32" and runner.precision == "float32" and not encoding.top_k:
        return []
    split = runner.split
    index = np.unique(np.linspace(0, len(split) - 1, sample_size(len(split))).astype(int))
    sample = split.take(index)
    pass_as_asked = Runner(runner.model, sample, precision=runner.precision, device=str(runner.device))
    exact = Runner(runner.model, sample, device=str(runner.device)).run(slice(0, len(sample)))["logits"]
    logits = pass_as_asked.run(slice(0, len(sample)))["logits"]
    for given in (exact, logits):
        check_rows_finite("extract_logits", given, example_ids=sample.example_ids)
    stored = encoding.encode("extract_logits", logits, labels=sample.labels, example_ids=sample.example_ids)
    if encoding.top_k:
        return measure_sparse_effects(exact, stored, sample.labels, temperatures=encoding.temperatures)
    return measure_effects(exact, decode(stored), sample.labels)


def _view_facts(runner: Runner) -> dict[str, Any]:
    if runner.views is None:
        return {}
    return {"view_policy": runner.views.policy.text, "view_seed": runner.views.seed}


def _command(runner: Runner, encoding: Encoding, *, views: int, batch_size: int) -> str:
    """The command that gives this file; where it is written is left out, so that equal runs give equal bytes."""
    card, split = runner.model.card, runner.split
    name = card.architecture if card.source == "built-in" else f"{card.model_id}={card.source}"
    words = ["darkprobe", "extract", name, "--data", split.source, "--split", split.name]
    words += ["--batch-size", str(batch_size), "--precision", runner.precision, "--storage", encoding.storage]
    if encoding.top_k:
        declared = ",".join(f"{t:g}" for t in encoding.temperatures)
        words += ["--top-k", str(encoding.top_k), "--temperatures", declared]
    if runner.features:
        words += ["--features", ",".join(runner.features)]
    if runner.views is not None:
        words += ["--views", str(views), "--policy", runner.views.policy.text, "--view-seed", str(runner.views.seed)]
    if card.seed is not None and name == card.architecture:
        words += ["--seed", str(card.seed)]
    return shlex.join(words)
