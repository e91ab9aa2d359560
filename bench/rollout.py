"""Batched greedy generation: ours against `generate` of transformers with its cache. Same weights and tokens.

    python -m bench.rollout

8 and 32 prompts of uneven length (32 to 256 tokens), 64 new tokens each, 2M and 24M parameters, fp32. Theirs
gets the prompts padded on the left with a mask, as its documentation asks; neither side stops early.
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
    """Greedy answers of transformers, (B, new); without an end id, all of them are `new` tokens long."""
    hf.generation_config = GenerationConfig(do_sample=False, pad_token_id=0, bos_token_id=1, use_cache=True)
    return hf.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new)[:, ids.shape[1]:]


def main():
    parser = sides.parser(__doc__)
    flags = parser.parse_args()
    sides.start(flags)
    longest, new, rows = (64, 8, []) if flags.quick else (256, NEW, [])
    for name, shape in sides.SHAPES.items():
        transformer, hf = sides.both(sides.config(*shape), std=0.1)
        for count in (8, 32):
            prompts = sides.draw(count, longest, shape[2])
            ids, mask = pad_left(prompts)
            work = {"ours": lambda: model.generate(transformer, prompts, new, eos_id=-1),
                    "theirs": lambda: theirs(hf, ids, mask, new)}
            sides.same(f"answers of {name} to {count} prompts", [answer.ids for answer in work["ours"]()],
                       work["theirs"]())
            found = sides.alternate(work, 1 if flags.quick else flags.rounds)
            speeds = [f"{count * new / statistics.median(taken):,.0f} tokens/s" for taken in found.values()]
            rows.append([name, count, *speeds, *sides.compare(*found.values())[2:]])
    sides.table(["parameters", "prompts", "ours", "transformers", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
