"""What libraries read from the environment as they are loaded; import this before torch.

A variable that the user has set stays as it is. Processes that are started inherit all of them.
"""

import os
from pathlib import Path


def is_busy(loadavg="/proc/loadavg"):
    """Whether other threads than this one want a core now, by Linux's own count; else False.

    That count is of the whole machine. Where this process may use a part of it only, it tells
    nothing.
    """
    try:
        runnable, _ = Path(loadavg).read_text(encoding="ascii").split()[3].split("/")
    except (OSError, ValueError, IndexError):
        return False
    return int(runnable) > 1 and len(os.sched_getaffinity(0)) == os.cpu_count()


# Threads of OpenMP that wait for each other spin, with GNU's runtime for some milliseconds. Beside
# another busy process they hold the very core that the awaited thread needs, and training becomes
# up to twenty times slower; without spinning an idle machine loses 20 to 40% (docs/speed.md). So:
# no spinning where something else runs as the command starts, otherwise for a short time.
if "OMP_WAIT_POLICY" not in os.environ and "GOMP_SPINCOUNT" not in os.environ:
    if is_busy():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    else:
        os.environ["GOMP_SPINCOUNT"] = "10000"

# On CUDA, memory in segments that grow: lengths differ from step to step.
if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
