"""The benchmarks: one list of them, a file each; calls in a model's text; scores; dialogues; tool libraries."""
