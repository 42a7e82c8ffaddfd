"""Class hierarchies: the tree a teacher's affinities grow, and how well it fits a given one."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.cluster import hierarchy as clustering
from scipy.spatial.distance import squareform
from scipy.stats import mannwhitneyu

from darkprobe.checks import check_array
from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.types import FloatArray

CIFAR100_SUPERCLASSES: Mapping[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""The 20 superclasses of CIFAR-100 with their 5 classes each (Krizhevsky, 2009 [recall])."""


def groups_of_classes(
    class_names: Sequence[str], superclasses: Mapping[str, Sequence[str]] = CIFAR100_SUPERCLASSES
) -> tuple[str, ...]:
    """The superclass of each class, in label order.

    Args:
        class_names: (cls,), in label order.
        superclasses: the classes of each superclass; CIFAR-100's when not given.

    Raises:
        UnknownNameError: a class is in no superclass.

    Examples:
        >>> groups_of_classes(["bee", "bus"])
        ('insects', 'vehicles_1')
    """
    home = {name: group for group, names in superclasses.items() for name in names}
    for name in class_names:
        if name not in home:
            raise UnknownNameError("class", name, home, "Give the superclass of every class.")
    return tuple(home[name] for name in class_names)


def superclasses_of(paths: Sequence[Sequence[str]], *, smallest: int = 5) -> tuple[str, ...]:
    """One superclass for each class of a given hierarchy, however deep.

    Args:
        paths: for each class the names from the root to the class itself.
        smallest: a superclass holds at least so many classes, unless there is but one level above the classes.

    Returns:
        (cls,): the nearest name above the class that has at least `smallest` of the classes below it, or the root.

    References:
        Our choice [design].

    Examples:
        >>> superclasses_of([("animal", "fish", "trout"), ("animal", "fish", "ray"), ("animal", "cat")], smallest=2)
        ('fish', 'fish', 'animal')
    """
    if all(len(path) == 2 for path in paths):
        return tuple(path[0] for path in paths)
    below = Counter(name for path in paths for name in path[:-1])
    return tuple(next((n for n in reversed(path[:-1]) if below[n] >= smallest), path[0]) for path in paths)


def path_distances(paths: Sequence[Sequence[str]]) -> FloatArray:
    """Distance of classes in a given hierarchy: the height at which their paths from the root meet.

    Args:
        paths: for each class the names from the root to the class itself, e.g. ("animal", "fish", "trout"); of any
            length.

    Returns:
        (cls, cls), float64, symmetric, zero diagonal: the longer of the two ways from the classes up to where they
        meet, in steps.

    Examples:
        >>> path_distances([("animal", "trout"), ("animal", "bee"), ("tool", "hammer")])
        array([[0., 1., 2.],
               [1., 0., 2.],
               [2., 2., 0.]])
    """
    n = len(paths)
    distances = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            shared = next(
                (k for k, (a, b) in enumerate(zip(paths[i], paths[j], strict=False)) if a != b),
                min(len(paths[i]), len(paths[j])),
            )
            distances[i, j] = distances[j, i] = max(len(paths[i]), len(paths[j])) - shared
    return distances


def affinity_distances(matrix: FloatArray) -> FloatArray:
    """Symmetric distances between classes from a class-affinity matrix.

    d = -log of the mean of M[i, j] / (1 - M[i, i]) and M[j, i] / (1 - M[j, j]), minus its smallest value: the shares
    of the wrong mass that two classes give each other.

    Args:
        matrix: (cls, cls), as `class_affinity_matrix` gives it, every class with examples.

    Returns:
        (cls, cls), float64, symmetric, zero diagonal, >= 0; smaller = more alike.

    Raises:
        InvalidValueError: not square, or a class without examples.

    References:
        Our choice [design].
    """
    check_array("affinity_distances", "matrix", matrix)
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 3 or not np.isfinite(values).all():
        raise InvalidValueError(
            f"affinity_distances: `matrix` must be finite and of shape (cls, cls) with at least 3 classes, got "
            f"{values.shape} with {int(np.isnan(values).sum())} missing. Leave out classes without examples."
        )
    off = ~np.eye(len(values), dtype=bool)
    wrong = np.where(off, values, 0.0)
    shares = wrong / wrong.sum(1, keepdims=True)
    mutual = np.maximum((shares + shares.T) / 2, np.finfo(np.float64).tiny)
    distances = -np.log(mutual)
    return np.asarray(np.where(off, distances - distances[off].min(), 0.0))


def affinity_tree(matrix: FloatArray) -> FloatArray:
    """The tree of classes that a class-affinity matrix grows: average linkage on `affinity_distances`.

    Args:
        matrix: (cls, cls), as `class_affinity_matrix` gives it, every class with examples.

    Returns:
        (cls - 1, 4), float64: merges as SciPy's `linkage` writes them.

    References:
        Our choice [design].
    """
    tree: FloatArray = clustering.linkage(squareform(affinity_distances(matrix), checks=False), method="average")
    return tree


def cophenetic_correlation(matrix: FloatArray, distances: FloatArray) -> float:
    """Correlation of the affinity tree with a given hierarchy: of the heights at which pairs of classes join.

    Args:
        matrix: (cls, cls), as `class_affinity_matrix` gives it.
        distances: (cls, cls), of the given hierarchy, e.g. from `path_distances`.

    Returns:
        Pearson's correlation over pairs of classes, in [-1, 1]; 1 = the same tree up to scale. NaN where all classes
        are equally far in one of them.

    Raises:
        InvalidValueError: the two differ in their number of classes.

    References:
        Sokal and Rohlf, 1962 [recall]; the tree is our choice [design].
    """
    _check_same(matrix, distances, "distances")
    own = clustering.cophenet(affinity_tree(matrix))
    given = squareform(np.asarray(distances, dtype=np.float64), checks=False)
    if np.ptp(own) == 0 or np.ptp(given) == 0:
        return float("nan")
    return float(np.corrcoef(own, given)[0, 1])


def block_structure(matrix: FloatArray, groups: Sequence[str]) -> float:
    """How well affinities tell classes of one superclass from the rest.

    The probability that a pair of classes within a superclass has a smaller distance than a pair across, ties counted
    half (the area under the ROC curve).

    Args:
        matrix: (cls, cls), as `class_affinity_matrix` gives it, or cosines of class weights made positive.
        groups: (cls,), the superclass of each class.

    Returns:
        In [0, 1]; 1 = perfect blocks, 0.5 = none. NaN when all or no pairs are within a superclass.

    References:
        Our choice [design].
    """
    _check_same(matrix, np.empty((len(groups), len(groups))), "groups")
    distances = squareform(affinity_distances(matrix), checks=False)
    names = np.asarray(groups)
    within = squareform(names[:, None] == names[None, :], checks=False)
    if within.all() or not within.any():
        return float("nan")
    statistic = mannwhitneyu(distances[~within], distances[within]).statistic
    return float(statistic / (within.sum() * (~within).sum()))


def _check_same(matrix: FloatArray, other: FloatArray, name: str) -> None:
    if matrix.shape != other.shape:
        raise InvalidValueError(
            f"hierarchy: `{name}` must have {len(matrix)} classes like `matrix`, got {len(other)}. "
            "Take both in label order."
        )
