"""A run that may be killed at any moment: its folder, its log, its checkpoints, its signals.

    runs/NAME/flags.json      what the run is: its flags, and the hashes of the files that it reads
    runs/NAME/metrics.jsonl   an object a step; on a CPU the same bits whether it was killed or not
    runs/NAME/timings.jsonl   an object a step: what depends on the clock
    runs/NAME/checkpoints     what the run goes on from; these, and only these, hold pickled data
    runs/NAME                 at the end the model in HF layout; config.json, last, says: finished

The order of the data and every random number are functions of (seed, step, row). The state of a run
is therefore its parameters, its optimizers, the number of the step, and the few values that the
script keeps in `notes`. A script's loop is

    run = Run(flags, "sft")
    for number in run.steps(count, {"model": (transformer, optimizer)}, notes={}):
        ...                                      # one update
        run.log(number + 1, metrics, timings, "text for the progress bar")
"""

import json
import os
import shutil
import signal
import sys
import warnings
import zlib
from dataclasses import asdict, fields
from pathlib import Path

import torch.distributed.checkpoint as dcp

from plumbing.files import InputError, contents, read_json, read_object, read_text, write_json
from plumbing.flags import flag_name
from plumbing.parallel import all_max, all_sum, barrier, leave, processes
from plumbing.progress import progress

# Of dcp, which saves and loads checkpoints; one process is no mistake.
warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)

REMEDY = "name another --out, or remove it"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Run:
    """runs/NAME. Nothing is written before the first step: wrong input leaves no folder behind."""

    def __init__(self, flags, script):
        """flags: a dataclass of `plumbing.flags.flag` fields with out, save_every and keep.

        Raises InputError if --out holds another run than the one that `flags` describe.
        """
        rank, ranks = processes()
        self.path = Path(flags.out)
        self.flags = flags
        self.first = rank == 0  # whether this process writes and prints
        self.stopped = None     # the number of the signal that came
        self.saved = []         # the folders of whole checkpoints, the oldest first
        self.identity = {"script": script, **asdict(flags), "processes": ranks}
        if self.first:
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
        if (self.path / "config.json").exists():
            raise InputError(f"--out {self.path}: holds a finished run already; {REMEDY}")
        if (self.path / "flags.json").exists():
            began = self._read_identity()
            self._refuse_another_run(began)
            self._tell_of_other_bits(began)
        elif (self.path / "metrics.jsonl").exists() or any(self.path.glob("checkpoints/step-*")):
            raise InputError(f"--out {self.path}: holds a run already; {REMEDY}")

    def _read_identity(self):
        """The identity with which the run in the folder began. Raises InputError."""
        began = read_object(self.path / "flags.json")
        script = began.get("script")
        if script != self.identity["script"]:
            raise InputError(f"--out {self.path}: holds a run of {script}.py; {REMEDY}")
        if not isinstance(began.get("contents"), dict):
            raise InputError(f"{self.path / 'flags.json'}: has no contents of the run's files; "
                             f"{REMEDY}")
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

    def _tell_of_other_bits(self, began):
        """Print what differs from the run's beginning and may change the rounding."""
        for name in ["processes", *(field.name for field in self._fields("bits"))]:
            old = began.get(name)
            new = self.identity[name]
            if old != new:
                print(f"{self.path}: began with {name} {old}, now {new}; bits may differ")

    # ------------------------------------------------------------------------------------ the steps

    def steps(self, count, state, notes):
        """Yield the number of every step still to do, 0 .. count - 1; save as --save-every says.

        state: {name: (transformer, optimizer)}; notes: a dict of JSON values. Both continue where
        the newest whole checkpoint left them.

        A first Ctrl-C or SIGTERM ends the program after the step at hand, with everything saved and
        the exit status of that signal, 130 or 143; a second one ends it at once.
        """
        start = self._restore(state, notes)
        if self.first:
            self._open_folder(start)
        for number in SIGNALS:
            signal.signal(number, self._stop)
        self.bar = progress(total=count, initial=start, desc=self.identity["script"], unit="step",
                            disable=not self.first)
        for number in range(start, count):
            yield number
            self.bar.update()
            done = number + 1
            stop = int(all_max(self.stopped or 0))  # all processes stop, or none
            if done == count:
                break  # no checkpoint: the script writes the model itself
            if stop or self._is_due(done):
                self._save(done, state, notes)
            if stop:
                self._end(stop, done, count)
        self.bar.close()

    def _open_folder(self, start):
        """Write flags.json and reopen the logs, cut back to step `start`."""
        # Both are read before anything is written: a damaged log leaves the folder as it is.
        metrics = self._kept_lines("metrics.jsonl", start)
        timings = self._kept_lines("timings.jsonl", start)
        make_folder(self.path / "checkpoints")
        write_json(self.path / "flags.json", self.identity)
        self.metrics = self._reopen("metrics.jsonl", metrics)
        self.timings = self._reopen("timings.jsonl", timings)

    def _is_due(self, done):
        """Whether --save-every asks for a checkpoint after `done` steps."""
        return self.flags.save_every > 0 and done % self.flags.save_every == 0

    def evaluates(self, done, count):
        """Whether an evaluation is due after `done` of `count` steps: see --eval-every."""
        every = self.flags.eval_every
        return done == count or (every > 0 and done % every == 0)

    def _stop(self, number, frame):
        """Remember the first signal until the step is done; the next one has its usual effect."""
        self.stopped = number
        for other in SIGNALS:
            signal.signal(other, signal.SIG_DFL)
        if self.first:
            print("finishing the step, then saving; once more to end at once", file=sys.stderr)

    def _end(self, stop, done, count):
        """End the program because of the signal `stop`, after `done` of `count` steps."""
        self.bar.close()
        print(f"stopped after step {done} of {count}; the same command goes on from there")
        leave()
        sys.exit(128 + stop)  # not 0: what follows in a script must not begin

    # ------------------------------------------------------------------------------------- the logs

    def log(self, step, metrics, timings, shown=""):
        """Append a line to metrics.jsonl and one to timings.jsonl.

        step: how many steps are done; 0 for what was measured before the first one.
        metrics, timings: {name: JSON value}; shown: the text beside the progress bar.
        """
        if self.first:
            self.metrics.write(json.dumps({"step": step, **metrics}) + "\n")
            self.timings.write(json.dumps({"step": step, **timings}) + "\n")
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
        aside = Path(f"{path}.part")
        aside.write_text("".join(f"{line}\n" for line in lines))
        os.replace(aside, path)
        return open(path, "a", buffering=1)

    # ------------------------------------------------------------------------------ the checkpoints
    #
    # checkpoints/step-N is made aside as step-N.part and renamed when all of it is there. Its
    # state.json has the sizes of its files and their checksum, by which `_is_whole` sees damage.

    def _checkpoint(self, step):
        """The folder of a checkpoint."""
        return self.path / "checkpoints" / f"step-{step:06d}"

    def _restore(self, state, notes):
        """Read the newest whole checkpoint into `state` and `notes`. Returns its step, or 0."""
        step = int(all_max(self._newest_whole() if self.first else 0))
        folder = self._checkpoint(step)
        # What --keep counts: damaged ones of later steps are not among them.
        self.saved = [old for old in sorted(folder.parent.glob("step-??????"))
                      if old.name <= folder.name]
        if step > 0:
            _, ranks = processes()
            dcp.load(tensors(state), checkpoint_id=folder, no_dist=ranks == 1)
            notes.update(read_json(folder / "state.json")["notes"])
            print(f"going on from {folder}")
        return step

    def _newest_whole(self):
        """The step of the newest whole checkpoint, or 0. Prints which newer ones are ignored."""
        for folder in sorted(self.path.glob("checkpoints/step-*"), reverse=True):
            if folder.suffix != ".part" and _is_whole(folder):
                return int(folder.name.removeprefix("step-"))
            print(f"{folder}: damaged or half written, ignored")
        return 0

    def _save(self, step, state, notes):
        """Write a checkpoint, then remove those beyond --keep, and damaged ones.

        All processes call it: each writes the tensors that it holds.
        """
        rank, ranks = processes()
        folder = self._checkpoint(step)
        aside = folder.with_suffix(".part")
        if self.first:
            for leftover in folder.parent.glob("*.part"):
                shutil.rmtree(leftover)
        barrier()
        dcp.save(tensors(state), checkpoint_id=aside, no_dist=ranks == 1)
        written_here = aside.glob(f"__{rank}_*")  # the files that this process wrote
        crc = all_sum(checksum(written_here))
        if self.first:
            crc += checksum([aside / ".metadata"])
            sizes = {file.name: file.stat().st_size for file in aside.iterdir()}
            write_json(aside / "state.json",
                       {"step": step, "notes": notes, "files": sizes, "checksum": crc})
            self._publish(aside, folder)
            self._remove_old()
        barrier()

    def _publish(self, aside, folder):
        """Rename a checkpoint into place: from now on a restart goes on from it."""
        if folder.exists():  # a damaged one, or this run would not have come by here again
            shutil.rmtree(folder)
        os.replace(aside, folder)
        self.saved.append(folder)

    def _remove_old(self):
        """Remove all checkpoints but the newest --keep of those that were saved."""
        self.saved = self.saved[-self.flags.keep:]
        checkpoints = (self.path / "checkpoints").glob("step-??????")
        for old in set(checkpoints) - set(self.saved):
            aside = old.with_suffix(".part")
            os.replace(old, aside)  # first: half of a folder must never pass for a checkpoint
            shutil.rmtree(aside)


# ------------------------------------------------------------------------------ inside a checkpoint

def tensors(state):
    """{name: tensor} of all parameters and optimizer states.

    state: {name: (transformer, optimizer)}. No tensor is a copy, so that dcp.load fills the state.
    """
    found = {}
    for part, (transformer, optimizer) in state.items():
        for name, parameter in transformer.named_parameters():
            found[f"{part}.{name}"] = parameter.detach()
            for key, value in optimizer.state[parameter].items():
                found[f"{part}.{name}.{key}"] = value
    return found


def checksum(files):
    """The sum of the CRC-32 of files: processes can each take some, in any order."""
    total = 0
    for file in files:
        crc = 0
        with open(file, "rb") as opened:
            while block := opened.read(1 << 24):
                crc = zlib.crc32(block, crc)
        total += crc
    return total


def _is_whole(folder):
    """Whether a checkpoint's step, files, sizes and checksum are those that state.json names."""
    try:
        state = read_object(folder / "state.json")
    except InputError:  # as a rule there is none
        return False
    step = state.get("step")
    sizes = state.get("files")
    if not isinstance(step, int) or folder.name != f"step-{step:06d}":
        return False
    if not isinstance(sizes, dict) or not isinstance(state.get("notes"), dict):
        return False
    files = [folder / name for name in sizes if (folder / name).is_file()]
    if {file.name: file.stat().st_size for file in files} != sizes:
        return False
    return state.get("checksum") == checksum(files)


# ---------------------------------------------------------------------------------- folders of runs

def make_folder(path):
    """Make the folder that --out names. Raises InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"--out {path}: not writable")


def newest_run(script="", runs=Path("runs")):
    """The folder of the newest finished run under `runs`, or None.

    script: "sft" or "ppo", if it must be a run of that script. Raises InputError if a flags.json
    cannot be read.
    """
    finished = []
    for config in runs.glob("**/config.json"):
        if any(config.parent.glob("model*.safetensors")) and _is_of(config.parent, script):
            finished.append(config)
    if not finished:
        return None
    return max(finished, key=lambda config: config.stat().st_mtime).parent


def _is_of(folder, script):
    """Whether a run's folder is of that script; any folder is of ""."""
    if not script:
        return True
    flags = folder / "flags.json"
    return flags.exists() and read_object(flags).get("script") == script
