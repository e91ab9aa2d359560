"""Flags, runs and defaults: what both scripts share."""

import os
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

import ppo
import sft
from model import warn_of_length
from plumbing.files import InputError
from plumbing.flags import flag, parse_flags
from plumbing.optimizer import NotFinite, clip_and_step
from plumbing.parallel import all_sum, all_sums, own_device
from plumbing.runs import newest_run
from tests.conftest import assert_one_line_error, run_script


@dataclass(frozen=True)
class Flags:
    steps: int = flag(3, "how many", least=1)
    rate: float = flag(0.5, "of what", least=0)
    bold: bool = flag(True, "or not")
    kind: str = flag("a", "which", choices=("a", "b"))


def test_every_field_is_a_flag_and_presets_give_other_defaults():
    presets = {"small": Flags(), "large": Flags(steps=9, kind="b")}
    assert parse_flags(presets, "", []) == Flags()
    assert parse_flags(presets, "", ["--preset", "large", "--rate", "2", "--no-bold"]) == Flags(
        9, 2.0, False, "b")
    for wrong in (["--steps", "0"], ["--rate", "inf"], ["--kind", "c"], ["--step", "1"], ["--steps", "x"]):
        with pytest.raises(InputError, match=wrong[0]):
            parse_flags(presets, "", wrong)


def test_help_tells_the_default_and_where_presets_differ_that_of_each(capsys):
    with pytest.raises(SystemExit):
        parse_flags({"small": Flags(), "large": Flags(steps=9, kind="b")}, "", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "of what (default: 0.5)" in text and "or not (default: True)" in text
    assert "(default: small a, large b)" in text


def test_what_is_longer_than_the_model_was_made_for_is_counted(capsys):
    config = SimpleNamespace(max_position_embeddings=10)
    warn_of_length([9, 10, 11, 400], config, "rows", "runs/x")
    assert capsys.readouterr().out == "2 of 4 rows are longer than the 10 tokens that runs/x was made for\n"
    warn_of_length([9, 10], config, "rows", "runs/x")
    assert not capsys.readouterr().out


def test_defaults_are_the_embedded_files_whatever_the_working_directory():
    for given, name in ((sft.Flags().model, "tiny"), (sft.Flags().data, "train.json"),
                        (ppo.Flags().data, "rl.json")):
        assert given == os.path.join(os.path.dirname(os.path.abspath(sft.__file__)), "data", name)
    assert ppo.Flags().model == "" and ppo.Flags().eval_data == ""


def test_ppo_names_the_command_that_makes_what_it_needs(tmp_path):
    assert_one_line_error(run_script(ppo.__file__, cwd=tmp_path), "--model", "python sft.py")


def test_the_newest_finished_run_of_a_script(tmp_path):
    def run(name, script, age, files=("config.json", "model.safetensors")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flags.json").write_text('{"script": "%s"}' % script)
        for file in files:
            (tmp_path / name / file).touch()
            os.utime(tmp_path / name / file, (1e9 - age, 1e9 - age))

    assert newest_run("sft", tmp_path) is None
    run("old", "sft", 20), run("new", "sft", 10), run("other", "ppo", 5), run("cut", "sft", 1, ["x.json"])
    assert newest_run("sft", tmp_path).name == "new" and newest_run("", tmp_path).name == "other"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_moves_nothing(value):
    layer = torch.nn.Linear(3, 2)
    before = [p.detach().clone() for p in layer.parameters()]
    optimizer = torch.optim.AdamW(layer.parameters())
    (layer(torch.ones(1, 3)).sum() * value).backward()
    with pytest.raises(NotFinite, match="gradient's norm is"):
        clip_and_step(layer, optimizer, 1.0, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters())) and not optimizer.state


def test_one_process_sums_to_itself():
    assert all_sum(3) == 3.0 and all_sums({"a": 1, "b": torch.tensor(2.5)}) == {"a": 1.0, "b": 2.5}
    x = torch.tensor([1.0, 2.0])
    assert torch.equal(all_sum(x), x.double()) and all_sum(x) is not x
    assert own_device("cpu") == torch.device("cpu")
