"""Which weights a base model's name stands for."""

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from tests.unit.training.encoders import REVISION, TINY_BERT
from training.backbone import folder_of


def test_a_base_model_is_the_revision_that_its_name_has(hub: Path) -> None:
    # Given a hub whose newest revision is another one by now than the one a job has named
    newer = hub / "models--acme--tiny-bert" / "refs" / "main"
    newest = "a" * 40
    (newer.parent.parent / "snapshots" / newest).mkdir()
    newer.write_text(newest)
    try:
        # Then the name with the revision stays what it was, and the one without follows
        assert folder_of(f"{TINY_BERT}@{REVISION}").name == REVISION
        assert folder_of(TINY_BERT).name == newest
    finally:
        newer.write_text(REVISION)


@pytest.mark.usefixtures("hub")
def test_a_revision_that_is_not_there_is_not_replaced_by_another() -> None:
    with pytest.raises(LocalEntryNotFoundError):
        folder_of(f"{TINY_BERT}@{'0' * 40}")
