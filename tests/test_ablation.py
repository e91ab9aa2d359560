"""The ablation: the commands of its rows, its tables on outcomes written by hand, and kills.

Where whole cells run here, small programs stand in the place of sft.py and evaluate.py: what is
tested is what runs when, what is kept, and what comes out. tests/stress/ablation.py does the same
with the real ones.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import ablation
import evaluate
from evaluation import ablation_tables, effects
from evaluation.differences import Estimate
from evaluation.outcomes import dialogue_outcomes, pack, unpack
from plumbing import stages
from plumbing.files import InputError
from plumbing.flags import cli, parse_flags
from tests.conftest import item, real
from toolbox import synthesize


@pytest.fixture
def flags(tmp_path):
    return Namespace(out=tmp_path, model=str(ablation.ROOT / "data/tiny"), data="", preset="tiny",
                     bench=["embedded", "toolbox"], items=0, prompts=0, lora_rank=0,
                     max_new_tokens=96)


def commands(row, flags):
    """The commands of a cell of seed 3, as they are typed."""
    return [stages.typed(stage.command, flags.out) for stage in ablation.stages_of(row, 3, flags)]


# -------------------------------------------------------------------------------- rows and stages

def test_the_commands_of_the_row_with_every_part(flags):
    test = "--limit 0 --batch-size 32 --max-new-tokens 96"
    assert commands("mae-pkt-irm-ttpa", flags) == [
        "python sft.py --seed 3 --model data/tiny --data data/train.json",
        "python ppo.py --seed 3 --model OUT/seed-3/sft-mae-pkt --data data/rl.json "
        "--show-every 0 --save-every 10",
        "python preferences.py --seed 3 --model OUT/seed-3/ppo-mae-pkt-irm --data data/rl.json",
        "python dpo.py --seed 3 --model OUT/seed-3/ppo-mae-pkt-irm "
        "--data OUT/seed-3/preferences-mae-pkt-irm-ttpa",
        f"python evaluate.py --bench embedded --model OUT/seed-3/dpo-mae-pkt-irm-ttpa {test}",
        f"python evaluate.py --bench toolbox --model OUT/seed-3/dpo-mae-pkt-irm-ttpa {test}"]


def test_adapters_are_for_every_script_that_trains(flags):
    flags.lora_rank = 8
    for command in commands("mae-pkt-irm-ttpa", flags):
        script = command.split()[1]
        assert (" --lora-rank 8 " in command) == (script in ("sft.py", "ppo.py", "dpo.py"))


@pytest.mark.parametrize("row, off", [
    ("none", " --no-mae --no-pkt"), ("mae", " --no-pkt"), ("pkt", " --no-mae"), ("mae-pkt", ""),
    ("irm", " --no-mae --no-pkt"), ("mae-irm", " --no-pkt"), ("pkt-irm", " --no-mae")])
def test_stage_1_of_every_row_of_table_5(flags, row, off):
    first, second, *_ = commands(row, flags)
    assert first == f"python sft.py --seed 3 --model data/tiny --data data/train.json{off}"
    assert second.startswith("python ppo.py") == row.endswith("irm")


def test_the_rows_of_the_dose_train_on_files_with_more_errors(flags):
    made, trained, *_ = commands("mae-errors35", flags)
    assert made == "python -m toolbox.synthesize --error-share 0.35"
    assert trained == ("python sft.py --seed 3 --model data/tiny --data OUT/errors35/train.json "
                       "--no-pkt")


def test_what_rows_share_is_one_stage(flags):
    """Four models of stage 1, four of PPO, two of TTPA with their pairs: 12 for ten rows."""
    names = set()
    for row in ablation.ROWS:
        if "errors" not in row:
            names |= {stage.name for stage in ablation.training_stages(row, 0, flags)}
    assert sorted(name.split("/")[1] for name in names) == [
        "dpo-mae-pkt-irm-ttpa", "dpo-mae-pkt-ttpa", "ppo-irm", "ppo-mae-irm", "ppo-mae-pkt-irm",
        "ppo-pkt-irm", "preferences-mae-pkt-irm-ttpa", "preferences-mae-pkt-ttpa",
        "sft-mae", "sft-mae-pkt", "sft-none", "sft-pkt"]


def test_every_stage_needs_one_that_comes_before(flags):
    for row in ablation.ROWS:
        known = {""}
        for stage in ablation.stages_of(row, 0, flags):
            assert stage.needs in known
            known.add(stage.name)


def test_every_script_understands_its_command(flags):
    """All rows, against the flags that the scripts declare; a path may not exist yet."""
    presets = {f"{name}.py": script.PRESETS for name, script in ablation.SCRIPTS.items()}
    presets["evaluate.py"] = {"": evaluate.Flags()}
    understood = set()
    for row in ablation.ROWS:
        for stage in ablation.stages_of(row, 0, flags):
            script, *words = stage.command
            if script == "-m":
                assert words[0] == "toolbox.synthesize" and words[1] == "--error-share"
                assert 0 <= synthesize.share(words[2]) <= 1
                continue
            read = parse_flags(presets[script], "", [*words, "--out", "x", "--device", "cpu"])
            assert read.out == "x"
            understood.add(script)
    assert understood == presets.keys()


def test_a_cell_depends_on_the_presets_of_its_own_scripts_alone(flags):
    described = {"model": "a", "preset of sft.py": "b", "preset of ppo.py": "c",
                 "preset of dpo.py": "d"}
    chosen = ablation.inputs_of(ablation.stages_of("irm", 0, flags), described)
    assert chosen.keys() == {"model", "preset of sft.py", "preset of ppo.py"}


def test_a_row_takes_one_line(flags, monkeypatch):
    monkeypatch.setitem(ablation.ROWS, "pkt-ttpa", "PKT, TTPA")
    assert [command.split()[1] for command in commands("pkt-ttpa", flags)] == [
        "sft.py", "preferences.py", "dpo.py", "evaluate.py", "evaluate.py"]
    monkeypatch.setattr(sys, "argv", ["ablation.py", "--rows", "pkt-ttpa"])
    assert ablation.read_flags().rows == ["pkt-ttpa"]


def test_claims_and_doses_are_about_rows_that_exist():
    named = {row for claim in ablation_tables.CLAIMS for row in claim.rows}
    for pair in (*ablation_tables.DOSES.values(), *ablation_tables.PREFIX_PAIRS,
                 *ablation_tables.ERROR_PAIRS):
        named |= set(pair)
    assert named <= set(ablation.ROWS) and set(ablation_tables.PAPER) <= set(ablation.ROWS)


def test_the_paper_s_table_is_that_of_the_paper():
    text = real("paper/TL-Training.txt").read_text()
    lines = text.partition("Table 5. ")[2].partition("Implementation Details")[0].splitlines()
    rows = [line.split("\t")[1:] for line in lines if line.count("\t") == 9][-8:]
    printed = [tuple(map(float, row)) for row in rows]
    assert printed == list(ablation_tables.PAPER.values())


# ------------------------------------------------------------------------------------- the tables

def outcome(right, faults=None):
    """The tables of a cell: TS of four calls; of two dialogues of 2 and 8 calls, their errors."""
    n = len(right)
    calls = {"group": ["seen", "unseen"] * (n // 2), "TS": right, "PI": right, "CF": right,
             "errors": ["" if each else "wrong tool" for each in right],
             "prefix": [0, 2] * (n // 2)}
    faults = faults or [0, 0]
    dialogues = {"calls": [2, 8], "DE": [0, 0], "CE": faults, "VA": [0, 1],
                 "first_error": [0, 0], "retries": faults, "failed_retries": [0, 0]}
    return {"embedded": calls, "toolbox": dialogues}


FOUND = {
    "none": {0: outcome([0, 0, 1, 1], [1, 3]), 1: outcome([0, 1, 1, 1], [1, 1])},
    "mae": {0: outcome([1, 0, 1, 1], [0, 1]), 1: outcome([1, 1, 1, 1], [0, 0])},
}


def test_a_value_is_the_mean_over_seeds_with_their_standard_deviation():
    measures = effects.measures_of(FOUND)
    assert effects.over_seeds(FOUND, "none", measures["TS"]) == pytest.approx((62.5, 17.678), 1e-4)
    assert effects.over_seeds(FOUND, "none", measures["CF seen"]) == (50, 0)
    # 4 and 2 of ten calls, however they spread over the dialogues
    faults = effects.over_seeds(FOUND, "none", measures["DE + CE"])
    assert faults == pytest.approx((30, 14.142), 1e-4)
    assert effects.value_cell(FOUND, "none", measures["TS"]) == "62.5 ± 17.7"
    assert effects.value_cell(FOUND, "pkt", measures["TS"]) == "not run"
    assert effects.item_count(FOUND, measures["TS seen"]) == 2


def test_a_difference_is_paired_by_item_and_seed():
    """Item 0 becomes right in both seeds, nothing else changes: +25, with no spread of seeds."""
    measures = effects.measures_of(FOUND)
    found = effects.contrast(FOUND, {"mae": 1, "none": -1}, measures["TS"])
    assert found.mean == 25 and found.error == pytest.approx(25)  # of items 100, 0, 0, 0
    assert (found.items, found.seeds) == (4, 2)
    faults = effects.contrast(FOUND, {"mae": 1, "none": -1}, measures["DE + CE"])
    assert faults.mean == pytest.approx(-25)
    assert effects.contrast(FOUND, {"pkt": 1, "none": -1}, measures["TS"]) is None


def test_a_part_s_main_effect_is_its_coefficient_in_a_regression_on_all_eight_rows():
    rng = np.random.default_rng(0)
    found = {row: {seed: outcome(rng.integers(0, 2, 8).tolist()) for seed in range(2)}
             for row in ablation_tables.PAPER}
    measure = effects.measures_of(found)["TS"]
    trained = [("mae" in row, "pkt" in row, "irm" in row) for row in found]
    design = np.column_stack([np.ones(8), np.array(trained)])
    values = [effects.over_seeds(found, row, measure)[0] for row in found]
    slopes = np.linalg.lstsq(design, values)[0][1:]
    for slope, pairs in zip(slopes, ablation_tables.PARTS.values(), strict=True):
        estimate = effects.contrast(found, effects.main_effect(pairs), measure)
        assert estimate.mean == pytest.approx(slope) and estimate.items == 8
    text = "\n".join(ablation_tables.tables(found, ablation.ROWS))
    assert "|  | MAE | PKT | IRM |" in text.partition("Each part")[2].partition("claims")[0]
    assert "errors of retries (n 2) | nothing to count |" in text and "nan" not in text


def test_seeds_that_only_one_row_has_do_not_count():
    found = {"none": FOUND["none"], "mae": {1: FOUND["mae"][1], 7: FOUND["mae"][0]}}
    measures = effects.measures_of(found)
    assert effects.contrast(found, {"mae": 1, "none": -1}, measures["TS"]).seeds == 1
    other = {"none": FOUND["none"], "mae": {7: FOUND["mae"][0]}}
    assert effects.contrast(other, {"mae": 1, "none": -1}, measures["TS"]) is None


def test_a_claim_is_confirmed_refuted_or_not_to_be_told():
    def found(low, high, seeds=5):
        return Estimate((low + high) / 2, 0.1, low, high, seeds, 100)

    assert effects.verdict(found(0.1, 0.3), 1) == "confirmed"
    assert effects.verdict(found(0.1, 0.3), -1) == "refuted"
    assert effects.verdict(found(-0.3, -0.1), -1) == "confirmed"
    assert effects.verdict(found(-0.1, 0.3), 1) == "undecided"
    assert effects.verdict(found(0.1, 0.3, seeds=1), 1) == "undecided"
    assert effects.verdict(None, 1) == "not run"


def test_named_errors_are_counted_over_all_items():
    wrong_tool = next(measure for measure in effects.error_measures(FOUND, "embedded")
                      if measure.title == "wrong tool")
    assert effects.over_seeds(FOUND, "none", wrong_tool)[0] == 1.5  # 2 and 1 of four


def test_all_tables_and_both_figures_are_made():
    found = {**FOUND, "errors60": FOUND["none"], "mae-errors60": FOUND["mae"]}
    text = "\n".join(ablation_tables.tables(found, ablation.ROWS))
    assert "| MAE lowers the errors in dialogues | DE + CE | -25.0 ±" in text
    assert "| PKT improves tool selection | TS |  |  |  | not run |" in text
    assert "seeds | 2 | 2 |" in text
    made = ablation_tables.pictures(found, ablation.ROWS)
    assert "MAE" in made["rows.svg"] and "with MAE, 60%: 5 (" in made["dose.svg"]
    assert "with MAE, 35%" not in made["dose.svg"]
    assert "Errors in dialogues by erroneous" in made["dose.svg"]
    assert "Errors of first calls by erroneous" in made["dose-first.svg"]
    paper = list(ablation_tables.paper_table(found, ablation.ROWS))
    assert len(paper) == 10 and "| 74.56 |" in paper[2] and "| 50.0 ± 0.0 |" in paper[2]


def test_errors_of_dialogues_are_told_apart_by_what_came_before(tmp_path):
    """An error, an error, a right call, an error; then a dialogue that is right, and one error."""
    wrong, right = ("sing\n{}", "name 'sing' is not defined"), ('get_news\n{"topic": "x"}', "[]")
    records = []
    for place, exchanges in enumerate(([wrong, wrong, right, wrong], [right, right], [wrong])):
        turns = [("user", "q")]
        for call, feedback in exchanges:
            turns += [("assistant", call), ("function", feedback)]
        counts = {"calls": len(exchanges), "DE": 0, "CE": 0, "VA": 0}
        records.append(item(*turns, ("assistant", 'finish\n{"answer": "a"}'))
                       | {"id": str(place), **counts})
    (tmp_path / "dialogues.json").write_text(json.dumps(records))
    tasks = [Namespace(id=str(place)) for place in range(3)]
    table = dialogue_outcomes(tmp_path, tasks)
    assert table["first_error"] == [1, 0, 1]
    assert table["retries"] == [3, 0, 1]         # the last one is followed by finish
    assert table["failed_retries"] == [1, 0, 0]
    found = {"none": {0: {"toolbox": table}}}
    measures = effects.measures_of(found)
    values = {name: effects.over_seeds(found, "none", measures[name])[0]
              for name in ("errors of first calls", "errors of retries")}
    assert values == {"errors of first calls": pytest.approx(200 / 3), "errors of retries": 25}


def test_outcomes_of_other_columns_are_not_mixed(tmp_path):
    for seed, columns in ((0, ("calls", "DE")), (1, ("calls",))):
        tables = {"toolbox": {name: pack([1, 0]) for name in columns}}
        (tmp_path / f"none-{seed}.json").write_text(json.dumps(
            {"row": "none", "seed": seed, "inputs": {}, "made": {}, "outcomes": tables}))
    with pytest.raises(InputError, match="none-1.json: has other columns"):
        effects.read_outcomes([tmp_path], {})


def test_a_column_is_a_letter_an_item_and_comes_back():
    values = ["", "wrong tool", "", "wrong content"]
    assert len(pack(values)["items"]) == 4
    assert unpack(json.loads(json.dumps(pack(values))), "x") == values
    with pytest.raises(InputError, match="a.json: TS: no column"):
        unpack({"values": [1], "items": "05"}, "a.json: TS")
    with pytest.raises(ValueError, match="99 distinct"):
        pack(list(range(99)))


# ------------------------------------------------------------------------------------------ kills

# Training that leaves its seed and its flags; it takes a moment, and more if it is cut short.
FAKE_SFT = """
import pathlib, sys, time
flags = {word: sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1])}
folder = pathlib.Path(flags["--out"])
folder.mkdir(parents=True, exist_ok=True)
with open(folder.parents[1] / "starts", "a") as file:
    file.write(folder.name + "\\n")
time.sleep(0.15)
(folder / "aside").write_text(f"{flags['--seed']} {'--no-mae' in sys.argv}")
(folder / "aside").rename(folder / "config.json")
"""
# An evaluation whose answers are a function of the model and of the item.
FAKE_EVALUATE = """
import hashlib, json, pathlib, sys
flags = {word: sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1])}
folder = pathlib.Path(flags["--out"])
folder.mkdir(parents=True, exist_ok=True)
model = pathlib.Path(flags["--model"], "config.json").read_text()
lines = []
for id in json.loads(pathlib.Path("ids.json").read_text())[flags["--limit"]]:
    right = hashlib.sha256((model + id).encode()).digest()[0] % 2
    score = {"id": id, "TS": right, "PI": right, "CF": right, "errors": []}
    lines.append(json.dumps(score))
(folder / "items.jsonl").write_text("\\n".join(lines) + "\\n")
(folder / "scores.json").write_text("{}")
"""
ARGUMENTS = ["--rows", "none", "mae", "--seeds", "0", "1", "--bench", "no_tool", "--items", "2"]


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """A folder with scripts in the place of ours, from which stages start."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "sft.py").write_text(FAKE_SFT)
    (folder / "evaluate.py").write_text(FAKE_EVALUATE)
    ids = {}
    for items in (1, 2):
        tasks = ablation.bench_tasks("no_tool", Namespace(items=items))
        ids[items] = [task.id for task in tasks]
    (folder / "ids.json").write_text(json.dumps(ids))
    monkeypatch.setattr(stages, "ROOT", folder)
    return folder


def begin(out, *more):
    """A child that runs the ablation as a user would, into `out`."""
    def child():
        os.dup2(os.open(out.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (as long as the child lives)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (likewise)
        sys.argv = ["ablation.py", "--out", str(out), *ARGUMENTS, *more]
        cli(ablation.main)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def finish(out, *more):
    """Run it to the end."""
    process = begin(out, *more)
    process.join()
    assert process.exitcode == 0, out.with_suffix(".txt").read_text()


def begun(out):
    """How many trainings have begun."""
    starts = out / "starts"
    return len(starts.read_text().split()) if starts.exists() else 0


def results(out):
    """The table, and all outcomes without what made them."""
    found = {"table": (out / "table.md").read_text()}
    for file in sorted((out / "outcomes").iterdir()):
        record = json.loads(file.read_text())
        del record["made"]
        found[file.name] = record
    return found


def test_killed_at_random_moments_it_ends_with_the_same_table(fakes, tmp_path):
    finish(tmp_path / "straight")
    expected = results(tmp_path / "straight")
    assert sorted(expected) == ["mae-0.json", "mae-1.json", "none-0.json", "none-1.json", "table"]
    rng = random.Random(0)
    out = tmp_path / "killed"
    kills = 0
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        before = begun(out)
        process = begin(out)
        while process.is_alive() and begun(out) == before:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        if process.is_alive():
            os.kill(process.pid, number)
            kills += 1
        process.join()
    finish(out)
    assert results(out) == expected
    assert kills >= 2
    starts = (tmp_path / "straight/starts").read_text().split()
    assert sorted(starts) == ["sft-mae", "sft-mae", "sft-none", "sft-none"]  # each once a seed


def test_what_is_finished_is_kept_and_committed_outcomes_are_taken_over(
        fakes, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "COMMITTED", tmp_path / "first/outcomes")
    finish(tmp_path / "first")
    finish(tmp_path / "second")
    assert not (tmp_path / "second/starts").exists()  # nothing had to be trained
    assert results(tmp_path / "second") == results(tmp_path / "first")
    less = ("--rows", "none", "--seeds", "0")
    finish(tmp_path / "third", *less, "--items", "1")  # about other items: not taken over
    assert (tmp_path / "third/starts").read_text().split() == ["sft-none"]
    process = begin(tmp_path / "third", *less)
    process.join()
    said = (tmp_path / "third.txt").read_text()
    assert process.exitcode == 2 and "holds answers for no_tool" in said
    assert "Traceback" not in said


def test_finished_stages_of_other_flags_are_not_taken_for_these(fakes, tmp_path, monkeypatch):
    """Neither in the folder, nor of what is committed, and in the same folder in neither order."""
    monkeypatch.setattr(ablation, "COMMITTED", tmp_path / "plain/outcomes")
    less = ("--rows", "none", "--seeds", "0")
    finish(tmp_path / "plain", *less)
    finish(tmp_path / "lora", *less, "--lora-rank", "4")
    assert (tmp_path / "lora/starts").read_text().split() == ["sft-none"]
    assert "1 cells of" in (tmp_path / "lora.txt").read_text()
    for out, more in (("plain", ("--lora-rank", "4")), ("lora", ())):
        process = begin(tmp_path / out, *less, *more)
        process.join()
        assert process.exitcode == 2
    assert "holds answers for --lora-rank none, not 4" in (tmp_path / "plain.txt").read_text()
    assert "holds answers for --lora-rank 4, not none" in (tmp_path / "lora.txt").read_text()


def test_fewer_prompts_are_another_outcome_of_the_rows_that_have_prompts_alone(flags):
    whole = ablation.inputs(flags)
    flags.prompts = 50
    fewer = ablation.inputs(flags)
    rows = (("none", True), ("mae-pkt", True), ("irm", False), ("mae-pkt-ttpa", False))
    for row, is_same in rows:
        stages_of_row = ablation.stages_of(row, 0, flags)
        recorded = ablation.inputs_of(stages_of_row, whole)
        assert (recorded == ablation.inputs_of(stages_of_row, fewer)) == is_same
        assert effects.fits(recorded, fewer) == is_same


def test_wrong_flags_are_refused_in_one_line(run_main, tmp_path):
    for words in (["--rows", "mea"], ["--seeds", "-1"], ["--jobs", "0"], ["--bench", "own"],
                  ["--processes", "0"], ["--lora-rank", "-1"]):
        done = run_main(ablation, "--out", tmp_path / "x", *words)
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert not Path(tmp_path / "x").exists()
