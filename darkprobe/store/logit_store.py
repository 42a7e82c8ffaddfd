"""`LogitStore`: a directory of logit files, `STORE/<dataset>/<split>/<model>.h5`, or the same packed into one file."""

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from darkprobe.checks import check_labels, check_logits, whole_numbers
from darkprobe.errors import StoreError, UnknownNameError
from darkprobe.registry import natural_key
from darkprobe.store.encode import Encoding
from darkprobe.store.hdf5_structure import Group, read_structure
from darkprobe.store.header import make_layout
from darkprobe.store.logit_file import LogitFile, open_file, open_group
from darkprobe.store.part_file import is_written, write_all
from darkprobe.store.schema import FIRST_PACKAGE, PACK_FORMAT, check_name, pack_checksum
from darkprobe.types import FloatArray, IntArray
from darkprobe.zoo.card import ModelCard

_BLOCK_ROWS = 4096


class LogitStore:
    """The logit files under one path.

    Args:
        path: a directory (or a packed file, read only).
        create: make the directory when it is absent; without it, an absent store is an error.

    Raises:
        StoreError: it does not exist, or holds something else.
    """

    def __init__(self, path: Path | str, *, create: bool = False) -> None:
        self.path = Path(path)
        if create:
            self._check_writable()
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self.path} cannot be made ({error.strerror}). Choose another directory.") from error
        if not self.path.exists():
            raise StoreError(f"{self.path} does not exist. Write a store first with `darkprobe extract`.")

    @property
    def is_packed(self) -> bool:
        """Whether the store is one file."""
        return self.path.is_file()

    def datasets(self) -> list[str]:
        """Ids of the data sets that have at least one finished file."""
        return sorted({dataset for dataset, _, _ in self._index()}, key=natural_key)

    def splits(self, dataset: str) -> list[str]:
        """Names of the splits of a data set.

        Raises:
            UnknownNameError: no such data set.
        """
        index = self._index()
        if dataset not in {entry[0] for entry in index}:
            raise UnknownNameError("data set", dataset, {entry[0] for entry in index})
        return sorted({split for found, split, _ in index if found == dataset}, key=natural_key)

    def entries(
        self, dataset: str | None = None, split: str | None = None, model: str | None = None
    ) -> list[LogitFile]:
        """Finished files, the smallest network first, then by id.

        Args:
            dataset: only this data set.
            split: only this split.
            model: a model id, file stem, or shell pattern over either.

        Raises:
            UnknownNameError: no such data set or model; near names are listed.
            StoreError: the split is not there (the message lists those that are), or a file is damaged.
        """
        index = self._index()
        if dataset is not None:
            self.splits(dataset)
            index = [entry for entry in index if entry[0] == dataset]
        if split is not None:
            index = self._of_split(index, split)
        found = [_opened(source) if isinstance(source, Path) else source for _, _, source in index]
        if model is not None:
            chosen = [entry for entry in found if _matches(entry.card, model)]
            if found and not chosen:
                raise UnknownNameError("model", model, {entry.card.model_id for entry in found})
            found = chosen
        return sorted(found, key=_by_size)

    def readable(self) -> tuple[list[LogitFile], list[StoreError]]:
        """Finished files that can be opened, in the order of `entries`, and what is wrong with the others."""
        if self.is_packed:
            return self.entries(), []
        found, problems = [], []
        for _, _, path in self._index():
            try:
                found.append(_opened(path) if isinstance(path, Path) else path)
            except StoreError as error:
                problems.append(error)
        return sorted(found, key=_by_size), problems

    def _of_split(
        self, index: list[tuple[str, str, Path | LogitFile]], split: str
    ) -> list[tuple[str, str, Path | LogitFile]]:
        chosen = [entry for entry in index if entry[1] == split]
        if not chosen:
            there = ", ".join(sorted({f"{entry[0]}/{entry[1]}" for entry in index}, key=natural_key)) or "none"
            raise StoreError(f"{self.path} has no split {split!r}. It has: {there}. Extract it with --split {split}.")
        return chosen

    def file_path(self, card: ModelCard, *, dataset: str, split: str) -> Path:
        """Where the logits of a model on a split lie, whether they are there or not."""
        if self.is_packed:
            raise StoreError(f"{self.path} is a packed store and read only. Write to a directory, then pack it.")
        check_name("LogitStore", "dataset", dataset)
        check_name("LogitStore", "split", split)
        check_name("LogitStore", "file_stem", card.file_stem)
        return self.path / dataset / split / f"{card.file_stem}.h5"

    def unfinished(self) -> list[Path]:
        """Part files: extractions that were stopped or are going on."""
        return [] if self.is_packed else sorted(self.path.glob("*/*/*.h5.part"))

    def add(
        self,
        card: ModelCard,
        *,
        dataset: str,
        split: str,
        logits: FloatArray,
        labels: IntArray,
        example_ids: IntArray,
        class_names: Sequence[str],
        fingerprint: str,
        source: str,
        features: Mapping[str, FloatArray] | None = None,
        head_weight: FloatArray | None = None,
        attributes: Mapping[str, Any] | None = None,
        storage: Literal["float32", "float16", "int8"] = "float32",
    ) -> Path:
        """Writes logits that are in memory and returns the path of the file; a file that holds them already is kept.

        Args:
            card: the model the logits are of.
            dataset: id of the data set.
            split: name of the split.
            logits: (example, cls) or (view, example, cls), floating, finite.
            labels: (example,), integer, in [0, cls).
            example_ids: (example,), integer, unique.
            class_names: one per class.
            fingerprint: of the split's content.
            source: the name the data were loaded by.
            features: by layer, (example, ...), floating.
            head_weight: (cls, feature), weights of the last linear layer.
            attributes: anything that JSON can hold, kept beside the logits.
            storage: number format on disk; int8 keeps one scale per row.

        Raises:
            InvalidValueError: NaN or infinity (which example), shapes or classes that do not fit.
            StoreError: the file holds logits of other weights or data, or cannot be written.
        """
        labels = whole_numbers("LogitStore.add", "labels", labels)
        example_ids = whole_numbers("LogitStore.add", "example_ids", example_ids)
        features = {name: np.asarray(value) for name, value in (features or {}).items()}
        check_logits("LogitStore.add", logits, ndim=3 if np.ndim(logits) == 3 else 2)
        check_labels("LogitStore.add", labels, logits.shape[-2:-1], logits.shape[-1])
        final = self.file_path(card, dataset=dataset, split=split)
        rows = Encoding(storage=storage).encode("LogitStore.add", logits, labels=labels, example_ids=example_ids)
        for name, value in features.items():
            check_name("LogitStore.add", "features", name)
            rows[f"features/{name}"] = value.astype("<f2" if value.dtype == np.float16 else "<f4")
        layout = make_layout(
            card,
            dataset=dataset,
            split=split,
            rows=rows,
            labels=labels,
            example_ids=example_ids,
            class_names=class_names,
            views=len(logits) if logits.ndim == 3 else 0,
            head_weight=head_weight,
            block_rows=_BLOCK_ROWS,
            header={"fingerprint": fingerprint, "source": source, "storage": storage, "command": ""},
            extra=attributes or {},
        )
        return final if is_written(final, layout) else write_all(final, layout, rows)

    def _index(self) -> list[tuple[str, str, Path | LogitFile]]:
        """Data set, split and file of each finished file; directory names are trusted for the first two."""
        if not self.is_packed:
            return [(path.parts[-3], path.parts[-2], path) for path in sorted(self.path.glob("*/*/*.h5"))]
        root = read_structure(self.path)
        packed = root.attributes.get("format") == PACK_FORMAT
        members = pack_members(self.path, root) if packed else [root]  # else one logit file, given by itself
        entries = [open_group(self.path, member) for member in members]
        return [(entry.dataset, entry.split, entry) for entry in entries]

    def _check_writable(self) -> None:
        """Refuses to write into a directory that holds anything but data sets, splits and logit files."""
        if self.path.is_file():
            raise StoreError(f"{self.path} is a file; a store is a directory. Choose another path.")
        for depth, pattern in enumerate(("*", "*/*", "*/*/*")):
            for found in self.path.glob(pattern):
                ours = found.is_dir() if depth < 2 else found.name.endswith((".h5", ".h5.part", ".lock"))
                if not ours and not found.name.startswith("."):
                    raise StoreError(
                        f"{self.path} holds something else ({found.relative_to(self.path)}). Choose an empty or a new "
                        "directory for the store."
                    )


def pack_members(path: Path, root: Group) -> list[Group]:
    """The members of a pack, after their names and checksums have been found to be those it was made with.

    Raises:
        StoreError: a member is missing or the pack was changed, or it is of a version this darkprobe does not read.
    """
    version = root.attributes.get("format_version")
    if version not in FIRST_PACKAGE:
        raise StoreError(
            f"{path} is a pack of format version {version}, written by {root.attributes.get('written_by')}; this "
            f"darkprobe reads versions {sorted(FIRST_PACKAGE)}. Install the darkprobe that wrote it, or a newer one."
        )
    members = {
        f"{dataset}/{split}/{stem}": member
        for dataset, splits in root.groups.items()
        for split, stems in splits.groups.items()
        for stem, member in stems.groups.items()
    }
    checksums = {name: str(member.attributes.get("checksum")) for name, member in members.items()}
    if pack_checksum(checksums) != root.attributes.get("checksum"):
        raise StoreError(f"{path} lacks members or was changed after it was packed. Pack the store again.")
    return list(members.values())


def _opened(path: Path) -> LogitFile:
    """The file, which must lie where its header says."""
    entry = open_file(path)
    where, says = f"{path.parts[-3]}/{path.parts[-2]}", f"{entry.dataset}/{entry.split}"
    if where != says:
        raise StoreError(f"{path} lies under {where} but holds {says}. Move it to its place, or delete it.")
    return entry


def _by_size(entry: LogitFile) -> tuple[Any, ...]:
    return entry.card.parameters, natural_key(entry.card.model_id)


def _matches(card: ModelCard, model: str) -> bool:
    return any(fnmatch.fnmatchcase(name, model) for name in (card.model_id, card.file_stem))
