"""Masking: nothing that was found is left, and it can be undone exactly."""

import re

from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.masking import Finding, masked, unmasked

KINDS = ("EMAIL_ADDRESS", "PHONE_NUMBER", "PERSON")
ALPHABET = "ab1 <>_@" + "é"


@st.composite
def texts_with_findings(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    """Draw a text, at times with placeholders of its own, and findings anywhere in it."""
    pieces = st.sampled_from(["<PERSON_1>", "<EMAIL_ADDRESS_1", "PERSON_1>", "<PHONE_NUMBER_2>"])
    text = "".join(draw(st.lists(st.one_of(st.text(ALPHABET, min_size=1), pieces), min_size=1)))
    spans = st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, len(text) - 1),
        st.integers(1, 6),
        st.floats(0, 1),
    )
    found = draw(st.lists(spans, max_size=6))
    return text, [
        Finding(kind, start, min(start + size, len(text)), score)  # type: ignore[arg-type]
        for kind, start, size, score in found
    ]


@given(texts_with_findings())
def test_what_was_masked_is_given_back_exactly(drawn: tuple[str, list[Finding]]) -> None:
    text, findings = drawn
    result = masked(text, findings)
    assert unmasked(result.text, result.originals) == text


@given(texts_with_findings())
def test_nothing_that_was_found_is_left(drawn: tuple[str, list[Finding]]) -> None:
    # Given findings in a text
    text, findings = drawn
    # When it is masked
    result = masked(text, findings)
    # Then between the placeholders nothing of them is left, of letters alone no whole word
    rest = re.split("|".join(map(re.escape, result.originals)), result.text) if findings else []
    for finding in findings:
        part = text[finding.start : finding.end]
        if all(each.isalpha() or each.isspace() for each in part):
            assert not any(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", each) for each in rest)
        else:
            assert not any(part in each for each in rest)


def test_equal_originals_share_a_placeholder_and_kinds_are_counted() -> None:
    text = "ann@a.de to bob@b.de, again ann@a.de: 12345"
    found = [
        Finding("EMAIL_ADDRESS", 0, 8, 1.0),
        Finding("EMAIL_ADDRESS", 12, 20, 1.0),
        Finding("PHONE_NUMBER", 38, 43, 0.4),
    ]
    result = masked(text, found)
    assert result.text == (
        "<EMAIL_ADDRESS_1> to <EMAIL_ADDRESS_2>, again <EMAIL_ADDRESS_1>: <PHONE_NUMBER_1>"
    )
    assert result.originals["<EMAIL_ADDRESS_2>"] == "bob@b.de"


def test_findings_that_overlap_are_masked_as_one_of_the_surest_kind() -> None:
    text = "call 030 1234567 now"
    found = [Finding("US_SSN", 5, 12, 0.5), Finding("PHONE_NUMBER", 9, 16, 0.9)]
    assert masked(text, found).text == "call <PHONE_NUMBER_1> now"


def test_a_name_is_no_part_of_another_word_and_a_number_is() -> None:
    text = "Ann has Annual 4711, x4711y and Ann"
    found = [Finding("PERSON", 0, 3, 0.9), Finding("PHONE_NUMBER", 15, 19, 0.9)]
    assert masked(text, found).text == (
        "<PERSON_1> has Annual <PHONE_NUMBER_1>, x<PHONE_NUMBER_1>y and <PERSON_1>"
    )


def test_a_placeholder_that_the_text_has_already_is_not_used() -> None:
    text = "<PERSON_1> is Ann"
    result = masked(text, [Finding("PERSON", 14, 17, 0.9)])
    assert result.text == "<PERSON_1> is <PERSON_2>"
    assert unmasked(result.text, result.originals) == text
