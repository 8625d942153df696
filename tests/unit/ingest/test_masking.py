"""Contents are masked before anything is stored of them, or they are not stored."""

import re
from collections.abc import Sequence

from cluster.domain.masking import Finding, Masked
from cluster.domain.pairs import joined
from cluster.settings import Limits
from ingest.blocks import Block
from ingest.checked import BlockCheck
from ingest.digests import digests_of
from ingest.masking import ContentMask, RecogniserFailed
from ingest.rows import Code, Problem, Row
from ingest.validate import Validator
from tests.unit.ingest.support import layout

LIMITS = Limits()


class OddError(Exception):
    """What only some recogniser knows, and says the text of."""


class Digits:
    """A recogniser of runs of digits that cannot bear some words."""

    def find(self, text: str) -> Sequence[Finding]:
        if "odd" in text:
            raise RecogniserFailed("ValueError")
        for word, error in (("strange", OddError), ("broken", OSError), ("vast", MemoryError)):
            if word in text:
                raise error(text)
        if "beyond" in text:
            return [Finding("PHONE_NUMBER", 0, len(text) + 1, 1.0)]
        if "empty" in text:
            return [Finding("PHONE_NUMBER", 2, 2, 1.0)]
        return [
            Finding("PHONE_NUMBER", each.start(), each.end(), 0.4)
            for each in re.finditer(r"\d+", text)
        ]


def mask_of(chars_max: int = 100, findings_max: int = 3) -> ContentMask:
    return ContentMask(Digits(), "text", chars_max, findings_max)


def test_both_texts_of_a_pair_are_masked_with_placeholders_of_one_count() -> None:
    found = mask_of(findings_max=4).apply(joined("call 123 or 45", "not 123 but 6"))
    assert found == Masked(
        joined(
            "call <PHONE_NUMBER_1> or <PHONE_NUMBER_2>", "not <PHONE_NUMBER_1> but <PHONE_NUMBER_3>"
        ),
        {"<PHONE_NUMBER_1>": "123", "<PHONE_NUMBER_2>": "45", "<PHONE_NUMBER_3>": "6"},
    )


def test_each_text_of_a_pair_may_have_as_many_characters() -> None:
    assert isinstance(mask_of(chars_max=5, findings_max=9).apply(joined("a 123", "b 456")), Masked)
    assert isinstance(mask_of(chars_max=5, findings_max=9).apply(joined("a", "b 4567")), Problem)


def test_what_cannot_be_masked_is_refused_by_a_problem_that_tells_nothing_of_it() -> None:
    for content, detail in (
        ("an odd one 4711", "'text' could not be looked through: ValueError"),
        ("a strange one 4711", "'text' could not be looked through: OddError"),
        ("a broken one 4711", "'text' could not be looked through: OSError"),
        ("a vast one 4711", "'text' could not be looked through: MemoryError"),
        ("beyond 4711", "'text' could not be looked through: it finds what is not there"),
        ("empty 4711", "'text' could not be looked through: it finds what is not there"),
        ("1 2 3 4", "'text' has more than 3 parts to mask"),
        ("4711 " * 21, "'text' has 105 characters; 100 can be masked"),
    ):
        assert mask_of().apply(content) == Problem("text", Code.PII_UNMASKED, detail)


def test_a_row_that_cannot_be_masked_costs_no_other() -> None:
    # Given a block in which the recogniser fails on the second row, and the fourth is wrong
    contents = ("call 4711", "odd 4712", "nothing", "", "call 4713")
    rows = [Row(number, f"i{number}", text) for number, text in enumerate(contents, 1)]
    check = BlockCheck(Validator(layout(), LIMITS, fetch=lambda _: b""), "text", 200, mask_of())
    # When it is checked
    checked = check.check(Block(rows=rows, starts=[0] * len(rows)))
    # Then the others are items, masked, and the refused ones are told of in order
    assert checked.items["content"].to_pylist() == [
        "call <PHONE_NUMBER_1>",
        "nothing",
        "call <PHONE_NUMBER_1>",
    ]
    assert checked.items["originals"].to_pylist() == [
        '{"<PHONE_NUMBER_1>": "4711"}',
        None,
        '{"<PHONE_NUMBER_1>": "4713"}',
    ]
    assert [(row.line, row.code) for row in checked.refused] == [
        (2, "pii-unmasked"),
        (4, "field-empty"),
    ]
    # And no digest tells what was masked
    first, _, last = checked.content_digests.tolist()
    assert first == last
    assert (checked.content_digests == digests_of(checked.items["content"])).all()


def test_a_block_of_which_no_row_can_be_masked_is_empty() -> None:
    check = BlockCheck(Validator(layout(), LIMITS, fetch=lambda _: b""), "text", 200, mask_of())
    checked = check.check(Block(rows=[Row(1, "i1", "odd")], starts=[0]))
    assert checked.items.num_rows == len(checked.content_digests) == 0
    assert len(checked.refused) == 1
