"""Runs that are killed, stopped, damaged or changed: the same command goes on, or says why not.

Runs are forked children; what they leave in their folder is judged.
"""

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

import dpo
import model
import ppo
import sft
from plumbing import checkpoints, runs
from plumbing.files import InputError
from plumbing.runs import newest_run
from tests.conftest import ITEMS
from tests.plumbing.test_parallel import difference, run_processes, train
from tests.test_dpo import lines_of, write_pairs

RUNS = {
    sft: {"batch_size": 4, "epochs": 1, "save_every": 1},
    ppo: {"num_prompts": 8, "batch_size": 2, "epochs": 1, "max_new_tokens": 6, "show_every": 0,
          "save_every": 1, "samples": 2, "baseline": "both"},
    dpo: {"batch_size": 3, "epochs": 2, "save_every": 1},
}


@pytest.fixture(scope="module")
def data_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "raw.json"
    path.write_text(json.dumps(ITEMS * 4))
    return path


@pytest.fixture(scope="module")
def straight(tmp_path_factory, model_dir, data_file):
    """The folders of runs that nobody disturbed."""
    folders = {script: tmp_path_factory.mktemp(script.__name__) / "run" for script in RUNS}
    for script, folder in folders.items():
        data = data_of(script, data_file, model_dir)
        train(script, model_dir, data, folder, **RUNS[script], eval_data=data)
    return folders


def data_of(script, data_file, model_dir):
    """What a script trains on: trajectories, or pairs that are written beside them."""
    if script is not dpo:
        return data_file
    return write_pairs(data_file.parent / "pairs", lines_of(model_dir)) / "pairs.jsonl"


def in_child(work, meanwhile=lambda child: None):
    """work() in a forked child -> its exit status; `meanwhile` runs beside it."""
    def child():
        work()
        sys.stderr.flush()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    meanwhile(process)
    process.join()
    return process.exitcode


def assert_same_weights(folder, expected):
    weights = (folder / "model.safetensors").read_bytes()
    assert weights == (expected / "model.safetensors").read_bytes()


def assert_same_result(folder, expected):
    for name in ("model.safetensors", "metrics.jsonl", "config.json", "tokenizer.model"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name


def read_steps(log):
    """The steps of a log, in order."""
    return [json.loads(line)["step"] for line in log.read_text().splitlines()]


def wait_for_step(process, folder, step):
    """Until the log holds `step`, or the process has ended."""
    log = folder / "metrics.jsonl"
    while process.is_alive():
        if log.exists() and f'"step": {step},' in log.read_text():
            return
        time.sleep(0.005)


def killer(monkeypatch, place, call):
    """The process kills itself at the `call`-th use of checkpoints.save_file or of a call of os."""
    module = checkpoints if place == "save_file" else os
    original = getattr(module, place)
    calls = []

    def deadly(*arguments, **more):
        calls.append(0)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **more)

    monkeypatch.setattr(module, place, deadly)


@pytest.mark.parametrize("script", RUNS)
def test_killed_at_any_write_and_started_again_it_ends_bit_for_bit_the_same(
        tmp_path, model_dir, data_file, straight, script, monkeypatch):
    folder = tmp_path / "run"
    data_file = data_of(script, data_file, model_dir)
    options = {**RUNS[script], "eval_data": data_file}
    for place, call in (("save_file", 2), ("replace", 3), ("fsync", 9), ("replace", 6),
                        ("unlink", 9), ("rmdir", 1), ("fsync", 13)):
        with monkeypatch.context() as patch:
            killer(patch, place, call)
            status = in_child(lambda: train(script, model_dir, data_file, folder, **options))
            assert status == -signal.SIGKILL
    train(script, model_dir, data_file, folder, **options)
    assert_same_result(folder, straight[script])
    assert read_steps(folder / "timings.jsonl") == read_steps(folder / "metrics.jsonl")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_step_with_everything_saved(
        tmp_path, model_dir, data_file, straight, number, capfd):
    folder = tmp_path / "run"
    options = {**RUNS[sft], "eval_data": data_file, "save_every": 0}

    def stop(process):
        wait_for_step(process, folder, 1)
        os.kill(process.pid, number)

    status = in_child(lambda: train(sft, model_dir, data_file, folder, **options), stop)
    assert status == 128 + number
    assert "the same command goes on from there" in capfd.readouterr().out
    assert len(list((folder / "checkpoints").glob("step-*"))) == 1
    assert not (folder / "config.json").exists()
    train(sft, model_dir, data_file, folder, **options)
    assert_same_result(folder, straight[sft])


@pytest.mark.parametrize("signals, status", [
    # as torchrun passes on what it and its processes got, as systemd and a closed terminal do
    ([signal.SIGTERM, signal.SIGTERM], 143),
    ([signal.SIGINT, signal.SIGINT, signal.SIGTERM], 130),
    ([signal.SIGHUP, signal.SIGTERM, signal.SIGINT], 129),
    # somebody who will not wait: another Ctrl-C, later than a second
    ([signal.SIGINT, None, signal.SIGINT], -signal.SIGINT),
    ([signal.SIGTERM, None, signal.SIGTERM, signal.SIGHUP, signal.SIGINT], -signal.SIGINT),
])
def test_one_request_may_come_as_several_signals(
        tmp_path, model_dir, data_file, monkeypatch, signals, status):
    """None: a pause of more than a second. The step at hand takes longer than all of them."""
    folder = tmp_path / "run"
    original = sft.train_step

    def slow(*arguments):
        (folder / "in-step").touch()
        while not (folder / "sent").exists():
            time.sleep(0.01)
        return original(*arguments)

    def send(process):
        while not (folder / "in-step").exists():
            time.sleep(0.005)
        for number in signals:
            if number is None:
                time.sleep(1.1)
            else:
                os.kill(process.pid, number)
                time.sleep(0.05)
        (folder / "sent").touch()

    def run():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where nohup started the tests
        return train(sft, model_dir, data_file, folder, **options)

    monkeypatch.setattr(sft, "train_step", slow)
    options = RUNS[sft] | {"save_every": 0}
    ended = in_child(run, send)
    assert ended == status
    assert len(list((folder / "checkpoints").iterdir())) == (status > 0)


@pytest.fixture
def cut_short(tmp_path, model_dir, data_file, monkeypatch):
    """The folder of a run of sft.py that was killed with two checkpoints, and its options."""
    folder = tmp_path / "run"
    options = {**RUNS[sft], "keep": 2}
    with monkeypatch.context() as patch:
        killer(patch, "save_file", 4)
        in_child(lambda: train(sft, model_dir, data_file, folder, **options))
    made = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert made == ["step-000002", "step-000003", "step-000004.part"]
    shutil.rmtree(folder / "checkpoints/step-000004.part")
    return folder, options


def test_half_written_and_damaged_checkpoints_are_passed_over_with_a_line(
        cut_short, model_dir, data_file, straight, capsys):
    folder, options = cut_short
    shutil.copytree(folder / "checkpoints/step-000003", folder / "checkpoints/step-000004.part")
    file = folder / "checkpoints/step-000003/rank-0.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    train(sft, model_dir, data_file, folder, **options)
    out = capsys.readouterr().out
    assert "step-000004.part: damaged or half written; ignored" in out
    assert "step-000003/rank-0.safetensors: damaged; ignored" in out
    assert "going on from" in out and "step-000002" in out
    assert_same_weights(folder, straight[sft])
    assert len(list((folder / "checkpoints").iterdir())) == 2  # --keep, and no leftovers


def test_a_damaged_checkpoint_is_not_kept_in_place_of_a_new_one(
        cut_short, model_dir, data_file, straight, monkeypatch):
    """One of a later step counted as the newest: each new one was removed as soon as made."""
    folder, options = cut_short
    made = folder / "checkpoints"
    (made / "step-000003").rename(made / "step-000009")
    with monkeypatch.context() as patch:
        killer(patch, "save_file", 2)
        in_child(lambda: train(sft, model_dir, data_file, folder, **options | {"keep": 1}))
    assert sorted(path.name for path in made.iterdir()) == ["step-000003", "step-000004.part"]
    train(sft, model_dir, data_file, folder, **options)
    assert_same_weights(folder, straight[sft])


def all_bytes(folder):
    """{path: bytes} of all files of a folder but the lock, which names its last holder."""
    return {path: path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "lock"}


def test_another_run_than_the_one_in_the_folder_is_refused_by_name(
        cut_short, tmp_path, model_dir, data_file):
    folder, options = cut_short
    before = all_bytes(folder)

    def refused(script=sft, model_dir=model_dir, data_file=data_file, **changed):
        known = options if script is sft else {}
        with pytest.raises(InputError) as error:
            train(script, model_dir, data_file, folder, **known | changed)
        assert all_bytes(folder) == before
        return str(error.value)

    assert "--lr 0.5: the run in" in refused(lr=0.5)
    assert "--w-max" in refused(w_max=3) and "--eval-data" in refused(eval_data=data_file)
    other = tmp_path / "other.json"
    other.write_text(data_file.read_text().replace("Bergen", "Geilo"))
    assert "--data" in refused(data_file=other)
    weights = model.load(model_dir)
    with torch.no_grad():
        weights.lm_head.weight[0, 0] += 1
    shutil.copytree(model_dir, tmp_path / "m")
    model.save(weights, tmp_path / "m")
    assert "--model" in refused(model_dir=tmp_path / "m")
    assert "holds a run of sft.py" in refused(script=ppo)


def test_what_alters_no_number_may_change_and_what_alters_rounding_is_said(
        cut_short, tmp_path, model_dir, data_file, capsys, straight):
    folder, options = cut_short
    same = tmp_path / "same.json"
    shutil.copyfile(data_file, same)
    changed = {"save_every": 2, "keep": 1, "micro_tokens": 700}
    train(sft, model_dir, same, folder, **options | changed)
    assert "began with micro_tokens 4096, now 700; bits may differ" in capsys.readouterr().out
    finished = "holds a finished run already; name another --out, or remove it"
    with pytest.raises(InputError, match=finished):
        train(sft, model_dir, same, folder, **options)


def test_it_goes_on_with_another_number_of_processes(
        cut_short, tmp_path, model_dir, data_file, straight):
    folder, options = cut_short
    run_processes(
        2, lambda: train(sft, model_dir, data_file, folder, **options), tmp_path / "results")
    ours = model.load(folder)
    theirs = dict(model.load(straight[sft]).named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, theirs[name], rtol=1e-3, atol=1e-3, msg=name)
    assert json.loads((folder / "flags.json").read_text())["processes"] == 2


def stopped(script, number, run):
    """run() in a process that sends itself SIGTERM in step `number` of the script.

    Returns (exit status, steps that were run).
    """
    original = script.train_step
    calls = []

    def step(*arguments):
        calls.append(0)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    script.train_step = step
    with pytest.raises(SystemExit) as end:
        run()
    return end.value.code, len(calls)


@pytest.mark.parametrize("then", [1, 2])
def test_two_processes_that_were_stopped_go_on_as_one_or_two(
        tmp_path, model_dir, data_file, straight, then):
    def run():
        train(sft, model_dir, data_file, folder, **options)

    folder = tmp_path / "run"
    options = {**RUNS[sft], "save_every": 0, "eval_data": data_file}
    first = run_processes(2, lambda: stopped(sft, 3, run), tmp_path / "first")
    assert first == [(128 + signal.SIGTERM, 3)] * 2
    run_processes(then, run, tmp_path / "second")
    ours = load_file(folder / "model.safetensors")
    theirs = load_file(straight[sft] / "model.safetensors")
    before = load_file(model_dir / "model.safetensors")
    update = [theirs[name] - before[name] for name in before]
    assert difference([ours[name] - before[name] for name in before], update) < 1e-2
    assert read_steps(folder / "metrics.jsonl") == read_steps(straight[sft] / "metrics.jsonl")


def test_ppo_of_two_processes_goes_on_as_if_it_had_not_been_stopped(tmp_path, model_dir, data_file):
    """Bit for bit, with a critic of its own; one process has no row of the critic's value head."""
    options = RUNS[ppo] | {"num_prompts": 6, "save_every": 0, "dtype": "bf16"}

    def run(name):
        return lambda: train(ppo, model_dir, data_file, tmp_path / name, **options)

    ended = run_processes(2, lambda: stopped(ppo, 2, run("cut")), tmp_path / "first")
    assert ended == [(128 + signal.SIGTERM, 2)] * 2
    for name in ("cut", "straight"):
        run_processes(2, run(name), tmp_path / f"results-{name}")
    for name in ("model.safetensors", "metrics.jsonl"):
        straight = (tmp_path / "straight" / name).read_bytes()
        assert (tmp_path / "cut" / name).read_bytes() == straight, name


@pytest.mark.parametrize("script, words", [(sft, "step 3, items "), (ppo, "step 3, prompts ")])
def test_a_loss_that_is_no_number_stops_before_the_step_and_keeps_the_checkpoint(
        tmp_path, model_dir, data_file, script, words, monkeypatch):
    folder = tmp_path / "run"
    calls = []
    name = "weighted_nll" if script is sft else "policy_loss"
    original = getattr(script, name)

    def broken(*arguments):
        calls.append(0)
        loss, other = original(*arguments)
        return (loss * float("nan") if len(calls) == 3 else loss), other

    monkeypatch.setattr(script, name, broken)
    with pytest.raises(InputError) as error:
        train(script, model_dir, data_file, folder, **RUNS[script])
    assert words in str(error.value) and "is nan" in str(error.value)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000002"]
    monkeypatch.setattr(script, name, original)
    train(script, model_dir, data_file, folder, **RUNS[script])  # and from there it can go on


def test_a_second_command_on_a_folder_is_told_who_has_it(
        tmp_path, model_dir, data_file, straight, capfd):
    """Two commands on one --out left a log that lacked steps for good."""
    folder = tmp_path / "run"
    options = {**RUNS[sft], "eval_data": data_file}
    statuses = []

    def second(process):
        wait_for_step(process, folder, 1)
        for script in (sft, ppo):
            with pytest.raises(InputError) as error:
                train(script, model_dir, data_file, folder, **RUNS[script])
            statuses.append(f"in use by process {process.pid} on " in str(error.value))

    assert in_child(lambda: train(sft, model_dir, data_file, folder, **options), second) == 0
    assert statuses == [True, True]
    assert_same_result(folder, straight[sft])


def test_what_the_bits_depend_on_is_named_when_it_differs(
        cut_short, model_dir, data_file, capsys, monkeypatch):
    folder, options = cut_short
    flags = json.loads((folder / "flags.json").read_text())
    assert flags["threads"] == torch.get_num_threads() and flags["torch"] == torch.__version__
    changed = {"threads": 7, "cpu": "AVX9", "torch": "1.0", "code": "abc"}
    (folder / "flags.json").write_text(json.dumps(flags | changed))
    train(sft, model_dir, data_file, folder, **options)
    out = capsys.readouterr().out
    for name, old in changed.items():
        assert f"began with {name} {old}, now {flags[name]}; bits may differ" in out


def test_data_from_a_pipe_are_read_and_another_pipe_is_refused(
        tmp_path, model_dir, data_file, straight):
    """They hashed as nothing: on resume any other file was accepted."""
    folder = tmp_path / "run"
    text = data_file.read_text()
    options = {**RUNS[sft], "save_every": 1, "eval_data": data_file}

    def piped(name, text):
        os.mkfifo(tmp_path / name)
        threading.Thread(target=lambda: (tmp_path / name).write_text(text)).start()
        return tmp_path / name

    def work():
        killer(pytest.MonkeyPatch(), "save_file", 3)
        train(sft, model_dir, piped("first", text), folder, **options)

    assert in_child(work) == -signal.SIGKILL
    with pytest.raises(InputError, match="--data .*second: not the contents"):
        train(sft, model_dir, piped("second", text.replace("Bergen", "Geilo")), folder, **options)
    train(sft, model_dir, piped("third", text), folder, **options)
    assert_same_result(folder, straight[sft])


def test_a_user_s_folder_among_the_checkpoints_outlives_the_run(
        cut_short, model_dir, data_file, straight):
    folder, options = cut_short
    made = folder / "checkpoints"
    shutil.copytree(made / "step-000002", made / "step-backup")
    shutil.copytree(made / "step-000003", made / "step-000004.part")  # as a kill leaves it
    train(sft, model_dir, data_file, folder, **options | {"save_every": 0})
    assert_same_weights(folder, straight[sft])
    left = sorted(path.name for path in made.iterdir())
    assert left == ["step-000002", "step-000003", "step-backup"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_call_that_fails_is_one_line_and_nothing_is_lost(
        cut_short, model_dir, data_file, straight, monkeypatch, number):
    """In turn: at the sync of tensors, at the rename of a checkpoint, at the export, on reading."""
    folder, options = cut_short
    options = options | {"eval_data": ""}
    for place, call in (("fsync", 9), ("replace", 6), ("replace", 10), ("open", 1)):
        original = getattr(os, place)
        calls = []

        def failing(*arguments, original=original, calls=calls, call=call, place=place):
            calls.append(0)
            if len(calls) == call and (place != "open" or "lock" in str(arguments[0])):
                raise OSError(number, os.strerror(number))
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(os, place, failing)
            with pytest.raises(InputError, match=re.escape(os.strerror(number))) as error:
                train(sft, model_dir, data_file, folder, **options)
        assert str(folder) in str(error.value)
    train(sft, model_dir, data_file, folder, **options)
    assert_same_weights(folder, straight[sft])


class Disk:
    """What shutil.disk_usage answers: so many bytes are free, from some call on fewer."""

    def __init__(self, *free):
        self.free = list(free)

    def __call__(self, path):
        return shutil._ntuple_diskusage(10**12, 0, self.free.pop(0) if self.free[1:] else
                                        self.free[0])


def test_a_disk_without_room_is_told_before_the_first_step(
        tmp_path, model_dir, data_file, monkeypatch):
    parameters = sum(p.numel() for p in model.load(model_dir).parameters())
    options = RUNS[sft] | {"keep": 2}
    needed = 3 * 12 * parameters + 10**4  # moments count, and Adam's steps, 4 bytes a tensor
    monkeypatch.setattr(shutil, "disk_usage", Disk(3 * 12 * parameters - 1))
    with pytest.raises(InputError, match="are free on this disk") as error:
        train(sft, model_dir, data_file, tmp_path / "run", **options)
    assert str(tmp_path / "run") in str(error.value)
    assert not (tmp_path / "run/metrics.jsonl").exists()
    with pytest.raises(InputError, match="this run"):  # the result alone needs 4 bytes a parameter
        monkeypatch.setattr(shutil, "disk_usage", Disk(4 * parameters - 1))
        train(sft, model_dir, data_file, tmp_path / "run", **options | {"save_every": 0})
    monkeypatch.setattr(shutil, "disk_usage", Disk(needed))
    train(sft, model_dir, data_file, tmp_path / "run", **options)


def test_a_disk_that_fills_keeps_the_old_checkpoint(
        tmp_path, model_dir, data_file, straight, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", Disk(10**12, 10**12, 1000))
        with pytest.raises(InputError, match="the checkpoint of step 2 needs 0.* are free on this"):
            train(sft, model_dir, data_file, folder, **RUNS[sft], eval_data=data_file)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000001"]
    train(sft, model_dir, data_file, folder, **RUNS[sft], eval_data=data_file)
    assert_same_result(folder, straight[sft])


def test_nodes_that_do_not_share_the_folder_are_told(tmp_path, model_dir, data_file, monkeypatch):
    """Each had a folder of its own, and only the first one's held a model in the end."""
    monkeypatch.setattr(runs, "PATIENCE", 0.0)

    def own_folder():
        rank = os.environ["RANK"]
        try:
            train(sft, model_dir, data_file, tmp_path / f"node-{rank}", **RUNS[sft])
        except InputError as error:
            return str(error)
        return ""

    for said in run_processes(2, own_folder, tmp_path / "results"):
        assert "--out" in said and "folder that all of them share" in said
    assert not (tmp_path / "node-0/config.json").exists()


# ------------------------------------------------------------------------------------ finished runs

def finished(folder, script, when, **more):
    """The files of a run of a script that ended at a time."""
    folder.mkdir(parents=True)
    flags = {"script": script, "out": str(folder), "finished": float(when), **more}
    (folder / "flags.json").write_text(json.dumps(flags))
    save_file({}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return folder


def test_the_newest_run_is_the_one_that_finished_last_by_its_own_record(tmp_path):
    runs = tmp_path / "runs"
    assert newest_run("sft", runs) is None
    new = finished(runs / "new", "sft", 20)
    finished(runs / "touched since", "sft", 10)
    assert newest_run("sft", runs) == newest_run("", runs) == new
    shutil.copytree(new, runs / "a copy")
    shutil.copytree(new, runs / "z copy")
    assert newest_run("sft", runs) == new
    other = finished(runs / "other", "ppo", 30)
    assert newest_run("sft", runs) == new and newest_run("", runs) == other


def test_what_is_damaged_beside_the_newest_run_neither_wins_nor_stops_anything(tmp_path):
    runs = tmp_path / "runs"
    good = finished(runs / "good", "sft", 20)
    cut = finished(runs / "cut", "sft", 30)
    (cut / "model.safetensors").write_bytes(b"\x08")
    (finished(runs / "config", "sft", 40) / "config.json").write_text("{")
    (finished(runs / "flags", "sft", 50) / "flags.json").write_bytes(b"\xff")
    shard = finished(runs / "shard", "sft", 60)
    (shard / "model.safetensors.index.json").write_text('{"weight_map": {"a": "absent"}}')
    (finished(runs / "unfinished", "sft", 70) / "config.json").unlink()
    finished(runs / "odd", "sft", 80, finished="tomorrow")
    (runs / "loop").symlink_to(".")
    (runs / "broken").symlink_to("absent")
    assert newest_run("sft", runs) == newest_run("", runs) == good
    finished(tmp_path / "disk/far", "sft", 90)
    (runs / "link").symlink_to(tmp_path / "disk")
    assert newest_run("sft", runs) == runs / "link/far"


def test_a_run_records_when_it_finished(straight):
    for script, folder in straight.items():
        flags = json.loads((folder / "flags.json").read_text())
        assert 0 < time.time() - flags["finished"] < 3600
        assert newest_run(script.__name__, folder.parent) == folder
