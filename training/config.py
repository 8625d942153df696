"""What a training run is told: complete, frozen and typed; `recipes` makes them."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Literal

Kind = Literal["linear", "resnet", "lora", "full"]

MINILM = "minilm"
"""The text encoder that comes with Muster."""

Inputs = Literal["features", "texts", "images"]
"""What a recipe reads of an item: the frozen base model's features, or the content itself."""

Loss = Literal["posterior", "symmetric", "generalised"]
"""How far logits are from a posterior of the crowd; `training.losses` defines each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The base model a tuned version changes, and where.

    A LoRA adds matrices of `rank`, scaled by `alpha` / `rank`, to the linear layers whose names end
    like one of `targets`, to all where that is empty. A `full` version holds every weight of its
    own but those of modules with a name in `frozen`; its rank is 0.
    """

    model: str
    inputs: Inputs
    rank: int = 0
    alpha: int = 0
    targets: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The architecture of a model version, as stored beside its weights.

    `features` is the width D of an input row, `classes` K, `folds` F the number of cross-fitted
    members; `widths` are the channels of each residual stage of a resnet, empty for others. `base`
    is None but for a tuned encoder, whose D is the width of what its head reads.
    """

    kind: Kind
    features: int
    classes: int
    folds: int
    widths: tuple[int, ...] = ()
    base: Base | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearHead:
    """Multinomial logistic regression on frozen features, solved to convergence.

    `l2_path` lists ridge penalties a mean-loss unit from strong to weak; the one of least
    cross-fitted log loss is kept, and the search ends where a weaker one no longer helps.
    """

    kind: Literal["linear"] = "linear"
    l2_path: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    iterations_max: int = 60
    gradient_tolerance: float = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Minibatches:
    """How a network is trained by minibatches: AdamW, warm-up, then half a cosine down to zero.

    `batch_rows` is the batch of all workers together; a worker takes its share as `accumulation`
    parts, one after another, before it takes a step. At least `steps_min` steps are taken. The
    gradient of each member is cut to a norm of `gradient_norm_max`. After `patience` epochs that
    did not lower the cross-fitted loss the run ends, and its best epoch is kept; None takes every
    epoch and keeps the last. The run can be taken up again from each of `checkpoints` points.
    """

    epochs: int
    steps_min: int = 1
    batch_rows: int = 32
    accumulation: int = 1
    learning_rate: float
    weight_decay: float = 1e-2
    warm_up_share: float = 0.1
    gradient_norm_max: float | None = 1.0
    patience: int | None = None
    loss: Loss = "posterior"
    checkpoints: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetHead(Minibatches):
    """A small residual network on 3 x 32 x 32 pixels, trained from scratch.

    Images are shifted by up to `shift_pixels`.
    """

    kind: Literal["resnet"] = "resnet"
    widths: tuple[int, ...] = (16, 32, 64)
    epochs: int = 15
    steps_min: int = 300
    learning_rate: float = 1e-2
    warm_up_share: float = 0.3
    gradient_norm_max: float | None = None
    shift_pixels: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedEncoder(Minibatches):
    """The base model itself, adapted to the labels under a linear head, once for each fold.

    It sets out from the frozen base model under its best linear head, `head` (Kumar et al. 2022,
    arXiv:2202.10054), which is also what it falls back to where no epoch is better. `dropout` is
    that of the adapters; images are shifted by up to `shift_pixels`.
    """

    kind: Literal["lora", "full"]
    base: Base
    head: LinearHead = LinearHead()
    dropout: float = 0.0
    shift_pixels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole training run but for its data and seed.

    `balance` in [0, 1] weighs classes: 0 leaves the data as it is, which keeps the probabilities
    calibrated to it, and 1 gives every class the same total weight. With fewer than
    `rows_per_worker_min` rows each, more workers would take longer to start than they save.
    """

    name: str
    folds: int
    head: LinearHead | ResNetHead | TunedEncoder
    balance: float = 0.0
    rows_per_worker_min: int = 1

    @property
    def fingerprint(self) -> str:
        """What tells it from any other recipe, also of the same name in another release."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def inputs(self) -> Inputs:
        """What it reads of an item."""
        return self.head.base.inputs if isinstance(self.head, TunedEncoder) else "features"

    def shape(self, features: int, classes: int) -> Shape:
        """Return the architecture this recipe trains on (n, `features`) rows."""
        return Shape(
            kind=self.head.kind,
            features=features,
            classes=classes,
            folds=self.folds,
            widths=self.head.widths if isinstance(self.head, ResNetHead) else (),
            base=self.head.base if isinstance(self.head, TunedEncoder) else None,
        )
