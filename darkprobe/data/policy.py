"""`ViewPolicy`: which augmentations make a view, and how strong they are."""

import re
from dataclasses import dataclass
from typing import Literal

from darkprobe.errors import InvalidValueError

Mix = Literal["none", "mixup", "cutmix"]


@dataclass(frozen=True, kw_only=True)
class ViewPolicy:
    """Augmentations of a view, in the order in which they are applied; the default leaves images as they are.

    Attributes:
        window: smallest share of the area that a random-resized crop keeps, in (0, 1); 0 switches it off.
        pad: pixels of black added on every side before a random crop back to the image's size; 0 switches it off.
        flip: whether every second image (on average) is mirrored left to right.
        jitter: brightness, contrast and saturation are each scaled by a factor from [1 - jitter, 1 + jitter].
        mix: "mixup" blends an image with another of the split, "cutmix" pastes a box of it.
        mix_alpha: the share of the own image is drawn from Beta(mix_alpha, mix_alpha).
    """

    window: float = 0.0
    pad: int = 0
    flip: bool = False
    jitter: float = 0.0
    mix: Mix = "none"
    mix_alpha: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "window": (0 <= self.window < 1, "in [0, 1)"),
            "pad": (0 <= self.pad <= 64, "a whole number from 0 to 64"),
            "jitter": (0 <= self.jitter <= 1, "in [0, 1]"),
            "mix": (self.mix in ("none", "mixup", "cutmix"), "none, mixup or cutmix"),
            "mix_alpha": (0 < self.mix_alpha < float("inf"), "a finite number > 0"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise InvalidValueError(
                    f"ViewPolicy: `{name}` must be {expected}, got {getattr(self, name)}. Choose another value."
                )

    @property
    def clean(self) -> bool:
        """Whether views are the images themselves."""
        return self == ViewPolicy(mix_alpha=self.mix_alpha)

    @property
    def text(self) -> str:
        """The policy in one line, e.g. "pad4+flip"; `parse_policy` reads it back. "clean" for none."""
        parts = [
            f"window{self.window:g}" if self.window else "",
            f"pad{self.pad}" if self.pad else "",
            "flip" if self.flip else "",
            f"jitter{self.jitter:g}" if self.jitter else "",
            f"{self.mix}{self.mix_alpha:g}" if self.mix != "none" else "",
        ]
        return "+".join(filter(None, parts)) or "clean"


def parse_policy(text: str) -> ViewPolicy:
    """The policy that a line such as "pad4+flip" or "window0.25+flip+jitter0.4+cutmix1" describes.

    Raises:
        InvalidValueError: a part is not known or stands twice.

    Examples:
        >>> parse_policy("pad4+flip")
        ViewPolicy(window=0.0, pad=4, flip=True, jitter=0.0, mix='none', mix_alpha=1.0)
    """
    values: dict[str, float | bool | str] = {}
    for part in text.split("+") if text != "clean" else []:
        match = re.fullmatch(r"(window|pad|flip|jitter|mixup|cutmix)(\d*\.?\d*(?:e-?\d+)?)", part)
        name = match.group(1) if match else ""
        field = "mix" if name in ("mixup", "cutmix") else name
        number = match.group(2) if match else ""
        if not match or field in values or (field == "flip") == bool(number):
            raise InvalidValueError(
                "parse_policy: `text` must join parts such as window0.25, pad4, flip, jitter0.4, mixup1 and cutmix1 "
                f"by '+', each at most once, got {text!r}. Correct {part!r}."
            )
        values |= _values(field, name, number)
    return ViewPolicy(**values)  # type: ignore[arg-type]  # each field was given its own type


def _values(field: str, name: str, number: str) -> dict[str, float | bool | str]:
    if field == "flip":
        return {"flip": True}
    if field == "mix":
        return {"mix": name, "mix_alpha": float(number)}
    return {field: int(number) if field == "pad" and number.isdigit() else float(number)}
