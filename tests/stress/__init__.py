"""Stress: kills, power cuts, hostile input, a fuzzed parser; only test_hostile.py takes seconds."""
