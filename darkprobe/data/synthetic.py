"""`synthetic[:SEED]`: a classification task whose class relations are known, with every knob in `SyntheticConfig`.

Classes are unit directions z_k in superclasses; inputs are standard normal; the label is the class with the highest
score t + wave * sum_m sin(a_m t + b_m) of t = z_k.x. After the idea of Tang et al., 2020 (arXiv 2002.03532),
section on synthetic data [recall-low]; this generator and its defaults are our own [design].
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from darkprobe.data.sources import register_data
from darkprobe.data.split import Split
from darkprobe.errors import InvalidValueError
from darkprobe.types import IntArray

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Knobs of the generator.

    Attributes:
        seed: decides directions, waves and examples.
        classes: number of classes K, a multiple of `superclasses`.
        superclasses: number of groups of equal size.
        features: dimension d of the inputs.
        correlation: expected cosine between two directions of one superclass, in [0, 1); between superclasses it is 0.
        waves: number M of sine terms; more make the task harder.
        wave_height: factor of the sine terms; 0 makes the task linear.
        frequency: scale of the a_m, which are drawn uniformly from frequency * [0.8, 1.2].
        label_noise: share of training and validation examples whose label is replaced by one drawn from all classes;
            test labels stay true.
        train, val, test: number of examples of each split.
    """

    seed: int = 0
    classes: int = 20
    superclasses: int = 5
    features: int = 50
    correlation: float = 0.5
    waves: int = 2
    wave_height: float = 0.3
    frequency: float = 1.0
    label_noise: float = 0.0
    train: int = 2000
    val: int = 1000
    test: int = 4000

    def __post_init__(self) -> None:
        rules = {
            "seed": (self.seed >= 0, "a whole number >= 0"),
            "superclasses": (self.superclasses >= 1, "at least 1"),
            "classes": (
                self.classes >= 2 and self.superclasses >= 1 and self.classes % self.superclasses == 0,
                f"at least 2 and a multiple of superclasses = {self.superclasses}",
            ),
            "features": (self.features >= 2, "at least 2"),
            "correlation": (0 <= self.correlation < 1, "in [0, 1)"),
            "waves": (self.waves >= 0, "a whole number >= 0"),
            "wave_height": (np.isfinite(self.wave_height) and self.wave_height >= 0, "a finite number >= 0"),
            "frequency": (np.isfinite(self.frequency) and self.frequency >= 0, "a finite number >= 0"),
            "label_noise": (0 <= self.label_noise <= 1, "in [0, 1]"),
            **{name: (getattr(self, name) >= 1, "at least 1") for name in _SPLITS},
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise InvalidValueError(
                    f"SyntheticConfig: `{name}` must be {expected}, got {getattr(self, name)}. Choose another value."
                )

    @property
    def superclass_of(self) -> IntArray:
        """Superclass of each class, (cls,), int64."""
        return np.arange(self.classes) // (self.classes // self.superclasses)

    @property
    def dataset(self) -> str:
        """Id of the data set: "synthetic-SEED", and the knobs that differ from the defaults."""
        default = SyntheticConfig(seed=self.seed)
        changed = [
            f"{field.name.replace('_', '')}{getattr(self, field.name):g}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        ]
        return "-".join([f"synthetic-{self.seed}", *changed])


def class_directions(config: SyntheticConfig) -> np.ndarray:
    """Unit directions z_k, (cls, feature), float64.

    z_k is sqrt(correlation) c_s(k) + sqrt(1 - correlation) e_k, scaled to length 1, with all c and e uniform on the
    sphere: cosines scatter about `correlation` within a superclass and about 0 between, by about 1 / sqrt(features).
    """
    draws = np.random.default_rng([config.seed, 0]).standard_normal(
        (config.superclasses + config.classes, config.features)
    )
    units = draws / np.linalg.norm(draws, axis=1, keepdims=True)
    centres, own = units[: config.superclasses], units[config.superclasses :]
    mixed = np.sqrt(config.correlation) * centres[config.superclass_of] + np.sqrt(1 - config.correlation) * own
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


def class_scores(config: SyntheticConfig, inputs: np.ndarray) -> np.ndarray:
    """Score of every class, (example, cls), float64; the label is the arg max.

    Args:
        config: the generator's knobs.
        inputs: (example, feature), floating.
    """
    rng = np.random.default_rng([config.seed, 1])
    frequencies = config.frequency * rng.uniform(0.8, 1.2, config.waves)
    phases = rng.uniform(0, 2 * np.pi, config.waves)
    t = np.asarray(inputs, dtype=np.float64) @ class_directions(config).T
    scores: np.ndarray = t.copy()
    for a, b in zip(frequencies, phases, strict=True):
        scores += config.wave_height * np.sin(a * t + b)
    return scores


def synthetic_split(config: SyntheticConfig, split: str) -> Split:
    """One split of the task of `config`: float32 features; ids count through train, val and test.

    Args:
        config: the generator's knobs.
        split: "train", "val" or "test".
    """
    if split not in _SPLITS:
        raise InvalidValueError(f"synthetic_split: `split` must be one of {', '.join(_SPLITS)}, got {split!r}. Choose.")
    part = _SPLITS.index(split)
    sizes = [config.train, config.val, config.test]
    rng = np.random.default_rng([config.seed, 2 + part])
    inputs = rng.standard_normal((sizes[part], config.features)).astype(np.float32)
    labels = class_scores(config, inputs).argmax(1)
    if config.label_noise and split != "test":
        replaced = rng.random(len(labels)) < config.label_noise
        labels = np.where(replaced, rng.integers(0, config.classes, len(labels)), labels)
    return Split(
        dataset=config.dataset,
        name=split,
        kind="features",
        inputs=inputs,
        labels=labels,
        example_ids=np.arange(sizes[part], dtype=np.int64) + sum(sizes[:part]),
        class_names=tuple(f"s{s}c{k}" for k, s in enumerate(config.superclass_of)),
        source=f"synthetic:{config.seed}",
    )


def parse_config(argument: str) -> SyntheticConfig:
    """The config written after the colon: a seed, knobs as `name=value`, or both, separated by commas.

    Examples:
        >>> parse_config("3,classes=40,features=60").classes
        40
    """
    values: dict[str, int | float] = {}
    kinds = {name: type(value) for name, value in dataclasses.asdict(SyntheticConfig()).items()}
    for item in filter(None, argument.split(",")):
        name, _, text = item.rpartition("=")
        name = name or "seed"
        if name not in kinds:
            raise InvalidValueError(
                f"load_split: knob of synthetic must be one of {', '.join(kinds)}, got {name!r}. Correct it."
            )
        try:
            values[name] = kinds[name](text)
        except ValueError:
            raise InvalidValueError(
                f"load_split: `{name}` of synthetic must be a number ({kinds[name].__name__}), "
                f"got {text!r}. Correct it."
            ) from None
    return SyntheticConfig(**values)  # type: ignore[arg-type]  # kinds were taken from the fields


register_data(
    "synthetic",
    read=lambda argument, split: synthetic_split(parse_config(argument), split),
    splits=lambda argument: _SPLITS,
    argument="[SEED]",
    note="20 classes in 5 superclasses, 50 features, known class relations; knobs as NAME=VALUE",
)
