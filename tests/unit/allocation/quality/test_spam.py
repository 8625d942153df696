"""Spammers are found by what their answers tell, not by how often they are wrong."""

import numpy as np
import pytest

from allocation.quality.spam import (
    SPAM_ANSWERS_MIN,
    SPAM_SHARE,
    information,
    spam_probability,
    spammers,
)

RIGHT = np.log(np.full((2, 2), 0.1) + np.eye(2) * 0.8)
CONTRARY = RIGHT[:, ::-1]
RANDOM = np.log(np.full((2, 2), 0.5))
CONSTANT = np.log(np.array([[0.999, 0.001], [0.999, 0.001]]))


def test_who_answers_at_random_or_always_the_same_spams() -> None:
    everybody = np.stack([RIGHT, CONTRARY, RANDOM, CONSTANT])
    known = np.full(4, SPAM_ANSWERS_MIN)

    assert spammers(everybody, RIGHT, known).tolist() == [False, False, True, True]
    assert not spammers(everybody, RIGHT, known - 1).any()


def test_an_answer_that_is_surely_right_tells_the_whole_label() -> None:
    sure = np.log(np.eye(4) * (1 - 4e-12) + 1e-12)

    np.testing.assert_allclose(information(sure[None]), [np.log(4)], atol=1e-6)


def test_the_probability_of_spam_follows_what_was_answered() -> None:
    honest = np.array([[18.0, 2.0], [2.0, 18.0]])
    random, constant = np.full((2, 2), 10.0), np.array([[20.0, 0.0], [20.0, 0.0]])
    contrary, silent = honest[:, ::-1], np.zeros((2, 2))

    found = spam_probability(np.stack([honest] * 10 + [random, constant, contrary, silent]))

    assert found[:10].max() < 1e-3
    assert found[10] > 4 * SPAM_SHARE
    assert found[11] > 0.8
    assert found[12] < SPAM_SHARE
    assert found[13] == pytest.approx(SPAM_SHARE)


def test_evidence_of_spam_grows_with_answers() -> None:
    crowd = [np.array([[18.0, 2.0], [2.0, 18.0]])] * 10

    few, many = (spam_probability(np.stack([*crowd, np.full((2, 2), n)]))[-1] for n in (1.0, 10.0))

    assert SPAM_SHARE < few < many
