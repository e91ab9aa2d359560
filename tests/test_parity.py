"""The same numbers as `transformers` (installed by `make parity` only)."""

import json

import pytest
import torch

import dpo
import model
from evaluation.benchmarks import read_tasks
from evaluation.choices import LETTERS, letter_logits, letter_prompt
from tests.conftest import ROOT, SHARED
from tokenizer import Tokenizer

transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: run `make parity`")

WIDE = {"vocab_size": 32016, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 2, "num_attention_heads": 32, "num_key_value_heads": 32,
        "rope_theta": 1e6, "rms_norm_eps": 1e-5}
GQA = {"vocab_size": 503, "hidden_size": 96, "intermediate_size": 160,
       "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2,
       "rope_theta": 1e4, "rms_norm_eps": 1e-6}
SHAPES = {"codellama-7b wide": WIDE, "gqa": GQA, "tied": {**GQA, "tie_word_embeddings": True}}


def ours(shape, path, dtype=torch.float32, std=None, **options):
    """A checkpoint of random weights, saved at `path` and kept in memory."""
    path.mkdir(exist_ok=True)
    if std:
        shape = {**shape, "initializer_range": std}
    (path / "shape.json").write_text(json.dumps({"model_type": "llama", **shape}))
    transformer = model.initialise(model.read_config(path / "shape.json"), seed=1).to(dtype)
    model.save(transformer, path, **options)
    return transformer


def theirs(path, dtype):
    """The model that transformers loads from `path`."""
    loaded = transformers.LlamaForCausalLM.from_pretrained(
        path, dtype=dtype, local_files_only=True)
    return loaded.eval()


@pytest.mark.parametrize("name", SHAPES)
@torch.no_grad()
def test_logits_agree_on_a_checkpoint_saved_here(tmp_path, name):
    transformer = ours(SHAPES[name], tmp_path, shard_bytes=10**9)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, SHAPES[name]["vocab_size"], (2, 48), generator=generator)
    reference = theirs(tmp_path, torch.float32)(ids).logits
    error = (transformer(ids) - reference).abs().max() / reference.abs().max()
    print(f"{name}: largest difference {error:.1e} of the largest logit")
    assert error < 1e-4


@torch.no_grad()
def test_a_checkpoint_saved_there_loads_here(tmp_path):
    config = transformers.LlamaConfig(**GQA, max_position_embeddings=512)
    reference = transformers.LlamaForCausalLM(config).double().eval()
    reference.save_pretrained(tmp_path, max_shard_size="200KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    ids = torch.randint(3, 503, (2, 40))
    # the angles are fp32 on both sides, the logits about 0.1
    torch.testing.assert_close(model.load(tmp_path, torch.float64)(ids), reference(ids).logits,
                               rtol=0, atol=1e-6)


@torch.no_grad()
def test_greedy_generation_agrees_for_uneven_prompts(tmp_path):
    transformer = ours({**GQA, "initializer_range": 0.3}, tmp_path, torch.float64)
    reference = theirs(tmp_path, torch.float64)
    generator = torch.Generator().manual_seed(2)
    prompts = [torch.randint(3, 503, (n,), generator=generator).tolist()
               for n in (1, 3, 7, 12, 20, 33, 47, 64)]
    answers = model.generate(transformer, prompts, 64, eos_id=2)
    for prompt, answer in zip(prompts, answers, strict=True):
        expected = reference.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)).long(),
            max_new_tokens=64, do_sample=False, eos_token_id=2, pad_token_id=0)[0]
        assert answer.ids == [i for i in expected[len(prompt):].tolist() if i != 2]


def questions_of_mmlu(folder):
    """200 prompts: the shortest published ones, or as many made up where the files are absent."""
    if (SHARED / "benchmarks/mmlu").exists():
        prompts = [task.turns[-1].content
                   for task in read_tasks("mmlu", SHARED / "benchmarks/mmlu")]
        return sorted(prompts, key=len)[:200]
    for part, n in (("dev", 5), ("test", 200)):
        (folder / part).mkdir(parents=True)
        rows = [f"Which is {i} and {i * i % 97}?,{i},{i + 1},none,all,{i % 4}" for i in range(n)]
        text = "\n".join(["question,choice0,choice1,choice2,choice3,answer", *rows])
        (folder / part / f"sums_{part}.csv").write_text(text)
    return [task.turns[-1].content for task in read_tasks("mmlu", folder)]


@torch.no_grad()
def test_letters_of_200_questions_of_mmlu_agree(tmp_path):
    """Ours in padded batches, theirs one by one: the likeliest of the four letters."""
    tokenizer = Tokenizer(ROOT / "data" / "tiny")
    shape = {**GQA, "vocab_size": tokenizer.vocab_size, "hidden_size": 48,
             "num_hidden_layers": 2, "initializer_range": 0.2}
    transformer = ours(shape, tmp_path / "model", torch.float64)
    reference = theirs(tmp_path / "model", torch.float64)
    texts = questions_of_mmlu(tmp_path / "mmlu")
    prompts = [letter_prompt(tokenizer, text)[0] for text in texts]
    _, letters = letter_prompt(tokenizer, texts[0])
    found = []
    expected = []
    for start in range(0, len(prompts), 8):
        found += letter_logits(transformer, prompts[start:start + 8], letters).argmax(-1).tolist()
    for text in texts:
        ids = tokenizer.encode(f"{text} A")[:-1]
        row = torch.tensor([[tokenizer.bos_id, *ids]])
        logits = reference(row, logits_to_keep=1).logits[0, -1, letters]
        expected.append(int(logits.argmax()))
    print(f"letters of MMLU: {sum(map(int.__eq__, found, expected))} of {len(expected)} agree, "
          f"{[expected.count(i) for i in range(len(LETTERS))]} of each")
    assert found == expected and len(found) == 200
    assert len(set(expected)) >= 3, "a model that always says A would agree with any"


def random_pairs(vocabulary):
    """Pairs of uneven lengths whose calls share up to four tokens."""
    generator = torch.Generator().manual_seed(3)

    def some_ids(length):
        return torch.randint(3, vocabulary, (length,), generator=generator).tolist()

    pairs = []
    for i in range(8):
        shared = some_ids(i % 5)
        chosen = [*shared, *some_ids(3 + i), 2]
        rejected = [*shared, *some_ids(12 - i), 2]
        pairs.append(dpo.Pair(some_ids(20 + 5 * i), chosen, rejected, bool(shared), f"pair {i}"))
    return pairs


@torch.no_grad()
def test_the_loss_of_pairs_is_that_of_trl(tmp_path):
    """DPO on the same random model and pairs, away from the reference."""
    trl = pytest.importorskip("trl", reason="trl is not installed: run `make parity`")
    datasets = pytest.importorskip("datasets")
    tokenizers = pytest.importorskip("tokenizers")
    reference = ours(GQA, tmp_path, std=0.1)
    policy = ours(GQA, tmp_path / "policy", std=0.11)
    pairs = random_pairs(GQA["vocab_size"])
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel(
            {"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>")),
        pad_token="<unk>", eos_token="</s>")

    class Tokenised(trl.DPOTrainer):
        def _prepare_dataset(self, dataset, *arguments):
            return dataset

    rows = [{"prompt_ids": pair.ids, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}
            for pair in pairs]
    settings = trl.DPOConfig(output_dir=tmp_path / "trl", beta=0.3, use_cpu=True, bf16=False,
                             max_length=None, report_to="none")
    their_policy = theirs(tmp_path / "policy", torch.float32)
    trainer = Tokenised(their_policy, ref_model=theirs(tmp_path, torch.float32), args=settings,
                        train_dataset=datasets.Dataset.from_list(rows), processing_class=words)
    expected = trainer.compute_loss(their_policy, trainer.data_collator(rows)).item()
    flags = dpo.Flags(beta=0.3, alpha=0.0, micro_batch=3)
    places = list(range(len(pairs)))
    ref_logp = dpo.reference_logprobs(reference, pairs, [places], flags, torch.device("cpu"))
    sums = dpo.pass_over(policy, pairs, ref_logp, flags, learns=False)
    print(f"loss of pairs: {expected:.4f}, differs by {sums['loss'] / len(pairs) - expected:.1e}")
    assert abs(expected - 0.693) > 0.05
    assert sums["loss"] / len(pairs) == pytest.approx(expected, rel=1e-5)
