"""ppo.py: prompts, phases and invariants of a step, runs with known optimum, bad input."""

import json
from dataclasses import replace

import pytest
import torch

import model
import ppo
from data.tools import read_tools
from plumbing.files import InputError
from plumbing.optimizer import make_optimizer
from ppo import describe
from prompts import Prompt, draw, load, read
from reward import ErrorType, reward
from tests.conftest import ITEMS, TOOLS, assert_one_line_error, item, real, run_script, schema
from tokenizer import Tokenizer


@pytest.fixture(scope="module")
def data_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "raw.json"
    path.write_text(json.dumps(ITEMS * 4))
    return path


# ------------------------------------------------------------------------------------------ prompts


def test_every_good_call_is_a_prompt_with_its_history(tmp_path, model_dir, data_file):
    tokenizer = Tokenizer(model_dir)
    prompts, left_out = read(data_file, tokenizer)
    calls = [p for p in prompts if not p.name_only]
    assert [p.gold for p in calls[:4]] == [
        'get_weather(city="Bergen")',
        "get_news()",
        'get_weather_forecast(city="Šibenik", day="Friday")',
        'get_news(topic="cats")',
    ]
    assert len(prompts) == 28 and len(calls) == 16 and not left_out
    assert all(p.gold.startswith("finish(") == p.name_only for p in prompts)
    text = tokenizer.decode(prompts[0].ids[1:])
    assert text.endswith("got an unexpected keyword argument 'town'\nAssistant:")
    assert prompts[0].ids[0] == tokenizer.bos_id
    for name, kept, name_only in (
        ("Finish", 1, 1),
        ("respond", 0, 0),
        ("get_news", 1, 0),
    ):  # other sets' names for prose
        conversation = item(
            ("user", "?"),
            ("assistant", '%s\n{"topic": "x"}' % name),
            ("function", "[]"),
            ("assistant", "get_news\n{}"),
            ("function", "[]"),
            tools=[*TOOLS, schema(name, topic="string")],
        )
        (tmp_path / "prose.json").write_text(json.dumps([conversation]))
        found, left_out = read(tmp_path / "prose.json", tokenizer)
        assert [len(found), sum(p.name_only for p in found)] == [1 + kept, name_only]
        assert all("respond is free text" in line for line in left_out)
        assert len(read(tmp_path / "prose.json", tokenizer, free_text=True)[0]) == 2
    short, left_out = read(data_file, tokenizer, max_prompt=len(prompts[3].ids))
    assert max(len(p.ids) for p in short) <= len(prompts[3].ids)
    assert any("--max-prompt" in line for line in left_out)


def test_pairs_and_the_released_form_give_the_same_prompts(tmp_path, model_dir, data_file):
    tokenizer = Tokenizer(model_dir)
    expected = read(data_file, tokenizer)[0][:4]
    pairs, released = [], []
    for prompt in expected:
        where = [int(n) for n in prompt.where.replace(",", "").split() if n.isdigit()]
        raw = ITEMS[where[0] % 3]
        pairs.append({"conversations": raw["conversations"][: where[1]], "gold": prompt.gold})
        released.append(
            {"instruction": tokenizer.decode(prompt.ids[1:]), "output": f" {prompt.gold}</s>"}
        )
    for form in (pairs, released):
        (tmp_path / "p.json").write_text(json.dumps(form))
        prompts, left_out = read(tmp_path / "p.json", tokenizer)
        assert [(p.ids, p.gold) for p in prompts] == [
            (p.ids, p.gold) for p in expected
        ] and not left_out
        for ours, theirs in zip(prompts, expected, strict=True):
            assert [(t.name, [(p.name, p.required) for p in t.parameters]) for t in ours.tools] == [
                (t.name, [(p.name, p.required) for p in t.parameters]) for t in theirs.tools
            ]


def test_golds_off_their_own_schema_are_listed_and_skipped(tmp_path, model_dir, capsys):
    raw = [
        item(
            ("user", "q"),
            ("assistant", 'get_news\n{"bogus": 1}'),
            ("function", "ok"),
            ("assistant", "sing\n{}"),
            ("function", "ok"),
            ("assistant", "get_news\n{}"),
        )
    ]
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    prompts, left_out = read(tmp_path / "raw.json", Tokenizer(model_dir))
    assert [p.gold for p in prompts] == ["get_news()"]
    assert "turn 2" in left_out[0] and "hallucinated" in left_out[0]
    assert "turn 4" in left_out[1] and "not offered" in left_out[1]
    # sft.py refuses such a file, too: its tools are not those that the calls need
    with pytest.raises(InputError, match="2 of 3 gold calls do not fit .*; .*turn 2: the gold"):
        load(tmp_path / "raw.json", Tokenizer(model_dir))
    fitting = raw[0]["conversations"][-1]
    raw[0]["conversations"][-1:] = [fitting, {"role": "function", "content": "ok"}, fitting]
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    assert len(load(tmp_path / "raw.json", Tokenizer(model_dir))) == 2
    assert "2 of 4 gold calls do not fit the tools that are offered" in capsys.readouterr().out


def test_a_gold_that_does_not_parse_is_named(tmp_path, model_dir):
    pair = {"conversations": ITEMS[0]["conversations"][:2], "gold": "get_news(topic="}
    (tmp_path / "p.json").write_text(json.dumps([pair]))
    with pytest.raises(InputError, match="item 0: the gold call .* cannot be parsed"):
        read(tmp_path / "p.json", Tokenizer(model_dir))


def test_golds_of_the_real_file_score_one_against_themselves():
    """4 calls of tools not offered and 48 with keys off the schema are out; others score +1."""
    tokenizer = Tokenizer(real("tokenizers/llama/tokenizer.model"))
    prompts, left_out = read(real("trajectories/rottuning_gpt4.json"), tokenizer, free_text=True)
    assert all("own schema" in line for line in left_out)
    # of the file's 4 and 48 these are the calls whose feedback is no error
    assert (
        sum("not offered" in line for line in left_out),
        sum("hallucinated" in line for line in left_out),
    ) == (2, 11)
    assert all(reward(p.gold, p.gold, p.tools) == 1.0 for p in prompts[::7])


def test_drawing_is_a_function_of_the_seed():
    prompts = list(range(100))
    assert draw(prompts, 10, 1) == draw(prompts, 10, 1) != draw(prompts, 10, 2)
    assert draw(prompts, 100, 0) == draw(prompts, 500, 0) == prompts
    assert len(set(draw(prompts, 30, 5))) == 30


# ------------------------------------------------------------------------------------------- a step


def setup(model_dir, data_file, **options):
    flags = ppo.Flags(model=str(model_dir), max_new_tokens=12, **options)
    tokenizer, models = ppo.load_models(flags, "cpu")
    prompts = read(data_file, tokenizer)[0][:5]
    return flags, tokenizer, models, prompts, torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "options", [{}, {"shared_critic": True}, {"micro_batch": 2}, {"offload_reference": True}]
)
def test_before_any_update_ratio_is_one_and_kl_is_zero_bit_for_bit(
    model_dir, data_file, dtype, options
):
    """bf16 decoding differs from a bf16 forward (transformers#31267): only the latter counts."""
    flags, tokenizer, models, prompts, generator = setup(
        model_dir, data_file, dtype=dtype, actor_lr=0.0, **options
    )
    rollout = ppo.make_rollout(models.actor, prompts, tokenizer, flags, generator)
    _, scores = ppo.score_answers(prompts, rollout.answers, tokenizer)
    experience = ppo.make_experience(models, rollout, scores, flags)
    assert torch.equal(experience.old_logp, experience.ref_logp) and not experience.old_values.any()
    optimizers = [
        make_optimizer(t, 0.0) for t in (models[:1] if flags.shared_critic else models[:2])
    ]
    for _ in range(2):  # with a learning rate of 0 still after an update
        metrics = ppo.update_step(models, optimizers, rollout, experience, flags, (0.0, 0.0))
        assert metrics["max_log_ratio"] == 0 and metrics["clip_fraction"] == 0


def test_log_probabilities_equal_those_of_each_answer_alone(model_dir, data_file):
    flags, tokenizer, models, prompts, generator = setup(
        model_dir, data_file, temperature=0.7, micro_batch=3
    )
    rollout = ppo.make_rollout(models.actor, prompts, tokenizer, flags, generator)
    scores = torch.zeros(len(prompts))
    experience = ppo.make_experience(models, rollout, scores, flags)
    for row, (prompt, answer) in enumerate(zip(prompts, rollout.answers, strict=True)):
        said = answer.ids + [tokenizer.eos_id] * answer.ended
        logp = (models.actor(torch.tensor([prompt.ids + said]))[0] / 0.7).log_softmax(-1)
        start = len(prompt.ids) - 1
        expected = logp[range(start, start + len(said)), said]
        torch.testing.assert_close(
            experience.old_logp[row, : len(said)], expected, rtol=1e-4, atol=1e-5
        )
        assert experience.mask[row].sum() == len(said)


def test_the_step_does_not_depend_on_micro_batches(model_dir, data_file):
    after = []
    for micro_batch in (1, 2, 8):
        flags, tokenizer, models, prompts, generator = setup(
            model_dir, data_file, micro_batch=micro_batch
        )
        optimizers = [torch.optim.SGD(t.parameters(), lr=0.0) for t in models[:2]]
        metrics, *_ = ppo.train_step(models, optimizers, prompts, tokenizer, flags, 0, (0.1, 0.1))
        after.append((metrics, [p.detach().clone() for t in models[:2] for p in t.parameters()]))
    for metrics, parameters in after[1:]:
        for key in ("policy_loss", "value_loss", "actor_grad_norm", "critic_grad_norm", "reward"):
            assert metrics[key] == pytest.approx(after[0][0][key], rel=1e-4, abs=1e-6), key
        for a, b in zip(parameters, after[0][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_truncated_answer_cannot_be_parsed(model_dir):
    tokenizer = Tokenizer(model_dir)
    prompt = Prompt([1], "get_news()", read_tools([schema("get_news")]), "x")
    ids = tokenizer.encode("get_news()")
    errors, scores = ppo.score_answers(
        [prompt] * 3,
        [model.Answer(ids, True), model.Answer(ids, False), model.Answer([], True)],
        tokenizer,
    )
    assert scores.tolist() == [1.0, -2.0, -2.0]
    assert errors[1] == errors[2] == frozenset({ErrorType.UNPARSABLE})


def test_an_answer_with_a_token_that_its_text_does_not_show_is_no_call(model_dir):
    """`<s>`, or an id without a piece: the decoded text is the gold, and would gain 1."""
    tokenizer = Tokenizer(model_dir)
    prompt = Prompt([1], "get_news()", read_tools([schema("get_news")]), "x")
    ids = tokenizer.encode("get_news()")
    hidden = [[*ids[:2], other, *ids[2:]] for other in (tokenizer.bos_id, tokenizer.vocab_size)]
    assert all(tokenizer.decode(answer) == "get_news()" for answer in hidden)
    _, scores = ppo.score_answers(
        [prompt] * 3, [model.Answer(answer, True) for answer in (ids, *hidden)], tokenizer)
    assert scores.tolist() == [1.0, -2.0, -2.0]


def test_scores_are_clipped_before_the_others_mean_is_subtracted(model_dir, data_file):
    flags, tokenizer, models, prompts, _ = setup(
        model_dir, data_file, samples=2, baseline="group", score_clip=1.0, whiten="none", beta=0.0)
    generators = [torch.Generator().manual_seed(i) for i in range(2 * len(prompts))]
    rollout = ppo.make_rollout(models.actor, prompts, tokenizer, flags, generators)
    scores = torch.tensor([1.0, -2.0] * len(prompts))
    experience = ppo.make_experience(models, rollout, scores, flags)
    # of the scores 1 and -1, not the 3 and -3 of 1 and -2, nor these clipped
    expected = torch.tensor([2.0, -2.0] * len(prompts))[:, None] * rollout.mask
    torch.testing.assert_close(experience.advantages, expected)


# ------------------------------------------------------------------- sanity runs with known answers


class Bandit:
    """One of two tokens, then </s>, is right; the reward depends on the first token."""

    def __init__(self, model_dir, reward, steps=40, **options):
        self.flags = ppo.Flags(model=str(model_dir), max_new_tokens=2, **options)
        self.tokenizer, self.models = ppo.load_models(self.flags, "cpu")
        optimizers = [make_optimizer(t, 0.0) for t in self.models[:2]]
        prompts = [Prompt([1, 5, 6], "", (), "bandit")] * 32
        self.start = self.probabilities()
        generator = torch.Generator()
        for step in range(steps):
            generator.manual_seed(step)
            rollout = ppo.make_rollout(
                self.models.actor, prompts, self.tokenizer, self.flags, generator
            )
            scores = torch.tensor(
                [
                    reward(answer.ids[0] if answer.ids else self.tokenizer.eos_id)
                    for answer in rollout.answers
                ]
            )
            self.experience = ppo.make_experience(self.models, rollout, scores, self.flags)
            ppo.update_step(
                self.models, optimizers, rollout, self.experience, self.flags, (1e-2, 1e-2)
            )
        self.end = self.probabilities()

    @torch.no_grad()
    def probabilities(self):
        return self.models.actor(torch.tensor([[1, 5, 6]]))[0, -1].softmax(-1)

    def kl(self):
        return (self.end * (self.end.log() - self.start.log())).sum().item()


def test_a_bandit_finds_its_optimum_and_the_reversed_reward_its_opposite(model_dir):
    """The right half of the vocabulary is rewarded; reversing the sign reverses the answer."""

    def upper(token):
        return 1.0 if token >= 175 else -1.0

    up = Bandit(model_dir, upper, beta=0.0)
    down = Bandit(model_dir, lambda token: -upper(token), beta=0.0)
    assert 0.3 < up.start[175:].sum() < 0.7
    assert up.end[175:].sum() > 0.95 and down.end[175:].sum() < 0.05


def test_a_constant_reward_keeps_to_the_start(model_dir):
    """Nothing to learn: the KL to the start stays under 0.05 nat; else it goes beyond 2."""
    assert Bandit(model_dir, lambda token: 1.0, beta=0.3).kl() < 0.05


def test_a_large_penalty_keeps_to_the_reference(model_dir):
    def upper(token):
        return float(token >= 175)

    free = Bandit(model_dir, upper, beta=0.0)
    held = Bandit(model_dir, upper, beta=100.0)
    assert held.kl() < 0.05 < 2 < free.kl()


def test_the_critic_fits_fixed_returns(model_dir, data_file):
    flags, tokenizer, models, prompts, generator = setup(
        model_dir, data_file, beta=0.0, value_clip=100.0
    )
    rollout = ppo.make_rollout(models.actor, prompts, tokenizer, flags, generator)
    scores = torch.tensor([1.0, -2.0, -0.5, -1.5, 1.0])
    optimizers = [make_optimizer(t, 0.0) for t in models[:2]]
    for _ in range(8):
        experience = ppo.make_experience(models, rollout, scores, flags)
        for _ in range(4):
            ppo.update_step(models, optimizers, rollout, experience, flags, (0.0, 1e-2))
    explained = describe(
        rollout, [frozenset()] * 5, scores, ppo.make_experience(models, rollout, scores, flags)
    )
    assert explained["explained_variance"] > 0.95


def test_held_out_prompts_come_no_more_at_once_than_in_a_rollout(model_dir, data_file, monkeypatch):
    """They came 32 at once, whatever the batch: memory that --plan knew nothing of."""
    flags, tokenizer, models, prompts, _ = setup(model_dir, data_file, batch_size=2)
    whole = ppo.held_out_metrics(models.actor, prompts, tokenizer, replace(flags, batch_size=32))
    widths, original = [], ppo.model.generate

    def spy(actor, rows, *arguments):
        widths.append(len(rows))
        return original(actor, rows, *arguments)

    monkeypatch.setattr(ppo.model, "generate", spy)
    assert ppo.held_out_metrics(models.actor, prompts, tokenizer, flags) == whole
    assert max(widths) == 2 and sum(widths) == len(prompts) > 2


# -------------------------------------------------------------------------------- as a user runs it


def test_it_runs_logs_and_saves_a_plain_checkpoint(tmp_path, model_dir, data_file):
    done = run_script(
        "ppo.py",
        "--model",
        model_dir,
        "--data",
        data_file,
        "--eval-data",
        data_file,
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--max-new-tokens",
        16,
        "--num-prompts",
        12,
        "--samples",
        1,
        "--baseline",
        "critic",
        "--shared-critic",
        "--batch-size",
        8,
        "--show-every",
        1,
    )
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [0, 1, 2] and log[2]["eval_n"] == 28
    assert log[1]["first_log_ratio"] == 0 and log[1]["k1"] == 0 and log[1]["entropy"] > 0
    assert log[2]["kl_per_answer"] == pytest.approx(log[2]["k1"] * log[2]["answer_length"])
    named = sum(log[1][error.name.lower()] > 0 for error in ErrorType)
    assert named >= 1 and -2 <= log[1]["reward"] <= 1
    timings = [
        json.loads(line) for line in (tmp_path / "run/timings.jsonl").read_text().splitlines()
    ]
    assert {f"{phase}_s" for phase in ("rollout", "score", "advantages", "update")} <= timings[
        1
    ].keys()
    assert (
        model.load(tmp_path / "run").value_head is None
    )  # strict: refuses a value head in the file
    assert "gold" in done.stderr + done.stdout


def test_bad_input_ends_in_one_line(tmp_path, model_dir, data_file, run_main, monkeypatch):
    def run(*flags):
        return run_main(ppo, "--data", data_file, "--out", tmp_path / "run", *flags)

    monkeypatch.chdir(tmp_path)  # a folder without runs/
    assert_one_line_error(run(), "--model", "no finished run")
    assert_one_line_error(run("--model", model_dir, "--temperature", 0), "--temperature")
    assert_one_line_error(
        run("--model", model_dir, "--shared-critic", "--critic-warmup", 3), "--critic-warmup"
    )
    assert_one_line_error(run("--model", model_dir, "--samples", 1), "--samples")
    assert_one_line_error(run("--model", model_dir, "--greedy"), "--greedy")
    assert_one_line_error(
        run("--model", model_dir, "--samples", 1, "--baseline", "critic", "--skip-settled"),
        "--skip-settled")
    assert_one_line_error(
        run("--model", model_dir, "--samples", 2, "--baseline", "group", "--shared-critic"),
        "--baseline group")
    assert_one_line_error(run("--model", model_dir, "--max-prompt", 3), "no prompt is left")
    assert not (tmp_path / "run").exists()
