"""The benchmarks: `python -m bench`. docs/how-to/benchmark.md says how to run and read them.

`speed` fills the speed table from the `cases` (`rows` are its targets, `table` prints it); `history` fills a store with
the messages of a year, `lookups` asks it; `portability` imports a file of ten million rows; `soak` loads for half an
hour; `kannel` does the same work with Kannel. What makes the load is in `generator`.
"""
