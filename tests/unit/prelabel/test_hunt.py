import math

from hypothesis import given
from hypothesis import strategies as st

from serve_apps.prelabel.hunt import LONE_LOSSES, Hunt, Rows


@given(st.integers(1, 300), st.data())
def test_exactly_the_deadly_rows_are_found_at_a_logarithmic_cost(
    rows: int, data: st.DataObject
) -> None:
    # Given a chunk with some deadly rows
    deadly = data.draw(st.sets(st.integers(0, rows - 1), max_size=8))
    hunt, lost = Hunt(rows), 0

    # When it is hunted through
    tried: list[int] = []
    while (suspects := hunt.suspects) is not None:
        if deadly.intersection(range(suspects.first, suspects.end)):
            lost += 1
            hunt.lost()
        else:
            tried += range(suspects.first, suspects.end)
            hunt.survived()

    # Then they are found, every other row was tried once, and few processes were lost
    assert hunt.deadly == tuple(sorted(deadly))
    assert tried == sorted(set(range(rows)) - deadly)
    assert lost <= len(deadly) * (math.ceil(math.log2(rows)) + LONE_LOSSES)


def test_a_row_lost_once_gets_another_chance() -> None:
    hunt = Hunt(1)

    hunt.lost()
    tried_again = hunt.suspects
    hunt.survived()

    assert tried_again == Rows(0, 1)
    assert (hunt.suspects, hunt.deadly) == (None, ())
