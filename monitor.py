"""What a step of PPO was like: the metrics of its answers, three signs of trouble, two answers to look at."""

import math
from collections import Counter

from tqdm import tqdm

from losses import kl
from plumbing.parallel import all_max, all_sum, all_sums
from reward import ErrorType


def describe(rolled, errors, scores, seen):
    """What all processes' answers were like: reward, a count for every named error, KL, entropy, values."""
    counts, (k1, k3) = count(errors), kl(seen.old_logp, seen.ref_logp)
    residual = seen.returns - seen.old_values  # what the critic did not foresee
    rows, tokens, ended = counts.pop("n"), all_sum(seen.mask.sum()).item(), [a.ended for a in rolled.answers]
    mean = {name: value / tokens for name, value in all_sums({
        name: x[seen.mask].double().sum() for name, x in {
            "k1": k1, "k3": k3, "logp": seen.old_logp, "returns": seen.returns, "residual": residual,
            "returns²": seen.returns.square(), "residual²": residual.square()}.items()}).items()}
    variance, unexplained = (mean[f"{name}²"] - mean[name] ** 2 for name in ("returns", "residual"))
    highest = all_max(max(scores.tolist(), default=-math.inf))  # a process may have no answer
    lowest = -all_max(max((-scores).tolist(), default=-math.inf))
    return {"reward": all_sum(scores.double().sum()).item() / rows, "reward_spread": highest - lowest, **counts,
            "k1": mean["k1"], "k3": mean["k3"], "kl_per_answer": mean["k1"] * tokens / rows,
            "entropy": -mean["logp"],  # estimated from the sampled tokens
            "explained_variance": 1 - unexplained / variance if variance > 1e-12 else 0.0,
            "answer_length": tokens / rows, "ended": all_sum(sum(ended)) / rows}


def count(errors):
    """{what: how many} of all processes' answers: all, the correct ones, and those with each named error."""
    counts = Counter(error for named in errors for error in named)
    sums = all_sums({"n": len(errors), "correct": sum(not named for named in errors),
                   **{error.name.lower(): counts[error] for error in ErrorType}})
    return {name: int(number) for name, number in sums.items()}


def warn(metrics, notes):
    """Each of three signs of trouble, once. notes: the scores of the last ten steps, the signs so far."""
    notes["recent"] = [*notes["recent"], [metrics["reward"], metrics["reward_spread"]]][-10:]
    signs = {"old and new log-probabilities differ before any update": metrics["first_log_ratio"] > 1e-3,
             "no answer ends with </s>: raise --max-new-tokens, or fine-tune longer": metrics["ended"] == 0,
             "ten steps without two different scores: there is nothing to learn from":
             notes["recent"] == [[metrics["reward"], 0.0]] * 10}
    for sign in (sign for sign, shows in signs.items() if shows and sign not in notes["warned"]):
        notes["warned"].append(sign)
        tqdm.write(f"warning: {sign}")


def show(rolled, errors, tokenizer):
    """Print the first two answers of a step beside their gold calls."""
    for prompt, answer, named in list(zip(rolled.prompts, rolled.answers, errors))[:2]:
        names = ", ".join(error.value for error in named) or "correct"
        tqdm.write(f"  gold   {prompt.gold[:160]!r}")
        tqdm.write(f"  answer {tokenizer.decode(answer.ids)[:160]!r} [{names}]")
