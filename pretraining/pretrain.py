"""The embedded base model, data/tiny: what CodeLLaMA is to the paper, on a laptop.

    make base-model                                # as it was made; see the README for what it took
    python -m pretraining.pretrain --out runs/tiny        # its first part: documents about made-up tools

A small LLaMA with its own SentencePiece model learns from pretraining/documents.py to copy names and
values that it has never seen. What makes so small a model learn that, and not only how calls look:
- the space is a piece of its own, so that a word is the same pieces after a space and after a quote;
- small batches of documents with several requests each;
- heads that copy from the start (see `induct`), which would take thousands of steps to form by themselves;
- drills (pretraining/drills.py): first a few random pieces said over and over, with a longer and longer period, and
  later questions whose words stand in the description of one of several things; among the documents such
  questions fill whole conversations (pretraining/nonsense.py, pretraining/renaming.py);
- a lower weight on documentation, questions and results, which it cannot foresee, than on calls.
"""

import json
import math
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import model
import tokenizer as tokenizers
from data.trajectories import read
from examples import as_one_call, collate
from losses import weighted_nll
from plumbing.files import InputError
from plumbing.flags import cli, flag, parse_flags
from plumbing.optimizer import adamw, clip_and_step, learning_rate, make_optimizer
from pretraining.documents import document, random_documents
from pretraining.drills import choosing, copying
from pretraining.nonsense import nonsense
from pretraining.renaming import disguised
from tokenizer import Tokenizer, render


@dataclass(frozen=True)
class Flags:
    out: str = flag("runs/tiny", "directory of the new checkpoint")
    text: str = flag("data/train.json", "trajectories whose text the pieces are learnt from, too")
    vocab_size: int = flag(1536, "pieces", least=300)
    hidden_size: int = flag(192, "D", least=8)
    layers: int = flag(4, "blocks", least=2)
    heads: int = flag(4, "attention heads", least=1)
    init: str = flag("", "checkpoint to go on from, with its shape and its pieces")
    disguised: float = flag(0.0, "share of documents in the wording of the toolbox", least=0, most=1)
    drill_steps: int = flag(200, "first steps, of 32 copy drills each", least=0)
    steps: int = flag(6000, "steps after that, of four documents each", least=1)
    drill_share: float = flag(0.1, "of drills among the documents", least=0)
    choosing: bool = flag(False, "drills of choosing before the documents, until grown, and among them")
    conversations: bool = flag(False, "drills of choosing in whole conversations among the documents")
    muon: bool = flag(False, "Muon in place of AdamW for the blocks' matrices")
    lr: float = flag(2e-3, "peak learning rate", least=0)
    context_weight: float = flag(0.1, "weight of tokens outside calls", least=0)
    eval_every: int = flag(500, "steps between tests of exact copying", least=1)
    seed: int = flag(0, "of the documents and the weights", least=0)


# Lines of a tool's documentation that are always the same, and the space: pieces of their own.
SYMBOLS = ["▁", "▁▁▁▁", '▁▁▁▁"""', "▁▁▁▁Args:", "Function:", "System:", "User:", "Assistant:", "Output:",
           '="', '",▁', '")', ":▁string", ":▁integer", ":▁number", ":▁boolean", ":▁array", "▁=▁None",
           "▁(string):▁", "▁(integer):▁", "▁(number):▁", "▁(boolean):▁", "▁(array):▁"]


def train_pieces(flags, path):
    """The SentencePiece model, of made-up documents and of the embedded training data."""
    conversations = random_documents(f"pieces {flags.seed}", 2000) + read(flags.text)
    texts = [render(turn, c.tools) for c in conversations for turn in c.turns]
    tokenizers.train(texts, path, flags.vocab_size, SYMBOLS)


@torch.no_grad()
def induct(transformer, seed, heads=2):
    """Put induction heads (Olsson et al., 2022) into the first two blocks of a freshly initialised model.

    Training then starts from a weak form of "after A came B, here is A again, so B": heads of the first block
    look at the position before and pass on what stands there, heads of the second look for positions that
    were passed what stands here, and write what stands there. Left to itself, a model of this size learns
    nothing from documents until such heads have formed (4M tokens and more).
    """
    config, generator = transformer.config, torch.Generator().manual_seed(seed)
    D, width, half = config.hidden_size, config.head_dim, config.head_dim // 2
    embeddings = transformer.model.embed_tokens.weight
    first, second = (block.self_attn for block in transformer.model.layers[:2])
    shared = torch.randn(D, generator=generator)  # looking back, whatever stands here, takes a direction
    embeddings += 0.03 * shared                   # that all embeddings share
    shared /= shared.norm()
    scale = embeddings.square().mean(-1, keepdim=True).sqrt()
    turn = config.rope_theta ** -(torch.arange(half) / half)  # radians from one position to the next
    fast, slow = turn > 0.02, (turn < 0.002).repeat(2).nonzero().flatten()
    # Query R_t q, key R_s k with k = R_1 q: the score is highest at s = t - 1, by 6 above its neighbours.
    query = torch.cat((fast.float(), torch.zeros(half)))
    key = torch.cat((fast * turn.cos(), fast * turn.sin()))
    ahead = (1 - turn[fast].cos()).sum() / width ** 0.5 * (embeddings / scale @ shared).mean() ** 2
    for head in range(heads):
        rows = slice(head * width, (head + 1) * width)
        first.q_proj.weight[rows] = (6 / ahead).sqrt() * query[:, None] * shared
        first.k_proj.weight[rows] = (6 / ahead).sqrt() * key[:, None] * shared
        what, where, whole = (_directions(shared, width, generator) for _ in range(3))
        passed = embeddings / scale @ what.T
        gain = 2 * 0.02 / passed.std()
        first.v_proj.weight[rows], first.o_proj.weight[:, rows] = what, gain * where.T
        # Only dimensions that rotary positions hardly turn can compare contents from afar: a score of 12.
        length = passed[:, slow].square().sum(-1).mean() * gain / scale.mean()
        sharpness = (12 * width ** 0.5 / length).sqrt()
        still = torch.zeros(width, 1).index_fill(0, slow, 1.0)
        second.q_proj.weight[rows], second.k_proj.weight[rows] = (
            sharpness * still * side for side in (what, where))
        second.v_proj.weight[rows], second.o_proj.weight[:, rows] = whole, 4 * 0.02 * whole.T


def _directions(shared, n, generator):
    """n orthonormal rows, orthogonal to the unit vector `shared`."""
    rows = torch.randn(n, len(shared), generator=generator)
    rows -= rows @ shared[:, None] * shared
    return torch.linalg.qr(rows.T).Q.T


def example(conversation, tokenizer, context_weight):
    """A document with a weight on every token: 1 in calls, `context_weight` elsewhere."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights = np.full(len(encoded.ids), context_weight)
    for call in encoded.calls:
        weights[call.start - 1:call.stop] = 1.0
    return as_one_call(encoded.ids, encoded.labels, weights)


def batch_of(number, grown, flags, rng, pieces, tokenizer):
    """The examples of a step: copy drills with a growing period, choice drills until they are fully `grown`
    (from 0 to 1), and then documents, with some drills among them.
    """
    if number < flags.drill_steps:
        return [copying(rng, pieces, 6 + 24 * number // flags.drill_steps) for _ in range(32)]
    if flags.choosing and (grown < 1 or rng.random() < flags.drill_share):
        return [choosing(rng, pieces, tokenizer, grown) for _ in range(16)]
    return [drill(rng, flags, pieces, tokenizer) if rng.random() < flags.drill_share
            else example(document(rng, flags.disguised), tokenizer, flags.context_weight) for _ in range(4)]


def drill(rng, flags, pieces, tokenizer):
    """One of copying; with --conversations, four times in five one of choosing in a whole conversation."""
    if not flags.conversations or rng.random() < 0.2:
        return copying(rng, pieces, 40)
    conversation = nonsense(rng, rng.random()) if rng.random() < 0.5 else disguised(rng, strange=True)
    return named(conversation, tokenizer)


def named(conversation, tokenizer):
    """An Example in which only the names of the tools that are called count."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights = np.zeros(len(encoded.ids))
    for call in encoded.calls:
        weights[call.name_start - 1:call.name_stop - 1] = 1.0
    return as_one_call(encoded.ids, encoded.labels, weights)


@torch.no_grad()
def share_right(transformer, batch):
    """The share of a batch's runs of positions with a weight in which every most probable piece is right."""
    counted = batch.weights > 0
    best = transformer(batch.ids, head=lambda hidden, weight: (hidden[counted] @ weight.T).argmax(-1))
    starts = counted & ~counted.roll(1, -1)  # a conversation starts without weight, and ends so
    run = starts.flatten().cumsum(0).view_as(starts)[counted]
    return 1 - len(run[best != batch.labels[counted]].unique()) / starts.sum().item()


def make_optimizers(transformer, muon):
    """AdamW for all parameters; or Muon (Jordan et al., 2024) for the blocks' matrices, AdamW for the rest.

    Muon makes every direction of a matrix's step equally long, and learns as much from half of the documents.
    """
    if not muon:
        return [make_optimizer(transformer, weight_decay=0.1)]
    matrices = [p for block in transformer.model.layers for p in block.parameters() if p.ndim == 2]
    taken = set(map(id, matrices))
    others = [p for p in transformer.parameters() if id(p) not in taken]
    return [adamw(others, weight_decay=0.1), torch.optim.Muon(matrices, lr=0.0, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")]


def step(transformer, optimizers, lr):
    """Clip at 1, step, clear. Returns the gradient's norm. lr: of AdamW; Muon is scaled to move as much.

    Raises NotFinite before any step.
    """
    first, *others = optimizers
    norm = clip_and_step(transformer, first, lr, 1.0)  # clips all gradients, those that others take, too
    for optimizer in others:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        optimizer.zero_grad()
    return norm


@torch.no_grad()
def exact_copies(transformer, tokenizer, conversations):
    """Shares of the first calls of documents, greedily made, with the right tool, and right as a whole."""
    prompts = [tokenizer.prompt(c.tools, c.turns[:2]) for c in conversations]
    answers = model.generate(transformer, prompts, 64, tokenizer.eos_id)
    said = [tokenizer.decode(answer.ids) for answer in answers]
    golds = [c.turns[2] for c in conversations]
    names = sum(text.split("(")[0].strip() == gold.name for text, gold in zip(said, golds))
    calls = sum(text.strip() == gold.content for text, gold in zip(said, golds))
    return names / len(golds), calls / len(golds)


def train(transformer, tokenizer, flags, out):
    """Drills, then documents. A line a step goes to metrics.jsonl in the folder `out`; after every test of
    exact copying the model is stored there.
    """
    optimizers, rng = make_optimizers(transformer, flags.muon), random.Random(flags.seed)
    pieces = [i for i in range(tokenizer.vocab_size) if not tokenizer.pieces.is_control(i)]
    rng.shuffle(pieces)
    held_out = random_documents(f"held out {flags.seed}", 64, flags.disguised)
    steps, grown, test = flags.drill_steps + flags.steps, 0.0, random.Random(f"test {flags.seed}")
    sample = random.Random("strange")
    strange = [named(disguised(sample, strange=True), tokenizer) for _ in range(32)]
    bar = tqdm(range(steps), unit="step")
    with open(out / "metrics.jsonl", "w", buffering=1) as file:
        for number in bar:
            batch = collate(batch_of(number, grown, flags, rng, pieces, tokenizer))
            loss, _ = weighted_nll(transformer, batch)
            (loss / batch.n_calls).backward()
            rate = learning_rate(number, steps, flags.lr, 0.02)
            metrics = {"step": number + 1, "loss": loss.item() / batch.n_calls, "tokens": batch.n_tokens,
                       "grad_norm": step(transformer, optimizers, rate)}
            if flags.choosing and number >= flags.drill_steps and grown < 1 and number % 20 == 19:
                drills = [choosing(test, pieces, tokenizer, grown) for _ in range(16)]
                metrics |= {"grown": grown, "chosen": share_right(transformer, collate(drills))}
                grown = round(grown + 0.05 * (metrics["chosen"] > 0.75), 2)
            if (number + 1) % flags.eval_every == 0 or number + 1 == steps:
                names, calls = exact_copies(transformer, tokenizer, held_out)
                metrics |= {"right_tool": names, "right_call": calls,
                            "right_strange": share_right(transformer, collate(strange))}
                model.save(transformer, out, torch.bfloat16)
                bar.set_description(f"right tools {names:.0%}, calls {calls:.0%}")
            bar.set_postfix_str(f"loss {metrics['loss']:.3f}")
            file.write(json.dumps(metrics) + "\n")


def start(flags, out):
    """(Tokenizer, Transformer) to train: new ones, or those of --init. The pieces are stored in `out`."""
    if flags.init:
        transformer, tokenizer = model.load(flags.init), Tokenizer(flags.init)
        tokenizer.must_fit(transformer.config)
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tokenizer.path, out / "tokenizer.model")
        return tokenizer, transformer
    out.mkdir(parents=True, exist_ok=True)
    train_pieces(flags, out / "tokenizer.model")
    tokenizer = Tokenizer(out)
    config = model.Config(tokenizer.vocab_size, flags.hidden_size, 8 * math.ceil(flags.hidden_size / 3),
                          flags.layers, flags.heads, flags.heads, flags.hidden_size // flags.heads,
                          rope_theta=1e6, tie_word_embeddings=True)
    transformer = model.initialise(config, flags.seed)
    induct(transformer, flags.seed)
    return tokenizer, transformer


def main():
    """The command line; see the top of this file."""
    flags = parse_flags({"": Flags()}, __doc__.splitlines()[0])
    out = Path(flags.out)
    if (out / "config.json").exists():
        raise InputError(f"--out {out}: holds a model already; name another, or remove it")
    tokenizer, transformer = start(flags, out)
    print(f"{sum(p.numel() for p in transformer.parameters()):,} parameters")
    train(transformer, tokenizer, flags, out)
    print(f"checkpoint: {out}")


if __name__ == "__main__":
    cli(main)
