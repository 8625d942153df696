"""A crowd of mixed quality, simulated: who its workers are and what each would answer.

The answers follow a Rasch model (Rasch 1960): a worker of ability a is right on an item of ease e
with probability 1 / (1 + exp(-(a + e))), so hard items are hard for everybody, and a wrong answer
falls on a label that the item looks like. What a worker would say of an item is drawn once, from
the seed: it does not depend on when, how often or in which job state the item is asked.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

REVIEWER_SKILL = "reviewer"
"""The skill that a job's audit asks for."""

SWAP_RATE = 0.6
"""How often a biased worker gives the wrong one of two labels that they confuse."""

SWAPPED_PAIRS = 2
"""How many pairs of labels a biased worker confuses."""

_ABILITY_LIMIT = 12.0
_BISECTIONS = 50


class Persona(StrEnum):
    """The kinds of people in the crowd."""

    GOOD = "good"
    AVERAGE = "average"
    SLOPPY = "sloppy"
    BIASED = "biased"
    RANDOM_SPAMMER = "random spammer"
    CONSTANT_SPAMMER = "constant spammer"
    SLOW = "slow"
    VANISHING = "vanishing"
    REVIEWER = "reviewer"

    @property
    def labels(self) -> bool:
        """Whether such a worker ever answers label questions."""
        return self not in (Persona.VANISHING, Persona.REVIEWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTraits:
    """One simulated worker: `accuracy` is the share they would get right of all items.

    `think_s` is the mean time for one item and `price` what one answer costs.
    """

    name: str
    persona: Persona
    accuracy: float
    think_s: float
    price: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Deck:
    """One job's items as the simulator knows them, N items and K labels.

    `keys` (N,) finds an item by its content, `truth` (N,) holds label codes, `ease` (N,) log-odds
    relative to an average item, `lookalike` (N, K) how a wrong answer is distributed: rows sum to
    one and are zero at the truth.
    """

    label_names: tuple[str, ...]
    keys: tuple[str, ...]
    truth: Codes
    ease: Floats
    lookalike: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    persona: Persona
    workers: int
    accuracy: float
    think_s: float
    price: float


_STAFF = (
    _Profile(persona=Persona.GOOD, workers=6, accuracy=0.95, think_s=0.06, price=0.05),
    _Profile(persona=Persona.AVERAGE, workers=7, accuracy=0.85, think_s=0.04, price=0.04),
    _Profile(persona=Persona.SLOPPY, workers=3, accuracy=0.70, think_s=0.02, price=0.03),
    _Profile(persona=Persona.BIASED, workers=2, accuracy=0.90, think_s=0.04, price=0.04),
    _Profile(persona=Persona.RANDOM_SPAMMER, workers=1, accuracy=0.0, think_s=0.02, price=0.03),
    _Profile(persona=Persona.CONSTANT_SPAMMER, workers=1, accuracy=0.0, think_s=0.02, price=0.03),
    _Profile(persona=Persona.SLOW, workers=2, accuracy=0.92, think_s=0.8, price=0.05),
    _Profile(persona=Persona.VANISHING, workers=2, accuracy=0.85, think_s=0.04, price=0.04),
    _Profile(persona=Persona.REVIEWER, workers=3, accuracy=0.995, think_s=0.06, price=0.15),
)


def staff() -> tuple[WorkerTraits, ...]:
    """Return the demo's crowd: 24 people of all kinds, and three reviewers who only audit."""
    return tuple(
        WorkerTraits(
            name=f"{profile.persona} {number}",
            persona=profile.persona,
            accuracy=profile.accuracy,
            think_s=profile.think_s,
            price=profile.price,
        )
        for profile in _STAFF
        for number in range(1, profile.workers + 1)
    )


def answers(traits: WorkerTraits, deck: Deck, rng: np.random.Generator) -> Codes:
    """Return what a worker would answer to each item of a deck, as label codes (N,)."""
    labels = len(deck.label_names)
    match traits.persona:
        case Persona.RANDOM_SPAMMER:
            return rng.integers(labels, size=len(deck.truth))
        case Persona.CONSTANT_SPAMMER:
            return np.full(len(deck.truth), rng.integers(labels), dtype=np.int64)
        case Persona.BIASED:
            return _swapped(_earnest(traits.accuracy, deck, rng), deck, rng)
        case _:
            return _earnest(traits.accuracy, deck, rng)


def rng_for(seed: int, worker: int, deck: int) -> np.random.Generator:
    """Return the generator that decides one worker's answers to one deck, in any process."""
    return np.random.default_rng([seed, worker, deck])


def ability_for(accuracy: float, ease: Floats) -> float:
    """Return the Rasch ability that gets a share `accuracy` of these items right, by bisection."""
    low, high = -_ABILITY_LIMIT, _ABILITY_LIMIT
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if expit(middle + ease).mean() < accuracy:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def confused_pairs(deck: Deck, count: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of labels whose items look most alike, no label twice, likest first."""
    labels = len(deck.label_names)
    likeness = np.zeros((labels, labels))
    np.add.at(likeness, deck.truth, deck.lookalike)
    likeness /= np.maximum(np.bincount(deck.truth, minlength=labels), 1)[:, None]
    likeness = np.triu(likeness + likeness.T, k=1)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-likeness, axis=None):
        first, second = divmod(int(flat), labels)
        taken = {label for pair in pairs for label in pair}
        if len(pairs) < count and first < second and not taken & {first, second}:
            pairs.append((first, second))
    return tuple(pairs)


def _earnest(accuracy: float, deck: Deck, rng: np.random.Generator) -> Codes:
    """Answer as well as one can: right by the Rasch model, else a label the item looks like."""
    right = rng.random(len(deck.truth)) < expit(ability_for(accuracy, deck.ease) + deck.ease)
    drawn = rng.random((len(deck.truth), 1))
    wrong = (deck.lookalike.cumsum(axis=1) < drawn).sum(axis=1)
    wrong = np.minimum(wrong, len(deck.label_names) - 1)
    return np.where(right, deck.truth, wrong).astype(np.int64)


def _swapped(given: Codes, deck: Deck, rng: np.random.Generator) -> Codes:
    """Exchange the labels of each confused pair in a share SWAP_RATE of the answers."""
    partner = np.arange(len(deck.label_names))
    for first, second in confused_pairs(deck, SWAPPED_PAIRS):
        partner[first], partner[second] = second, first
    swaps = rng.random(len(given)) < SWAP_RATE
    return np.where(swaps, partner[given], given).astype(np.int64)
