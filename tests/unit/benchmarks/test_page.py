"""The page of measurements keeps the latest run of each benchmark."""

from benchmarks.page import HEAD, Run, updated


def run(value: float, commit: str = "abc1234") -> Run:
    figure = {
        "name": "speed | size",
        "value": value,
        "unit": "x",
        "goal": ">= 2",
        "met": value >= 2,
    }
    plain = {"name": "width", "value": 1234567, "unit": "rows", "goal": None, "met": None}
    machine = {
        "cpus": 2,
        "load": 0.5,
        "memory_gib": 23.5,
        "python": "3.11.7",
        "system": "Linux 6-x",
    }
    return Run(
        found={"benchmark": "any", "machine": machine, "figures": [figure, plain]},
        date="2026-11-21",
        commit=commit,
    )


def test_a_run_becomes_a_section() -> None:
    page = updated("", {"truth": run(3.5)})
    assert page.startswith(HEAD)
    assert "\n## truth\n" in page
    assert "| speed \\| size | 3.5 | x | >= 2 | yes |" in page
    assert "| width | 1,234,567 | rows |  |  |" in page
    assert "2026-11-21, commit abc1234" in page


def test_a_missed_goal_is_told() -> None:
    assert "| 1.0 | x | >= 2 | **no** |" in updated("", {"truth": run(1.0)})


def test_a_new_run_takes_the_place_of_the_old_one_and_leaves_others() -> None:
    # Given a page of two benchmarks
    page = updated(updated("", {"truth": run(3.0)}), {"push": run(4.0)})
    # When one is run again
    again = updated(page, {"truth": run(5.0, commit="def5678")})
    # Then its section alone has changed, and sections are in order
    assert again.index("## push") < again.index("## truth")
    assert "def5678" in again
    assert "| 3.0 |" not in again
    assert updated(again, {}) == again
    assert again.count("## truth") == 1
