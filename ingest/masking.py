"""Masks the contents of a job's rows by what a recogniser finds in them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from cluster.domain.masking import Finding, Masked, masked
from cluster.domain.pairs import SEPARATOR
from ingest.rows import Code, Problem


class RecogniserFailed(Exception):
    """A recogniser cannot say of a text what is in it; `reason` holds nothing of the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Recogniser(Protocol):
    """Tells what of a text is personal data."""

    def find(self, text: str) -> Sequence[Finding]:
        """Return what is found, in any order; for many threads.

        Raises RecogniserFailed where it can say why it cannot tell. Whatever else it raises over a
        text says the same.
        """
        ...


class ContentMask:
    """Masks texts and pairs of them; a content that was not looked through is none.

    Each text may have `chars_max` characters (a single one with a separator in it twice as many),
    and each content `findings_max` findings; that bounds the time a row takes and its growth.
    `heed` is called before each text is looked through; what it raises ends the work.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        field: str,
        chars_max: int,
        findings_max: int,
        heed: Callable[[], None] = lambda: None,
    ) -> None:
        self._recogniser, self._field, self._heed = recogniser, field, heed
        self._chars_max, self._findings_max = chars_max, findings_max

    def apply(self, content: str) -> Masked | Problem:
        """Return a content masked, or why it cannot be; raises what `heed` raises."""
        found, start = list[Finding](), 0
        for text in content.split(SEPARATOR, 1):  # a single text may hold it any number of times
            if len(text) > self._chars_max:
                return self._problem(
                    f"has {len(text):,} characters; {self._chars_max:,} can be masked"
                )
            self._heed()
            try:
                findings = self._findings(text)
            except RecogniserFailed as failure:
                return self._problem(f"could not be looked through: {failure.reason}")
            found += (
                replace(each, start=start + each.start, end=start + each.end) for each in findings
            )
            start += len(text) + len(SEPARATOR)
        if len(found) > self._findings_max:
            return self._problem(f"has more than {self._findings_max:,} parts to mask")
        return masked(content, found)

    def _findings(self, text: str) -> Sequence[Finding]:
        """Return what is found in a text; raises RecogniserFailed where that is not certain.

        A recogniser is others' code over any text: whatever it raises costs this row, not the job,
        and is told by its type alone, as its words may quote what was to be masked.
        """
        try:
            findings = self._recogniser.find(text)
        except RecogniserFailed:
            raise
        except Exception as error:
            raise RecogniserFailed(type(error).__name__) from error
        if not all(0 <= each.start < each.end <= len(text) for each in findings):
            raise RecogniserFailed("it finds what is not there")
        return findings

    def _problem(self, detail: str) -> Problem:
        return Problem(self._field, Code.PII_UNMASKED, f"{self._field!r} {detail}")
