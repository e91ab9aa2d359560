"""Files that are replaced whole or not at all, locks, pipes, and what is no file."""

import json
import os
import resource
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from safetensors.torch import save_file

from plumbing.files import (
    InputError,
    contents,
    kind_of,
    lock,
    make_folder,
    read_json,
    replacing,
    write_json,
)
from plumbing.parallel import processes


@contextmanager
def small_files():
    """The kernel itself refuses a file of more than 100 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, "old")
    with pytest.raises(InputError, match="a.json: File too large"), small_files():
        write_json(path, "new" * 100)
    with (pytest.raises(InputError, match="a.json: .*File too large"), small_files(),
          replacing(path) as aside):
        save_file({}, aside, metadata={"x": "new" * 100})
    assert os.listdir(tmp_path) == ["a.json"] and read_json(path) == "old"
    with pytest.raises(InputError, match="absent/a.json: No such file"):
        write_json(tmp_path / "absent/a.json", "new")


def test_a_file_is_on_the_disk_before_it_has_its_name_and_so_is_the_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def noted(*arguments, name=name, original=original):
            what = os.fstat(arguments[0]).st_ino if name == "fsync" else None
            calls.append((name, what))
            return original(*arguments)

        monkeypatch.setattr(os, name, noted)
    write_json(tmp_path / "a.json", "new")
    file = os.stat(tmp_path / "a.json").st_ino
    assert calls == [("fsync", file), ("replace", None), ("fsync", os.stat(tmp_path).st_ino)]
    calls.clear()
    make_folder(tmp_path / "b/c")
    assert calls == [("fsync", os.stat(tmp_path).st_ino), ("fsync", os.stat(tmp_path / "b").st_ino)]


def test_nothing_is_written_through_a_link_that_stands_where_a_file_is_made(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "a.json.part").symlink_to(mine)
    (tmp_path / "lock").symlink_to(mine)
    write_json(tmp_path / "a.json", "new")
    with pytest.raises(InputError, match="lock: Too many levels"):
        lock(tmp_path)
    assert mine.read_text() == "mine" and not (tmp_path / "a.json").is_symlink()


def test_a_folder_is_one_process_s_until_it_ends(tmp_path):
    child = os.fork()
    if not child:
        held = lock(tmp_path)
        (tmp_path / "ready").touch()
        signal.pause()
        held.close()
    while not (tmp_path / "ready").exists():
        time.sleep(0.005)
    with pytest.raises(InputError, match=f"in use by process {child} on {socket.gethostname()};"):
        lock(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lock(tmp_path)


def test_a_pipe_is_read_once_and_counts_by_its_contents(tmp_path, monkeypatch):
    """It hashed as nothing, and then the file was gone: it had been read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "file").write_text(json.dumps([1, 2]))
    writer = threading.Thread(target=lambda: pipe.write_text(json.dumps([1, 2])))
    writer.start()
    assert contents(pipe) == contents(tmp_path / "file") and read_json(pipe) == [1, 2]
    writer.join()
    monkeypatch.setenv("WORLD_SIZE", "2")
    os.mkfifo(tmp_path / "other")
    with pytest.raises(InputError, match="other: is a pipe, which only one process can read"):
        read_json(tmp_path / "other")


def test_what_is_neither_file_nor_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="/dev/zero: is a device"):
        contents("/dev/zero")
    with pytest.raises(InputError, match="holds no model"):
        contents(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        contents(tmp_path / "absent")
    with pytest.raises(InputError, match="File name too long"):
        kind_of("x" * 300)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop: Too many levels"):
        kind_of(tmp_path / "loop")
    assert kind_of(tmp_path / "absent/x") == "" and kind_of("/dev/null") == "device"


@pytest.mark.parametrize(
    "rank, size", [("0", "x"), ("2", "2"), ("-1", "2"), ("", "1"), ("1", None)])
def test_ranks_that_are_none_are_refused(monkeypatch, rank, size):
    monkeypatch.setenv("RANK", rank)
    if size is None:
        monkeypatch.delenv("WORLD_SIZE", raising=False)
    else:
        monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(InputError, match=f"RANK={rank} WORLD_SIZE="):
        processes()
