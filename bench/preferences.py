"""Five candidates for each prompt: ours against `generate` of transformers.

    python -m bench.preferences

16 prompts of 350 to 500 random ids, 40 new tokens a candidate, no early end, fp32, 2M and 24M
parameters, the same weights. Theirs samples with num_return_sequences=5; prompts of a batch are
padded on the left, as its documentation asks. Ours samples as many (ancestral), or decodes one
greedy call and four branches that leave it after 8, 16, 24 and 32 tokens: as many candidates, and
half of the tokens.
Checked before: the greedy answers of both, token by token; that each branch goes on as the model
does from its whole prefix. Not measured: scoring. Needs transformers; no files.
"""

import torch
from transformers import GenerationConfig

import model
from bench import rollout, sides
from branches import follow_branches, greedy_paths

NEW = 40
PLACES = [8, 16, 24, 32]


def draw(count, vocabulary, quick):
    """Prompts of random ids of uneven length."""
    generator = torch.Generator().manual_seed(0)
    scale = 8 if quick else 1
    lengths = torch.linspace(350 // scale, 500 // scale, count).int().tolist()
    return [torch.randint(3, vocabulary, (length,), generator=generator).tolist()
            for length in lengths]


def branches(transformer, prompts):
    """(GreedyPaths, four branches of each)."""
    paths, cache = greedy_paths(transformer, prompts, NEW, -1)
    places = [PLACES] * len(prompts)
    return paths, follow_branches(transformer, cache, paths, places, NEW, -1)


def ancestral(transformer, prompts):
    """Five sampled answers to each prompt."""
    generator = torch.Generator().manual_seed(0)
    return model.generate(transformer, prompts, NEW, -1, 1.0, generator, samples=5)


def theirs(hf, ids, mask):
    """The same by transformers: plain softmax, no end."""
    hf.generation_config = GenerationConfig(
        do_sample=True, top_k=0, top_p=1.0, temperature=1.0, num_return_sequences=5,
        pad_token_id=0, bos_token_id=1, use_cache=True)
    return hf.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW)


def check(transformer, hf, prompts, ids, mask):
    """End unless both have the same greedy answers, and the branches are what they say."""
    paths, followed = branches(transformer, prompts)
    greedy = [path.answer.ids for path in paths]
    sides.same("greedy answers", greedy, rollout.theirs(hf, ids, mask, NEW))
    for k, place in enumerate(PLACES):
        starts = []
        for prompt, path in zip(prompts, paths, strict=True):
            starts.append(prompt + path.answer.ids[:place] + [path.runners_up[place]])
        tails = model.generate(transformer, starts, NEW - place - 1, eos_id=-1)
        ours = [answers[k].ids[place + 1:] for answers in followed]
        sides.same(f"branches at {place}", ours, [tail.ids for tail in tails])


def main():
    """The command line; see the top of this file."""
    flags = sides.parser(__doc__, rounds=3).parse_args()
    sides.start(flags)
    rows = []
    for name, (width, layers, vocabulary) in sides.SHAPES.items():
        transformer, hf = sides.both(sides.config(width, layers, vocabulary), std=0.1)
        prompts = draw(4 if flags.quick else 16, vocabulary, flags.quick)
        ids, mask = rollout.pad_left(prompts)
        check(transformer, hf, prompts, ids, mask)
        for sampler in (ancestral, branches):
            found = sides.alternate(
                {"ours": lambda run=sampler, t=transformer, p=prompts: run(t, p),
                 "theirs": lambda h=hf, i=ids, m=mask: theirs(h, i, m)},
                1 if flags.quick else flags.rounds)
            rows.append([f"{name}, {sampler.__name__}",
                         *sides.compare(found["ours"], found["theirs"])])
    sides.table([f"{len(prompts)} prompts, 5 candidates", "ours", "transformers", "ratio",
                 "range"], rows)


if __name__ == "__main__":
    main()
