"""Tools of a library in the layout of ToolEyes, each call in a process of its own.

A library holds `Category/Name/tool.py`, whose functions are the tools, and
`Category/Name/config*.json`, the list of their schemas. A call runs as the user who evaluates, with
the network that there is, and of the environment only what a program needs to run and the variables
(keys) that --tool-env names: use a library that you trust. The model's part is the arguments alone:
they are passed as JSON to a tool that its query offers, and nothing that comes back is evaluated.
"""

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from data import feedback
from data.tools import read_tools
from data.trajectories import read_item
from evaluation.tasks import Task
from plumbing.files import InputError, kind_of, read_json
from toolbox import execute

RUN_TOOL = Path(__file__).with_name("run_tool.py")
LARGEST_RESULT = 400_000  # bytes that are read of a result: more than run_tool.py gives
ENVIRONMENT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
               "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")


def read_queries(library, path):
    """The queries of a file as Tasks; ids and tools as in ToolEyes. Raises InputError naming the
    item.

    The file is a JSON list of `{"query", "path": ".../Category/Name"}`, as ToolEyes'
    scenario_data_raw.json.
    """
    items = read_json(path)
    if not isinstance(items, list) or not items:
        raise InputError(f"{path}: must be a JSON list of queries")
    library = Path(library)
    return [_read_query(library, item, i, f"{path}: item {i}") for i, item in enumerate(items)]


def _read_query(library, item, index, where):
    query = item.get("query") if isinstance(item, dict) else None
    path = item.get("path") if isinstance(item, dict) else None
    if not isinstance(query, str) or not isinstance(path, str):
        raise InputError(f"{where}: query and path must be texts")
    place = "/".join(path.split("/")[-2:])
    if "/" not in place or {"", ".", ".."} & set(place.split("/")):
        raise InputError(f"{where}: path {path[-80:]!r} does not end in Category/Name")
    folder = library / place
    configs = sorted(folder.glob("config*.json")) if kind_of(folder) == "folder" else []
    if not configs:
        raise InputError(f"{where}: {folder} has no config*.json")
    schemas = read_json(configs[0])
    offered = {tool.name for tool in read_tools(schemas, configs[0])}
    lacking = [name for name in ("ask_to_user", "finish") if name not in offered]
    messages = [{"role": "system", "content": json.dumps(schemas + execute.schemas(lacking))},
                {"role": "user", "content": query}]
    conversation = read_item({"conversations": messages}, where)
    return Task(f"{place}/{index}", conversation.tools, conversation.turns, (),
                group=place.partition("/")[0])


def place(task):
    """Category/Name of the tools of a query, which its id begins with."""
    return task.id.rpartition("/")[0]


def server(library, seconds, names=""):
    """The `execute` of evaluation/dialogue.py: function of (task, call) -> feedback.

    names: of the environment's variables that the tools see, with commas. Raises InputError for
    one that is not set.
    """
    named = [name for name in names.split(",") if name]
    for name in named:
        if name not in os.environ:
            raise InputError(f"--tool-env {name}: is not set")
    environment = {name: os.environ[name] for name in (*ENVIRONMENT, *named) if name in os.environ}
    return lambda task, call: run(library, task, call, seconds, environment)


def check(library, tasks):
    """Raises InputError unless the library has the tools of every task and what they import.

    Without a package that Python lacks every call of the tool would count as the model's error.
    """
    missing = {}  # package -> the first file that wants it
    for where in dict.fromkeys(map(place, tasks)):
        file = Path(library, where, "tool.py")
        if kind_of(file) != "file":
            raise InputError(f"--tool-library {library}: has no {where}/tool.py")
        for package in _imports(file):
            if find_spec(package) is None and not _is_in(library, package):
                missing.setdefault(package, f"{where}/tool.py")
    if missing:
        wanted = ", ".join(f"{package} ({file})" for package, file in missing.items())
        raise InputError(f"--tool-library {library}: tools import packages that are not installed: "
                         f"{wanted}; install them, or name --queries without these tools")


def _is_in(library, package):
    return bool(kind_of(Path(library, package)) or kind_of(Path(library, f"{package}.py")))


def _imports(file):
    """The packages that a file imports at its top level; none if it is no Python.

    In that case each call will say so.
    """
    try:
        statements = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError):  # ValueError: null bytes
        return
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (name.name.partition(".")[0] for name in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            yield statement.module.partition(".")[0]


def run(library, task, call, seconds, environment):
    """Execute a call in a process of its own -> the feedback, a text for any call and any tool.

    environment: its variables. After `seconds` the process is killed, and with it those that it
    started, except one that has made a session of its own.
    """
    if call.name not in {tool.name for tool in task.tools}:
        return f"name '{call.name:.80}' is not defined"
    # "." is the library, in which the process starts
    search_path = [".", *filter(None, [os.environ.get("PYTHONPATH")])]
    # The result goes to a file: a pipe would be open as long as any of the processes lives.
    with tempfile.TemporaryFile() as result:
        process = subprocess.Popen(
            [sys.executable, "-P", RUN_TOOL, place(task), call.name, str(seconds),
             str(os.getpid())],
            cwd=library, env=environment | {"PYTHONPATH": os.pathsep.join(search_path)},
            start_new_session=True,
            stdin=subprocess.PIPE, stdout=result, stderr=subprocess.DEVNULL)
        try:
            process.communicate(json.dumps(call.arguments).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"Request timed out after {seconds:g} seconds."
        finally:
            _kill_group(process)
        result.seek(0)
        text = result.read(LARGEST_RESULT).decode(errors="replace")
    status = process.returncode
    if not text:
        return f"Error: the tool ended with status {status}, without a result."
    if status and not feedback.classify(text, call.name, task.tools).is_error:
        return f"Error: {text}"  # an exception, though its text does not sound like one
    return text


def _kill_group(process):
    """End a process and all that it started, as far as they are still there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.stdin.close()
    process.wait()
