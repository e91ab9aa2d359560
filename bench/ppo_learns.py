"""Does stage 2 learn, on real input? Fine-tune a small model, run PPO with three seeds, compare.

    python -m bench.ppo_learns --trajectories DIR --tokenizer tokenizer.model --out DIR

A prompt has at most 768 tokens of history. The feedback of its call is no error, its gold call is
neither finish nor ask_to_user, and its tool set has at least 20 such prompts. A hash of the query
shares the prompts out. A third is held out, with the test queries' prompts of these tool sets. A
sixth is for PPO, so that PPO meets prompts which fine-tuning has not memorised. Half is for
fine-tuning. Fine-tuning sees whole conversations first, with those of all other tool sets, and then
the short ones, cut after their last prompt: so small a model cannot end prose, as in `finish`.
Held-out rewards are those of greedy answers, and of `--samples` sampled answers a prompt.

Without --stage (split, sft, ppo, score) all stages run in turn.
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

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 768  # tokens of a prompt
FEWEST = 20    # prompts of a tool set
SEEDS = (0, 1, 2)
CONFIG = {"model_type": "llama", "vocab_size": 32000, "hidden_size": 192, "intermediate_size": 512,
          "num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 2048}
SFT = {"conversations": ["--epochs", "8", "--lr", "1e-3", "--dtype", "fp32",
                         "--max-length", "1024"],
       "calls": ["--epochs", "12", "--lr", "1e-3", "--dtype", "fp32"]}
PPO = ["--epochs", "44", "--batch-size", "16", "--micro-batch", "16", "--samples", "8",
       "--baseline", "group", "--actor-lr", "1e-4", "--beta", "0.1", "--max-new-tokens", "96",
       "--max-prompt", str(LONGEST)]


# -------------------------------------------------------------------------------------------- split

def split(flags):
    """Write conversations.json and calls.json for fine-tuning, ppo.json and heldout.json."""
    parts = {part: [] for part in (*SFT, "ppo", "heldout")}
    found, prompts = read_items(flags)
    for item, turns, is_test in found:
        query = item["conversations"][1]["content"]
        bucket = 0 if is_test else int(hashlib.sha256(query.encode()).hexdigest(), 16) % 12
        chosen = prompts[item["tool_set"]] >= FEWEST
        # with the feedback of the last prompt's call, which says that the call was no error
        stop = turns[-1] + 2 if turns else 0
        cut = item | {"conversations": item["conversations"][:stop]}
        if chosen and bucket < 4:
            if turns:
                parts["heldout"].append(cut)
        elif not is_test:
            if not chosen or bucket >= 6:
                parts["conversations"].append(item)
                if turns:
                    parts["calls"].append(cut)
            elif turns:
                parts["ppo"].append(cut)
    for part, items in parts.items():
        (flags.out / f"{part}.json").write_text(json.dumps(items))
        print(f"{part}: {len(items)} conversations")


def read_items(flags):
    """([(item, turns of its prompts, whether it is a test query)], prompts of each tool set)."""
    tokenizer = Tokenizer(flags.tokenizer)
    found = []
    prompts = Counter()
    for name in ("rottuning_gpt4.json", "rottuning_gpt4_test_queries.json"):
        is_test = "test_queries" in name
        for item in json.loads(Path(flags.trajectories, name).read_text()):
            turns, start = short_prompts(read_item(item), tokenizer)
            if start < LONGEST + 256:
                found.append((item, turns, is_test))
            if not is_test:
                prompts[item["tool_set"]] += len(turns)
    return found, prompts


def short_prompts(conversation, tokenizer):
    """(turns whose call is the gold call of a short prompt, tokens before the first call)."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    turns = [span.turn for span in encoded.calls if span.start <= LONGEST
             and conversation.turns[span.turn].name not in ("finish", "ask_to_user")
             and not is_erroneous(conversation, span.turn)]
    return turns, encoded.calls[0].start if encoded.calls else LONGEST + 256


# --------------------------------------------------------------------------------------------- runs

def run(*arguments):
    """Run a script of the repository with this interpreter."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True, cwd=ROOT)


def fine_tune(flags):
    """Initialise a model, and run sft.py on conversations.json, then on calls.json."""
    out = flags.out
    (out / "config.json").write_text(json.dumps(CONFIG))
    run("model.py", "--init", out / "config.json", out / "base", "--tokenizer", flags.tokenizer)
    device = ["--device", flags.device]
    run("sft.py", "--model", out / "base", "--data", out / "conversations.json",
        "--out", out / "sft-conversations", *SFT["conversations"], *device)
    run("sft.py", "--model", out / "sft-conversations", "--data", out / "calls.json",
        "--out", out / "sft", *SFT["calls"], *device)


def reinforce(flags):
    """Run ppo.py on ppo.json with every seed, or with that of --seed."""
    for seed in SEEDS if flags.seed is None else (flags.seed,):
        run("ppo.py", "--model", flags.out / "sft", "--data", flags.out / "ppo.json",
            "--out", flags.out / f"ppo-{seed}", "--seed", seed, *PPO, "--device", flags.device)


# -------------------------------------------------------------------------------------------- score

def compare(flags):
    """Print reward, correct calls and every error before and after PPO, greedy and sampled."""
    tokenizer = Tokenizer(flags.out / "sft")
    prompts, _ = read(flags.out / "heldout.json", tokenizer, LONGEST)
    finished = [f"ppo-{seed}" for seed in SEEDS
                if (flags.out / f"ppo-{seed}" / "config.json").exists()]
    for temperature, samples in ((0.0, 1), (1.0, flags.samples)):
        results = {}
        for name in ("sft", *finished):
            transformer = model.load(flags.out / name, device=flags.device)
            results[name] = answers_of(transformer, prompts, tokenizer, temperature, samples)
        print(f"\n{len(prompts)} held-out prompts, {samples} answer(s) each, temperature "
              f"{temperature}: mean reward, and correct calls and errors in % of answers")
        print_shares(results)
        rewards = {name: rewards for name, (_, rewards) in results.items()}
        correct = {name: (rewards == 1).float() for name, (_, rewards) in results.items()}
        print_gain("reward", rewards)
        print_gain("share correct", correct)


def answers_of(transformer, prompts, tokenizer, temperature, samples):
    """(errors, rewards) of a model on n prompts, `samples` answers each: (samples, n)."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
    generator = torch.Generator().manual_seed(1)
    errors = []
    rewards = []
    for _ in range(samples):
        answers = [None] * len(prompts)
        for start in range(0, len(order), 16):
            rows = order[start:start + 16]
            ids = [prompts[i].ids for i in rows]
            batch = model.generate(transformer, ids, 96, tokenizer.eos_id, temperature, generator)
            for i, answer in zip(rows, batch, strict=True):
                answers[i] = answer
        named, scores = ppo.score_answers(prompts, answers, tokenizer)
        errors.append(named)
        rewards.append(scores)
    return errors, torch.stack(rewards)


def print_shares(results):
    """A line a checkpoint. results: {name: (errors, rewards)}."""
    print(f"{'':8}{'reward':>8}{'correct':>9}"
          + "".join(f"{error.name.lower()[:12]:>14}" for error in ErrorType))
    for name, (errors, rewards) in results.items():
        counts = Counter()
        for sample in errors:
            for named in sample:
                counts.update(named)
        shares = [100 * counts[error] / rewards.numel() for error in ErrorType]
        print(f"{name:8}{rewards.mean():8.3f}{100 * (rewards == 1).float().mean():9.1f}"
              + "".join(f"{share:14.1f}" for share in shares))


def print_gain(title, values):
    """What PPO gains over SFT. values: {name: (samples, n)} of "sft" and of every PPO run."""
    before = values["sft"].mean(0)  # (n,)
    gains = torch.stack([after.mean(0) - before for name, after in values.items()
                         if name != "sft"])  # (seeds, n)
    # The prompts are the same for all seeds: the error is that of the prompts' means over seeds.
    pooled = gains.mean(0)
    error = (pooled.std() / len(pooled) ** 0.5).item()
    print(f"gain in {title}: {pooled.mean():+.3f} ± {error:.3f} (paired standard error over "
          f"prompts), per seed {', '.join(f'{gain:+.3f}' for gain in gains.mean(1))}")


STAGES = {"split": split, "sft": fine_tune, "ppo": reinforce, "score": compare}


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trajectories", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--stage", choices=tuple(STAGES))
    parser.add_argument("--samples", type=int, default=8, help="sampled answers a held-out prompt")
    parser.add_argument("--seed", type=int, help="of the ppo stage: only this one")
    parser.add_argument("--device", default="cpu")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    for name, stage in STAGES.items():
        if flags.stage in (None, name):
            stage(flags)


if __name__ == "__main__":
    main()
