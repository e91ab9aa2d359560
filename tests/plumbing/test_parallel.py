"""Several processes against one: gradients, updates, answers, metrics and exported files.

Processes are forked and joined by gloo; each leaves what it found in a file, and the files are
judged.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

import dpo
import model
import ppo
import sft
from data.trajectories import read_item
from examples import build
from plumbing import parallel
from plumbing.flags import flag_name
from plumbing.optimizer import make_optimizer
from plumbing.parallel import share_evenly
from plumbing.stop import SIGNALS
from prompts import read
from tests.conftest import ITEMS, item
from tests.test_dpo import some_pairs
from tokenizer import Tokenizer


def run_processes(count, work, folder):
    """work() in `count` processes -> what each returned, by rank. One process: this one."""
    if count == 1:
        return [work()]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.pt"):  # must not pass for the answers of these processes
        old.unlink()

    def child(rank):
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(count),
                          MASTER_ADDR="localhost", MASTER_PORT=str(port))
        parallel.join("cpu")
        torch.save(work(), folder / f"{rank}.pt")
        if torch.distributed.is_initialized():  # a script's main() has left already
            parallel.barrier()
        os._exit(0)  # gloo's teardown sometimes aborts

    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=child, args=(rank,)) for rank in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    return [torch.load(folder / f"{rank}.pt") for rank in range(count)]


class Keep:
    """In place of an optimizer: keeps the gradient of every parameter, whole."""
    param_groups = ()

    def __init__(self, transformer):
        self.transformer = transformer

    def step(self):
        self.gradients = []
        for parameter in self.transformer.parameters():
            if parameter.grad is not None:  # a critic's output head has none
                self.gradients.append(parallel.whole(parameter.grad).detach().clone())

    def zero_grad(self):
        self.transformer.zero_grad()


def difference(ours, theirs):
    """Norm of the difference over the norm, of lists of tensors."""
    ours = torch.cat([x.double().flatten() for x in ours])
    theirs = torch.cat([x.double().flatten() for x in theirs])
    return ((ours - theirs).norm() / theirs.norm()).item()


def load(folder, dtype=torch.float32, compute_dtype=None, **more):
    """A model spread over the processes, on the CPU."""
    def spread(transformer):
        return parallel.shard(transformer, torch.device("cpu"), compute_dtype)

    transformer = model.load(folder, dtype, shard=spread, **more)
    transformer.compute_dtype = compute_dtype
    return transformer


# A long conversation, short ones, one call of weight 9 (a long answer), one without a trained call.
UNEVEN = [
    *ITEMS,
    item(("user", "now"), ("assistant", 'finish\n{"answer": "%s"}' % ("long " * 40))),
    item(("user", "fail"), ("assistant", 'get_news\n{"x": 1}'),
         ("function", '{"error": "what x?"}')),
]
BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-10}


def uneven_examples(tokenizer):
    examples, _ = build([read_item(raw) for raw in UNEVEN[:4]], tokenizer)
    untrained, _ = build([read_item(UNEVEN[4])], tokenizer, mae=False)
    nothing = untrained[0]._replace(
        weights=untrained[0].weights * 0, call=untrained[0].call * 0 - 1, n_calls=0)
    assert max(example.weights.max() for example in examples) == 9
    return [*examples, nothing]


def sft_gradient(model_dir, dtype, **options):
    """The gradient of one step on UNEVEN, and the step's metrics."""
    flags = sft.Flags(model=str(model_dir), dtype="fp32", grad_clip=0.0, **options)
    transformer = load(model_dir, dtype)
    transformer.checkpoint_activations = flags.checkpoint_activations
    keep = Keep(transformer)
    examples = uneven_examples(Tokenizer(model_dir))
    metrics = sft.train_step(transformer, keep, examples, flags, 0.0, "cpu")
    return keep.gradients, metrics


@pytest.mark.parametrize("dtype", BOUNDS)
def test_sft_two_processes_and_all_splits_have_the_gradient_of_one(tmp_path, model_dir, dtype):
    whole, metrics = sft_gradient(model_dir, dtype, micro_tokens=10**6)
    longest = max(len(example.ids) for example in uneven_examples(Tokenizer(model_dir)))
    cases = (
        (1, {"micro_tokens": 1}),
        (1, {"micro_tokens": 2 * longest}),
        (2, {"micro_tokens": 1}),
        (2, {"micro_tokens": 10**6, "checkpoint_activations": True}),
    )
    for count, options in cases:
        work = partial(sft_gradient, model_dir, dtype, **options)
        found = run_processes(count, work, tmp_path / f"{count}-{options['micro_tokens']}")
        for gradients, also in found:
            assert difference(gradients, whole) < BOUNDS[dtype], (count, options)
            for key in ("loss", "nll", "grad_norm", "calls", "trained_tokens", "tokens"):
                assert also[key] == pytest.approx(metrics[key], rel=BOUNDS[dtype]), key


def test_a_tied_output_matrix_has_the_gradient_of_one_process_too(tmp_path, model_dir):
    shutil.copytree(model_dir, tmp_path / "m")
    config = replace(model.read_config(model_dir / "config.json"), tie_word_embeddings=True)
    model.save(model.initialise(config), tmp_path / "m")
    work = partial(sft_gradient, tmp_path / "m", torch.float64)
    whole, _ = work()
    for gradients, _ in run_processes(2, work, tmp_path):
        assert difference(gradients, whole) < 1e-10


def ppo_gradient(model_dir, data_file, dtype, **options):
    """One PPO step of five prompts: gradients of actor and critic, metrics, ids of the answers."""
    flags = ppo.Flags(model=str(model_dir), max_new_tokens=12, grad_clip=0.0, **options)
    actor = load(model_dir, dtype, value_head=flags.shared_critic)
    critic = actor if flags.shared_critic else load(model_dir, dtype, value_head=True)
    models = ppo.Models(actor, critic, load(model_dir, dtype).requires_grad_(False))
    with torch.no_grad():  # ratios, values and KL that are not trivial
        generator = torch.Generator().manual_seed(0)
        for parameter in models.reference.parameters():
            parameter.mul_(1.01)
        head = models.critic.value_head.weight
        noise = torch.randn(head.shape, generator=generator, dtype=head.dtype)
        mine = head.to_local() if hasattr(head, "to_local") else head
        mine.copy_(noise[:len(mine)])
    tokenizer = Tokenizer(model_dir)
    trained = [actor] if flags.shared_critic else [actor, critic]
    keeps = [Keep(transformer) for transformer in trained]
    prompts = read(data_file, tokenizer)[0][:5]
    metrics, _, rollout, _ = ppo.train_step(
        models, keeps, prompts, tokenizer, flags, 3, (0.0, 0.0))
    gradients = [gradient for keep in keeps for gradient in keep.gradients]
    return gradients, metrics, [answer.ids for answer in rollout.answers]


@pytest.fixture(scope="module")
def data_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "raw.json"
    path.write_text(json.dumps(ITEMS * 4))
    return path


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("options", [
    {}, {"shared_critic": True, "checkpoint_activations": True},
    {"samples": 3, "baseline": "both"}])
def test_ppo_two_processes_and_all_splits_have_the_gradient_of_one(
        tmp_path, model_dir, data_file, dtype, options):
    whole, metrics, expected = ppo_gradient(model_dir, data_file, dtype, **options)
    splits = [(1, 1), (1, 2), (2, 1), (2, 8)]
    if "samples" in options:
        splits = [(1, 2), (2, 8), (4, 8)]
    for count, micro_batch in splits:
        work = partial(
            ppo_gradient, model_dir, data_file, dtype, micro_batch=micro_batch, **options)
        found = run_processes(count, work, tmp_path / str(micro_batch))
        answers = [ids for _, _, mine in found for ids in mine]
        assert sorted(answers) == sorted(expected)  # the same sampled answers, whoever gives them
        for gradients, also, _ in found:
            assert difference(gradients, whole) < BOUNDS[dtype], (count, micro_batch)
            assert also.keys() == metrics.keys()
            assert also["first_log_ratio"] == 0  # also in several processes, bit for bit
            for key in metrics:
                assert also[key] == pytest.approx(metrics[key], rel=1e-4, abs=1e-6), key


def dpo_gradient(model_dir, dtype, micro_batch):
    """The gradient of one step on five pairs of a model that has left its reference; metrics."""
    flags = dpo.Flags(beta=0.3, alpha=0.5, grad_clip=0.0, micro_batch=micro_batch)
    transformer = load(model_dir, dtype)
    pairs = some_pairs(model_dir)
    reference = [[-50.0 - i, -60.0 + 3 * i] for i in range(len(pairs))]
    keep = Keep(transformer)
    metrics = dpo.train_step(transformer, keep, pairs, reference, flags, 0.0)
    places = list(range(len(pairs)))
    computed = dpo.reference_logprobs(transformer, pairs, [places[:3], places[3:]], flags, "cpu")
    return keep.gradients, metrics, torch.tensor(computed)


@pytest.mark.parametrize("dtype", BOUNDS)
def test_dpo_two_processes_and_all_splits_have_the_gradient_of_one(tmp_path, model_dir, dtype):
    """And all processes know the reference's log-probabilities of all pairs."""
    whole, metrics, computed = dpo_gradient(model_dir, dtype, 8)
    for count, micro_batch in ((1, 1), (2, 1), (2, 8)):
        work = partial(dpo_gradient, model_dir, dtype, micro_batch)
        for gradients, also, mine in run_processes(count, work, tmp_path / str(micro_batch)):
            assert difference(gradients, whole) < BOUNDS[dtype], (count, micro_batch)
            assert also == pytest.approx(metrics, rel=1e-4, abs=1e-6)
            torch.testing.assert_close(mine, computed, rtol=1e-5, atol=1e-4)


def train(script, model_dir, data_file, out, **options):
    """The command's own main(), with the devices and signals of this process left as they are."""
    flags = {"model": model_dir, "data": data_file, "out": out, "device": "cpu", "dtype": "fp32",
             **options}
    arguments = []
    for name, value in flags.items():
        arguments += [flag_name(name), str(value)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [script.__file__, *arguments])
        patch.setattr(script, "join", lambda name, patience=None: torch.device("cpu"))
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            script.main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


RUNS = {
    sft: {"batch_size": 6, "epochs": 1},
    # a critic: all answers of random weights have one score, from which a group learns nothing
    ppo: {"num_prompts": 10, "batch_size": 2, "epochs": 1, "max_new_tokens": 8, "show_every": 0,
          "samples": 1, "baseline": "critic"},
}


@pytest.mark.parametrize("script", [sft, ppo])
def test_four_processes_end_where_one_does_after_five_steps(tmp_path, model_dir, data_file, script):
    """Adam flips the sign of an update where a gradient is rounding: 1e-2 of the update's norm."""
    for count in (1, 4):
        work = partial(
            train, script, model_dir, data_file, tmp_path / f"run-{count}", **RUNS[script])
        run_processes(count, work, tmp_path / f"results-{count}")
    before = load_file(model_dir / "model.safetensors")
    one = load_file(tmp_path / "run-1/model.safetensors")
    four = load_file(tmp_path / "run-4/model.safetensors")
    assert len((tmp_path / "run-1/metrics.jsonl").read_text().splitlines()) == 5
    update = [one[name] - before[name] for name in one]
    assert difference([four[name] - before[name] for name in one], update) < 1e-2


def test_the_same_weights_give_the_same_files_on_any_number_of_processes(tmp_path, model_dir):
    def save():
        transformer = load(model_dir)
        model.save(transformer, tmp_path / f"{parallel.processes()[1]}", shard_bytes=40000)
        return [tuple(parallel.whole(p).shape) for p in transformer.parameters()]

    for count in (1, 2, 4):
        run_processes(count, save, tmp_path / f"results-{count}")
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(files) > 4
    for count in (2, 4):
        assert sorted(path.name for path in (tmp_path / str(count)).iterdir()) == files
        for name in files:
            expected = (tmp_path / "1" / name).read_bytes()
            assert (tmp_path / str(count) / name).read_bytes() == expected, name


def test_each_process_holds_its_rows_only_and_they_make_the_whole(tmp_path, model_dir):
    def own_rows():
        parameters = load(model_dir).named_parameters()
        return {name: parameter.detach().to_local() for name, parameter in parameters}

    shares = run_processes(2, own_rows, tmp_path)
    whole = load_file(model_dir / "model.safetensors")
    for name, tensor in whole.items():
        assert torch.equal(torch.cat([share[name] for share in shares]), tensor), name
        assert max(len(share[name]) for share in shares) <= -(-len(tensor) // 2)


def test_evaluations_over_processes_equal_those_of_one(tmp_path, model_dir, data_file):
    """Also with more processes than batches: one has no prompt, the other one conversation."""
    tokenizer = Tokenizer(model_dir)
    examples = uneven_examples(tokenizer)[:1]
    prompts = read(data_file, tokenizer)[0][:3]

    def measure():
        transformer = load(model_dir)
        flags = SimpleNamespace(micro_tokens=64, max_new_tokens=6, batch_size=32)
        return {**sft.held_out_metrics(transformer, examples, flags, "cpu"),
                **ppo.held_out_metrics(transformer, prompts, tokenizer, flags)}

    one = measure()
    for found in run_processes(2, measure, tmp_path):
        assert found == pytest.approx(one, rel=1e-6)


def test_work_is_dealt_once_evenly_and_the_same_everywhere(monkeypatch):
    random.seed(0)
    for ranks in (1, 2, 3, 8):
        monkeypatch.setenv("WORLD_SIZE", str(ranks))
        for count in (0, 1, 5, 40):
            sizes = [random.randint(1, 100) for _ in range(count)]
            shares = []
            for rank in range(ranks):
                monkeypatch.setenv("RANK", str(rank))
                shares.append(share_evenly(sizes))
            assert sorted(i for share in shares for i in share) == list(range(count))
            loads = [sum(sizes[i] for i in share) for share in shares]
            assert max(loads) - min(loads) <= max(sizes, default=0)
            assert max(map(len, shares)) <= -(-count // ranks), "--plan counts with as many rows"
            assert all(share == sorted(share) for share in shares)


def test_a_model_computing_in_bf16_keeps_fp32_shards_gradients_and_value_head(tmp_path, model_dir):
    def step():
        transformer = load(model_dir, compute_dtype=torch.bfloat16, value_head=True)
        logits, values = transformer(torch.tensor([[1, 2, 3]]))
        (logits.float().sum() + values.sum()).backward()
        gradients = {str(parameter.grad.dtype) for parameter in transformer.parameters()}
        return str(logits.dtype), str(values.dtype), gradients

    for logits, values, gradients in run_processes(2, step, tmp_path):
        assert logits == "torch.bfloat16" and values == "torch.float32"
        assert gradients == {"torch.float32"}


def test_bf16_logits_of_two_processes_are_those_of_one_at_late_positions_too(tmp_path, model_dir):
    """Rotary angles stay in fp32: FSDP would round them to bf16 on their way into a block."""
    ids = torch.randint(3, 350, (1, 1500), generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def logits():
        return load(model_dir, compute_dtype=torch.bfloat16)(ids)

    one = logits()
    for two in run_processes(2, logits, tmp_path):
        assert torch.equal(one, two)


class Gathers(TorchDispatchMode):
    """Counts the all-gathers that run under it."""
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "all_gather" in func.name()
        return func(*args, **(kwargs or {}))


def test_a_rollout_gathers_every_parameter_once_however_long_the_answers(tmp_path, model_dir):
    """Gathering for every token made others' rollouts ten times slower (trl#1483)."""
    def count():
        transformer = load(model_dir)
        counts = []
        for longest in (1, 12):
            with Gathers() as gathers:
                model.generate(transformer, [[1, 5, 9], [1, 7]], longest, 2)
            counts.append(gathers.count)
        return counts, len(list(transformer.parameters()))

    for counts, parameters in run_processes(2, count, tmp_path):
        assert counts == [parameters, parameters]


def test_the_optimizer_of_a_sharded_model_is_ready_for_a_checkpoint(model_dir):
    optimizer = make_optimizer(model.load(model_dir), 0.01)
    for state in optimizer.state.values():
        assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert len(optimizer.state) == sum(len(group["params"]) for group in optimizer.param_groups)
