"""What a training run is told: complete, frozen and typed; `recipes` makes them."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["linear", "resnet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The architecture of a model version, as stored beside its weights.

    `features` is the width D of an input row, `classes` K, `folds` F the number of cross-fitted
    heads; `widths` are the channels of each residual stage of a resnet, empty for a linear head.
    """

    kind: Kind
    features: int
    classes: int
    folds: int
    widths: tuple[int, ...] = ()


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
class ResNetHead:
    """A small residual network on 3 x 32 x 32 pixels, trained from scratch by minibatches.

    `batch_rows` is the batch of all workers together; images are shifted by up to `shift_pixels`.
    The run can be taken up again from each of `checkpoints` points.
    """

    kind: Literal["resnet"] = "resnet"
    widths: tuple[int, ...] = (16, 32, 64)
    epochs: int = 15
    steps_min: int = 300
    batch_rows: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    shift_pixels: int = 3
    checkpoints: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole training run but for its data and seed.

    `balance` in [0, 1] weighs classes: 0 leaves the data as it is, which keeps the probabilities
    calibrated to it, and 1 gives every class the same total weight. With fewer than
    `rows_per_worker_min` rows each, more workers would take longer to start than they save.
    """

    name: str
    folds: int
    head: LinearHead | ResNetHead
    balance: float = 0.0
    rows_per_worker_min: int = 1

    def shape(self, features: int, classes: int) -> Shape:
        """Return the architecture this recipe trains on (n, `features`) rows."""
        widths = self.head.widths if isinstance(self.head, ResNetHead) else ()
        return Shape(
            kind=self.head.kind,
            features=features,
            classes=classes,
            folds=self.folds,
            widths=widths,
        )
