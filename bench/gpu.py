"""One GPU: is it right, and how fast. Checks first, then a model of CodeLLaMA-7B's shape.

    python -m bench.gpu --out DIR [--minutes 7]       # make gpu

Each part is a process of its own with a share of the time; one that fails, hangs or finds too
little memory is reported, and the others go on. DIR/report.md and report.json hold everything:
the card, the table, the output of the checks and every traceback.

    checks      tests/gpu: gradients, answers, steps, resume, one NCCL process, against the CPU
    limits      a bf16 product of two matrices of 8,192 x 8,192; copying 4 GiB
    decoding    96 tokens after prompts of 384 to 512, bf16, all layers: with and without graphs
    attention   forward and backward of new lengths, cuDNN on and off, padded to 256 and not
    stage 1     steps of sft.py on new lengths every time: bf16 over fp32, checkpointed, AdamW
    stage 2     steps of ppo.py, 8 prompts x 8 answers, one trained model, one reference

Layers are as many as fit, 8 at most in the training parts: with fewer layers the shares hardly
change. Shares of a limit: of the product for stage 1 (`sides.flops`: what is recomputed does not
count), of copying for decoding (`sides.traffic`). Not measured: several GPUs, real text. Without
CUDA it says so and ends; --rehearse runs all parts on a small model on the CPU. Needs pytest.
"""

import argparse
import gc
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

import torch

import model
import ppo
import sft
from bench import sides
from bench.limits import conversation
from generation import decoding_copy
from plumbing import cuda
from plumbing.optimizer import make_optimizer
from prompts import Prompt

ROOT = Path(__file__).resolve().parent.parent
GIB = 2**30
# part -> its share of the time; what one part leaves over the next ones have
SHARES = {"checks": 0.34, "limits": 0.08, "decoding": 0.22, "attention": 0.1, "stage 1": 0.12,
          "stage 2": 0.14}
COLUMNS = ["part", "what", "measured", "of the limit"]


# ------------------------------------------------------------------------------------------ set-up

def shape(layers, small=False):
    """CodeLLaMA-7B's Config with so many layers; for a rehearsal, a small one."""
    if small:
        return sides.config(64, min(layers, 2), 500)
    return model.Config(32016, 4096, 11008, layers, 32, 32, 128, rope_theta=1e6, rms_norm_eps=1e-5,
                        max_position_embeddings=16384)


def initialise(config, dtype, device):
    """A Transformer with random weights, made on the device."""
    with torch.device("meta"):
        transformer = model.Transformer(config).to(dtype)
    transformer.to_empty(device=device)
    with torch.no_grad():
        for parameter in transformer.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.02)
            else:
                parameter.fill_(1.0)
    return transformer


def layers_that_fit(bytes_per_parameter, spare_gib, most, device):
    """How many layers of 7B's width the free memory holds beside embeddings, head and `spare`."""
    if device.type == "cpu":
        return 2
    free, _ = torch.cuda.mem_get_info()
    block = 4 * 4096**2 + 3 * 4096 * 11008
    root = 2 * 32016 * 4096
    room = free - spare_gib * GIB - bytes_per_parameter * root
    return max(1, min(most, int(room / (bytes_per_parameter * block))))


def synchronize(device):
    """Wait until the device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(work, rounds, device, warm_up=1):
    """Seconds of each work(), until the device is idle again; `warm_up` runs before do not count.
    """
    taken = []
    for _ in range(rounds + warm_up):
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        taken.append(time.perf_counter() - began)
    return taken[warm_up:]


def peak_gib(device):
    """GiB of the device at the worst moment since the last reset."""
    return torch.cuda.max_memory_allocated() / GIB if device.type == "cuda" else 0.0


# ------------------------------------------------------------------------------------------- parts
#
# A part yields rows of the table, [what, measured, of the limit], as soon as each is known.

def limits(device, small):
    """FLOP/s of a product, bytes per second of a copy; kept for the shares of the other parts."""
    n = 256 if small else 8192
    size = (1 << 20) if small else (4 << 30)
    a, b = torch.randn(2, n, n, device=device, dtype=torch.bfloat16)
    seconds = statistics.median(timed(lambda: [torch.mm(a, b) for _ in range(20)], 5, device))
    yield ["bf16 product", f"{40 * n**3 / seconds / 1e12:,.1f} TFLOP/s", ""]
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    seconds = statistics.median(timed(lambda: target.copy_(source), 5, device))
    yield ["copy", f"{2 * size / seconds / 1e9:,.0f} GB/s", ""]


def limit_of(out, what):
    """What `limits` has measured, in its unit per second; 0 if that failed."""
    for row in read_part(out, "limits")["rows"]:
        if row[0] == what:
            number, unit = row[1].split()
            return float(number.replace(",", "")) * (1e12 if unit == "TFLOP/s" else 1e9)
    return 0.0


def share(value, limit):
    """A cell: value / limit."""
    return f"{value / limit:.2f}" if limit else ""


def decoding(device, small, out):
    """Tokens per second with and without graphs, and whether the tokens are the same."""
    layers = layers_that_fit(2, 12, 32, device)
    transformer = initialise(shape(layers, small), torch.bfloat16, device)
    new = 8 if small else 96
    limit = limit_of(out, "copy")
    for batch in (1, 8, 32):
        generator = random.Random(batch)
        prompts = [[generator.randrange(3, 400) for _ in range(length)]
                   for length in torch.linspace(512, 384, batch).int().tolist()]
        answers = {}
        for uses_graphs in (True, False):
            transformer.uses_cuda_graphs = uses_graphs
            answers[uses_graphs] = model.generate(transformer, prompts, new, eos_id=-1)
            step, reading = decoding_seconds(transformer, prompts, new, device)
            read = sides.traffic(transformer, batch, 448 + new / 2)
            how = "graphs" if uses_graphs else "no graphs"
            yield [f"{layers} layers, batch {batch}, {how}",
                   f"{batch / step:,.0f} tokens/s, {1e3 * step:.2f} ms a step, "
                   f"prompts {1e3 * reading:.0f} ms", share(read / step, limit)]
        equal = sum(a == b for a, b in zip(answers[True], answers[False], strict=True))
        yield [f"batch {batch}: answers equal with and without", f"{equal} of {batch}", ""]


def decoding_seconds(transformer, prompts, new, device):
    """(seconds of a decoding step, seconds of reading the prompts)."""
    long = timed(lambda: model.generate(transformer, prompts, new, eos_id=-1), 1, device, 0)
    short = timed(lambda: model.generate(transformer, prompts, 1, eos_id=-1), 2, device, 0)
    return (min(long) - min(short)) / (new - 1), min(short)


def new_lengths(count, seed, small):
    """`count` lengths, all different, as conversations have them."""
    span = range(20, 60) if small else range(900, 4096)
    return random.Random(seed).sample(span, count)


def attention(device, small, out):
    """Forward and backward of two blocks on rows of new lengths: cuDNN and padding, on and off."""
    transformer = initialise(shape(2, small), torch.bfloat16, device)
    count = 3 if small else 20
    for seed, (is_cudnn, multiple) in enumerate(
            ((False, 256), (False, 1), (True, 256), (True, 1), (False, 256))):
        torch.backends.cuda.enable_cudnn_sdp(is_cudnn)
        cuda.MULTIPLES[device.type] = multiple

        def step(length):
            padded = cuda.pad_length(length, device)
            ids = torch.randint(3, 400, (1, padded), device=device)
            transformer(ids, head=lambda hidden, output_matrix: hidden.sum()).backward()
            transformer.zero_grad()

        step(2048)
        lengths = iter(new_lengths(count, seed, small))
        taken = timed(lambda step=step, lengths=lengths: step(next(lengths)), count, device, 0)
        tokens = sum(new_lengths(count, seed, small))
        what = f"cuDNN {'on' if is_cudnn else 'off'}, lengths of {multiple}"
        yield [f"2 layers, {count} new lengths, {what}",
               f"{tokens / sum(taken):,.0f} tokens/s, median {1e3 * statistics.median(taken):.1f} "
               "ms", ""]
    cuda.MULTIPLES[device.type] = 256 if device.type == "cuda" else 1
    cuda.prepare()


def stage_1(device, small, out):
    """Steps of sft.py on one conversation of a new length each."""
    layers = layers_that_fit(16, 12, 8, device)
    transformer = initialise(shape(layers, small), torch.float32, device)
    transformer.compute_dtype = torch.bfloat16
    transformer.checkpoint_activations = True
    flags = sft.Flags(dtype="bf16", max_length=0, checkpoint_activations=True)
    optimizer = make_optimizer(transformer, 0.01)
    limit = limit_of(out, "bf16 product")
    for name, lengths in (("4,096 tokens", [64 if small else 4096] * 6),
                          ("new lengths", new_lengths(8, 1, small))):
        ahead = iter([lengths[0], *lengths])

        def step(ahead=ahead):
            examples = [conversation(next(ahead), 400)]
            sft.train_step(transformer, optimizer, examples, flags, 1e-6, device)

        taken = timed(step, len(lengths), device)
        needed = sides.flops(transformer.config, lengths, sum(lengths) // 10)
        yield [f"{layers} layers, {name}",
               f"{sum(lengths) / sum(taken):,.0f} tokens/s, {peak_gib(device):.1f} GiB",
               share(needed / sum(taken), limit)]


def stage_2(device, small, out):
    """Steps of ppo.py with 8 answers to each of 8 prompts: seconds of each phase."""
    layers = layers_that_fit(16 + 2 + 2, 20, 8, device)
    actor = initialise(shape(layers, small), torch.float32, device)
    actor.compute_dtype = torch.bfloat16
    actor.checkpoint_activations = True
    reference = decoding_copy(actor) if small else initialise(
        actor.config, torch.bfloat16, device)
    reference.requires_grad_(False)
    models = ppo.Models(actor, None, reference)
    optimizers = [make_optimizer(actor, 0.0)]
    flags = ppo.Flags(dtype="bf16", checkpoint_activations=True, samples=8, baseline="group",
                      max_new_tokens=8 if small else 96, micro_batch=4)
    tokenizer = NoEnd()
    seconds = []
    for number in range(3):
        prompts = [Prompt([3 + i % 400 for i in range(length)], "", (), f"prompt {i}")
                   for i, length in enumerate(new_lengths(8, number, small))]
        metrics, phases, _, _ = ppo.train_step(
            models, optimizers, prompts, tokenizer, flags, number, (1e-6, 0.0))
        synchronize(device)
        seconds.append(phases)
        answered = 64 * metrics["answer_length"]
        first = "first step, " if number == 0 else ""
        yield [f"{layers} layers, {first}8 x 8 answers of {metrics['answer_length']:.0f} tokens, "
               f"{sum(len(prompt.ids) for prompt in prompts):,} of prompts",
               ", ".join(f"{phase} {taken:.2f} s" for phase, taken in phases.items())
               + f", {answered / phases['rollout']:,.0f} tokens/s, {peak_gib(device):.1f} GiB, "
               f"first log-ratio {metrics['first_log_ratio']:.1e}", ""]


class NoEnd:
    """In place of a tokenizer: no answer ends, none is decoded."""
    eos_id = -1


def checks(device, small, out):
    """tests/gpu with pytest; its whole output goes into the report."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pytest", "-v", "--tb=long", "-p", "no:cacheprovider",
         "-o", "addopts=", "tests/gpu"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:  # as it comes: a test that hangs hides no other
        print(line, end="", flush=True)
        match = re.match(r"tests\S+::(.+?) (PASSED|FAILED|ERROR|SKIPPED)", line)
        if match:
            yield [match[1][:110], match[2].lower(), ""]
    if process.wait():
        raise RuntimeError(f"pytest ended with status {process.returncode}")


# -------------------------------------------------------------------------------------- the report

def part_file(out, name):
    """Where a part leaves its rows."""
    return out / f"{name.replace(' ', '-')}.json"


def read_part(out, name):
    """{rows, failure, seconds} of a part, as far as it came."""
    file = part_file(out, name)
    if not file.exists():
        return {"rows": [], "failure": "left nothing within its time", "seconds": 0.0}
    return json.loads(file.read_text())


def run_part(name, out, small):
    """In a process of its own: all rows of a part, written after each, and its traceback."""
    device = torch.device("cpu" if small else "cuda")
    if not small:
        cuda.prepare()
    parts = {"checks": checks, "decoding": decoding, "attention": attention, "stage 1": stage_1,
             "stage 2": stage_2, "limits": lambda device, small, out: limits(device, small)}
    found = {"rows": [], "failure": "did not end in its time", "seconds": 0.0}
    began = time.perf_counter()
    try:
        for row in parts[name](device, small, out):
            found["rows"].append(row)
            found["seconds"] = time.perf_counter() - began
            part_file(out, name).write_text(json.dumps(found))
            print(name, *row, sep=" | ", flush=True)
        found["failure"] = ""
    except Exception:  # whatever it is: the report tells, and the other parts go on
        found["failure"] = traceback.format_exc()
        print(found["failure"])
    gc.collect()
    found["seconds"] = time.perf_counter() - began
    part_file(out, name).write_text(json.dumps(found))


def run_all(flags):
    """All parts one after the other, within the time."""
    ends = time.monotonic() + 60 * flags.minutes - 5
    left = list(SHARES)
    while left:
        name = left.pop(0)
        weight = SHARES[name] / (SHARES[name] + sum(SHARES[other] for other in left))
        limit = max(5.0, weight * (ends - time.monotonic()))
        command = [sys.executable, "-m", "bench.gpu", "--part", name, "--out", str(flags.out)]
        if flags.rehearse:
            command.append("--rehearse")
        with open(flags.out / f"{name.replace(' ', '-')}.log", "w") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True)
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)  # its own children too
                process.wait()
        write_report(flags, card())


def card():
    """What the machine is, in a line."""
    if not torch.cuda.is_available():
        return f"no CUDA, torch {torch.__version__}"
    properties = torch.cuda.get_device_properties(0)
    return (f"{properties.name}, {properties.total_memory / GIB:.0f} GiB, "
            f"torch {torch.__version__}, CUDA {torch.version.cuda}")


def write_report(flags, machine):
    """report.json and report.md of what is there so far -> the lines of the table."""
    found = {name: read_part(flags.out, name) for name in SHARES}
    rows = []
    for name, part in found.items():
        rows += [[name, *row] for row in part["rows"]]
        end = part["failure"].strip().splitlines()[-1][:120] if part["failure"] else "whole"
        rows.append([name, f"{part['seconds']:.0f} s", end, ""])
    lines = [machine, "", "| " + " | ".join(COLUMNS) + " |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    (flags.out / "report.json").write_text(
        json.dumps({"machine": machine, "parts": found}, indent=1))
    texts = []
    for name, part in found.items():
        log = flags.out / f"{name.replace(' ', '-')}.log"
        if part["failure"] and log.exists():
            texts.append(f"\n## {name}\n\n```\n{part['failure']}\n\n"
                         f"{log.read_text(errors='replace')[-30000:]}\n```")
    (flags.out / "report.md").write_text("\n".join([*lines, *texts]) + "\n")
    return lines


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu")
    parser.add_argument("--minutes", type=float, default=7.0, help="for all parts together")
    parser.add_argument("--rehearse", action="store_true", help="a small model on the CPU")
    parser.add_argument("--part", choices=SHARES, help="what the script calls itself with")
    flags = parser.parse_args()
    flags.out = flags.out.resolve()
    if not (flags.rehearse or torch.cuda.is_available()):
        print("gpu.py: no CUDA here, nothing measured")
        return
    flags.out.mkdir(parents=True, exist_ok=True)
    if flags.part:
        run_part(flags.part, flags.out, flags.rehearse)
        return
    for name in SHARES:  # of an earlier run
        part_file(flags.out, name).unlink(missing_ok=True)
    run_all(flags)
    print("\n".join(write_report(flags, card())))
    print(f"\nreport: {flags.out / 'report.md'}")


if __name__ == "__main__":
    main()
