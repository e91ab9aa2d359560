"""Checkpoints: any number of processes reads them, damage is seen, what is planted is numbers."""

import hashlib
import json
import os
import pickle
import random
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from plumbing import checkpoints
from plumbing.checkpoints import Damaged
from plumbing.files import InputError
from plumbing.optimizer import make_optimizer
from plumbing.parallel import whole
from tests.plumbing.test_parallel import load, run_processes

NOTES = {"recent": [[0.1, 1e-05]], "warned": ["é"]}


def state_of(model_dir, seed=None):
    """A critic (whose value head is a single row) and its optimizer; seed: of random numbers."""
    critic = load(model_dir, value_head=True)
    state = {"critic": (critic, make_optimizer(critic, 0.0))}
    if seed is not None:
        for i, (_, tensor) in enumerate(sorted(checkpoints.tensors_of(state).items())):
            rows, where = checkpoints.held_rows(tensor)
            generator = torch.Generator().manual_seed(seed + i)
            shape = tensor.shape or (1,)
            numbers = torch.rand(shape, generator=generator)
            rows.copy_(numbers[where])
    return state


def whole_tensors(state):
    return {name: whole(tensor) for name, tensor in checkpoints.tensors_of(state).items()}


def save(model_dir, folder, seed=0):
    checkpoints.save(folder, 7, state_of(model_dir, seed), NOTES, "run")


def load_back(model_dir, folder):
    state = state_of(model_dir)
    notes = {"recent": [], "warned": []}
    checkpoints.load(folder, 7, state, notes)
    assert notes == NOTES
    return whole_tensors(state)


@pytest.fixture(scope="module")
def made(tmp_path_factory, model_dir):
    """A checkpoint that one process wrote."""
    folder = tmp_path_factory.mktemp("made") / "step-000007"
    save(model_dir, folder)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """The same, to be damaged."""
    shutil.copytree(made, tmp_path / "step-000007")
    return tmp_path / "step-000007"


def is_whole(folder):
    """Whether it passes, as a run looks at it before it goes on."""
    try:
        checkpoints.check_files(folder, checkpoints.read_state(folder, 7))
    except Damaged:
        return False
    return True


@pytest.mark.parametrize("writers, readers", [(1, 2), (2, 4), (4, 1), (4, 2)])
def test_any_number_of_processes_reads_what_another_wrote(
        tmp_path, model_dir, made, writers, readers):
    folder = tmp_path / "step-000007"
    run_processes(writers, lambda: save(model_dir, folder), tmp_path / "first")
    assert len(list(folder.iterdir())) == writers + 1
    expected = load_back(model_dir, made)
    for found in run_processes(readers, lambda: load_back(model_dir, folder), tmp_path / "second"):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_it_holds_numbers_and_json_that_any_loader_reads(made, model_dir):
    assert sorted(os.listdir(made)) == ["rank-0.safetensors", "state.json"]
    ours = load_back(model_dir, made)
    theirs = load_file(made / "rank-0.safetensors")
    assert all(torch.equal(ours[name].reshape(theirs[name].shape), theirs[name]) for name in ours)
    state = json.loads((made / "state.json").read_text())
    *_, last = state
    seal = state.pop(last)
    assert last == "sha256" and seal == hashlib.sha256(json.dumps(state).encode()).hexdigest()
    assert state["shapes"] == {name: list(tensor.shape) for name, tensor in ours.items()}
    data = (made / "rank-0.safetensors").read_bytes()
    assert state["files"] == {"rank-0.safetensors": hashlib.sha256(data).hexdigest()}


def test_a_flipped_bit_is_seen_wherever_it_is(copy):
    """A sample, and all bits of the hash; tests/stress/kill.py --flips tries all of the JSON."""
    path = copy / "state.json"
    data = path.read_bytes()
    last = 8 * (len(data) - 100)
    for at in [*range(0, last, 101), *range(last, 8 * len(data))]:
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(Damaged):
            checkpoints.read_state(copy, 7)
    path.write_bytes(data)
    assert is_whole(copy)
    rng = random.Random(0)
    with open(copy / "rank-0.safetensors", "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for _ in range(20):
            at = rng.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            for value in (byte ^ 1 << rng.randrange(8), byte):
                file.seek(at)
                file.write(bytes([value]))
                file.flush()
                if value != byte:
                    assert not is_whole(copy)
    assert is_whole(copy)


def test_what_is_planted_is_passed_over_and_never_run(copy, tmp_path, model_dir):
    class Planted:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    pickled = pickle.dumps(Planted())
    size = (copy / "rank-0.safetensors").stat().st_size
    (copy / ".metadata").write_bytes(pickled)  # what torch.distributed.checkpoint would load
    assert is_whole(copy) and load_back(model_dir, copy)
    for planted in (pickled, pickled.ljust(size, b"\0")):
        (copy / "rank-0.safetensors").write_bytes(planted)
        assert not is_whole(copy)
        reseal(copy)  # by somebody who knows how
        assert is_whole(copy)
        with pytest.raises(InputError, match="step-000007: "):
            load_back(model_dir, copy)
    assert not (tmp_path / "executed").exists()


def reseal(folder, **changed):
    """Write the hashes of the files that are there, as one who plants something would."""
    path = folder / "state.json"
    state = {**json.loads(path.read_text()), **changed}
    del state["sha256"]
    for name in state["files"] if "files" not in changed else ():
        state["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text(checkpoints.sealed(state))


def test_right_hashes_over_wrong_contents_are_refused_by_name(copy, model_dir):
    file = copy / "rank-0.safetensors"
    tensors = load_file(file)
    name = "critic.lm_head.weight"
    first = dict.fromkeys(tensors, "0")
    whole = file.read_bytes()
    wrong = [
        ({key: tensor for key, tensor in tensors.items() if key != name}, first),
        (tensors | {name: tensors[name][1:]}, first),
        (tensors | {name: tensors[name].double()}, first),
        (tensors | {name: tensors[name][:, 1:].contiguous()}, first),
        (tensors, first | {name: "1"}),
        (tensors, first | {name: "x"}),
        (tensors, first | {name: "-1"}),
    ]
    for changed, metadata in wrong:
        save_file(changed, file, metadata)
        reseal(copy)
        with pytest.raises(InputError, match="step-000007: "):
            load_back(model_dir, copy)
    file.write_bytes(whole)
    for changed in ({"shapes": {}}, {"notes": {"recent": [], "warned": 5}}, {"notes": {}}):
        original = (copy / "state.json").read_bytes()
        reseal(copy, **changed)
        with pytest.raises(InputError, match="is not of this model and script"):
            load_back(model_dir, copy)
        (copy / "state.json").write_bytes(original)
    for changed in ({"step": 8}, {"files": {"../x": "0"}}, {"run": 5}, {"more": 1}):
        original = (copy / "state.json").read_bytes()
        reseal(copy, **changed)
        assert not is_whole(copy)
        (copy / "state.json").write_bytes(original)


def test_exchanged_shards_are_seen_or_read_where_they_belong(tmp_path, model_dir, made):
    folder = tmp_path / "step-000007"
    run_processes(2, lambda: save(model_dir, folder), tmp_path / "first")
    os.rename(folder / "rank-0.safetensors", folder / "x")
    os.rename(folder / "rank-1.safetensors", folder / "rank-0.safetensors")
    os.rename(folder / "x", folder / "rank-1.safetensors")
    assert not is_whole(folder)
    reseal(folder)
    expected = load_back(model_dir, made)
    found = load_back(model_dir, folder)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


# ------------------------------------------------------------------------------------ what is kept

def survey(folder, run="run"):
    whole, damaged = checkpoints.survey(folder, run)
    return [path.name for path in whole], [path.name for path in damaged]


def test_only_folders_of_the_run_s_own_are_counted_and_removed(copy, tmp_path, capsys):
    """A user's checkpoints/step-backup was deleted."""
    mine = ["step-backup", "step-7", "step-0000007", "step-000003 (copy)", "notes"]
    for name in mine:
        shutil.copytree(copy, tmp_path / name)
    (tmp_path / "step-000001").mkdir()
    (tmp_path / "step-000001/rank-0.safetensors").touch()
    (tmp_path / "step-000002").mkdir()
    (tmp_path / "step-000002/rank-0.safetensors").touch()
    (tmp_path / "step-000002/my notes").touch()
    shutil.copytree(copy, tmp_path / "step-1000000.part")
    (tmp_path / "step-000003").symlink_to("step-backup")
    (tmp_path / "step-000004").touch()
    assert survey(tmp_path) == (["step-000007"], ["step-000001", "step-1000000.part"])
    assert "step-000001: damaged or half written; ignored" in capsys.readouterr().out
    for path in tmp_path.iterdir():
        if checkpoints.FOLDER.fullmatch(path.name):
            checkpoints.remove(path)
    left = sorted(path.name for path in tmp_path.iterdir())
    # step-0000007 is no name that this program gives, and nothing asks to remove it
    assert set(mine) - {"step-0000007"} | {"step-000002", "step-000003", "step-000004"} <= set(left)
    assert os.listdir(tmp_path / "step-000002") == ["my notes"]
    assert len(os.listdir(tmp_path / "step-backup")) == 2


@pytest.mark.parametrize("place", ["link", "file", "folder", "folder as its file", "other run"])
def test_what_stands_in_the_place_of_a_later_checkpoint_is_named_at_once(copy, tmp_path, place):
    later = tmp_path / "step-000009"
    if place == "link":
        later.symlink_to("absent")
    elif place == "file":
        later.touch()
    elif place == "folder":
        later.mkdir()
        (later / "my notes").touch()
    elif place == "folder as its file":  # it ended the run at the next checkpoint
        (later / "rank-0.safetensors").mkdir(parents=True)
    else:
        shutil.copytree(copy, later)
        reseal(later, step=9, run="other")
    with pytest.raises(InputError, match="step-000009: .* move it away"):
        survey(tmp_path)


def test_steps_past_a_million_are_the_newest(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "step-1000000")
    reseal(tmp_path / "step-1000000", step=1_000_000)
    assert survey(tmp_path)[0] == ["step-000007", "step-1000000"]


def test_a_link_to_a_whole_checkpoint_is_one(copy, tmp_path):
    os.rename(copy, tmp_path / "elsewhere")
    copy.symlink_to("elsewhere")
    assert survey(tmp_path)[0] == ["step-000007"]
    checkpoints.remove(copy)
    assert copy.is_symlink() and len(os.listdir(copy)) == 2
