"""The built-in studies of generations: two for 2 cores that need no data, and one of images."""

import dataclasses
from collections.abc import Callable
from itertools import product

from darkprobe.checks import check_choice
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.recipes import RECIPES, scaled
from darkprobe.errors import InvalidValueError
from darkprobe.registry import Registry
from darkprobe.study.generations.plan import STRICT, TOLERANT, Chain, Generations, Task, Upbringing


def _chains(
    *, k: tuple[int, ...], eta: tuple[float, ...], lam: tuple[float, ...], temperatures: tuple[float, ...]
) -> tuple[Chain, ...]:
    """No teacher, a strict first teacher, the same at other temperatures, and a tolerant first teacher.

    The first is the control of ensembles (independent networks), the third asks whether tolerance does more than a
    temperature would; both are our choice.

    On an example that the teacher has learnt, eta CE + (1 - eta) TSD is least where the label has the probability
    eta (K - 1) / ((1 - eta) K) and K - 1 classes have the rest [derived]: with eta above K / (2K - 1), about one half,
    the teacher ends up strict. So the grids lie around one half, and .6 stands for what is above.
    """
    return (
        Chain(name="no teacher", grid=(Upbringing(ce_weight=1.0),)),
        Chain(name=STRICT, grid=tuple(Upbringing(ce_weight=a) for a in lam)),
        Chain(
            name="strict, tuned T",
            grid=tuple(Upbringing(ce_weight=a, temperature=t) for a, t in product(lam, temperatures)),
        ),
        Chain(
            name=TOLERANT,
            grid=tuple(Upbringing(k=n, first_ce_weight=e, ce_weight=a) for a, n, e in product(lam, k, eta)),
        ),
    )


def synthetic() -> Generations:
    """Perceptrons on the synthetic task; features are tried on 40 other classes around the same superclasses."""
    return Generations(
        name="generations-synthetic",
        source=Task(data="synthetic:{seed}"),
        # The directions of the superclasses are drawn first, so both tasks have the same; those of the classes differ.
        # Its training inputs are the source's validation inputs and as many new ones: no network was trained on them.
        target=Task(data="synthetic:{seed},classes=40,val=2000", train="val"),
        architecture="mlp-32",
        layer="act2",
        training=TrainConfig(epochs=30, batch_size=100, learning_rate=5e-3, evaluations=1),
        chains=_chains(k=(4, 8, 20), eta=(0.4, 0.45, 0.5, 0.6), lam=(0.1, 0.6), temperatures=(1.5, 2.0, 3.0, 4.0)),
        pilot=4,
        confirm=16,
    )


def digits() -> Generations:
    """Perceptrons on digits 0 to 4; features are tried on digits 5 to 9."""
    return Generations(
        name="generations-digits",
        source=Task(data="digits:{seed}", classes=(0, 1, 2, 3, 4)),
        target=Task(data="digits:{seed}", classes=(5, 6, 7, 8, 9)),
        architecture="mlp-32",
        layer="act2",
        training=TrainConfig(epochs=60, batch_size=50, learning_rate=5e-3, evaluations=1),
        chains=_chains(k=(2, 3, 5), eta=(0.4, 0.45, 0.5, 0.6), lam=(0.1, 0.6), temperatures=(1.5, 2.0, 3.0, 4.0)),
        pilot=6,
        confirm=40,
    )


def cifar10(edition: str = "full") -> Generations:
    """ResNets on CIFAR-10, features tried on Tiny ImageNet; full edition for a GPU, or --edition 2-core."""
    few = edition == "2-core"
    training = RECIPES["ats"].training
    if few:
        short = scaled(RECIPES["fast"].training, epochs=15)
        training = dataclasses.replace(short, batch_size=32, learning_rate=0.1)
    chains = _chains(k=(3, 5), eta=(0.45, 0.5), lam=(0.6,), temperatures=(2.0, 4.0))
    if not few:
        chains = _chains(k=(3, 5, 10), eta=(0.45, 0.5, 0.6), lam=(0.3, 0.6), temperatures=(2.0, 4.0))
    return Generations(
        name="generations-cifar10-2-core" if few else "generations-cifar10",
        source=Task(
            data="cifar10",
            train="train[:3000]" if few else "train[:0.9]",
            val="train[0.95:]" if few else "train[0.9:]",
        ),
        target=Task(
            data="tiny-imagenet:?size=32",
            train="train[:5000]" if few else "train[:20000]",
            test="test[:2500]" if few else "test",
        ),
        policy="pad4+flip",
        architecture="resnet8" if few else "resnet20",
        layer="layer3",
        training=dataclasses.replace(training, evaluations=1),
        chains=chains[1:] if few else chains,
        pilot=1,
        confirm=6,
        scaled="2-core edition: ResNet-8, 3,000 training images, 15 epochs, three chains, few settings" if few else "",
    )


GENERATIONS = Registry[Callable[..., Generations]]("study of generations")
for _make in (synthetic, digits, cifar10):
    GENERATIONS.register(_make.__name__, _make)


def find_generations(name: str, *, edition: str = "full") -> Generations:
    """The built-in study of generations of that name.

    Args:
        name: synthetic, digits or cifar10.
        edition: "full", or of cifar10 "2-core": cut down and labelled so.

    Raises:
        UnknownNameError: there is no such study or edition.
        InvalidValueError: the study has one edition only.
    """
    check_choice("edition", edition, ("full", "2-core"))
    make = GENERATIONS[name]
    if name == "cifar10":
        return make(edition)
    if edition != "full":
        raise InvalidValueError(
            f"find_generations: `edition` of {name} must be full, its only one, got {edition!r}. Leave it out: it is "
            "made for 2 cores."
        )
    return make()
