"""Answers to many items: processes share them, and they are kept in a folder as they come.

An answer is any JSON value. A batch holds the same items whatever the number of processes, and also
where some of them are answered already: so a resumed run computes what an uninterrupted one does.

    FOLDER/run.json               what the answers depend on
    FOLDER/answers.RANK.jsonl     {"index": i, "prediction": answer}, a line each
"""

import json
import os
from pathlib import Path

from plumbing.files import (
    InputError,
    lock,
    parse_json,
    read_object,
    read_text,
    reason,
    sync,
    write_json,
)
from plumbing.parallel import barrier, processes
from plumbing.progress import progress


def answer_all(respond, batches, out, described, is_answer, title, prepare=None):
    """The answers to all items, in order; all processes have them.

    respond: function of a batch, a list of places -> the answer at each; batches: of all processes.
    out: the folder to keep them in; "": none, for a single process. described: as in `claim`.
    is_answer: whether a value that was read back is an answer. title: of the progress bar. prepare:
    called before the first batch that is not answered yet, and before the bar, which an error would
    follow. Raises InputError.
    """
    rank, ranks = processes()
    if ranks > 1 and not out:
        raise InputError("--out: needed under torchrun; there the ranks leave their answers")
    folder = Path(out)
    if out and rank == 0:
        held = lock(folder)  # noqa: F841 (for as long as this function runs)
        claim(folder, described)
    barrier()
    total = sum(map(len, batches))
    done = resume_answers(folder, rank) if out else {}
    for index, answer in done.items():
        if not (0 <= index < total and is_answer(answer)):
            raise InputError(f"{folder}: answer {index} is none of this program's; "
                             "remove the directory")
    mine = [batch for batch in batches[rank::ranks] if not done.keys() >= set(batch)]
    if mine and prepare:
        prepare()
    for batch in progress(mine, desc=title, unit="batch", disable=rank > 0):
        answers = zip(batch, respond(batch), strict=True)
        new = {i: answer for i, answer in answers if i not in done}
        done |= new
        if out:
            append_answers(folder, rank, new)
    barrier()
    if ranks > 1:
        done = resume_answers(folder, rank)
    return [done[index] for index in range(total)]


def make_batches(prompts, size):
    """Lists of `size` places in `prompts`, the longest prompts first: missing memory shows at once.

    The batches are the same even if some are done, so that a resumed run computes what an
    uninterrupted one does.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    return [order[i:i + size] for i in range(0, len(order), size)]


def claim(folder, described):
    """Make `folder` the place of the answers that `described`, {what: value}, stands for.

    Raises InputError naming the difference if the answers there are others.
    """
    path = folder / "run.json"
    is_there = os.path.lexists(path)  # a broken link is no fresh start
    old = read_object(path) if is_there else described
    for key, value in described.items():
        if old.get(key) != value:
            there = str(old.get(key)) or "none"
            here = str(value) or "none"
            raise InputError(f"{folder}: holds answers for {key} {there}, not {here}; "
                             "name another directory, or remove it")
    write_json(path, described)


def resume_answers(folder, rank):
    """{index: answer} of those in `folder`, of all ranks.

    A line that was cut off by a kill does not count, and is removed from the rank's own file.
    """
    done = {}
    for file in sorted(folder.glob("answers.*.jsonl")):
        *lines, rest = read_text(file).split("\n")
        for i, line in enumerate(lines, 1):
            where = f"{file}: line {i}"
            record = parse_json(line, where)
            if not _is_record(record):
                raise InputError(f"{where}: has no index and prediction")
            index = record["index"]
            if done.setdefault(index, record["prediction"]) != record["prediction"]:
                raise InputError(f"{where}: another answer for index {index}; "
                                 "remove the directory")
        if rest and file.name == f"answers.{rank}.jsonl":
            # The next line would be glued to it.
            os.truncate(file, file.stat().st_size - len(rest.encode()))
    return done


def _is_record(value):
    return isinstance(value, dict) and type(value.get("index")) is int and "prediction" in value


def append_answers(folder, rank, answers):
    """Add {index: JSON value} to the answers of a rank, on the disk. Raises InputError."""
    path = folder / f"answers.{rank}.jsonl"
    try:
        with open(path, "a", encoding="utf-8") as file:
            for index, answer in answers.items():
                file.write(json.dumps({"index": index, "prediction": answer}) + "\n")
        sync(path)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
