"""Stage 2 (paper, section 3.3): PPO on the kinds of error a call can have, held near the fine-tuned model.

    python ppo.py                                          # from the newest run of sft.py, embedded data
    python ppo.py --data raw_data.json
    torchrun --nproc_per_node 8 ppo.py --preset codellama-7b --model runs/sft --data raw_data.json

Each step: rollout (the actor answers a batch of prompts), score (the reward's table), advantages (KL penalty,
GAE), update (clipped losses). Actor, critic and reference all start from the fine-tuned model. Left out:
adaptive KL, since the paper fixes beta, and reward whitening, since the scale is known.
"""

import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import model
from answers import Group, forward, forward_critic, group_answers
from losses import gae, kl, policy_loss, token_rewards, value_loss, whiten
from model import warn_of_length
from monitor import count, describe, show, warn
from plumbing import memory
from plumbing.files import InputError
from plumbing.flags import cli, flag, parse_flags
from plumbing.optimizer import NotFinite, clip_and_step, finite, learning_rate, make_optimizer
from plumbing.parallel import (
    all_max,
    all_sum,
    all_sums,
    join,
    leave,
    processes,
    reduce_gradients,
    shard,
    share_evenly,
)
from plumbing.runs import Run, newest_run
from prompts import Prompt, draw, load
from reward import ErrorType, classify, total_reward
from tokenizer import Tokenizer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Flags:
    model: str = flag(
        "", "fine-tuned checkpoint (default: the newest run of sft.py under runs/)", on_resume="files")
    data: str = flag(str(HERE / "data/rl.json"),
                     "trajectories, or pairs of prompt and gold call; see prompts.py", on_resume="files")
    eval_data: str = flag(
        "", "held-out prompts, answered greedily before and after training", on_resume="files")
    out: str = flag("runs/ppo", "where the run goes; one that was cut short is continued", on_resume="nothing")
    num_prompts: int = flag(1194, "prompts drawn from --data", least=1)
    max_prompt: int = flag(0, "leave out prompts of more tokens (0: none)", least=0)
    free_text: bool = flag(False, "keep prompts whose gold is finish, ask_to_user or respond: prose")
    epochs: int = flag(3, "passes over the prompts", least=1)
    batch_size: int = flag(8, "prompts in a step, of all processes together", least=1)
    micro_batch: int = flag(8, "rows in one forward pass; bounds memory, changes no result", least=1,
                            on_resume="bits")
    ppo_epochs: int = flag(1, "updates on each batch of answers", least=1)
    max_new_tokens: int = flag(512, "longest answer; one without </s> cannot be parsed", least=1)
    temperature: float = flag(1.0, "of the softmax, in rollouts and log-probabilities", least=1e-3)
    greedy: bool = flag(False, "greedy rollouts, as in the released run")
    actor_lr: float = flag(2e-6, "peak learning rate of the policy", least=0)
    critic_lr: float = flag(1e-6, "peak learning rate of the critic", least=0)
    warmup_ratio: float = flag(0.05, "share of steps with rising learning rate", least=0, most=1)
    critic_warmup: int = flag(0, "first steps in which only the critic learns", least=0)
    shared_critic: bool = flag(False, "a value head on the actor is the critic: less memory")
    value_coef: float = flag(0.1, "weight of the value loss with --shared-critic", least=0,
                             needs="shared_critic")
    offload_reference: bool = flag(False, "keep the reference model on the CPU between uses",
                                   on_resume="bits")
    beta: float = flag(0.3, "KL penalty per token", least=0)
    gamma: float = flag(1.0, "discount", least=0, most=1)
    lam: float = flag(0.95, "lambda of GAE", least=0, most=1)
    clip: float = flag(0.2, "of the probability ratio", least=0)
    value_clip: float = flag(0.2, "of the change of a value", least=0)
    score_clip: float = flag(5.0, "of the score", least=0)
    whiten: str = flag("global", "advantages: over the batch, or (released) not", choices=("global", "none"))
    grad_clip: float = flag(1.0, "largest norm of a gradient (0: no clipping)", least=0)
    dtype: str = flag("fp32", "of the computation; weights are fp32", choices=("bf16", "fp32"))
    checkpoint_activations: bool = flag(False, "recompute them in the backward pass: less memory",
                                        on_resume="bits")
    device: str = flag("auto", "cpu, cuda, or auto", on_resume="bits")
    seed: int = flag(0, "of the prompts, their order and the sampling", least=0)
    show_every: int = flag(25, "steps between two sampled answers on the terminal (0: never)", least=0,
                           on_resume="nothing")
    save_every: int = flag(50, "steps between checkpoints to go on from (0: none)", least=0, on_resume="nothing")
    keep: int = flag(1, "how many of these to keep", least=1, on_resume="nothing")
    eval_every: int = flag(0, "steps between --eval-data (0: before and after)", least=0, needs="eval_data")
    plan: int = flag(0, "print the memory that each of this many processes will need, and end", least=0,
                     on_resume="nothing")


PRESETS = {
    # Minutes on a CPU. With so few samples an actor takes in noise, whose harm grows with the square of the
    # rate: at 4e-5 held-out rewards fell. At temperature 1 slips that greedy answers never make add to it.
    "tiny": Flags(
        epochs=2, max_new_tokens=96, temperature=0.6, actor_lr=1e-5, critic_lr=3e-4, beta=0.1),
    "codellama-7b": Flags(  # the paper's rates; 100 of 450 steps warm up, as released
        warmup_ratio=100 / 450, micro_batch=2, dtype="bf16", checkpoint_activations=True)}
PHASES = ("rollout", "score", "advantages", "update")


class Models(NamedTuple):
    actor: model.Transformer
    critic: model.Transformer     # with --shared-critic the actor itself
    reference: model.Transformer  # the fine-tuned model, frozen


class Rollout(NamedTuple):
    """This process's share of a step: B rows. Every process has as many groups; some may hold no row."""
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
    lengths = torch.tensor([len(ids) for ids in said], device=actor.model.embed_tokens.weight.device)
    mask = torch.arange(max(map(len, said), default=1), device=lengths.device) < lengths[:, None]
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row].ids) + len(said[row]))
    starts = range(0, int(all_max(len(order))), flags.micro_batch)
    groups = [group_answers(order[i:i + flags.micro_batch], prompts, said, mask) for i in starts]
    return Rollout(prompts, answers, groups, mask)


# -------------------------------------------------------------------------------------------------- 2. score

def score(prompts, answers, tokenizer):
    """The named errors of each answer, and its reward. A truncated answer cannot be parsed: it has no end."""
    errors = [classify(tokenizer.decode(answer.ids), prompt.gold, prompt.tools) if answer.ended
              else frozenset({ErrorType.UNPARSABLE}) for prompt, answer in zip(prompts, answers)]
    return errors, torch.tensor([total_reward(named) for named in errors])


# --------------------------------------------------------------------------------------------- 3. advantages

@torch.no_grad()
def advantages(models, rolled, scores, flags):
    """KL penalty and score as rewards of tokens, then GAE -> Experience."""
    weight, device = models.actor.model.embed_tokens.weight, rolled.mask.device
    old_logp, ref_logp, old_values = (
        torch.zeros(rolled.mask.shape, dtype=weight.dtype, device=device) for _ in range(3))
    moves = flags.offload_reference and processes()[1] == 1  # shards are moved block by block
    if moves:
        models.reference.to(device)
    for group in rolled.groups:
        old_logp[group.rows], values = forward(models.actor, group, flags.temperature)
        ref_logp[group.rows], _ = forward(models.reference, group, flags.temperature)
        old_values[group.rows] = forward_critic(models.critic, group) if values is None else values
    if moves:
        models.reference.to("cpu")
    k1, _ = kl(old_logp, ref_logp)
    rewards = token_rewards(scores.to(device), k1, rolled.mask, flags.beta, flags.score_clip)
    raw, returns = gae(rewards, old_values, rolled.mask, flags.gamma, flags.lam)
    gain = whiten(raw, rolled.mask, all_sum) if flags.whiten == "global" else raw
    return Experience(old_logp, ref_logp, old_values, gain, returns, rolled.mask)


# ------------------------------------------------------------------------------------------------- 4. update

def learn(models, optimizers, rolled, seen, flags, rates):
    """One PPO update on all groups; losses are token means over the batch of all processes.

    rates: (actor's, critic's). Raises NotFinite before the update.
    """
    tokens, sums, widest = all_sum(seen.mask.sum()).item(), Counter(), 0.0
    share = processes()[1] / tokens  # gradients are averaged over the processes
    for i, group in enumerate(rolled.groups):
        for transformer in models[:2]:
            reduce_gradients(transformer, i + 1 == len(rolled.groups))
        old_logp, old_values, gain, returns = (x[group.rows] for x in (
            seen.old_logp, seen.old_values, seen.advantages, seen.returns))
        logp, values = forward(models.actor, group, flags.temperature)
        per_token, clipped = policy_loss(logp, old_logp, gain, group.mask, flags.clip)
        loss = per_token.sum() * share
        if not flags.shared_critic:  # the actor's graph is gone before the critic's is built
            loss.backward()
            loss, values = 0.0, forward_critic(models.critic, group)
        squared = value_loss(values, old_values, returns, group.mask, flags.value_clip).sum()
        (loss + (flags.value_coef if flags.shared_critic else 1.0) * squared * share).backward()
        log_ratio = torch.where(group.mask, logp - old_logp, 0).detach()
        sums.update({"policy_loss": per_token.sum().item(), "value_loss": squared.item(),
                     "clip_fraction": clipped.sum().item(),
                     "approx_kl": 0.5 * log_ratio.square().sum().item()})
        widest = max([widest, *log_ratio.abs().amax(1).tolist()])
    metrics = {name: value / tokens for name, value in all_sums(sums).items()}
    finite(metrics["policy_loss"] + metrics["value_loss"], "loss")
    for name, transformer, optimizer, rate in zip(models._fields, models, optimizers, rates):
        metrics[f"{name}_grad_norm"] = clip_and_step(transformer, optimizer, rate, flags.grad_clip)
    return metrics | {"max_log_ratio": all_max(widest)}


# ------------------------------------------------------------------------------------------------- the loop

def load_models(flags, device):
    """Tokenizer and Models, all from the fine-tuned checkpoint; the value head starts at zero."""
    tokenizer, dtype = Tokenizer(flags.model), model.DTYPES[flags.dtype]
    trained = partial(model.load, flags.model, torch.float32, device,
                      shard=partial(shard, device=device, dtype=dtype))
    actor = trained(value_head=flags.shared_critic)
    critic = actor if flags.shared_critic else trained(value_head=True)
    reference = model.load(flags.model, dtype, "cpu" if flags.offload_reference else device,
                             shard=partial(shard, device=device, offload=flags.offload_reference))
    tokenizer.must_fit(actor.config, flags.max_new_tokens)
    for transformer in (actor, critic):
        transformer.compute_dtype = dtype
        transformer.checkpoint_activations = flags.checkpoint_activations
    return tokenizer, Models(actor, critic, reference.requires_grad_(False))


def load_prompts(flags, tokenizer, config):
    """(prompts to learn from, held-out ones); says which are too long for a model of this Config."""
    prompts, held_out = (load(path, tokenizer, flags.max_prompt, flags.free_text) if path else []
                         for path in (flags.data, flags.eval_data))
    prompts = draw(prompts, flags.num_prompts, flags.seed)
    warn_of_length([len(prompt.ids) + flags.max_new_tokens for prompt in prompts + held_out], config,
                   "prompts with their answers", flags.model)
    return prompts, held_out


def train_step(models, optimizers, batch, tokenizer, flags, number, rates):
    """Step `number` on a batch of prompts -> (metrics, seconds of each phase, Rollout, errors).

    A row's luck is a function of (seed, number, row): neither a resumed run nor the number of processes
    changes an answer. Raises NotFinite before an update.
    """
    clock, mine = [time.perf_counter()], share_evenly([len(prompt.ids) for prompt in batch])
    seeds = [int(np.random.default_rng((flags.seed, number, row)).integers(2**63)) for row in mine]
    rolled = rollout(models.actor, [batch[row] for row in mine], tokenizer, flags,
                     [torch.Generator().manual_seed(seed) for seed in seeds])
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
    seconds = {phase: end - begin for phase, begin, end in zip(PHASES, clock, clock[1:])}
    return metrics, seconds, rolled, errors


def evaluate(actor, prompts, tokenizer, flags):
    """Greedy answers to held-out prompts -> mean reward and its standard error, correct calls, errors.

    As many at once as a rollout has, which is what --plan counts with.
    """
    actor, (rank, ranks) = model.gather(actor), processes()
    rows, order = -(-flags.batch_size // ranks), sorted(prompts, key=lambda prompt: len(prompt.ids))
    batches = [order[i:i + rows] for i in range(0, len(order), rows)][rank::ranks]
    answers = [answer for batch in batches for answer in model.generate(
        actor, [prompt.ids for prompt in batch], flags.max_new_tokens, tokenizer.eos_id)]
    errors, scores = score([prompt for batch in batches for prompt in batch], answers, tokenizer)
    counts, n = count(errors), len(prompts)
    mean = all_sum(scores.double().sum()).item() / n
    squares = all_sum((scores.double() - mean).square().sum()).item()
    return {"eval_reward": mean, "eval_reward_se": (squares / max(n - 1, 1) / n) ** 0.5,
            **{f"eval_{name}": number for name, number in counts.items()}}


def all_batches(prompts, flags):
    """All batches of all epochs; the order is a function of (seed, epoch) alone."""
    for epoch in range(flags.epochs):
        order = np.random.default_rng((flags.seed, epoch)).permutation(len(prompts))
        for i in range(0, len(order), flags.batch_size):
            yield [prompts[j] for j in order[i:i + flags.batch_size]]


def read_flags():
    """The command line -> Flags, with the newest run of sft.py for a --model that is not given."""
    flags = parse_flags(PRESETS, "Stage 2: PPO on the kinds of error a call can have.")
    if flags.shared_critic and flags.critic_warmup:
        raise InputError("--critic-warmup: the critic is not a model of its own with --shared-critic")
    if flags.model:
        return flags
    newest = newest_run("sft")
    if newest is None:
        raise InputError("--model: no finished run under runs/ to start from; python sft.py makes one")
    return replace(flags, model=str(newest))


def main():
    """The command line; see the top of this file."""
    flags = read_flags()
    if flags.plan:
        config = model.read_config(Path(flags.model, "config.json"))
        print(*memory.report(memory.plan_ppo, config, flags), sep="\n")
        return
    device, run = join(flags.device), Run(flags, "ppo")
    print(f"starting from {flags.model}")
    tokenizer, models = load_models(flags, device)
    prompts, held_out = load_prompts(flags, tokenizer, models.actor.config)
    # no weight decay: the KL penalty holds the weights already
    state = {name: (getattr(models, name), make_optimizer(getattr(models, name), weight_decay=0.0))
             for name in (("actor",) if flags.shared_critic else ("actor", "critic"))}
    optimizers = [optimizer for _, optimizer in state.values()]
    batches, spent, notes = list(all_batches(prompts, flags)), Counter(), {"recent": [], "warned": []}
    for number in run.steps(len(batches), state, notes):
        if held_out and number == 0:
            run.log(0, evaluate(models.actor, held_out, tokenizer, flags), {})
        done, batch = number + 1, batches[number]
        rates = [learning_rate(number, len(batches), peak, flags.warmup_ratio)
                 for peak in (flags.actor_lr * (number >= flags.critic_warmup), flags.critic_lr)]
        try:
            metrics, seconds, rolled, errors = train_step(
                models, optimizers, batch, tokenizer, flags, number, rates)
        except NotFinite as error:
            items = "; ".join(prompt.where for prompt in batch)
            raise InputError(f"step {done}, prompts {items}: {error}") from None
        if held_out and (done == len(batches) or flags.eval_every and done % flags.eval_every == 0):
            metrics |= evaluate(models.actor, held_out, tokenizer, flags)
        speed = metrics["answer_length"] * len(batch) / seconds["rollout"]
        run.log(done, {"actor_lr": rates[0], "critic_lr": rates[1], **metrics},
                {**{f"{phase}_s": seconds[phase] for phase in PHASES}, "rollout_tokens_per_s": speed},
                f"reward {metrics['reward']:+.2f}, k1 {metrics['k1']:.3f}, {speed:,.0f} tokens/s")
        spent.update(seconds)
        warn(metrics, notes)
        if flags.show_every and done % flags.show_every == 0:
            show(rolled, errors, tokenizer)
    print("seconds: " + ", ".join(f"{phase} {spent[phase]:.1f}" for phase in PHASES))
    model.export(models.actor, tokenizer, run.path)
    leave()


if __name__ == "__main__":
    cli(main)
