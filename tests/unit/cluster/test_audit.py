"""The chain of the audit log: nothing of it can be changed without being found."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.audit import Fault, chained, checked
from cluster.domain.audit import EMPTY, Act, AuditEntry, Head
from cluster.domain.ids import TenantId

ACTS = st.builds(
    Act,
    at=st.floats(0, 2e9),
    tenant_id=st.text(max_size=5).map(TenantId),
    actor=st.text(max_size=5),
    action=st.text(max_size=5),
    subject=st.text(max_size=5),
    request_id=st.text(max_size=5),
    details_sha256=st.binary(min_size=32, max_size=32),
)


def act(subject: str = "job-1", **changes: object) -> Act:
    made = Act(
        at=1.5, tenant_id=TenantId("acme"), actor="key-1", action="job.submit", subject=subject
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def chain(acts: Sequence[Act]) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = EMPTY
    for each in acts:
        entries.append(chained(each, head))
        head = Head(entries[-1].seq, entries[-1].sha256)
    return entries


def test_the_encoding_is_the_documented_one() -> None:
    fields = (
        b"muster audit 1",
        (1).to_bytes(8, "big"),
        bytes(32),
        bytes.fromhex("3ff8000000000000"),
        b"acme",
        b"key-1",
        b"job.submit",
        b"job-1",
        b"",
        sha256(b"").digest(),
    )
    encoded = b"".join(len(field).to_bytes(8, "big") + field for field in fields)
    assert chained(act(), EMPTY).sha256 == sha256(encoded).digest()


@given(st.lists(ACTS, max_size=5))
def test_a_chain_nobody_touched_has_its_head(acts: list[Act]) -> None:
    entries = chain(acts)
    head = checked(entries)
    assert head == (Head(len(acts), entries[-1].sha256) if entries else EMPTY)
    assert isinstance(head, Head)
    assert checked(entries, anchor=head) == head


@given(st.lists(ACTS, min_size=1, max_size=5), ACTS, st.data())
def test_any_other_act_in_a_place_is_found(
    acts: list[Act], other: Act, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(acts) - 1))
    entries = chain(acts)
    changed = [*entries]
    changed[place] = replace(entries[place], act=other)
    found = checked(changed)
    if other == acts[place]:
        assert isinstance(found, Head)
    else:
        assert found == Fault(place + 1, "it was changed after it was written")


@pytest.mark.parametrize(
    ("order", "place", "reason"),
    [
        ((0, 2), 2, "entry 3 stands in its place"),
        ((1, 2), 1, "entry 2 stands in its place"),
        ((0, 2, 1), 2, "entry 3 stands in its place"),
        ((0, 1, 1, 2), 3, "entry 2 stands in its place"),
    ],
)
def test_what_is_missing_or_elsewhere_is_found(
    order: tuple[int, ...], place: int, reason: str
) -> None:
    entries = chain([act(str(number)) for number in range(3)])
    assert checked([entries[number] for number in order]) == Fault(place, reason)


def test_an_entry_put_between_others_is_found() -> None:
    first, second = chain([act("1"), act("2")])
    forged = chained(act("forged"), Head(first.seq, first.sha256))
    moved = replace(second, seq=3)
    assert checked([first, forged, moved]) == Fault(3, "it does not follow the entry before it")


def test_a_chain_that_was_cut_or_written_anew_is_told_from_its_anchor() -> None:
    # Given the head of an earlier day, kept elsewhere
    entries = chain([act(str(number)) for number in range(3)])
    anchor = checked(entries)
    assert isinstance(anchor, Head)
    # When the end is cut off, or all is written anew with hashes that fit
    cut = entries[:2]
    anew = chain([act("0"), act("other"), act("2"), act("3")])
    # Then each is a whole chain, but not that of the anchor
    assert isinstance(checked(cut), Head)
    assert isinstance(checked(anew), Head)
    assert checked(cut, anchor=anchor) == Fault(3, "the end is missing: the anchor is entry 3")
    found = checked(anew, anchor=anchor)
    assert found == Fault(3, "the chain was written anew: it is not the one of the anchor")
