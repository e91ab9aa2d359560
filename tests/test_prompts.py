"""Prompts of stage 2 and TTPA from released pairs; bookkeeping of prompts in ppo.py."""

import json
from types import SimpleNamespace

import pytest

import ppo
from plumbing.files import InputError
from prompts import Prompt, read
from reward import ErrorType, esm
from tokenizer import Tokenizer

SIGNATURE = 'Function:\ndef f(a: string, b: integer = None):\n    """\n    Does it.\n    """\n'
END = 'Function:\ndef finish(answer: string):\n    """\n    Ends.\n    """\n'


def test_an_optional_parameter_of_a_released_pair_has_its_type(tmp_path, tokenizer_file):
    """So that ESM sees that a text is no integer."""
    pair = {"instruction": f"System: Functions:\n{SIGNATURE}\n{END}\nUser: Do it.\nAssistant:",
            "output": ' f(a="x", b=3)</s>'}
    (tmp_path / "pairs.json").write_text(json.dumps([pair]))
    [prompt], _ = read(tmp_path / "pairs.json", Tokenizer(tokenizer_file), 4096)
    [tool] = [tool for tool in prompt.tools if tool.name == "f"]
    assert [(p.name, p.type, p.required) for p in tool.parameters] == [
        ("a", "string", True), ("b", "integer", False)]
    assert esm('f(a="x", b="3")', prompt.gold, prompt.tools).type == 0.5


def test_a_file_of_two_kinds_names_both(tmp_path, tokenizer_file):
    pair = {"instruction": "User: x\nAssistant:", "output": " f()</s>"}
    file = tmp_path / "mixed.json"
    file.write_text(json.dumps([pair, {"conversations": []}]))
    with pytest.raises(InputError, match="'conversations'.*'instruction'"):
        read(file, Tokenizer(tokenizer_file), 4096)


def test_a_prompt_whose_answers_differ_again_is_no_longer_settled():
    prompt = Prompt(id="x", turns=(), gold="f()", tools=(), ids=[1], where="item 0")
    rollout = SimpleNamespace(prompts=[prompt, prompt])  # once for each of two answers
    notes = {"settled": []}
    ppo.note_uniform([prompt], rollout, [set(), set()], 2, notes)
    assert notes["settled"] == ["item 0"]
    ppo.note_uniform([prompt], rollout, [set(), {ErrorType.WRONG_TOOL}], 2, notes)
    assert notes["settled"] == []
