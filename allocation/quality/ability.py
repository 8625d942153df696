"""What to expect of a worker who has not answered yet.

Accuracies are Beta distributed about a mean whose log odds are linear in what is known of a worker
(rating, experience, pace, skills declared). Mean, weights and strength are those under which all
answers are likeliest: empirical Bayes (C. N. Morris, Parametric Empirical Bayes Inference, J. Am.
Stat. Assoc. 78(381), 1983) by beta-binomial regression (M. J. Crowder, Beta-binomial Anova for
Proportions, J. R. Stat. Soc. C 27(1), 1978), with labels as doubtful as they are. The result is a
prior, and evidence replaces it at the rate of its strength.

Features take part only if they foretell workers left out beyond noise. Else, and for a worker of
whom nothing is known, it is the crowd's own Beta distribution.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, expit

from allocation.quality.reliability import GRID, Beta, Evidence
from allocation.quality.votes import Floats

FOLDS = 5
RIDGE = 4.0
"""What a squared weight costs, of a standardised feature, in nats."""

STRENGTH_MIN, STRENGTH_MAX = 1.0, 100.0
"""What a prediction may be worth, in answers: however like each other workers are, it gives way."""

LOGIT_MAX = 5.0
SCALE_MIN = 1e-9
GAIN_MIN = 2.0
"""Features must gain this many standard errors on workers left out."""

BEFOREHAND = 2.0 * np.log(GRID) + np.log1p(-GRID)
"""Every crowd is taken to hold one more, average, worker: two answers right and one wrong."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ability:
    """Log odds of a right answer: `offset`, and `weights` (F,) of standardised features."""

    centre: Floats
    scale: Floats
    weights: Floats
    offset: float
    strength: float

    @property
    def informed(self) -> bool:
        """Whether features say anything."""
        return bool(self.weights.any())

    def prior(self, features: Floats) -> Beta:
        """Return what to expect of workers, from features (workers, F); NaN is not known."""
        lean = self.offset + _standard(features, self.centre, self.scale) @ self.weights
        return Beta(mean=expit(lean.clip(-LOGIT_MAX, LOGIT_MAX)), strength=self.strength)


def crowd_prior(found: Evidence) -> Beta:
    """Return what to expect of a worker of whom nothing else is known; its mean is (1,)."""
    nothing = np.empty((len(found.answers), 0))
    return learn(found, nothing).prior(np.empty((1, 0)))


def learn(found: Evidence, features: Floats) -> Ability:
    """Return what features (workers, F) tell of ability; NaN stands for what is not known."""
    answered = found.answers > 0
    seen, known = found.log_likelihood[answered], features[answered]
    centre, scale = _moments(known)
    standard = _standard(known, centre, scale)
    place = _fit(seen, standard)
    if features.shape[1] and not _helpful(seen, standard):
        place = np.append(_fit(seen, standard[:, :0]), np.zeros(features.shape[1]))
    return Ability(
        centre=centre,
        scale=scale,
        weights=place[2:],
        offset=float(place[0]),
        strength=float(np.exp(place[1])),
    )


def _helpful(seen: Floats, standard: Floats) -> bool:
    """Return whether features foretell the answers of workers left out, beyond noise."""
    folds = np.arange(len(seen)) % FOLDS
    gains = np.zeros(len(seen))
    for fold in range(FOLDS):
        out = folds == fold
        for columns, sign in ((standard, 1.0), (standard[:, :0], -1.0)):
            place = _fit(seen[~out], columns[~out])
            gains[out] += sign * _evidence(seen[out], columns[out], place)
    return float(gains.sum()) > GAIN_MIN * float(np.sqrt((gains**2).sum()))


def _fit(seen: Floats, standard: Floats) -> Floats:
    """Return offset, log strength and weights (2 + F,) that make the evidence greatest."""
    seen = np.vstack([seen, BEFOREHAND])
    standard = np.vstack([standard, np.zeros(standard.shape[1])])

    def loss(place: Floats) -> tuple[float, Floats]:
        prior, weights = _prior(standard, place), place[2:]
        belief = seen + prior.log_density()
        top = belief.max(axis=1, keepdims=True)
        chance = np.exp(belief - top)
        total = chance.sum(axis=1, keepdims=True)
        slope = _slope(chance / total, prior, standard)
        slope[2:] -= RIDGE * weights
        evidence = float((top + np.log(total)).sum())
        return 0.5 * RIDGE * float(weights @ weights) - evidence, -slope

    lean = (-LOGIT_MAX, LOGIT_MAX)
    limits = [lean, (float(np.log(STRENGTH_MIN)), float(np.log(STRENGTH_MAX)))]
    limits += [lean] * standard.shape[1]
    begin = np.concatenate([[1.0, np.log(10.0)], np.zeros(standard.shape[1])])
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=limits)
    return np.asarray(found.x)


def _slope(chance: Floats, prior: Beta, standard: Floats) -> Floats:
    """Return how the log evidence grows with offset, log strength and weights, (2 + F,)."""
    mean, strength = prior.mean, prior.strength
    whole = digamma(strength)
    of_right = chance @ np.log(GRID) - digamma(mean * strength) + whole
    of_wrong = chance @ np.log1p(-GRID) - digamma((1.0 - mean) * strength) + whole
    of_lean = (of_right - of_wrong) * strength * mean * (1.0 - mean)
    of_strength = strength * (mean * of_right + (1.0 - mean) * of_wrong)
    return np.concatenate([[of_lean.sum(), of_strength.sum()], standard.T @ of_lean])


def _evidence(seen: Floats, standard: Floats, place: Floats) -> Floats:
    """Return the log probability of each worker's answers, up to a constant, (workers,)."""
    belief = seen + _prior(standard, place).log_density()
    return np.asarray(np.logaddexp.reduce(belief, axis=1))


def _prior(standard: Floats, place: Floats) -> Beta:
    lean = (place[0] + standard @ place[2:]).clip(-LOGIT_MAX, LOGIT_MAX)
    return Beta(mean=expit(lean), strength=float(np.exp(place[1])))


def _moments(features: Floats) -> tuple[Floats, Floats]:
    """Return mean and deviation of what is known of each feature, (F,); 0 and 1 of nothing."""
    known = ~np.isnan(features)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, features, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, features - centre, 0.0) ** 2).sum(axis=0) / count)
    return centre, np.where(spread > SCALE_MIN, spread, 1.0)


def _standard(features: Floats, centre: Floats, scale: Floats) -> Floats:
    """Return features about 0 with deviation 1; what is not known is average."""
    return np.nan_to_num((features - centre) / scale)
