"""Which recogniser masks a job's contents, and whether there is one."""

from importlib.util import find_spec

from cluster.domain.pii import NAMED, PiiTerms
from cluster.errors import InvalidField
from cluster.settings import Settings
from ingest.masking import Recogniser


def check_pii(terms: PiiTerms, settings: Settings) -> None:
    """Raise InvalidField where this deployment cannot keep what some terms promise."""
    if find_spec("presidio_analyzer") is None:
        raise InvalidField("pii", "nothing is masked here: the extra `pii` is not installed")
    named = sorted(NAMED & set(terms.mask))
    if named and not settings.pii.spacy_model:
        raise InvalidField("pii.mask", f"no model here recognises {' and '.join(named)}")
    if terms.unmask_for_cleared and not settings.encryption_keys:
        raise InvalidField(
            "pii.unmask_for_cleared", "there are no encryption keys here to seal originals with"
        )


def open_recogniser(terms: PiiTerms, settings: Settings) -> Recogniser:
    """Return the recogniser of some terms; raises InvalidField as `check_pii` does, and
    ModelUnusable where a model it needs is not there."""
    check_pii(terms, settings)
    from ingest.presidio import PresidioRecogniser  # noqa: PLC0415 - an extra, slow to import

    return PresidioRecogniser(terms, settings.pii)
