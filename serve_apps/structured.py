"""Answers that are texts or masks, by crowd-kit: one adapter to a method, nothing of our own.

crowd-kit comes with the extra `structured`. Covered are those methods of crowd-kit 1.4 that work
with the versions pinned here: ROVER (J. G. Fiscus, ASRU 1997), RASA (J. Li, F. Fukumoto: A dataset
of crowdsourced word sequences, AnnoNLP 2019), and masks by vote, EM and RASA (D. Jung-Lin Lee et
al.: Quality evaluation methods for crowdsourced image segmentation, 2018).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from allocation.quality.votes import Codes, Floats
from cluster.errors import InvalidField

Masks = Sequence[npt.NDArray[np.bool_]]
Encode = Callable[[Sequence[str]], Floats]
"""Embeds texts: (texts, dimensions)."""

MASK_METHODS = {
    "majority": "SegmentationMajorityVote",
    "em": "SegmentationEM",
    "rasa": "SegmentationRASA",
}


def rover(items: Codes, workers: Codes, texts: Sequence[str]) -> dict[int, str]:
    """Return one text an item: the words are aligned, and each place is put to a vote.

    For texts that should agree word by word, such as transcriptions. Words are what white space
    separates; the order of the answers of an item breaks ties.
    """
    method = _crowdkit("rover").ROVER(str.split, " ".join)
    return dict(method.fit_predict(_frame(items, workers, text=list(texts))).items())


def rasa(items: Codes, workers: Codes, texts: Sequence[str], encode: Encode) -> dict[int, str]:
    """Return that text of each item which lies nearest to the weighted mean of their embeddings.

    For texts that may differ in words and agree in meaning, such as translations; workers weigh
    what they come close to the means.
    """
    place = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    embedded = np.asarray(encode(list(place)), dtype=np.float64)
    method = _crowdkit("rasa").TextRASA(lambda text: embedded[place[text]])
    frame = _frame(items, workers, text=list(texts))
    return dict(method.fit_predict(frame, None).items())


def masks(
    items: Codes, workers: Codes, drawn: Masks, method: str = "em"
) -> dict[int, npt.NDArray[np.bool_]]:
    """Return one mask an item; `method` is majority, em or rasa.

    Raises InvalidField for another method, and where masks of one item differ in shape.
    """
    if method not in MASK_METHODS:
        raise InvalidField("method", f"{method} is none of {', '.join(MASK_METHODS)}")
    shapes: dict[int, tuple[int, ...]] = {}
    for row, (item, mask) in enumerate(zip(items.tolist(), drawn, strict=True), start=1):
        if shapes.setdefault(item, mask.shape) != mask.shape:
            raise InvalidField("mask", f"row {row} is {mask.shape}, others are {shapes[item]}")
    fitted = getattr(_crowdkit(method), MASK_METHODS[method])()
    # RASA divides 0 by 0 where a mask and the vote are empty; the bound of EM may be infinite.
    with np.errstate(invalid="ignore", over="ignore"):
        found = fitted.fit_predict(_frame(items, workers, segmentation=list(drawn)))
    return {item: np.asarray(mask, dtype=np.bool_) for item, mask in found.items()}


def _crowdkit(method: str) -> Any:
    """Return crowd-kit's methods; they bring pandas and scikit-learn, so only who asks pays."""
    try:
        from crowdkit import aggregation  # noqa: PLC0415 - optional, and takes seconds
    except ImportError:
        raise InvalidField(
            "method", f"{method} needs crowd-kit: pip install 'muster[structured]'"
        ) from None
    return aggregation


def _frame(items: Codes, workers: Codes, **answers: Sequence[object]) -> Any:
    import pandas as pd  # noqa: PLC0415 - comes with crowd-kit

    return pd.DataFrame({"task": items, "worker": workers, **answers})
