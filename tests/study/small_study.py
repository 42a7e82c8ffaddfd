"""A study of seconds that several tests run."""

import dataclasses

from darkprobe.distill.config import TrainConfig
from darkprobe.study import Control, MethodPlan, Study

SMALL = Study(
    name="small",
    data="digits:{seed}",
    teachers=("mlp-8", "mlp-16"),
    student="mlp1-8",
    teacher_training=TrainConfig(epochs=6, batch_size=50, learning_rate=5e-3, evaluations=1),
    student_training=TrainConfig(epochs=3, batch_size=50, learning_rate=0.015, evaluations=3),
    reference=MethodPlan(method="kd", grid=({"temperature": 2.0}, {"temperature": 4.0}), teacher_weight=0.9),
    fixes=(
        MethodPlan(method="ttm", grid=({"gamma": 0.5}, {"gamma": 0.25})),
        MethodPlan(method="dkd", grid=({"beta": 2.0}, {"beta": 8.0})),
    ),
    controls=(
        Control(label="clean", group="", parameters={"temperature": 4.0}, teacher_weight=0.9),
        Control(label="twin", group="nothing", edit="twin", parameters={"temperature": 4.0}, expected="none"),
        Control(
            label="flat", group="flattened", edit="scale-wrong", edit_parameters={"factor": 0.0, "temperature": 4.0},
            parameters={"temperature": 4.0}, expected="lower",
        ),
    ),
    control_teacher="mlp-16",
    pilot=2,
    confirm=4,
    twins=3,
    stack_size=3,
)  # fmt: skip

MANY = dataclasses.replace(
    SMALL,
    name="many",
    teacher_training=TrainConfig(epochs=1, batch_size=50, learning_rate=5e-3, evaluations=1),
    student_training=TrainConfig(epochs=1, batch_size=50, learning_rate=0.015, evaluations=1),
    fixes=(SMALL.fixes[0],),
    controls=(),
    control_teacher="",
    pilot=5,
    confirm=65,
    twins=0,
    stack_size=1,
)
"""More than two hundred cells that take next to no time each."""
