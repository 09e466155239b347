"""What makes the load: `python -m bench.generator COMMAND`, each command a process of its own, on loopback.

`load` and `httpload` are customers, `sink` is an operator, `httpsink` receives webhooks. They work on octets, without
any codec of Chappe's: frames are composed once and filled in, answers are scanned, so that they cost little beside what
they measure. Every command tells the CPU that it took (`cpu_s`).
"""
