"""`compare_cards`: teachers compared by their dark-knowledge cards alone, without weights or logits."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from darkprobe.cards import KnowledgeCard
from darkprobe.errors import DataError, InvalidValueError
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics import class_affinity_correlation


def compare_cards(cards: Sequence[KnowledgeCard]) -> pd.DataFrame:
    """Table of the metrics that the cards hold, and of how far each pair agrees on which classes are alike.

    Args:
        cards: two or more of one data set and split, e.g. from `read_knowledge_card`.

    Returns:
        Columns as `measure` gives them. First every card's own rows; then per pair `class_affinity`, the class-level
        Spearman correlation at the cards' temperature, where both hold all wrong classes, else `class_topK_overlap`,
        the mean share of the K likeliest wrong classes of a class that both cards name. Pairs have no interval: a card
        does not hold what one needs.

    Raises:
        InvalidValueError: fewer than two cards, or two of one model.
        DataError: cards of other examples (data set, split, fingerprint, number), classes or temperatures.

    References:
        Our choice [design].
    """
    if len(cards) < 2:
        raise InvalidValueError(f"compare_cards: `cards` must be two or more, got {len(cards)}. Give another card.")
    names = [card.model.model_id for card in cards]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValueError(f"compare_cards: `cards` must be of different models, got {twice!r} twice. Drop one.")
    for card in cards[1:]:
        _check_same(cards[0], card)
    pairs = tidy([row for first, second in combinations(cards, 2) for row in _pair_rows(first, second)])
    return pd.concat([*(card.table()[pairs.columns] for card in cards), pairs], ignore_index=True)


def _check_same(first: KnowledgeCard, other: KnowledgeCard) -> None:
    facts: dict[str, Callable[[KnowledgeCard], str]] = {
        "data set and split": lambda card: f"{card.dataset}/{card.split}",
        "number of examples": lambda card: f"{card.n:,}",
        "class names": lambda card: ", ".join(card.class_names[:4]) + f" ... ({len(card.class_names)})",
        "temperature of affinities": lambda card: f"{card.affinity_temperature:g}",
    }
    differ = next((name for name, fact in facts.items() if fact(first) != fact(other)), None)
    if differ is None and first.class_names != other.class_names:
        differ = "class names"
    if differ is None and first.fingerprint and other.fingerprint and first.fingerprint != other.fingerprint:
        raise DataError(
            f"compare_cards: cards of {first.model.model_id!r} and {other.model.model_id!r} must be of the same "
            "examples, got other data fingerprints. Make both cards from one split."
        )
    if differ is not None:
        own, others = (facts[differ](card) for card in (first, other))
        raise DataError(
            f"compare_cards: cards must have the same {differ}, got {own} from {first.model.model_id!r} and {others} "
            f"from {other.model.model_id!r}. Compare teachers on one split."
        )


def _pair_rows(first: KnowledgeCard, second: KnowledgeCard) -> Iterator[Row]:
    matrices = [card.affinity_matrix() for card in (first, second)]
    kept = [max(map(len, card.affinity_classes), default=0) for card in (first, second)]
    if min(kept) == len(first.class_names) - 1:
        for matrix in matrices:
            np.fill_diagonal(matrix, 0.0)  # left out of the correlation
        metric, value = "class_affinity", float(class_affinity_correlation(matrices[0], matrices[1]))
    else:
        metric, value = f"class_top{min(kept)}_overlap", _overlap(first, second, min(kept))
    yield Row(
        model=first.model.model_id,
        reference=second.model.model_id,
        dataset=first.dataset,
        split=first.split,
        metric=metric,
        temperature=first.affinity_temperature,
        subset="all",
        value=value,
        low=np.nan,
        high=np.nan,
        n=first.n,
        unit="" if metric == "class_affinity" else "fraction",
    )


def _overlap(first: KnowledgeCard, second: KnowledgeCard, count: int) -> float:
    shares = [
        len(set(a[:count]) & set(b[:count])) / count
        for a, b in zip(first.affinity_classes, second.affinity_classes, strict=True)
        if a and b
    ]
    return float(np.mean(shares)) if shares else float("nan")
