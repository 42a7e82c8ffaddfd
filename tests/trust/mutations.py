"""Ways to damage a file's bytes, some of which know the structure of HDF5 and of text formats."""

import random
import struct
from collections.abc import Callable

SIGNATURES = (b"TREE", b"SNOD", b"HEAP", b"\x89HDF", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PAR1")
WORDS = (b"null", b"NaN", b"-1", b"1e999", b"[]", b"{}", b'""', b"true", b"9" * 400, b"\\u0000", b"../", b"[" * 3000)

Mutation = Callable[[bytearray, random.Random], None]


def flip(data: bytearray, rng: random.Random) -> None:
    """Bits, one or some."""
    for _ in range(rng.choice([1, 1, 1, 2, 8, 64])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite_number(data: bytearray, rng: random.Random) -> None:
    """Puts a telling number over an aligned field: sizes, addresses and counts are such fields."""
    kind = rng.choice(["<B", "<H", "<I", "<Q"])
    width = struct.calcsize(kind)
    largest = 256**width - 1
    number = rng.choice([0, 1, 2, 8, 96, len(data), len(data) - 1, largest, largest // 2, rng.randrange(largest + 1)])
    at = rng.randrange(0, len(data) - width, width)
    struct.pack_into(kind, data, at, min(number, largest))


def overwrite_near_signature(data: bytearray, rng: random.Random) -> None:
    """As above, beside a mark of HDF5's, zip's or Parquet's own structures, or in the head of the file."""
    places = [0] + [i for mark in SIGNATURES for i in find_all(bytes(data), mark)]
    at = min(rng.choice(places) + 4 * rng.randrange(32), len(data) - 8)
    struct.pack_into("<Q", data, at, rng.choice([0, 1, 24, 96, len(data), 2**63, 2**64 - 1, rng.choice(places)]))


def find_all(data: bytes, mark: bytes) -> list[int]:
    """Where a mark stands."""
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def move(data: bytearray, rng: random.Random) -> None:
    """Copies a piece over another."""
    length = rng.randrange(1, 64)
    a, b = (rng.randrange(len(data) - length) for _ in range(2))
    data[a : a + length] = data[b : b + length]


def cut(data: bytearray, rng: random.Random) -> None:
    """Ends the file early."""
    del data[rng.randrange(len(data)) :]


def remove(data: bytearray, rng: random.Random) -> None:
    """Takes a piece out."""
    at = rng.randrange(len(data))
    del data[at : at + rng.randrange(1, 256)]


def insert(data: bytearray, rng: random.Random) -> None:
    """Puts a piece in."""
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.randrange(1, 64))


def mark(data: bytearray, rng: random.Random) -> None:
    """Damages the JSON of a header, or a name."""
    places = find_all(bytes(data), b'"') or [0]
    data[rng.choice(places)] = rng.choice(b'"{}[]:,0\x00\xff')


def word(data: bytearray, rng: random.Random) -> None:
    """Puts another value where one stands behind a colon, an equals sign or a comma."""
    places = [i for sign in (b": ", b":", b"= ", b",") for i in find_all(bytes(data), sign)] or [0]
    at = rng.choice(places) + 1
    data[at : at + rng.choice([0, 1, 4, 8])] = rng.choice(WORDS)


MUTATIONS: list[Mutation] = [
    *(flip, flip, overwrite_number, overwrite_number, overwrite_near_signature, overwrite_near_signature),
    *(move, cut, remove, insert, mark, word),
]


def damage(data: bytes, rng: random.Random) -> bytes:
    """The bytes after one to four mutations."""
    damaged = bytearray(data)
    for mutation in rng.choices(MUTATIONS, k=rng.choice([1, 1, 1, 2, 4])):
        if len(damaged) > 300:
            mutation(damaged, rng)
        elif damaged:
            flip(damaged, rng)
    return bytes(damaged)
