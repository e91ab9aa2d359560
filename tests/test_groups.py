"""Several answers to a prompt in one row, against a row for each answer."""

import copy
from dataclasses import replace

import pytest
import torch

import groups
import model
import ppo
from data.trajectories import read_item
from losses import token_nll
from prompts import Prompt
from tests.conftest import ITEMS
from tokenizer import Tokenizer

FLAGS = ppo.Flags(max_new_tokens=12, dtype="fp32", temperature=1.0)


def some_prompts(model_dir):
    """Prompts of uneven lengths, with golds of the fixtures."""
    tokenizer = Tokenizer(model_dir)
    prompts = []
    for i, item in enumerate(ITEMS):
        conversation = read_item(item)
        encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
        for call in encoded.calls:
            prompts.append(Prompt(encoded.ids[:call.start].tolist(),
                                  conversation.turns[call.turn].content, conversation.tools,
                                  f"{i}/{call.turn}"))
    return tokenizer, prompts[:5]


def noisy(model_dir, value_head, dtype=torch.float32):
    """A model whose outputs depend on everything, value head and all."""
    transformer = model.load(model_dir, dtype, value_head=value_head)
    generator = torch.Generator().manual_seed(1)
    for parameter in transformer.parameters():
        noise = torch.randn(parameter.shape, generator=generator).to(dtype)
        parameter.data += 0.2 * noise
    return transformer


def answers_of(K, n_prompts, eos_id):
    """Answers of 1 to 9 tokens: some end at once, some are cut off without `</s>`."""
    generator = torch.Generator().manual_seed(K)
    answers = []
    for i in range(K * n_prompts):
        n = int(torch.randint(0, 9, (), generator=generator))
        ids = torch.randint(3, 300, (n,), generator=generator).tolist()
        answers.append(ids if n and i % 4 == 0 else [*ids, eos_id])
    return answers


def grouped(transformer, prompts, answer_ids, K, micro_batch):
    """log p and values (B, T) by ppo's micro-batches."""
    lengths = torch.tensor([len(ids) for ids in answer_ids])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    logp = torch.zeros(mask.shape, dtype=transformer.model.embed_tokens.weight.dtype)
    values = torch.zeros_like(logp)
    for start in range(0, len(prompts), micro_batch):
        places = list(range(len(prompts)))[start:start + micro_batch]
        batch = groups.make_micro_batch(places, prompts, answer_ids, mask, K)
        some_logp, some_values = groups.answer_logprobs(transformer, batch, 0.7)
        logp = logp.index_put((batch.answers,), some_logp)
        values = values.index_put((batch.answers,), some_values)
    return logp, values, mask


def separate(transformer, prompts, answer_ids, K, mask):
    """log p and values (B, T), one answer at a time."""
    logp = []
    values = []
    for i, answer in enumerate(answer_ids):
        prompt = prompts[i // K].ids
        ids = torch.tensor([prompt + answer])
        at = torch.arange(len(prompt) - 1, len(prompt) + len(answer) - 1)
        label = torch.tensor(answer)
        one, all_values = transformer(ids, head=lambda hidden, weight, at=at, label=label:
                                      -token_nll(hidden[0, at], weight, label, 0.7))
        padding = mask.shape[1] - len(answer)
        logp.append(torch.nn.functional.pad(one, (0, padding)))
        values.append(torch.nn.functional.pad(all_values[0, at], (0, padding)))
    return torch.stack(logp), torch.stack(values)


def gradients(transformer, logp, values, mask):
    """Of a sum with weights that differ everywhere."""
    weights = torch.linspace(-1, 1, mask.numel(), dtype=logp.dtype).view(mask.shape)
    transformer.zero_grad()
    torch.where(mask, weights * (logp + values ** 2), 0).sum().backward()
    return torch.cat([p.grad.flatten() for p in transformer.parameters()])


@pytest.mark.parametrize("K", [1, 2, 5, 8])
def test_a_row_of_k_answers_is_k_rows(model_dir, K):
    tokenizer, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=True)
    answer_ids = answers_of(K, len(prompts), tokenizer.eos_id)
    _, _, mask = grouped(transformer, prompts, answer_ids, K, 8)
    expected_logp, expected_values = separate(transformer, prompts, answer_ids, K, mask)
    theirs = gradients(transformer, expected_logp, expected_values, mask)
    for micro_batch, checkpointed in ((1, False), (3, False), (8, False), (8, True)):
        transformer.checkpoint_activations = checkpointed
        logp, values, _ = grouped(transformer, prompts, answer_ids, K, micro_batch)
        ours = gradients(transformer, logp, values, mask)
        torch.testing.assert_close(logp, expected_logp, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(values, expected_values, rtol=1e-5, atol=1e-5)
        assert (ours - theirs).norm() < 1e-6 * theirs.norm(), (micro_batch, checkpointed)


def test_what_stands_in_padding_or_in_another_answer_changes_nothing(model_dir):
    tokenizer, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=True, dtype=torch.float64)
    answer_ids = answers_of(3, len(prompts), tokenizer.eos_id)
    logp, _, _ = grouped(transformer, prompts, answer_ids, 3, 8)
    changed = copy.deepcopy(answer_ids)
    changed[1] = [7] * len(changed[1])  # the second answer to the first prompt
    again, _, _ = grouped(transformer, prompts, changed, 3, 8)
    same = [i for i in range(len(answer_ids)) if i != 1]
    torch.testing.assert_close(again[same], logp[same], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("K", [1, 2, 5])
def test_k_sampled_answers_are_those_of_k_prompts(model_dir, K):
    """The same random numbers for each answer: read once, answered K times."""
    tokenizer, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=False, dtype=torch.float64)

    def generators():
        return [torch.Generator().manual_seed(i) for i in range(K * len(prompts))]

    ids = [prompt.ids for prompt in prompts]
    ours = model.generate(transformer, ids, 10, tokenizer.eos_id, 1.3, generators(), samples=K)
    repeated = [one for one in ids for _ in range(K)]
    theirs = model.generate(transformer, repeated, 10, tokenizer.eos_id, 1.3, generators())
    assert ours == theirs
    assert len({tuple(answer.ids) for answer in ours}) > len(prompts) * (K > 1)


def test_rows_that_have_ended_leave_the_others_as_they_are(model_dir):
    """Prompts whose answers all end leave the cache; the tokens of the others stay the same."""
    _, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=False, dtype=torch.float64)
    ids = [prompt.ids for prompt in prompts]
    free = model.generate(transformer, ids, 20, eos_id=-1)
    first = free[0].ids[2]  # an end that some meet early and some late
    stopped = model.generate(transformer, ids, 20, eos_id=first)
    for answer, whole in zip(stopped, free, strict=True):
        end = whole.ids.index(first) if first in whole.ids else 20
        assert answer.ids == whole.ids[:end]
        assert answer.ended == (first in whole.ids)


def a_step(model_dir, **changes):
    """One PPO step -> its metrics and the weights of the actor after it."""
    flags = replace(FLAGS, model=str(model_dir), micro_batch=2, **changes)
    tokenizer, prompts = some_prompts(model_dir)
    _, models = ppo.load_models(flags, torch.device("cpu"))
    optimizers = [torch.optim.SGD(one.parameters(), 1.0) for one in models[:2] if one is not None]
    metrics, _, rollout, _ = ppo.train_step(
        models, optimizers, prompts, tokenizer, flags, 0, (0.1, 0.1))
    return metrics, models.actor, rollout


@pytest.mark.parametrize("baseline", ["critic", "group", "both"])
def test_every_baseline_takes_a_step_and_starts_at_the_reference(model_dir, baseline):
    metrics, actor, rollout = a_step(model_dir, samples=4, baseline=baseline)
    assert len(rollout.answers) == 4 * 5
    assert metrics["first_log_ratio"] < 1e-4
    assert 0 <= metrics["mixed_groups"] <= 1
    assert metrics["group_spread"] >= 0
    assert ("critic_grad_norm" in metrics) == (baseline != "group")
    assert all(parameter.isfinite().all() for parameter in actor.parameters())


def test_a_group_of_one_score_teaches_nothing(model_dir):
    """With the group baseline and no KL yet, equal scores give a gradient of 0."""
    metrics, _, _ = a_step(model_dir, samples=3, baseline="group", whiten="none")
    assert metrics["mixed_groups"] == 0  # the random model answers nothing that can be parsed
    assert metrics["actor_grad_norm"] == 0.0


def test_settled_prompts_are_skipped_but_never_all(model_dir):
    _, prompts = some_prompts(model_dir)
    rollout = ppo.Rollout([p for p in prompts for _ in range(2)], [], [], None)
    wrong = frozenset({ppo.ErrorType.WRONG_TOOL})
    right = frozenset()
    errors = [right, right, right, wrong, wrong, wrong, right, wrong, right, right]
    notes = {"settled": []}
    ppo.note_uniform(prompts, rollout, errors, 2, notes)
    assert notes["settled"] == [prompts[i].where for i in (0, 2, 4)]
    assert ppo.without_uniform(prompts, notes) == [prompts[1], prompts[3]]
    assert ppo.without_uniform([prompts[0], prompts[2]], notes) == [prompts[0], prompts[2]]
