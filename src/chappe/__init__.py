"""Chappe: an open-source A2P messaging platform."""

__version__ = "0.1.0"
