"""The truth-inference methods by the names they are asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from allocation.quality import (
    averages,
    dawid_skene,
    majority,
    one_coin,
    opinion_pool,
    random_effects,
)
from allocation.quality.numeric import Numbers, NumericFit
from allocation.quality.pairs import PairFit, Pairs, bradley_terry, crowd_bradley_terry
from allocation.quality.votes import Fit, Votes

DEFAULT_METHOD = "opinion-pool"
DEFAULT_NUMERIC_METHOD = "random-effects"
DEFAULT_PAIR_METHOD = "crowd-bradley-terry"

METHODS: Mapping[str, Callable[[Votes], Fit]] = MappingProxyType(
    {
        "majority": majority.fit,
        "dawid-skene": dawid_skene.fit,
        "dawid-skene-diagonal": partial(dawid_skene.fit, prior="diagonal"),
        "dawid-skene-pooled": partial(dawid_skene.fit, prior="pooled"),
        "one-coin": one_coin.fit,
        "opinion-pool": opinion_pool.fit,
    }
)

NUMERIC_METHODS: Mapping[str, Callable[[Numbers], NumericFit]] = MappingProxyType(
    {
        "mean": averages.mean,
        "median": averages.median,
        "weighted-mean": averages.weighted_mean,
        "weighted-median": averages.weighted_median,
        "random-effects": random_effects.fit,
    }
)
"""The methods for answers that are numbers."""

PAIR_METHODS: Mapping[str, Callable[[Pairs], PairFit]] = MappingProxyType(
    {"bradley-terry": bradley_terry, "crowd-bradley-terry": crowd_bradley_terry}
)
"""The methods for answers that are comparisons."""
