"""Predictions: from a file or from a model; evaluation/call_formats.py reads the calls in them.

A file holds JSON lines `{"index": i, "prediction": "text"}` in any order, or it is one that RoTBench's own
scripts write: records in the order of the items, with the text under `conversations` or `result`.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

import model
from model import warn_of_length
from plumbing.files import InputError, contents, parse_json, read_object, read_text, write_json
from plumbing.parallel import barrier, leave, own_device, processes
from tokenizer import Tokenizer


class Reply(NamedTuple):
    """What a model wrote, without `</s>`, and whether that came before the answer was cut off."""
    text: str
    ended: bool = True


# ------------------------------------------------------------------------------------------------- the file

def read(path, count):
    """The texts of a file of predictions for `count` items, in the order of the items.

    Raises InputError that says which item has no prediction, or two, or that there are too many.
    """
    found = {}
    for index, text, where in _records(path):
        if not 0 <= index < count:
            raise InputError(f"{where}: index {index}, but the items are 0 to {count - 1}")
        if index in found:
            raise InputError(f"{where}: a second prediction for item {index}")
        found[index] = text
    missing = [index for index in range(count) if index not in found]
    if missing:
        some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise InputError(f"{path}: {len(found)} predictions for {count} items; none for {some}")
    return [found[index] for index in range(count)]


def _records(path):
    """(index, text, where) of each record. RoTBench's own have no index: their place is theirs."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        records = [(record, f"{path}: record {i}") for i, record in enumerate(parse_json(text, path))]
    else:
        records = [(parse_json(line, f"{path}: line {i}"), f"{path}: line {i}")
                   for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    for place, (record, where) in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(f"{where}: must be a JSON object")
        index, prediction = record.get("index"), record.get("prediction")
        if prediction is None and {"conversations", "result"} & record.keys():
            index, prediction = record.get("index", place), _rotbench_text(record)
        if not isinstance(index, int) or isinstance(index, bool):
            raise InputError(f"{where}: index is missing or not an integer")
        if not isinstance(prediction, str):
            raise InputError(f"{where}: prediction is missing or not text")
        yield index, prediction, where


def _rotbench_text(record):
    messages = record.get("conversations")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return last.get("value") if isinstance(last, dict) else record.get("result")


# ------------------------------------------------------------------------------------ from a model

def generate(flags, folder, tasks):
    """The Reply with which the model in `folder` answers each task."""
    tokenizer = Tokenizer(folder)
    prompts = [tokenizer.prompt(task.tools, task.turns) for task in tasks]
    if processes()[0] == 0:
        config = model.read_config(Path(folder, "config.json"))
        warn_of_length([len(prompt) for prompt in prompts], config, "prompts", folder)

    def respond(transformer, batch):
        rows = [prompts[i] for i in batch]
        answers = model.generate(transformer, rows, flags.max_new_tokens, tokenizer.eos_id)
        return [(tokenizer.decode(answer.ids), answer.ended) for answer in answers]

    return [Reply(*answer) for answer in share(flags, folder, tokenizer, prompts, respond)]


def share(flags, folder, tokenizer, prompts, respond):
    """What the model in `folder` makes of each prompt, in their order; torchrun's ranks share the batches.

    respond: function of (transformer, list of places in `prompts`) -> a JSON value for each. With flags.out
    the values are kept there as they come, and those that are there are not asked for again.
    """
    rank, ranks = processes()
    if ranks > 1 and not flags.out:
        raise InputError("--out: needed under torchrun; there the ranks leave their answers")
    out = Path(flags.out)
    if flags.out and rank == 0:
        claim(out, identity(flags, folder, prompts))
    barrier()
    done = resume(out, rank) if flags.out else {}
    for index, answer in done.items():
        if not (0 <= index < len(prompts) and _is_answer(answer)):
            raise InputError(f"{out}: answer {index} is none of this program's; remove the directory")
    # The batches are the same whatever is done, so a resumed run computes what an uninterrupted one does. The
    # longest prompts come first: memory that does not suffice shows at once.
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    batches = [order[i:i + flags.batch_size] for i in range(0, len(order), flags.batch_size)][rank::ranks]
    batches = [batch for batch in batches if not done.keys() >= set(batch)]
    transformer = load(flags, folder, tokenizer) if batches else None
    for batch in tqdm(batches, desc=f"{flags.bench}, {folder}", unit="batch", disable=rank > 0):
        answers = respond(transformer, batch)
        new = {i: answer for i, answer in zip(batch, answers, strict=True) if i not in done}
        done |= new
        if flags.out:
            append(out, rank, new)
    barrier()
    if ranks > 1:
        done = resume(out, rank)
        leave()
    return [done[index] for index in range(len(prompts))]


def load(flags, folder, tokenizer):
    """The model in `folder`, as the flags want it. Raises InputError if the tokenizer is not its own."""
    transformer = model.load(folder, model.DTYPES[flags.dtype], own_device(flags.device))
    tokenizer.must_fit(transformer.config, flags.max_new_tokens)
    return transformer


def identity(flags, folder, prompts):
    """What the answers depend on, so that a run is never mixed with another's."""
    return {"bench": flags.bench, "level": flags.level, "turn": flags.turn, "limit": flags.limit,
            "tool_library": flags.tool_library, "dtype": flags.dtype,
            "max_new_tokens": flags.max_new_tokens, "model": contents(folder)[:16],
            "prompts": hashlib.sha256(repr(prompts).encode()).hexdigest()[:16]}


def claim(folder, identity):
    """Make `folder` the place of the answers that `identity`, {what: value}, describes.

    Raises InputError naming the difference if the answers there are others.
    """
    path = folder / "run.json"
    old = read_object(path) if os.path.lexists(path) else identity  # a broken link is no fresh start
    for key in identity:
        if old.get(key) != identity[key]:
            there, here = (str(value.get(key)) or "none" for value in (old, identity))
            raise InputError(f"{folder}: holds answers for {key} {there}, not {here}; "
                             "name another directory, or remove it")
    write_json(path, identity)


def resume(folder, rank):
    """{index: answer} of those in `folder`, of all ranks. A line cut off by a kill does not count."""
    done = {}
    for file in sorted(folder.glob("answers.*.jsonl")):
        *lines, rest = read_text(file).split("\n")
        for i, line in enumerate(lines, 1):
            answer = parse_json(line, f"{file}: line {i}")
            if not isinstance(answer, dict) or not {"index", "prediction"} <= answer.keys() or (
                    type(answer["index"]) is not int):
                raise InputError(f"{file}: line {i}: has no index and prediction")
            done[answer["index"]] = answer["prediction"]
        if rest and file.name == f"answers.{rank}.jsonl":
            os.truncate(file, file.stat().st_size - len(rest.encode()))  # the next line would be glued to it
    return done


def _is_answer(value):
    """Whether it is [text, ended], or the turns of a dialogue: [[role, text], ...]."""
    def holds(value, *types):
        return isinstance(value, list) and tuple(map(type, value)) == types

    return holds(value, str, bool) or isinstance(value, list) and bool(value) and all(
        holds(turn, str, str) for turn in value)


def append(folder, rank, answers):
    """Add {index: JSON value} to the answers of a rank."""
    with open(folder / f"answers.{rank}.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json.dumps({"index": i, "prediction": answer}) + "\n"
                        for i, answer in answers.items())
