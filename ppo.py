"""Stage 2 (paper, section 3.3): PPO on the kinds of error a call can have.

    python ppo.py                                     # from the newest run of sft.py, embedded data
    python ppo.py --data raw_data.json
    torchrun --nproc_per_node 8 ppo.py --preset codellama-7b --model runs/sft --data raw_data.json

Each step has four phases: rollout (the actor answers a batch of prompts), score (the reward's
table), advantages (KL penalty, GAE), update (clipped losses). Actor, critic and reference all start
from the fine-tuned model; the KL penalty keeps the actor near it. Left out: adaptive KL, since
the released script fixes beta, and reward whitening, since the scale is known.

K answers to a prompt (--samples); B answers of this process in a step, b of them in a micro-batch;
S columns of a prompt, A of its answers; T tokens of the step's longest answer.
"""

import math
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import plumbing.environment  # noqa: F401 (before torch)

import torch
from tqdm import tqdm

import model
from generation import decoding_copy
from groups import MicroBatch, answer_logprobs, answer_values, make_micro_batches
from lora import lora_of, with_shared_base
from losses import (
    gae,
    kl,
    leave_one_out,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)
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
from plumbing.runs import Run, all_batches, answer_generator, start_from, warn_once
from prompts import Prompt, load, load_drawn, warn_of_long_prompts
from reward import ErrorType, classify, total_reward
from tokenizer import Tokenizer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Flags:
    model: str = flag(
        "", "fine-tuned checkpoint (default: the newest run of sft.py under runs/)",
        group="files", on_resume="files")
    tokenizer: str = flag(
        "", "SentencePiece model (default: the one in --model)", group="files", on_resume="files")
    data: str = flag(
        str(HERE / "data/rl.json"),
        "trajectories, or pairs of prompt and gold call; see prompts.py",
        group="files", on_resume="files")
    eval_data: str = flag(
        "", "held-out prompts, answered greedily before and after training",
        group="files", on_resume="files")
    out: str = flag(
        "runs/ppo", "where the run goes; one that was cut short is continued",
        group="files", on_resume="nothing")

    num_prompts: int = flag(1194, "prompts drawn from --data", group="method", least=1)
    max_prompt: int = flag(
        0, "leave out prompts with more tokens than this (0: keep all)", group="method", least=0)
    free_text: bool = flag(
        False, "keep prompts whose gold is ask_to_user or respond; their prose is not judged",
        group="method")
    enums: bool = flag(
        False, "name the values of a parameter's enum in the prompt's signatures", group="method")
    max_new_tokens: int = flag(
        512, "longest answer; one without </s> cannot be parsed", group="method", least=1)
    samples: int = flag(1, "answers to each prompt of a step", group="method", least=1)
    baseline: str = flag(
        "critic", "what a score is compared with: a critic's value; the mean score of the prompt's "
        "other answers (group); or both",
        group="method", choices=("critic", "group", "both"))
    skip_settled: bool = flag(
        False, "skip prompts whose answers all had one score the last time", group="method")
    temperature: float = flag(
        1.0, "of the softmax, in rollouts and log-probabilities", group="method", least=1e-3)
    greedy: bool = flag(
        False, "greedy rollouts, as in the released run; needs --samples 1", group="method")
    beta: float = flag(0.3, "KL penalty per token", group="method", least=0)
    gamma: float = flag(1.0, "discount", group="method", least=0, most=1)
    lam: float = flag(
        0.95, "lambda of GAE; does nothing with --baseline group, where it is always 1",
        group="method", least=0, most=1)
    clip: float = flag(0.2, "of the probability ratio", group="method", least=1e-3)
    value_clip: float = flag(
        0.2, "of the change of a value; does nothing with --baseline group, which has no critic",
        group="method", least=1e-3)
    score_clip: float = flag(5.0, "largest size of a score", group="method", least=1e-3)
    whiten: str = flag(
        "global", "advantages: over the batch, or (released) not",
        group="method", choices=("global", "none"))
    shared_critic: bool = flag(
        False, "a value head on the actor is the critic: less memory", group="method")
    value_coef: float = flag(
        0.1, "weight of the value loss with --shared-critic",
        group="method", least=0, needs="shared_critic")
    lora_rank: int = flag(
        0, "train adapters of this rank; the model's own weights are frozen (0: train them all)",
        group="method", least=0)
    lora_alpha: float = flag(
        0.0, "alpha of LoRA: adapters are scaled by alpha / rank (0: twice the rank)",
        group="method", least=0, needs="lora_rank")

    epochs: int = flag(3, "passes over the prompts", group="optimisation", least=1)
    batch_size: int = flag(
        8, "prompts in a step, of all processes together", group="optimisation", least=1)
    ppo_epochs: int = flag(
        1, "updates on each batch of answers", group="optimisation", least=1)
    actor_lr: float = flag(
        2e-6, "peak learning rate of the policy; with --lora-rank 0.00002",
        group="optimisation", least=0)
    critic_lr: float = flag(
        1e-6, "peak learning rate of the critic; with --lora-rank 0.00002; does nothing with "
        "--baseline group or --shared-critic", group="optimisation", least=0)
    warmup_ratio: float = flag(
        0.05, "share of steps with rising learning rate", group="optimisation", least=0, most=1)
    critic_warmup: int = flag(
        0, "first steps in which only the critic learns", group="optimisation", least=0)
    grad_clip: float = flag(
        1.0, "largest norm of a gradient (0: no clipping)", group="optimisation", least=0)

    micro_batch: int = flag(
        8, "prompts, with all their answers, in one forward pass; bounds memory, changes no result",
        group="hardware", least=1, on_resume="bits")
    dtype: str = flag(
        "fp32", "of the computation, and of frozen weights; trained weights are fp32",
        group="hardware", choices=("bf16", "fp32"))
    checkpoint_activations: bool = flag(
        False, "recompute activations in the backward pass: less memory, updates take 1/3 longer",
        group="hardware", on_resume="bits")
    offload_reference: bool = flag(
        False, "keep the reference model on the CPU between uses",
        group="hardware", on_resume="bits")
    device: str = flag("auto", "cpu, cuda, or auto", group="hardware", on_resume="bits")

    seed: int = flag(0, "of the prompts, their order and the sampling", group="run", least=0)
    show_every: int = flag(
        25, "steps between two sampled answers on the terminal (0: never)",
        group="run", least=0, on_resume="nothing")
    save_every: int = flag(
        50, "steps between checkpoints to go on from (0: none)",
        group="run", least=0, on_resume="nothing")
    keep: int = flag(
        1, "how many of these to keep", group="run", least=1, on_resume="nothing")
    eval_every: int = flag(
        0, "steps between evaluations on --eval-data (0: only before and after training)",
        group="run", least=0, needs="eval_data")
    plan: int = flag(
        0, "print the memory that each of this many processes will need, and end",
        group="run", least=0, on_resume="nothing")


PRESETS = {
    # Sized for minutes on a CPU: 19,000 answers. Eight to a prompt cost little more than two. At
    # temperature 1 most errors are noise of sampling that no greedy answer has. With the group
    # baseline and without whitening the tokens that all answers to a prompt begin with get no
    # gradient from the scores: the eight differences add up to 0.
    "tiny": Flags(
        epochs=2, batch_size=32, samples=8, baseline="group", max_new_tokens=96,
        temperature=0.7, actor_lr=1e-4, beta=0.05, lam=1.0, whiten="none"),
    # the paper's rates; 100 of 450 steps warm up, as released
    # longer prompts, one in twenty of real ones, are left out: the longest has 10,813 tokens
    "codellama-7b": Flags(
        max_prompt=7680, warmup_ratio=100 / 450, micro_batch=2, dtype="bf16",
        checkpoint_activations=True),
}
# with --lora-rank these replace the preset's
LORA_DEFAULTS = {"lora_rank": {"actor_lr": 2e-5, "critic_lr": 2e-5}}
PHASES = ("rollout", "score", "advantages", "update")


class Models(NamedTuple):
    actor: model.Transformer
    critic: model.Transformer | None  # with --shared-critic the actor; none with --baseline group
    reference: model.Transformer  # the fine-tuned model, frozen


class Rollout(NamedTuple):
    """This process's share of a step: B answers.

    All processes have the same number of micro-batches; some may hold no row. Old, reference and
    new log-probabilities use the same micro-batches, so that they are equal before any update.
    """
    prompts: list[Prompt]       # of each answer: K times the same
    answers: list[model.Answer]
    micro_batches: list[MicroBatch]
    mask: torch.Tensor  # (B, T)


class Experience(NamedTuple):
    """What the update learns from; all (B, T)."""
    old_logp: torch.Tensor
    ref_logp: torch.Tensor
    old_values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    mask: torch.Tensor


# --------------------------------------------------------------------------------------- 1. rollout

def make_rollout(actor, prompts, tokenizer, flags, generators):
    """The actor answers each of `prompts` K times, sampled from the plain softmax -> Rollout.

    Ids are never edited. generators: one for each answer.
    """
    K = flags.samples
    temperature = 0.0 if flags.greedy else flags.temperature
    answers = model.generate(
        actor, [prompt.ids for prompt in prompts], flags.max_new_tokens, tokenizer.eos_id,
        temperature, generators, samples=K)
    answer_ids = []
    for answer in answers:
        end = [tokenizer.eos_id] if answer.ended else []
        answer_ids.append(answer.ids + end)
    device = actor.model.embed_tokens.weight.device
    micro_batches, mask = make_micro_batches(prompts, answer_ids, K, flags.micro_batch, device)
    repeated = [prompt for prompt in prompts for _ in range(K)]
    return Rollout(repeated, answers, micro_batches, mask)


# ----------------------------------------------------------------------------------------- 2. score

def score_answers(prompts, answers, tokenizer):
    """The named errors of each answer, and its reward -> (list of frozensets, (B,)).

    A truncated answer cannot be parsed: it has no end. Nor can one with a token that its text does
    not show, such as `<s>`: it would pass for a correct call.
    """
    errors = []
    for prompt, answer in zip(prompts, answers, strict=True):
        if answer.ended and tokenizer.shows_all(answer.ids):
            text = tokenizer.decode(answer.ids)
            errors.append(classify(text, prompt.gold, prompt.tools, prompt.name_only))
        else:
            errors.append(frozenset({ErrorType.UNPARSABLE}))
    return errors, torch.tensor([total_reward(named) for named in errors])


# ------------------------------------------------------------------------------------ 3. advantages

@torch.no_grad()
def make_experience(models, rollout, scores, flags):
    """KL penalty and score as rewards of tokens, then GAE -> Experience."""
    stored = models.actor.model.embed_tokens.weight.dtype
    dtype = torch.promote_types(stored, torch.float32)  # frozen weights may be in bf16
    device = rollout.mask.device
    old_logp = torch.zeros(rollout.mask.shape, dtype=dtype, device=device)
    ref_logp = torch.zeros_like(old_logp)
    old_values = torch.zeros_like(old_logp)
    with on_device(models.reference, device):
        for batch in rollout.micro_batches:
            ref_logp[batch.answers], _ = answer_logprobs(models.reference, batch, flags.temperature)
    for batch in rollout.micro_batches:
        old_logp[batch.answers], values = answer_logprobs(models.actor, batch, flags.temperature)
        if flags.baseline != "group":
            if not flags.shared_critic:
                values = answer_values(models.critic, batch)
            old_values[batch.answers] = values
    k1, _ = kl(old_logp, ref_logp)
    scores = scores.to(device).clamp(-flags.score_clip, flags.score_clip)
    if flags.baseline != "critic":
        scores = scores - leave_one_out(scores, flags.samples)
    rewards = token_rewards(scores, k1, rollout.mask, flags.beta)
    # without values lambda would discount the score itself: a token's advantage is its return
    lam = 1.0 if flags.baseline == "group" else flags.lam
    advantages, returns = gae(rewards, old_values, rollout.mask, flags.gamma, lam)
    if flags.whiten == "global":
        advantages = whiten(advantages, rollout.mask, all_sum)
    return Experience(old_logp, ref_logp, old_values, advantages, returns, rollout.mask)


@contextmanager
def on_device(transformer, device):
    """Inside, the weights of a transformer are on `device`; they stay in the CPU's memory, too.

    Of shards nothing is moved: CPUOffloadPolicy does it, block by block.
    """
    _, ranks = processes()
    stored = []
    if ranks == 1:
        stored = [(parameter, parameter.data) for parameter in transformer.parameters()]
    for parameter, weight in stored:
        parameter.data = weight.to(device, non_blocking=True)
    yield
    for parameter, weight in stored:
        parameter.data = weight


# ---------------------------------------------------------------------------------------- 4. update

def update_step(models, optimizers, rollout, experience, flags, rates):
    """One PPO update on all micro-batches -> metrics.

    Losses are token means over the batch of all processes. rates: (actor's, critic's). Raises
    NotFinite before the update.
    """
    tokens = all_sum(experience.mask.sum()).item()
    _, ranks = processes()
    scale = ranks / tokens  # FSDP averages gradients over the processes
    sums = Counter()
    max_log_ratio = 0.0
    for i, batch in enumerate(rollout.micro_batches):
        is_last = i + 1 == len(rollout.micro_batches)
        reduce_gradients(models.actor, is_last)
        if models.critic is not None:
            reduce_gradients(models.critic, is_last)
        logp, is_clipped, pg_loss_sum, value_loss_sum = backward(
            models, batch, experience, scale, flags)
        log_ratio = torch.where(batch.mask, logp - experience.old_logp[batch.answers], 0)
        sums["policy_loss"] += pg_loss_sum.item()
        sums["value_loss"] += value_loss_sum.item()
        sums["clip_fraction"] += is_clipped.sum().item()
        sums["approx_kl"] += 0.5 * log_ratio.square().sum().item()
        max_log_ratio = max([max_log_ratio, *log_ratio.abs().amax(1).tolist()])
    metrics = {name: value / tokens for name, value in all_sums(sums).items()}
    finite(metrics["policy_loss"] + metrics["value_loss"], "loss")
    metrics["actor_grad_norm"] = clip_and_step(
        models.actor, optimizers[0], rates[0], flags.grad_clip)
    if models.critic is not None and not flags.shared_critic:
        metrics["critic_grad_norm"] = clip_and_step(
            models.critic, optimizers[1], rates[1], flags.grad_clip)
    return metrics | {"max_log_ratio": all_max(max_log_ratio)}


def backward(models, batch, experience, scale, flags):
    """Add the gradients of a MicroBatch -> (log p, where it is clipped, policy loss, value loss).

    The first two are (b, T), the losses are sums over its tokens. scale: turns such a sum into its
    part of the mean over all processes.
    """
    old_logp = experience.old_logp[batch.answers]
    old_values = experience.old_values[batch.answers]
    advantages = experience.advantages[batch.answers]
    returns = experience.returns[batch.answers]
    logp, values = answer_logprobs(models.actor, batch, flags.temperature)
    pg_losses, is_clipped = policy_loss(logp, old_logp, advantages, batch.mask, flags.clip)
    pg_loss_sum = pg_losses.sum()
    if models.critic is None:
        value_loss_sum = torch.zeros(())
        (pg_loss_sum * scale).backward()
    elif flags.shared_critic:
        value_losses = value_loss(values, old_values, returns, batch.mask, flags.value_clip)
        value_loss_sum = value_losses.sum()
        value_part = flags.value_coef * value_loss_sum * scale
        (pg_loss_sum * scale + value_part).backward()
    else:
        # the actor's graph is gone before the critic's is built
        (pg_loss_sum * scale).backward()
        values = answer_values(models.critic, batch)
        value_losses = value_loss(values, old_values, returns, batch.mask, flags.value_clip)
        value_loss_sum = value_losses.sum()
        (value_loss_sum * scale).backward()
    return logp.detach(), is_clipped, pg_loss_sum, value_loss_sum


# -------------------------------------------------------------------------- the metrics of a step

def describe(rollout, errors, scores, experience):
    """What the answers of all processes were like: reward, errors, KL, entropy, values.

    docs/metrics.md defines every key.
    """
    counts = count_errors(errors)
    rows = counts.pop("n")
    mask = experience.mask
    k1, k3 = kl(experience.old_logp, experience.ref_logp)
    residual = experience.returns - experience.old_values  # what the critic did not foresee
    per_token = {
        "k1": k1,
        "k3": k3,
        "logp": experience.old_logp,
        "returns": experience.returns,
        "residual": residual,
        "returns²": experience.returns.square(),
        "residual²": residual.square(),
    }
    tokens = all_sum(mask.sum()).item()
    sums = all_sums({name: x[mask].double().sum() for name, x in per_token.items()})
    mean = {name: value / tokens for name, value in sums.items()}
    variance = mean["returns²"] - mean["returns"] ** 2
    unexplained = mean["residual²"] - mean["residual"] ** 2
    highest = all_max(max(scores.tolist(), default=-math.inf))  # a process may have no answer
    lowest = -all_max(max((-scores).tolist(), default=-math.inf))
    ended = sum(answer.ended for answer in rollout.answers)
    return {
        "reward": all_sum(scores.double().sum()).item() / rows,
        "reward_spread": highest - lowest,
        **counts,
        "k1": mean["k1"],
        "k3": mean["k3"],
        "kl_per_answer": mean["k1"] * tokens / rows,
        "entropy": -mean["logp"],  # estimated from the sampled tokens
        "explained_variance": 1 - unexplained / variance if variance > 1e-12 else 0.0,
        "answer_length": tokens / rows,
        "ended": all_sum(ended) / rows,
    }


def describe_groups(scores, K):
    """Of groups of K answers: the share with more than one score, the mean spread within a group.

    scores (B,), K to a prompt. Groups whose answers all have one score teach nothing.
    """
    groups = scores.double().view(-1, K)
    mixed = (groups != groups[:, :1]).any(-1)
    sums = all_sums({
        "groups": len(groups),
        "mixed": mixed.sum(),
        "spread": groups.std(-1, unbiased=False).sum()})
    return {
        "mixed_groups": sums["mixed"] / sums["groups"],
        "group_spread": sums["spread"] / sums["groups"],
    }


def count_errors(errors):
    """{name: number} over all processes' answers: all (n), the correct ones, each named error."""
    counts = {"n": len(errors), "correct": sum(not named for named in errors)}
    for error in ErrorType:
        counts[error.name.lower()] = sum(error in named for named in errors)
    return {name: int(number) for name, number in all_sums(counts).items()}


def warn(metrics, notes):
    """Print a warning the first time that one of three signs of trouble appears.

    notes: scores of the last ten steps, signs so far.
    """
    this_step = [metrics["reward"], metrics["reward_spread"]]
    notes["recent"] = [*notes["recent"], this_step][-10:]
    is_stuck = notes["recent"] == [[metrics["reward"], 0.0]] * 10
    signs = {
        "old and new log-probabilities differ before any update":
            metrics["first_log_ratio"] > 1e-3,
        "no answer ends with </s>: raise --max-new-tokens, or fine-tune longer":
            metrics["ended"] == 0,
        "ten steps without two different scores: there is nothing to learn from": is_stuck,
    }
    for sign, is_there in signs.items():
        if is_there:
            warn_once(sign, notes)


def print_answers(rollout, errors, tokenizer):
    """Print the first two answers of a step beside their gold calls."""
    answers = zip(rollout.prompts, rollout.answers, errors, strict=True)
    for prompt, answer, named in list(answers)[:2]:
        names = ", ".join(error.value for error in named) or "correct"
        tqdm.write(f"  gold   {prompt.gold[:160]!r}")
        tqdm.write(f"  answer {tokenizer.decode(answer.ids)[:160]!r} [{names}]")


# ----------------------------------------------------------------------------------------- the loop

def load_models(flags, device):
    """Tokenizer and Models, all from the fine-tuned checkpoint; the value head starts at zero.

    With LoRA they share one frozen base: actor and critic are adapters on it.
    """
    tokenizer = Tokenizer(flags.tokenizer or flags.model, flags.enums)
    actor = model.load_for_training(flags, device, value_head=flags.shared_critic)
    tokenizer.must_fit(actor.config, flags.max_new_tokens)
    if flags.baseline == "group":
        critic = None
    elif flags.shared_critic:
        critic = actor
    elif flags.lora_rank:
        critic = add_critic(actor, flags, device)
    else:
        critic = model.load_for_training(flags, device, value_head=True)
    return tokenizer, Models(actor, critic, load_reference(actor, flags, device))


def add_critic(actor, flags, device):
    """A critic of adapters on the base that the actor's adapters are on."""
    spread = partial(shard, device=device, dtype=actor.compute_dtype)
    critic = with_shared_base(actor, value_head=True, shard=spread, lora=lora_of(flags))
    critic.compute_dtype = actor.compute_dtype
    critic.checkpoint_activations = actor.checkpoint_activations
    return critic


def load_reference(actor, flags, device):
    """The fine-tuned model, frozen, in --dtype; with LoRA it is the base of the actor."""
    dtype = model.DTYPES[flags.dtype]
    if flags.lora_rank:
        return with_shared_base(actor, shard=partial(shard, device=device, dtype=dtype))
    reference = model.load(
        flags.model, dtype, "cpu" if flags.offload_reference else device,
        shard=partial(shard, device=device, offload=flags.offload_reference))
    _, ranks = processes()
    if flags.offload_reference and torch.device(device).type == "cuda" and ranks == 1:
        for parameter in reference.parameters():
            parameter.data = parameter.data.pin_memory()  # copied faster, and beside other work
    return reference.requires_grad_(False)


def load_prompts(flags, tokenizer, config):
    """(prompts to learn from, held-out ones); says how many are too long for the model."""
    prompts = load_drawn(flags, tokenizer, config)
    held_out = []
    if flags.eval_data:
        held_out = load(flags.eval_data, tokenizer, flags.max_prompt, flags.free_text)
        warn_of_long_prompts(held_out, flags.eval_data, config, flags)
    return prompts, held_out


def train_step(models, optimizers, batch, tokenizer, flags, number, rates):
    """Step `number` on a batch of prompts -> (metrics, seconds of each phase, Rollout, errors).

    What an answer draws is a function of (seed, number, its place in the step): neither a resumed
    run nor the number of processes changes it. Raises NotFinite before an update.
    """
    device = models.actor.model.embed_tokens.weight.device
    clock = [now(device)]
    mine = share_evenly([len(prompt.ids) for prompt in batch])
    K = flags.samples
    generators = [answer_generator(flags.seed, number, row * K + k)
                  for row in mine for k in range(K)]
    rollout = make_rollout(
        models.actor, [batch[row] for row in mine], tokenizer, flags, generators)
    clock.append(now(device))
    errors, scores = score_answers(rollout.prompts, rollout.answers, tokenizer)
    clock.append(now(device))
    experience = make_experience(models, rollout, scores, flags)
    clock.append(now(device))
    metrics = describe(rollout, errors, scores, experience)
    if K > 1:
        metrics |= describe_groups(scores, K)
    for _ in range(flags.ppo_epochs):
        updated = update_step(models, optimizers, rollout, experience, flags, rates)
        metrics |= updated
        metrics.setdefault("first_log_ratio", updated["max_log_ratio"])
    clock.append(now(device))
    seconds = {phase: clock[i + 1] - clock[i] for i, phase in enumerate(PHASES)}
    return metrics, seconds, rollout, errors


def now(device):
    """Seconds on a clock, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def held_out_metrics(actor, prompts, tokenizer, flags):
    """Greedy answers to held-out prompts -> mean reward with its standard error, and error counts.

    A process answers as many prompts at once as in a rollout, the number that --plan assumes.
    """
    actor = decoding_copy(actor)
    rank, ranks = processes()
    rows = -(-flags.batch_size // ranks)
    by_length = sorted(prompts, key=lambda prompt: len(prompt.ids))
    batches = [by_length[i:i + rows] for i in range(0, len(by_length), rows)]
    asked = []
    answers = []
    for batch in batches[rank::ranks]:
        asked += batch
        try:
            answers += model.generate(
                actor, [prompt.ids for prompt in batch], flags.max_new_tokens, tokenizer.eos_id)
        except NotFinite as error:
            raise InputError(f"--eval-data {flags.eval_data}: {error}") from None
    errors, scores = score_answers(asked, answers, tokenizer)
    n = len(prompts)
    mean = all_sum(scores.double().sum()).item() / n
    squares = all_sum((scores.double() - mean).square().sum()).item()
    metrics = {
        "eval_reward": mean,
        "eval_reward_se": (squares / max(n - 1, 1) / n) ** 0.5,
    }
    for name, number in count_errors(errors).items():
        metrics[f"eval_{name}"] = number
    return metrics


def without_uniform(batch, notes):
    """The prompts of a batch that are not in notes["settled"]; all of them if that leaves none."""
    left = [prompt for prompt in batch if prompt.where not in notes["settled"]]
    return left or batch


def note_uniform(batch, rollout, errors, K, notes):
    """Note which prompts of the batch, in any process, had one score for all K answers.

    They enter notes["settled"], the others leave it.
    """
    uniform = set()
    for start in range(0, len(errors), K):
        scores = {total_reward(named) for named in errors[start:start + K]}
        if len(scores) == 1:
            uniform.add(rollout.prompts[start].where)
    here = torch.tensor([prompt.where in uniform for prompt in batch])
    settled = set(notes["settled"])
    for prompt, is_settled in zip(batch, all_sum(here).tolist(), strict=True):
        if is_settled:
            settled.add(prompt.where)
        else:
            settled.discard(prompt.where)
    notes["settled"] = sorted(settled)


def read_flags():
    """The command line -> Flags; a --model that is not given is the newest run of sft.py."""
    flags = parse_flags(
        PRESETS, "Stage 2: PPO on the kinds of error a call can have.",
        defaults_with=LORA_DEFAULTS)
    if flags.shared_critic and flags.critic_warmup:
        raise InputError(
            "--critic-warmup: the critic is not a model of its own with --shared-critic")
    if flags.baseline != "critic" and flags.samples < 2:
        raise InputError(f"--baseline {flags.baseline}: needs --samples of 2 or more")
    if flags.baseline == "group" and (flags.shared_critic or flags.critic_warmup):
        raise InputError("--baseline group: has no critic to share or to warm up")
    if flags.greedy and flags.samples > 1:
        raise InputError("--greedy: all --samples answers to a prompt would be the same; "
                         "add --samples 1 --baseline critic")
    if flags.skip_settled and flags.samples < 2:
        raise InputError("--skip-settled: needs --samples of 2 or more")
    if flags.offload_reference and flags.lora_rank:
        raise InputError(
            "--offload-reference: with --lora-rank the reference is the base that all share")
    return start_from(flags, "sft")


def step_rates(number, steps, flags):
    """(actor's, critic's) learning rates of step `number` of `steps`."""
    actor_peak = 0.0 if number < flags.critic_warmup else flags.actor_lr
    return (learning_rate(number, steps, actor_peak, flags.warmup_ratio),
            learning_rate(number, steps, flags.critic_lr, flags.warmup_ratio))


def main():
    """The command line; see the top of this file."""
    flags = read_flags()
    if flags.plan:
        model.print_plan(memory.plan_ppo, flags)
        return
    device = join(flags.device)
    run = Run(flags, "ppo")
    print(f"starting from {flags.model}")
    tokenizer, models = load_models(flags, device)
    prompts, held_out = load_prompts(flags, tokenizer, models.actor.config)
    # no weight decay: the KL penalty holds the weights already
    state = {"actor": (models.actor, make_optimizer(models.actor, weight_decay=0.0))}
    if models.critic is not None and not flags.shared_critic:
        state["critic"] = (models.critic, make_optimizer(models.critic, weight_decay=0.0))
    optimizers = [optimizer for _, optimizer in state.values()]
    batches = all_batches(prompts, flags)
    spent = Counter()
    notes = {"recent": [], "warned": [], "settled": []}
    for number in run.steps(len(batches), state, notes):
        if held_out and number == 0:
            run.log(0, held_out_metrics(models.actor, held_out, tokenizer, flags), {})
        done = number + 1
        batch = batches[number]
        if flags.skip_settled:
            batch = without_uniform(batch, notes)
        rates = step_rates(number, len(batches), flags)
        try:
            metrics, seconds, rollout, errors = train_step(
                models, optimizers, batch, tokenizer, flags, number, rates)
        except NotFinite as error:
            items = "; ".join(prompt.where for prompt in batch)
            raise InputError(f"step {done}, prompts {items}: {error}") from None
        if flags.skip_settled:
            metrics["skipped_prompts"] = len(batches[number]) - len(batch)
            note_uniform(batch, rollout, errors, flags.samples, notes)
        if held_out and run.evaluates(done, len(batches)):
            metrics |= held_out_metrics(models.actor, held_out, tokenizer, flags)
        n_tokens = metrics["answer_length"] * len(batch) * flags.samples
        speed = n_tokens / seconds["rollout"]
        timings = {f"{phase}_s": seconds[phase] for phase in PHASES}
        run.log(done, {"actor_lr": rates[0], "critic_lr": rates[1], **metrics},
                {**timings, "rollout_tokens_per_s": speed},
                f"reward {metrics['reward']:+.2f}, k1 {metrics['k1']:.3f}, {speed:,.0f} tokens/s")
        spent.update(seconds)
        warn(metrics, notes)
        if flags.show_every and done % flags.show_every == 0:
            print_answers(rollout, errors, tokenizer)
    print("seconds: " + ", ".join(f"{phase} {spent[phase]:.1f}" for phase in PHASES))
    model.export(models.actor, tokenizer, run.path)
    leave()


if __name__ == "__main__":
    cli(main, lower=
        "--micro-batch, --max-prompt or --max-new-tokens, or give --checkpoint-activations")
