"""The process in which one call of a library's tool runs; evaluation/tool_library.py starts it.

    echo '{"city": "Oslo"}' | PYTHONPATH=LIBRARY python -P evaluation/run_tool.py PLACE get_weather

PLACE is Category/Name. The process ends with the first result or exception, even with threads
left, and hands back that alone: what a tool prints is not its result. `-P` keeps this folder out of
the tool's imports.
"""

import importlib
import json
import os
import sys

LONGEST = 100_000  # characters of a result


def main(place, name):
    """Call the tool with the JSON object on stdin.

    stdout gets its result as JSON, or an exception's text.
    """
    channel = os.dup(1)
    os.dup2(2, 1)

    def end(text, status=0):
        with open(channel, "w", encoding="utf-8", errors="replace") as file:
            file.write(text[:LONGEST])
        os._exit(status)

    def fail(kind, error, trace):
        end(str(error) or repr(error), status=1)  # as ToolEyes words an exception

    sys.excepthook = fail
    # The library is in PYTHONPATH: tools import each other as `.utils`, and their category as a
    # package.
    module = importlib.import_module(".".join([*place.split("/"), "tool"]))
    tool = getattr(module, name)
    end(json.dumps(tool(**json.load(sys.stdin)), ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
