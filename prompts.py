"""Prompts with gold calls for stage 2: every good call of a trajectory file, or a file of pairs.

A file of pairs is a JSON list, or JSON lines, of `{"conversations": [...], "gold": "name(...)"}`: a
conversation as in data/trajectories.py that ends where the call is due; or of the released data's
`{"instruction": text, "output": call}`, whose `input`, as in Alpaca, goes on with the instruction.

No rule can judge prose. So a gold `finish` is judged by its name alone: was it right to stop? Other
golds whose arguments are prose take part with --free-text, judged in the same way.
"""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from data import trajectories
from data.calls import ParseError, parse_call
from data.tools import Parameter, Tool
from data.turns import Turn
from llama import warn_of_length
from losses import is_erroneous
from plumbing.files import InputError
from reward import classify

STOP = "finish"
FREE_TEXT = (STOP, "ask_to_user", "respond")  # tools whose arguments are prose, in any case
OWN_SCHEMA = "the gold call does not fit its own schema"


class Prompt(NamedTuple):
    ids: list[int]           # ends at "\nAssistant:"
    gold: str                # the call as it should be written
    tools: tuple[Tool, ...]
    where: str               # file, item and turn
    name_only: bool = False  # judge the tool's name, not the arguments
    turns: tuple[Turn, ...] = ()  # of the conversation so far; none for the released form
    id: str = ""             # of the conversation


def load(path, tokenizer, max_prompt=0, free_text=False):
    """The prompts that `read` gives; prints the format that was found, and what was left out.

    It also prints which tool the golds call most, how many are judged by the tool alone, and the
    golds that do not fit their own schema. Raises InputError where most call what is not offered.
    """
    items = _read_items(path)
    print(f"{path}: {_formats(items)}")
    prompts, left_out = _read_prompts(items, path, tokenizer, max_prompt, free_text)
    called = Counter(parse_call(prompt.gold, prompt.tools).name for prompt in prompts)
    name, most = called.most_common(1)[0]
    n_name_only = sum(prompt.name_only for prompt in prompts)
    print(f"{path}: {len(prompts)} prompts, {n_name_only} of them judged by the tool alone; {most} "
          f"call {name}, the most frequent tool; {len(left_out)} left out")
    for line in left_out:
        if OWN_SCHEMA in line:
            print(f"  {line}")
    _refuse_misfits(path, prompts, left_out)
    return prompts


def _refuse_misfits(path, prompts, left_out):
    """Raises InputError if most golds call a tool, or a parameter, that is not offered."""
    odd = [line for line in left_out if OWN_SCHEMA in line]
    if odd:
        what = (f"{path}: {len(odd):,} of {len(prompts) + len(odd):,} gold calls do not fit the "
                "tools that are offered")
        if len(odd) > len(prompts):
            raise InputError(f"{what}; {odd[0]}")
        print(what)


def read(path, tokenizer, max_prompt=0, free_text=False):
    """All prompts of a file, and why others were left out -> (prompts, list of "where: reason").

    max_prompt: tokens, 0 for no limit. free_text: keep golds of all tools of FREE_TEXT, not of STOP
    alone. Raises InputError for a malformed file, a gold call that cannot be parsed, and when no
    prompt is left.
    """
    return _read_prompts(_read_items(path), path, tokenizer, max_prompt, free_text)


def _read_prompts(items, path, tokenizer, max_prompt, free_text):
    """`read`, of items that are read already."""
    prompts = []
    left_out = []
    for item, where in items:
        for prompt in _prompts_of(item, where, tokenizer):
            gold = _read_gold(prompt)
            prompt = prompt._replace(name_only=gold.name.casefold() in FREE_TEXT)
            reason = _unfit(prompt, gold, max_prompt, free_text)
            if reason:
                left_out.append(f"{prompt.where}: {reason}")
            else:
                prompts.append(prompt)
    if not prompts:
        first = f"; {left_out[0]}" if left_out else ""
        raise InputError(f"{path}: no prompt is left of {len(left_out)}{first}")
    return prompts, left_out


def draw(items, count, seed):
    """`count` of the items, drawn by seed without replacement, in their order; at most all."""
    if count >= len(items):
        return items
    places = np.random.default_rng(seed).choice(len(items), count, replace=False)
    return [items[i] for i in sorted(places)]


def load_drawn(flags, tokenizer, config):
    """--num-prompts of the prompts in --data, drawn by --seed; warns of those that are too long."""
    prompts = load(flags.data, tokenizer, flags.max_prompt, flags.free_text)
    prompts = draw(prompts, flags.num_prompts, flags.seed)
    warn_of_long_prompts(prompts, flags.data, config, flags)
    return prompts


def warn_of_long_prompts(prompts, path, config, flags):
    """Print how many prompts of a file are, with their answers, too long for the model."""
    lengths = [len(prompt.ids) + flags.max_new_tokens for prompt in prompts]
    warn_of_length(lengths, config, f"prompts of {path} with their answers", flags.model)


# ------------------------------------------------------------------------------- items to prompts

def _read_items(path):
    """[(item, where it stands)] of a file, which are all of one kind. Raises InputError."""
    items = trajectories.read_items(path)
    if not all(isinstance(item, dict) for item, _ in items):
        raise InputError(f"{path}: must be a JSON list of objects")
    first, _ = items[0]
    for item, where in items:
        if _kind(item) != _kind(first):
            raise InputError(f"{where}: is written with {_kind(item)!r}, item 0 with "
                             f"{_kind(first)!r}; a file is all of one kind")
    return items


def _formats(items):
    """A line: in which formats the items are written."""
    first, _ = items[0]
    if _kind(first) == "instruction":
        return f"{len(items):,} pairs of instruction and output"
    gold = ", with gold calls" if _kind(first) == "gold" else ""
    return trajectories.formats(items) + gold


def _kind(item):
    """How an item is written: with "instruction", with "gold", or as "conversations" alone."""
    for key in ("instruction", "gold"):
        if key in item:
            return key
    return "conversations"


def _prompts_of(item, where, tokenizer):
    """Yield the prompts of an item: that of a pair, or one for each good call of a trajectory."""
    if _kind(item) == "instruction":
        yield _released_pair(item, where, tokenizer)
        return
    conversation = trajectories.read_item(item, where)
    if _kind(item) == "gold":
        if not isinstance(item["gold"], str):
            raise InputError(f"{where}: gold must be the text of a call")
        ids = tokenizer.prompt(conversation.tools, conversation.turns)
        yield Prompt(ids, item["gold"], conversation.tools, where,
                     turns=conversation.turns, id=conversation.id)
        return
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    for call in encoded.calls:
        if not is_erroneous(conversation, call.turn):
            ids = encoded.ids[:call.start].tolist()
            gold = conversation.turns[call.turn].content
            yield Prompt(ids, gold, conversation.tools, f"{where}, turn {call.turn}",
                         turns=conversation.turns[:call.turn], id=conversation.id)


def _released_pair(item, where, tokenizer):
    """A pair of the released data; the tools are read back from the signatures in its prompt."""
    text = _instruction(item, where)
    gold = item.get("output")
    if not isinstance(gold, str):
        raise InputError(f"{where}: instruction and output must be texts")
    signatures = re.findall(r"^def (.+?)\((.*)\):$", text, re.MULTILINE)
    tools = tuple(_released_tool(name, arguments) for name, arguments in signatures)
    text = text.rstrip()
    if not text.endswith("\nAssistant:"):
        text += "\nAssistant:"
    gold = gold.strip().removeprefix("Assistant:").removesuffix("</s>").strip()
    return Prompt([tokenizer.bos_id, *tokenizer.encode(text)], gold, tools, where)


def _instruction(item, where):
    """The whole prompt of an Alpaca item: its instruction, and its `input` in the next line."""
    parts = [item["instruction"], item.get("input") or ""]
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"{where}: instruction and input must be texts")
    for key in ("history", "system"):
        if item.get(key):
            raise InputError(f"{where}: {key} is not read; write it into the instruction")
    return "\n".join(part for part in parts if part.strip())


def _released_tool(name, arguments):
    """The Tool of a signature `name(a: string, b: integer = None)`."""
    parameters = []
    for argument in arguments.split(", "):
        key, colon, kind = argument.partition(": ")
        if colon:
            kind, default, _ = kind.partition(" = None")
            parameters.append(Parameter(key, kind, "", required=not default))
    return Tool(name, "", tuple(parameters))


def _read_gold(prompt):
    """The gold Call of a prompt. Raises InputError for one that cannot be parsed."""
    try:
        return parse_call(prompt.gold, prompt.tools, strict=True)
    except ParseError as error:
        raise InputError(f"{prompt.where}: the gold call {prompt.gold[:80]!r} "
                         f"cannot be parsed: {error}") from None


def _unfit(prompt, gold, max_prompt, free_text):
    """Why a prompt is left out, or ""."""
    if prompt.name_only and gold.name.casefold() != STOP and not free_text:
        return f"{gold.name} is free text"
    if max_prompt and len(prompt.ids) > max_prompt:
        return f"{len(prompt.ids)} tokens, longer than --max-prompt"
    errors = classify(gold, gold, prompt.tools, prompt.name_only)
    if errors:
        return f"{OWN_SCHEMA}: " + ", ".join(error.value for error in errors)
    return ""
