"""What a run will need: the memory of each process, from config.json and the flags alone (--plan N).

Counted is what autograd keeps for the backward pass; c is the bytes of a number in the computation. Left out:
CUDA's own half gigabyte, and what an allocator loses between tensors, a tenth as a rule.
"""

from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

GIB = 2**30
CARDS = {gb: gb * 1e9 / GIB for gb in (24, 48, 80, 141)}  # GB on the box -> GiB
PROMPT = 4096  # tokens of a prompt that no flag bounds
BYTES = {"fp32": 4, "bf16": 2}
CHUNK = 1024   # rows of logits at a time, as in losses.token_nll


class Plan(NamedTuple):
    parts: dict[str, float]  # what -> bytes in each process
    peak: float              # not all of it exists at the same time
    assumed: str


def count(config):
    """Parameters (of one block, of all that is in no block, of all)."""
    D = config.hidden_size
    query_and_output = 2 * D * config.num_attention_heads * config.head_dim
    key_and_value = 2 * D * config.num_key_value_heads * config.head_dim
    mlp = 3 * D * config.intermediate_size
    norms = 2 * D
    block = query_and_output + key_and_value + mlp + norms
    embeddings = 1 if config.tie_word_embeddings else 2
    root = embeddings * config.vocab_size * D + D
    return block, root, root + block * config.num_hidden_layers


def block_activations(config, c):
    """Bytes that one block keeps for the backward pass, per token.

    Two norms: the input in fp32, the normalised input, the output. Attention: q and k before and after their
    rotation, v, the result, and a number in fp32 per head. SwiGLU: four rows of its width.
    """
    D, F = config.hidden_size, config.intermediate_size
    q, k = (heads * config.head_dim for heads in (config.num_attention_heads, config.num_key_value_heads))
    return 2 * (4 + 2 * c) * D + c * (3 * q + 3 * k) + 4 * config.num_attention_heads + 4 * c * F


def forward_and_backward(config, flags, processes, tokens, scored):
    """{what: bytes} over `tokens` tokens, `scored` of which go through the output head; one micro-batch."""
    (block, root, _), c = count(config), BYTES[flags.dtype]
    layers, width, head = config.num_hidden_layers, c * config.hidden_size * tokens, root // 2
    one, casts = block_activations(config, c) * tokens, layers * block
    activations = layers * one
    if flags.checkpoint_activations:  # the input of each block, and one block at a time as a whole
        activations, casts = layers * width + one, block
    # Sharded: two blocks gathered, the gradients of one before and while they are summed, those of the head.
    weights = c * (casts + root) * (c < 4) if processes == 1 else c * (root + head) + (3 * c + 4) * block
    return {"activations": activations + 3 * width, "weights, gathered or cast": weights,
            "logits": (2 * c + 8) * min(scored, CHUNK) * config.vocab_size}


def busiest(config, flags, processes, work, models, accumulates):
    """Bytes of gradients and work at the worst moment: as the last backward pass begins, or as it ends."""
    (_, root, every), c = count(config), BYTES[flags.dtype]
    own = 4 * every / processes
    before = 4 * every * models if accumulates else own * (models - 1)  # not yet summed over processes
    last_sum = (2 * c + 4) * root if processes > 1 else 0  # embedding and head, summed at the very end
    return max(before + sum(work.values()), own * models + last_sum)


def plan_sft(config, flags, processes):
    """Plan of sft.py, for a process with as many conversations as there can be, as long as they can be."""
    *_, every = count(config)
    longest = flags.max_length or flags.micro_tokens
    most = -(-flags.batch_size // processes) * longest  # a conversation has a call or more
    tokens = min(max(longest, flags.micro_tokens), most)
    state = {"weights": 4 * every / processes, "optimizer": 8 * every / processes}
    gradients = {"gradients": 4 * every / (1 if most > tokens else processes)}
    work = forward_and_backward(config, flags, processes, tokens, tokens)
    peak = sum(state.values()) + busiest(config, flags, processes, work, 1, most > tokens)
    return Plan(state | gradients | work, peak,
                f"{tokens:,} tokens in a forward pass{'' if flags.max_length else ' (see --max-length)'}")


def plan_ppo(config, flags, processes):
    """Plan of ppo.py: the larger of rollout and update."""
    (*_, every), c = count(config), BYTES[flags.dtype]
    models, rows = 1 if flags.shared_critic else 2, -(-flags.batch_size // processes)
    micro, prompt = min(rows, flags.micro_batch), flags.max_prompt or PROMPT
    length = prompt + flags.max_new_tokens
    state = {"weights": 4 * every * models / processes, "optimizer": 8 * every * models / processes,
             "reference": 0 if flags.offload_reference else c * every / processes}
    gradients = {"gradients": 4 * every * models / (1 if rows > micro else processes)}
    work = forward_and_backward(config, flags, processes, micro * length, micro * flags.max_new_tokens)
    slot = 2 * c * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    rollout = {"rollout: whole copy": c * every if processes > 1 or c != 4 else 0,
               "rollout: cache": rows * length * slot,
               "rollout: reading prompts": rows * prompt * (
                   (4 * c + 4) * config.hidden_size + 3 * c * config.intermediate_size)}
    peak = max(sum(rollout.values()), busiest(config, flags, processes, work, models, rows > micro))
    return Plan(state | gradients | work | rollout, sum(state.values()) + peak,
                f"{rows} prompts of {prompt:,} tokens{'' if flags.max_prompt else ' (see --max-prompt)'}, "
                f"{micro} at a time")


def remedies(flags):
    """(flags as typed, Flags) that may need less memory, those that change least first."""
    wishes = [("checkpoint_activations", True), ("offload_reference", True), ("micro_tokens", 4096),
              ("micro_batch", 1), ("micro_batch", -(-flags.batch_size // flags.plan)), ("max_length", 4096),
              ("shared_critic", True)]
    wishes = [(name, value) for name, value in wishes if getattr(flags, name, value) != value]
    for size in range(1, len(wishes) + 1):
        for some in combinations(wishes, size):
            typed = (f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
                     for name, value in some)
            yield " ".join(typed), replace(flags, **dict(some))


def report(plan, config, flags):
    """The lines that --plan prints. plan: plan_sft or plan_ppo; config: the model's."""
    processes = flags.plan
    parts, peak, assumed = plan(config, flags, processes)
    yield (f"{flags.model}: {count(config)[-1] / 1e9:.2f} billion parameters, {flags.dtype} over fp32; "
           f"{processes} process{'es' * (processes > 1)}, in each at most {assumed}")
    yield from (f"{size / GIB:9.2f} GiB  {what}" for what, size in parts.items() if size)
    yield f"{peak / GIB:9.2f} GiB  at the worst moment"
    for gb, size in CARDS.items():
        if peak / GIB <= 0.9 * size:
            yield f"fits {processes} x {gb} GB"
            return
        for typed, less in remedies(flags):
            if (needed := plan(config, less, processes).peak / GIB) <= 0.9 * size:
                yield f"would fit {processes} x {gb} GB with {typed}: {needed:.2f} GiB"
                break
    yield f"fits no card of {max(CARDS)} GB: take more processes"
