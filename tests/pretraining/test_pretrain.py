"""The base model: what may be in its documents, what counts in training, the committed model."""

import itertools
import json
import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import model
from data.tools import read_tools
from examples import collate
from llama import rotate
from pretraining import documents, pretrain, renaming, vocabulary
from pretraining.drills import choosing_drill
from reward import reward
from tests.conftest import ITEMS, ROOT, assert_one_line_error, run_script
from tokenizer import Tokenizer
from toolbox.execute import DIALOGUE, TOOLS, schemas
from toolbox.synthesize import UNSEEN


@pytest.fixture(scope="module")
def made():
    return documents.random_documents("test", 300, 0.5)


@pytest.fixture(scope="module")
def strange():
    """Renamed conversations in which only shared words tell which tool is meant."""
    rng = random.Random("strange")
    return [renaming.renamed_conversation(rng, only_shared_words=True) for _ in range(60)]


def test_documents_are_a_function_of_the_seed(made):
    assert documents.random_documents("test", 5, 0.5) == made[:5]
    assert documents.random_documents("other", 5, 0.5) != made[:5]


def test_no_tool_of_the_toolbox_is_in_the_documents_but_those_of_every_dialogue(made, strange):
    names = {tool.name for document in made + strange for tool in document.tools}
    assert names & set(TOOLS) <= set(DIALOGUE)
    meanings = {tool.description for document in made + strange for tool in document.tools
                if tool.name not in DIALOGUE}
    assert not meanings & {tool.description for tool in read_tools(schemas(UNSEEN))}


def test_no_held_out_question_is_in_the_documents(made, strange):
    asked = {turn.content for document in made + strange for turn in document.turns
             if turn.role == "user"}
    for file in ("heldout_single", "heldout_multi", "heldout_union"):
        items = json.loads((ROOT / "data" / f"{file}.json").read_text())
        questions = {turn["content"] for item in items for turn in item["conversations"]
                     if turn["role"] == "user"}
        assert len(questions) > 50 and not asked & questions


def test_every_call_fits_its_tool_and_copies_its_values(made, strange):
    """The reward of each call against itself is 1, and what it says was said before."""
    for document in made + strange:
        said = result = ""
        for before, turn in zip(document.turns, document.turns[1:], strict=False):
            if turn.role == "user":
                said = (said if before.name == "ask_to_user" else result) + turn.content
            elif turn.role == "function":
                result = turn.content
                said += result
            elif turn.name not in DIALOGUE:
                assert reward(turn.content, turn.content, document.tools) == 1
                for value in turn.arguments.values():
                    values = value if isinstance(value, list) else [value]
                    assert all(isinstance(v, bool) or str(v).lower() in said.lower()
                               for v in values), turn


def test_offered_tools_often_share_a_verb_and_often_a_thing(made):
    for place in (0, 1):
        parts = [[tool.name.split("_")[place].rstrip("s") for tool in document.tools
                  if tool.name not in DIALOGUE] for document in made]
        assert sum(len(set(names)) < len(names) for names in parts) > len(made) / 3


@given(st.randoms(use_true_random=False), st.sampled_from((0.3, 1.0)))
def test_what_was_renamed_can_be_named_back(rng, share):
    """No two words become the same: the right answer, renamed, is the right one of the renamed."""
    text = ("Book the Hotels in Oslo, hotel 25, on 2026-05-01 at 09:30: id C5, SEK, "
            "Anna's cat-show 0.07")
    words = ["07", "09:30", "2026-05-01", "25", "Anna", "C5", "Oslo", "SEK", "book", "cat", "hotel",
             "show"]
    new = renaming.draw_replacements(rng, words, share)
    hidden = renaming.replace_words(text, new)
    assert renaming.replace_words(hidden, {there: here for here, there in new.items()}) == text


def test_what_no_tool_fits_is_said_before_tasks_and_calls_nothing():
    """With probability 1 before every task, with 0 never; other draws stay as they are."""
    rng = random.Random("no tool")
    stops = {"finish", "ask_to_user"}
    for conversation in [renaming.renamed_conversation(rng, no_tool=1.0) for _ in range(8)]:
        after = [(turn.name, following.name) for turn, following in zip(
            conversation.turns, conversation.turns[1:], strict=False) if turn.role == "user"]
        answers = [name for _, name in after]
        assert answers[0] in stops
        assert sum(name in stops for name in answers) >= len(answers) // 2
    plain = [renaming.renamed_conversation(random.Random(seed)) for seed in range(5)]
    assert plain == [renaming.renamed_conversation(random.Random(seed), no_tool=0.0)
                     for seed in range(5)]
    assert not any(conversation.turns[2].name == "finish" for conversation in plain)


def test_renamed_conversations_hold_whole_tasks():
    """Each question is followed by calls that fit and ends with an answer from the results."""
    rng = random.Random(0)
    for conversation in [renaming.renamed_conversation(rng) for _ in range(30)]:
        names = [turn.name or turn.role for turn in conversation.turns[1:]]
        assert names[0] == "user" and names[-1] == "finish" and len(names) > 8
        offered = {tool.name for tool in conversation.tools}
        assert len(offered) >= 5
        assert {turn.name for turn in conversation.turns if turn.name} <= offered
        results = set()
        for turn in conversation.turns:
            if turn.role == "function":
                results.update(renaming.WORD.findall(turn.content))
        answers = [turn.content for turn in conversation.turns if turn.name == "finish"]
        assert all(results & set(renaming.WORD.findall(answer)) for answer in answers)


def test_strange_questions_share_words_with_the_tools_they_need_and_few_others(strange):
    """Nine in ten of the called tools share a word with the question; of the others under a fifth.

    Not all: an ending of the plural, or a word that is a value as well, gets lost in the exchange.
    """
    def words(text):
        found = {*re.findall("[a-z]{3,}", text.lower())} - {*renaming.SMALL, "get"}
        return {word.removesuffix("s") for word in found}

    needed, others = [], []
    for conversation in strange:
        own = {tool.name: words(tool.description) for tool in conversation.tools
               if tool.name not in DIALOGUE}
        starts = [i for i, turn in enumerate(conversation.turns) if turn.role == "user"]
        for start, stop in zip(starts, [*starts[1:], None], strict=True):
            asked = words(conversation.turns[start].content)
            called = {turn.name for turn in conversation.turns[start:stop]
                      if turn.role == "assistant"}
            for name, described in own.items():
                (needed if name in called else others).append(bool(described & asked))
    assert np.mean(needed) > 0.85 and np.mean(others) < 0.2


def test_the_tables_of_english_are_whole():
    """Every question has one place for its thing, and every cue one for its value.

    No word stands for itself.
    """
    texts = [*vocabulary.FRAMES, *vocabulary.QUESTIONS, *vocabulary.NEXT]
    for asks in vocabulary.ASPECTS.values():
        texts += asks
    for _, _, cues in vocabulary.PARAMETERS.values():
        texts += cues
    assert all(text.count("{}") == 1 for text in texts)
    for table in (vocabulary.NOUNS, vocabulary.ASPECTS):
        assert all(word not in said for word, said in table.items())
    types = {"string": str, "integer": int, "number": (int, float), "array": list, "boolean": bool}
    for kind in {*documents.ANY, *(kind for kind, _, _ in vocabulary.PARAMETERS.values())}:
        value = documents.make_value(random.Random(0), kind)
        assert isinstance(value, types[documents.JSON_TYPES.get(kind, "string")]), kind


@pytest.mark.parametrize("seed", range(3))
def test_induction_heads_look_back_and_find_what_came_after_the_same_piece(seed):
    """In 60 pieces said twice, against the uniform attention of a freshly initialised model."""
    transformer = model.initialise(model.Config(400, 96, 256, 2, 4, 4, 24, rope_theta=1e6,
                                                tie_word_embeddings=True), seed)
    once = torch.randperm(400, generator=torch.Generator().manual_seed(seed))[:60]
    ids = torch.cat((once, once))[None]
    late = torch.arange(60, 119)
    before = _attention(transformer, ids, 1)[:2, late, late - 59].mean().item()
    pretrain.add_induction_heads(transformer, seed)
    assert _attention(transformer, ids, 0)[:2, late, late - 1].mean() > 0.9
    assert _attention(transformer, ids, 1)[:2, late, late - 59].mean() > 5 * before
    rest = _attention(transformer, ids, 1)[2:, late, late - 59].mean().item()  # the others stay
    assert rest == pytest.approx(before, rel=0.2)


def test_the_smallest_heads_are_finite_and_smaller_ones_are_refused(tmp_path, run_main):
    """One head had crashed, and heads of two dimensions had made weights of NaN."""
    transformer = model.initialise(model.Config(400, 8, 24, 2, 2, 2, 4, rope_theta=1e6,
                                                tie_word_embeddings=True))
    pretrain.add_induction_heads(transformer, 0)
    assert all(p.isfinite().all() for p in transformer.parameters())
    for size, heads, named in ((32, 1, "--heads"), (8, 4, "--hidden-size 8"),
                               (20, 4, "--hidden-size 20")):
        done = run_main(pretrain, "--out", tmp_path / "x", "--hidden-size", size, "--heads", heads)
        assert_one_line_error(done, named)


@torch.no_grad()
def _attention(transformer, ids, layer):
    """What each head of a block attends to, by the formula: (H, T, T)."""
    attention = transformer.model.layers[layer].self_attn
    inputs = []
    handle = attention.register_forward_pre_hook(lambda module, given: inputs.append(given[:3]))
    transformer(ids)
    handle.remove()
    x, cos, sin = inputs[0]
    width = transformer.config.head_dim
    q = rotate(attention.q_proj(x).unflatten(-1, (-1, width)).transpose(1, 2), cos, sin)
    k = rotate(attention.k_proj(x).unflatten(-1, (-1, width)).transpose(1, 2), cos, sin)
    T = ids.shape[1]
    future = ~torch.ones(T, T).tril().bool()
    scores = (q @ k.mT / width ** 0.5).masked_fill(future, -torch.inf)
    return scores.softmax(-1)[0]


def test_calls_weigh_1_and_the_rest_less(made, tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    example = pretrain.document_example(made[0], tokenizer, 0.25)
    heavy = tokenizer.decode(example.labels[example.weights == 1])
    calls = [turn.content for turn in made[0].turns if turn.role == "assistant"]
    assert heavy.split() == " ".join(calls).split()
    assert set(example.weights) == {0.25, 1.0}


@torch.no_grad()
def test_share_right_counts_names_that_are_right_as_a_whole():
    """Against a loop over runs of positions with a weight, on a model that is right at times."""
    transformer = model.load(ROOT / "data" / "tiny")
    tokenizer = Tokenizer(ROOT / "data" / "tiny")
    rng = random.Random(0)
    batch = collate([choosing_drill(rng, range(100, 900), tokenizer, 1.0) for _ in range(4)])
    right, total = 0, 0
    for ids, labels, weights in zip(batch.ids, batch.labels, batch.weights, strict=True):
        best = transformer(ids[None])[0].argmax(-1)
        weighted = (weights > 0).tolist()
        for counts, run in itertools.groupby(range(len(ids)), weighted.__getitem__):
            run = list(run)
            total += counts
            right += counts and bool((best[run] == labels[run]).all())
    assert 0 < right < total == 4 * 12
    assert pretrain.share_right(transformer, batch) == pytest.approx(right / total)


def test_muon_steps_the_matrices_of_the_blocks_and_adamw_the_rest():
    """Muon's first step makes the singular values of a matrix about equal.

    Those for which the gradient has next to none are left out.
    """
    transformer = model.initialise(model.Config(50, 16, 48, 2, 2, 2, 8, tie_word_embeddings=True))
    adamw, muon = pretrain.make_optimizers(transformer, muon=True)
    of_adamw = [p for group in adamw.param_groups for p in group["params"]]
    of_muon = [p for group in muon.param_groups for p in group["params"]]
    names = {id(p): name for name, p in transformer.named_parameters()}
    assert sorted(names[id(p)] for p in of_adamw + of_muon) == sorted(names.values())
    assert all("proj" in names[id(p)] for p in of_muon)
    assert not any("proj" in names[id(p)] for p in of_adamw)
    before = {name: p.detach().clone() for name, p in transformer.named_parameters()}
    transformer(torch.arange(30)[None]).square().sum().backward()
    lengths = {names[id(p)]: torch.linalg.svdvals(p.grad) for p in of_adamw + of_muon
               if p.ndim == 2}
    pretrain.step_all(transformer, [adamw, muon], 1e-3)
    assert all(p.grad is None for p in transformer.parameters())
    for name, p in transformer.named_parameters():
        assert not p.equal(before[name])
        if "proj" in name:
            values = torch.linalg.svdvals(p.detach() - before[name] * (1 - 1e-3 * 0.1))
            assert values[lengths[name] > 0.01 * lengths[name][0]].min() > 0.3 * values[0]


def test_pretraining_writes_a_checkpoint_that_loads(tmp_path, run_main):
    (tmp_path / "text.json").write_text(json.dumps(ITEMS))
    flags = ["-m", "pretraining.pretrain", "--out", tmp_path / "tiny",
             "--text", tmp_path / "text.json",
             "--vocab-size", "700", "--hidden-size", "32", "--layers", "2", "--drill-steps", "2",
             "--steps", "2"]
    done = run_script(*flags)
    assert done.returncode == 0, done.stderr
    transformer = model.load(tmp_path / "tiny")
    assert transformer.config.vocab_size == Tokenizer(tmp_path / "tiny").vocab_size == 700
    log = (tmp_path / "tiny" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4] and "right_call" in lines[-1]
    assert_one_line_error(run_main(pretrain, *flags[2:]), "--out", "holds a model already")
    done = run_script("-m", "pretraining.pretrain",
                      "--init", tmp_path / "tiny", "--out", tmp_path / "next",
                      "--disguised", "1", "--drill-steps", "0", "--choosing", "--steps", "2",
                      "--muon", "--lr", "0")
    assert done.returncode == 0, done.stderr
    before = model.load(tmp_path / "tiny").state_dict()
    after = model.load(tmp_path / "next").state_dict()
    # a rate of zero: the weights are as they were loaded
    assert all(before[name].equal(after[name]) for name in before)
    pieces = [tmp_path / name / "tokenizer.model" for name in ("tiny", "next")]
    assert pieces[0].read_bytes() == pieces[1].read_bytes()
    pieces[0].unlink()
    done = run_main(pretrain, "--init", tmp_path / "tiny", "--out", tmp_path / "none")
    assert_one_line_error(done, "tokenizer.model")


def test_drills_in_conversations_stand_among_documents_and_copying():
    """By default all drills are of copying. With the flag, four in five are conversations."""
    tokenizer = Tokenizer(ROOT / "data" / "tiny")
    for conversations, share in ((False, 0.0), (True, 0.8)):
        flags = pretrain.Flags(conversations=conversations, drill_share=1.0, drill_steps=0)
        rng = random.Random("among")
        made = [drill for _ in range(25)
                for drill in pretrain.batch_of(0, 0.0, flags, rng, range(100, 900), tokenizer)]
        asking = [tokenizer.decode(drill.ids.tolist()).count("User:") > 1 for drill in made]
        assert np.mean(asking) == pytest.approx(share, abs=0.1)
        assert all(set(drill.weights) == {0.0, 1.0} for drill in made)


def test_the_committed_model_fits_its_pieces_and_knows_calls():
    """On new made-up documents it mostly writes the right tool's name, and the whole call.

    A model without training never does. When the model was made, 88% and 81% of these 48 were
    right: the bounds leave room for another machine's rounding.
    """
    path = ROOT / "data" / "tiny"
    assert sum(file.stat().st_size for file in path.iterdir()) < 20e6
    transformer = model.load(path)
    tokenizer = Tokenizer(path)
    tokenizer.must_fit(transformer.config)
    unseen = documents.random_documents("unseen", 48)
    names, calls = pretrain.exact_copies(transformer, tokenizer, unseen)
    assert names > 0.75 and calls > 0.65
    untrained = model.initialise(transformer.config)
    assert pretrain.exact_copies(untrained, tokenizer, unseen[:4]) == (0, 0)
