"""Makes `wordnet.tsv` from WordNet's own files: which words are above the classes of Tiny ImageNet.

    python -m darkprobe.data.wordnet_table data.noun wnids.txt > darkprobe/data/wordnet.tsv

`data.noun` is the noun file of WordNet 3.0 (Debian's wordnet-base puts it into /usr/share/wordnet), `wnids.txt` the
list of classes that comes with Tiny ImageNet. A WordNet id is "n" and the place of the noun in that file. WordNet lets
a noun have several hypernyms; the first one listed is followed, so that the hierarchy is a tree.
"""

import sys
from pathlib import Path

HEADER = (
    "# Nouns of WordNet 3.0 from the root to the classes of Tiny ImageNet; licence in wordnet-LICENSE.txt.\n"
    "wnid\tparent\twords\tclass\n"
)


def read_nouns(path: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Hypernym (empty for the root) and words of every noun, by WordNet id."""
    nouns = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # the licence at the top
            continue
        fields = line.partition(" | ")[0].split()
        words = int(fields[3], 16)
        first = 5 + 2 * words
        pointers = [fields[first + 4 * i : first + 4 * i + 3] for i in range(int(fields[first - 1]))]
        above = [offset for sign, offset, part in pointers if sign in ("@", "@i") and part == "n"]
        spelled = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(words))
        nouns[f"n{fields[0]}"] = (f"n{above[0]}" if above else "", spelled)
    return nouns


def table(nouns: dict[str, tuple[str, tuple[str, ...]]], classes: list[str]) -> str:
    """The lines of `wordnet.tsv`: id, hypernym, words, and 1 for a class; sorted by id."""
    kept: set[str] = set()
    for name in classes:
        while name and name not in kept:
            kept.add(name)
            name = nouns[name][0]
    rows = (f"{n}\t{nouns[n][0]}\t{', '.join(nouns[n][1])}\t{int(n in classes)}\n" for n in sorted(kept))
    return HEADER + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table(read_nouns(Path(sys.argv[1])), Path(sys.argv[2]).read_text().split()))
