"""Run evaluate.py as torchrun would, with two processes on this machine."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def run_ranks(port, *flags):
    """What each of two ranks of `evaluate.py FLAGS` printed, as bytes; `port` joins them."""
    command = [sys.executable, str(ROOT / "evaluate.py"), "--device", "cpu", *map(str, flags)]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
              "OMP_NUM_THREADS": "1"}
    ranks = []
    for rank in ("0", "1"):
        environment = {**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank}
        ranks.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE))
    return [rank.communicate(timeout=120)[0] for rank in ranks]
