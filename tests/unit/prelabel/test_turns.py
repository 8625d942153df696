import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from serve_apps.prelabel.turns import PRESSED_TURNS, Turns


def test_only_one_caller_holds_the_model() -> None:
    # Given many callers that would notice another one inside
    turns, holders, overlaps = Turns(), [0], []

    def work(index: int) -> None:
        with turns.take(urgent=index % 3 == 0):
            holders[0] += 1
            overlaps.append(holders[0])
            holders[0] -= 1

    # When they all run
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    # Then no two were ever inside together
    assert overlaps == [1] * 200


def test_an_urgent_caller_goes_before_those_who_waited_longer() -> None:
    # Given a caller on the model, then a bulk caller and an urgent one who wait
    turns, order = Turns(), list[str]()
    taken, release = Event(), Event()

    def hold() -> None:
        with turns.take(urgent=False):
            taken.set()
            release.wait(10)

    def join(name: str, *, urgent: bool) -> None:
        with turns.take(urgent=urgent):
            order.append(name)

    with ThreadPoolExecutor(3) as threads:
        threads.submit(hold)
        taken.wait(10)
        threads.submit(join, "bulk", urgent=False)
        threads.submit(join, "urgent", urgent=True)
        while not turns._urgent_waiting:
            time.sleep(0.001)
        # When the model comes free
        release.set()
    # Then the urgent one had it first
    assert order == ["urgent", "bulk"]


def test_others_keep_their_turns_short_for_a_while_after_an_urgent_one() -> None:
    turns = Turns()

    def pressed_after(*, urgent: bool) -> bool:
        with turns.take(urgent=urgent):
            return turns.pressed

    seen = [pressed_after(urgent=False), pressed_after(urgent=True)]
    seen += [pressed_after(urgent=False) for _ in range(PRESSED_TURNS)]

    assert seen == [False] + [True] * PRESSED_TURNS + [False]


def test_others_come_through_however_many_are_urgent() -> None:
    # Given urgent callers who never leave the model alone
    turns, served = Turns(), Event()

    def urge() -> None:
        while not served.is_set():
            with turns.take(urgent=True):
                pass

    def wait_for_a_turn() -> None:
        with turns.take(urgent=False):
            served.set()

    # When another one wants a turn
    with ThreadPoolExecutor(5) as threads:
        for _ in range(4):
            threads.submit(urge)
        threads.submit(wait_for_a_turn)

        # Then it is given one
        assert served.wait(10)


def test_a_turn_that_raises_is_given_back() -> None:
    turns = Turns()
    for _ in range(2):
        try:
            with turns.take(urgent=False):
                raise ValueError
        except ValueError:
            continue
    with turns.take(urgent=True):
        pass
