"""Answers to many items: processes share them, and they are kept in a folder as they come.

An answer is any JSON value. A batch holds the same items whatever the number of processes, and also
where some of them are answered already: so a resumed run computes what an uninterrupted one does.

    FOLDER/run.json               what the answers depend on
    FOLDER/answers.RANK.jsonl     {"index": i, "prediction": answer}, a line each
"""

import json
import os
import queue
import threading
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


class NoAnswer(Exception):
    """There is no answer to a batch for now; its text says to which items, and why."""


def answer_all(respond, batches, out, described, is_answer, title, prepare=None, workers=1):
    """The answers to all items, in order; all processes have them.

    respond: function of a batch, a list of places -> the answer at each; batches: of all processes.
    out: the folder to keep them in; "": none, for a single process. described: as in `claim`.
    is_answer: whether a value is an answer to keep; another one is given back, but asked for again
    by the next run. title: of the progress bar. prepare: called before the first batch that is not
    answered yet, and before the bar, which an error would follow.
    workers: threads that answer batches at once. Where `respond` raises NoAnswer the others go on.
    Raises InputError, in the end also for batches without an answer.
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
    unanswered = []
    results = in_turn(respond, mine) if workers == 1 else in_parallel(respond, mine, workers)
    for batch, answers in progress(results, total=len(mine), desc=title, unit="batch",
                                   disable=rank > 0):
        if isinstance(answers, NoAnswer):
            unanswered.append(str(answers))
            continue
        pairs = zip(batch, answers, strict=True)
        new = {i: answer for i, answer in pairs if i not in done}
        done |= new
        if out:
            # As it will be read back: a tuple is a list there.
            kept = {i: answer for i, answer in new.items()
                    if is_answer(json.loads(json.dumps(answer)))}
            append_answers(folder, rank, kept)
    if unanswered:
        remedy = ("; the same command goes on with these" if out else
                  "; with --out the answers are kept, and the same command goes on")
        raise InputError(f"no answer to {len(unanswered)} of {len(batches)}: "
                         f"{'; '.join(unanswered)}{remedy}")
    barrier()
    if ranks > 1:
        done = resume_answers(folder, rank)
    return [done[index] for index in range(total)]


def in_turn(respond, batches):
    """Yield (batch, its answers), or (batch, the NoAnswer that was raised), one after the other."""
    for batch in batches:
        try:
            answers = respond(batch)
        except NoAnswer as error:
            answers = error
        yield batch, answers


def in_parallel(respond, batches, workers):
    """The same by `workers` threads, in the order in which the answers come.

    Another exception of `respond` is raised here, and ends the threads after their batch. They are
    daemons: an interrupted program waits for none.
    """
    waiting = queue.SimpleQueue()
    finished = queue.SimpleQueue()
    for batch in batches:
        waiting.put(batch)
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            try:
                batch = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                finished.put((batch, respond(batch)))
            except BaseException as error:  # noqa: BLE001 (raised again by the one who reads)
                finished.put((batch, error))

    for _ in range(min(workers, len(batches))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in batches:
            batch, answers = finished.get()
            if isinstance(answers, BaseException) and not isinstance(answers, NoAnswer):
                raise answers
            yield batch, answers
    finally:
        is_over.set()


def make_batches(prompts, size, tokens=0, longest_answer=0):
    """Lists of places in `prompts`, the longest prompts first: missing memory shows at once.

    A batch has at most `size` prompts, and at most `tokens` tokens of prompts, as long as the
    longest, with their answers (0: no limit); one prompt alone may be longer. The batches are the
    same even if some are done, so that a resumed run computes what an uninterrupted one does.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    batches = []
    start = 0
    while start < len(order):
        count = size
        if tokens:
            length = len(prompts[order[start]]) + longest_answer
            count = min(size, max(1, tokens // length))
        batches.append(order[start:start + count])
        start += count
    return batches


def claim(folder, described):
    """Make `folder` the place of the answers that `described`, {what: value}, stands for.

    Raises InputError naming the difference if the answers there are others.
    """
    path = folder / "run.json"
    is_there = os.path.lexists(path)  # a broken link is no fresh start
    old = read_object(path) if is_there else described
    for key in {**described, **old}:
        if old.get(key) != described.get(key):
            there = str(old.get(key, "")) or "none"
            here = str(described.get(key, "")) or "none"
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
