"""`RECIPES`: how the field trains, as records; and the one that suits data when none is named."""

import dataclasses
from dataclasses import dataclass

from darkprobe.data.policy import parse_policy
from darkprobe.data.split import Split
from darkprobe.distill.config import TrainConfig
from darkprobe.errors import InvalidValueError
from darkprobe.registry import Registry
from darkprobe.types import Certainty


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Optimiser, schedule, length and augmentation under one name.

    Attributes:
        name: as given on the command line.
        training: the settings.
        policy: augmentation of colour images, as `parse_policy` reads it; other data stay as they are.
        light_learning_rate: peak rate of MobileNet and ShuffleNet students, where the source has another one for them.
        source: who trains so.
        certainty: how sure the settings are.
        note: what the reader should know besides.
    """

    name: str
    training: TrainConfig
    policy: str = "clean"
    light_learning_rate: float | None = None
    source: str
    certainty: Certainty
    note: str = ""

    def training_for(self, architecture: str) -> TrainConfig:
        """The settings for a student of this architecture."""
        light = architecture.lower().startswith(("mobilenet", "shufflenet"))
        if not light or self.light_learning_rate is None:
            return self.training
        return dataclasses.replace(self.training, learning_rate=self.light_learning_rate)

    def policy_for(self, split: Split) -> str:
        """The augmentation for this data: the recipe's for colour images, none for any other."""
        return self.policy if split.kind == "image" and split.input_shape[0] == 3 else "clean"


RECIPES: Registry[TrainingRecipe] = Registry("recipe")
"""All recipes by name."""

_DROPS = TrainConfig(
    epochs=240,
    batch_size=64,
    learning_rate=0.05,
    optimizer="sgd",
    weight_decay=5e-4,
    schedule="multi-step",
    milestones=(150, 180, 210),
    evaluations=240,
    precision="auto",
)

for _recipe in (
    TrainingRecipe(
        name="crd",
        training=_DROPS,
        policy="pad4+flip",
        light_learning_rate=0.01,
        source="Tian, Krishnan, Isola (2020), official code; also the protocol of TTM and WTTM",
        certainty="code",
        note="The official code reports the best test epoch; here the last and the val-selected epoch are reported.",
    ),
    TrainingRecipe(
        name="ats",
        training=dataclasses.replace(_DROPS, batch_size=128, warmup_epochs=5),
        policy="pad4+flip",
        source="Li, Fan et al. (2022), official code",
        certainty="code",
        note="The warm-up of 5 epochs rises step by step; rate .03 in the authors' demonstration.",
    ),
    TrainingRecipe(
        name="fast",
        training=dataclasses.replace(
            _DROPS, epochs=24, batch_size=128, learning_rate=0.2, schedule="one-cycle", milestones=(), evaluations=24
        ),
        policy="pad4+flip",
        source="our own",
        certainty="design",
        note="A tenth of the epochs of crd and ats in one cycle.",
    ),
    TrainingRecipe(
        name="small",
        training=TrainConfig(epochs=60, batch_size=50, learning_rate=0.015),
        source="our own",
        certainty="design",
        note="For features and small grey images: AdamW, one cycle.",
    ),
):
    RECIPES.register(_recipe.name, _recipe)


def recipe_for(split: Split) -> TrainingRecipe:
    """The recipe that is used for data when none is named: crd for colour images, small for any other."""
    return RECIPES["crd" if split.kind == "image" and split.input_shape[0] == 3 else "small"]


def scaled(config: TrainConfig, *, epochs: int) -> TrainConfig:
    """The same schedule over another number of epochs: drops and warm-up move along, one look an epoch at most.

    Raises:
        InvalidValueError: `epochs` is not at least 1.

    Examples:
        >>> scaled(RECIPES["crd"].training, epochs=24).milestones
        (15, 18, 21)
    """
    if epochs < 1:
        raise InvalidValueError(f"scaled: `epochs` must be at least 1, got {epochs}. Give a whole number.")
    share = epochs / config.epochs
    return dataclasses.replace(
        config,
        epochs=epochs,
        milestones=tuple(sorted({max(1, round(epoch * share)) for epoch in config.milestones})),
        warmup_epochs=round(config.warmup_epochs * share),
        evaluations=min(config.evaluations, epochs),
    )


def check_policies() -> None:
    """Refuses recipes whose augmentation cannot be read; called once, when this module is imported."""
    for recipe in RECIPES.values():
        parse_policy(recipe.policy)


check_policies()
