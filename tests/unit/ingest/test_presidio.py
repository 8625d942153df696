"""What Presidio finds, and that nothing of it is left in what the ingest stores."""

import hashlib
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import paths
from cluster.domain.ids import Position
from cluster.domain.masking import unmasked
from cluster.domain.pii import PiiKind, PiiTerms
from cluster.errors import InvalidField, MissingColumn, ModelUnusable
from cluster.settings import PiiSettings, Settings
from ingest.masking import Recogniser, RecogniserFailed
from ingest.recognisers import open_recogniser
from ingest.stage import IngestStage
from tests.unit.ingest.support import JOB, SETTINGS, TENANT, desk_of, ingested, job, jsonl, source
from tests.unit.ingest.support import stores_with as stores_of

spacy = pytest.importorskip("spacy", reason="needs the extra pii")
presidio = pytest.importorskip("ingest.presidio", reason="needs the extra pii")

KINDS: tuple[PiiKind, ...] = (
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CRYPTO",
    "US_SSN",
)
TERMS = PiiTerms(mask=KINDS, unmask_for_cleared=True)
SECONDS_MAX = 30.0
"""Of a processor, half of what patterns are given up after; the worst takes some four."""

SEALING = Settings(ingest=SETTINGS.ingest, encryption_keys=("k" * 32,))

DIGITS = st.text("0123456789", min_size=1, max_size=12)
MAILS = st.builds("{}@{}.{}".format, *[st.text("abcdefxyz0", min_size=1, max_size=8)] * 3)
FOUND = st.sampled_from(
    [
        "4111 1111 1111 1111",
        "5555555555554444",
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "192.168.1.17",
        "2001:db8::1",
        "00:1A:2B:3C:4D:5E",
        "+49 30 12345678",
        "212-555-5555",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    ]
)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f"), max_size=12)
PIECES = st.one_of(MAILS, FOUND, DIGITS, WORDS, st.just("<EMAIL_ADDRESS_1>"))
TEXTS = st.lists(PIECES, min_size=1, max_size=6).map(" ".join).filter(lambda text: text.strip())


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return open_recogniser(TERMS, SEALING)


def kinds(recogniser: Recogniser, text: str) -> set[tuple[str, str]]:
    return {(each.kind, text[each.start : each.end]) for each in recogniser.find(text)}


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("EMAIL_ADDRESS", "ann.smith@example.com"),
        ("EMAIL_ADDRESS", "ann@intern.local"),
        ("PHONE_NUMBER", "+49 30 12345678"),
        ("PHONE_NUMBER", "212-555-5555"),
        ("CREDIT_CARD", "4111 1111 1111 1111"),
        ("IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
        ("IP_ADDRESS", "192.168.1.17"),
        ("IP_ADDRESS", "2001:db8::1"),
        ("MAC_ADDRESS", "00:1A:2B:3C:4D:5E"),
        ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("US_SSN", "536-22-1234"),
    ],
)
def test_each_kind_is_found(recogniser: Recogniser, kind: str, part: str) -> None:
    assert (kind, part) in kinds(recogniser, f"Please note {part} and answer soon.")


def test_what_has_the_form_and_not_the_checksum_is_left(recogniser: Recogniser) -> None:
    assert kinds(recogniser, "Where is parcel 4111 1111 1111 1112 of Monday?") == set()


def test_a_job_finds_what_it_names_and_is_sure_of() -> None:
    text = "ann@example.com, 212-555-5555"
    mails = open_recogniser(PiiTerms(mask=("EMAIL_ADDRESS",)), SEALING)
    assert kinds(mails, text) == {("EMAIL_ADDRESS", "ann@example.com")}
    sure = open_recogniser(PiiTerms(mask=KINDS, score_min=0.45), SEALING)
    assert kinds(sure, text) == {("EMAIL_ADDRESS", "ann@example.com")}


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_nothing_that_was_found_is_left_in_a_stored_byte_and_the_vault_gives_it_back(
    recogniser: Recogniser, texts: list[str]
) -> None:
    # Given a source of such texts
    stores = stores_of(jsonl(*({"id": f"i{n}", "text": text} for n, text in enumerate(texts))))
    masked = job(source())
    masked = replace(masked, spec=replace(masked.spec, pii=TERMS))
    # When it is ingested
    IngestStage(stores, SEALING).run(desk_of(stores, masked))
    # Then no chunk has anything of what is found in a text
    contents = {item_id: str(content) for _, item_id, content in ingested(stores).items}
    for number, text in enumerate(texts):
        for each in recogniser.find(text):
            assert text[each.start : each.end] not in contents[f"i{number}"]
    # And with the vault every text is what it was
    for chunk in stores.chunks.chunks(JOB):
        places = [Position(chunk.first_position + row) for row in range(chunk.rows)]
        originals = stores.vault.get(TENANT, chunk, places)
        for place in places:
            restored = unmasked(contents[f"i{place}"], originals.get(place, {}))
            assert restored == texts[place]


def test_other_columns_and_the_footer_tell_nothing_either() -> None:
    # Given a chunk of one item, unpacked
    secret = "ann.smith@example.com"  # noqa: S105
    stores = stores_of(jsonl({"id": "i0", "text": f"write to {secret}"}))
    masked = job(source())
    masked = replace(masked, spec=replace(masked.spec, pii=TERMS))
    IngestStage(stores, SEALING).run(desk_of(stores, masked))
    with stores.objects.open_input(paths.items(JOB, 0)) as stream:
        table = pq.read_table(stream)
    # Then its columns are those of any chunk, and the digest is of what is left
    assert table.column_names == ["position", "line", "item_id", "content", "content_hash"]
    assert secret not in str(table.to_pydict()) + str(table.schema.metadata)
    left = hashlib.blake2b(b"write to <EMAIL_ADDRESS_1>", digest_size=16).digest()
    assert table["content_hash"].to_pylist() == [left]


def test_a_text_that_stands_where_a_header_should_is_not_told() -> None:
    stores = stores_of(b"1,write to ann@example.com\n2,b\n")
    headless = job(source("csv"))
    headless = replace(headless, spec=replace(headless.spec, pii=TERMS))
    with pytest.raises(MissingColumn) as refused:
        IngestStage(stores, SEALING).run(desk_of(stores, headless))
    assert "ann" not in str(refused.value)


@pytest.mark.parametrize("clock", [0, 1], ids=["of the processor", "on the wall"])
def test_what_took_too_long_is_not_taken_for_an_answer(clock: int) -> None:
    # Given a recogniser during whose work a minute passes, in which patterns are given up
    ticks = ((step * (clock == 0), step * (clock == 1)) for step in count(step=60.0))
    slow = presidio.PresidioRecogniser(TERMS, PiiSettings(), clocks=lambda: next(ticks))
    with pytest.raises(RecogniserFailed, match="too long"):
        slow.find("ann@example.com")


def test_a_text_at_the_limit_is_looked_through_in_seconds(recogniser: Recogniser) -> None:
    size = PiiSettings().text_chars_max
    texts = [
        (piece * size)[:size] for piece in ("1 ", "1.1.", "a@", "4111-", "DE89 3704 0044 ", "f:")
    ]
    # The worst that is known: each of its letters may begin an address
    texts.append(("a!" * size)[: size - 1] + "@")
    for text in texts:
        began = time.process_time()
        recogniser.find(text)
        assert time.process_time() - began < SECONDS_MAX, text[:8]


def test_its_log_lines_tell_nothing(
    recogniser: Recogniser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    recogniser.find("IBAN DE89 3704 0044 0532 0130 00, ann@example.com")
    assert caplog.text == ""


def test_names_are_found_by_a_model_of_the_operators(tmp_path: Path) -> None:
    # Given a spaCy model in a folder that knows one person and one place
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": "PERSON", "pattern": "Ann Smith"}, {"label": "GPE", "pattern": "Berlin"}]
    )
    nlp.to_disk(tmp_path / "names")
    knowing = Settings(pii=PiiSettings(spacy_model=str(tmp_path / "names")))
    # When a job asks for names
    named = open_recogniser(PiiTerms(mask=("PERSON", "LOCATION", "EMAIL_ADDRESS")), knowing)
    # Then they are found beside what has a form
    assert kinds(named, "Ann Smith of Berlin, ann@example.com") == {
        ("PERSON", "Ann Smith"),
        ("LOCATION", "Berlin"),
        ("EMAIL_ADDRESS", "ann@example.com"),
    }


def test_a_model_that_is_not_there_is_not_fetched() -> None:
    missing = Settings(pii=PiiSettings(spacy_model="en_core_web_nowhere"))
    with pytest.raises(ModelUnusable, match="finds no such model"):
        open_recogniser(PiiTerms(mask=("PERSON",)), missing)
    with pytest.raises(InvalidField, match="no model here recognises PERSON"):
        open_recogniser(PiiTerms(mask=("PERSON",)), Settings())


class OddError(Exception):
    """What only some component of a model knows."""


def test_a_text_over_which_a_model_breaks_costs_its_row_alone(tmp_path: Path) -> None:
    # Given a model of the operator's that raises an error of its own over one of three texts
    def breaks(doc: Any) -> Any:
        if "odd" in doc.text:
            raise OddError(doc.text)
        return doc

    spacy.Language.component("breaks_over_odd_texts", func=breaks)
    nlp = spacy.blank("en")
    nlp.add_pipe("breaks_over_odd_texts")
    nlp.to_disk(tmp_path / "names")
    knowing = Settings(ingest=SETTINGS.ingest, pii=PiiSettings(spacy_model=str(tmp_path / "names")))
    texts = ("of ann@example.com", "odd, of ann@example.com", "plain")
    stores = stores_of(jsonl(*({"id": f"i{n}", "text": text} for n, text in enumerate(texts))))
    masked = job(source())
    terms = PiiTerms(mask=("PERSON", "EMAIL_ADDRESS"))
    masked = replace(masked, spec=replace(masked.spec, pii=terms))
    # When they are ingested
    IngestStage(stores, knowing).run(desk_of(stores, masked))
    # Then the two others are items, and the one is refused with nothing said of it
    found = ingested(stores)
    assert found.ids == ["i0", "i2"]
    assert [(each["line"], each["code"], each["detail"]) for each in found.errors] == [
        (2, "pii-unmasked", "'text' could not be looked through: OddError")
    ]
    assert b"ann" not in b"".join(found.objects().values())
