"""Stage 2 (paper, section 3.3): PPO on the kinds of error a call can have, held near the fine-tuned model.

    python ppo.py --data raw_data.json                     # from the newest run of sft.py
    python ppo.py --preset codellama-7b --model runs/sft --data raw_data.json

Each step: rollout (the actor answers a batch of prompts), score (the reward's table), advantages (KL penalty,
GAE), update (clipped losses). Actor, critic and reference all start from the fine-tuned model. Left out:
adaptive KL, since the paper fixes beta, and reward whitening, since the scale is known.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

import model
from common import Run, flag, learning_rate, make_optimizer, newest_run, parse_flags, pick_device, update
from data import InputError, cli
from data.prompts import Prompt, draw, load
from losses import gae, kl, masked_mean, policy_loss, token_nll, token_rewards, value_loss, whiten
from reward import ErrorType, classify, value
from tokenizer import Tokenizer


@dataclass(frozen=True)
class Flags:
    model: str = flag("", "fine-tuned checkpoint (default: the newest run of sft.py under runs/)")
    data: str = flag("", "trajectories, or pairs of prompt and gold call; see data/prompts.py")
    eval_data: str = flag("", "held-out prompts, answered greedily before and after training")
    out: str = flag("runs/ppo", "where the run goes")
    num_prompts: int = flag(1194, "prompts drawn from --data", least=1)
    max_prompt: int = flag(0, "leave out prompts of more tokens (0: none)", least=0)
    free_text: bool = flag(False, "keep prompts whose gold is finish or ask_to_user, prose to no rule")
    epochs: int = flag(3, "passes over the prompts", least=1)
    batch_size: int = flag(8, "prompts in a step", least=1)
    micro_batch: int = flag(8, "rows in one forward pass; bounds memory, changes no result", least=1)
    ppo_epochs: int = flag(1, "updates on each batch of answers", least=1)
    max_new_tokens: int = flag(512, "longest answer; one without </s> cannot be parsed", least=1)
    temperature: float = flag(1.0, "of the softmax, in rollouts and log-probabilities", least=1e-3)
    greedy: bool = flag(False, "greedy rollouts, as in the released run")
    actor_lr: float = flag(1e-4, "peak learning rate of the policy", least=0)
    critic_lr: float = flag(1e-4, "peak learning rate of the critic", least=0)
    warmup_ratio: float = flag(0.05, "share of steps with rising learning rate", least=0)
    critic_warmup: int = flag(0, "first steps in which only the critic learns", least=0)
    shared_critic: bool = flag(False, "a value head on the actor is the critic: less memory")
    value_coef: float = flag(0.1, "weight of the value loss with --shared-critic", least=0)
    offload_reference: bool = flag(False, "keep the reference model on the CPU between uses")
    beta: float = flag(0.3, "KL penalty per token", least=0)
    gamma: float = flag(1.0, "discount", least=0)
    lam: float = flag(0.95, "lambda of GAE", least=0)
    clip: float = flag(0.2, "of the probability ratio", least=0)
    value_clip: float = flag(0.2, "of the change of a value", least=0)
    score_clip: float = flag(5.0, "of the score", least=0)
    whiten: str = flag("global", "advantages: over the batch, or (released) not", choices=("global", "none"))
    grad_clip: float = flag(1.0, "largest norm of a gradient (0: no clipping)", least=0)
    dtype: str = flag("fp32", "of the computation; weights are fp32", choices=("bf16", "fp32"))
    checkpoint_activations: bool = flag(False, "recompute them in the backward pass: less memory")
    device: str = flag("auto", "cpu, cuda, or auto")
    seed: int = flag(0, "of the prompts, their order and the sampling", least=0)
    show_every: int = flag(25, "steps between two sampled answers on the terminal (0: never)", least=0)
    save_every: int = flag(0, "steps between checkpoints (0: only at the end)", least=0)
    eval_every: int = flag(0, "steps between evaluations on --eval-data (0: only before and after)", least=0)


PRESETS = {"tiny": Flags(), "codellama-7b": Flags(  # the paper's rates; 100 of 448 steps warm up, as released
    actor_lr=2e-6, critic_lr=1e-6, warmup_ratio=100 / 448, micro_batch=2, dtype="bf16",
    checkpoint_activations=True)}
PHASES = ("rollout", "score", "advantages", "update")


class Models(NamedTuple):
    actor: model.Transformer
    critic: model.Transformer     # with --shared-critic the actor itself
    reference: model.Transformer  # the fine-tuned model, frozen


class Group(NamedTuple):
    """A micro-batch: b rows of the step, padded to S tokens; T tokens is the step's longest answer."""
    rows: torch.Tensor    # (b,) which rows of the step
    ids: torch.Tensor     # (b, S) prompt, answer, padding
    at: torch.Tensor      # (b, T) the position that predicts each token of the answer
    labels: torch.Tensor  # (b, T) the answer, with its </s> if it ended
    mask: torch.Tensor    # (b, T) whether there is such a token


class Rollout(NamedTuple):
    prompts: list[Prompt]
    answers: list[model.Answer]
    groups: list[Group]  # old, reference and new log-probabilities use the same: equal before any update
    mask: torch.Tensor   # (B, T)


class Experience(NamedTuple):
    """What the update learns from; all (B, T)."""
    old_logp: torch.Tensor
    ref_logp: torch.Tensor
    old_values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    mask: torch.Tensor


# ------------------------------------------------------------------------------------------------ 1. rollout

def rollout(actor, prompts, tokenizer, flags, generator):
    """The actor answers `prompts`: sampled from the plain softmax, ids never edited, lengths kept."""
    temperature = 0.0 if flags.greedy else flags.temperature
    answers = model.generate(actor, [prompt.ids for prompt in prompts], flags.max_new_tokens,
                             tokenizer.eos_id, temperature, generator)
    said = [answer.ids + [tokenizer.eos_id] * answer.ended for answer in answers]
    device = actor.model.embed_tokens.weight.device
    width = max(map(len, said))
    mask = torch.tensor([[t < len(ids) for t in range(width)] for ids in said], device=device)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row].ids) + len(said[row]))
    groups = [_group(order[i:i + flags.micro_batch], prompts, said, mask)
              for i in range(0, len(order), flags.micro_batch)]
    return Rollout(prompts, answers, groups, mask)


def _group(rows, prompts, said, mask):
    width, device = mask.shape[1], mask.device
    texts = [prompts[row].ids + said[row] for row in rows]
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=device)
    labels = torch.tensor([said[row] + [0] * (width - len(said[row])) for row in rows], device=device)
    starts = torch.tensor([len(prompts[row].ids) for row in rows], device=device)
    at = (starts[:, None] - 1 + torch.arange(width, device=device)).clamp(max=longest - 1)
    return Group(torch.tensor(rows, device=device), ids, at, labels, mask[rows])


def forward(transformer, group, temperature):
    """log p of the answers' tokens and, with a value head, the values before them; (b, T), 0 outside mask."""
    row = torch.arange(len(group.ids), device=group.ids.device)[:, None].expand_as(group.at)[group.mask]
    at, labels = group.at[group.mask], group.labels[group.mask]
    out = transformer(group.ids, head=lambda hidden, weight: -token_nll(
        hidden[row, at], weight, labels, temperature))
    logp, values = out if transformer.value_head is not None else (out, None)
    logp = torch.zeros_like(group.at, dtype=logp.dtype).masked_scatter(group.mask, logp)
    return logp, None if values is None else _at_answers(values, group)


def forward_critic(critic, group):
    """The values of a critic that is a model of its own, without its output head; as `forward` gives them."""
    _, values = critic(group.ids, head=lambda hidden, weight: None)
    return _at_answers(values, group)


def _at_answers(values, group):
    return torch.where(group.mask, values.gather(1, group.at), 0)


# -------------------------------------------------------------------------------------------------- 2. score

def score(prompts, answers, tokenizer):
    """The named errors of each answer, and its reward. A truncated answer cannot be parsed: it has no end."""
    errors = [classify(tokenizer.decode(answer.ids), prompt.gold, prompt.tools) if answer.ended
              else frozenset({ErrorType.UNPARSABLE}) for prompt, answer in zip(prompts, answers)]
    return errors, torch.tensor([value(named) for named in errors])


# --------------------------------------------------------------------------------------------- 3. advantages

@torch.no_grad()
def advantages(models, rolled, scores, flags):
    """KL penalty and score as rewards of tokens, then GAE -> Experience."""
    device = rolled.mask.device
    old_logp, ref_logp, old_values = (torch.zeros(rolled.mask.shape, device=device) for _ in range(3))
    models.reference.to(device)
    for group in rolled.groups:
        old_logp[group.rows], values = forward(models.actor, group, flags.temperature)
        ref_logp[group.rows], _ = forward(models.reference, group, flags.temperature)
        old_values[group.rows] = forward_critic(models.critic, group) if values is None else values
    if flags.offload_reference:
        models.reference.to("cpu")
    k1, _ = kl(old_logp, ref_logp)
    rewards = token_rewards(scores.to(device), k1, rolled.mask, flags.beta, flags.score_clip)
    raw, returns = gae(rewards, old_values, rolled.mask, flags.gamma, flags.lam)
    gain = whiten(raw, rolled.mask) if flags.whiten == "global" else raw
    return Experience(old_logp, ref_logp, old_values, gain, returns, rolled.mask)


# ------------------------------------------------------------------------------------------------- 4. update

def learn(models, optimizers, rolled, seen, flags, rates):
    """One PPO update on all groups; losses are token means over the batch. rates: (actor's, critic's)."""
    tokens, sums = seen.mask.sum(), Counter()
    for group in rolled.groups:
        old_logp, old_values, gain, returns = (x[group.rows] for x in (
            seen.old_logp, seen.old_values, seen.advantages, seen.returns))
        logp, values = forward(models.actor, group, flags.temperature)
        per_token, clipped = policy_loss(logp, old_logp, gain, group.mask, flags.clip)
        loss = per_token.sum() / tokens
        sums["policy_loss"] += loss.item()
        if values is None:
            loss.backward()
            values = forward_critic(models.critic, group)
        squared = value_loss(values, old_values, returns, group.mask, flags.value_clip).sum() / tokens
        sums["value_loss"] += squared.item()
        (loss + flags.value_coef * squared if flags.shared_critic else squared).backward()
        log_ratio = torch.where(group.mask, logp - old_logp, 0).detach()
        sums["clip_fraction"] += (clipped.sum() / tokens).item()
        sums["approx_kl"] += (0.5 * log_ratio.square().sum() / tokens).item()
        sums["max_log_ratio"] = max(sums["max_log_ratio"], log_ratio.abs().max().item())
    for name, transformer, optimizer, rate in zip(models._fields, models, optimizers, rates):
        sums[f"{name}_grad_norm"] = update(transformer, optimizer, rate, flags.grad_clip)
    return dict(sums)


def describe(rolled, errors, scores, seen):
    """What the answers were like: reward, a count for every named error, KL, entropy, values."""
    counts = Counter(error for named in errors for error in named)
    k1, k3 = kl(seen.old_logp, seen.ref_logp)
    spread = seen.returns[seen.mask].var(correction=0)
    left = (seen.returns - seen.old_values)[seen.mask].var(correction=0)
    return {"reward": scores.mean().item(), "reward_spread": (scores.max() - scores.min()).item(),
            "correct": sum(not named for named in errors),
            **{error.name.lower(): counts[error] for error in ErrorType},
            "k1": masked_mean(k1, seen.mask).item(), "k3": masked_mean(k3, seen.mask).item(),
            "kl_penalty": torch.where(seen.mask, k1, 0).sum(1).mean().item(),
            "entropy": -masked_mean(seen.old_logp, seen.mask).item(),  # estimated from the sampled tokens
            "explained_variance": (1 - left / spread).item() if spread > 0 else 0.0,
            "answer_length": seen.mask.sum(1).float().mean().item(),
            "ended": float(np.mean([answer.ended for answer in rolled.answers]))}


# ------------------------------------------------------------------------------------------------- the loop

def load_models(flags, device):
    """Tokenizer and Models, all from the fine-tuned checkpoint; the value head starts at zero."""
    dtype = model.DTYPES[flags.dtype]
    tokenizer = Tokenizer(flags.model)
    actor = model.load(flags.model, torch.float32, device, value_head=flags.shared_critic)
    critic = actor if flags.shared_critic else model.load(flags.model, torch.float32, device, value_head=True)
    reference = model.load(flags.model, dtype, "cpu" if flags.offload_reference else device)
    tokenizer.must_fit(actor.config)
    for transformer in (actor, critic):
        transformer.compute_dtype = dtype
        transformer.checkpoint_activations = flags.checkpoint_activations
    return tokenizer, Models(actor, critic, reference.requires_grad_(False))


def train_step(models, optimizers, batch, tokenizer, flags, generator, rates):
    """One step on a batch of prompts -> (metrics, Rollout, errors)."""
    clock = [time.perf_counter()]
    rolled = rollout(models.actor, batch, tokenizer, flags, generator)
    clock.append(time.perf_counter())
    errors, scores = score(rolled.prompts, rolled.answers, tokenizer)
    clock.append(time.perf_counter())
    seen = advantages(models, rolled, scores, flags)
    clock.append(time.perf_counter())
    metrics = describe(rolled, errors, scores, seen)
    for epoch in range(flags.ppo_epochs):
        learned = learn(models, optimizers, rolled, seen, flags, rates)
        metrics |= learned if epoch else {**learned, "first_log_ratio": learned["max_log_ratio"]}
    clock.append(time.perf_counter())
    metrics |= {f"{phase}_s": end - start for phase, start, end in zip(PHASES, clock, clock[1:])}
    return metrics | {"rollout_tokens_per_s": seen.mask.sum().item() / metrics["rollout_s"]}, rolled, errors


def evaluate(actor, prompts, tokenizer, flags):
    """Greedy answers to held-out prompts -> mean reward and its standard error, correct calls, errors."""
    order = sorted(prompts, key=lambda prompt: len(prompt.ids))
    answers = [answer for i in range(0, len(order), 32) for answer in model.generate(
        actor, [p.ids for p in order[i:i + 32]], flags.max_new_tokens, tokenizer.eos_id)]
    errors, scores = score(order, answers, tokenizer)
    counts = Counter(error for named in errors for error in named)
    return {"eval_n": len(order), "eval_reward": scores.mean().item(),
            "eval_reward_se": (scores.std() / len(order) ** 0.5).item(),
            "eval_correct": sum(not named for named in errors),
            **{f"eval_{error.name.lower()}": counts[error] for error in ErrorType}}


def warn(metrics, recent, warned):
    """Each of three signs of trouble, once. recent: (mean, spread) of the scores of the last ten steps."""
    signs = {"old and new log-probabilities differ before any update": metrics["first_log_ratio"] > 1e-3,
             "no answer ends with </s>: raise --max-new-tokens, or fine-tune longer": metrics["ended"] == 0,
             "ten steps without two different scores: there is nothing to learn from":
             len(recent) == 10 and set(recent) == {(recent[0][0], 0.0)}}
    for sign in (sign for sign, shows in signs.items() if shows and sign not in warned):
        warned.add(sign)
        tqdm.write(f"warning: {sign}")


def show(rolled, errors, tokenizer):
    """Print the first two answers of a step beside their gold calls."""
    for prompt, answer, named in list(zip(rolled.prompts, rolled.answers, errors))[:2]:
        names = ", ".join(error.value for error in named) or "correct"
        tqdm.write(f"  gold   {prompt.gold[:160]!r}")
        tqdm.write(f"  answer {tokenizer.decode(answer.ids)[:160]!r} [{names}]")


def plan(prompts, flags):
    """All batches of all epochs; the order is a function of (seed, epoch) alone."""
    for epoch in range(flags.epochs):
        order = np.random.default_rng((flags.seed, epoch)).permutation(len(prompts))
        for i in range(0, len(order), flags.batch_size):
            yield [prompts[j] for j in order[i:i + flags.batch_size]]


def main():
    """The command line; see the top of this file."""
    flags = parse_flags(PRESETS, "Stage 2: PPO on the kinds of error a call can have.")
    if not flags.data:
        raise InputError("--data: must be given")
    if flags.shared_critic and flags.critic_warmup:
        raise InputError("--critic-warmup: the critic is not a model of its own with --shared-critic")
    if not flags.model:
        newest = newest_run("sft")
        if newest is None:
            raise InputError("--model: must be given, there is no finished run of sft.py under runs/")
        flags = replace(flags, model=str(newest))
        print(f"starting from {newest}, the newest run of sft.py")
    device = pick_device(flags.device)
    tokenizer, models = load_models(flags, device)
    prompts = load(flags.data, tokenizer, flags.max_prompt, flags.free_text)
    prompts = draw(prompts, flags.num_prompts, flags.seed)
    held_out = load(flags.eval_data, tokenizer, flags.max_prompt, flags.free_text) if flags.eval_data else []
    trained = models[:1] if flags.shared_critic else models[:2]
    optimizers = [make_optimizer(transformer, weight_decay=0.0) for transformer in trained]
    batches, run = list(plan(prompts, flags)), Run(flags, "ppo")
    if held_out:
        run.log(step=0, **evaluate(models.actor, held_out, tokenizer, flags))
    generator, recent, warned, spent = torch.Generator(device), deque(maxlen=10), set(), Counter()
    bar = tqdm(batches, desc="ppo", unit="step")
    for number, batch in enumerate(bar):
        generator.manual_seed(flags.seed * 1_000_003 + number)  # of the step alone, for a resumed run
        rates = [learning_rate(number, len(batches), peak, flags.warmup_ratio)
                 for peak in (flags.actor_lr * (number >= flags.critic_warmup), flags.critic_lr)]
        metrics, rolled, errors = train_step(models, optimizers, batch, tokenizer, flags, generator, rates)
        done, last = number + 1, number + 1 == len(batches)
        if held_out and (last or flags.eval_every and done % flags.eval_every == 0):
            metrics |= evaluate(models.actor, held_out, tokenizer, flags)
        run.log(step=done, actor_lr=rates[0], critic_lr=rates[1], **metrics)
        spent.update({phase: metrics[f"{phase}_s"] for phase in PHASES})
        recent.append((metrics["reward"], metrics["reward_spread"]))
        warn(metrics, recent, warned)
        bar.set_postfix_str(f"reward {metrics['reward']:+.2f}, k1 {metrics['k1']:.3f}, "
                            f"{metrics['rollout_tokens_per_s']:,.0f} tokens/s")
        if flags.show_every and done % flags.show_every == 0:
            show(rolled, errors, tokenizer)
        if flags.save_every and done % flags.save_every == 0 and not last:
            run.save(models.actor, tokenizer, f"step-{done:06d}")
    print("seconds a step: " + ", ".join(f"{phase} {spent[phase] / len(batches):.2f}" for phase in PHASES))
    print(f"checkpoint: {run.save(models.actor, tokenizer)}")


if __name__ == "__main__":
    cli(main)
