"""Batched greedy generation: ours against `generate` of transformers, with its cache.

    python -m bench.rollout

8 and 32 prompts of uneven length (32 to 256 tokens), 64 new tokens each, 2M and 24M parameters,
fp32, the same weights and tokens. Theirs gets the prompts padded on the left with a mask, as its
documentation asks; neither side stops early.
Checked before: every token. Not measured: sampling, which costs one more softmax, and long answers.
Needs transformers; no files.
"""

import statistics

import torch
from transformers import GenerationConfig

import model
from bench import sides

NEW = 64


def pad_left(prompts, width=0):
    """Prompts -> (ids, mask) with padding on the left, (B, the longest or `width`)."""
    width = max(width, *map(len, prompts))
    ids, mask = torch.zeros(2, len(prompts), width, dtype=torch.int64)
    for i, prompt in enumerate(prompts):
        ids[i, width - len(prompt):] = torch.tensor(prompt)
        mask[i, width - len(prompt):] = 1
    return ids, mask


def theirs(hf, ids, mask, new):
    """Greedy answers of transformers, (B, new): without an end id, all have `new` tokens."""
    hf.generation_config = GenerationConfig(do_sample=False, pad_token_id=0, bos_token_id=1,
                                            use_cache=True)
    answers = hf.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new)
    return answers[:, ids.shape[1]:]


def measure(name, transformer, hf, prompts, new, rounds):
    """A row of the table, after the check that both sides give the same answers."""
    ids, mask = pad_left(prompts)
    ours = model.generate(transformer, prompts, new, eos_id=-1)
    sides.same(f"answers of {name} to {len(prompts)} prompts", [answer.ids for answer in ours],
               theirs(hf, ids, mask, new))
    found = sides.alternate({
        "ours": lambda: model.generate(transformer, prompts, new, eos_id=-1),
        "theirs": lambda: theirs(hf, ids, mask, new)}, rounds)
    speeds = [f"{len(prompts) * new / statistics.median(taken):,.0f} tokens/s"
              for taken in found.values()]
    _, _, ratio, ratios = sides.compare(found["ours"], found["theirs"])
    return [name, len(prompts), *speeds, ratio, ratios]


def main():
    """The command line; see the top of this file."""
    flags = sides.parser(__doc__).parse_args()
    sides.start(flags)
    longest = 64 if flags.quick else 256
    new = 8 if flags.quick else NEW
    rounds = 1 if flags.quick else flags.rounds
    rows = []
    for name, (width, layers, vocabulary) in sides.SHAPES.items():
        transformer, hf = sides.both(sides.config(width, layers, vocabulary), std=0.1)
        for count in (8, 32):
            prompts = sides.draw(count, longest, vocabulary)
            rows.append(measure(name, transformer, hf, prompts, new, rounds))
    sides.table(["parameters", "prompts", "ours", "transformers", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
