"""Wrong input ends in one line: a fixed sample of hostile.py's cases, and by hand what it found."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import evaluate
import model
import prompts
from data import trajectories
from plumbing.files import MAX_DEPTH, InputError, parse_json
from plumbing.optimizer import NotFinite
from tests.conftest import CONFIG, ITEMS
from tests.stress import hostile


@pytest.fixture(scope="module")
def valid():
    # Not tmp_path, which is closed to the unprivileged user of some cases.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / "valid").mkdir()
        hostile.fixtures(Path(folder) / "valid")
        yield Path(folder) / "valid"


@pytest.mark.parametrize("number", range(2 * len(hostile.KINDS)))
def test_a_broken_input_of_each_kind_ends_in_one_line(valid, number):
    folder = valid.parent / str(number)
    case = hostile.make("fixed", number, valid, folder)
    result = hostile.run(case, folder)
    assert result.verdict in hostile.GOOD, (case, result.output)


def test_a_process_of_its_own_says_the_same(valid, tmp_path):
    """The cases above are forked children of the tests; a user starts a process."""
    shutil.copytree(valid, tmp_path / "case")
    (tmp_path / "case/raw.json").write_text('[{"id": 1, "id": 2}]')
    command = [*hostile.SFT, "--out", "own"]
    forked = hostile.in_child(command, tmp_path / "case")
    own = hostile.in_process(command, tmp_path / "case")
    assert forked == own == (2, "", "error: raw.json: the key 'id' comes twice in an object\n")


def test_weights_that_are_none_are_named_before_the_progress_bar(valid, tmp_path):
    """The bar of evaluate.py stood before the line that said so."""
    shutil.copytree(valid, tmp_path / "case")
    (tmp_path / "case/m/model.safetensors").write_bytes(b"weights")
    status, _, err = hostile.in_child([*hostile.EVALUATE, "--model", "m"], tmp_path / "case")
    assert status == 2 and err.count("\n") == 1 and err.startswith("error: m/model.safetensors:")


@pytest.mark.parametrize("text, message", [
    ('{"a": 1, "b": {"c": 1, "c": 2}}', "where: the key 'c' comes twice"),
    ("[1e999]", "where: 1e999 is too large"), ("[-Infinity]", "where: -Infinity is not JSON"),
    (r'["x\ud800"]', "where: not Unicode text after"),
    ("[" * 101 + "]" * 101, "where: nested too deeply"),
])
def test_json_with_more_than_one_meaning_is_refused(text, message):
    """A key that came twice had its last value, 1e999 was infinite, and a tool's name with half a
    surrogate pair ended in a traceback."""
    with pytest.raises(InputError) as error:
        parse_json(text, "where")
    assert message in str(error.value)


def test_json_of_one_meaning_is_read():
    text = r'["\ud83d\ude00", 1e308, {"a": {"a": 1}}, {"a": 1}, {"a": 2}]'
    assert parse_json(text, "where") == ["😀", 1e308, {"a": {"a": 1}}, {"a": 1}, {"a": 2}]
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(parse_json(deep, "where")) == deep


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(model_dir, tmp_path, number):
    """A model with a NaN gave the same token to every question, or one beyond the vocabulary."""
    transformer = model.load(model_dir)
    with torch.no_grad():
        transformer.model.layers[1].mlp.up_proj.weight[3, 4] = number
    message = "layers.1.mlp.up_proj.weight holds numbers that are not finite"
    with pytest.raises(InputError, match=f"not written, since .*{message}"):
        model.save(transformer, tmp_path)
    assert not list(tmp_path.iterdir())
    shutil.copytree(model_dir, tmp_path / "m")
    save_file(dict(transformer.named_parameters()), tmp_path / "m/model.safetensors")
    with pytest.raises(InputError, match=message):
        model.load(tmp_path / "m")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_no_answers(model_dir, number):
    """A model whose numbers overflow gave greedy answers, and they were scored."""
    transformer = model.load(model_dir)
    with torch.no_grad():
        transformer.lm_head.weight[7] = number
    for temperature in (0.0, 1.0):
        with pytest.raises(NotFinite, match="a logit is infinite or no number"):
            model.generate(transformer, [[1, 2, 3]], 4, 2, temperature)


def test_weights_too_large_for_half_precision_are_refused_not_many_large_ones(model_dir, tmp_path):
    transformer = model.load(model_dir)
    with torch.no_grad():
        transformer.lm_head.weight.fill_(6e4)  # their sum is beyond fp16, they are not
    model.save(transformer, tmp_path)
    model.load(tmp_path, torch.float16)
    with torch.no_grad():
        transformer.lm_head.weight[0, 0] = 1e5
    model.save(transformer, tmp_path)
    with pytest.raises(InputError, match="lm_head.weight .* torch.float16"):
        model.load(tmp_path, torch.float16)


def test_a_tied_model_may_store_its_matrix_twice_but_not_two_matrices(model_dir, tmp_path):
    """The second one was dropped without a word."""
    transformer = model.load(model_dir)
    for same in (True, False):
        if same:
            transformer.lm_head.weight.data.copy_(transformer.model.embed_tokens.weight)
        else:
            transformer.lm_head.weight.data[5, 5] += 1
        model.save(transformer, tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
        if same:
            assert model.load(tmp_path).lm_head is None
        else:
            with pytest.raises(InputError, match="lm_head.weight is not .* config.json ties them"):
                model.load(tmp_path)


@pytest.mark.parametrize("changed, message", [
    ({"num_hidden_layers": 2 * 10**9}, "2000000000 layers, but only"),
    ({"rope_theta": 10**400}, "rope_theta = 1000"),
    ({"rope_theta": 0}, "rope_theta = 0 is not"),
    ({"rms_norm_eps": 0.0}, "rms_norm_eps = 0.0 is not"),
    ({"rope_parameters": {"rope_theta": 5.0}}, "rope_theta is 1000000.0 and 5.0"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5 is not implemented"),
])
def test_absurd_or_contradictory_configurations_are_refused(model_dir, tmp_path, changed, message):
    """2e9 layers were built until memory ended; of two values of theta one was taken."""
    shutil.copytree(model_dir, tmp_path / "m")
    (tmp_path / "m/config.json").write_text(json.dumps(CONFIG | changed))
    with pytest.raises(InputError) as error:
        model.load(tmp_path / "m")
    assert message in str(error.value)


def test_a_pair_without_gold_among_pairs_is_named(tmp_path):
    """It was taken for a trajectory without calls, and the file silently had a prompt less."""
    conversation = {"conversations": ITEMS[0]["conversations"][:2]}
    pair = conversation | {"gold": 'get_weather(city="Bergen")'}
    (tmp_path / "pairs.json").write_text(json.dumps([pair, pair, conversation]))
    message = "item 2: is written with 'conversations', item 0 with 'gold'"
    with pytest.raises(InputError, match=message):
        prompts.read(tmp_path / "pairs.json", None)


def test_a_schema_of_wrong_types_is_named():
    """An empty text for an object, and a number for a parameter's schema, were read as nothing."""
    wrong = (({"name": "f", "parameters": ""}, "tool f: parameters must be an object"),
             ({"name": "f", "parameters": {"properties": 0}}, "properties must be an object"),
             ({"name": "f", "parameters": {"properties": {"a": 5}}}, "a must be an object"),
             ({"name": "f", "description": 5}, "tool f: description must be text"))
    for schema, message in wrong:
        system = {"role": "system", "content": json.dumps([schema])}
        with pytest.raises(InputError) as error:
            trajectories.read_item({"conversations": [system]})
        assert message in str(error.value)


def test_flags_that_contradict_each_other_are_refused():
    for flags, named in ((["--bench", "bfcl", "--level", "heavy"], "--level: not for bfcl"),
                         (["--show", "3"], "--show: not for embedded")):
        with pytest.raises(InputError, match=named):
            evaluate.main(flags)
