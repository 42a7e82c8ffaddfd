"""The reference studies from nothing: digits and synthetic, 64 confirm replicates on seeds that nothing was chosen on.

Ladders of perceptrons on both, of small convolutional networks on digits; every fix and every control of the built-in
studies; Tang's partial targets and teachers of other recipes on synthetic (levels). About a quarter
of an hour on 2 cores; what is finished in the folder of `--out` is kept, so that it can be stopped at any time. What
is small of each study goes to figures/studies/reference/, from which the figures are drawn.

Is a fix more than a weight of the loss that nobody tuned? Two teachers of each of the three ladders again, on other
seeds, with distillation at several teacher weights (digits-weights, digits-conv-weights, synthetic-weights); a few
minutes more. The same once more, on seeds again their own, where what is to be beaten is Hinton's KD, which divides the
student's logits by T too (digits-hinton, digits-conv-hinton, synthetic-hinton), and with students that learn three and
ten times as fast (-3x, -10x, kept in figures/studies/rates/).

    python figures/reference_studies.py [--out build/reference] [--workers 2] [STUDY ...]
"""

import argparse
import dataclasses
from pathlib import Path

from default_studies import keep, take_teachers

from darkprobe.distill.config import TrainConfig
from darkprobe.study import Study, find_study, run_study

HERE = Path(__file__).resolve().parent / "studies"
SEED = 64
"""No study whose results were looked at before its plan was final began at this seed."""

SEED_OF_WEIGHTS = 128
"""Of the studies of weights, which were planned when those from `SEED` were known."""


SEED_OF_HINTON = 192
"""Of the studies of Hinton's KD, which were planned when those of weights were known."""


def digits_conv() -> Study:
    """The digits study with convolutional networks instead of perceptrons, in 30 epochs."""
    return dataclasses.replace(
        find_study("digits"),
        name="digits-conv",
        teachers=("conv8-4", "conv8-8", "conv8-16"),
        student="conv8-2",
        fix_teachers=("conv8-16",),
        teacher_training=TrainConfig(epochs=30, batch_size=50, learning_rate=0.01, weight_decay=1e-3, evaluations=1),
        student_training=TrainConfig(epochs=30, batch_size=50, learning_rate=0.02, weight_decay=1e-3, evaluations=12),
        pilot=6,
    )


def weights_of(study: Study) -> Study:
    """The largest teacher and the next one, the two fixes that weigh labels and teacher otherwise, and KD at other
    weights; .973 is what TTM's loss gives the teacher.
    """
    return dataclasses.replace(
        study,
        name=f"{study.name}-weights",
        seed=SEED_OF_WEIGHTS,
        teachers=study.teachers[-2:],
        fix_teachers=(),
        fixes=tuple(plan for plan in study.fixes if plan.method in ("ttm", "wttm")),
        reference_weights=(0.5, 0.8, 0.97, 0.99),
        controls=(),
        control_teacher="",
        twins=0,
    )


def hinton_of(study: Study, *, rate: float = 1.0) -> Study:
    """As `weights_of`, against Hinton's KD; the KD of the other studies, its student at T = 1, is a fix here.

    That TTM beats KD is said of this form: with the student at T = 1, TTM and KD are one loss at two weights. Hinton's
    asks the student for T times as large logits, so that at one learning rate, chosen with neither, it may only be
    slower: `rate` times that of the study, with the teachers and seeds of rate 1 and one weight of KD.
    """
    own, training = weights_of(study), study.student_training
    return dataclasses.replace(
        own,
        name=f"{study.name}-hinton" + (f"-{rate:g}x" if rate != 1 else ""),
        seed=SEED_OF_HINTON,
        student_training=dataclasses.replace(training, learning_rate=rate * training.learning_rate),
        reference=dataclasses.replace(study.reference, method="kd-hinton"),
        reference_weights=own.reference_weights if rate == 1 else (),
        fixes=(*own.fixes, study.reference),
    )


def plans() -> dict[str, Study]:
    """The studies by the name of their folder."""
    made = {name: find_study(name) for name in ("digits", "synthetic", "levels")} | {"digits-conv": digits_conv()}
    made = {name: dataclasses.replace(study, seed=SEED, confirm=64) for name, study in made.items()}
    ladders = [made[name] for name in ("digits", "digits-conv", "synthetic")]
    asked = [of(study) for of in (weights_of, hinton_of) for study in ladders]
    return made | {study.name: study for study in asked}


def faster(studies: dict[str, Study]) -> dict[str, Study]:
    """Those of Hinton's KD again, at other learning rates of the student: what is known of the first ones, retold."""
    asked = [
        hinton_of(studies[name], rate=rate) for rate in (3.0, 10.0) for name in ("digits", "digits-conv", "synthetic")
    ]
    return {study.name: study for study in asked}


def main() -> None:
    """Runs what is not done yet and prints where the results are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    reference = plans()
    rates = faster(reference)
    parser.add_argument("studies", nargs="*", default=[*reference, *rates], help=", ".join([*reference, *rates]))
    parser.add_argument("--out", type=Path, default=Path("build/reference"))
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    for name in given.studies:
        if name in rates:
            take_teachers(given.out / name.rpartition("-")[0], given.out / name)
        kept = HERE / ("rates" if name in rates else "reference") / name
        keep(run_study((reference | rates)[name], given.out / name, workers=given.workers), kept)
        print(kept)


if __name__ == "__main__":
    main()
