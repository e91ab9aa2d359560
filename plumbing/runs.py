"""A run that may be killed at any moment: its folder, its log, its checkpoints, its signals.

    runs/NAME/flags.json      what the run is: its flags, the hashes of the files that it reads, and
                              what its bits depend on
    runs/NAME/metrics.jsonl   an object a step; on a CPU the same bits whether it was killed or not
    runs/NAME/timings.jsonl   an object a step: what depends on the clock
    runs/NAME/checkpoints     what the run goes on from, see plumbing/checkpoints.py
    runs/NAME/lock            held by the process that writes here
    runs/NAME                 at the end the model in HF layout; config.json, last, says: finished

The order of the data and every random number are functions of (seed, step, row). The state of a run
is therefore its parameters, its optimizers, the number of the step, and the few values that the
script keeps in `notes`. A script's loop is

    run = Run(flags, "sft")
    for number in run.steps(count, {"model": (transformer, optimizer)}, notes={}):
        ...                                      # one update
        run.log(number + 1, metrics, timings, "text for the progress bar")
"""

import hashlib
import json
import os
import secrets
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from plumbing import checkpoints
from plumbing.files import (
    InputError,
    contents,
    gigabytes,
    kind_of,
    lock,
    make_folder,
    read_object,
    read_text,
    reason,
    refuse_full,
    sha256_of,
    sync,
    write_json,
    write_text,
)
from plumbing.flags import flag_name
from plumbing.parallel import all_max, leave, processes
from plumbing.progress import progress
from plumbing.stop import StopRequest

REMEDY = "name another --out, or remove it"
PATIENCE = 60.0  # seconds after which a folder on the network shows what another node wrote
ROOT = Path(__file__).resolve().parents[1]


def environment():
    """{what: value} of what the bits of a run depend on besides its flags and files."""
    digest = hashlib.sha256()
    for folder in (ROOT, ROOT / "data", ROOT / "plumbing"):
        for file in sorted(folder.glob("*.py")):
            digest.update(sha256_of(file))
    _, ranks = processes()
    return {
        "processes": ranks,
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "code": digest.hexdigest()[:12],  # of all source files here, in data and in plumbing
    }


# -------------------------------------------------------------------- what the scripts' loops share

def all_batches(items, flags):
    """All batches of all epochs; the order is a function of (seed, epoch) alone."""
    batches = []
    for epoch in range(flags.epochs):
        order = np.random.default_rng((flags.seed, epoch)).permutation(len(items))
        for start in range(0, len(order), flags.batch_size):
            batches.append([items[i] for i in order[start:start + flags.batch_size]])
    return batches


def answer_generator(seed, number, row):
    """The random numbers of one answer: a function of its step (or prompt) and its row there."""
    mixed = np.random.default_rng((seed, number, row)).integers(2**63)
    return torch.Generator().manual_seed(int(mixed))


def warn_once(sign, notes):
    """Print a warning unless the run has given it. notes["warned"]: the warnings so far."""
    if sign not in notes["warned"]:
        notes["warned"].append(sign)
        tqdm.write(f"warning: {sign}")


# ------------------------------------------------------------------------------------------ the run

class Run:
    """runs/NAME. Nothing is written before the first step: wrong input leaves no folder behind."""

    def __init__(self, flags, script):
        """flags: a dataclass of `plumbing.flags.flag` fields with out, save_every and keep.

        Raises InputError if --out holds another run than the one that `flags` describe.
        """
        rank, _ = processes()
        self.path = Path(flags.out)
        self.checkpoints = self.path / "checkpoints"
        self.flags = flags
        self.first = rank == 0  # whether this process writes and prints
        self.environment = environment()
        self.identity = {"script": script, **asdict(flags), **self.environment}
        if self.first:
            self.lock = lock(self.path) if kind_of(self.path / "lock") else None
            self.identity["run"] = secrets.token_hex(8)  # unless the folder has one already
            self.identity["contents"] = self._hashes()
            self._check_folder()

    # ----------------------------------------------------------------------------------- the folder

    def _hashes(self):
        """{field: hash} of the files that the run reads. It takes 10 s for a 7B model."""
        return {field.name: contents(getattr(self.flags, field.name))
                for field in self._fields("files")}

    def _fields(self, on_resume):
        """The fields of the flags with this `on_resume`, see `plumbing.flags.flag`."""
        return [field for field in fields(self.flags) if field.metadata["on_resume"] == on_resume]

    def _check_folder(self):
        """Raises InputError unless the folder is free or holds this very run, unfinished."""
        if kind_of(self.path / "config.json"):
            raise InputError(f"--out {self.path}: holds a finished run already; {REMEDY}")
        if kind_of(self.path / "flags.json"):
            began = self._read_identity()
            self._refuse_another_run(began)
            self.identity["run"] = began["run"]
        elif kind_of(self.path / "metrics.jsonl") or any(self.checkpoints.glob("step-*")):
            raise InputError(f"--out {self.path}: holds a run already; {REMEDY}")

    def _read_identity(self):
        """The identity with which the run in the folder began. Raises InputError."""
        began = read_object(self.path / "flags.json")
        script = began.get("script")
        if script != self.identity["script"]:
            raise InputError(f"--out {self.path}: holds a run of {script}.py; {REMEDY}")
        for key, kind in (("contents", dict), ("run", str)):
            if not isinstance(began.get(key), kind):
                raise InputError(f"{self.path / 'flags.json'}: has no {key}, as those of this "
                                 f"version have; {REMEDY}")
        return began

    def _refuse_another_run(self, began):
        """Raises InputError naming the first flag that would make another run of it."""
        for field in fields(self.flags):
            on_resume = field.metadata["on_resume"]
            value = getattr(self.flags, field.name)
            flag = f"{flag_name(field.name)} {value}"
            if on_resume == "files":
                if began["contents"].get(field.name) != self.identity["contents"][field.name]:
                    raise InputError(f"{flag}: not the contents with which the run in {self.path} "
                                     f"began; {REMEDY}")
            elif on_resume == "run":
                old = began.get(field.name)
                if repr(old) != repr(value):  # by repr, since True == 1
                    raise InputError(f"{flag}: the run in {self.path} has {old}; {REMEDY}")

    def _tell_of_other_bits(self):
        """Print what differs from the run's beginning and may change the rounding."""
        if not kind_of(self.path / "flags.json"):
            return
        began = self._read_identity()
        for name in [*self.environment, *(field.name for field in self._fields("bits"))]:
            old = began.get(name)
            new = self.identity[name]
            if old != new:
                print(f"{self.path}: began with {name} {old}, now {new}; bits may differ")

    # ------------------------------------------------------------------------------------ the steps

    def steps(self, count, state, notes):
        """Yield the number of every step still to do, 0 .. count - 1; save as --save-every says.

        state: {name: (transformer, optimizer)}; notes: a dict of JSON values. Both continue where
        the newest whole checkpoint left them.

        A first Ctrl-C, SIGTERM or SIGHUP ends the program after the step at hand, with everything
        saved and the exit status of that signal, 130, 143 or 129: see plumbing/stop.py. In the last
        step, and while the model is written, it is too late: the run ends as if there were none.
        """
        if self.first:
            self._claim_folder()
        start = self._restore(state, notes)
        if self.first:
            self._refuse_full_disk(state, start, count)
            self._open_folder(start)
        self._refuse_other_folders()
        stop = StopRequest(speaks=self.first)
        self.bar = progress(total=count, initial=start, desc=self.identity["script"], unit="step",
                            disable=not self.first)
        for number in range(start, count):
            yield number
            self.bar.update()
            done = number + 1
            signal = int(all_max(stop.number))  # all processes stop, or none
            if done == count:
                break  # no checkpoint: the script writes the model itself
            if signal or self._is_due(done):
                self._save(done, state, notes)
            if signal:
                self._end(signal, done, count)
        self.bar.close()
        if self.first:
            self._close_folder()

    def _claim_folder(self):
        """Make the folder this process's own, and look at it once more: it may have changed."""
        make_folder(self.checkpoints)
        self.lock = self.lock or lock(self.path)  # for as long as this Run lives
        self._check_folder()
        self._tell_of_other_bits()

    def _open_folder(self, start):
        """Write flags.json and reopen the logs, cut back to step `start`."""
        # Both are read before anything is written: a damaged log leaves the folder as it is.
        metrics = self._kept_lines("metrics.jsonl", start)
        timings = self._kept_lines("timings.jsonl", start)
        write_json(self.path / "flags.json", self.identity)
        self.logs = [self._reopen("metrics.jsonl", metrics),
                     self._reopen("timings.jsonl", timings)]

    def _refuse_full_disk(self, state, start, count):
        """Raises InputError unless the disk has room for all that is still to be written."""
        every = self.flags.save_every
        saves = (count - 1) // every - start // every if every else 0
        checkpoint = checkpoints.size_of(state)
        result = 0
        for transformer, _ in state.values():
            sizes = [p.numel() * p.element_size() for p in transformer.parameters()]
            result = max(result, sum(sizes))
        kept = max(0, min(self.flags.keep - len(self.saved), saves))
        at_once = max(0, min(self.flags.keep + 1 - len(self.saved), saves))
        refuse_full(self.path, max(kept * checkpoint + result, at_once * checkpoint),
                    f"this run (a checkpoint {gigabytes(checkpoint)}, one more than --keep while "
                    f"it is written; the model {gigabytes(result)})")

    def _refuse_other_folders(self):
        """Raises InputError unless all processes see what the first one wrote: nodes share it."""
        _, ranks = processes()
        if ranks == 1:
            return
        mark = int(all_max(self._mark() if self.first else 0))
        end = time.monotonic() + PATIENCE
        while self._mark() != mark and time.monotonic() < end:
            time.sleep(0.2)
        if all_max(int(self._mark() != mark)):
            raise InputError(f"--out {self.path}: a process does not see there what the first one "
                             "wrote; on several nodes it must be a folder that all of them share")

    def _mark(self):
        """A number that stands for the flags.json in the folder; 0 without one."""
        path = self.path / "flags.json"
        if kind_of(path) != "file":
            return 0
        return int(sha256_of(path).hex()[:12], 16)  # fp64 holds it

    def _close_folder(self):
        """All steps are done: put the logs on the disk, and the time by which runs are ordered."""
        self._sync_logs()
        write_json(self.path / "flags.json", {**self.identity, "finished": time.time()})

    def _is_due(self, done):
        """Whether --save-every asks for a checkpoint after `done` steps."""
        return self.flags.save_every > 0 and done % self.flags.save_every == 0

    def evaluates(self, done, count):
        """Whether an evaluation is due after `done` of `count` steps: see --eval-every."""
        every = self.flags.eval_every
        return done == count or (every > 0 and done % every == 0)

    def _end(self, signal, done, count):
        """End the program because of a signal, after `done` of `count` steps."""
        self.bar.close()
        print(f"stopped after step {done} of {count}; the same command goes on from there")
        leave()
        sys.exit(128 + signal)  # not 0: what follows in a script must not begin

    # ------------------------------------------------------------------------------------- the logs

    def log(self, step, metrics, timings, shown=""):
        """Append a line to metrics.jsonl and one to timings.jsonl.

        step: how many steps are done; 0 for what was measured before the first one.
        metrics, timings: {name: JSON value}; shown: the text beside the progress bar.
        """
        if not self.first:
            return
        for log, values in zip(self.logs, (metrics, timings), strict=True):
            try:
                log.write(json.dumps({"step": step, **values}) + "\n")
            except OSError as error:
                raise InputError(f"{log.name}: {reason(error)}") from None
        self.bar.set_postfix_str(shown, refresh=False)

    def _kept_lines(self, name, start):
        """The lines of a log up to step `start`, without one that a kill cut short.

        Raises InputError if these are not the lines of steps 1 .. start, but for lines of step 0.
        """
        if start == 0:
            return []
        path = self.path / name
        kept = []
        steps = []
        lines = read_text(path).split("\n")[:-1]  # after the last newline: nothing, or a cut line
        for i, line in enumerate(lines, 1):
            try:
                step = json.loads(line)["step"]
                keep = step <= start  # the steps after it are done again
            except (ValueError, TypeError, KeyError, RecursionError):
                raise InputError(f"{path}: line {i}: not an object with a step") from None
            if keep:
                kept.append(line)
                steps.append(step)
        if [step for step in steps if step != 0] != list(range(1, start + 1)):
            raise InputError(f"{path}: does not hold the {start} steps that are done, "
                             "each once, in order")
        return kept

    def _reopen(self, name, lines):
        """A log that holds these lines, to append to, line by line: a kill can cut one short."""
        path = self.path / name
        write_text(path, "".join(f"{line}\n" for line in lines))
        return open(path, "a", buffering=1)

    def _sync_logs(self):
        """Wait until the logs are on the disk: no checkpoint may know of more steps than they."""
        for log in self.logs:
            try:
                sync(log.name)
            except OSError as error:
                raise InputError(f"{log.name}: {reason(error)}") from None

    # ------------------------------------------------------------------------------ the checkpoints

    def _restore(self, state, notes):
        """Read the newest whole checkpoint into `state` and `notes`. Returns its step, or 0."""
        step = 0
        if self.first:
            # Folders of whole checkpoints, the oldest first; and of what is left of others.
            self.saved, self.damaged = checkpoints.survey(self.checkpoints, self.identity["run"])
            for folder in self.damaged:
                if folder.suffix == ".part":
                    checkpoints.remove(folder)
            if self.saved:
                step = checkpoints.step_of(self.saved[-1])
        step = int(all_max(step))
        if step:
            folder = checkpoints.folder_of(self.checkpoints, step)
            checkpoints.load(folder, step, state, notes)
            print(f"going on from {folder}")
        return step

    def _save(self, step, state, notes):
        """Write a checkpoint, then remove those beyond --keep, and damaged ones.

        All processes call it: each writes the tensors that it holds.
        """
        if self.first:
            self._sync_logs()
        folder = checkpoints.folder_of(self.checkpoints, step)
        checkpoints.save(folder, step, state, notes, self.identity["run"] if self.first else "")
        if self.first:
            self.saved.append(folder)
            for old in [*self.damaged, *self.saved[:-self.flags.keep]]:
                if old != folder:
                    checkpoints.remove(old)
            self.damaged = []
            self.saved = self.saved[-self.flags.keep:]


# ------------------------------------------------------------------------------------ finished runs

def newest_run(script="", runs=Path("runs")):
    """The folder of the newest finished run under `runs`, or None.

    script: the name of one, such as "sft", if it must be a run of that script. The newest is the
    one that finished last by its own flags.json; a model without such a record, which no training
    script here wrote, counts only where no run is. Folders whose files are damaged are passed over.
    """
    found = []
    for folder in _folders_below(runs):
        record = _record(folder)
        if record is not None and record.get("script") == (script or record.get("script")):
            found.append((_age(folder, record), folder))
    return max(found)[1] if found else None


def _folders_below(top):
    """The folders below `top`, through links, each place once."""
    seen = set()
    for path, names, _ in os.walk(top, followlinks=True):
        place = os.path.realpath(path)
        if place in seen:
            names.clear()  # a link leads back here
            continue
        seen.add(place)
        yield Path(path)


def _record(folder):
    """The flags.json of a finished run, {} if there is none; None if this is no whole model."""
    index = folder / "model.safetensors.index.json"
    files = {"model.safetensors"}
    try:
        if not kind_of(folder / "config.json"):
            return None
        read_object(folder / "config.json")
        if kind_of(index):
            files = set(read_object(index)["weight_map"].values())
        for file in files:
            with safe_open(folder / file, framework="pt"):  # its length is that of its header
                pass
        return read_object(folder / "flags.json") if kind_of(folder / "flags.json") else {}
    except (InputError, SafetensorError, OSError, KeyError, AttributeError, TypeError):
        return None


def start_from(flags, script):
    """The flags with a --model that is not given set to the newest run of a script.

    Raises InputError if there is none.
    """
    if flags.model:
        return flags
    newest = newest_run(script)
    if newest is None:
        raise InputError("--model: no finished run under runs/ to start from; "
                         f"python {script}.py makes one")
    return replace(flags, model=str(newest))


def _age(folder, record):
    """What finished runs are ordered by. A copy is no newer than the run that it is a copy of."""
    finished = record.get("finished")
    if not isinstance(finished, float):
        finished = 0.0
    is_at_home = Path(str(record.get("out"))).resolve() == folder.resolve()
    return finished, is_at_home, os.stat(folder / "config.json").st_mtime
