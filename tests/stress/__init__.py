"""Stress: kills, hostile input, a fuzzed parser. The scripts take minutes, test_hostile.py less."""
