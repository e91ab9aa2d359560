"""Speed and memory, side by side with what a user would pick instead: `make bench`.

Skip this room until you change code that must be fast. `sides.py` is what the scripts share: the
sides run in turn, after a check that they compute the same. Each script's docstring says what it
measures and what it does not.

    preprocessing.py, sft_epoch.py, sft_trl.py    stage 1: data, an epoch
    rollout.py, ppo_step.py                       stage 2: answers, a step
    output_head.py, loading.py                    parts of the model
    limits.py, growth.py                          how near the machine's limits; how costs grow
    gpu.py                                        `make gpu`: is it right on a GPU, and how fast
    threads.py                                    a laptop that does something else
    one_pass.py, shards.py, ppo_learns.py         not in `make bench`: tokens saved by one pass,
                                                  memory against --plan, does PPO learn on real data
"""

import plumbing.environment  # noqa: F401 (before torch)
