"""Opening a deployment: made where it is not, shared where it is, and its lease secret."""

import fcntl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.errors import InvalidField
from cluster.settings import Settings
from cluster.stores.objects import FolderObjects, open_objects
from cluster.stores.opened import migrate, open_stores
from cluster.stores.secrets import lease_secret
from tests.conformance import samples


def test_a_deployment_is_made_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "deep" / "below")

    open_stores(settings).jobs.create(samples.job(), None)

    assert open_stores(settings).jobs.load(samples.JOB) == samples.job()
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


def test_migrating_again_keeps_what_is_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    open_stores(settings).workers.add(samples.worker("ann"))

    migrate(settings)

    assert len(open_stores(settings).workers.page(None, 10)) == 1


def test_whoever_makes_a_deployment_keeps_the_others_waiting(tmp_path: Path) -> None:
    # Given a process that is making the deployment
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(1) as threads, (tmp_path / "migrate.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        # When another opens it
        opening = threads.submit(open_stores, settings)

        # Then it waits until the first has finished
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.3)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert opening.result(timeout=60).jobs.unfinished() == ()


def test_the_database_and_the_objects_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "fast").mkdir()
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=f"sqlite:///{tmp_path}/fast/jobs.db",
        objects_uri=f"file://{tmp_path}/100% large",
    )

    open_stores(settings).objects.write("a", b"x")

    assert (tmp_path / "fast" / "jobs.db").exists()
    assert (tmp_path / "100% large" / "a").read_bytes() == b"x"


@pytest.mark.parametrize("uri", ["", "var/objects", "file://relative", "ftp://host/x", "s3://"])
def test_an_object_store_needs_a_known_scheme(uri: str) -> None:
    with pytest.raises(InvalidField, match="objects_uri"):
        open_objects(uri)


def test_objects_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    FolderObjects(tmp_path).write("a/b", b"x")

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o600


def test_a_configured_lease_secret_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, lease_secret="sesam öffne dich")  # noqa: S106 a test's

    assert lease_secret(settings) == "sesam öffne dich".encode()
    assert list(tmp_path.iterdir()) == []


def test_a_lease_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")

    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: lease_secret(settings), range(32)))

    assert {len(secret) for secret in secrets} == {32}
    assert secrets == {lease_secret(settings)}
    (file,) = settings.data_dir.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert lease_secret(Settings(data_dir=tmp_path / "other")) not in secrets
