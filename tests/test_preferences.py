"""preferences.py: candidates, which of them are chosen and rejected, and the file of pairs."""

import json
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import preferences
from branches import KINDS
from data.calls import parse_call
from plumbing.files import InputError
from preferences import Candidate, Scored, prefer, score_candidates
from prompts import read
from reward import Esm, esm, reward
from tests.conftest import ITEMS, assert_one_line_error
from tests.plumbing.test_parallel import run_processes, train
from tokenizer import Tokenizer

FLAGS = preferences.Flags(max_new_tokens=12)


@pytest.fixture(scope="module")
def data_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "raw.json"
    path.write_text(json.dumps(ITEMS * 4))
    return path


def scored(score, name="x", is_gold=False):
    parts = Esm(1, 1, 1, 1, 1, score)
    return Scored(Candidate([len(name)], True, is_gold=is_gold), name, parts, score)


GOLD = scored(1.0, "gold", is_gold=True)


# -------------------------------------------------------------------------------------------- pairs


@pytest.mark.parametrize("options, scores, chosen, rejected", [
    # under the threshold: the gold, against everything, the worst three first
    ({}, [0.727, 0.0, 0.545, 0.6], "gold", [0.0, 0.545, 0.6]),
    ({}, [0.727], "gold", [0.727]),
    # at the threshold or above: the best candidate, against what is worse
    ({}, [0.8, 0.5], 0.8, [0.5]),
    ({}, [0.5, 0.818, 1.0, 0.9], 1.0, [0.5, 0.818, 0.9]),
    ({}, [0.0, 0.1, 1.0, 0.2, 0.3], 1.0, [0.0, 0.1, 0.2]),
    # a perfect greedy answer and nothing worse: no pair
    ({}, [1.0], None, None),
    ({}, [0.9, 0.9], None, None),
    ({}, [], None, None),
    ({"gold_unless_perfect": True}, [0.818, 0.5], "gold", [0.5, 0.818]),
    ({"gold_unless_perfect": True}, [1.0, 0.5], 1.0, [0.5]),
    ({"gold_fallback": False}, [0.5, 0.2], 0.5, [0.2]),
    ({"gold_fallback": False}, [0.5], None, None),
    ({"min_gap": 0.05}, [1.0, 0.97, 0.9], 1.0, [0.9]),
    ({"min_gap": 0.5}, [1.0, 0.97], None, None),
    ({"rejected": 1}, [1.0, 0.9, 0.3], 1.0, [0.3]),
])
def test_which_call_is_chosen_and_which_are_rejected(options, scores, chosen, rejected):
    candidates = [scored(score, str(i)) for i, score in enumerate(scores)]
    found = prefer(candidates, GOLD, replace(FLAGS, **options))
    if chosen is None:
        assert found is None
        return
    assert found[0] is GOLD if chosen == "gold" else found[0].score == chosen
    assert [one.score for one in found[1]] == rejected


@given(st.lists(st.sampled_from([0.0, 0.3, 0.727, 0.8, 0.818, 0.97, 1.0]), max_size=6),
       st.booleans(), st.booleans(), st.sampled_from([0.0, 0.05]))
@settings(max_examples=100)
def test_the_chosen_call_always_scores_more(scores, fallback, unless_perfect, min_gap):
    candidates = [scored(score, str(i)) for i, score in enumerate(scores)]
    flags = replace(FLAGS, gold_fallback=fallback, gold_unless_perfect=unless_perfect,
                    min_gap=min_gap)
    found = prefer(candidates, GOLD, flags)
    if found:
        chosen, rejected = found
        assert 1 <= len(rejected) <= 3 and GOLD not in rejected
        assert all(one.score < chosen.score for one in rejected)


def prompts_of(model_dir, data_file):
    tokenizer = Tokenizer(model_dir)
    return tokenizer, read(data_file, tokenizer)[0]


def candidate(text, tokenizer, ended=True):
    return Candidate(preferences.call_ids(text, tokenizer), ended)


def test_doubles_are_dropped_by_name_and_arguments(model_dir, data_file):
    tokenizer, prompts = prompts_of(model_dir, data_file)
    texts = ['get_weather(city="Bergen")', "get_weather( city = 'Bergen' )", "nothing", "nothing",
             'get_weather(city="bergen")']
    candidates = [candidate(text, tokenizer) for text in texts]
    candidates.append(candidate(texts[0], tokenizer, ended=False))
    found = score_candidates(prompts[0], candidates, tokenizer, FLAGS)
    assert [one.candidate for one in found] == [candidates[i] for i in (0, 2, 4, 5)]
    assert [one.score for one in found] == [1.0, 0.0, pytest.approx(10 / 11), 0.0]
    binary = score_candidates(prompts[0], candidates, tokenizer, replace(FLAGS, score="binary"))
    assert [one.score for one in binary] == [1.0, 0.0, 0.0, 0.0]
    released = score_candidates(prompts[0], candidates, tokenizer, replace(FLAGS, compat=True))
    assert [one.text for one in released] == [texts[0], texts[4]]


def test_a_corrupted_gold_is_another_call(model_dir, data_file):
    tokenizer, prompts = prompts_of(model_dir, data_file)
    flags = replace(FLAGS, sampler="corrupt", samples=8)
    sampled = preferences.sample(None, prompts[:4], range(4), tokenizer, flags)
    again = preferences.sample(None, prompts[2:3], [2], tokenizer, flags)
    assert sampled[2] == again[0]
    for prompt, one in zip(prompts, sampled, strict=False):
        gold = parse_call(prompt.gold, prompt.tools)
        for candidate in one.candidates:
            call = parse_call(tokenizer.decode(candidate.ids), prompt.tools, strict=True)
            assert call[:2] != gold[:2]
            assert reward(call, gold, prompt.tools) < 1


# -------------------------------------------------------------------------------- as a user runs it


def sample(model_dir, data_file, out, **options):
    settings = {"max_new_tokens": 12, "batch_size": 4, "num_prompts": 10, **options}
    train(preferences, model_dir, data_file, out, **settings)
    return [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("sampler", ["branch", "ancestral"])
def test_the_file_holds_what_it_says(tmp_path, model_dir, data_file, sampler, capsys):
    options = {"max_gap": 1.1, "min_p": 0.0} if sampler == "branch" else {}
    found = sample(model_dir, data_file, tmp_path / "pairs", sampler=sampler, format="trl",
                   **options)
    tokenizer, prompts = prompts_of(model_dir, data_file)
    by_ids = {tuple(prompt.ids): prompt for prompt in prompts}
    assert 1 <= len(found) <= 10
    for line in found:
        prompt = by_ids[tuple(line["prompt_ids"])]
        assert line["gold"] == prompt.gold
        assert line["where"] == {"file": str(data_file), "id": "x", "turn": len(prompt.turns)}
        # the random model never writes a call: all golds are chosen
        assert line["chosen"]["gold"] and line["chosen"]["text"] == prompt.gold
        assert line["chosen"]["esm"]["score"] == 1
        texts = [one["text"] for one in line["rejected"]]
        assert len(set(texts)) == len(texts) <= 3
        for one in [line["chosen"], *line["rejected"]]:
            assert tokenizer.decode(one["ids"]) == one["text"]
            text = one["text"] if one["ended"] else ""
            found_esm = esm(text, prompt.gold, prompt.tools, name_only=prompt.name_only)
            assert found_esm._asdict() == one["esm"]
        for one in line["rejected"]:
            assert one["score"] < line["chosen"]["score"]
            if one["branch"] is not None:
                path = line["path"]["ids"]
                assert one["ids"][:one["branch"]] == path[:one["branch"]]
                left_by = one["ids"][one["branch"]:one["branch"] + 1]
                assert left_by in ([line["path"]["runners_up"][one["branch"]]], [])
                assert one["kind"] in KINDS
    trl = [json.loads(line) for line in
           (tmp_path / "pairs/pairs.trl.jsonl").read_text().splitlines()]
    assert len(trl) == sum(len(line["rejected"]) for line in found)
    assert trl[0]["chosen"] == [{"role": "assistant", "content": found[0]["gold"]}]
    assert trl[0]["prompt"] == [
        {"role": preferences.TRL_ROLES[turn["role"]], "content": turn["content"]}
        for turn in found[0]["conversation"]]
    assert trl[0]["tools"][0]["function"]["name"] == "get_weather"
    printed = capsys.readouterr().out
    assert "10 prompts" in printed and "tokens decoded" in printed


def test_what_is_decoded_is_the_greedy_call_and_the_tails(model_dir, data_file):
    tokenizer, prompts = prompts_of(model_dir, data_file)
    flags = replace(FLAGS, model=str(model_dir), max_gap=1.1, min_p=0.0)
    transformer = preferences.load_model(flags, tokenizer, "cpu")
    sampled = preferences.sample(transformer, prompts[:5], range(5), tokenizer, flags)
    for prompt, one in zip(prompts, sampled, strict=False):
        judged = preferences.judge_prompt(prompt, one, tokenizer, flags)
        greedy, *rest = one.candidates
        assert greedy.branch is None
        tails = sum(len(other.ids) + other.ended - other.branch for other in rest)
        assert judged["decoded"] == len(greedy.ids) + greedy.ended + tails
        assert judged["whole"] == sum(len(c.ids) + c.ended for c in one.candidates)


@pytest.mark.parametrize("sampler", ["branch", "ancestral"])
def test_processes_and_interruptions_change_nothing(tmp_path, model_dir, data_file, sampler):
    sample(model_dir, data_file, tmp_path / "one", sampler=sampler)
    expected = (tmp_path / "one/pairs.jsonl").read_bytes()
    work = partial(sample, model_dir, data_file, tmp_path / "two", sampler=sampler)
    run_processes(2, work, tmp_path / "results")
    assert (tmp_path / "two/pairs.jsonl").read_bytes() == expected
    kept = tmp_path / "one/answers.0.jsonl"
    kept.write_bytes(kept.read_bytes()[:-300])  # a kill in the middle of a line
    (tmp_path / "one/pairs.jsonl").unlink()
    sample(model_dir, data_file, tmp_path / "one", sampler=sampler)
    assert (tmp_path / "one/pairs.jsonl").read_bytes() == expected


def test_other_flags_are_not_mixed_in(tmp_path, model_dir, data_file):
    sample(model_dir, data_file, tmp_path / "pairs", sampler="corrupt")
    with pytest.raises(InputError, match="holds answers for sampler corrupt, not branch"):
        sample(model_dir, data_file, tmp_path / "pairs", sampler="branch")


def test_bad_input_ends_in_one_line(tmp_path, model_dir, data_file, run_main, monkeypatch):
    def run(*flags):
        return run_main(preferences, "--data", data_file, "--out", tmp_path / "out", *flags)

    monkeypatch.chdir(tmp_path)
    assert_one_line_error(run(), "--model", "no finished run")
    assert_one_line_error(run("--model", model_dir, "--samples", 1), "--samples")
    assert_one_line_error(run("--model", model_dir, "--max-prompt", 3), "no prompt is left")
    assert_one_line_error(
        run("--model", model_dir, "--no-gold-fallback", "--gold-unless-perfect"),
        "--gold-unless-perfect", "--gold-fallback")
    assert not (tmp_path / "out").exists()
