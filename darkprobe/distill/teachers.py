"""`train_model`: one network from labels, by a named recipe, with its card: what `darkprobe zoo train` runs."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from darkprobe.data.policy import ViewPolicy, parse_policy
from darkprobe.data.split import Split
from darkprobe.distill.checkpoint import Checkpoint
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.graduation import accuracy, answers
from darkprobe.distill.inputs import StudentInputs
from darkprobe.distill.loop import History, Objective, fit
from darkprobe.distill.losses.teacher_side import top_score_difference
from darkprobe.distill.recipes import RECIPES, scaled
from darkprobe.distill.schedules.gates import shortened
from darkprobe.distill.stack import Solo
from darkprobe.errors import DataError, InvalidValueError
from darkprobe.zoo import Model, build_module, find_architecture, make_card
from darkprobe.zoo.architectures import preprocessing_for

_CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a teacher is trained for, apart from the schedule.

    Attributes:
        name: as it stands in the card, e.g. "plain", "ls0.1", "tolerant0.6", "early0.3", "lr0.3".
        kind: which of the five.
        amount: of "ls": smoothing over all classes, in (0, 1); of "tolerant": weight of the cross-entropy, the rest
            goes to the difference of top scores, K = min(5, C); of "early": share of the epochs; of "lr": share of the
            learning rate.
    """

    name: str
    kind: Literal["plain", "ls", "tolerant", "early", "lr"]
    amount: float = 0.0

    def training(self, config: TrainConfig) -> TrainConfig:
        """The settings as the recipe changes them."""
        if self.kind == "early":
            return shortened(config, share=self.amount)
        if self.kind == "lr":
            return dataclasses.replace(config, learning_rate=self.amount * config.learning_rate)
        return config


def parse_recipe(text: str) -> Recipe:
    """The recipe that a word describes: plain, ls0.1, tolerant0.6, early0.3 or lr0.3.

    "early-stopped" stands for early0.3 and "tolerant" for tolerant0.6, which are our choice [design].

    Raises:
        InvalidValueError: no such recipe, or a number outside (0, 1).

    Examples:
        >>> parse_recipe("ls0.1").amount
        0.1
    """
    text = {"early-stopped": "early0.3", "tolerant": "tolerant0.6"}.get(text, text)
    match = re.fullmatch(r"(ls|tolerant|early|lr)(0?\.\d+)", text)
    if text == "plain":
        return Recipe(name="plain", kind="plain")
    if not match or float(match.group(2)) == 0:
        raise InvalidValueError(
            "train_model: `recipe` must be plain, early-stopped, tolerant, or ls, tolerant, early or lr with a "
            f"number in (0, 1) such as ls0.1, got {text!r}. Choose one."
        )
    amount = float(match.group(2))
    kind = cast('Literal["ls", "tolerant", "early", "lr"]', match.group(1))
    return Recipe(name=f"{kind}{amount:g}", kind=kind, amount=amount)


def default_training(split: Split, *, epochs: int | None = None) -> tuple[TrainConfig, ViewPolicy]:
    """Settings and augmentation that the field uses for such data.

    Colour images: SGD .05, momentum .9, weight decay 5e-4, batch 128, 240 epochs with 5 of warm-up and tenfold drops at
    150, 180 and 210, crops from a 4-pixel frame and flips: the recipe "ats" (Li, Fan et al., 2022) [code]. With another
    number of epochs, all of them are scaled. All other data: AdamW, one cycle [design].

    Args:
        split: the training data.
        epochs: length, or None for the recipe's own.
    """
    if split.kind == "image" and split.input_shape[0] == 3:
        ats = RECIPES["ats"]
        full = dataclasses.replace(ats.training, evaluations=12)
        return (full if epochs is None else scaled(full, epochs=epochs)), parse_policy(ats.policy)
    batch = min(50, len(split))
    return TrainConfig(epochs=epochs or 50, batch_size=batch, learning_rate=5e-3), ViewPolicy()


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network and how it did: accuracies on validation data, fractions, of the last and the best look."""

    model: Model
    last_accuracy: float
    best_accuracy: float


def train_model(
    architecture: str,
    train: Split,
    val: Split,
    *,
    recipe: Recipe,
    config: TrainConfig,
    policy: ViewPolicy,
    seed: int,
    device: str | None = None,
    checkpoint: Path | None = None,
    watch: Callable[[History], None] | None = None,
    replay: bool = True,
) -> Trained:
    """A network trained on the labels of `train`, with the weights of the last epoch, and its accuracy on `val`.

    Args:
        architecture: name in the zoo.
        train: examples to learn from.
        val: examples for the learning curve; nothing is chosen by them.
        recipe: the loss, for "early" the length, for "lr" the rate.
        config: optimiser, schedule, length.
        policy: augmentation; each epoch is a view of its own, drawn from the seed.
        seed: decides weights, order and views.
        device: a torch device; without it, the first GPU where there is one, else the processor.
        replay: on a GPU, record the network's pass once and replay it; see `distill`.
        checkpoint: file where the run is put away every half minute and taken up again; the caller removes it.
        watch: called with the history so far after every look at `val`.
        replay: on a GPU, record the network's pass once and replay it; see `distill`.

    Raises:
        DataError: fewer training examples than one batch.
        CheckpointError: the checkpoint is damaged or of another run.
    """
    config = recipe.training(config)
    if len(train) < config.batch_size:
        raise DataError(
            f"train_model: `train` must fill a batch of {config.batch_size}, got {len(train)} examples. "
            "Choose a smaller batch."
        )
    found = find_architecture(architecture)
    shape, classes = train.input_shape, train.num_classes
    preprocessing = preprocessing_for(found, shape)
    module = build_module(architecture, input_shape=shape, num_classes=classes, seed=seed)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    module = module.to(place)
    if len(shape) == 3:  # torch's own annotation of `to` lacks the keyword
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = StudentInputs(train, preprocessing=preprocessing, policy=policy, view_seed=seed, device=place)
    identity = repr((architecture, train.fingerprint, val.fingerprint, recipe, config, policy.text, seed))
    kept = None if checkpoint is None else Checkpoint(checkpoint, identity=identity, every_seconds=_CHECKPOINT_SECONDS)
    history = fit(
        Solo(module),
        inputs,
        _objective(recipe, torch.from_numpy(train.labels).to(place)),
        config=config,
        examples=len(train),
        order_seeds=(seed,),
        evaluate=lambda network: torch.tensor([accuracy(answers(module, val, preprocessing), val)]),
        checkpoint=kept,
        watch=watch,
        replay=replay,
    )
    module = module.cpu()
    card = make_card(
        found, module, tag=f"{recipe.name}-s{seed}", input_shape=shape, num_classes=classes, seed=seed,
        recipe=recipe.name,
    )  # fmt: skip
    note = f"Trained on {train.dataset}/{train.name}, {config.epochs} epochs, augmentation {policy.text}."
    model = Model(card=dataclasses.replace(card, note=note), module=module.eval())
    scores = history.scores[:, 0]
    return Trained(model=model, last_accuracy=float(scores[-1]), best_accuracy=float(scores.max()))


def _objective(recipe: Recipe, labels: Tensor) -> Objective:
    """Loss (member,) of logits (member, batch, cls) and the batch's rows; mean over examples, nats."""
    return lambda logits, index: recipe_loss(recipe, logits, labels[index.to(labels.device)][None])


def recipe_loss(recipe: Recipe, logits: Tensor, target: Tensor) -> Tensor:
    """Loss (member,) of logits (member, batch, cls) and labels (member, batch); mean over examples, nats."""
    smoothing = recipe.amount if recipe.kind == "ls" else 0.0
    rows = functional.cross_entropy(logits.transpose(1, 2), target, label_smoothing=smoothing, reduction="none")
    plain = rows.mean(-1)
    if recipe.kind != "tolerant":
        return plain
    difference = top_score_difference(logits, target, k=min(5, logits.shape[-1]))
    return recipe.amount * plain + (1 - recipe.amount) * difference
