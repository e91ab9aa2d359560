"""Flags, defaults, the newest run, the optimizer and sums: what the scripts share."""

import dataclasses
import os
import re
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch

import dpo
import ppo
import sft
from llama import warn_of_length
from plumbing.files import InputError
from plumbing.flags import cli, flag, parse_flags
from plumbing.optimizer import NotFinite, adamw, clip_and_step
from plumbing.parallel import all_sum, all_sums, own_device
from tests.conftest import ROOT, assert_one_line_error, run_script


@dataclass(frozen=True)
class Flags:
    steps: int = flag(3, "how many", least=1)
    rate: float = flag(0.5, "of what", least=0)
    bold: bool = flag(True, "or not")
    kind: str = flag("a", "which", choices=("a", "b"))


PRESETS = {"small": Flags(), "large": Flags(steps=9, kind="b")}


def test_every_field_is_a_flag_and_presets_give_other_defaults():
    assert parse_flags(PRESETS, "", []) == Flags()
    given = ["--preset", "large", "--rate", "2", "--no-bold"]
    assert parse_flags(PRESETS, "", given) == Flags(9, 2.0, False, "b")
    for wrong in (["--steps", "0"], ["--rate", "inf"], ["--rate", "nan"], ["--kind", "c"],
                  ["--step", "1"], ["--steps", "x"]):
        with pytest.raises(InputError, match=wrong[0]):
            parse_flags(PRESETS, "", wrong)


def help_of(presets, capsys):
    """What --help prints."""
    with pytest.raises(SystemExit):
        parse_flags(presets, "", ["--help"])
    return capsys.readouterr().out


def test_a_flag_of_several_words_is_a_list_and_has_no_default_to_show(capsys):
    @dataclass(frozen=True)
    class Several:
        runs: tuple = flag((), "which, 50% of them")
        n: int = flag(0, "how many")

    presets = {"": Several()}
    assert parse_flags(presets, "", []).runs == ()
    assert list(parse_flags(presets, "", ["--runs", "a", "b", "--n", "1"]).runs) == ["a", "b"]
    with pytest.raises(InputError, match="--runs"):
        parse_flags(presets, "", ["--runs"])
    with pytest.raises(SystemExit):
        parse_flags(presets, "", ["--help"])
    shown = capsys.readouterr().out
    assert "which, 50% of them\n" in shown and "how many (default: 0)" in shown
    assert "--runs PATH [PATH ...]" in shown


def test_help_tells_the_default_and_where_presets_differ_that_of_each(capsys):
    text = " ".join(help_of(PRESETS, capsys).split())
    assert "of what (default: 0.5)" in text and "or not (default: True)" in text
    assert "(default: small a, large b)" in text


@dataclass(frozen=True)
class GroupedFlags:
    seed: int = flag(0, "of no group", least=0)
    device: str = flag("cpu", "hardware, first", group="hardware")
    data: str = flag("here", "a file", group="files")
    dtype: str = flag("fp32", "hardware, second", choices=("fp32", "bf16"), group="hardware")
    pkt: bool = flag(True, "of no group, last", needs="data")


def test_help_shows_the_groups_in_the_order_in_which_the_fields_name_them(capsys):
    words = help_of({"": GroupedFlags()}, capsys).partition("\n\n")[2].split()  # without the usage
    expected = ["--help", "--seed", "--pkt", "hardware:", "--device", "--dtype", "files:", "--data"]
    shown = [word.rstrip(",") for word in words]
    assert [word for word in shown if word in expected] == expected


def test_a_flag_of_a_group_is_read_like_any_other():
    presets = {"one": GroupedFlags(), "two": GroupedFlags(device="cuda")}
    given = ["--preset", "two", "--dtype", "bf16", "--no-pkt", "--seed", "4"]
    assert parse_flags(presets, "", given) == GroupedFlags(4, "cuda", "here", "bf16", False)
    with pytest.raises(InputError, match="--data: is empty"):
        parse_flags(presets, "", ["--data", ""])
    with pytest.raises(InputError, match="--dtype"):
        parse_flags(presets, "", ["--dtype", "fp8"])


@dataclass(frozen=True)
class NeedingFlags:
    pkt: bool = flag(True, "on or off")
    w_max: float = flag(9.0, "of PKT", least=1, most=20, needs="pkt")


def test_a_flag_without_the_one_that_it_needs_is_refused_by_name():
    presets = {"": NeedingFlags()}
    assert parse_flags(presets, "", ["--no-pkt"]) == NeedingFlags(False, 9.0)
    with pytest.raises(InputError, match="^--w-max: does nothing without --pkt$"):
        parse_flags(presets, "", ["--no-pkt", "--w-max", "3"])
    with pytest.raises(InputError, match="^--w-max: 30.0 must be a number from 1 to 20$"):
        parse_flags(presets, "", ["--w-max", "30"])


def test_what_is_longer_than_the_model_was_made_for_is_counted(capsys):
    config = SimpleNamespace(max_position_embeddings=10)
    warn_of_length([9, 10, 11, 400], config, "rows", "runs/x")
    assert capsys.readouterr().out == (
        "2 of 4 rows are longer than the 10 tokens that runs/x was made for\n")
    warn_of_length([9, 10], config, "rows", "runs/x")
    assert not capsys.readouterr().out


@pytest.mark.parametrize("name", [
    "tokenizer", "out", "lora_rank", "lora_alpha", "warmup_ratio", "dtype",
    "checkpoint_activations", "device", "save_every", "keep", "plan"])
def test_a_flag_of_all_training_scripts_has_one_help_text(name):
    """They were copied, and drifted: two scripts did not say what is recomputed."""
    texts = []
    for script in (sft, ppo, dpo):
        field = script.Flags.__dataclass_fields__[name]
        texts.append(field.metadata["help"])
    assert texts[0] and texts == [texts[0]] * 3


def test_defaults_are_the_embedded_files_whatever_the_working_directory():
    home = os.path.dirname(os.path.abspath(sft.__file__))
    assert sft.Flags().model == os.path.join(home, "data", "tiny")
    assert sft.Flags().data == os.path.join(home, "data", "train.json")
    assert ppo.Flags().data == os.path.join(home, "data", "rl.json")
    assert ppo.Flags().model == "" and ppo.Flags().eval_data == ""


def test_ppo_names_the_command_that_makes_what_it_needs(tmp_path):
    assert_one_line_error(run_script(ppo.__file__, cwd=tmp_path), "--model", "python sft.py")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_moves_nothing(value):
    layer = torch.nn.Linear(3, 2)
    before = [p.detach().clone() for p in layer.parameters()]
    optimizer = torch.optim.AdamW(layer.parameters())
    (layer(torch.ones(1, 3)).sum() * value).backward()
    with pytest.raises(NotFinite, match="gradient's norm is"):
        clip_and_step(layer, optimizer, 1.0, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
    assert not optimizer.state


def test_adamw_steps_the_parameters_of_a_list_and_decays_its_matrices_only():
    """Pretraining leaves some matrices to Muon."""
    one, two = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    optimizer = adamw([one.weight, two.bias], weight_decay=0.1)
    decayed, not_decayed = optimizer.param_groups
    assert decayed["params"] == [one.weight] and decayed["weight_decay"] == 0.1
    assert not_decayed["params"] == [two.bias] and not_decayed["weight_decay"] == 0.0
    assert set(optimizer.state) == {one.weight, two.bias}


def test_one_process_sums_to_itself():
    assert all_sum(3) == 3.0
    assert all_sums({"a": 1, "b": torch.tensor(2.5)}) == {"a": 1.0, "b": 2.5}
    x = torch.tensor([1.0, 2.0])
    assert torch.equal(all_sum(x), x.double()) and all_sum(x) is not x
    assert own_device("cpu") == torch.device("cpu")


# ------------------------------------------------------------------------------------------- memory

def out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nSee the manual.")


@pytest.mark.parametrize("work", [
    lambda: torch.empty(2**58, dtype=torch.uint8),  # the CPU's own error
    out_of_memory,
    lambda: bytearray(2**60)])
def test_missing_memory_is_one_line_that_names_the_flag(work, capsys):
    with pytest.raises(SystemExit) as end:
        cli(work, lower="--micro-tokens")
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "out of memory; lower --micro-tokens (" in lines[0]


def test_another_runtime_error_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="shapes"):
        cli(lambda: torch.ones(2, 3) @ torch.ones(2, 3), lower="--micro-tokens")


@pytest.mark.parametrize("script", ["sft", "ppo", "dpo", "preferences", "evaluate"])
def test_a_script_names_flags_that_it_has(script):
    text = (ROOT / f"{script}.py").read_text()
    named = re.findall(r"--[a-z-]+", text[text.rindex("cli(main, lower="):])
    fields = {field.name for field in dataclasses.fields(import_module(script).Flags)}
    assert named and {name[2:].replace("-", "_") for name in named} <= fields
