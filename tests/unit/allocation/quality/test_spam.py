"""Spammers are found by what their answers tell, not by how often they are wrong."""

import numpy as np

from allocation.quality.spam import SPAM_ANSWERS_MIN, information, spammers

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
