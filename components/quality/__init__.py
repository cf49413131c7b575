"""Checks of the data: suites, leakage between splits, drift from a reference."""
