"""The type of an entry in the list of benchmarks: all that the project knows about one of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from evaluation.tasks import MissingFile
from plumbing.files import InputError

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "benchmarks"  # evaluation/download.py puts the files of a benchmark in HOME/NAME
DATA = ROOT / "data"        # where the embedded files are committed

# What evaluate.py does with a benchmark, a function for each kind there:
#   calls        the next call is judged: TS, PI, CF
#   dialogues    the tools answer, and the whole dialogue is judged: DE, CE, VA
#   transcripts  the same of dialogues that are in a file already
#   answers      a text is right or wrong, and no tool is offered: accuracy
#   choices      the same of the likeliest of four letters
FLAGS_OF_KIND = {"calls": ("format", "errors", "esm"), "dialogues": ("show",), "transcripts": (),
                 "answers": (), "choices": ()}


class Source(NamedTuple):
    """Files in a repository on GitHub."""
    repository: str        # OWNER/REPO
    commit: str
    folder: str            # inside the repository
    files: dict[str, str]  # path below `folder`, and below HOME/NAME -> sha256


@dataclass(frozen=True)
class Benchmark:
    """An entry of the list. CONTRIBUTING.md, "Add a benchmark", shows a small one."""
    name: str          # of --bench
    kind: str          # one of FLAGS_OF_KIND
    # Function of the folder of the files, and of `level` and `turn` where the benchmark takes them,
    # -> list of Task. transcripts: function of a file -> list of Transcript.
    read: Callable
    # calls: {way to score: function of an Item -> Score}, "default" first; see evaluation/scores.py
    scorers: dict[str, Callable] = field(default_factory=dict)
    levels: tuple[str, ...] = ()  # of noise in names; --level takes them, and "all"
    default_level: str = ""
    # Flags of evaluate.py that only some benchmarks take, beside --level and those of the kind.
    flags: tuple[str, ...] = ()
    needs: dict[str, str] = field(default_factory=dict)  # flag that must be given -> what to name
    # dialogues: function of (flags, tasks) -> the `execute` of evaluation/dialogue.py
    serve: Callable | None = None
    # answers, choices: function of (flags, tasks, texts) -> a Grade of evaluation/accuracy.py each
    grade: Callable | None = None
    # answers: function of the flags that raises InputError before anything is answered
    check: Callable | None = None
    source: Source | None = None  # what evaluation/download.py fetches
    written_by: str = ""          # the command that writes the files, where none are fetched
    folder: Path | None = None    # where the files stand; None: HOME/NAME

    @property
    def own_flags(self):
        """The flags of evaluate.py that this benchmark takes and not all do."""
        level = ("level",) if self.levels else ()
        return (*level, *self.flags, *FLAGS_OF_KIND[self.kind])

    @property
    def remedy(self):
        """What to do about a missing file, with the command in backticks; "" where nobody knows."""
        if self.source:
            return f"`python -m evaluation.download {self.name}` gets it"
        if self.written_by:
            return f"`{self.written_by}` writes it"
        return ""

    def tasks(self, folder=None, level="clean", turn="first"):
        """The Tasks, in the order of the files.

        folder: that of the files, None for where they are by default; level and turn are left out
        where the benchmark has none. Raises InputError naming the file and the item, and for a
        missing file how to obtain it.
        """
        options = {}
        if self.levels:
            options["level"] = level
        if "turn" in self.flags:
            options["turn"] = turn
        place = Path(folder or self.folder or HOME / self.name)
        try:
            return self.read(place, **options)
        except MissingFile as error:
            hint = f"; {self.remedy}" if self.remedy else ""
            raise InputError(f"{error}{hint}") from None
