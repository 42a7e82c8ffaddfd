"""`PartFile`: a logit file in the making, `<model>.h5.part`, filled block by block and renamed when complete.

After each block its data are on disk first, then its checksum, then its done flag. What a killed writer leaves is
therefore either a whole block or one that is done again. Several writers may fill disjoint ranges of blocks.
"""

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darkprobe.errors import StoreError
from darkprobe.store.hdf5_structure import Extent, read_structure
from darkprobe.store.layout import byte_view, lay_out, write_at
from darkprobe.store.lock import holding
from darkprobe.store.schema import Layout, card_of, check_group, digest, text

_COPY_BYTES = 1 << 24
_SAME = ("fingerprint", "values", "storage", "precision", "examples", "classes", "views")


@dataclass
class PartFile:
    """An open part file. Rows are counted over views x examples, the views one after another.

    Attributes:
        path: the part file; `final` is its name when complete.
        layout: what it holds.
        arrays: where each array lies.
        fingerprint: of the data, as the part file has it: the stand-in when it was begun while they were being decoded.
    """

    path: Path
    final: Path
    layout: Layout
    arrays: dict[str, Extent]
    fingerprint: str
    _descriptor: int
    _pending: dict[int, int] = field(default_factory=dict)

    def rows(self, block: int) -> slice:
        """The rows of one block."""
        start = block * self.layout.block_rows
        return slice(start, min(start + self.layout.block_rows, self.layout.n_rows))

    def missing(self) -> list[int]:
        """Blocks without a done flag, or whose bytes do not match their checksum, in order."""
        return missing_blocks(self._descriptor, self.layout, self.arrays)

    def write_block(self, block: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the rows of one block; `sync` makes it count as done."""
        rows, checksum = self.rows(block), 0
        for name, row in sorted(self.layout.rows.items()):
            data = np.ascontiguousarray(arrays[name], dtype=row.dtype)
            if data.shape != (rows.stop - rows.start, *row.shape):
                raise StoreError(
                    f"block {block} of {self.path.name}: array {name!r} must have shape "
                    f"{(rows.stop - rows.start, *row.shape)}, got {data.shape}. Lay the file out for these rows."
                )
            write_at(self._descriptor, self.arrays[name].offset + rows.start * row.row_bytes, data)
            checksum = zlib.crc32(byte_view(data), checksum)
        self._pending[block] = checksum

    def sync(self) -> None:
        """Puts the written blocks on disk: data first, then their checksums, then their done flags."""
        if self._pending:
            _flush(self._descriptor)
            self._mark("blocks/checksum", {block: np.uint32(value) for block, value in self._pending.items()})
            _flush(self._descriptor)
            self._mark("blocks/done", {block: np.uint8(1) for block in self._pending})
            self._pending.clear()

    def mark_all(self) -> None:
        """Marks the written blocks as done without waiting for the disk: for what can be written again at no cost."""
        self._mark("blocks/checksum", {block: np.uint32(value) for block, value in self._pending.items()})
        self._mark("blocks/done", {block: np.uint8(1) for block in self._pending})
        self._pending.clear()

    def _mark(self, name: str, values: Mapping[int, Any]) -> None:
        extent = self.arrays[name]
        for block, value in values.items():
            write_at(self._descriptor, extent.offset + block * extent.dtype.itemsize, np.array([value], extent.dtype))

    def finish(self, settled: Layout | None = None) -> Path:
        """Renames the file to its final name when every block is done, and returns the path it now has.

        Args:
            settled: the layout with the fingerprint and the measured effects, when this one was made while the data
                were still being decoded.
        """
        self.sync()
        done = read_flags(self._descriptor, self.arrays)
        if not done.all():
            return self.path
        _flush(self._descriptor)
        if self.final.exists():
            if not self.path.exists():  # another rank saw the last flag first
                return self.final
            raise StoreError(f"{self.final} was written by someone else meanwhile. Delete {self.path} or that file.")
        self._settle(settled or self.layout)
        try:
            self.path.rename(self.final)
        except FileNotFoundError:  # another rank saw the last flag first
            if not self.final.exists():
                raise
        directory = os.open(self.final.parent, os.O_RDONLY)
        _flush(directory)
        os.close(directory)
        return self.final

    def _settle(self, layout: Layout) -> None:
        """Gives a file that was begun while its data were being decoded the header that an unhurried run writes.

        Attributes are not changed in place, which a kill could leave half done: the rows are copied to a new part file,
        which takes the place of the old one.
        """
        wanted = str(layout.header["fingerprint"])
        if self.fingerprint == wanted:
            return
        if self.fingerprint != self.layout.stand_in:
            raise StoreError(
                f"{self.path} was begun with other data (fingerprint {self.fingerprint[:8]}, now {wanted[:8]}). Delete "
                "it to begin again."
            )
        temporary = self.path.with_name(f".{self.path.name}.settled.tmp")
        arrays = lay_out(temporary, layout)
        with temporary.open("r+b") as file:
            for name in (*layout.rows, "blocks/checksum", "blocks/done"):
                _copy_bytes(self._descriptor, file.fileno(), self.arrays[name], to=arrays[name])
            _flush(file.fileno())
        temporary.replace(self.path)


def _copy_bytes(source: int, target: int, extent: Extent, *, to: Extent) -> None:
    for start in range(0, extent.nbytes, _COPY_BYTES):
        data = os.pread(source, min(_COPY_BYTES, extent.nbytes - start), extent.offset + start)
        write_at(target, to.offset + start, np.frombuffer(data, np.uint8))


@contextmanager
def open_part(final: Path, layout: Layout, *, rank: int = 0, world_size: int = 1) -> Iterator[PartFile]:
    """Begins or resumes the part file of `final`, locked against other writers for the time of the block.

    Args:
        final: the path of the complete file.
        layout: what it will hold; a part file that is already there must have been begun with the same.
        rank: which of `world_size` writers of this file this one is.
        world_size: how many writers share the file.

    Raises:
        StoreError: another writer holds it, it was begun with other settings, or the disk refuses.
    """
    part = final.with_name(final.name + ".part")
    lock = lock_path(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(holding(lock, shared=world_size > 1))
            if world_size > 1:
                stack.enter_context(holding(lock_path(final, f"rank-{rank}-of-{world_size}.")))
            arrays, fingerprint = _begin_or_resume(part, layout, rank)
            if world_size > 1 and fingerprint != layout.header["fingerprint"]:
                raise StoreError(
                    f"{part} was begun by one process while it decoded the data. Finish it with one process, or delete "
                    "it to begin again with several."
                )
            descriptor = os.open(part, os.O_RDWR)
            stack.callback(os.close, descriptor)
            yield PartFile(part, final, layout, arrays, fingerprint, descriptor)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"{error.filename or part} cannot be written ({error.strerror or error}). Free space or check permissions, "
            "then run the same command again: finished blocks are kept."
        ) from error


def lock_path(final: Path, prefix: str = "") -> Path:
    """The hidden lock file of a logit file in the making."""
    return final.with_name(f".{final.name}.part.{prefix}lock")


def write_all(final: Path, layout: Layout, rows: Mapping[str, np.ndarray]) -> Path:
    """Writes a whole file from arrays in memory, whose view axis, if any, comes first; returns its path."""
    flat = {name: array.reshape(layout.n_rows, *layout.rows[name].shape) for name, array in rows.items()}
    with open_part(final, layout) as part:
        for block in part.missing():
            part.write_block(block, {name: array[part.rows(block)] for name, array in flat.items()})
        part.mark_all()
        return part.finish()


def is_written(final: Path, layout: Layout) -> bool:
    """Whether `final` is there already, with the same weights, data and number format.

    Raises:
        StoreError: it is there with others, or it is damaged.
    """
    if not final.exists():
        return False
    group = read_structure(final)
    try:
        check_group(group)
        cards = {card_of(attributes).weights_sha256 for attributes in (group.attributes, layout.header)}
    except StoreError as error:
        raise StoreError(f"{final} is damaged: {error}. Delete it and run again.") from error
    different = [key for key in _SAME if group.attributes[key] != layout.header[key]]
    if len(cards) > 1:
        raise StoreError(f"{final} is there already, of other weights. Write to another store, or delete that file.")
    if different:
        key = different[0]
        was, now = group.attributes[key], layout.header[key]
        raise StoreError(
            f"{final} is there already with another {key} (there {_short(was)}, now {_short(now)}). Write to another "
            "store, or delete that file."
        )
    return True


def missing_blocks(descriptor: int, layout: Layout, arrays: Mapping[str, Extent]) -> list[int]:
    """Blocks that are not done or do not match their checksum."""
    done = read_flags(descriptor, arrays)
    sums = _read(descriptor, arrays["blocks/checksum"])
    return [
        b
        for b in range(layout.n_blocks)
        if not done[b] or sums[b] != block_checksum(descriptor, layout, arrays, block=b)
    ]


def block_checksum(descriptor: int, layout: Layout, arrays: Mapping[str, Extent], *, block: int) -> int:
    """CRC-32 over the rows of one block, array after array in order of name."""
    start = block * layout.block_rows
    stop = min(start + layout.block_rows, layout.n_rows)
    checksum = 0
    for name, row in sorted(layout.rows.items()):
        data = os.pread(descriptor, (stop - start) * row.row_bytes, arrays[name].offset + start * row.row_bytes)
        checksum = zlib.crc32(data, checksum)
    return checksum


def read_flags(descriptor: int, arrays: Mapping[str, Extent]) -> np.ndarray:
    """The done flag of each block."""
    return _read(descriptor, arrays["blocks/done"])


def _read(descriptor: int, extent: Extent) -> np.ndarray:
    data = os.pread(descriptor, extent.nbytes, extent.offset)
    return np.frombuffer(data.ljust(extent.nbytes, b"\0"), extent.dtype).reshape(
        extent.shape
    )  # a file may be cut short


def _begin_or_resume(part: Path, layout: Layout, rank: int) -> tuple[dict[str, Extent], str]:
    """Where the arrays of the part file lie, and the fingerprint in it."""
    temporary = part.with_name(f".{part.name}.{rank}.tmp")
    temporary.unlink(missing_ok=True)  # a killed run may have left it
    if not part.exists():
        try:
            lay_out(temporary, layout)
            os.link(temporary, part)  # unlike a rename, it fails when another rank was first
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
    group = read_structure(part)
    try:
        arrays = check_group(group)
    except StoreError as error:
        raise StoreError(f"{part} cannot be resumed: {error}. Delete it to begin again.") from error
    wanted = {**layout.header, "digests": text({name: digest(array) for name, array in layout.whole.items()})}
    fingerprint, stand_in = str(group.attributes["fingerprint"]), layout.stand_in
    decoding = bool(stand_in) and stand_in in (fingerprint, wanted["fingerprint"])  # compared when all is decoded
    free = ("effects", "command", *(("fingerprint",) if decoding else ()))
    for key, value in wanted.items():
        if group.attributes[key] != value and key not in free:
            raise StoreError(
                f"{part} was begun with another `{key}`: {_short(group.attributes[key])} there, {_short(value)} now. "
                "Run with the settings it was begun with, or delete it to begin again."
            )
    shapes = {name: (extent.dtype, extent.shape) for name, extent in arrays.items()}
    if shapes != layout.shapes():
        raise StoreError(f"{part} was begun with other arrays or shapes. Delete it to begin again.")
    return arrays, fingerprint


def _short(value: str | int) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."


def _flush(descriptor: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:  # macOS
        os.fsync(descriptor)
