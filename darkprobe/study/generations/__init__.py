"""Studies of generations: networks that teach their successors, from a strict first teacher and from a tolerant one.

After Yang, Xie, Qiao and Yuille (2019), Training deep neural networks in generations, arXiv 1805.05551 [secondary for
the losses; their values of K, eta and lambda are not known to us and are swept on validation data].
"""

from darkprobe.study.generations.builtin import GENERATIONS, find_generations
from darkprobe.study.generations.plan import Chain, Generations, Task, Upbringing
from darkprobe.study.generations.run import run_generations

__all__ = ["GENERATIONS", "Chain", "Generations", "Task", "Upbringing", "find_generations", "run_generations"]
