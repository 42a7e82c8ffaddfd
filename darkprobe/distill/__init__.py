"""Learning from teachers: losses, methods as records, and the one training loop.

`distill` trains one student; `fit` is the loop, for teachers and stacks of students as well; `RECIPES` is how the field
trains.
"""

from darkprobe.distill.checkpoint import Checkpoint
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import History, fit
from darkprobe.distill.methods import METHODS, Method, register_method, resolve_method
from darkprobe.distill.recipes import RECIPES
from darkprobe.distill.settings import DistillConfig
from darkprobe.distill.stack import Solo, Stack
from darkprobe.distill.student import Distilled, distill

__all__ = [
    "METHODS",
    "RECIPES",
    "Checkpoint",
    "DistillConfig",
    "Distilled",
    "History",
    "Method",
    "Solo",
    "Stack",
    "TrainConfig",
    "distill",
    "fit",
    "register_method",
    "resolve_method",
]
