"""Checkpoints to go on from: numbers and JSON alone, which any number of processes can read.

    checkpoints/step-000100/rank-0.safetensors   the rows that process 0 held of every tensor
    checkpoints/step-000100/state.json           which run and step, notes, shapes, and hashes

The metadata of a safetensors file says, for each tensor, which row is its first. The last field of
state.json is the SHA-256 of the JSON without it; the others' are in `files`. So damage is seen, and
a folder from a stranger executes nothing: at worst its numbers are wrong.

A checkpoint is made aside, in step-000100.part, and renamed when all of it is on the disk; the
older one goes after that. Without room for a whole one nothing is written. Nothing else is ever
removed: only files of these names, in folders of this name.
"""

import hashlib
import json
import os
import re
from contextlib import ExitStack, suppress

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from plumbing.files import (
    InputError,
    kind_of,
    make_folder,
    parse_json,
    read_bytes,
    reason,
    refuse_full,
    replacing,
    sha256_of,
    sync,
    write_text,
)
from plumbing.parallel import all_max, all_sum, barrier, held_rows, is_spread, processes

STATE = "state.json"
RANK = re.compile(r"rank-\d+\.safetensors")
OWN = re.compile(rf"({re.escape(STATE)}|{RANK.pattern})(\.part)?")
FOLDER = re.compile(r"step-(\d{6,})(\.part)?")


class Damaged(InputError):
    """A checkpoint that is not whole, or not what its hashes say."""


# ------------------------------------------------------------------------------------------ folders

def folder_of(checkpoints, step):
    """The folder of a checkpoint. checkpoints: the folder of all."""
    return checkpoints / f"step-{step:06d}"


def step_of(folder):
    """The step of a checkpoint's folder."""
    return int(FOLDER.fullmatch(folder.name)[1])


def _folders(checkpoints):
    """The folders named as checkpoints are, the newest first; of one step, a whole one last."""
    names = [name for name in os.listdir(checkpoints) if FOLDER.fullmatch(name)]
    folders = [checkpoints / name for name in names]
    folders = [folder for folder in folders
               if folder.stem == folder_of(checkpoints, step_of(folder)).name]
    return sorted(folders, key=lambda folder: (step_of(folder), folder.suffix), reverse=True)


def survey(checkpoints, run):
    """(folders of whole checkpoints of the run, of damaged ones), both with the oldest first.

    run: the run's id. Prints what is passed over. The newest of the whole ones was compared with
    its hashes, those before it were when they were made. Raises InputError for what stands in the
    place of a newer one and is none: it would be in the way, and it may be the user's.
    """
    whole = []
    damaged = []
    for folder in _folders(checkpoints):
        is_half = folder.suffix == ".part"
        try:
            if is_half:
                raise Damaged(f"{folder}: damaged or half written")
            value = read_state(folder, step_of(folder))
            if not whole:
                check_files(folder, value)
        except Damaged as error:
            print(f"{error}; ignored")
            if is_own(folder):
                damaged.insert(0, folder)
            elif not whole and not is_half:
                raise InputError(f"{folder}: in the place of a checkpoint, but none; "
                                 "move it away") from None
        else:
            if value["run"] == run:
                whole.insert(0, folder)
            elif not whole:
                raise InputError(f"{folder}: a checkpoint of another run; move it away")
    return whole, damaged


def is_own(folder):
    """Whether a folder holds nothing but what a checkpoint does; a link is the user's."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(_is_own_file(folder / name) for name in os.listdir(folder))


def _is_own_file(path):
    """Whether it has the name of a checkpoint's file and is no folder."""
    return bool(OWN.fullmatch(path.name)) and (path.is_symlink() or not path.is_dir())


def remove(folder):
    """Remove a checkpoint, or what there is of it; whatever else is in the folder stays."""
    if folder.is_symlink() or not folder.is_dir():
        return
    # state.json first: without it, what a kill leaves is seen to be no checkpoint
    for name in sorted(os.listdir(folder), reverse=True):
        if _is_own_file(folder / name):
            (folder / name).unlink()
    with suppress(OSError):  # not empty
        folder.rmdir()


# ------------------------------------------------------------------------------------------- saving

def tensors_of(state):
    """{name: tensor} of all trained parameters and their optimizer states. No tensor is a copy.

    state: {name: (transformer, optimizer)}. What is frozen is that of the files the run reads,
    whose hashes are in flags.json.
    """
    found = {}
    for part, (transformer, optimizer) in state.items():
        trained = [(name, parameter) for name, parameter in transformer.named_parameters()
                   if parameter.requires_grad]
        for name, parameter in trained:
            found[f"{part}.{name}"] = parameter.detach()
            for key, value in optimizer.state[parameter].items():
                found[f"{part}.{name}.{key}"] = value
    return found


def size_of(state):
    """Bytes of a checkpoint's tensors, of all processes together. state: as in `tensors_of`."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_of(state).values())


def save(folder, step, state, notes, run):
    """Write a checkpoint; every process calls it and writes what it holds. Raises InputError.

    When it returns, the checkpoint is on the disk.
    """
    rank, _ = processes()
    aside = folder.with_name(f"{folder.name}.part")
    failure = None
    if rank == 0:
        remove(aside)
        try:
            refuse_full(folder.parent, size_of(state), f"the checkpoint of step {step}")
            make_folder(aside)
        except InputError as error:
            failure = error
    _raise_together(failure, f"{folder}: the first process could not write")
    hashes = _write_rows(aside, state)
    if rank == 0:
        value = {
            "run": run,
            "step": step,
            "notes": notes,
            "shapes": _shapes(tensors_of(state)),
            "files": hashes,
        }
        write_text(aside / STATE, sealed(value))
        remove(folder)  # a damaged one, or this run would not have come by here again
        try:
            os.replace(aside, folder)
            sync(folder.parent)
        except OSError as error:
            raise InputError(f"{folder}: {reason(error)}") from None
    barrier()


def _write_rows(aside, state):
    """Write the rows that this process holds -> {file: SHA-256} of the files of all processes.

    Raises InputError in all processes if one of them cannot write.
    """
    rank, ranks = processes()
    rows = {}
    first = {}
    for name, tensor in tensors_of(state).items():
        mine, where = held_rows(tensor)
        if len(mine) and (is_spread(tensor) or rank == 0):
            rows[name] = mine.cpu().contiguous()
            first[name] = str(where.start)
    files = [f"rank-{i}.safetensors" for i in range(ranks)]
    digests = torch.zeros(ranks, 32, dtype=torch.float64)  # bytes, each process its own row
    failure = None
    try:
        with replacing(aside / files[rank]) as file:
            save_file(rows, file, metadata=first)
        digests[rank] = torch.tensor(list(sha256_of(aside / files[rank])))
    except InputError as error:
        failure = error
    _raise_together(failure, f"{aside}: another process could not write its part")
    digests = all_sum(digests).int().tolist()
    return {file: bytes(digest).hex() for file, digest in zip(files, digests, strict=True)}


def _raise_together(failure, elsewhere):
    """Raises in all processes if one of them has a failure; the others say `elsewhere`."""
    if all_max(int(failure is not None)):
        raise failure or InputError(elsewhere)


def sealed(value):
    """The text of state.json: the JSON of an object, with its SHA-256 as the last field."""
    digest = hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return json.dumps({**value, "sha256": digest}, indent=1) + "\n"


# ------------------------------------------------------------------------------------------ loading

KINDS = {"run": str, "step": int, "notes": dict, "shapes": dict, "files": dict}


def read_state(folder, step):
    """What state.json says, without its hash. Raises Damaged unless it is whole and of this step.

    Raises InputError where it cannot be read: what is only out of reach must not pass for damaged,
    or the run would begin again without a word.
    """
    path = folder / STATE
    if kind_of(path) != "file":
        raise Damaged(f"{folder}: damaged or half written")
    data = read_bytes(path)
    try:
        value = parse_json(data.decode(), path)
    except (UnicodeDecodeError, InputError):
        value = None
    if isinstance(value, dict):
        value.pop("sha256", None)
        if sealed(value).encode() == data and _types(value) == KINDS and value["step"] == step:
            return value
    raise Damaged(f"{path}: damaged, or not of this step and version")


def check_files(folder, value):
    """Raises Damaged unless the files are those that `value`, of state.json, names."""
    for name, digest in value["files"].items():
        file = folder / name
        if not RANK.fullmatch(name) or kind_of(file) != "file" or sha256_of(file).hex() != digest:
            raise Damaged(f"{file}: damaged")


def load(folder, step, state, notes):
    """Fill the state and the notes from a checkpoint; each process reads the rows that it holds.

    Raises InputError, also where a hash is right and the contents are not.
    """
    value = read_state(folder, step)
    tensors = tensors_of(state)
    if value["shapes"] != _shapes(tensors) or _types(value["notes"]) != _types(notes):
        raise InputError(f"{folder}: is not of this model and script")
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(safe_open(folder / name, framework="pt"))
                     for name in value["files"]]
            pieces = _pieces(files)
            for name, tensor in tensors.items():
                _read_rows(pieces.get(name, []), name, tensor)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{folder}: {reason(error)}") from None
    notes.update(value["notes"])


def _shapes(tensors):
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def _types(fields):
    return {name: type(field) for name, field in fields.items()}


def _pieces(files):
    """{tensor: [(first row, row after the last, its slice of an open file)]}, the rows in order."""
    pieces = {}
    for file in files:
        first_rows = file.metadata() or {}
        for name in file.keys():  # noqa: SIM118 (it is no dict)
            rows = file.get_slice(name)
            first = int(first_rows[name]) if name in first_rows else 0
            shape = rows.get_shape()
            pieces.setdefault(name, []).append((first, first + (shape or [0])[0], rows))
    return {name: sorted(found, key=lambda piece: piece[:2]) for name, found in pieces.items()}


def _read_rows(pieces, name, tensor):
    """Fill the rows of a tensor that this process holds. Raises ValueError if some are missing."""
    mine, where = held_rows(tensor)
    reached = where.start  # the rows before are filled
    for first, stop, rows in pieces:
        last = min(stop, where.stop)
        if first <= reached < last:
            found = rows[reached - first:last - first]
            into = mine[reached - where.start:last - where.start]
            if found.dtype != into.dtype or found.shape != into.shape:
                raise ValueError(f"{name} is of another shape or type")
            into.copy_(found)
            reached = last
    if reached < where.stop:
        raise ValueError(f"{name}: rows are missing")
