"""One PPO step on 8 prompts, with actor, critic and reference: ours against the released way in transformers.

    python -m bench.ppo_step --tokenizer tokenizer.model

The released script pads every prompt on the left to 8,192 tokens, where the real ones have 1,875 in the mean,
answers with `generate`, and makes the logits of all positions, prompt and padding among them. Here all
lengths are an eighth of that: prompts of random ids, 52 to 416 tokens (mean 234), padded to 1,024, and 64 new
tokens; 4 layers of width 256, the tokenizer's vocabulary, fp32. Both sides answer greedily, score with the
same reward, use the same losses, and step fused AdamW at rate 0, so that every round does the same work.
Checked before: answers, value loss, and the gradient norms of actor and critic.
Not measured: sampling, sharding, long answers. Needs transformers.
"""

import copy

import rollout
import torch
from torch import nn

import ppo
from bench import sides
from data.tools import read_tools
from losses import gae, policy_loss, token_rewards, value_loss, whiten
from plumbing.optimizer import clip_and_step, make_optimizer
from prompts import Prompt
from tokenizer import Tokenizer

MEAN, PADDED = 1875, 8192  # tokens of a real prompt, and what the released script makes of each


class Released(nn.Module):
    """transformers' model with what its user needs: log-probabilities from full logits, or values."""

    def __init__(self, hf, critic=False):
        super().__init__()
        self.hf, self.v_head = hf, nn.Linear(hf.config.hidden_size, 1) if critic else None
        if critic:
            hf.lm_head = None
            for parameter in self.v_head.parameters():
                nn.init.zeros_(parameter)

    def forward(self, ids, mask, start):
        """Of the tokens from `start` on, (B, T - start): log p of each, or the value before it."""
        if self.v_head is not None:
            hidden = self.hf.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            return self.v_head(hidden).squeeze(-1)[:, start - 1:-1]
        logits = self.hf(input_ids=ids, attention_mask=mask, use_cache=False).logits
        logp = logits[:, :-1].float().log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(-1)
        return logp[:, start - 1:]


def released_step(models, optimizers, prompts, tokenizer, flags, padded):
    """Rollout, score, advantages and update as released -> (answers, metrics)."""
    actor, critic, reference = models
    ids, mask = rollout.pad_left([prompt.ids for prompt in prompts], padded)
    with torch.no_grad():
        answers = rollout.theirs(actor.hf, ids, mask, flags.max_new_tokens)
        ids, mask = torch.cat((ids, answers), 1), torch.cat((mask, torch.ones_like(answers)), 1)
        old, ref, old_values = (transformer(ids, mask, padded) for transformer in (actor, reference, critic))
    said = [ppo.model.Answer(answer, False) for answer in answers.tolist()]
    _, scores = ppo.score_answers(prompts, said, tokenizer)
    here = torch.ones_like(answers, dtype=torch.bool)
    rewards = token_rewards(scores, old - ref, here, flags.beta, flags.score_clip)
    raw, returns = gae(rewards, old_values, here, flags.gamma, flags.lam)
    per_token, _ = policy_loss(actor(ids, mask, padded), old, whiten(raw, here), here, flags.clip)
    per_token.mean().backward()
    squared = value_loss(critic(ids, mask, padded), old_values, returns, here, flags.value_clip)
    squared.mean().backward()
    norms = [clip_and_step(transformer, optimizer, 0.0, flags.grad_clip)
             for transformer, optimizer in zip((actor, critic), optimizers)]
    return answers, [squared.mean().item(), *norms]


def draw(count, mean, vocabulary):
    """Prompts of random ids, uneven around `mean`; nothing they are answered with is a call."""
    ids = sides.draw(count, 2 * mean * 8 // 9, vocabulary)
    return [Prompt(prompt, "f()", read_tools([{"name": "f"}]), f"prompt {i}") for i, prompt in enumerate(ids)]


def main():
    parser = sides.parser(__doc__, rounds=3)
    parser.add_argument("--tokenizer", required=True)
    flags = parser.parse_args()
    sides.start(flags)
    tokenizer, scale = Tokenizer(flags.tokenizer), 64 if flags.quick else 8
    prompts, padded = draw(8, MEAN // scale, tokenizer.vocab_size), PADDED // scale
    transformer, hf = sides.both(sides.config(*((64, 1) if flags.quick else (256, 4)), tokenizer.vocab_size),
                                 std=0.1)
    settings = ppo.Flags(greedy=True, max_new_tokens=512 // scale)
    critic = ppo.model.Transformer(transformer.config, value_head=True)
    critic.load_state_dict(transformer.state_dict(), strict=False)
    for parameter in critic.value_head.parameters():
        nn.init.zeros_(parameter)
    ours = ppo.Models(transformer, critic, copy.deepcopy(transformer).requires_grad_(False))
    theirs = ppo.Models(Released(hf), Released(copy.deepcopy(hf), critic=True), Released(copy.deepcopy(hf)))
    our_optimizers, their_optimizers = ([make_optimizer(one, 0.0) for one in models[:2]]
                                        for models in (ours, theirs))
    work = {"ours": lambda: ppo.train_step(ours, our_optimizers, prompts, tokenizer, settings, 0, (0.0, 0.0)),
            "theirs": lambda: released_step(theirs, their_optimizers, prompts, tokenizer, settings, padded)}
    metrics, _, rollout, _ = work["ours"]()
    answers, numbers = work["theirs"]()
    sides.same("answers", [answer.ids for answer in rollout.answers], answers)
    for name, number in zip(("value_loss", "actor_grad_norm", "critic_grad_norm"), numbers):
        sides.agree(name, metrics[name], number, 1e-3)
    found = sides.alternate(work, 1 if flags.quick else flags.rounds)
    tokens = sum(len(prompt.ids) for prompt in prompts) / len(prompts)
    sides.table(["step of 8 prompts", "ours", "released", "ratio", "range"], [
        [f"mean {tokens:.0f} tokens, padded to {padded}", *sides.compare(*found.values())]])


if __name__ == "__main__":
    main()
