"""Personal data recognised by Presidio (`presidio-analyzer`, of the extra `pii`).

Patterns and checksums need no model, and nothing is fetched. Names of persons and places are
recognised by a spaCy model of the operator's, which is there already or is not used.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngine, NoOpNlpEngine, SpacyNlpEngine
from presidio_analyzer.pattern_recognizer import REGEX_TIMEOUT_SECONDS
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    PhoneRecognizer,
    SpacyRecognizer,
    UsSsnRecognizer,
)

from cluster.domain.masking import Finding
from cluster.domain.pii import NAMED, PiiKind, PiiTerms
from cluster.errors import ModelUnusable
from cluster.settings import PiiSettings
from ingest.masking import RecogniserFailed

_LOGGER = "presidio-analyzer"
_NAMED_BY = "of MUSTER_PII__SPACY_MODEL"
"""Which folder or package that is tells nobody but its operator."""


class AnyMailRecognizer(EmailRecognizer):  # type: ignore[misc]
    """Takes any address: that of a domain nobody has registered is somebody's, too.

    Presidio looks the domain up in a list that it fetches from the network.
    """

    def validate_result(self, pattern_text: str) -> bool | None:
        """Leave the score to the pattern."""
        del pattern_text
        return None


_BY_PATTERN: Mapping[PiiKind, type[EntityRecognizer]] = MappingProxyType(
    {
        "EMAIL_ADDRESS": AnyMailRecognizer,
        "CREDIT_CARD": CreditCardRecognizer,
        "IBAN_CODE": IbanRecognizer,
        "IP_ADDRESS": IpRecognizer,
        "MAC_ADDRESS": MacAddressRecognizer,
        "CRYPTO": CryptoRecognizer,
        "US_SSN": UsSsnRecognizer,
    }
)


Clocks = Callable[[], tuple[float, float]]
"""Seconds by several clocks, each from some moment on."""


def clocks() -> tuple[float, float]:
    """Return the processor time of all threads, by which patterns are given up, and the time."""
    return time.process_time(), time.monotonic()


class PresidioRecogniser:
    """A `Recogniser` of what some terms name; loading it takes seconds."""

    def __init__(
        self,
        terms: PiiTerms,
        settings: PiiSettings,
        clocks: Clocks = clocks,
    ) -> None:
        """Load what is needed; raises ModelUnusable where the spaCy model is not there."""
        # Its log lines tell what was found, which is what must not be told.
        logging.getLogger(_LOGGER).disabled = True
        self._terms, self._language, self._clocks = terms, settings.language, clocks
        recognisers = [
            _BY_PATTERN[kind](supported_language=self._language)
            for kind in terms.mask
            if kind in _BY_PATTERN
        ]
        if "PHONE_NUMBER" in terms.mask:
            regions = settings.phone_regions
            recognisers.append(
                PhoneRecognizer(supported_language=self._language, supported_regions=regions)
            )
        engine: NlpEngine = NoOpNlpEngine([{"lang_code": self._language, "model_name": ""}])
        if NAMED & set(terms.mask):
            engine = _spacy_engine(settings)
            recognisers.append(SpacyRecognizer(supported_language=self._language))
        self._engine = AnalyzerEngine(
            registry=RecognizerRegistry(recognisers, supported_languages=[self._language]),
            nlp_engine=engine,
            supported_languages=[self._language],
        )
        self._lock = Lock()  # a spaCy model is for one thread at a time

    def find(self, text: str) -> Sequence[Finding]:
        """Return what is found, in any order; for many threads. Raises RecogniserFailed, and what
        parsers and models raise of texts they were not made for.

        A pattern that takes longer than Presidio allows it is skipped there without a word. So
        whatever took as long, by either clock, is not taken for an answer.
        """
        with self._lock:
            began = self._clocks()
            results = self._engine.analyze(
                text,
                self._language,
                entities=list(self._terms.mask),
                score_threshold=self._terms.score_min,
            )
            passed = (now - then for now, then in zip(self._clocks(), began, strict=True))
            if max(passed) >= REGEX_TIMEOUT_SECONDS:
                raise RecogniserFailed("it takes too long")
        return [Finding(each.entity_type, each.start, each.end, each.score) for each in results]


def _spacy_engine(settings: PiiSettings) -> NlpEngine:
    """Return an engine whose model is loaded, so that it fetches none."""
    name = settings.spacy_model
    engine = SpacyNlpEngine([{"lang_code": settings.language, "model_name": name}])
    engine.nlp = {settings.language: load_model(name)}
    return engine


def load_model(name: str) -> Any:
    """Return a spaCy model of the operator's; raises ModelUnusable, which names the setting."""
    try:
        return spacy.load(name)
    except OSError as error:
        raise ModelUnusable(_NAMED_BY, "spaCy finds no such model") from error
    except Exception as error:  # a model's own code is run
        raise ModelUnusable(_NAMED_BY, f"spaCy cannot load it ({type(error).__name__})") from error
