"""Predictions: from a file or from a model; evaluation/call_formats.py reads the calls in them.

A file holds JSON lines `{"index": i, "prediction": "text"}` in any order, with the item's `id` in
place of its index or beside it; or it is one that BFCL's or RoTBench's own scripts write, with the
text under `result` or `conversations`. Records with an id go by it. Those with neither must be
RoTBench's, in the order of the items. Or it is the output of a batch (evaluation/openai_format.py).
"""

import functools
import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import model
from evaluation.openai_format import Reply, is_batch, read_batch
from llama import warn_of_length
from plumbing.answers import answer_all, make_batches
from plumbing.files import InputError, contents, kind_of, read_records, sha256_of
from plumbing.optimizer import NotFinite
from plumbing.parallel import leave, own_device, processes
from tokenizer import Tokenizer

# -------------------------------------------------------------------------------------- from a file

def read_replies(path, bench, tasks):
    """The Reply to each task in a file of predictions, or in a batch's output. Raises InputError.

    bench: the benchmark's name, which the requests of a batch bear.
    """
    records = read_records(path)
    if is_batch(records):
        return read_batch(path, records, bench, tasks)
    names = [{task.id, task.own_id} - {""} for task in tasks]
    return [Reply(text) for text in read_predictions(path, len(tasks), names)]


def read_predictions(path, total, names=()):
    """The texts of a file of predictions for `total` items, in the order of the items.

    names: for each item the ids that a record may call it by. Raises InputError that says which
    item has no prediction, or two, that there are too many, or which id or index is no item's.
    """
    records = [Record.read(record, where) for record, where in read_records(path)]
    places = _places_by_id(records, names)
    is_placed = [record.index is not None or bool(names and record.id) for record in records]
    found = {}
    for i, record in enumerate(records):
        place = places.get(i, record.index)
        if not any(is_placed) and record.is_rotbench:
            place = i
        if place is None:
            raise InputError(f"{record.where}: index is missing or not an integer")
        if not 0 <= place < total:
            raise InputError(f"{record.where}: index {place}, but the items are 0 to {total - 1}")
        if place in found:
            raise InputError(f"{record.where}: a second prediction for item {place}")
        found[place] = record.text
    missing = [index for index in range(total) if index not in found]
    if missing:
        some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise InputError(f"{path}: {len(found)} predictions for {total} items; none for {some}")
    return [found[index] for index in range(total)]


class Record(NamedTuple):
    """A record of a file of predictions."""
    where: str
    index: int | None   # the item's place, where the record says it
    id: str             # the item's id, where the record says it, else ""
    text: str
    is_rotbench: bool   # its own scripts write neither: the record's place is the item's

    @classmethod
    def read(cls, record, where):
        """A JSON value -> Record. Raises InputError that starts with `where`."""
        if not isinstance(record, dict):
            raise InputError(f"{where}: must be a JSON object")
        text = record.get("prediction")
        is_rotbench = text is None and bool({"conversations", "result"} & record.keys())
        if is_rotbench:
            text = _rotbench_text(record)
        if isinstance(text, list) and text and all(isinstance(part, dict) for part in text):
            text = json.dumps(text, ensure_ascii=False)  # calls, as BFCL keeps those of an API
        index = record.get("index")
        id = record.get("id")
        if isinstance(index, bool) or not isinstance(index, (int, type(None))):
            raise InputError(f"{where}: index is missing or not an integer")
        if isinstance(id, bool) or not isinstance(id, (str, int, type(None))):
            raise InputError(f"{where}: id is no text")
        if not isinstance(text, str):
            raise InputError(f"{where}: prediction is missing or not text")
        return cls(where, index, "" if id is None else str(id), text, is_rotbench)


def _places_by_id(records, names):
    """{place of a record: place of its item}, of the records whose id tells it.

    Items may share an id, as RoTBench's do: then all records must stand in the order of the items.
    Raises InputError for an id that is no item's, that several bear, or that an index contradicts.
    """
    items = defaultdict(list)  # id -> places of the items that bear it
    for place, ids in enumerate(names):
        for id in set(ids):
            items[id].append(place)
    with_id = [i for i, record in enumerate(records) if record.id]
    in_order = len(records) == len(names) == len(with_id) and all(
        record.id in ids for record, ids in zip(records, names, strict=True))
    places = {}
    for i in with_id if names else ():
        record = records[i]
        bearers = items.get(record.id, ())
        if not bearers:
            raise InputError(f"{record.where}: the id {record.id!r:.60} is of no item")
        if record.index is not None:
            if record.index not in bearers:
                raise InputError(f"{record.where}: index {record.index}, but the id "
                                 f"{record.id!r:.60} is of item {bearers[0]}")
        elif in_order:
            places[i] = i
        elif len(bearers) == 1:
            places[i] = bearers[0]
        else:
            raise InputError(f"{record.where}: the id {record.id!r:.60} is of several items, "
                             f"{bearers[0]} and {bearers[1]}, and the records are not in their "
                             "order; give each an index")
    return places


def _rotbench_text(record):
    messages = record.get("conversations")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return last.get("value") if isinstance(last, dict) else record.get("result")


# ------------------------------------------------------------------------------------- from a model

def answer_tasks(flags, folder, tasks, plain=False):
    """The Reply with which the model in `folder` answers each task.

    plain: it reads the content of the task's last turn as it stands.
    """
    tokenizer = Tokenizer(flags.tokenizer or folder, flags.enums)
    if plain:
        texts = [task.turns[-1].content for task in tasks]
        prompts = [[tokenizer.bos_id, *tokenizer.encode(text)] for text in texts]
    else:
        prompts = [tokenizer.prompt(task.tools, task.turns) for task in tasks]
    rank, _ = processes()
    if rank == 0:
        config = model.read_config(Path(folder, "config.json"))
        warn_of_length([len(prompt) for prompt in prompts], config, "prompts", folder)

    def respond(transformer, batch):
        rows = [prompts[i] for i in batch]
        answers = model.generate(transformer, rows, flags.max_new_tokens, tokenizer.eos_id)
        before = rows if plain else [[]] * len(rows)
        return [(decode_after(tokenizer, start, answer.ids), answer.ended)
                for start, answer in zip(before, answers, strict=True)]

    replies = share_prompts(flags, folder, tokenizer, prompts, respond)
    return [Reply(*reply) for reply in replies]


def decode_after(tokenizer, prompt, ids):
    """The text of ids that go on from those of a prompt.

    By themselves they lose the space that they begin with, as indented code does; of a call, after
    a prompt of no ids, that space is no part.
    """
    return tokenizer.decode([*prompt, *ids])[len(tokenizer.decode(prompt)):]


def share_prompts(flags, folder, tokenizer, prompts, respond):
    """What the model in `folder` makes of each prompt, in their order; torchrun's ranks share them.

    respond: function of (transformer, list of places in `prompts`) -> a JSON value for each. With
    flags.out the values are kept there as they come, and those that are there are not asked for
    again.
    """
    load_once = functools.cache(functools.partial(load_model, flags, folder, tokenizer))

    def respond_once_loaded(batch):
        try:
            return respond(load_once(), batch)
        except NotFinite as error:
            raise InputError(f"{folder}: {error}, so that no answer is one") from None

    batches = make_batches(prompts, flags.batch_size, flags.batch_tokens, flags.max_new_tokens)
    values = answer_all(
        respond_once_loaded, batches, flags.out, identity(flags, folder, prompts), _is_answer,
        f"{flags.bench}, {folder}", prepare=load_once)
    leave()
    return values


def load_model(flags, folder, tokenizer):
    """The model in `folder`, as the flags want it.

    Raises InputError if the tokenizer is not its own.
    """
    transformer = model.load(folder, model.DTYPES[flags.dtype], own_device(flags.device))
    tokenizer.must_fit(transformer.config, flags.max_new_tokens)
    return transformer


# -------------------------------------------------------------------------- what the answers are

def identity(flags, folder, prompts):
    """What the answers depend on, so that a run is never mixed with another's."""
    return {**run_identity(flags), "dtype": flags.dtype, "batch_size": flags.batch_size,
            "batch_tokens": flags.batch_tokens, "model": contents(folder)[:16],
            "prompts": hashlib.sha256(repr(prompts).encode()).hexdigest()[:16]}


def run_identity(flags):
    """What answers depend on, whoever makes them: a model of ours or a server."""
    return {"bench": flags.bench, "level": flags.level, "turn": flags.turn, "limit": flags.limit,
            "tool_library": tree_hash(flags.tool_library), "tool_timeout": flags.tool_timeout,
            "tool_env": flags.tool_env, "max_new_tokens": flags.max_new_tokens}


def tree_hash(folder):
    """A hash of the names and contents of all files below a folder, "" for none."""
    if not folder:
        return ""
    digest = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*")):
        if kind_of(file) == "file" and "__pycache__" not in file.parts:
            digest.update(os.fsencode(file.relative_to(folder)) + b"\0")
            digest.update(sha256_of(file))
    return digest.hexdigest()[:16]


def _is_answer(value):
    """Whether it is a reply, [text, ended], or the turns of a dialogue, [[role, text], ...]."""
    if not isinstance(value, list):
        return False
    return _has_types(value, (str, bool)) or (bool(value) and all(map(is_turn, value)))


def is_turn(value):
    """Whether it is a turn of a dialogue as it is kept, [role, text]."""
    return isinstance(value, list) and _has_types(value, (str, str))


def _has_types(values, types):
    return tuple(map(type, values)) == types
