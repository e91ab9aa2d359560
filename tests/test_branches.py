"""Branches against decoding without a cache, and the tokens at which they may leave."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import model
from branches import KINDS, GreedyPath, branch_places, follow_branches, greedy_paths, token_kinds
from data.tools import read_tools, write_call
from tests.conftest import TOOLS
from tests.test_groups import noisy, some_prompts
from tokenizer import Tokenizer

LONGEST = 9


@pytest.fixture(scope="module")
def setting(model_dir):
    """A random model in fp64, uneven prompts, and an end that some answers meet and some do not."""
    tokenizer, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=False, dtype=torch.float64)
    ids = [prompt.ids[-60 + 9 * i:] for i, prompt in enumerate(prompts)]
    free = model.generate(transformer, ids, LONGEST, eos_id=-1)
    return transformer, ids, free[0].ids[4], tokenizer


def naive_step(transformer, ids):
    """p of the next token, without a cache."""
    return transformer(torch.tensor([ids]))[0, -1].softmax(-1)


def test_the_greedy_path_is_that_of_generate_and_its_runners_up_are_second(setting):
    transformer, prompts, eos_id, _ = setting
    paths, _ = greedy_paths(transformer, prompts, LONGEST, eos_id)
    assert [path.answer for path in paths] == model.generate(transformer, prompts, LONGEST, eos_id)
    assert {path.answer.ended for path in paths} == {True, False}
    for prompt, path in zip(prompts, paths, strict=True):
        assert len(path.runners_up) == len(path.answer.ids) + path.answer.ended
        for step, second in enumerate(path.runners_up):
            p = naive_step(transformer, prompt + path.answer.ids[:step])
            top = p.topk(2)
            assert second == top.indices[1]
            first_p, second_p = top.values.tolist()  # the path keeps them in fp32
            assert path.gaps[step] == pytest.approx(first_p - second_p, abs=1e-6)
            assert path.runner_up_p[step] == pytest.approx(second_p, abs=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_a_branch_shares_its_prefix_and_goes_on_greedily(setting, seed):
    """As decoded from the whole prefix without a cache; places uneven, none for one prompt."""
    transformer, prompts, eos_id, _ = setting
    paths, cache = greedy_paths(transformer, prompts, LONGEST, eos_id)
    generator = torch.Generator().manual_seed(seed)
    places = []
    for i, path in enumerate(paths):
        order = torch.randperm(len(path.runners_up), generator=generator).tolist()
        places.append(order[:0 if i == 1 else 4])
    followed = follow_branches(transformer, cache, paths, places, LONGEST, eos_id)
    assert [len(answers) for answers in followed] == [len(steps) for steps in places]
    for prompt, path, steps, answers in zip(prompts, paths, places, followed, strict=True):
        for step, answer in zip(steps, answers, strict=True):
            ids = path.answer.ids[:step]
            token = path.runners_up[step]
            while token != eos_id:
                ids = [*ids, token]
                if len(ids) == LONGEST:
                    break
                token = naive_step(transformer, prompt + ids).argmax().item()
            assert answer.ids == ids
            assert answer.ended == (token == eos_id)
            assert answer.ids[:step] == path.answer.ids[:step]


def test_no_branch_at_all(setting):
    transformer, prompts, eos_id, _ = setting
    paths, cache = greedy_paths(transformer, prompts, LONGEST, eos_id)
    none = [[] for _ in paths]
    assert follow_branches(transformer, cache, paths, none, LONGEST, eos_id) == none


# ------------------------------------------------------------------------ where a branch may leave

def tokens_and_kinds(text, tokenizer, tools=()):
    """[(bytes of each token, its kind)] of a call."""
    ids = tokenizer.continued(f"Assistant: {text}")[len(tokenizer.call_prefix):]
    kinds = token_kinds(ids, tokenizer, read_tools(tools))
    stops = tokenizer.widths[ids].cumsum().tolist()
    data = f" {text}".encode()
    tokens = [data[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
    assert b"".join(tokens) == data
    return list(zip(tokens, kinds, strict=True))


def test_kinds_of_a_call_written_out(tokenizer_file):
    found = tokens_and_kinds('get_news(topic="cats", n=12)', Tokenizer(tokenizer_file))
    spelled = {kind: b"".join(token for token, its in found if its == kind) for kind in KINDS}
    assert spelled["name"].strip() == b"get_news"
    assert spelled["key"].strip(b' ("=') == b"topicn"  # a key's token may hold the bracket before
    assert spelled["value"].strip(b'"') == b"cats12"
    assert spelled["next"].strip(b'" ') == b",)"
    assert all(not token.strip().isalnum() for token, kind in found if not kind)


@given(st.sampled_from(["get_news", "get_weather", "x"]),
       st.dictionaries(st.sampled_from(["city", "topic", "n"]),
                       st.text("ab é(,\"=", max_size=6) | st.integers(0, 99) | st.booleans(),
                       max_size=3))
@settings(max_examples=60)
def test_every_argument_has_one_token_that_decides_what_follows(tokenizer_file, name, arguments):
    """And what is punctuation alone never has a kind but that one."""
    found = tokens_and_kinds(write_call(name, arguments), Tokenizer(tokenizer_file), TOOLS)
    kinds = [kind for _, kind in found if kind]
    assert kinds.count("next") == max(len(arguments), 1)
    assert kinds[0] == "name" and ("key" in kinds) == bool(arguments)
    for token, kind in found:
        if kind in ("name", "key", "value"):
            assert any(byte > 127 or chr(byte).isalnum() or byte == ord("_") for byte in token)


@pytest.mark.parametrize("text, names", [
    ('get_news(topic="', True), ("get_news", True), ('get_news(a=1) and more', True), ("", False)])
def test_what_is_no_call_may_be_left_at_its_name_alone(tokenizer_file, text, names):
    kinds = {kind for _, kind in tokens_and_kinds(text, Tokenizer(tokenizer_file))}
    assert kinds <= {"name", ""} and ("name" in kinds) == names


def test_ids_that_are_no_text_have_no_kind(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    half = tokenizer.pieces.piece_to_id("<0xC3>")
    assert token_kinds([half], tokenizer, ()) == [""]
    assert token_kinds([tokenizer.vocab_size + 3, 5], tokenizer, ()) == ["", ""]
    assert token_kinds([], tokenizer, ()) == []


def test_the_smallest_gaps_first_within_the_limits():
    answer = model.Answer([5, 6, 7, 8, 9], True)
    gaps = [0.5, 0.1, 0.7, 0.2, 0.1, 0.0]
    path = GreedyPath(answer, [1] * 6, gaps, [0.2, 0.3, 0.1, 0.01, 0.3, 0.4])
    kinds = ["name", "key", "value", "value", ""]
    assert branch_places(path, kinds, 4, max_gap=0.6, min_p=0.02) == [1, 0]
    assert branch_places(path, kinds, 1, max_gap=0.6, min_p=0.02) == [1]
    assert branch_places(path, kinds, 4, max_gap=1.1, min_p=0.0) == [1, 3, 0, 2]
