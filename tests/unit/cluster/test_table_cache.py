"""Tables that are kept."""

import pyarrow as pa

from cluster.table_cache import TableCache

SMALL, LARGE = pa.table({"n": [1, 2, 3, 4]}), pa.table({"n": list(range(8))})


def reads_of(cache: TableCache, *asked: tuple[str, pa.Table]) -> list[str]:
    """Ask for tables in order, and return which were read."""
    read = list[str]()
    for path, table in asked:

        def reading(path: str, table: pa.Table = table) -> pa.Table:
            read.append(path)
            return table

        assert cache.get(path, reading) is table
    return read


def test_the_tables_used_last_are_kept() -> None:
    cache = TableCache(2, 2**20)
    asked = [(path, SMALL) for path in "abacab"]
    assert reads_of(cache, *asked) == ["a", "b", "c", "b"]


def test_no_more_bytes_are_kept_than_allowed() -> None:
    cache = TableCache(9, LARGE.nbytes)
    read = reads_of(cache, ("a", SMALL), ("b", SMALL), ("a", SMALL), ("c", LARGE), ("c", LARGE))
    assert read == ["a", "b", "c"]
    assert reads_of(cache, ("a", SMALL), ("b", SMALL), ("a", SMALL)) == ["a", "b"]


def test_what_is_larger_than_all_that_may_be_kept_is_returned_and_not_kept() -> None:
    cache = TableCache(9, SMALL.nbytes)
    assert reads_of(cache, ("a", LARGE), ("a", LARGE), ("b", SMALL), ("b", SMALL)) == [
        "a",
        "a",
        "b",
    ]


def test_what_is_forgotten_is_read_again() -> None:
    cache = TableCache(9, 2**20)
    assert reads_of(cache, ("a", SMALL), ("a", SMALL)) == ["a"]
    cache.forget("a")
    cache.forget("never kept")
    assert reads_of(cache, ("a", SMALL)) == ["a"]
