"""`Distilled`: the finished student, twice, with its cards and accuracies."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from darkprobe.data.split import Split
from darkprobe.distill.inputs import laid_out
from darkprobe.distill.loop import History
from darkprobe.distill.schedules.tutoring import Tutored
from darkprobe.distill.settings import DistillConfig
from darkprobe.store import LogitFile
from darkprobe.zoo import Model, Preprocessing, build_module, find_architecture, make_card, preprocess
from darkprobe.zoo.float32 import full_float32

_EVALUATION_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """A trained student, twice, and how it did. Accuracies are fractions.

    Attributes:
        model: with the weights of the last epoch; results are reported with these.
        selected: with the weights of the best look on validation data.
        history: the curve.
        val_last, val_selected: accuracy on validation data; the second is the largest of all looks.
        test_last, test_selected: accuracy on test data, or None where no test split was given.
        test_logits: (example, cls), float32, of the last epoch on test data, or None.
    """

    model: Model
    selected: Model
    history: History
    val_last: float
    val_selected: float
    test_last: float | None
    test_selected: float | None
    test_logits: Tensor | None


@torch.no_grad()
@full_float32()
def answers(
    module: nn.Module, split: Split, preprocessing: Preprocessing, *, added: Sequence[nn.Module] = ()
) -> Tensor:
    """Logits (example, cls), float32, on the processor, of the module, or of its sum with those `added`.

    The caller sets the mode.
    """
    device = next(module.parameters()).device
    parts = []
    for start in range(0, len(split), _EVALUATION_BATCH):
        inputs = preprocess(split.inputs[start : start + _EVALUATION_BATCH], preprocessing)
        inputs = laid_out(inputs).to(device)
        logits: Tensor = sum((network(inputs) for network in added), module(inputs))
        parts.append(logits.cpu())
    return torch.cat(parts)


def accuracy(logits: Tensor, split: Split) -> float:
    """Share of right answers, in [0, 1]."""
    return float((logits.argmax(1) == torch.from_numpy(split.labels)).double().mean())


@dataclass(frozen=True, kw_only=True)
class Name:
    """What goes into the student's card."""

    student: str
    teachers: tuple[LogitFile | Model, ...]
    config: DistillConfig
    note: str
    shape: tuple[int, ...]
    classes: int

    def model(self, module: nn.Module, *, suffix: str) -> Model:
        """The module with its card, in evaluation mode."""
        cards = [teacher.card for teacher in self.teachers]
        parent = "+".join(card.model_id for card in cards) or None
        # A teacher that was taught itself is named by its architecture, or names would grow with every generation.
        short = "+".join(card.architecture if card.parent else card.model_id for card in cards)
        tag = "-".join(filter(None, [self.config.method, short, f"s{self.config.seed}", suffix]))
        card = make_card(
            find_architecture(self.student),
            module,
            tag=re.sub(r"[^A-Za-z0-9._+-]+", "-", tag),
            input_shape=self.shape,
            num_classes=self.classes,
            seed=self.config.seed,
            recipe=self.config.method,
        )
        card = dataclasses.replace(card, parent=parent, method=self.config.method, note=self.note)
        return Model(card=card, module=module.eval())


def finished(
    network: Tutored, history: History, name: Name, *, preprocessing: Preprocessing, test: Split | None
) -> Distilled:
    """Both students and their accuracies."""
    last = build_module(name.student, input_shape=name.shape, num_classes=name.classes, seed=0)
    last.load_state_dict(network.module.state_dict())
    last.to(next(network.module.parameters()).device).eval()
    network.load_state(history.selected)
    test_logits = test_last = test_selected = None
    if test is not None:
        test_logits = answers(last, test, preprocessing, added=network.added)
        test_last = test_selected = accuracy(test_logits, test)
        if history.selected_step[0] != history.steps[-1]:  # else both have the same weights
            test_selected = accuracy(answers(network.module, test, preprocessing, added=network.added), test)
    models = [name.model(last.cpu(), suffix=""), name.model(network.module.cpu(), suffix="selected")]
    scores = history.scores[:, 0]
    return Distilled(
        model=models[0],
        selected=models[1],
        history=dataclasses.replace(history, selected={name: value.cpu() for name, value in history.selected.items()}),
        val_last=float(scores[-1]),
        val_selected=float(scores.max()),
        test_last=test_last,
        test_selected=test_selected,
        test_logits=test_logits,
    )
