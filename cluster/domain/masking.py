"""Masks parts of a text by placeholders, and puts back what stood there."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cluster.domain.pii import PiiKind

Originals = Mapping[str, str]
"""What each placeholder of a text stands for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of a text, `text[start:end]`, not empty, and how sure its recogniser is of it."""

    kind: PiiKind
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Masked:
    """A text in which placeholders stand for what was found."""

    text: str
    originals: Originals


def masked(text: str, findings: Sequence[Finding]) -> Masked:
    """Return a text in which nothing that was found is left.

    A placeholder reads `<KIND_n>`; equal originals share one, and none is a text that was there
    already. Where findings overlap, all they cover is masked as one, under the surest kind. What
    was found once is masked wherever else it stands, too; letters alone only as whole words, as
    `Ann` is no part of `Annual`. `unmasked` gives the text back.
    """
    spans = _merged(findings)
    while repeats := list(_repeats(text, findings, spans)):
        spans = _merged([*spans, *repeats])
    placeholders: dict[str, str] = {}
    taken = Counter[str]()
    pieces, end = list[str](), 0
    for span in spans:
        original = text[span.start : span.end]
        if original not in placeholders:
            placeholders[original] = _placeholder(text, span.kind, taken)
        pieces += (text[end : span.start], placeholders[original])
        end = span.end
    originals = {placeholder: original for original, placeholder in placeholders.items()}
    return Masked("".join([*pieces, text[end:]]), originals)


def unmasked(text: str, originals: Originals) -> str:
    """Return a masked text as it was.

    A placeholder has one `<`, at its begin, and one `>`, at its end: so none is formed by another
    and what stands beside it.
    """
    if not originals:
        return text
    known = re.compile("|".join(map(re.escape, originals)))
    return known.sub(lambda match: originals[match[0]], text)


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings in order, those that overlap as one."""
    spans: list[Finding] = []
    for finding in sorted(findings, key=lambda each: each.start):
        if spans and finding.start < spans[-1].end:
            last = spans[-1]
            surest = max(last, finding, key=lambda each: (each.score, each.end - each.start))
            spans[-1] = replace(surest, start=last.start, end=max(last.end, finding.end))
        else:
            spans.append(finding)
    return spans


def _repeats(text: str, findings: Sequence[Finding], spans: Sequence[Finding]) -> Iterator[Finding]:
    """Yield where between some spans of a text stands what was found in it."""
    first = {text[each.start : each.end]: each for each in reversed(findings)}
    gaps = list(_gaps(text, spans))
    rest = "\0".join(text[start:end] for start, end in gaps)
    left = sorted((part for part in first if part in rest), key=len, reverse=True)
    if not left:
        return
    pattern = re.compile("|".join(map(_pattern, left)))
    for start, end in gaps:
        for match in pattern.finditer(text[start:end]):
            yield replace(first[match[0]], start=start + match.start(), end=start + match.end())


def _gaps(text: str, spans: Sequence[Finding]) -> Iterator[tuple[int, int]]:
    """Yield the parts of a text between spans: where each begins, and where it ends."""
    begin = 0
    for span in spans:
        yield begin, span.start
        begin = span.end
    yield begin, len(text)


def _pattern(part: str) -> str:
    letters_alone = all(each.isalpha() or each.isspace() for each in part)
    return rf"(?<!\w){re.escape(part)}(?!\w)" if letters_alone else re.escape(part)


def _placeholder(text: str, kind: PiiKind, taken: Counter[str]) -> str:
    while True:
        taken[kind] += 1
        placeholder = f"<{kind}_{taken[kind]}>"
        if placeholder not in text:
            return placeholder
