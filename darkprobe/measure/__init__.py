"""From a store and metric names to tidy tables with intervals: the only place that averages."""

from darkprobe.measure.bands import capacity_bands as capacity_bands
from darkprobe.measure.bands import temperature_bands as temperature_bands
from darkprobe.measure.by_class import compare_by_class as compare_by_class
from darkprobe.measure.by_class import measure_by_class as measure_by_class
from darkprobe.measure.card_comparison import compare_cards as compare_cards
from darkprobe.measure.class_relations import measure_hierarchy as measure_hierarchy
from darkprobe.measure.comparison import compare as compare
from darkprobe.measure.features import measure_features as measure_features
from darkprobe.measure.hierarchies import class_paths as class_paths
from darkprobe.measure.hierarchies import readable_names as readable_names
from darkprobe.measure.people import measure_people as measure_people
from darkprobe.measure.people import read_votes as read_votes
from darkprobe.measure.profile import measure as measure
from darkprobe.measure.records import SoftLabelRecord as SoftLabelRecord
from darkprobe.measure.records import SoftLabels as SoftLabels
from darkprobe.measure.seeds import between_seeds as between_seeds
from darkprobe.measure.seeds import seed_rows as seed_rows
from darkprobe.measure.signs import sign_conflicts as sign_conflicts
from darkprobe.measure.students import measure_student as measure_student
