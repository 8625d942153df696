"""The truth-inference methods by the names they are asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from allocation.quality import dawid_skene, majority, one_coin, opinion_pool
from allocation.quality.votes import Fit, Votes

DEFAULT_METHOD = "dawid-skene"

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
