"""Train the embedded base model, data/tiny, from scratch: the laptop's CodeLLaMA.

    make base-model                                  # all parts, as data/tiny was made; hours
    python -m pretraining.pretrain --out runs/tiny   # the first part: documents about made-up tools

A small LLaMA with its own SentencePiece model learns from pretraining/documents.py to copy names
and values that it has never seen. So small a model would learn how calls look and nothing else
but for these measures:
- the space is a piece of its own, so that a word has the same pieces after a space and a quote;
- batches are small, and a document has several requests;
- two induction heads copy from the start (see `add_induction_heads`); they would take thousands of
  steps to form by themselves;
- drills (pretraining/drills.py): first a few random pieces over and over, with a longer and longer
  period; later questions whose words stand in the description of one of several things. Among the
  documents such questions fill whole conversations (pretraining/nonsense.py, renaming.py);
- documentation, questions and results, which the model cannot foresee, weigh less than calls.
"""

import json
import math
import random
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

import numpy as np
import torch

import model
import tokenizer as tokenizers
from data.trajectories import read
from examples import collate
from losses import weighted_nll
from plumbing.files import InputError, kind_of, lock, make_folder, write_json
from plumbing.flags import cli, flag, parse_flags
from plumbing.optimizer import adamw, clip_and_step, learning_rate, make_optimizer
from plumbing.parallel import join
from plumbing.progress import progress
from pretraining.documents import document, random_documents
from pretraining.drills import as_one_call, choosing_drill, copying_drill
from pretraining.nonsense import nonsense_conversation
from pretraining.renaming import renamed_conversation
from tokenizer import Tokenizer, render


@dataclass(frozen=True)
class Flags:
    out: str = flag("runs/tiny", "directory of the new checkpoint")
    text: str = flag("data/train.json", "trajectories whose text the pieces are learnt from, too")
    vocab_size: int = flag(1536, "pieces", least=300)
    hidden_size: int = flag(192, "D", least=8)
    layers: int = flag(4, "blocks", least=2)
    heads: int = flag(4, "attention heads", least=2)
    init: str = flag("", "checkpoint to go on from, with its shape and its pieces")
    disguised: float = flag(0.0, "share of documents about renamed tools of the toolbox",
                            least=0, most=1)
    no_tool: float = flag(0.0, "probability that, before a task about renamed tools, something is "
                               "said that no tool fits", least=0, most=1)
    drill_steps: int = flag(200, "first steps, of 32 copy drills each", least=0)
    steps: int = flag(6000, "steps after that, of four documents each", least=1)
    drill_share: float = flag(0.1, "share of drills among the documents", least=0)
    choosing: bool = flag(False, "drills of choosing before the documents, until they are at their "
                                 "full difficulty, and among the documents")
    conversations: bool = flag(False, "drills of choosing in whole conversations among the "
                                      "documents")
    muon: bool = flag(False, "Muon in place of AdamW for the blocks' matrices")
    lr: float = flag(2e-3, "peak learning rate", least=0)
    context_weight: float = flag(0.1, "weight of tokens outside calls", least=0)
    device: str = flag("cpu", "cpu, cuda, or auto")
    eval_every: int = flag(500, "steps between tests of exact copying", least=1)
    seed: int = flag(0, "of the documents and the weights", least=0)


# Lines of a tool's documentation that are always the same, and the space: pieces of their own.
SYMBOLS = ["▁", "▁▁▁▁", '▁▁▁▁"""', "▁▁▁▁Args:", "Function:", "System:", "User:", "Assistant:",
           "Output:", '="', '",▁', '")', ":▁string", ":▁integer", ":▁number", ":▁boolean",
           ":▁array", "▁=▁None", "▁(string):▁", "▁(integer):▁", "▁(number):▁", "▁(boolean):▁",
           "▁(array):▁"]


def train_pieces(flags, path):
    """Train the SentencePiece model on made-up documents and the trajectories of --text."""
    recorded = read(flags.text)
    conversations = random_documents(f"pieces {flags.seed}", 2000) + recorded
    texts = [render(turn, conversation.tools) for conversation in conversations
             for turn in conversation.turns]
    tokenizers.train(texts, path, flags.vocab_size, SYMBOLS)


# --------------------------------------------------------------------------- induction heads

@torch.no_grad()
def add_induction_heads(transformer, seed, heads=2):
    """Put induction heads (Olsson et al., 2022) into the first two blocks of a fresh Transformer.

    Training then starts from a weak form of "after A came B, here is A again, so B". A head of the
    first block looks at the position before and passes on what stands there. A head of the second
    block looks for positions that were passed what stands here, and writes what stands there. By
    itself a model of this size learns nothing from documents until such heads have formed, which
    takes 4M tokens and more.
    """
    config = transformer.config
    generator = torch.Generator().manual_seed(seed)
    width = config.head_dim
    half = width // 2
    embeddings = transformer.model.embed_tokens.weight  # (V, D)
    first = transformer.model.layers[0].self_attn
    second = transformer.model.layers[1].self_attn
    # All embeddings share a direction, so that a head can look back from any piece.
    shared = torch.randn(config.hidden_size, generator=generator)  # (D,)
    embeddings += 0.03 * shared
    shared /= shared.norm()
    scale = embeddings.square().mean(-1, keepdim=True).sqrt()  # (V, 1): what the norm divides by
    turn = config.rope_theta ** -(torch.arange(half) / half)   # radians per position
    fast = turn > 0.02
    slow = (turn < 0.002).repeat(2).nonzero().flatten()
    # Query R_t q, key R_s k with k = R_1 q: the score is highest at s = t - 1, by 6 above others.
    query = torch.cat((fast.float(), torch.zeros(half)))
    key = torch.cat((fast * turn.cos(), fast * turn.sin()))
    ahead = ((1 - turn[fast].cos()).sum() / width ** 0.5
             * (embeddings / scale @ shared).mean() ** 2)
    for head in range(heads):
        rows = slice(head * width, (head + 1) * width)
        first.q_proj.weight[rows] = (6 / ahead).sqrt() * query[:, None] * shared
        first.k_proj.weight[rows] = (6 / ahead).sqrt() * key[:, None] * shared
        what = _directions(shared, width, generator)    # (head_dim, D): the piece that is read
        where = _directions(shared, width, generator)   # the place where it is passed on
        copied = _directions(shared, width, generator)  # the piece that the second head writes
        passed = embeddings / scale @ what.T
        gain = 2 * 0.02 / passed.std()
        first.v_proj.weight[rows] = what
        first.o_proj.weight[:, rows] = gain * where.T
        # Only dimensions that rotary positions hardly turn can compare contents from afar: their
        # score is 12.
        length = passed[:, slow].square().sum(-1).mean() * gain / scale.mean()
        sharpness = (12 * width ** 0.5 / length).sqrt()
        still = torch.zeros(width, 1).index_fill(0, slow, 1.0)
        second.q_proj.weight[rows] = sharpness * still * what
        second.k_proj.weight[rows] = sharpness * still * where
        second.v_proj.weight[rows] = copied
        second.o_proj.weight[:, rows] = 4 * 0.02 * copied.T


def _directions(shared, n, generator):
    """n orthonormal rows (n, D), orthogonal to the unit vector `shared` (D,)."""
    rows = torch.randn(n, len(shared), generator=generator)
    rows -= rows @ shared[:, None] * shared
    return torch.linalg.qr(rows.T).Q.T


# -------------------------------------------------------------------------------------- the batches

def document_example(conversation, tokenizer, context_weight):
    """An Example of a document: weight 1 in calls, `context_weight` elsewhere."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights = np.full(len(encoded.ids), context_weight)
    for call in encoded.calls:
        weights[call.start - 1:call.stop] = 1.0
    return as_one_call(encoded.ids, encoded.labels, weights)


def names_example(conversation, tokenizer):
    """An Example in which only the names of the called tools have a weight."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights = np.zeros(len(encoded.ids))
    for call in encoded.calls:
        weights[call.name_start - 1:call.name_stop - 1] = 1.0
    return as_one_call(encoded.ids, encoded.labels, weights)


def batch_of(number, difficulty, flags, rng, pieces, tokenizer):
    """The Examples of step `number`.

    First copy drills with a growing period; with --choosing then choice drills, until their
    difficulty is 1; then documents, with some drills among them.
    """
    if number < flags.drill_steps:
        longest = 6 + 24 * number // flags.drill_steps
        return [copying_drill(rng, pieces, longest) for _ in range(32)]
    if flags.choosing and (difficulty < 1 or rng.random() < flags.drill_share):
        return [choosing_drill(rng, pieces, tokenizer, difficulty) for _ in range(16)]
    batch = []
    for _ in range(4):
        if rng.random() < flags.drill_share:
            batch.append(draw_drill(rng, flags, pieces, tokenizer))
        else:
            conversation = document(rng, flags.disguised, flags.no_tool)
            batch.append(document_example(conversation, tokenizer, flags.context_weight))
    return batch


def draw_drill(rng, flags, pieces, tokenizer):
    """A drill of copying; with --conversations, 4 in 5 are of choosing in a whole conversation."""
    if not flags.conversations or rng.random() < 0.2:
        return copying_drill(rng, pieces, 40)
    if rng.random() < 0.5:
        conversation = nonsense_conversation(rng, rng.random())
    else:
        conversation = renamed_conversation(rng, only_shared_words=True)
    return names_example(conversation, tokenizer)


# ------------------------------------------------------------------------- optimizers and the loop

def make_optimizers(transformer, muon):
    """[AdamW] for all parameters; or [AdamW, Muon] with Muon for the matrices of the blocks.

    Muon (Jordan et al., 2024) makes every direction of a matrix's step equally long, and learns as
    much from half of the documents.
    """
    if not muon:
        return [make_optimizer(transformer, weight_decay=0.1)]
    matrices = [p for block in transformer.model.layers for p in block.parameters() if p.ndim == 2]
    of_muon = set(map(id, matrices))
    others = [p for p in transformer.parameters() if id(p) not in of_muon]
    return [adamw(others, weight_decay=0.1),
            torch.optim.Muon(matrices, lr=0.0, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")]


def step_all(transformer, optimizers, lr):
    """Clip at 1, step, clear. Returns the gradient's norm before clipping.

    lr: the rate of AdamW; Muon is scaled to move as much. Raises NotFinite before any step.
    """
    first, *others = optimizers
    # This clips the gradients of all parameters, also of those that other optimizers step.
    norm = clip_and_step(transformer, first, lr, 1.0)
    for optimizer in others:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        optimizer.zero_grad()
    return norm


@torch.no_grad()
def share_right(transformer, batch):
    """Share of a Batch's runs of positions with a weight whose greedy pieces are all right."""
    counted = batch.weights > 0  # (B, T)
    best = transformer(batch.ids,
                       head=lambda hidden, weight: (hidden[counted] @ weight.T).argmax(-1))
    # A conversation starts with a position of weight 0, and ends with one: no run goes round a row.
    starts = counted & ~counted.roll(1, -1)
    run = starts.flatten().cumsum(0).view_as(starts)[counted]  # the number of each position's run
    wrong = run[best != batch.labels[counted]].unique()
    return 1 - len(wrong) / starts.sum().item()


@torch.no_grad()
def exact_copies(transformer, tokenizer, conversations):
    """(share with the right tool, share of right calls) of greedy first calls of documents."""
    prompts = [tokenizer.prompt(c.tools, c.turns[:2]) for c in conversations]
    answers = model.generate(transformer, prompts, 64, tokenizer.eos_id)
    golds = [c.turns[2] for c in conversations]
    names = 0
    calls = 0
    for answer, gold in zip(answers, golds, strict=True):
        text = tokenizer.decode(answer.ids)
        names += text.split("(")[0].strip() == gold.name
        calls += text.strip() == gold.content
    return names / len(golds), calls / len(golds)


def train(transformer, tokenizer, flags, out, device):
    """Train on drills, then documents.

    The folder `out` gets a line a step in metrics.jsonl, and the model after every test of exact
    copying.
    """
    optimizers = make_optimizers(transformer, flags.muon)
    rng = random.Random(flags.seed)
    pieces = [i for i in range(tokenizer.vocab_size) if not tokenizer.pieces.is_control(i)]
    rng.shuffle(pieces)
    held_out = random_documents(f"held out {flags.seed}", 64, flags.disguised)
    strange = _strange_examples(tokenizer)
    test_rng = random.Random(f"test {flags.seed}")
    difficulty = 0.0
    steps = flags.drill_steps + flags.steps
    bar = progress(range(steps), unit="step")
    with open(out / "metrics.jsonl", "w", buffering=1) as file:
        for number in bar:
            examples = batch_of(number, difficulty, flags, rng, pieces, tokenizer)
            batch = collate(examples, device)
            loss, _ = weighted_nll(transformer, batch)
            (loss / batch.n_calls).backward()
            lr = learning_rate(number, steps, flags.lr, 0.02)
            metrics = {"step": number + 1, "loss": loss.item() / batch.n_calls,
                       "tokens": batch.n_tokens,
                       "grad_norm": step_all(transformer, optimizers, lr)}
            is_choosing = flags.choosing and number >= flags.drill_steps and difficulty < 1
            if is_choosing and number % 20 == 19:
                drills = [choosing_drill(test_rng, pieces, tokenizer, difficulty)
                          for _ in range(16)]
                chosen = share_right(transformer, collate(drills, device))
                metrics |= {"grown": difficulty, "chosen": chosen}
                if chosen > 0.75:
                    difficulty = round(difficulty + 0.05, 2)
            if (number + 1) % flags.eval_every == 0 or number + 1 == steps:
                names, calls = exact_copies(transformer, tokenizer, held_out)
                metrics |= {"right_tool": names, "right_call": calls,
                            "right_strange": share_right(transformer, collate(strange, device))}
                model.save(transformer, out, torch.bfloat16)
                bar.set_description(f"right tools {names:.0%}, calls {calls:.0%}")
            bar.set_postfix_str(f"loss {metrics['loss']:.3f}", refresh=False)
            file.write(json.dumps(metrics) + "\n")


def _strange_examples(tokenizer):
    """The same 32 Examples in every run, in which only shared words tell which tool is meant."""
    rng = random.Random("strange")
    return [names_example(renamed_conversation(rng, only_shared_words=True), tokenizer)
            for _ in range(32)]


def load_or_create(flags, out):
    """(Tokenizer, Transformer) to train: those of --init, or new ones. `out` gets the pieces."""
    if flags.init:
        transformer = model.load(flags.init)
        tokenizer = Tokenizer(flags.init)
        tokenizer.must_fit(transformer.config)
        shutil.copyfile(tokenizer.path, out / "tokenizer.model")
        return tokenizer, transformer
    try:
        train_pieces(flags, out / "tokenizer.model")
    except RuntimeError as error:  # SentencePiece
        raise InputError(f"--vocab-size {flags.vocab_size}: {error}") from None
    tokenizer = Tokenizer(out)
    config = model.Config(tokenizer.vocab_size, flags.hidden_size,
                          8 * math.ceil(flags.hidden_size / 3), flags.layers, flags.heads,
                          flags.heads, flags.hidden_size // flags.heads,
                          rope_theta=1e6, tie_word_embeddings=True)
    transformer = model.initialise(config, flags.seed)
    add_induction_heads(transformer, flags.seed)
    return tokenizer, transformer


def main():
    """The command line; see the top of this file."""
    flags = parse_flags({"": Flags()}, __doc__.splitlines()[0])
    out = Path(flags.out)
    if kind_of(out / "config.json"):
        raise InputError(f"--out {out}: holds a model already; name another, or remove it")
    if flags.hidden_size % (2 * flags.heads) or flags.hidden_size < 4 * flags.heads:
        raise InputError(f"--hidden-size {flags.hidden_size}: must be an even number, 4 or more, "
                         f"for each of the {flags.heads} --heads")
    device = join(flags.device)
    make_folder(out)
    held = lock(out)  # noqa: F841 (to the end)
    tokenizer, transformer = load_or_create(flags, out)
    print(f"{sum(p.numel() for p in transformer.parameters()):,} parameters")
    train(transformer.to(device), tokenizer, flags, out, device)
    write_json(out / "flags.json",
               {"script": "pretrain", **asdict(flags), "finished": time.time()})
    print(f"checkpoint: {out}")


if __name__ == "__main__":
    cli(main)
