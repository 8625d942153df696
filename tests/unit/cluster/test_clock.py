"""The clocks of the shells."""

import time

import pytest

from cluster.clock import SteadyClock, SystemClock


@pytest.mark.parametrize("jump_s", [3_600.0, -3_600.0])
def test_a_steady_clock_does_not_jump_with_the_machines(
    jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a steady clock that agrees with the machine's
    steady, machine = SteadyClock(), SystemClock()
    assert steady.now() == pytest.approx(machine.now(), abs=1.0)
    before = steady.now()
    # When the machine's is set to another hour
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    # Then the steady one goes on as time does
    assert 0.0 <= steady.now() - before < 1.0
    assert machine.now() - steady.now() == pytest.approx(jump_s, abs=1.0)
