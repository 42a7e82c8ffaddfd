"""The studies of images, a few replicates at a time and over several sittings; what is finished is kept as it comes.

    python figures/image_studies.py cifar10 --data parquet:../shared/data/cifar10 [--edition 2-core] [--confirm N]

Studies: cifar10, cifar10-long, cifar10-wrn, tiny-imagenet, tiny-imagenet-wrn. Begins with the finished cells that lie
in figures/studies/, trains what is missing in the folder of `--out` and adds two confirm replicates a stage (one at a
time leaves a core without work while the last teacher trains). After each stage, verdicts, tables and cells (small
JSON) go to figures/studies/scaled/ or full/, from which the figures are drawn: commit them, and any later sitting, here
or elsewhere, goes on from there. The name of the data is part of every cell's address: give it in the same words. The
2-core edition of a ladder of ResNets takes about four hours of 2 cores with avx512_bf16.
"""

import argparse
from pathlib import Path

from default_studies import keep, take_teachers

from darkprobe.files import read_json
from darkprobe.study import find_study, run_study
from darkprobe.study.builtin_images import IMAGE_STUDIES
from darkprobe.study.cells import Ledger
from darkprobe.study.parts import with_data

HERE = Path(__file__).resolve().parent / "studies"


def main() -> None:
    """Runs one study as far as asked, keeping every stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", choices=IMAGE_STUDIES)
    parser.add_argument("--data", required=True, help="data name, e.g. parquet:../shared/data/cifar10")
    parser.add_argument("--edition", choices=("2-core", "full"), default="2-core")
    parser.add_argument("--confirm", type=int, help="confirm replicates in all; those of the plan by default")
    parser.add_argument("--at-once", type=int, default=2, help="confirm replicates a stage")
    parser.add_argument("--out", type=Path, default=Path("build/images"))
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    study = with_data(find_study(given.study, edition=given.edition), given.data)
    kept, directory = HERE / ("full" if given.edition == "full" else "scaled") / study.name, given.out / study.name
    take_teachers(given.out / study.name.replace("-long", ""), directory)
    (directory / "cells").mkdir(parents=True, exist_ok=True)
    Ledger(directory).adopt(kept)
    wanted = given.confirm or study.confirm
    begun = (kept / "study.json").exists()
    before = read_json(kept / "study.json", who="image_studies")["confirm"] if begun else max(2, given.at_once)
    for confirm in [*range(min(before, wanted), wanted, given.at_once), wanted]:
        run_study(study.so_far(confirm), directory, workers=given.workers)
        keep(directory, kept, cells=True)
        print(f"{kept}: {confirm} of {study.confirm} confirm replicates", flush=True)


if __name__ == "__main__":
    main()
