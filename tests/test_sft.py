"""sft.py as a user runs it: it trains, its flags do what they say, bad input ends in one line."""

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file

import model
import sft
from data.trajectories import read_item
from examples import build
from plumbing.optimizer import learning_rate, make_optimizer
from tests.conftest import ITEMS, assert_one_line_error, item, real, run_script
from tokenizer import Tokenizer


@pytest.fixture(scope="module")
def data_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "raw.json"
    path.write_text(json.dumps(ITEMS * 4))
    return path


def test_it_trains_logs_evaluates_and_saves(tmp_path, model_dir, data_file):
    done = run_script(
        "sft.py",
        "--model",
        model_dir,
        "--data",
        data_file,
        "--eval-data",
        data_file,
        "--out",
        tmp_path / "run",
        "--epochs",
        3,
        "--lr",
        0.01,
        "--eval-every",
        4,
    )
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, len(log) + 1))
    assert log[-1]["nll"] < 0.7 * log[0]["nll"] and log[-1]["eval_nll"] < log[3]["eval_nll"]
    assert json.loads((tmp_path / "run/flags.json").read_text())["lr"] == 0.01
    trained = model.load(tmp_path / "run")
    assert not torch.equal(trained.lm_head.weight, model.load(model_dir).lm_head.weight)
    assert Tokenizer(tmp_path / "run").encode("a") == Tokenizer(model_dir).encode("a")
    again = run_script(
        "sft.py", "--model", model_dir, "--data", data_file, "--out", tmp_path / "run"
    )
    assert_one_line_error(again, "--out", "holds a finished run")


def train_one_step(model_dir, raw_items, **flags):
    """One step on all items -> (model before, model after, metrics)."""
    flags = sft.Flags(model=str(model_dir), **flags)
    tokenizer = Tokenizer(model_dir)
    transformer = model.load_for_training(flags, "cpu")
    examples, _ = build([read_item(raw) for raw in raw_items], tokenizer)
    optimizer = make_optimizer(transformer, flags.weight_decay)
    metrics = sft.train_step(transformer, optimizer, examples, flags, flags.lr, "cpu")
    return model.load(model_dir), transformer, metrics


def test_a_step_at_the_papers_learning_rate_moves_nearly_every_weight(model_dir):
    """With bf16 master weights 2% of them and no norm weight move at 1e-6 (accelerate#2624)."""
    before, after, _ = train_one_step(model_dir, ITEMS, lr=1e-6, dtype="bf16")
    moved = have_gradient = 0
    unused = torch.ones(before.config.vocab_size, dtype=torch.bool)
    tokenizer = Tokenizer(model_dir)
    for raw in ITEMS:
        conversation = read_item(raw)
        unused[tokenizer.encode_conversation(conversation.tools, conversation.turns).ids] = False
    for (name, old), (_, new) in zip(
        before.named_parameters(), after.named_parameters(), strict=True
    ):
        changed = old != new
        if "norm" in name:
            assert changed.all(), name
        if "embed" in name:  # a piece that was not read has no gradient
            changed = changed[~unused]
        moved, have_gradient = moved + changed.sum().item(), have_gradient + changed.numel()
    assert moved / have_gradient > 0.99


def test_the_step_does_not_depend_on_micro_batches_or_checkpointing(model_dir):
    _, whole, metrics = train_one_step(model_dir, ITEMS, dtype="fp32", micro_tokens=100000)
    for options in ({"micro_tokens": 1}, {"micro_tokens": 100000, "checkpoint_activations": True}):
        _, other, also = train_one_step(model_dir, ITEMS, dtype="fp32", **options)
        for key in ("loss", "nll", "grad_norm", "calls", "trained_tokens", "tokens"):
            assert also[key] == pytest.approx(metrics[key], rel=1e-5), key
        assert metrics["padded_tokens"] >= also["padded_tokens"] >= metrics["tokens"]


def test_weight_decay_touches_matrices_only(model_dir):
    transformer = model.load(model_dir)
    decayed, not_decayed = make_optimizer(transformer, 0.01).param_groups
    assert decayed["weight_decay"] == 0.01 and not_decayed["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2} and {
        p.ndim for p in not_decayed["params"]
    } == {1}
    assert decayed["betas"] == (0.9, 0.95)


def test_learning_rate_equals_its_closed_form():
    rates = [learning_rate(step, 300, 2.0, 0.01) for step in range(300)]
    assert rates[:4] == pytest.approx([2 / 3, 4 / 3, 2.0, 2.0])
    for step in range(3, 300):
        assert rates[step] == pytest.approx(1 + math.cos(math.pi * (step - 3) / 297))
    assert learning_rate(0, 1, 1.0, 0.01) == 1.0 and learning_rate(0, 5, 1.0, 0.0) == 1.0


def test_the_model_learns_to_stop(tmp_path, model_dir):
    """`</s>` of every call is trained; after some steps greedy answers end with it (trl#1623)."""
    conversations = [read_item(raw) for raw in ITEMS[2:]]
    flags = sft.Flags(model=str(model_dir), dtype="fp32", lr=1e-2)
    tokenizer = Tokenizer(model_dir)
    transformer = model.load_for_training(flags, "cpu")
    examples, _ = build(conversations, tokenizer)
    optimizer = make_optimizer(transformer, 0.0)
    for _ in range(60):
        sft.train_step(transformer, optimizer, examples, flags, flags.lr, "cpu")
    prompt = tokenizer.prompt(conversations[0].tools, conversations[0].turns[:2])
    (answer,) = model.generate(transformer, [prompt], 60, tokenizer.eos_id)
    assert answer.ended and tokenizer.decode(answer.ids) == 'get_news(topic="cats")'


def test_bad_input_ends_in_one_line(tmp_path, model_dir, data_file, tokenizer_file, run_main):
    def run(*flags, model=model_dir, data=data_file):
        return run_main(sft, "--model", model, "--data", data, "--out", tmp_path / "run", *flags)

    def damaged(name, change):
        path = tmp_path / name
        shutil.copytree(model_dir, path)
        change(path)
        return path

    def cut(path):
        weights = path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])

    def shard_away(path):
        model.save(model.load(path), path, shard_bytes=20000)
        sorted(path.glob("model-*"))[0].unlink()

    def narrow(path):
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "vocab_size": 300}))
        transformer = model.initialise(model.read_config(path / "config.json"))
        model.save(transformer, path)

    assert_one_line_error(run_script("sft.py", "--learning-rate", 1), "--learning-rate")
    assert_one_line_error(run("--batch-size", 0), "--batch-size")
    assert_one_line_error(run("--lr", "nan"), "--lr")
    assert_one_line_error(run("--device", "abacus"), "--device abacus")
    assert_one_line_error(run(data=tmp_path / "absent.json"), "absent.json")
    (tmp_path / "no.json").write_text("[\n{]")
    assert_one_line_error(run(data=tmp_path / "no.json"), "no.json", "line 2")
    assert_one_line_error(run("--max-length", 30), "raw.json: --max-length 30", "no call fits")
    failed = item(("user", "?"), ("assistant", "get_news\n{}"), ("function", '{"error": "x"}'))
    (tmp_path / "held.json").write_text(json.dumps([failed]))
    assert_one_line_error(
        run("--eval-data", tmp_path / "held.json"), "held.json: no trainable call"
    )
    assert_one_line_error(run(model=tmp_path / "absent"), "absent")
    assert_one_line_error(run(model=damaged("cut", cut)), "model.safetensors", "cut off")
    assert_one_line_error(run(model=damaged("away", shard_away)), "model-00001")
    assert_one_line_error(run(model=damaged("narrow", narrow)), "350 pieces do not fit")
    assert not (tmp_path / "run").exists()


def test_real_tokenizer_and_conversations(tmp_path):
    """A few real conversations through the command line, in bf16 with activation checkpointing."""
    config = {
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    (tmp_path / "c.json").write_text(json.dumps(config))
    tokenizer = real("tokenizers/llama/tokenizer.model")
    assert (
        run_script(
            "model.py", "--init", tmp_path / "c.json", tmp_path / "m", "--tokenizer", tokenizer
        ).returncode
        == 0
    )
    items = json.loads(real("trajectories/rottuning_gpt4.json").read_text())[:6]
    (tmp_path / "raw.json").write_text(json.dumps(items))
    done = run_script(
        "sft.py",
        "--model",
        tmp_path / "m",
        "--data",
        tmp_path / "raw.json",
        "--out",
        tmp_path / "run",
        "--checkpoint-activations",
        "--max-length",
        2048,
    )
    assert done.returncode == 0, done.stderr
    assert load_file(tmp_path / "run/model.safetensors")["lm_head.weight"].shape == (32000, 32)
