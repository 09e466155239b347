"""The sandbox operator: a message centre with simulated phones, to test against.

A process of its own, started by `chappe sandbox` or `python -m chappe.sandbox`; numbers that end in 5550NN, scenario
files and an HTTP API tell it how to behave (docs/reference/sandbox.md).
"""
