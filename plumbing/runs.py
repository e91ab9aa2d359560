"""A run that may be killed at any moment: its folder, its log, its checkpoints, its signals.

    runs/NAME/flags.json      what the run is: its flags, and the hashes of the files that it reads
    runs/NAME/metrics.jsonl   one object a step; on a CPU the same bit for bit whether it was killed or not
    runs/NAME/timings.jsonl   the same for what depends on the clock
    runs/NAME/checkpoints     what the run goes on from; these, and only these, hold pickled data
    runs/NAME                 at the end the model in HF layout; config.json comes last and says: finished

The order of the data and every random number are functions of (seed, step, row), so parameters, optimizers
and the number of the step are all the state there is, but for the few values that a script has in `notes`.
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
from tqdm import tqdm

from plumbing.files import InputError, contents, read_json, read_object, read_text, write_json
from plumbing.parallel import all_max, all_sum, barrier, leave, processes

warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # one process is no mistake


def checksum(files):
    """The sum of the CRC-32 of files: processes can each take some, in any order."""
    result = 0
    for file in files:
        crc = 0
        with open(file, "rb") as opened:
            while block := opened.read(1 << 24):
                crc = zlib.crc32(block, crc)
        result += crc
    return result


def tensors(state):
    """{name: tensor} of all parameters and optimizer states. state: {name: (transformer, optimizer)}."""
    found = {}
    for part, (transformer, optimizer) in state.items():
        for name, parameter in transformer.named_parameters():
            found[f"{part}.{name}"] = parameter.detach()
            found |= {f"{part}.{name}.{key}": value for key, value in optimizer.state[parameter].items()}
    return found


class Run:
    """runs/NAME. Nothing is written before the first step, so that wrong input leaves no folder behind."""

    def __init__(self, flags, script):
        """Raises InputError if --out holds another run than the one that `flags` describe."""
        self.path, self.flags, self.first = Path(flags.out), flags, processes()[0] == 0
        self.stopped = None  # the signal that came
        self.identity = {"script": script, **asdict(flags), "processes": processes()[1]}
        if self.first:  # hashing takes 10 s for a 7B model
            self.identity["contents"] = {f.name: contents(getattr(flags, f.name)) for f in fields(flags)
                                         if f.metadata["on_resume"] == "files"}
            self._claim()

    def _claim(self):
        hint = "name another --out, or remove it"
        if (self.path / "config.json").exists():
            raise InputError(f"--out {self.path}: holds a finished run already; {hint}")
        if not (self.path / "flags.json").exists():
            if (self.path / "metrics.jsonl").exists() or any(self.path.glob("checkpoints/step-*")):
                raise InputError(f"--out {self.path}: holds a run already; {hint}")
            return
        old = read_object(self.path / "flags.json")
        if old.get("script") != self.identity["script"]:
            raise InputError(f"--out {self.path}: holds a run of {old.get('script')}.py; {hint}")
        if not isinstance(old.get("contents"), dict):
            raise InputError(f"{self.path / 'flags.json'}: has no contents of the run's files; {hint}")
        for f in fields(self.flags):
            name, alters = f"--{f.name.replace('_', '-')}", f.metadata["on_resume"]
            if alters == "files" and old["contents"].get(f.name) != self.identity["contents"][f.name]:
                raise InputError(f"{name} {getattr(self.flags, f.name)}: not the contents with which the run "
                                 f"in {self.path} began; {hint}")
            if alters == "run" and repr(old.get(f.name)) != repr(getattr(self.flags, f.name)):  # True == 1
                raise InputError(f"{name} {getattr(self.flags, f.name)}: the run in {self.path} has "
                                 f"{old.get(f.name)}; {hint}")
        for name in ("processes", *(f.name for f in fields(self.flags) if f.metadata["on_resume"] == "bits")):
            if old.get(name) != self.identity[name]:
                print(f"{self.path}: began with {name} {old.get(name)}, now {self.identity[name]}; "
                      "bits may differ")

    # ------------------------------------------------------------------------------------------------ steps

    def steps(self, count, state, notes):
        """Yield the number of every step still to do, 0 .. count - 1, and save as --save-every says.

        state: {name: (transformer, optimizer)}, notes: a dict of JSON values; both continue where the newest
        whole checkpoint left them. A first Ctrl-C or SIGTERM ends the program after the step at hand, with
        everything saved and the exit status of that signal, 130 or 143; a second one ends it at once.
        """
        start = self._restore(state, notes)
        if self.first:
            kept = {name: self._kept(f"{name}.jsonl", start) for name in ("metrics", "timings")}
            make_folder(self.path / "checkpoints")
            write_json(self.path / "flags.json", self.identity)
            self.metrics, self.timings = (self._reopen(name, lines) for name, lines in kept.items())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        self.bar = tqdm(total=count, initial=start, desc=self.identity["script"], unit="step",
                        disable=not self.first)
        for number in range(start, count):
            yield number
            self.bar.update()
            done, stop = number + 1, all_max(self.stopped or 0)  # all stop, or none
            due = self.flags.save_every and done % self.flags.save_every == 0
            if done < count and (stop or due):
                self._save(done, state, notes)
            if done < count and stop:
                self.bar.close()
                print(f"stopped after step {done} of {count}; the same command goes on from there")
                leave()
                sys.exit(128 + int(stop))  # not 0: what follows in a script must not begin
        self.bar.close()

    def _stop(self, number, frame):
        self.stopped = number
        for other in (signal.SIGINT, signal.SIGTERM):
            signal.signal(other, signal.SIG_DFL)
        if self.first:
            print("finishing the step, then saving; once more to end at once", file=sys.stderr)

    def log(self, step, metrics, timings, shown=""):
        """Append a line each to metrics.jsonl and timings.jsonl; `shown` goes to the progress bar."""
        if self.first:
            self.metrics.write(json.dumps({"step": step, **metrics}) + "\n")
            self.timings.write(json.dumps({"step": step, **timings}) + "\n")
            self.bar.set_postfix_str(shown)

    def _kept(self, name, start):
        """The lines of a log up to step `start`, without one that a kill cut short. Raises InputError."""
        path, steps, kept = self.path / name, [], []
        lines = read_text(path).split("\n")[:-1] if start else []
        for i, line in enumerate(lines, 1):
            try:
                if (step := json.loads(line)["step"]) <= start:
                    steps.append(step)
                    kept.append(line)
            except (ValueError, TypeError, KeyError, RecursionError):
                raise InputError(f"{path}: line {i}: not an object with a step") from None
        if [step for step in steps if step] != [*range(1, start + 1)]:
            raise InputError(f"{path}: does not hold the {start} steps that are done, each once, in order")
        return kept

    def _reopen(self, name, lines):
        """A log that holds these lines, to append to."""
        path = self.path / f"{name}.jsonl"
        aside = Path(f"{path}.part")
        aside.write_text("".join(f"{line}\n" for line in lines))
        os.replace(aside, path)
        return open(path, "a", buffering=1)

    # ------------------------------------------------------------------------------------------ checkpoints

    def _save(self, step, state, notes):
        """Write checkpoints/step-N aside, rename it, and remove those beyond --keep, and damaged ones."""
        folder = self.path / "checkpoints" / f"step-{step:06d}"
        aside = folder.with_suffix(".part")
        if self.first:
            for left in folder.parent.glob("*.part"):
                shutil.rmtree(left)
        barrier()
        dcp.save(tensors(state), checkpoint_id=aside, no_dist=processes()[1] == 1)
        crc = all_sum(checksum(aside.glob(f"__{processes()[0]}_*")))  # of the files that this process wrote
        if self.first:
            sizes = {file.name: file.stat().st_size for file in aside.iterdir()}
            write_json(aside / "state.json", {"step": step, "notes": notes, "files": sizes,
                                              "checksum": crc + checksum([aside / ".metadata"])})
            if folder.exists():  # a damaged one, or this run would not have come by here again
                shutil.rmtree(folder)
            os.replace(aside, folder)
            self.saved = [*self.saved, folder][-self.flags.keep:]
            for old in set(folder.parent.glob("step-??????")) - set(self.saved):
                os.replace(old, old.with_suffix(".part"))  # half of it is never taken for a checkpoint
                shutil.rmtree(old.with_suffix(".part"))
        barrier()

    def _restore(self, state, notes):
        """Read the newest whole checkpoint into `state` and `notes` -> its step; 0 if there is none."""
        step = all_max(self._newest() if self.first else 0)
        folder = self.path / "checkpoints" / f"step-{int(step):06d}"
        self.saved = [old for old in sorted(folder.parent.glob("step-??????")) if old.name <= folder.name]
        if step:
            dcp.load(tensors(state), checkpoint_id=folder, no_dist=processes()[1] == 1)
            notes.update(read_json(folder / "state.json")["notes"])
            print(f"going on from {folder}")
        return int(step)

    def _newest(self):
        for folder in sorted(self.path.glob("checkpoints/step-*"), reverse=True):
            if folder.suffix != ".part" and self._is_whole(folder):
                return int(folder.name.removeprefix("step-"))
            print(f"{folder}: damaged or half written, ignored")
        return 0

    def _is_whole(self, folder):
        try:
            state = read_object(folder / "state.json")
        except InputError:  # as a rule there is none
            return False
        step, sizes = state.get("step"), state.get("files")
        if (not isinstance(step, int) or folder.name != f"step-{step:06d}" or not isinstance(sizes, dict)
                or not isinstance(state.get("notes"), dict)):
            return False
        files = [folder / name for name in sizes if (folder / name).is_file()]
        return {file.name: file.stat().st_size for file in files} == sizes and (
            state.get("checksum") == checksum(files))


def make_folder(path):
    """Make the folder that --out names. Raises InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"--out {path}: not writable")


def newest_run(script="", runs=Path("runs")):
    """The newest checkpoint under `runs` (of "sft" or "ppo" if named), or None."""
    found = [file for file in runs.glob("**/config.json") if any(file.parent.glob("model*.safetensors"))]
    if script:
        found = [file for file in found if (file.parent / "flags.json").exists()
                 and read_object(file.parent / "flags.json").get("script") == script]
    return max(found, key=lambda file: file.stat().st_mtime).parent if found else None
