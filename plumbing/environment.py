"""What libraries read from the environment as they are loaded; import this before torch.

A variable that the user has set stays as it is. Processes that are started inherit all of them.
"""

import os

# Threads of OpenMP that wait for each other spin, with GNU's runtime for some milliseconds. Beside
# another busy process they hold the very core that the awaited thread needs, and training becomes
# twenty times slower. Spinning is worth it for the short waits between small operations only.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# On CUDA, memory in segments that grow: lengths differ from step to step.
if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
