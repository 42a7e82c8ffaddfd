"""Advice scored on eight small studies that differ in data, networks and difficulty; each about a minute on one core.

    python benchmarks/backtest.py --out DIR [STUDY ...]

Runs what is not done of benchmarks/backtest/*.toml in DIR and writes, beside the plans, regret.csv and
temperatures.csv, the tables that `darkprobe advise --backtest DIR/*` prints, with their provenance.
"""

import argparse
from pathlib import Path

from darkprobe.files import write_json, write_text
from darkprobe.provenance import provenance
from darkprobe.study import backtest, find_study, run_study
from darkprobe.study.backtest import conclusion

HERE = Path(__file__).resolve().parent / "backtest"


def main() -> None:
    """Prints the conclusion and the paths of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", help="names of plans; all by default")
    parser.add_argument("--out", type=Path, required=True, help="where the studies are run")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    names = chosen.studies or [path.stem for path in sorted(HERE.glob("*.toml"))]
    found = [run_study(find_study(str(HERE / f"{n}.toml")), chosen.out / n, workers=chosen.workers) for n in names]
    regret, temperatures = backtest(found)
    for name, table in (("regret", regret), ("temperatures", temperatures)):
        write_text(HERE / f"{name}.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.6f"))
    said = conclusion(regret)
    write_json(HERE / "provenance.json", provenance(studies=names, conclusion=said.splitlines()))
    print(said)


if __name__ == "__main__":
    main()
