"""Numbers and axes in, axes out: every figure of the package, in one house style.

No function here computes a statistic, shows a window or saves a file, but for `save_figure`, which does only that.
"""

from darkprobe.plots.affinity import plot_affinity as plot_affinity
from darkprobe.plots.affinity import plot_consistency as plot_consistency
from darkprobe.plots.alignment import plot_alignment as plot_alignment
from darkprobe.plots.capacity import plot_capacity as plot_capacity
from darkprobe.plots.classes import plot_classes as plot_classes
from darkprobe.plots.cosines import plot_cosines as plot_cosines
from darkprobe.plots.effects import plot_controls as plot_controls
from darkprobe.plots.effects import plot_effects as plot_effects
from darkprobe.plots.generations import plot_generations as plot_generations
from darkprobe.plots.levels import plot_levels as plot_levels
from darkprobe.plots.mismatch import plot_mismatch as plot_mismatch
from darkprobe.plots.profile import plot_profile as plot_profile
from darkprobe.plots.reliability import plot_reliability as plot_reliability
from darkprobe.plots.save import save_figure as save_figure
from darkprobe.plots.style import model_colours as model_colours
from darkprobe.plots.style import new_axes as new_axes
from darkprobe.plots.style import new_figure as new_figure
from darkprobe.plots.tables import with_cards as with_cards
from darkprobe.plots.temperature import plot_temperature as plot_temperature
from darkprobe.plots.tree import plot_tree as plot_tree
