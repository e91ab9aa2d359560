"""The benchmarks and what judges them; docs/rooms.md has a line for each file."""
