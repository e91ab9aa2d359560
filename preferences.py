"""TTPA: sample several calls to a prompt, score them by their errors (ESM), pair better with worse.

    python preferences.py                                  # from the newest run of sft.py
    python preferences.py --model runs/sft --data raw_data.json --out runs/pairs
    torchrun --nproc_per_node 8 preferences.py --preset codellama-7b --model runs/sft --data FILE

For every prompt of stage 2: candidates (a sampler), their scores (ESM), and one chosen call with up
to three that are rejected. The marks say where a rule comes from: [S] the paper's abstract or a
summary of it, [C] the released code, [R] our reading. Samplers: `branch` [R] leaves a greedy call
at single tokens (branches.py); `ancestral` [C] draws whole calls; `corrupt` is a control, random
damage to the gold call. Under torchrun each process holds the whole model.

--out gets pairs.jsonl, an object a prompt, which dpo.py trains on. A run that was cut short goes on
from answers.RANK.jsonl there (plumbing/answers.py).
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import plumbing.environment  # noqa: F401 (before torch)

import numpy as np

import model
from branches import (
    KINDS,
    GreedyPath,
    branch_places,
    follow_branches,
    greedy_paths,
    token_kinds,
)
from data.calls import ParseError, parse_call
from data.tools import write_call
from plumbing.answers import answer_all, make_batches
from plumbing.files import contents, make_folder, write_text
from plumbing.flags import cli, flag, parse_flags
from plumbing.parallel import SHARES_DIFFER, barrier, join, leave, processes
from plumbing.runs import answer_generator, start_from
from prompts import load_drawn
from reward import MENDED, NO_CALL, RELEASED, Esm, classify, esm
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
    out: str = flag(
        "runs/pairs", "where the pairs go; a run that was cut short is continued",
        group="files", on_resume="nothing")
    format: str = flag(
        "ours", "trl: also write pairs.trl.jsonl, in the layout of TRL's DPOTrainer",
        group="files", choices=("ours", "trl"), on_resume="nothing")

    num_prompts: int = flag(1194, "prompts drawn from --data", group="method", least=1)
    max_prompt: int = flag(
        0, "leave out prompts with more tokens than this (0: keep all)", group="method", least=0)
    free_text: bool = flag(
        False, "keep prompts whose gold is ask_to_user or respond; their prose is not judged",
        group="method")
    enums: bool = flag(
        False, "name the values of a parameter's enum in the prompt's signatures", group="method")
    sampler: str = flag(
        "branch", "of the candidates", group="method", choices=("branch", "ancestral", "corrupt"))
    samples: int = flag(5, "candidates for a prompt", group="method", least=2)
    max_new_tokens: int = flag(512, "longest candidate", group="method", least=1)
    temperature: float = flag(1.0, "of ancestral sampling", group="method", least=1e-3)
    max_gap: float = flag(
        0.6, "branch where p1 - p2 of the two likeliest tokens is less",
        group="method", least=0, most=1.1)
    min_p: float = flag(
        0.02, "branch where p2 is at least this", group="method", least=0, most=1)
    score: str = flag(
        "esm", "of a candidate: TTPA's, or 1 for a correct call and 0 for others",
        group="method", choices=("esm", "binary"))
    esm: str = flag(
        "larger", "shares of keys over the larger of two calls (released), or their union",
        group="method", choices=("larger", "union"))
    compat: bool = flag(
        False, "score with the released code's slips: reward.py, EsmRule", group="method")
    threshold: float = flag(
        0.8, "the gold is chosen if no candidate scores as much", group="method", least=0, most=1)
    gold_fallback: bool = flag(
        True, "choose the gold where no candidate reaches --threshold (off: always choose a "
        "candidate)", group="method")
    gold_unless_perfect: bool = flag(
        False, "the gold is chosen if no candidate scores 1",
        group="method", needs="gold_fallback")
    rejected: int = flag(3, "rejected calls for a prompt, the worst first", group="method", least=1)
    min_gap: float = flag(
        0.0, "of the scores of chosen and rejected", group="method", least=0, most=1)

    batch_size: int = flag(
        16, "prompts at once, with all their candidates", group="hardware", least=1)
    dtype: str = flag("fp32", "of the weights", group="hardware", choices=("bf16", "fp32"))
    device: str = flag("auto", "cpu, cuda, or auto", group="hardware", on_resume="nothing")
    seed: int = flag(0, "of the prompts and the sampling", group="run", least=0)


PRESETS = {
    # By pilots (docs/LOG.md): a model of this size is rarely unsure, so few tokens have a gap under
    # 0.6; and calls with a wrong value score 0.8 or more, but should not be chosen.
    "tiny": Flags(
        num_prompts=600, max_new_tokens=96, max_gap=1.1, min_p=0.0, gold_unless_perfect=True,
        min_gap=0.1),
    # [S], second hand: 3,895 instances
    "codellama-7b": Flags(dtype="bf16", num_prompts=3895, max_prompt=7680),
}


class Candidate(NamedTuple):
    """A call that may be chosen or rejected."""

    ids: list[int]            # without </s>
    ended: bool
    branch: int | None = None  # tokens shared with the greedy call that it leaves
    kind: str = ""            # of the token at which it leaves: one of branches.KINDS
    is_gold: bool = False


class Scored(NamedTuple):
    """A candidate with its text and its score."""

    candidate: Candidate
    text: str
    esm: Esm
    score: float


class Sampled(NamedTuple):
    """The candidates for one prompt; with the branch sampler the greedy path that they leave."""

    candidates: list[Candidate]
    path: GreedyPath | None = None


# ------------------------------------------------------------------------------------ 1. candidates

def sample(transformer, prompts, places, tokenizer, flags):
    """Candidates for each prompt of a batch -> list of Sampled. places: of the prompts in the run.

    What is drawn for a prompt is a function of (seed, its place): neither a resumed run nor the
    number of processes changes it.
    """
    samplers = {"branch": branch, "ancestral": ancestral, "corrupt": corrupt}
    return samplers[flags.sampler](transformer, prompts, places, tokenizer, flags)


def ancestral(transformer, prompts, places, tokenizer, flags):
    """Whole calls, drawn from the plain softmax [C]. A prompt is read once."""
    K = flags.samples
    generators = [answer_generator(flags.seed, place, k) for place in places for k in range(K)]
    answers = model.generate(
        transformer, [prompt.ids for prompt in prompts], flags.max_new_tokens, tokenizer.eos_id,
        flags.temperature, generators, samples=K)
    candidates = [Candidate(answer.ids, answer.ended) for answer in answers]
    return [Sampled(candidates[i * K:(i + 1) * K]) for i in range(len(prompts))]


def branch(transformer, prompts, places, tokenizer, flags):
    """The greedy call, and those that leave it at a token where the model hesitated [R]."""
    ids = [prompt.ids for prompt in prompts]
    paths, cache = greedy_paths(transformer, ids, flags.max_new_tokens, tokenizer.eos_id)
    steps = []
    kinds = []
    for prompt, path in zip(prompts, paths, strict=True):
        kinds.append(token_kinds(path.answer.ids, tokenizer, prompt.tools))
        steps.append(
            branch_places(path, kinds[-1], flags.samples - 1, flags.max_gap, flags.min_p))
    followed = follow_branches(
        transformer, cache, paths, steps, flags.max_new_tokens, tokenizer.eos_id)
    found = []
    for i, path in enumerate(paths):
        candidates = [Candidate(path.answer.ids, path.answer.ended)]
        for step, answer in zip(steps[i], followed[i], strict=True):
            candidates.append(Candidate(answer.ids, answer.ended, step, kinds[i][step]))
        found.append(Sampled(candidates, path))
    return found


def corrupt(transformer, prompts, places, tokenizer, flags):
    """Calls that differ from the gold in one random thing; no model is asked."""
    found = []
    for prompt, place in zip(prompts, places, strict=True):
        rng = np.random.default_rng((flags.seed, place))
        gold = parse_call(prompt.gold, prompt.tools, strict=True)
        texts = [_corrupted(gold, prompt.tools, rng) for _ in range(flags.samples)]
        found.append(Sampled([Candidate(call_ids(text, tokenizer), True) for text in texts]))
    return found


def _corrupted(gold, tools, rng):
    """The text of the gold call with another tool, a key less, a key more, or another value."""
    name = gold.name
    arguments = dict(gold.arguments)
    others = [tool.name for tool in tools if tool.name != name]
    damage = ["more"] + ["name"] * bool(others) + ["less", "value"] * bool(arguments)
    damage = damage[rng.integers(len(damage))]
    if damage == "name":
        name = others[rng.integers(len(others))]
    elif damage == "more":
        arguments["extra" if "mode" in arguments else "mode"] = "default"
    else:
        key = list(arguments)[rng.integers(len(arguments))]
        value = arguments.pop(key) if damage == "less" else arguments[key]
        if damage == "value":
            arguments[key] = _another_value(value, rng)
    return write_call(name, arguments)


def _another_value(value, rng):
    """Another value, of the same type where that is easy."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + int(rng.integers(1, 10))
    if isinstance(value, str) and len(value) > 1:
        cut = int(rng.integers(1, len(value)))
        rotated = value[cut:] + value[:cut]
        return rotated if rotated != value else value + value[0]  # "aa" rotated is "aa"
    return "none" if value is None else None


def call_ids(text, tokenizer):
    """The ids of a call as they follow "\\nAssistant:"."""
    return tokenizer.continued(f"Assistant: {text}")[len(tokenizer.call_prefix):]


# ---------------------------------------------------------------------------------------- 2. scores

def score_candidates(prompt, candidates, tokenizer, flags):
    """Candidates -> Scored ones in their order, without doubles by (name, arguments) [C].

    One that was cut off is no call. With --compat a text that cannot be scored is left out.
    """
    rule = score_rule(flags)
    seen = set()
    scored = []
    for candidate in candidates:
        if not tokenizer.shows_all(candidate.ids):
            continue  # the text that is scored would not be what was said
        text = tokenizer.decode(candidate.ids)
        try:
            call = parse_call(text, prompt.tools, strict=True)
            key = (call.name, json.dumps(call.arguments, sort_keys=True))
        except ParseError:
            key = text
        if (key, candidate.ended) in seen:
            continue
        seen.add((key, candidate.ended))
        try:
            found = esm(text if candidate.ended else "", prompt.gold, prompt.tools, rule,
                        prompt.name_only)
        except ParseError:  # rule.refuse_unread
            continue
        scored.append(Scored(candidate, text, found, _preference_score(text, found, prompt, flags)))
    return scored


def _preference_score(text, found, prompt, flags):
    """What candidates are ordered by."""
    if flags.score == "esm":
        return found.score
    if found == NO_CALL:  # no call, or cut off
        return 0.0
    return float(not classify(text, prompt.gold, prompt.tools, prompt.name_only))


def score_rule(flags):
    """The EsmRule of the flags."""
    rule = RELEASED if flags.compat else MENDED
    return rule._replace(over=flags.esm)


# ----------------------------------------------------------------------------------------- 3. pairs

def prefer(scored, gold, flags):
    """(chosen, rejected ones) of one prompt, Scored; None where nothing is worse than the best.

    If the best candidate scores under the threshold, the gold is chosen and all candidates are
    rejected [C]; otherwise the best is chosen, the first of equals, and all that score less are
    rejected [C]. At most `flags.rejected` of them, the worst first [R].
    """
    if not scored:
        return None
    best = max(scored, key=lambda one: one.score)
    threshold = 1.0 if flags.gold_unless_perfect else flags.threshold
    falls_back = flags.gold_fallback and best.score < threshold
    chosen = gold if falls_back else best
    worse = [one for one in scored
             if one.score < chosen.score and chosen.score - one.score >= flags.min_gap]
    worse.sort(key=lambda one: one.score)
    return (chosen, worse[:flags.rejected]) if worse else None


def judge_prompt(prompt, sampled, tokenizer, flags):
    """What the run keeps of a prompt, as JSON: all scores, what was decoded, and its pairs."""
    scored = score_candidates(prompt, sampled.candidates, tokenizer, flags)
    gold = Scored(Candidate(call_ids(prompt.gold, tokenizer), True, is_gold=True), prompt.gold,
                  esm(prompt.gold, prompt.gold, prompt.tools, score_rule(flags), prompt.name_only),
                  1.0)
    found = prefer(scored, gold, flags) if gold.esm.score == 1 else None
    whole = 0
    decoded = 0
    for candidate in sampled.candidates:
        length = len(candidate.ids) + candidate.ended  # with </s>
        whole += length
        decoded += length - (candidate.branch or 0)
    return {
        "scores": [one.score for one in scored],
        "kinds": [one.candidate.kind for one in scored if one.candidate.kind],
        "decoded": 0 if flags.sampler == "corrupt" else decoded,
        "whole": whole,
        "fits": gold.esm.score == 1,
        "preference": None if found is None else record(prompt, *found, sampled.path, flags),
    }


# ----------------------------------------------------------------------------------------- 4. files

def record(prompt, chosen, rejected, path, flags):
    """One line of pairs.jsonl. All ids stand beside their texts: no text is tokenised again."""
    messages = [{"role": turn.role, "content": turn.content} for turn in prompt.turns[1:]]
    tools = json.loads(prompt.turns[0].content) if prompt.turns else []
    return {
        "where": {"file": flags.data, "id": prompt.id, "turn": len(prompt.turns)},
        "tools": tools,
        "conversation": messages,
        "prompt_ids": prompt.ids,
        "gold": prompt.gold,
        "chosen": _call_record(chosen),
        "rejected": [_call_record(one) for one in rejected],
        "path": None if path is None else {
            "ids": path.answer.ids,
            "gaps": [round(gap, 4) for gap in path.gaps],
            "runners_up": path.runners_up},
    }


def _call_record(scored):
    candidate = scored.candidate
    return {
        "text": scored.text,
        "ids": candidate.ids,
        "ended": candidate.ended,
        "gold": candidate.is_gold,
        "branch": candidate.branch,
        "kind": candidate.kind,
        "score": scored.score,
        "esm": scored.esm._asdict(),
    }


TRL_ROLES = {"user": "user", "assistant": "assistant", "function": "tool"}


def trl_rows(preference, tokenizer):
    """Yield a row of TRL's DPO layout for each rejected call of a line of pairs.jsonl.

    Without a conversation (the released form of prompts) the prompt is a text.
    """
    prompt = [{"role": TRL_ROLES[message["role"]], "content": message["content"]}
              for message in preference["conversation"]]
    for rejected in preference["rejected"]:
        texts = {"chosen": preference["chosen"]["text"], "rejected": rejected["text"]}
        if prompt:
            row = {"prompt": prompt}
            for name, text in texts.items():
                row[name] = [{"role": "assistant", "content": text}]
            yield row | {"tools": preference["tools"]}
        else:
            prefixed = {name: f" {text}" for name, text in texts.items()}
            yield {"prompt": tokenizer.decode(preference["prompt_ids"]), **prefixed}


def write_lines(path, rows):
    """Replace the file at `path` by JSON lines. Raises InputError."""
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))


# -------------------------------------------------------------------------------- 5. what was found

BINS = (0.0, 0.5, 0.8, 0.9, 1.0)  # lower ends of the histogram of scores; the last holds 1 alone


def table(judged, flags):
    """Lines about all prompts: pairs, golds among them, scores, branches, tokens."""
    preferences = [one["preference"] for one in judged if one["preference"]]
    pairs = sum(len(one["rejected"]) for one in preferences)
    golds = sum(one["chosen"]["gold"] for one in preferences)
    off_schema = sum(not one["fits"] for one in judged)
    yield (f"{len(judged)} prompts, {len(preferences)} of them with {pairs} pairs; in {golds} the "
           f"gold is chosen")
    if off_schema:
        yield f"  {off_schema} prompts left out: the gold does not fit its own schema"
    scores = [score for one in judged for score in one["scores"]]
    ends = (*BINS[1:], 2.0)
    for low, high in zip(BINS, ends, strict=True):
        n = sum(low <= score < high for score in scores)
        title = f"score {low}" if low == 1 else f"score {low} to {high}"
        yield f"  {title:<20}{n:>7}{n / max(len(scores), 1):>8.1%}"
    if flags.sampler == "branch":
        kinds = Counter(kind for one in judged for kind in one["kinds"])
        shares = [f"{kind} {kinds[kind] / max(kinds.total(), 1):.1%}" for kind in KINDS]
        yield f"  {kinds.total()} distinct branches leave at: " + ", ".join(shares)
    decoded = sum(one["decoded"] for one in judged)
    whole = sum(one["whole"] for one in judged)
    yield (f"  {decoded:,} tokens decoded, {decoded / max(whole, 1):.1%} of the {whole:,} of all "
           "candidates")


def identity(flags):
    """What the pairs depend on; files by their contents."""
    described = {"script": "preferences"}
    for field in fields(flags):
        value = getattr(flags, field.name)
        if field.metadata["on_resume"] == "files":
            described[field.name] = contents(value)[:16]
        elif field.metadata["on_resume"] != "nothing":
            described[field.name] = value
    return described


def load_model(flags, tokenizer, device):
    """The model to sample from; its weights are whole in every process."""
    transformer = model.load(flags.model, model.DTYPES[flags.dtype], device)
    tokenizer.must_fit(transformer.config, flags.max_new_tokens)
    return transformer.requires_grad_(False)


def answer_batch(transformer, prompts, tokenizer, flags, spent, places):
    """What `judge_prompt` keeps of the prompts at `places`.

    spent: a Counter, to which the seconds of sampling and the decoded tokens are added.
    """
    batch = [prompts[place] for place in places]
    started = time.perf_counter()
    sampled = sample(transformer, batch, places, tokenizer, flags)
    spent["seconds"] += time.perf_counter() - started
    judged = []
    for prompt, one in zip(batch, sampled, strict=True):
        judged.append(judge_prompt(prompt, one, tokenizer, flags))
    spent["tokens"] += sum(one["decoded"] for one in judged)
    return judged


def write_files(judged, tokenizer, flags):
    """Write pairs.jsonl, and with --format trl pairs.trl.jsonl, to --out."""
    found = [one["preference"] for one in judged if one["preference"]]
    write_lines(Path(flags.out, "pairs.jsonl"), found)
    if flags.format == "trl":
        rows = []
        for preference in found:
            rows += trl_rows(preference, tokenizer)
        write_lines(Path(flags.out, "pairs.trl.jsonl"), rows)


def main():
    """The command line; see the top of this file."""
    flags = parse_flags(PRESETS, "TTPA: candidates, scores and pairs.")
    flags = start_from(flags, "sft")
    device = join(flags.device, patience=SHARES_DIFFER)
    tokenizer = Tokenizer(flags.tokenizer or flags.model, flags.enums)
    config = model.read_config(Path(flags.model, "config.json"))
    prompts = load_drawn(flags, tokenizer, config)
    transformer = load_model(flags, tokenizer, device)
    rank, _ = processes()
    if rank == 0:
        make_folder(Path(flags.out))
    batches = make_batches([prompt.ids for prompt in prompts], flags.batch_size)
    spent = Counter()
    respond = partial(answer_batch, transformer, prompts, tokenizer, flags, spent)
    judged = answer_all(respond, batches, flags.out, identity(flags), _is_judged, "preferences")
    if rank == 0:
        write_files(judged, tokenizer, flags)
    barrier()
    print(*table(judged, flags), sep="\n")
    if spent["seconds"]:
        print(f"  {spent['tokens'] / spent['seconds']:,.0f} tokens/s")
    print(f"pairs: {Path(flags.out, 'pairs.jsonl')}")
    leave()


def _is_judged(value):
    """Whether a value is what `judge_prompt` makes."""
    keys = {"scores", "kinds", "decoded", "whole", "fits", "preference"}
    return isinstance(value, dict) and value.keys() == keys


if __name__ == "__main__":
    cli(main, lower="--batch-size, --max-prompt or --max-new-tokens")
