"""Does stage 2 learn, on real input? Fine-tune a small model, run PPO with three seeds, compare.

    python -m bench.ppo_learns --trajectories DIR --tokenizer tokenizer.model --out DIR

Prompts: calls of at most 768 tokens of history, whose feedback is no error and whose gold is neither finish
nor ask_to_user, of the tool sets with at least 20 such prompts. By a hash of the query a third is held out
(with the test queries' prompts of these tool sets), a sixth is PPO's, which so meets prompts that fine-tuning
has not memorised, and half is for fine-tuning. That sees first whole conversations, those of all other tool
sets too, then the short ones cut after their last prompt: prose, as in `finish`, is what so small a model
cannot end. Held-out rewards are those of greedy answers and of `--samples` sampled ones a prompt.

Without --stage (split, sft, ppo, score) all run in turn.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import torch

import model
import ppo
from data.trajectories import read_item
from losses import is_erroneous
from prompts import read
from reward import ErrorType
from tokenizer import Tokenizer

LONGEST, FEWEST, SEEDS = 768, 20, (0, 1, 2)
CONFIG = {"model_type": "llama", "vocab_size": 32000, "hidden_size": 192, "intermediate_size": 512,
          "num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 2048}
SFT = {"conversations": ["--epochs", "8", "--lr", "1e-3", "--dtype", "fp32", "--max-length", "1024"],
       "calls": ["--epochs", "12", "--lr", "1e-3", "--dtype", "fp32"]}
PPO = ["--epochs", "44", "--batch-size", "16", "--micro-batch", "16", "--actor-lr", "1e-4",
       "--critic-lr", "1e-3", "--critic-warmup", "10", "--beta", "0.1",
       "--max-new-tokens", "96", "--max-prompt", str(LONGEST)]


def short_prompts(conversation, tokenizer):
    """The last turn of the history of each short prompt, and the tokens before its first call."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    turns = [span.turn for span in encoded.calls if span.start <= LONGEST
             and conversation.turns[span.turn].name not in ("finish", "ask_to_user")
             and not is_erroneous(conversation, span.turn)]
    return turns, encoded.calls[0].start if encoded.calls else LONGEST + 256


def split(flags):
    """Write conversations.json and calls.json for fine-tuning, ppo.json and heldout.json."""
    tokenizer = Tokenizer(flags.tokenizer)
    parts = {part: [] for part in (*SFT, "ppo", "heldout")}
    found, prompts = [], Counter()
    for name in ("rottuning_gpt4.json", "rottuning_gpt4_test_queries.json"):
        for item in json.loads(Path(flags.trajectories, name).read_text()):
            turns, start = short_prompts(read_item(item), tokenizer)
            is_test = "test_queries" in name
            if start < LONGEST + 256:
                found.append((item, turns, is_test))
            prompts[item["tool_set"]] += 0 if is_test else len(turns)
    for item, turns, is_test in found:
        query = item["conversations"][1]["content"]
        bucket = 0 if is_test else int(hashlib.sha256(query.encode()).hexdigest(), 16) % 12
        chosen = prompts[item["tool_set"]] >= FEWEST
        # with the feedback of the last prompt's call, which says that it was no error
        cut = item | {"conversations": item["conversations"][:turns[-1] + 2 if turns else 0]}
        if chosen and bucket < 4:
            parts["heldout"] += [cut] * bool(turns)
        elif not is_test:
            parts["ppo"] += [cut] * bool(turns and chosen and bucket < 6)
            parts["conversations"] += [item] * (not chosen or bucket >= 6)
            parts["calls"] += [cut] * bool(turns and (not chosen or bucket >= 6))
    for part, items in parts.items():
        (flags.out / f"{part}.json").write_text(json.dumps(items))
        print(f"{part}: {len(items)} conversations")


def run(*arguments):
    """Run a script of the repository with this interpreter."""
    repository = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, *map(str, arguments)], check=True, cwd=repository)


def fine_tune(flags):
    (flags.out / "config.json").write_text(json.dumps(CONFIG))
    run("model.py", "--init", flags.out / "config.json", flags.out / "base", "--tokenizer", flags.tokenizer)
    run("sft.py", "--model", flags.out / "base", "--data", flags.out / "conversations.json",
        "--out", flags.out / "sft-conversations", *SFT["conversations"])
    run("sft.py", "--model", flags.out / "sft-conversations", "--data", flags.out / "calls.json",
        "--out", flags.out / "sft", *SFT["calls"])


def reinforce(flags):
    for seed in SEEDS if flags.seed is None else (flags.seed,):
        run("ppo.py", "--model", flags.out / "sft", "--data", flags.out / "ppo.json", "--out",
            flags.out / f"ppo-{seed}", "--seed", seed, *PPO)


def answers_of(path, prompts, tokenizer, temperature, samples):
    """Errors and rewards of a checkpoint on the held-out prompts, `samples` answers each: (samples, n)."""
    transformer, order = model.load(path), sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
    generator, errors, rewards = torch.Generator().manual_seed(1), [], []
    for _ in range(samples):
        answers = [None] * len(prompts)
        for start in range(0, len(order), 16):
            rows = order[start:start + 16]
            said = model.generate(transformer, [prompts[i].ids for i in rows], 96, tokenizer.eos_id,
                                  temperature, generator)
            for i, answer in zip(rows, said):
                answers[i] = answer
        named, scores = ppo.score_answers(prompts, answers, tokenizer)
        errors.append(named)
        rewards.append(scores)
    return errors, torch.stack(rewards)


def compare(flags):
    """Print reward, correct calls and every error before and after, greedy and sampled."""
    tokenizer = Tokenizer(flags.out / "sft")
    prompts, _ = read(flags.out / "heldout.json", tokenizer, LONGEST)
    seeds = [seed for seed in SEEDS if (flags.out / f"ppo-{seed}" / "config.json").exists()]
    for temperature, samples in ((0.0, 1), (1.0, flags.samples)):
        results = {name: answers_of(flags.out / name, prompts, tokenizer, temperature, samples)
                   for name in ("sft", *(f"ppo-{seed}" for seed in seeds))}
        print(f"\n{len(prompts)} held-out prompts, {samples} answer(s) each, temperature {temperature}: "
              "mean reward, and correct calls and errors in % of answers")
        print(f"{'':8}{'reward':>8}{'correct':>9}" + "".join(f"{e.name.lower()[:12]:>14}" for e in ErrorType))
        for name, (errors, rewards) in results.items():
            counts = Counter(error for named in errors for one in named for error in one)
            shares = [100 * counts[e] / rewards.numel() for e in ErrorType]
            print(f"{name:8}{rewards.mean():8.3f}{100 * (rewards == 1).float().mean():9.1f}"
                  + "".join(f"{share:14.1f}" for share in shares))
        for title, right in (("reward", lambda x: x), ("share correct", lambda x: (x == 1).float())):
            before = right(results["sft"][1]).mean(0)  # (n,)
            gains = torch.stack([right(results[f"ppo-{seed}"][1]).mean(0) - before for seed in seeds])
            pooled = gains.mean(0)  # prompts are the same for all seeds: the error is that of their means
            se = (pooled.std() / len(prompts) ** 0.5).item()
            print(f"gain in {title}: {pooled.mean():+.3f} ± {se:.3f} (paired standard error over prompts), "
                  f"per seed {', '.join(f'{gain:+.3f}' for gain in gains.mean(1))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trajectories", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--stage", choices=("split", "sft", "ppo", "score"))
    parser.add_argument("--samples", type=int, default=8, help="sampled answers a held-out prompt")
    parser.add_argument("--seed", type=int, help="of the ppo stage: only this one")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    for name, stage in (("split", split), ("sft", fine_tune), ("ppo", reinforce), ("score", compare)):
        if flags.stage in (None, name):
            stage(flags)


if __name__ == "__main__":
    main()
