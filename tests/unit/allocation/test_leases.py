import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.leases import TOKEN_CHARS_MAX, Ticket, seal, unseal
from cluster.domain.ids import JobId, ShardId, WorkerId
from cluster.errors import InvalidField, LeaseInvalid

SECRET = b"s" * 32

tickets = st.builds(
    Ticket,
    shard_id=st.integers(0, 2**16 - 1).map(ShardId),
    job_id=st.text(max_size=60).map(JobId),
    partition=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 2**32 - 1),
    position=st.integers(0, 2**64 - 1),
    lease_id=st.integers(0, 2**64 - 1),
    worker_id=st.text(max_size=60).map(WorkerId),
)


def ticket(worker_id: str = "ann") -> Ticket:
    return Ticket(
        shard_id=ShardId(3),
        job_id=JobId("job"),
        partition=1,
        epoch=2,
        position=99,
        lease_id=7,
        worker_id=WorkerId(worker_id),
    )


@given(tickets)
def test_a_token_says_what_was_sealed(sealed: Ticket) -> None:
    token = seal(sealed, SECRET)

    assert unseal(token, SECRET) == sealed
    assert len(token) <= TOKEN_CHARS_MAX


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_passes(at: int, change: int) -> None:
    token = seal(ticket(), SECRET)
    content = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    content[at % len(content)] ^= change
    forged = base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    with pytest.raises(LeaseInvalid):
        unseal(forged, SECRET)


@given(st.text(max_size=200))
def test_any_other_text_is_invalid(text: str) -> None:
    with pytest.raises(LeaseInvalid):
        unseal(text, SECRET)


def test_a_token_has_one_spelling() -> None:
    token = seal(ticket(), SECRET)

    for other in (token + "=", token + "\n", " " + token, token.replace(token[4], "\u00e9", 1)):
        with pytest.raises(LeaseInvalid):
            unseal(other, SECRET)


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(LeaseInvalid):
        unseal(seal(ticket(), SECRET), b"t" * 32)


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    with pytest.raises(LeaseInvalid):
        unseal("A" * 10_000_000, SECRET)


def test_the_longest_ids_fit_and_longer_ones_are_refused() -> None:
    assert unseal(seal(ticket("w" * 255), SECRET), SECRET).worker_id == "w" * 255
    with pytest.raises(InvalidField):
        seal(ticket("w" * 256), SECRET)


def test_a_ticket_has_no_place_for_the_purpose() -> None:
    assert not {"purpose", "audit"} & set(Ticket._fields)
