"""Groups contents of uneven size so that the model computes on as little padding as possible."""

from collections.abc import Sequence


def plan_batches(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Split the indices of `sizes` into batches that fit a budget of tokens or pixels.

    A batch costs its rows times its largest size, as padding makes it; only an item that is over
    the budget by itself makes a batch that is, alone. Batches come largest sizes first, so memory
    peaks at once rather than late. Every index is in exactly one batch.
    """
    batches: list[list[int]] = []
    largest = 0
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if batches and (len(batches[-1]) + 1) * largest <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
            largest = sizes[index]
    return batches
