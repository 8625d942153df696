"""`UploadStore`: how far uploads in pieces have come, decided for one of those who race."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.audit import checked
from cluster.domain.audit import MUSTER
from cluster.domain.ids import TenantId
from cluster.domain.uploads import UnfinishedUploads, Upload, UploadPart
from cluster.ports import Stores
from cluster.tenant_errors import QuotaExceeded
from cluster.upload_errors import UploadNotFound, UploadOffsetConflict
from tests.conformance import samples

RIVAL = TenantId("rival")


def part(offset: int, size: int, name: str = "") -> UploadPart:
    return UploadPart(offset_bytes=offset, size_bytes=size, path=f"parts/{offset}{name}")


def grown(stores: Stores, upload: Upload, sizes: Sequence[int]) -> Upload:
    for size in sizes:
        upload = stores.uploads.append(upload, [part(upload.received_bytes, size)])
    return upload


def test_an_upload_grows_until_it_is_whole(stores: Stores) -> None:
    upload = samples.upload()
    stores.uploads.create(upload, 1_000)
    assert stores.uploads.get(samples.TENANT, "upl-1") == upload

    later = replace(upload, expires_at=900.0)
    grown_once = stores.uploads.append(later, [part(0, 30), part(30, 20)])

    assert grown_once == replace(later, received_bytes=50, parts=2)
    assert stores.uploads.get(samples.TENANT, "upl-1") == grown_once
    assert not grown_once.is_whole
    assert grown(stores, grown_once, [50]).is_whole
    assert stores.uploads.parts("upl-1") == (part(0, 30), part(30, 20), part(50, 50))


def test_a_part_that_does_not_go_on_from_the_end_is_refused_and_changes_nothing(
    stores: Stores,
) -> None:
    upload = samples.upload()
    stores.uploads.create(upload, 1_000)
    stores.uploads.append(upload, [part(0, 30)])

    with pytest.raises(UploadOffsetConflict) as refused:
        stores.uploads.append(upload, [part(0, 10, "late")])

    assert (refused.value.offset, refused.value.received) == (0, 30)
    assert stores.uploads.parts("upl-1") == (part(0, 30),)


def test_of_many_who_go_on_from_one_offset_one_wins(stores: Stores) -> None:
    upload = samples.upload()
    stores.uploads.create(upload, 1_000)

    def append(name: str) -> bool:
        try:
            stores.uploads.append(upload, [part(0, 10, name)])
        except UploadOffsetConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(append, "abcdefgh"))

    assert sum(won) == 1
    assert stores.uploads.parts("upl-1") == (part(0, 10, "abcdefgh"[won.index(True)]),)
    assert stores.uploads.get(samples.TENANT, "upl-1").received_bytes == 10


def test_another_tenant_has_no_such_upload(stores: Stores) -> None:
    upload = samples.upload()
    stores.uploads.create(upload, 1_000)

    with pytest.raises(UploadNotFound):
        stores.uploads.get(RIVAL, "upl-1")
    with pytest.raises(UploadNotFound):
        stores.uploads.append(replace(upload, tenant_id=RIVAL), [part(0, 1)])
    with pytest.raises(UploadNotFound):
        stores.uploads.remove(RIVAL, "upl-1")
    assert stores.uploads.unfinished(RIVAL) == UnfinishedUploads(count=0, length_bytes=0)
    assert stores.uploads.get(samples.TENANT, "upl-1") == upload


def test_a_removed_upload_is_gone_with_its_parts(stores: Stores) -> None:
    upload = samples.upload()
    stores.uploads.create(upload, 1_000)
    grown(stores, upload, [30, 20])

    assert stores.uploads.remove(samples.TENANT, "upl-1") == (part(0, 30), part(30, 20))

    assert stores.uploads.parts("upl-1") == ()
    for gone in (
        lambda: stores.uploads.get(samples.TENANT, "upl-1"),
        lambda: stores.uploads.append(upload, [part(0, 1)]),
        lambda: stores.uploads.remove(samples.TENANT, "upl-1"),
    ):
        with pytest.raises(UploadNotFound):
            gone()


def test_only_unfinished_uploads_count_and_run_out(stores: Stores) -> None:
    # Given an upload that is whole, one that ran out, and one that has time
    whole, late, young = (
        replace(samples.upload(f"upl-{number}"), expires_at=expires_at)
        for number, expires_at in ((1, 10.0), (2, 20.0), (3, 30.0))
    )
    for upload in (whole, late, young):
        stores.uploads.create(upload, 1_000)
    grown(stores, whole, [100])
    grown(stores, late, [7])
    assert stores.uploads.unfinished(samples.TENANT) == UnfinishedUploads(count=2, length_bytes=200)

    # When those that ran out are removed
    assert stores.uploads.remove_expired(20.0, 10) == (part(0, 7),)

    # Then the others are there
    assert stores.uploads.get(samples.TENANT, "upl-1").is_whole
    assert stores.uploads.get(samples.TENANT, "upl-3") == young
    with pytest.raises(UploadNotFound):
        stores.uploads.get(samples.TENANT, "upl-2")


def test_what_ran_out_is_recorded_as_an_act_of_the_service(stores: Stores) -> None:
    # Given uploads of two tenants that ran out, and one that has time
    for number, tenant_id in ((1, samples.TENANT), (2, RIVAL), (3, RIVAL)):
        late = replace(samples.upload(f"upl-{number}"), expires_at=10.0 * number)
        stores.uploads.create(replace(late, tenant_id=tenant_id), 1_000)
    # When they are removed, and there is nothing more to remove
    stores.uploads.remove_expired(20.0, 10)
    stores.uploads.remove_expired(21.0, 10)
    # Then each is an entry that says of whom, which and when
    entries = stores.audit.read(0, 10)
    assert [
        (entry.act.tenant_id, entry.act.actor, entry.act.action, entry.act.subject, entry.act.at)
        for entry in entries
    ] == [
        (samples.TENANT, MUSTER, "upload.expire", "upl-1", 20.0),
        (RIVAL, MUSTER, "upload.expire", "upl-2", 20.0),
    ]
    assert checked(entries).seq == 2


def test_few_are_removed_at_a_time_the_oldest_first(stores: Stores) -> None:
    for number in range(3):
        upload = replace(samples.upload(f"upl-{number}"), expires_at=float(number))
        stores.uploads.create(upload, 1_000)

    stores.uploads.remove_expired(99.0, 2)

    assert stores.uploads.unfinished(samples.TENANT).count == 1


def test_a_tenant_has_as_many_bytes_as_it_may_also_in_a_race(stores: Stores) -> None:
    # Given uploads of 100 bytes each, and room for 350
    def create(number: int) -> bool:
        try:
            stores.uploads.create(samples.upload(f"upl-{number}"), 350)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(create, range(8)))

    assert sum(created) == 3
    assert stores.quotas.usage(samples.TENANT).upload_bytes == 300
    with pytest.raises(QuotaExceeded, match="quota upload_bytes is 350, and 300 are used"):
        stores.uploads.create(samples.upload("upl-9"), 350)
    stores.uploads.create(replace(samples.upload("upl-9"), tenant_id=RIVAL), 350)
    stores.uploads.remove(samples.TENANT, f"upl-{created.index(True)}")
    assert stores.quotas.usage(samples.TENANT).upload_bytes == 200
