"""Two texts as one content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.pairs import SEPARATOR, joined, split

TEXTS = st.text().filter(lambda text: SEPARATOR not in text)


@given(first=TEXTS, second=TEXTS)
def test_what_was_joined_is_split_as_it_was(first: str, second: str) -> None:
    assert split(joined(first, second)) == (first, second)


@given(one=st.tuples(TEXTS, TEXTS), other=st.tuples(TEXTS, TEXTS))
def test_different_pairs_are_different_contents(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    for pair in (other, one[::-1]):
        assert (joined(*one) == joined(*pair)) is (one == pair)


@pytest.mark.parametrize("pair", [("a\x1f", "b"), ("a", "\x1fb")])
def test_a_text_with_the_separator_is_never_joined(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"U\+001F"):
        joined(*pair)


@pytest.mark.parametrize("content", ["", "a", "a\x1fb\x1fc"])
def test_what_is_no_pair_is_not_split(content: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        split(content)
