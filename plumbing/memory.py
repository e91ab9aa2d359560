"""The memory that each process of a run will need, from config.json and the flags alone (--plan N).

Training one model takes 16 bytes a parameter: 4 of weights and 4 of gradients, both in fp32, and 8
of Adam's two moments; FSDP2 divides them by the number of processes, but for gradients of several
micro-batches, which are whole until the last one (`worst_moment`). With LoRA only adapters take
these 16 bytes, and the model is there once, in --dtype: actor, critic and reference stand on it.
Activations come on top: what autograd keeps for the backward pass (tests/plumbing/test_memory.py
measures it).

Left out: CUDA's own half gigabyte, and what an allocator loses between tensors, a tenth as a rule.

c stands for the bytes of a number in the computation (--dtype), D for the model's width.
"""

from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from plumbing.files import InputError, gigabytes
from plumbing.flags import flag_name

GIB = 2**30
CARDS = {gb: gb * 1e9 / GIB for gb in (24, 48, 80, 141)}  # GB on the box -> GiB
USABLE = 0.9   # of a card, see "left out" above
PROMPT = 4096  # tokens of a prompt that no flag bounds
ANSWER = 512   # tokens of an answer that no flag bounds
FP32 = 4       # bytes of a number
BYTES = {"fp32": FP32, "bf16": 2}
MOMENTS = 2    # of Adam, for every parameter
CHUNK = 1024   # rows of logits at a time, as in losses.token_nll


class Parameters(NamedTuple):
    block: int  # of one block
    root: int   # of all that is in no block: embeddings, output head, last norm
    total: int


class Plan(NamedTuple):
    parts: dict[str, float]  # what -> bytes in each process
    peak: float              # bytes at the worst moment; not all parts exist at the same time
    assumed: str             # the work of a process for which this is the memory
    checkpoint: float        # bytes of one on the disk, of all processes together
    result: float            # bytes of the model that is written in the end


# -------------------------------------------------------------------------------------- parameters

def count(config):
    """The number of Parameters of a model."""
    D = config.hidden_size
    query_and_output = 2 * D * config.num_attention_heads * config.head_dim
    key_and_value = 2 * D * config.num_key_value_heads * config.head_dim
    mlp = 3 * D * config.intermediate_size
    norms = 2 * D
    block = query_and_output + key_and_value + mlp + norms
    matrices = 1 if config.tie_word_embeddings else 2  # embeddings, and an output head of its own
    last_norm = D
    root = matrices * config.vocab_size * D + last_norm
    return Parameters(block, root, root + config.num_hidden_layers * block)


def check_rank(config, rank):
    """Raises InputError if adapters of this rank are wider than the model."""
    if rank > config.hidden_size:
        raise InputError(
            f"--lora-rank {rank}: more than the {config.hidden_size} dimensions of the model")


def count_adapters(config, rank):
    """The number of parameters of LoRA's adapters: rank (n_in + n_out) for every matrix of a block.

    Raises InputError.
    """
    check_rank(config, rank)
    D = config.hidden_size
    query_width = config.num_attention_heads * config.head_dim
    key_width = config.num_key_value_heads * config.head_dim
    attention = 2 * (D + query_width) + 2 * (D + key_width)
    mlp = 3 * (D + config.intermediate_size)
    return config.num_hidden_layers * rank * (attention + mlp)


def count_trained(config, flags):
    """The number of parameters of one model that are trained."""
    if flags.lora_rank:
        return count_adapters(config, flags.lora_rank)
    return count(config).total


def states(config, flags, processes, models, accumulates):
    """{what: bytes} of weights, optimizer and gradients of so many trained models.

    accumulates: as in `worst_moment`.
    """
    trained = models * count_trained(config, flags)
    frozen = BYTES[flags.dtype] * count(config).total if flags.lora_rank else 0
    holders = 1 if accumulates else processes  # how many share the gradients
    return {
        "weights": (FP32 * trained + frozen) / processes,
        "optimizer": MOMENTS * FP32 * trained / processes,
        "gradients": FP32 * trained / holders,
    }


# --------------------------------------------------------------------- one model, one backward pass

def block_activations(config, c, rank=0):
    """Bytes that one block keeps for the backward pass, per token. rank: of LoRA, or 0.

    The same count for GPT with dropout gives 34 D + 5 heads T, with T tokens in a row (Korthikanti
    et al., arXiv 2205.05198). Here is no second term: fused attention keeps no matrix of T x T.
    """
    heads = config.num_attention_heads
    query_width = heads * config.head_dim
    key_width = config.num_key_value_heads * config.head_dim
    norm_input = FP32 * config.hidden_size
    # after its gain; a gain that is trained needs what was before it, too
    norm_output = (1 if rank else 2) * c * config.hidden_size
    norms = 2 * (norm_input + norm_output)
    queries = 2 * c * query_width  # before and after their rotation
    keys = 2 * c * key_width       # before and after their rotation
    values = c * key_width
    attended = c * query_width
    log_sum_exp = FP32 * heads     # from which attention recomputes its softmax
    swiglu = 4 * c * config.intermediate_size  # gate, silu(gate), up, and their product
    low_rank = 7 * c * rank        # A x of the seven matrices
    return norms + queries + keys + values + attended + log_sum_exp + swiglu + low_rank


def forward_and_backward(config, flags, processes, tokens, scored):
    """{what: bytes} of a micro-batch of `tokens` tokens; `scored` go through the output head."""
    c = BYTES[flags.dtype]
    numbers = min(scored, CHUNK) * config.vocab_size
    logits = 2 * c * numbers          # and their gradient
    logits_fp32 = 2 * FP32 * numbers  # and their gradient
    return {
        "activations": activations(config, flags, tokens),
        "weights, gathered or cast": temporary_weights(config, flags, processes),
        "logits": logits + logits_fp32,
    }


def activations(config, flags, tokens):
    """Bytes that a forward pass of `tokens` tokens keeps for the backward pass."""
    c = BYTES[flags.dtype]
    layers = config.num_hidden_layers
    row = c * config.hidden_size * tokens  # one number per token and dimension
    block = block_activations(config, c, flags.lora_rank) * tokens
    # its input (in truth fp32: small beside the blocks), its output before and after its gain
    last_norm = 3 * row
    if flags.checkpoint_activations:  # the input of each block, and one block at a time as a whole
        return layers * row + block + last_norm
    return layers * block + last_norm


def temporary_weights(config, flags, processes):
    """Bytes of weights that are gathered or cast to --dtype, and of gradients not yet summed."""
    c = BYTES[flags.dtype]
    parameters = count(config)
    layers = config.num_hidden_layers
    trained_block = parameters.block
    trained_root = parameters.root
    if flags.lora_rank:
        trained_block = count_adapters(config, flags.lora_rank) // layers
        trained_root = 0
    if processes == 1:
        if c == FP32:
            return 0
        # What is cast stays for the backward pass, unless the block is recomputed then.
        blocks = 1 if flags.checkpoint_activations else layers
        return c * (blocks * trained_block + trained_root)
    gathered_root = c * parameters.root
    gathered_blocks = 2 * c * parameters.block  # the one that computes, and the next one
    head_gradients = c * (trained_root // 2)
    block_gradients = c * trained_block      # of one block, whole
    summed_gradients = FP32 * trained_block  # the same in fp32, while processes sum them
    return gathered_root + gathered_blocks + head_gradients + block_gradients + summed_gradients


def worst_moment(config, flags, processes, work, models, accumulates):
    """Bytes of gradients and work when they are most: as the last backward pass begins, or ends.

    work: {what: bytes} from `forward_and_backward`; models: how many are trained.
    accumulates: whether a step has several micro-batches. Processes sum their gradients at the last
    one; until then each holds those of all parameters.
    """
    c = BYTES[flags.dtype]
    all_gradients = FP32 * count_trained(config, flags)
    own_gradients = all_gradients / processes
    not_summed = models * all_gradients
    summed = (models - 1) * own_gradients  # of the models whose backward passes are over
    begins = (not_summed if accumulates else summed) + sum(work.values())
    # Embeddings and head come last: gathered, their gradients, and these in fp32 to be summed.
    each = c if flags.lora_rank else 2 * c + FP32
    root = each * count(config).root if processes > 1 else 0
    ends = models * own_gradients + root
    return max(begins, ends)


def on_disk(config, flags, models):
    """(bytes of a checkpoint, bytes of the result): of LoRA adapters, and the merged model."""
    checkpoint = (1 + MOMENTS) * FP32 * models * count_trained(config, flags)
    return checkpoint, count(config).total * (BYTES[flags.dtype] if flags.lora_rank else FP32)


# ------------------------------------------------------------------------- the plans of the scripts

def plan_sft(config, flags, processes):
    """The Plan of sft.py, for a process with as many and as long conversations as there can be."""
    longest = flags.max_length or flags.micro_tokens
    conversations = -(-flags.batch_size // processes)  # a conversation has a call or more
    step_tokens = conversations * longest
    tokens = min(max(longest, flags.micro_tokens), step_tokens)  # of a micro-batch
    accumulates = step_tokens > tokens
    state = states(config, flags, processes, 1, accumulates)
    work = forward_and_backward(config, flags, processes, tokens, tokens)
    held = state["weights"] + state["optimizer"]
    peak = held + worst_moment(config, flags, processes, work, 1, accumulates)
    assumed = f"{tokens:,} tokens in a forward pass"
    if not flags.max_length:
        assumed += " (see --max-length)"
    return Plan(state | work, peak, assumed, *on_disk(config, flags, 1))


def plan_ppo(config, flags, processes):
    """The Plan of ppo.py: the state, and the larger of rollout and update."""
    c = BYTES[flags.dtype]
    models = 1 if flags.shared_critic or flags.baseline == "group" else 2
    rows = -(-flags.batch_size // processes)  # prompts of a process in a step
    micro = min(rows, flags.micro_batch)
    accumulates = rows > micro
    prompt = flags.max_prompt or PROMPT
    answers = flags.samples * flags.max_new_tokens  # tokens of all answers to a prompt
    length = prompt + answers
    state = states(config, flags, processes, models, accumulates)
    no_reference = flags.offload_reference or flags.lora_rank  # or: the frozen model itself
    state["reference"] = 0 if no_reference else c * count(config).total / processes
    work = forward_and_backward(
        config, flags, processes, micro * length, micro * answers)
    if c != FP32:  # cast for log-probabilities in fp32, and its gradient where it is trained
        copies = 1 if flags.lora_rank else 2
        work["output head in fp32"] = copies * FP32 * config.vocab_size * config.hidden_size
    rollout = rollout_memory(config, flags, processes, rows, prompt, length)
    update = worst_moment(config, flags, processes, work, models, accumulates)
    held = state["weights"] + state["optimizer"] + state["reference"]
    peak = held + max(sum(rollout.values()), update)
    known = "" if flags.max_prompt else " (see --max-prompt)"
    assumed = f"{rows} prompt{'s' * (rows > 1)} of {prompt:,} tokens{known}, {micro} at a time"
    if flags.samples > 1:
        assumed += f", {flags.samples} answers to each"
    return Plan(state | work | rollout, peak, assumed, *on_disk(config, flags, models))


def plan_dpo(config, flags, processes):
    """The Plan of dpo.py: one model, which is its own reference before the first step."""
    rows = -(-flags.batch_size // processes)  # pairs of a process in a step
    micro = min(rows, flags.micro_batch)
    accumulates = rows > micro
    length = flags.max_length or PROMPT + 2 * ANSWER
    scored = min(length, 2 * ANSWER)  # tokens of both answers
    state = states(config, flags, processes, 1, accumulates)
    work = forward_and_backward(config, flags, processes, micro * length, micro * scored)
    held = state["weights"] + state["optimizer"]
    peak = held + worst_moment(config, flags, processes, work, 1, accumulates)
    known = "" if flags.max_length else " (see --max-length)"
    assumed = f"{rows} pair{'s' * (rows > 1)} of {length:,} tokens{known}, {micro} at a time"
    return Plan(state | work, peak, assumed, *on_disk(config, flags, 1))


def rollout_memory(config, flags, processes, rows, prompt, length):
    """{what: bytes} of answering `rows` prompts of `prompt` tokens, `length` with all answers."""
    c = BYTES[flags.dtype]
    # One fp32 model decodes itself; otherwise a generation.decoding_copy is whole and in --dtype.
    whole_copy = c * count(config).total if processes > 1 or c != FP32 else 0
    if flags.lora_rank and processes == 1:  # blocks with merged adapters; the rest is shared
        whole_copy = c * config.num_hidden_layers * count(config).block
    return {
        "rollout: whole copy": whole_copy,
        "rollout: cache": rows * length * cached_token(config, c),
        "rollout: reading prompts": rows * prompt * read_token(config, c),
    }


def cached_token(config, c):
    """Bytes of a token's keys and values in all layers."""
    return 2 * c * config.num_hidden_layers * config.num_key_value_heads * config.head_dim


def read_token(config, c):
    """Bytes of a prompt's token while it is read: one block's rows, none kept for going backward.
    """
    hidden = (4 * c + FP32) * config.hidden_size
    swiglu = 3 * c * config.intermediate_size
    return hidden + swiglu


# ------------------------------------------------------------------------------- what --plan prints

def report_answers(config, flags):
    """The lines that evaluate.py --plan prints: every process holds the model and a batch."""
    dtype = "bf16" if flags.dtype == "auto" else flags.dtype
    c = BYTES[dtype]
    tokens = flags.batch_tokens or flags.batch_size * (PROMPT + flags.max_new_tokens)
    batch = {
        "cache": tokens * cached_token(config, c),
        "reading prompts": tokens * read_token(config, c),
    }
    parts = {"weights": c * count(config).total, **batch}
    yield (f"{count(config).total / 1e9:.2f} billion parameters in {dtype}; in each process at "
           f"most {tokens:,} tokens of prompts and answers at once")
    for what, size in parts.items():
        yield f"{size / GIB:9.2f} GiB  {what}"
    total = sum(parts.values())
    yield f"{total / GIB:9.2f} GiB  in all"
    for gb, size in CARDS.items():
        room = int((USABLE * size * GIB - parts["weights"]) / sum(batch.values()) * tokens)
        if room >= tokens:
            yield f"fits a card of {gb} GB"
            return
        if room > flags.max_new_tokens:
            yield f"would fit a card of {gb} GB with --batch-tokens {room}"
    yield f"fits no card of {max(CARDS)} GB"


def report(plan, config, flags):
    """The lines that --plan prints. plan: plan_sft, plan_ppo or plan_dpo; config: the model's."""
    processes = flags.plan
    planned = plan(config, flags, processes)
    billions = count(config).total / 1e9
    plural = "es" if processes > 1 else ""
    stored = "fp32"
    if flags.lora_rank:
        stored = f"frozen in {flags.dtype}, adapters in fp32"
    elif flags.dtype != "fp32":
        stored = f"{flags.dtype} over fp32"
    yield (f"{flags.model}: {billions:.2f} billion parameters, {stored}; "
           f"{processes} process{plural}, in each at most {planned.assumed}")
    for what, size in planned.parts.items():
        if size > 0:
            yield f"{size / GIB:9.2f} GiB  {what}"
    yield f"{planned.peak / GIB:9.2f} GiB  at the worst moment"
    yield (f"on the disk: a checkpoint {gigabytes(planned.checkpoint)}, "
           f"{flags.keep + 1} of them while one is written; the result "
           f"{gigabytes(planned.result)}")
    yield from cards(plan, config, flags, planned.peak)


def cards(plan, config, flags, peak):
    """The smallest card that holds `peak` bytes; for each smaller one the flags that would do."""
    processes = flags.plan
    named = set()
    for gb, size in CARDS.items():
        if peak / GIB <= USABLE * size:
            yield f"fits {processes} x {gb} GB"
            return
        for typed, less in remedies(flags):
            needed = plan(config, less, processes).peak / GIB
            if needed <= USABLE * size and typed in named:
                break  # what makes it fit a smaller card
            if needed <= USABLE * size:
                named.add(typed)
                yield f"would fit {processes} x {gb} GB with {typed}: {needed:.2f} GiB"
                break
    yield f"fits no card of {max(CARDS)} GB: take more processes"


def remedies(flags):
    """Yield (flags as typed, Flags with them) that may need less memory.

    The fewest flags come first, and of as many those that change least.
    """
    whole_share = -(-flags.batch_size // flags.plan)  # rows of a process: nothing to accumulate
    wishes = [
        ("checkpoint_activations", True),
        ("offload_reference", True),
        ("micro_tokens", 4096),
        ("micro_batch", 1),
        ("micro_batch", whole_share),
        ("max_length", 4096),
        ("shared_critic", True),
        ("lora_rank", 16),
    ]
    idle = set()
    if getattr(flags, "baseline", "") == "group" or getattr(flags, "critic_warmup", 0):
        idle.add("shared_critic")  # there is no critic, or it must be a model of its own
    if flags.lora_rank:
        idle |= {"lora_rank", "offload_reference"}
    if getattr(flags, "offload_reference", False):
        idle.add("lora_rank")  # all models would stand on the reference
    # Of these, the ones that this script has and that are not set yet.
    wishes = [(name, value) for name, value in wishes
              if name not in idle and getattr(flags, name, value) != value]
    for size in range(1, len(wishes) + 1):
        for chosen in combinations(wishes, size):
            if {"lora_rank", "offload_reference"} <= dict(chosen).keys():
                continue  # all models stand on the reference
            typed = " ".join(_typed(name, value) for name, value in chosen)
            yield typed, replace(flags, **dict(chosen))


def _typed(name, value):
    """A flag as a user types it."""
    if value is True:
        return flag_name(name)
    return f"{flag_name(name)} {value}"
