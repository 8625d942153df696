"""Which recogniser masks a job's contents, and whether there is one."""

from importlib.util import find_spec

from cluster.domain.pii import NAMED, PiiTerms
from cluster.errors import InvalidField, ModelUnusable
from cluster.settings import PiiSettings, Settings
from ingest.masking import Recogniser


def check_pii(terms: PiiTerms, settings: Settings) -> None:
    """Raise InvalidField where this deployment cannot keep what some terms promise."""
    if not _is_installed():
        raise InvalidField("pii", "nothing is masked here: the extra `pii` is not installed")
    named = sorted(NAMED & set(terms.mask))
    if named and not settings.pii.spacy_model:
        raise InvalidField("pii.mask", f"no model here recognises {' and '.join(named)}")
    if terms.unmask_for_cleared and not settings.encryption_keys:
        raise InvalidField(
            "pii.unmask_for_cleared", "there are no encryption keys here to seal originals with"
        )


def why_unusable(settings: PiiSettings) -> str | None:
    """Return why the model that is set cannot recognise names, None where it can or none is set.

    It is loaded to find out, which takes seconds.
    """
    if not settings.spacy_model:
        return None
    if not _is_installed():
        return "has MUSTER_PII__SPACY_MODEL set, and the extra `pii` is not installed"
    from ingest.presidio import load_model  # noqa: PLC0415 - an extra, slow to import

    try:
        load_model(settings.spacy_model)
    except ModelUnusable as error:
        return f"cannot load the model of MUSTER_PII__SPACY_MODEL: {error.reason}"
    return None


def open_recogniser(terms: PiiTerms, settings: Settings) -> Recogniser:
    """Return the recogniser of some terms; raises InvalidField as `check_pii` does, and
    ModelUnusable where a model it needs is not there."""
    check_pii(terms, settings)
    from ingest.presidio import PresidioRecogniser  # noqa: PLC0415 - an extra, slow to import

    return PresidioRecogniser(terms, settings.pii)


def _is_installed() -> bool:
    return find_spec("presidio_analyzer") is not None
