"""The process in which one call of a library's tool runs; evaluation/tool_library.py starts it.

    cd LIBRARY
    echo '{"city": "Oslo"}' | PYTHONPATH=. python -P run_tool.py PLACE get_weather SECONDS PARENT

PLACE is Category/Name; PARENT the id of the process that starts it. The process ends with the first
result or exception, even with threads left, and hands back that alone: what a tool prints is not
its result. `-P` keeps this folder out of the tool's imports.
"""

import ctypes
import importlib
import inspect
import json
import math
import os
import resource
import signal
import sys

LONGEST = 100_000  # characters of a result
PR_SET_PDEATHSIG = 1


def end_with(parent, seconds):
    """See that this process ends with its parent, however that ends, and after some seconds.

    What the tool starts has as much time of the CPU.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os._exit(1)
    limit = math.ceil(seconds) + 1
    signal.alarm(limit)
    cpu = limit * os.cpu_count()  # of all threads together
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY or most > cpu:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))


def find_tool(place, name):
    """The function of a tool. What a library's file merely imports is none: `system`, say."""
    library = os.path.realpath(".")
    # The library is in PYTHONPATH: tools import each other as `.utils`, and their category as a
    # package.
    module = importlib.import_module(".".join([*place.split("/"), "tool"]))
    tool = getattr(module, name)
    code = getattr(inspect.unwrap(tool), "__code__", None)
    if code is None or not os.path.realpath(code.co_filename).startswith(library + os.sep):
        raise NameError(f"name '{name}' is not defined")
    return tool


def main(place, name, seconds, parent):
    """Call the tool with the JSON object on stdin.

    stdout gets its result as JSON, or an exception's text.
    """
    end_with(int(parent), float(seconds))
    channel = os.dup(1)
    os.dup2(2, 1)

    def end(text, status=0):
        with open(channel, "w", encoding="utf-8", errors="replace") as file:
            file.write(text[:LONGEST])
        os._exit(status)

    def fail(kind, error, trace):
        end(str(error) or repr(error), status=1)  # as ToolEyes words an exception

    sys.excepthook = fail
    tool = find_tool(place, name)
    end(json.dumps(tool(**json.load(sys.stdin)), ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
