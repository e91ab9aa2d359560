"""Stage 2 with K answers to a prompt: one row for all of them against a row for each answer.

    python -m bench.groups

8 prompts of 350 to 500 tokens, 8 answers of 15 to 60 tokens to each, 2M parameters, fp32. The
update is forward and backward of the actor over all answers; the rollout samples 64 tokens of each.
The separate rows are read in micro-batches of 8, as a user would run them.
Checked before: log-probabilities to 1e-5, and in fp64 every sampled token. Then the time of both
phases against K, 1 to 32. Not measured: sharding, and the critic, which costs a second update. No
files.
"""

import copy
import statistics

import numpy as np
import torch

import groups
import model
from bench import sides
from prompts import Prompt

PROMPTS = 8
NEW = 64
GROWTH = (1, 2, 4, 8, 16, 32)


def draw(vocabulary, K, quick):
    """(Prompts, answers as ids, K to a prompt)."""
    generator = torch.Generator().manual_seed(0)
    scale = 8 if quick else 1

    def some_ids(length):
        return torch.randint(3, vocabulary, (int(length),), generator=generator).tolist()

    lengths = torch.linspace(350 // scale, 500 // scale, PROMPTS)
    prompts = [Prompt(some_ids(length), "", (), "") for length in lengths]
    lengths = torch.randint(15, 60, (PROMPTS * K,), generator=generator) // scale + 1
    return prompts, [some_ids(length) for length in lengths]


def rows_of(prompts, answers, K):
    """The MicroBatches, 8 prompts each, of K answers to a prompt."""
    lengths = torch.tensor([len(answer) for answer in answers])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    places = list(range(len(prompts)))
    return [groups.make_micro_batch(places[i:i + 8], prompts, answers, mask, K)
            for i in range(0, len(prompts), 8)]


def update(transformer, batches):
    """Forward and backward -> log p of all answers, (B, T)."""
    logp = []
    for batch in batches:
        some, _ = groups.answer_logprobs(transformer, batch, 1.0)
        some.sum().backward()
        logp.append(some.detach())
    return torch.cat(logp)


def roll_out(transformer, prompts, K):
    """The same sampled answers whether a prompt stands once or K times."""
    generators = [torch.Generator().manual_seed(i) for i in range(len(prompts) * K)]
    return model.generate(transformer, [prompt.ids for prompt in prompts], NEW, -1, 1.0,
                          generators, samples=K)


def compare(transformer, K, flags):
    """Rows of the table: time and memory of update and rollout, after the check."""
    prompts, answers = draw(transformer.config.vocab_size, K, flags.quick)
    repeated = [prompt for prompt in prompts for _ in range(K)]
    together = rows_of(prompts, answers, K)
    separate = rows_of(repeated, answers, 1)
    torch.testing.assert_close(
        update(transformer, together), update(transformer, separate), rtol=1e-5, atol=1e-5)
    exact = copy.deepcopy(transformer).double()  # in fp32 one draw of 4,096 falls to a neighbour
    sides.same("sampled answers", [one.ids for one in roll_out(exact, prompts, K)],
               [one.ids for one in roll_out(exact, repeated, 1)])
    work = {
        "update": (lambda: update(transformer, together), lambda: update(transformer, separate)),
        "rollout": (lambda: roll_out(transformer, prompts, K),
                    lambda: roll_out(transformer, repeated, 1)),
    }
    rows = []
    for phase, (ours, theirs) in work.items():
        found = sides.alternate({"ours": ours, "theirs": theirs}, flags.rounds)
        *_, ratio, ratios = sides.compare(found["ours"], found["theirs"])
        memory = [f"{sides.peak(run) / 2**20:,.0f} MiB" for run in (ours, theirs)]
        rows.append([f"{phase}, {PROMPTS} prompts x {K} answers", *memory, ratio, ratios])
    return rows


def growth(transformer, flags):
    """Rows of the table: seconds of update and rollout against K, and their exponents."""
    points = {"update": [], "rollout": []}
    sizes = GROWTH[:2] if flags.quick else GROWTH
    for K in sizes:
        prompts, answers = draw(transformer.config.vocab_size, K, flags.quick)
        batches = rows_of(prompts, answers, K)
        work = {"update": lambda b=batches: update(transformer, b),
                "rollout": lambda p=prompts, k=K: roll_out(transformer, p, k)}
        for phase, run in work.items():
            run()
            taken = statistics.median(sides.seconds(run) for _ in range(flags.rounds))
            points[phase].append(taken)
    rows = []
    for phase, seconds in points.items():
        slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
        rows.append([phase, ", ".join(f"{K}: {s:.2f}" for K, s in zip(sizes, seconds, strict=True)),
                     f"{slope:.2f}"])
    return rows


def main():
    """The command line; see the top of this file."""
    flags = sides.parser(__doc__, rounds=3).parse_args()
    sides.start(flags)
    transformer = model.initialise(sides.config(*sides.SHAPES["2M"]))
    rows = compare(transformer, 8, flags)
    sides.table(["what", "memory, one row", "memory, separate rows", "ratio", "of pairs"], rows)
    print()
    sides.table(["phase", "seconds at K", "exponent"], growth(transformer, flags))


if __name__ == "__main__":
    main()
