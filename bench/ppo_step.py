"""One PPO step on 8 prompts, with actor, critic and reference: ours against the released way.

    python -m bench.ppo_step --tokenizer tokenizer.model

The released script uses transformers. It pads every prompt on the left to 8,192 tokens, where the
real ones have 1,875 in the mean, answers with `generate`, and makes the logits of all positions,
those of the prompt and the padding included. Here all lengths are an eighth of that: prompts of
random ids, 52 to 416 tokens (mean 234), padded to 1,024, and 64 new tokens; 4 layers of width 256,
the tokenizer's vocabulary, fp32. Both sides answer greedily, score with the same reward, use the
same losses, and step fused AdamW at rate 0, so that every round does the same work.
Checked before: answers, value loss, and the gradient norms of actor and critic.
Not measured: sampling, sharding, long answers. Needs transformers.
"""

import copy

import torch
from torch import nn

import model
import ppo
from bench import rollout, sides
from data.tools import read_tools
from losses import gae, policy_loss, token_rewards, value_loss, whiten
from plumbing.optimizer import clip_and_step, make_optimizer
from prompts import Prompt
from tokenizer import Tokenizer

MEAN = 1875    # tokens of a real prompt
PADDED = 8192  # tokens to which the released script pads each prompt
NEW = 512      # tokens of an answer, at most


class Released(nn.Module):
    """transformers' model with what PPO needs: log-probabilities from full logits, or values."""

    def __init__(self, hf, critic=False):
        super().__init__()
        self.hf = hf
        self.v_head = None
        if critic:
            hf.lm_head = None
            self.v_head = nn.Linear(hf.config.hidden_size, 1)
            set_to_zero(self.v_head)

    def forward(self, ids, mask, start):
        """Of the tokens from `start` on, (B, T - start): log p of each, or the value before it."""
        if self.v_head is not None:
            outputs = self.hf.model(input_ids=ids, attention_mask=mask, use_cache=False)
            return self.v_head(outputs.last_hidden_state).squeeze(-1)[:, start - 1:-1]
        logits = self.hf(input_ids=ids, attention_mask=mask, use_cache=False).logits  # (B, T, V)
        logp = logits[:, :-1].float().log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(-1)
        return logp[:, start - 1:]


def set_to_zero(module):
    """Set all parameters of a module to 0."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def released_step(models, optimizers, prompts, tokenizer, flags, padded):
    """Rollout, score, advantages and update as released.

    Returns (answers, [value loss, gradient norm of the actor, of the critic]).
    """
    actor, critic, reference = models
    ids, mask = rollout.pad_left([prompt.ids for prompt in prompts], padded)
    with torch.no_grad():
        answers = rollout.theirs(actor.hf, ids, mask, flags.max_new_tokens)
        ids = torch.cat((ids, answers), 1)
        mask = torch.cat((mask, torch.ones_like(answers)), 1)
        old = actor(ids, mask, padded)
        ref = reference(ids, mask, padded)
        old_values = critic(ids, mask, padded)
    ended = [model.Answer(answer, False) for answer in answers.tolist()]
    _, scores = ppo.score_answers(prompts, ended, tokenizer)
    whole = torch.ones_like(answers, dtype=torch.bool)
    scores = scores.clamp(-flags.score_clip, flags.score_clip)
    rewards = token_rewards(scores, old - ref, whole, flags.beta)
    advantages, returns = gae(rewards, old_values, whole, flags.gamma, flags.lam)
    advantages = whiten(advantages, whole)
    policy, _ = policy_loss(actor(ids, mask, padded), old, advantages, whole, flags.clip)
    policy.mean().backward()
    squared = value_loss(critic(ids, mask, padded), old_values, returns, whole, flags.value_clip)
    squared.mean().backward()
    actor_norm = clip_and_step(actor, optimizers[0], 0.0, flags.grad_clip)
    critic_norm = clip_and_step(critic, optimizers[1], 0.0, flags.grad_clip)
    return answers, [squared.mean().item(), actor_norm, critic_norm]


def draw(count, mean, vocabulary):
    """Prompts of random ids, uneven around `mean`; no answer to them is a call."""
    tools = read_tools([{"name": "f"}])
    ids = sides.draw(count, 2 * mean * 8 // 9, vocabulary)
    return [Prompt(prompt, "f()", tools, f"prompt {i}") for i, prompt in enumerate(ids)]


def our_models(transformer):
    """ppo.Models that start from one Transformer, with a critic of value 0."""
    critic = model.Transformer(transformer.config, value_head=True)
    critic.load_state_dict(transformer.state_dict(), strict=False)
    set_to_zero(critic.value_head)
    return ppo.Models(transformer, critic, copy.deepcopy(transformer).requires_grad_(False))


def main():
    """The command line; see the top of this file."""
    parser = sides.parser(__doc__, rounds=3)
    parser.add_argument("--tokenizer", required=True)
    flags = parser.parse_args()
    sides.start(flags)
    tokenizer = Tokenizer(flags.tokenizer)
    scale = 64 if flags.quick else 8
    width = 64 if flags.quick else 256
    layers = 1 if flags.quick else 4
    prompts = draw(8, MEAN // scale, tokenizer.vocab_size)
    padded = PADDED // scale
    settings = ppo.Flags(greedy=True, max_new_tokens=NEW // scale)
    transformer, hf = sides.both(sides.config(width, layers, tokenizer.vocab_size), std=0.1)
    ours = our_models(transformer)
    theirs = ppo.Models(Released(hf), Released(copy.deepcopy(hf), critic=True),
                        Released(copy.deepcopy(hf)))
    our_optimizers = [make_optimizer(one, 0.0) for one in (ours.actor, ours.critic)]
    their_optimizers = [make_optimizer(one, 0.0) for one in (theirs.actor, theirs.critic)]

    def our_step():
        return ppo.train_step(ours, our_optimizers, prompts, tokenizer, settings, 0, (0.0, 0.0))

    def their_step():
        return released_step(theirs, their_optimizers, prompts, tokenizer, settings, padded)

    metrics, _, rolled, _ = our_step()
    answers, numbers = their_step()
    sides.same("answers", [answer.ids for answer in rolled.answers], answers)
    names = ("value_loss", "actor_grad_norm", "critic_grad_norm")
    for name, number in zip(names, numbers, strict=True):
        sides.agree(name, metrics[name], number, 1e-3)
    found = sides.alternate({"ours": our_step, "theirs": their_step},
                            1 if flags.quick else flags.rounds)
    tokens = sum(len(prompt.ids) for prompt in prompts) / len(prompts)
    sides.table(["step of 8 prompts", "ours", "released", "ratio", "range"], [
        [f"mean {tokens:.0f} tokens, padded to {padded}",
         *sides.compare(found["ours"], found["theirs"])]])


if __name__ == "__main__":
    main()
