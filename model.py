"""A LLaMA to load, run and save: the front of llama, lora, generation and weights.

    python model.py --init CONFIG.json DIR      # a random checkpoint of that architecture

From Python:

    transformer = model.load("data/tiny")
    tokenizer = Tokenizer("data/tiny")
    prompt = [tokenizer.bos_id, *tokenizer.encode("User: Hello!\\nAssistant:")]
    [answer] = model.generate(transformer, [prompt], 20, tokenizer.eos_id)
    print(tokenizer.decode(answer.ids))
"""

from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

from generation import Answer, generate
from llama import DTYPES, Config, Transformer, initialise, read_config
from plumbing.files import LARGEST, InputError, kind_of, read_bytes, replacing
from plumbing.flags import Parser, cli
from plumbing.memory import report
from weights import export, load, load_for_training, save

__all__ = ["DTYPES", "Answer", "Config", "Transformer", "export", "generate", "initialise", "load",
           "load_for_training", "print_plan", "read_config", "save"]


def print_plan(plan, flags):
    """What --plan prints, of the model in --model. plan: memory.plan_sft, plan_ppo or plan_dpo."""
    config = read_config(Path(flags.model, "config.json"))
    print(*report(plan, config, flags), sep="\n")


def main():
    """The command line; see the top of this file."""
    parser = Parser(description="Write a randomly initialised checkpoint.")
    parser.add_argument("--init", nargs=2, metavar=("CONFIG.json", "DIR"), required=True)
    parser.add_argument("--tokenizer", help="a SentencePiece model to copy into DIR")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    config_file, folder = flags.init
    if kind_of(Path(folder, "config.json")):
        raise InputError(f"--init {folder}: holds a model already; name another, or remove it")
    if not 0 <= flags.seed <= LARGEST:
        raise InputError(f"--seed {flags.seed}: must be a number from 0 to {LARGEST}")
    pieces = read_bytes(flags.tokenizer) if flags.tokenizer else None
    transformer = initialise(read_config(config_file), flags.seed)
    save(transformer, folder, DTYPES[flags.dtype])
    if pieces is not None:
        with replacing(Path(folder, "tokenizer.model")) as aside:
            aside.write_bytes(pieces)
    print(f"{folder}: {sum(p.numel() for p in transformer.parameters()):,} parameters")


if __name__ == "__main__":
    cli(main)
