"""dpo.py: the loss, a pair in one row, toys with known optima, runs, hostile files of pairs."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dpo
import model
from dpo import Pair
from losses import dpo_loss
from plumbing.files import InputError
from plumbing.optimizer import make_optimizer
from tests.conftest import assert_one_line_error
from tests.test_groups import noisy, some_prompts
from tokenizer import Tokenizer

FLAGS = dpo.Flags(beta=0.1, alpha=0.0, micro_batch=8, grad_clip=0.0)


def some_pairs(model_dir):
    """Pairs of uneven lengths whose calls share 0, 3 or 6 tokens; one rejected call never ended."""
    _, prompts = some_prompts(model_dir)
    generator = torch.Generator().manual_seed(0)

    def ids(n):
        return torch.randint(3, 300, (n,), generator=generator).tolist()

    pairs = []
    for i, prompt in enumerate(prompts):
        shared = ids((0, 3, 6)[i % 3])
        chosen = [*shared, *ids(2 + i), 2]
        rejected = [*shared, *ids(5 - i % 2), 2][:None if i else -1]
        pairs.append(Pair(prompt.ids[-50 + 7 * i:], chosen, rejected, bool(shared), f"pair {i}"))
    return pairs


def references(transformer, pairs, flags=FLAGS):
    places = list(range(len(pairs)))
    return dpo.reference_logprobs(transformer, pairs, [places], flags, "cpu")


class Gradients:
    """In place of an optimizer: keeps the gradient."""
    param_groups = ()

    def __init__(self, transformer):
        self.transformer = transformer

    def step(self):
        parameters = self.transformer.parameters()
        self.found = torch.cat([p.grad.flatten() for p in parameters])

    def zero_grad(self):
        self.transformer.zero_grad()


def a_step(transformer, pairs, reference, flags=FLAGS):
    """(metrics, gradient) of one step."""
    keep = Gradients(transformer)
    metrics = dpo.train_step(transformer, keep, pairs, reference, flags, 0.0)
    return metrics, keep.found


# --------------------------------------------------------------------------------------- the loss


@given(st.lists(st.floats(-50, 0), min_size=4, max_size=4), st.floats(0, 2), st.floats(0, 2),
       st.integers(1, 30))
@settings(max_examples=50)
def test_the_loss_is_the_formula(numbers, beta, alpha, length):
    c, r, ref_c, ref_r = numbers
    loss, preference, margin = dpo_loss(
        torch.tensor([[c, r]], dtype=torch.float64),
        torch.tensor([[ref_c, ref_r]], dtype=torch.float64), torch.tensor([length]), beta, alpha)
    expected_margin = (c - ref_c) - (r - ref_r)
    expected = math.log1p(math.exp(-beta * expected_margin))
    assert margin.item() == pytest.approx(expected_margin, abs=1e-9)
    assert preference.item() == pytest.approx(expected, abs=1e-9)
    assert loss.item() == pytest.approx(expected + alpha * -c / length, abs=1e-9)


def test_a_two_answer_toy_reaches_its_closed_form():
    """Answers a and b, a preferred in a share p of the pairs: beta times the margin is logit(p)."""
    beta, share = 0.5, 0.8
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    places = torch.tensor([[0, 1], [1, 0]])
    weights = torch.tensor([share, 1 - share], dtype=torch.float64)
    optimizer = torch.optim.LBFGS([logits], max_iter=100, tolerance_grad=1e-12)

    def closure():
        optimizer.zero_grad()
        logp = logits.log_softmax(0)
        losses, _, _ = dpo_loss(logp[places], reference[places], torch.ones(2), beta)
        loss = (weights * losses).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    p = logits.softmax(0)
    odds = 0.3 / 0.7 * (share / (1 - share)) ** (1 / beta)  # p_a / p_b
    assert (p[0] / p[1]).item() == pytest.approx(odds, rel=1e-4)


# ------------------------------------------------------------------------------------------- a step


def test_before_any_update_the_preference_term_is_log_2(model_dir):
    for dtype in ("fp32", "bf16"):
        transformer = noisy(model_dir, value_head=False)
        transformer.compute_dtype = model.DTYPES[dtype]
        pairs = some_pairs(model_dir)
        flags = replace(FLAGS, micro_batch=2)
        metrics, _ = a_step(transformer, pairs, references(transformer, pairs, flags), flags)
        assert metrics["preference_loss"] == pytest.approx(math.log(2), abs=1e-6)
        assert metrics["margin"] == 0 and metrics["chosen_gain"] == 0


def test_one_row_is_two_rows_whatever_the_micro_batch(model_dir):
    """Loss and gradient against a forward pass for each answer, written out."""
    transformer = noisy(model_dir, value_head=False)
    pairs = some_pairs(model_dir)
    reference = references(noisy(model_dir, False).requires_grad_(False), pairs)
    reference = [[c + 0.3 * i, r - 0.7] for i, (c, r) in enumerate(reference)]
    flags = replace(FLAGS, alpha=0.3)
    total = 0
    for pair, (ref_c, ref_r) in zip(pairs, reference, strict=True):
        logp = []
        for answer in (pair.chosen, pair.rejected):
            ids = torch.tensor([pair.ids + answer])
            all_logp = transformer(ids)[0].log_softmax(-1)
            at = range(len(pair.ids) - 1, len(pair.ids) + len(answer) - 1)
            logp.append(all_logp[at, answer].sum())
        margin = (logp[0] - ref_c) - (logp[1] - ref_r)
        total += -torch.nn.functional.logsigmoid(0.1 * margin) - 0.3 * logp[0] / len(pair.chosen)
    loss = total / len(pairs)
    loss.backward()
    theirs = torch.cat([p.grad.flatten() for p in transformer.parameters()])
    transformer.zero_grad()
    for micro_batch in (1, 2, 8):
        metrics, ours = a_step(
            transformer, pairs, reference, replace(flags, micro_batch=micro_batch))
        assert metrics["loss"] == pytest.approx(loss.item(), rel=1e-6)
        assert (ours - theirs).norm() < 1e-6 * theirs.norm()


def test_the_prefix_that_two_calls_share_cancels(model_dir, monkeypatch):
    """At alpha 0 masking it changes neither loss nor gradient: it is in both calls of a margin."""
    transformer = noisy(model_dir, value_head=False)
    pairs = [pair for pair in some_pairs(model_dir) if pair.is_branch]
    reference = references(transformer, pairs)
    moved = copy.deepcopy(transformer)
    for parameter in moved.parameters():
        parameter.data *= 1.01
    metrics, gradient = a_step(moved, pairs, reference)
    answer_logprobs = dpo.answer_logprobs

    def without_prefix(transformer, batch, temperature):
        labels = batch.labels.view(-1, 2, batch.labels.shape[1])
        shared = (labels[:, :1] == labels[:, 1:]).cumprod(-1).bool()  # (N, 1, T)
        shared = shared.expand(-1, 2, -1).flatten(0, 1)
        assert (shared & batch.mask).sum() >= 2 * 3 * len(pairs)
        return answer_logprobs(transformer, batch._replace(mask=batch.mask & ~shared), temperature)

    monkeypatch.setattr(dpo, "answer_logprobs", without_prefix)
    masked_reference = references(transformer, pairs)
    masked, masked_gradient = a_step(moved, pairs, masked_reference)
    assert masked["chosen_logp"] > metrics["chosen_logp"] + 1
    assert masked["loss"] == pytest.approx(metrics["loss"], abs=1e-6)
    assert (masked_gradient - gradient).norm() < 1e-6 * gradient.norm()


def trained(model_dir, pairs, alpha=0.0, steps=10):
    """log p of chosen and rejected calls, less the reference's, after some steps."""
    transformer = model.load(model_dir)
    reference = references(transformer, pairs)
    flags = replace(FLAGS, alpha=alpha)
    optimizer = make_optimizer(transformer, 0.0)
    for _ in range(steps):
        metrics = dpo.train_step(transformer, optimizer, pairs, reference, flags, 3e-3)
    return torch.tensor(references(transformer, pairs)) - torch.tensor(reference), metrics


def test_reversed_pairs_reverse_the_preference(model_dir):
    pairs = some_pairs(model_dir)
    turned = [pair._replace(chosen=pair.rejected, rejected=pair.chosen) for pair in pairs]
    forth, metrics = trained(model_dir, pairs)
    back, _ = trained(model_dir, turned)
    assert ((forth[:, 0] - forth[:, 1]) > 1).all()
    assert ((back[:, 1] - back[:, 0]) < -1).all()  # of the same two calls
    assert metrics["accuracy"] == 1


def test_the_nll_term_holds_the_chosen_call_up(model_dir):
    """Of calls that share most of their tokens the preference alone lowers both."""
    _, prompts = some_prompts(model_dir)
    shared = list(range(20, 40))
    pairs = [Pair(prompt.ids[-40:], [*shared, 50, 2], [*shared, 60, 2], True, "")
             for prompt in prompts]
    with_nll, _ = trained(model_dir, pairs, alpha=5.0)
    assert (with_nll[:, 0] > 1).all()
    assert ((with_nll[:, 0] - with_nll[:, 1]) > 0).all()


def test_a_fall_of_the_chosen_calls_is_said_once(capsys):
    notes = {"recent": [], "warned": []}
    for gain in [-1.0] * 9 + [0.5] + [-1.0] * 11:
        dpo.warn({"chosen_gain": gain, "margin": 2.0}, notes)
        was_said = bool(notes["warned"])
    assert was_said and len(notes["warned"]) == 1
    assert len(notes["recent"]) == 10
    calm = {"recent": [], "warned": []}
    for _ in range(20):
        dpo.warn({"chosen_gain": -1.0, "margin": -0.5}, calm)
    assert not calm["warned"]


# ----------------------------------------------------------------------------------- files and runs


def call(text, tokenizer, **more):
    ids = tokenizer.encode(text)
    return {"text": tokenizer.decode(ids), "ids": ids, "ended": True, "branch": None,
            "gold": False, **more}


def lines_of(model_dir):
    """Lines of a valid pairs.jsonl: seven pairs."""
    tokenizer, prompts = some_prompts(model_dir)
    lines = []
    for i, prompt in enumerate(prompts):
        rejected = [call(f"get_news(topic={k})", tokenizer, branch=k) for k in range(1 + i % 2)]
        lines.append({"prompt_ids": prompt.ids, "chosen": call("get_news()", tokenizer),
                      "rejected": rejected})
    return lines


def write_pairs(folder, lines):
    folder.mkdir(exist_ok=True)
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "pairs.jsonl").write_text(text + "\n")
    return folder


def test_it_runs_logs_and_saves_a_plain_checkpoint(tmp_path, model_dir, run_main, monkeypatch):
    data = write_pairs(tmp_path / "pairs", lines_of(model_dir))
    arguments = ["--model", model_dir, "--data", data, "--eval-data", data / "pairs.jsonl", "--out",
                 tmp_path / "run", "--batch-size", 3, "--epochs", 2, "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["dpo.py", *map(str, arguments)])
    dpo.main()
    log = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(7))
    assert log[0]["eval_preference_loss"] == pytest.approx(math.log(2), abs=1e-6)
    for entry in log[1:4]:  # the first epoch: 7 pairs
        assert entry["branch_pairs"] == 1
    assert [entry["pairs"] for entry in log[1:4]] == [3, 3, 1]
    assert log[1]["margin"] == 0 and log[1]["preference_loss"] == pytest.approx(math.log(2))
    assert log[6]["eval_accuracy"] > 0.5 and log[6]["eval_margin"] > 0
    assert model.load(tmp_path / "run").value_head is None


def test_length_and_number_of_pairs(tmp_path, model_dir):
    path = write_pairs(tmp_path / "pairs", lines_of(model_dir)) / "pairs.jsonl"
    tokenizer = Tokenizer(model_dir)
    pairs = dpo.read_pairs(path, tokenizer)
    assert len(pairs) == 7
    assert pairs[0].chosen[-1] == tokenizer.eos_id
    assert pairs[2].where == f"{path}: line 2: rejected 1"
    shortest = min(pair.n_tokens for pair in pairs)
    flags = replace(FLAGS, max_length=shortest)
    assert all(pair.n_tokens == shortest for pair in dpo.load_pairs(path, tokenizer, flags))
    assert len(dpo.load_pairs(path, tokenizer, replace(FLAGS, num_pairs=4))) == 4
    with pytest.raises(InputError, match="--max-length 3"):
        dpo.load_pairs(path, tokenizer, replace(FLAGS, max_length=3))


HOSTILE = {  # what is done to line 2 -> what the error says
    "prompt_ids": lambda line: line.pop("prompt_ids"),
    "prompt_ids is empty": lambda line: line.update(prompt_ids=[]),
    "no list of integers": lambda line: line.update(prompt_ids=[1, True]),
    "holds 99999": lambda line: line.update(prompt_ids=[1, 99999]),
    "holds -1": lambda line: line["chosen"].update(ids=[-1]),
    "chosen: is missing": lambda line: line.pop("chosen"),
    "rejected is missing": lambda line: line.update(rejected=[]),
    "rejected is missing or": lambda line: line.update(rejected={"text": "x"}),
    "rejected 1: is missing or no JSON object": lambda line: line["rejected"].append(None),
    "rejected 0: ids is missing": lambda line: line["rejected"][0].pop("ids"),
    "ended is missing": lambda line: line["rejected"][0].update(ended=1),
    "another tokenizer?": lambda line: line["chosen"].update(text="get_weather()"),
    "is the chosen call itself": lambda line: line["rejected"].__setitem__(0, line["chosen"]),
    "has no token": lambda line: line["chosen"].update(ids=[], text="", ended=False),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_a_hostile_file_of_pairs_ends_in_one_line(tmp_path, model_dir, message):
    lines = copy.deepcopy(lines_of(model_dir))[:3]
    lines[1]["rejected"] = lines[1]["rejected"][:1]
    HOSTILE[message](lines[1])
    path = write_pairs(tmp_path / "pairs", lines) / "pairs.jsonl"
    with pytest.raises(InputError) as caught:
        dpo.read_pairs(path, Tokenizer(model_dir))
    assert str(caught.value).startswith(f"{path}: line 2: ") and message in str(caught.value)


def test_bad_input_ends_in_one_line(tmp_path, model_dir, run_main, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = write_pairs(tmp_path / "pairs", lines_of(model_dir))

    def run(*flags, data=good):
        return run_main(dpo, "--model", model_dir, "--data", data, "--out", tmp_path / "run",
                        "--device", "cpu", *flags)

    assert_one_line_error(run_main(dpo, "--data", good), "--model", "no finished run")
    assert_one_line_error(run(data=tmp_path / "absent"), "absent")
    assert_one_line_error(run("--beta", "nan"), "--beta")
    assert_one_line_error(run("--max-length", 2), "--max-length 2")
    for text, words in (("", "no pair"), ("[1", "line 1"), ("7", "line 1"), ("\n\n", "no pair")):
        (tmp_path / "bad.jsonl").write_text(text)
        assert_one_line_error(run(data=tmp_path / "bad.jsonl"), "bad.jsonl", words)
    (tmp_path / "empty").mkdir()
    assert_one_line_error(run(data=tmp_path / "empty"), "pairs.jsonl")
    assert not (tmp_path / "run").exists()


def test_the_plan_counts_one_model(model_dir, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [
        "dpo.py", "--model", str(model_dir), "--plan", "2", "--max-length", "300"])
    dpo.main()
    printed = capsys.readouterr().out
    assert "8 pairs of 300 tokens" in printed and "at the worst moment" in printed
