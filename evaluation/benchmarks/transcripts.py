"""Finished dialogues, of any model and any tools, in a file that --predictions names."""

from evaluation.benchmarks.entry import Benchmark
from evaluation.dialogue_scores import read_transcripts

BENCHMARK = Benchmark(
    name="transcripts", kind="transcripts", read=read_transcripts,
    flags=("released",),
    needs={"predictions": "name the file of transcripts"},
)
