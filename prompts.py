"""Prompts with gold calls for stage 2: every good call of a trajectory file, or a file of pairs.

A file of pairs is a JSON list of `{"conversations": [...], "gold": "name(...)"}`, whose conversation, as in
data/trajectories.py, ends where the call is due; or of the released `{"instruction": text, "output": call}`.
"""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from data import trajectories
from data.calls import ParseError, parse_call
from data.tools import Parameter, Tool
from losses import is_erroneous
from plumbing.files import InputError, read_json
from reward import classify

FREE_TEXT = ("finish", "ask_to_user", "respond")  # in any case; no rule can judge what they say


class Prompt(NamedTuple):
    ids: list[int]           # ends at "\nAssistant:"
    gold: str                # the call as it should be written
    tools: tuple[Tool, ...]
    where: str               # file, item and turn


def read(path, tokenizer, max_prompt=0, free_text=False):
    """All prompts of a file, and why others were left out -> (prompts, list of "where: reason").

    max_prompt: tokens, 0 for no limit. free_text: keep golds whose tool is one of FREE_TEXT. Raises
    InputError for a malformed file, a gold call that cannot be parsed, and when no prompt is left.
    """
    items = read_json(path)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(f"{path}: must be a JSON list of objects")
    kinds = [next((key for key in ("instruction", "gold") if key in item), "neither") for item in items]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise InputError(f"{path}: item {i}: has {kind} of instruction and gold, unlike item 0")
    candidates = [prompt for i, item in enumerate(items)
                  for prompt in _read_item(item, f"{path}: item {i}", tokenizer)]
    prompts, left_out = [], []
    for prompt in candidates:
        reason = _unfit(prompt, max_prompt, free_text)
        if reason:
            left_out.append(f"{prompt.where}: {reason}")
        else:
            prompts.append(prompt)
    if not prompts:
        raise InputError(f"{path}: no prompt is left of {len(candidates)}"
                         + "".join(f"; {x}" for x in left_out[:1]))
    return prompts, left_out


def load(path, tokenizer, max_prompt=0, free_text=False):
    """The prompts that `read` gives; prints how many it left out, and those that do not fit their schema.

    And which tool they call most: one whose arguments are prose earns what no rule can judge.
    """
    prompts, left_out = read(path, tokenizer, max_prompt, free_text)
    (name, n), = Counter(parse_call(prompt.gold, prompt.tools).name for prompt in prompts).most_common(1)
    print(f"{path}: {len(prompts)} prompts, most of one tool {n} ({name}), {len(left_out)} left out")
    for line in left_out:
        if "own schema" in line:
            print(f"  {line}")
    return prompts


def draw(prompts, count, seed):
    """`count` prompts drawn without replacement by seed, in file order; all of them if there are not more."""
    if count >= len(prompts):
        return prompts
    return [prompts[i] for i in
            sorted(np.random.default_rng(seed).choice(len(prompts), count, replace=False))]


def _read_item(item, where, tokenizer):
    if "instruction" in item:
        yield _released(item, where, tokenizer)
        return
    conversation = trajectories.read_item(item, where)
    if "gold" in item:
        if not isinstance(item["gold"], str):
            raise InputError(f"{where}: gold must be the text of a call")
        yield Prompt(tokenizer.prompt(conversation.tools, conversation.turns), item["gold"],
                     conversation.tools, where)
        return
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    for span in encoded.calls:
        if not is_erroneous(conversation, span.turn):
            yield Prompt(encoded.ids[:span.start].tolist(), conversation.turns[span.turn].content,
                         conversation.tools, f"{where}, turn {span.turn}")


def _released(item, where, tokenizer):
    """A pair of the released data: the tools are read back from the signatures in the prompt."""
    text, gold = item["instruction"], item.get("output")
    if not isinstance(text, str) or not isinstance(gold, str):
        raise InputError(f"{where}: instruction and output must be texts")
    tools = []
    for name, arguments in re.findall(r"^def (.+?)\((.*)\):$", text, re.MULTILINE):
        parts = [part.partition(": ") for part in arguments.split(", ") if ": " in part]
        tools.append(Tool(name, "", tuple(
            Parameter(key, kind, "", " = None" not in kind) for key, _, kind in parts)))
    text = text.rstrip()
    text = text if text.endswith("\nAssistant:") else text + "\nAssistant:"
    gold = gold.strip().removeprefix("Assistant:").removesuffix("</s>").strip()
    return Prompt([tokenizer.bos_id, *tokenizer.encode(text)], gold, tuple(tools), where)


def _unfit(prompt, max_prompt, free_text):
    """Why a prompt is left out, or "". Raises InputError for a gold that cannot be parsed."""
    try:
        name = parse_call(prompt.gold, prompt.tools, strict=True).name
    except ParseError as error:
        raise InputError(f"{prompt.where}: the gold call {prompt.gold[:80]!r} "
                         f"cannot be parsed: {error}") from None
    if name.casefold() in FREE_TEXT and not free_text:
        return f"{name} is free text"
    if max_prompt and len(prompt.ids) > max_prompt:
        return f"{len(prompt.ids)} tokens, longer than --max-prompt"
    errors = classify(prompt.gold, prompt.gold, prompt.tools)
    return ("the gold call does not fit its own schema: " + ", ".join(e.value for e in errors)
            if errors else "")
