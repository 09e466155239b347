"""The benchmark of the hot path: `python -m bench`. docs/how-to/benchmark.md says how to read it.

The programs that make the load (`sink`, `load`, `httpload`, `httpsink`) are processes of their own, on loopback.
"""
