"""The letter that a model finds likeliest after a question of multiple choice.

No text is generated: the logits after the prompt say which of " A" to " D" would come next.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

import model
from evaluation.openai_format import Reply
from evaluation.predictions import share_prompts
from llama import warn_of_length
from plumbing.cuda import pad_length
from plumbing.files import InputError
from plumbing.optimizer import NotFinite
from plumbing.parallel import processes
from tokenizer import Tokenizer

LETTERS = ("A", "B", "C", "D")


def choose_letters(flags, folder, tasks):
    """A Reply to each task, whose text is the likeliest letter, of the model in `folder`.

    The content of a task's last turn is the prompt; torchrun's ranks share the tasks. Raises
    InputError.
    """
    tokenizer = Tokenizer(flags.tokenizer or folder)
    letter_ids = None
    prompts = []
    for task in tasks:
        ids, found = letter_prompt(tokenizer, task.turns[-1].content)
        if letter_ids not in (None, found):
            raise InputError(f"{tokenizer.path}: writes the letters A to D in several ways")
        letter_ids = found
        prompts.append(ids)

    rank, _ = processes()
    if rank == 0:
        config = model.read_config(Path(folder, "config.json"))
        warn_of_length([len(prompt) for prompt in prompts], config, "prompts", folder)

    def respond(transformer, batch):
        logits = letter_logits(transformer, [prompts[i] for i in batch], letter_ids)
        return [(LETTERS[place], True) for place in logits.argmax(-1).tolist()]

    values = share_prompts(flags, folder, tokenizer, prompts, respond)
    return [Reply(*value) for value in values]


def letter_prompt(tokenizer, text):
    """(ids of the prompt, ids of the four letters that may follow it).

    A tokenizer whose " A" is two pieces has the first, the space, in the prompt: it is the same for
    all four. Raises InputError where the letters differ in more than one piece.
    """
    before, _, line = text.rpartition("\n")  # a line break is a piece of its own
    rows = [tokenizer.continued(f"{line} {letter}") for letter in LETTERS]
    shared = rows[0][:-1]
    if any(row[:-1] != shared for row in rows):
        raise InputError(f"{tokenizer.path}: the letters A to D are not a piece each")
    return [tokenizer.bos_id, *tokenizer.encode(before), *shared], [row[-1] for row in rows]


@torch.no_grad()
def letter_logits(transformer, prompts, letter_ids):
    """Logits (B, 4) of the letters after each of B prompts, in one forward pass.

    Rows are padded at their end, where a causal model does not see it. Raises NotFinite.
    """
    device = transformer.model.embed_tokens.weight.device
    B = len(prompts)
    T = pad_length(max(map(len, prompts)), device)
    ids = torch.zeros(B, T, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, :len(prompt)] = torch.tensor(prompt)
    last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
    rows = torch.arange(B, device=device)
    logits = transformer(
        ids.to(device),
        head=lambda hidden, output_matrix: F.linear(  # (B, T, D), (V, D)
            hidden[rows, last], output_matrix[letter_ids]))
    if not logits.isfinite().all():
        raise NotFinite("a logit is infinite or no number")
    return logits
