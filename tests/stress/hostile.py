"""Does wrong input end in one line? A seeded mutator breaks valid files and flags.

    python -m tests.stress.hostile --count 300 --seed 0

Each case is a valid set of inputs with one thing broken, and knows which one: a required key that
is dropped, has a wrong type or comes twice; NaN, half a surrogate pair, absurd numbers, deep
nesting; a file that is cut, empty, absent, unreadable, a directory or no UTF-8; weights whose
header, shapes, types or values lie; a tokenizer that is cut or overwritten; wrong flags; paths that
are too long, closed, devices, links to themselves or no UTF-8, for every script; records, results
and weights that are there twice, too few, in a place that is another's, or under another key;
damage in a run's own folder.

A case must end in one line that begins with "error:" and names the file or flag, with exit status
2, and every file must be as it was. Marks inside the values of calls are no error: such predictions
must be scored as right. A script may also pass over a damaged checkpoint with a line,
if weights and log at the end are those of the undisturbed run. A change that leaves a valid input
is no
case: another number where any will do, another letter in a text.

A case runs in a forked child, which spares the three seconds of importing torch; --processes N
repeats N of the cases in processes of their own.
"""

import argparse
import encodings.utf_16_le  # noqa: F401  an unprivileged child may be unable to read it later
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch

import dpo
import evaluate
import model
import ppo
import preferences
import sft
import show as show_page
import tokenizer
from data import feedback
from data.tools import write_call
from evaluation import download
from evaluation.benchmarks import __main__ as benchmarks
from evaluation.benchmarks.bfcl import CATEGORIES
from plumbing import checkpoints, unpickle
from plumbing.flags import cli
from pretraining import pretrain
from tests.conftest import CONFIG, ITEMS, ROOT, schema
from toolbox import from_functions, synthesize

SCRIPTS = {"sft.py": sft.main, "ppo.py": ppo.main, "evaluate.py": evaluate.main,
           "preferences.py": preferences.main, "dpo.py": dpo.main,
           "-m evaluation.benchmarks": benchmarks.main, "model.py": model.main,
           "show.py": show_page.main, "-m data.feedback": feedback.main,
           "-m evaluation.download": download.main, "-m pretraining.pretrain": pretrain.main,
           "-m toolbox.synthesize": synthesize.main, "-m plumbing.unpickle": unpickle.main,
           "-m toolbox.from_functions": from_functions.main}
LIMIT = 120         # seconds until a case counts as hanging
MEMORY = 6 * 2**30  # bytes that a case may take beyond what it starts with
CPU = ["--device", "cpu"]
SFT = ["sft.py", "--model", "m", "--data", "raw.json", "--out", "run", "--dtype", "fp32", *CPU]
PPO = ["ppo.py", "--model", "m", "--out", "run", "--num-prompts", "2", "--batch-size", "2",
       "--epochs", "1", "--max-new-tokens", "2", *CPU]
PREFERENCES = ["preferences.py", "--model", "m", "--out", "run", "--num-prompts", "2",
               "--batch-size", "2", "--max-new-tokens", "2", *CPU]
DPO = ["dpo.py", "--model", "m", "--data", "preferences", "--out", "run", "--num-pairs", "0",
       "--batch-size", "2", *CPU]
SCORE = ["evaluate.py", "--data", "bench"]
EVALUATE = [*SCORE, *CPU]
ANSWER = [*EVALUATE, "--model", "m", "--max-new-tokens", "2", "--out", "answers"]


class Case(NamedTuple):
    """A broken input and the command that must refuse it."""
    kind: str               # the row of the table
    what: str               # what was broken
    command: list[str]      # a script of SCRIPTS and its arguments
    names: tuple[str, ...]  # the line must hold one of these
    right: int = 0          # not broken: so many items must be scored as right


class Result(NamedTuple):
    """How a case ended."""
    verdict: str  # one of VERDICTS
    output: str


VERDICTS = ("one line", "passed over", "read right", "not named", "traceback", "hang", "accepted",
            "damage")
GOOD = VERDICTS[:3]


# ----------------------------------------------------------------------------------- what is valid

def write(path, value):
    """Write a JSON value, or a text as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def fixtures(folder):
    """Write a valid input of every kind; each case is a copy of them with one thing broken."""
    query = "How warm is it in Bergen?"
    call = 'get_weather(city="Bergen")'
    system = {"role": "system", "content": ITEMS[0]["conversations"][0]["content"]}
    user = {"role": "user", "content": query}
    write(folder / "raw.json", ITEMS * 2)
    write(folder / "pairs.json", [{"conversations": [system, user], "gold": call}] * 3)
    prompt = f"System: Function:\ndef get_weather(city: string):\nUser: {query}\nAssistant:"
    write(folder / "released.json", [{"instruction": prompt, "output": call}] * 3)
    _write_benchmarks(folder / "bench", system, user, call)
    write(folder / "predictions.jsonl",
          _lines({"index": i, "prediction": call} for i in range(3)))
    answer = 'Action: get_weather\nAction Input: {"city": "Bergen"}'
    turn = {"from": "assistant", "value": answer}
    write(folder / "rotbench.json", [{"conversations": [turn]}] * 3)
    _write_with_ids(folder, call)
    write(folder / "library/Weather/Now/tool.py", "def get_weather(city):\n    return city\n")
    write(folder / "library/Weather/Now/config.json", [schema("get_weather", city="string")])
    write(folder / "queries.json", [{"query": query, "path": "library/Weather/Now"}] * 2)
    texts = [json.dumps(ITEMS, ensure_ascii=False), "Function: Args: System User Assistant Output"]
    (folder / "m").mkdir()
    tokenizer.train(texts * 3, folder / "m/tokenizer.model", vocab_size=350)
    write(folder / "m/config.json", CONFIG)
    transformer = model.initialise(model.read_config(folder / "m/config.json"))
    model.save(transformer, folder / "m")
    shutil.copytree(folder / "m", folder / "sharded")
    model.save(transformer, folder / "sharded", shard_bytes=60_000)
    model.load(folder / "m")  # imports half a second's worth, once for all children
    _write_preferences(folder, tokenizer.Tokenizer(folder / "m"), prompt, call)
    _write_runs(folder)


def _write_preferences(folder, words, prompt, call):
    """Pairs for dpo.py: a gold and two wrong calls, three times."""
    def called(text):
        return {"text": text, "ids": words.encode(text), "ended": True, "gold": text == call,
                "branch": None, "kind": "", "score": float(text == call)}

    wrong = [called('get_weather(city="Oslo")'), called("finish()")]
    (folder / "preferences").mkdir()
    write(folder / "preferences/pairs.jsonl", _lines(3 * [{
        "prompt_ids": [words.bos_id, *words.encode(prompt)], "gold": call, "chosen": called(call),
        "rejected": wrong, "path": None}]))


def _write_with_ids(folder, call):
    """Two calls in a row with their results, as a trajectory and as messages; predictions by id."""
    system, user, first, result = ITEMS[2]["conversations"][:4]
    calls = [first | {"id": id} for id in ("1", "2")]
    results = [result | {"tool_call_id": id} for id in ("1", "2")]
    write(folder / "parallel.json",
          [{"conversations": [system, user, *calls, *results, user]}] * 2)
    arguments = '{"topic": "cats"}'
    calls = [{"id": id, "function": {"name": "get_news", "arguments": arguments}}
             for id in ("1", "2")]
    results = [{"role": "tool", "tool_call_id": id, "content": "[]"} for id in ("1", "2")]
    write(folder / "chat.json", [{
        "messages": [user, {"role": "assistant", "content": None, "tool_calls": calls}, *results],
        "tools": json.loads(system["content"])}] * 2)
    call = f'<tool_call>{{"name": "get_news", "arguments": {arguments}}}</tool_call>'
    said = (("system", f"<tools>{system['content']}</tools>"), ("human", user["content"]),
            ("gpt", call), ("tool", "<tool_response>[]</tool_response>"))
    write(folder / "tagged.json", [
        {"conversations": [{"from": speaker, "value": text} for speaker, text in said]}] * 2)
    write(folder / "by_id.jsonl", _lines(
        {"id": f"{category}_{i}", "result": call} for category in CATEGORIES[::-1]
        for i in range(2)))


def _lines(values):
    """A text of JSON values, one a line."""
    return "".join(json.dumps(value) + "\n" for value in values)


def _write_benchmarks(folder, system, user, call):
    query = user["content"]
    react = 'Thought:\nAction: get_weather\nAction Input: {"city": "Bergen"}'
    shown = [{"from": "system", "value": f"Tools: {system['content']}\n\nLet's Begin!"},
             {"from": "user", "value": f"{query}\nBegin!\n"}]
    write(folder / "heldout_single.json", [
        {"id": f"a/{i}", "conversations": [system, user], "gold": call, "tools": "seen"}
        for i in range(3)])
    write(folder / "heldout_multi.json", [
        {"id": f"b/{i}", "conversations": [system, user], "expected": "7"} for i in range(2)])
    answered = [*shown, {"from": "assistant", "value": [react]}]
    write(folder / "First_Turn/clean.json",
          [{"scenario": "weather", "conversations": answered}] * 3)
    write(folder / "scenario_data_zero_processed.json", [
        {"path": "x/Weather/Now", "scenario": "weather", "conversations": shown}] * 2)
    function = schema("get_weather", "", ["city"], city="string")["function"]
    for category in CATEGORIES:
        task = {"question": [[user]], "ground_truth": [call], "function": [function]}
        write(folder / f"BFCL_v3_{category}.json",
              _lines({"id": f"{category}_{i}", **task} for i in range(2)))
    write(folder / "eval_real.json", [{
        "Name": "weather", "Authentication": {}, "Instructions": [query],
        "Function_Description": {
            "get_weather": 'Weather.\nParameters: {"city": "Required. string. A city."}'},
        "Function_Projection": {"get_weather": "GET /weather"},
        "Golden_Answers": [[{"Action": "get_weather", "Action_Input": '{"city": "Bergen"}'}]]}])


def _write_runs(folder):
    """Runs of sft.py and ppo.py that were killed after two steps, and an answer of evaluate.py."""
    for out in RUNS:
        result = in_child(RUNS[out], folder, prepare=lambda: _die_at_save(3))
        assert result[0] == -signal.SIGKILL, result
        for left in (folder / out / "checkpoints").glob("*.part"):
            shutil.rmtree(left)
        shutil.copytree(folder / out, folder / "whole" / out)
        assert in_child([*RUNS[out], "--out", f"whole/{out}"], folder)[0] == 0
    assert in_child([*ANSWER, "--limit", "1"], folder)[0] == 0


def _die_at_save(number):
    """Make this process kill itself at its checkpoint `number`, counted from 1."""
    original = checkpoints.save_file
    calls = []

    def save_file(*arguments, **more):
        calls.append(0)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **more)

    checkpoints.save_file = save_file


KEPT = ["--save-every", "1", "--keep", "2"]
RUNS = {"sft-run": [*SFT, *KEPT, "--epochs", "2", "--out", "sft-run"],
        "dpo-run": [*DPO, *KEPT, "--epochs", "2", "--out", "dpo-run"],
        "ppo-run": [*PPO, *KEPT, "--data", "pairs.json", "--num-prompts", "3", "--batch-size", "1",
                    "--epochs", "2", "--out", "ppo-run"]}


# ---------------------------------------------------------------------------------------- one case

def in_child(command, folder, prepare=lambda: None, unprivileged=False):
    """Run a script in a forked child inside `folder` -> (exit status, stdout, stderr).

    The exit status is None for a hang.
    """
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+b") as out, tempfile.TemporaryFile("w+b") as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os._exit(_as_script(command, folder, prepare, unprivileged))
        status = _exit_status(child)
        out.seek(0)
        err.seek(0)
        return status, out.read().decode(errors="replace"), err.read().decode(errors="replace")


def _exit_status(child):
    """Wait for a child -> its exit status; kill it after LIMIT seconds -> None."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _as_script(command, folder, prepare, unprivileged):
    """In the child: what `python SCRIPT arguments...` would do -> its exit status."""
    os.chdir(folder)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  open as long as the child lives
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  likewise
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + _address_space(),) * 2)
    if unprivileged and os.geteuid() == 0:
        os.setuid(65534)
    sys.argv = command
    prepare()
    status = 0
    try:
        cli(SCRIPTS[command[0]])
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _address_space():
    return int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def in_process(command, folder):
    """The same in a process of its own, as a user would run it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    script = command[0].split() if command[0].startswith("-m") else [str(ROOT / command[0])]
    done = subprocess.run([sys.executable, *script, *command[1:]], cwd=folder, capture_output=True,
                          env=environment, timeout=LIMIT)
    out = done.stdout.decode(errors="replace")
    err = done.stderr.decode(errors="replace")
    return done.returncode, out, err


def state(folder):
    """{path: hash} of all files in a folder; for a directory or a broken link its kind.

    A lock, which names its last holder, is left out.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "lock":
            continue
        if path.is_file() and os.access(path, os.R_OK):
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_file():  # closed to an ordinary user
            found[str(path)] = f"{path.stat().st_size} bytes"
        else:
            found[str(path)] = "link" if path.is_symlink() else "directory"
    return found


def run(case, folder, execute=in_child):
    """Run a case in its folder -> Result."""
    before = state(folder)
    if execute is in_child:
        # for root everything is readable
        unprivileged = "unreadable" in case.what or "closed" in case.what
        status, out, err = in_child(case.command, folder, unprivileged=unprivileged)
    else:
        status, out, err = execute(case.command, folder)
    after = state(folder)
    output = f"exit status {status}\n{out[-300:]}\n{err[-1500:]}"
    lines = [line for line in err.splitlines() if line.strip()]
    if status is None:
        return Result("hang", output)
    if status == 0 and case.right:
        scores = json.loads((folder / "scores/scores.json").read_text())
        return Result("read right" if scores["CF"] == case.right else "accepted", output)
    if status == 0:
        return Result("passed over" if _same_end(case, folder, out) else "accepted", output)
    if status != 2 or len(lines) != 1 or not lines[0].startswith("error: "):
        return Result("traceback", output)
    if any(after.get(path) != was for path, was in before.items()):
        return Result("damage", output)
    is_named = any(name in lines[0] for name in case.names)
    return Result("one line" if is_named else "not named", output)


def _same_end(case, folder, out):
    """Whether a run told what it passes over, and ended like the undisturbed one."""
    own = case.command[-1]
    if own not in RUNS or "ignored" not in out:
        return False
    return all((folder / own / name).read_bytes() == (folder / "whole" / own / name).read_bytes()
               for name in ("model.safetensors", "metrics.jsonl"))


# ---------------------------------------------------------------------------- breaking JSON values

# Steps of an address besides keys and places:
ANY = object()   # some place of a list
JSON = object()  # into the JSON that a text holds
CALL = object()  # into the JSON after the first line of a text
RAW = "@raw@{}@raw@"  # a mark around what is written as it stands, though it is no JSON


def dumps(value):
    """JSON of a value with marks: RAW, and "@again@key" for a key that comes twice."""
    text = json.dumps(value).replace("@again@", "")
    return re.sub(r'"@raw@(.*?)@raw@"', lambda match: match[1], text)


def edit(value, address, change, rng):
    """Apply change(container, key, rng) at an address of keys, places and steps -> the value."""
    step, *rest = address
    if step is JSON:
        return dumps(edit(json.loads(value), rest, change, rng))
    if step is CALL:
        name, _, text = value.partition("\n")
        return name + "\n" + dumps(edit(json.loads(text), rest, change, rng))
    if step is ANY:
        step = rng.randrange(len(value))
    if rest:
        value[step] = edit(value[step], rest, change, rng)
    else:
        change(value, step, rng)
    return value


def drop(container, key, rng):
    del container[key]


def nothing(container, key, rng):
    container[key] = None


def wrong_type(container, key, rng):
    was = type(container[key])
    others = (5, -1.5, True, False, 0, "", "text", [], {}, [5], {"a": 5})
    container[key] = rng.choice([other for other in others if type(other) is not was
                                 and {was, type(other)} != {int, float}])


def twice(container, key, rng):
    """The key comes twice, with different values; a reader would see one of them."""
    container[f"@again@{key}"] = "other" if isinstance(container[key], str) else None


def misspelt(container, key, rng):
    container[key[:-1] + key[-1] * 2] = container.pop(key)


def surrogate(container, key, rng):
    container[key] = rng.choice(["\ud800", "a\udfffb"])


def no_number(container, key, rng):
    container[key] = RAW.format(rng.choice(["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000,
                                            "01"]))


def deep(container, key, rng):
    depth = rng.choice([200, 980, 100_000])
    container[key] = RAW.format("[" * depth + "]" * depth)


IN_OBJECTS = (drop, nothing, wrong_type, twice, misspelt, surrogate, no_number, deep)
# The format does without parameters, and an argument may have any type.
# An empty list, PHP's empty object, is no wrong type for parameters.
OPTIONAL = {"parameters": (twice, surrogate, no_number, deep),
            "answer": (twice, surrogate, no_number, deep)}
TURN = ("conversations", ANY)
TOOL = ("conversations", 0, "content", JSON, ANY)
CONVERSATION = [("conversations",), (*TURN, "role"), (*TURN, "content"),
                (*TOOL, "function", "name"), (*TOOL, "function", "parameters"),
                ("conversations", 0, "content")]
RAW_CALL = ("conversations", -1, "content", CALL, "answer")
MESSAGES = [("conversations",), (*TURN, "from"), (*TURN, "value"), ("scenario",)]
CHAT = [*SFT[:3], "--data", "chat.json", *SFT[5:]]
TAGGED = [*SFT[:3], "--data", "tagged.json", *SFT[5:]]
PARALLEL = [*SFT[:3], "--data", "parallel.json", *SFT[5:]]
BY_ID = [*SCORE, "--bench", "bfcl", "--predictions", "by_id.jsonl"]
TRANSCRIPTS = ["evaluate.py", "--bench", "transcripts", "--predictions", "raw.json"]
LIBRARY = ["evaluate.py", "--bench", "tooleyes", "--tool-library", "library",
           "--queries", "queries.json", "--model", "m", "--max-new-tokens", "2", *CPU]
# kind of input -> [(file, addresses of what its format requires, command that reads it)]
FORMATS = {
    "trajectories": [("raw.json", CONVERSATION, SFT),
                     ("raw.json", CONVERSATION, [*PPO, "--data", "raw.json"]),
                     ("raw.json", [RAW_CALL], SFT)],
    "pairs for ppo": [("pairs.json", [*CONVERSATION, ("gold",)], [*PPO, "--data", "pairs.json"]),
                      ("pairs.json", [*CONVERSATION, ("gold",)],
                       [*PREFERENCES, "--data", "pairs.json"]),
                      ("released.json", [("instruction",), ("output",)],
                       [*PPO, "--data", "released.json"])],
    "pairs for dpo": [("preferences/pairs.jsonl", [
        ("prompt_ids",), ("chosen",), ("rejected",), ("chosen", "ids"), ("chosen", "text"),
        ("rejected", ANY, "ids"), ("rejected", ANY, "text"), ("rejected", ANY, "ended")], DPO)],
    "benchmark files": [
        ("bench/heldout_single.json", [*CONVERSATION, ("gold",), ("tools",)],
         [*SCORE, "--predictions", "predictions.jsonl"]),
        ("bench/heldout_multi.json", [*CONVERSATION, ("expected",)],
         ["-m evaluation.benchmarks", "toolbox", "--data", "bench"]),
        ("bench/First_Turn/clean.json", MESSAGES,
         [*SCORE, "--bench", "rotbench", "--level", "clean",
          "--predictions", "rotbench.json"]),
        ("bench/scenario_data_zero_processed.json", [*MESSAGES, ("path",)],
         ["-m evaluation.benchmarks", "tooleyes", "--data", "bench"]),
        ("bench/BFCL_v3_exec_parallel.json",
         [("id",), ("question",), ("function",), ("ground_truth",),
          ("question", 0, 0, "content"), ("function", 0, "name")],
         ["-m evaluation.benchmarks", "bfcl", "--data", "bench"]),
        ("bench/eval_real.json", [
            ("Name",), ("Instructions",), ("Function_Description",),
            ("Function_Projection",), ("Golden_Answers",), ("Golden_Answers", 0, 0, "Action"),
            ("Golden_Answers", 0, 0, "Action_Input"), ("Function_Description", "get_weather")],
         ["-m evaluation.benchmarks", "toolalpaca", "--data", "bench"])],
    "predictions": [("predictions.jsonl", [("index",), ("prediction",)],
                     [*SCORE, "--predictions", "predictions.jsonl"]),
                    ("rotbench.json", [("conversations",), ("conversations", 0, "value")],
                     [*SCORE, "--predictions", "rotbench.json"])],
    "chat files": [("chat.json", [
        ("messages",), ("messages", ANY, "role"), ("messages", 0, "content"),
        ("messages", 2, "content"), ("messages", 1, "tool_calls", ANY, "function", "name"),
        ("messages", 1, "tool_calls", ANY, "function"), ("tools", ANY, "function", "name")],
        command) for command in (CHAT, [*PPO, "--data", "chat.json"])]
    + [("tagged.json", [("conversations",), ("conversations", ANY, "from"),
                        ("conversations", ANY, "value")], command)
       for command in (TAGGED, [*PPO, "--data", "tagged.json"])],
    "transcripts": [("raw.json", CONVERSATION, TRANSCRIPTS)],
    "queries, library": [
        ("queries.json", [("query",), ("path",)], LIBRARY),
        ("library/Weather/Now/config.json",
         [("function", "name"), ("function",), ("function", "parameters")], LIBRARY)],
}


def json_case(rng, kind, folder):
    """Break one value, or the file as a whole."""
    name, addresses, command = rng.choice(FORMATS[kind])
    path = folder / name
    if rng.random() < 0.3:
        what = break_file(rng, path, rng.choice(TEXT_FILE))
        return Case(kind, f"{name}: {what}", command, (path.name, path.parent.name + " has no"))
    has_lines = name.endswith("jsonl") or "BFCL" in name
    if has_lines:
        items = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        items = json.loads(path.read_text())
    address = rng.choice(addresses)
    change = rng.choice(OPTIONAL.get(address[-1], IN_OBJECTS))
    place = rng.randrange(len(items))
    edit(items, (place, *address), change, rng)
    if has_lines:
        path.write_text("\n".join(map(dumps, items)) + "\n")
    else:
        path.write_text(dumps(items))
    marks = {ANY: "*", JSON: "(json)", CALL: "(call)"}
    shown = ".".join(marks.get(step, str(step)) for step in address)
    return Case(kind, f"{name}: item {place}, {shown}: {change.__name__}", command, (path.name,))


# ---------------------------------------------------------------------------------- breaking files

def break_file(rng, path, how):
    """Damage a file as a whole -> what was done. No way leaves what could be read as before."""
    data = path.read_bytes()
    if how == "cut":
        places = [at for at in range(1, len(data.rstrip()) - 1)
                  if b"\n" not in data[at - 1:at + 1]]
        kept = rng.choice(places)
        path.write_bytes(data[:kept])
        return f"cut after {kept} of {len(data)} bytes"
    if how in ("a directory", "absent", "a link to itself"):
        path.unlink()
        if how == "a directory":
            path.mkdir()
        elif how == "a link to itself":
            path.symlink_to(path.name)
    elif how == "unreadable":
        path.chmod(0)
    else:
        at = rng.randrange(len(data))
        other = rng.choice([b"{}", b"5", b'"text"', b"null", b"[5]", b"[[]]"])
        path.write_bytes({
            "empty": b"", "white space": b" \n\n", "not UTF-8": data[:at] + b"\xff" + data[at:],
            "UTF-16": data.decode(errors="replace").encode("utf-16"), "NUL bytes": bytes(len(data)),
            "another value": other,
            "random bytes": rng.randbytes(len(data)), "more after the end": data + b"]",
            "single quotes": data.replace(b'"', b"'"), "deep": b"[" * 200_000}[how])
    return how


TEXT_FILE = (
    "cut", "cut", "a directory", "absent", "a link to itself", "unreadable", "empty",
    "white space", "not UTF-8", "UTF-16", "NUL bytes", "another value", "random bytes",
    "more after the end", "single quotes", "deep")
BYTES_FILE = (
    "cut", "cut", "a directory", "absent", "a link to itself", "unreadable", "empty",
    "NUL bytes", "random bytes")

USES_MODEL = ([*SFT], [*PPO, "--data", "pairs.json"], [*DPO],
              [*PREFERENCES, "--data", "pairs.json"],
              [*EVALUATE, "--model", "m", "--max-new-tokens", "2"])


def config_case(rng, kind, folder):
    """A key of config.json that is missing, malformed, absurd, or contradicts weights or keys."""
    path = folder / "m/config.json"
    command = rng.choice((*USES_MODEL, [*SFT, "--plan", "8"]))
    is_plan = "--plan" in command  # which reads no weights
    if rng.random() < 0.25:
        what = break_file(rng, path, rng.choice(TEXT_FILE))
        return Case(kind, what, command, ("config.json",))
    config = json.loads(path.read_text())
    required = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                "num_attention_heads")
    every = tuple(key for key in config if key in model.Config.__dataclass_fields__)
    of_any_size = {"initializer_range", "max_position_embeddings", "bos_token_id", "eos_token_id",
                   "rope_theta", "rms_norm_eps"}
    shapes = [key for key in every if key not in of_any_size and key != "tie_word_embeddings"]
    change, keys = rng.choice([
        (drop, required), (nothing, required), (misspelt, required), (wrong_type, every),
        (twice, every), (no_number, every), (deep, every), (surrogate, every), (huge, every),
        (negative, every), (other_size, ("num_attention_heads",) if is_plan else shapes),
        (not_built, NOT_BUILT), (contradictory, CONTRADICTORY)])
    key = rng.choice(tuple(keys))
    only_weights_tell = ("tie_word_embeddings", "num_key_value_heads")
    while is_plan and key in only_weights_tell and change in (contradictory, other_size):
        key = rng.choice(tuple(keys))
    change(config, key, rng)
    path.write_text(dumps(config))
    return Case(kind, f"{key}: {change.__name__}", command,
                ("config.json", "m:", "model.safetensors"))


def huge(config, key, rng):
    largest = 2 * 10**9 if key == "num_hidden_layers" else 10**30
    config[key] = rng.choice([10**12, 10**18, 10**400, largest])


def negative(config, key, rng):
    config[key] = rng.choice([-1, -10**9])


def other_size(config, key, rng):
    if key == "hidden_size":
        config[key] = 30
    else:
        config[key] += rng.choice([-1, 1, 3])


NOT_BUILT = {"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "hidden_act": "gelu",
             "attention_bias": True, "mlp_bias": True, "model_type": "gpt2",
             "partial_rotary_factor": 0.5}
CONTRADICTORY = {"tie_word_embeddings": True, "rope_theta": 0,
                 "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
                 "rms_norm_eps": 0, "num_key_value_heads": 3, "head_dim": 5}


def not_built(config, key, rng):
    config[key] = NOT_BUILT[key]


def contradictory(config, key, rng):
    config[key] = CONTRADICTORY[key]


# ----------------------------------------------------------------------------------------- weights

def parts(path):
    """A safetensors file -> (header, body)."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), bytearray(data[8 + length:])


def join(path, header, body, length=None):
    """Write a safetensors file; length: what it says of its header, the truth if not given."""
    text = (header if isinstance(header, str) else dumps(header)).encode()
    length = len(text) if length is None else length
    path.write_bytes(struct.pack("<Q", length) + text + bytes(body))


def weights_case(rng, kind, folder):
    """The file as a whole, its header, or the numbers."""
    path = folder / "m/model.safetensors"
    command = rng.choice(USES_MODEL)
    header, body = parts(path)
    name = rng.choice([name for name in header if name != "__metadata__"])
    change = rng.choice(("file", "length", "no header", *HEADER, *HEADER, not_finite, not_finite))
    if change == "file":
        return Case(kind, break_file(rng, path, rng.choice(BYTES_FILE)), command, (path.name,))
    if change == "length":
        length = rng.choice([0, 1, 100, 2**31, 2**40, 2**63, 2**64 - 1])
        join(path, header, body, length)
        return Case(kind, f"header of {length} bytes", command, (path.name,))
    if change == "no header":
        text = rng.choice(["{}", "[]", "5", "", '{"a": 5}', "[" * 1000, dumps(header)[:-1],
                           '{"\\ud800": 5}'])
        join(path, text, body)
        return Case(kind, f"header {text[:20]!r}", command, (path.name, "m:"))
    change(header, body, name, rng)
    join(path, header, body)
    return Case(kind, f"{name}: {change.__name__}", command, (path.name, "m:"))


def missing(header, body, name, rng):
    """The tensor's bytes go with it, so that the file is whole."""
    first, last = header.pop(name)["data_offsets"]
    del body[first:last]
    for entry in header.values():
        if "data_offsets" in entry and entry["data_offsets"][0] >= last:
            entry["data_offsets"] = [offset - (last - first) for offset in entry["data_offsets"]]


def extra(header, body, name, rng):
    header[f"{name}.bias"] = {"dtype": "F32", "shape": [2],
                              "data_offsets": [len(body), len(body) + 8]}
    body += bytes(8)


def renamed(header, body, name, rng):
    header[name.replace("model", "transformer").replace("lm_", "head_")] = header.pop(name)


def overlapping(header, body, name, rng):
    """It names the bytes of another tensor of its size, so that its own belong to none."""
    same = [other["data_offsets"] for key, other in header.items()
            if key not in (name, "__metadata__")]
    header[name]["data_offsets"] = rng.choice(same)


def out_of_range(header, body, name, rng):
    first, last = header[name]["data_offsets"]
    header[name]["data_offsets"] = rng.choice([
        [first, last + 4], [first + len(body), last + len(body)], [last, first], [-4, last],
        [first, 2**63], [first], [first, last, last], "all", None, [first, 2**70]])


def shaped(header, body, name, rng):
    shape = header[name]["shape"]
    header[name]["shape"] = rng.choice([[*shape, 2], shape[::-1] * 2, [*shape, 1], [-1],
                                        [2**40, 2**40], [], None, [0], "32"])


def retyped(header, body, name, rng):
    header[name]["dtype"] = rng.choice(["I32", "U32", "F16", "F64", "I64", "U8", "BOOL", "F8_E4M3",
                                        "F31", "", 5, None, "f32"])


def keyless(header, body, name, rng):
    del header[name][rng.choice(("dtype", "shape", "data_offsets"))]


def in_half(header, body, name, rng):
    """Twice as many numbers of half the size in the same bytes."""
    header[name] |= {"dtype": rng.choice(["F16", "BF16"]),
                     "shape": [header[name]["shape"][0] * 2, *header[name]["shape"][1:]]}


def named_twice(header, body, name, rng):
    other = rng.choice([key for key in header if key not in (name, "__metadata__")])
    header[f"@again@{name}"] = header[other]


def not_finite(header, body, name, rng):
    first, last = header[name]["data_offsets"]
    at = first + 4 * rng.randrange((last - first) // 4)
    body[at:at + 4] = struct.pack("<f", rng.choice([float("nan"), float("inf"), -float("inf")]))


HEADER = (missing, extra, renamed, overlapping, out_of_range, shaped, retyped, keyless, in_half,
          named_twice)


def index_case(rng, kind, folder):
    """model.safetensors.index.json, and the shards beside it."""
    shutil.rmtree(folder / "m")
    shutil.copytree(folder / "sharded", folder / "m")
    path = folder / "m/model.safetensors.index.json"
    command = rng.choice(USES_MODEL)
    shards = sorted((folder / "m").glob("model-*.safetensors"))
    if rng.random() < 0.5:
        broken = rng.choice([path, *shards])
        how = rng.choice(TEXT_FILE if broken == path else BYTES_FILE)
        what = break_file(rng, broken, how)
        return Case(kind, f"{broken.name}: {what}", command, (broken.name, "m/model.safetensors"))
    index = json.loads(path.read_text())
    where = index["weight_map"]
    name = rng.choice(sorted(where))
    others = [shard.name for shard in shards if shard.name != where[name]]
    change = rng.choice(IN_OBJECTS)
    if rng.random() < 0.4:
        where[name] = rng.choice([rng.choice(others), "absent.safetensors", "../m", "/etc/passwd",
                                  "", "a\0b", "x" * 5000, "config.json", "\ud800"])
        what = f"{name} in {where[name][:20]!r}"
    else:
        container, key = rng.choice([(index, "weight_map"), (where, name)])
        change(container, key, rng)
        what = f"{key}: {change.__name__}"
    path.write_text(dumps(index))
    return Case(kind, what, command, ("m:", path.name, "safetensors", "m/"))


def tokenizer_case(rng, kind, folder):
    """The SentencePiece model as a whole, one that does not fit, or one that changes text."""
    path = folder / "m/tokenizer.model"
    command = rng.choice(USES_MODEL)
    how = rng.choice((*BYTES_FILE, "cut", "cut", "cut", "JSON", "overwritten", "other", "no text"))
    if how == "JSON":
        path.write_text(json.dumps({"version": "1.0", "model": {"type": "BPE"}}))
    elif how == "overwritten":  # the first piece, with the lengths that all the rest depends on
        data = bytearray(path.read_bytes())
        data[:20] = rng.randbytes(20)
        path.write_bytes(data)
    elif how == "no text":  # in some pieces
        path.write_bytes(path.read_bytes().replace("▁".encode(), b"\xe2\x96\xff", 3))
    elif how == "other":
        how = other_tokenizer(rng, path)
    else:
        how = break_file(rng, path, how)
    return Case(kind, how, command, ("tokenizer.model",))


def other_tokenizer(rng, path):
    """Write a whole SentencePiece model that does not fit -> why it does not."""
    text = [json.dumps(item, ensure_ascii=False) for item in ITEMS] * 3
    how = rng.choice(["too many pieces", "changes white space", "no byte pieces", "no </s>"])
    options = {"too many pieces": {"vocab_size": 351},
               "changes white space": {"remove_extra_whitespaces": True},
               "no byte pieces": {"byte_fallback": False, "vocab_size": 100},
               "no </s>": {"eos_id": -1}}[how]
    settings = {"vocab_size": 350, "model_type": "bpe", "byte_fallback": True,
                "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
                "allow_whitespace_only_pieces": True, "character_coverage": 1.0,
                "hard_vocab_limit": False, "num_threads": 1, "minloglevel": 2} | options
    with open(path, "wb") as file:
        tokenizer.sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_writer=file, **settings)
    return how


# ----------------------------------------------------------------------- what is not where it seems

def moved_case(rng, kind, folder):
    """Results, records, weights or parameters that are another's, or there twice."""
    make = rng.choice((moved_result, moved_result, wrong_record, renamed_parameters, two_sets))
    return make(rng, kind, folder)


def moved_result(rng, kind, folder):
    """A result that is missing, there twice, somewhere else, or that has another call's id."""
    name, command, key = rng.choice((
        ("parallel.json", PARALLEL, "conversations"), ("chat.json", CHAT, "messages"),
        ("parallel.json", [*PPO, "--data", "parallel.json"], "conversations"),
        ("parallel.json", [*TRANSCRIPTS[:-1], "parallel.json"], "conversations")))
    items = json.loads((folder / name).read_text())
    messages = rng.choice(items)[key]
    places = [i for i, message in enumerate(messages) if "tool_call_id" in message]
    place = rng.choice(places)
    how = rng.choice(("gone", "twice", "first", "other id", "same id"))
    if how == "gone":
        del messages[place]
    elif how == "twice":
        messages.insert(place, messages[place])
    elif how == "first":  # behind the tools, where the format has them there
        messages.insert(key == "conversations", messages.pop(place))
    else:
        other = messages[sum(places) - place]["tool_call_id"]
        messages[place]["tool_call_id"] = other if how == "same id" else "3"
    write(folder / name, items)
    return Case(kind, f"{name}: a result {how}", command, (name,))


def wrong_record(rng, kind, folder):
    """Records of predictions whose ids or indexes do not tell the items."""
    path = folder / "by_id.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    rng.shuffle(records)
    record = rng.choice(records)
    how = rng.choice(("gone", "twice", "renamed", "unknown", "contradicted"))
    if how == "gone":
        records.remove(record)
    elif how == "twice":
        records.append(record)
    elif how == "renamed":
        record["Id"] = record.pop("id")
    elif how == "unknown":
        record["id"] += "0"
    else:
        record["index"] = [f"{category}_{i}" for category in CATEGORIES
                           for i in range(2)].index(record["id"]) - 1
    path.write_text(_lines(records))
    return Case(kind, f"by_id.jsonl: a record {how}", BY_ID, (path.name,))


def renamed_parameters(rng, kind, folder):
    """All tools have their parameters under a key that nobody reads."""
    items = json.loads((folder / "raw.json").read_text())
    level, key = rng.choice((("parameters", rng.choice((
        "args", "params", "Parameters", "input", "arguments", "properties", "api_parameters"))),
        ("properties", rng.choice(("props", "fields", "Properties")))))
    for raw in items:
        system = raw["conversations"][0]
        tools = json.loads(system["content"])
        for tool in tools:
            holder = tool["function"]
            if level == "properties":
                holder = holder["parameters"]
            holder[key] = holder.pop(level)
        system["content"] = json.dumps(tools)
    write(folder / "raw.json", items)
    command = rng.choice((SFT, [*PPO, "--data", "raw.json"], TRANSCRIPTS))
    return Case(kind, f"raw.json: {level} under {key}", command, ("raw.json",))


def two_sets(rng, kind, folder):
    """A folder with a single file of weights beside shards or their index, or with pickles."""
    how = rng.choice(("single and shards", "single and index", "pickles alone"))
    if how == "pickles alone":
        (folder / "m/model.safetensors").rename(folder / "m/pytorch_model.bin")
    else:
        kept = "model*" if how == "single and shards" else "model*.json"
        for path in (folder / "sharded").glob(kept):
            shutil.copy(path, folder / "m")
    return Case(kind, how, rng.choice(USES_MODEL), ("m:",))


# ------------------------------------------------------------------------------------------- flags

# Wrong flags of each script.
WRONG_SFT = (
    "--batch-size 0", "--batch-size -3", "--batch-size 1.5", "--batch-size x", "--lr nan",
    "--lr inf", "--lr -1", "--lr x", "--learning-rate 1", "--w-max 0.5", "--w-max nan",
    "--max-length -1", "--max-length 5", "--epochs 0", "--epochs 99999999999999999999",
    "--warmup-ratio 2", "--warmup-ratio -1", "--dtype int8", "--device abacus", "--device meta",
    "--device cuda:99", "--device", "--seed -1", "--keep 0", "--plan -1", "--preset big",
    "--data absent.json", "--model absent", "--model raw.json", "--tokenizer absent",
    "--tokenizer raw.json", "--eval-data absent", "--eval-every 5", "--out raw.json",
    "--out raw.json/run", "--out m", "--data=", "--model=", "--mae yes", "--no-lr",
    "--weight-decay 1e999", "--micro-tokens 0", "extra", "--data m", "--grad-clip -0.1",
    "--batch", "--save-every -1", "--batch-size 99999999999999999999999")
WRONG_PPO = (
    "--temperature 0", "--temperature nan", "--gamma 1.5", "--gamma -1", "--lam 2",
    "--beta inf", "--clip -1", "--whiten half", "--shared-critic --critic-warmup 3",
    "--num-prompts 0", "--ppo-epochs 0", "--max-new-tokens 0", "--max-new-tokens 1000000000",
    "--max-new-tokens 99999999999999999999", "--micro-batch 0", "--score-clip nan",
    "--warmup-ratio 1.01", "--max-prompt 3", "--free-text no", "--model absent", "--model=",
    "--data absent", "--eval-data m", "--out pairs.json", "--device meta", "--reward 5",
    "--pairs pairs.json", "--seed 1.0", "--actor-lr 1e400", "--value-coef -1")
WRONG_DPO = (
    "--beta -1", "--beta nan", "--alpha -0.1", "--alpha inf", "--num-pairs -1", "--max-length 3",
    "--lora-alpha 8", "--lora-rank -1", "--epochs 0", "--batch-size 0", "--lr nan", "--lr 1e400",
    "--warmup-ratio 2", "--micro-batch 0", "--dtype fp16", "--device abacus", "--data absent",
    "--data raw.json", "--data m", "--model absent", "--eval-data absent", "--eval-every 3",
    "--out raw.json", "--out preferences/pairs.jsonl/x", "--preset big", "--gamma 1", "extra",
    "--plan x", "--keep 0", "--tokenizer raw.json")
WRONG_PREFERENCES = (
    "--samples 1", "--samples x", "--sampler beam", "--temperature 0", "--max-gap 2", "--min-p -1",
    "--score esm2", "--esm smaller", "--threshold 1.5", "--rejected 0", "--min-gap nan",
    "--num-prompts 0", "--max-prompt 3", "--max-new-tokens 0", "--max-new-tokens 1000000000",
    "--format json", "--data absent", "--data m", "--model absent", "--out raw.json",
    "--no-gold-fallback --gold-unless-perfect", "--seed -1", "--device meta", "--beta 1")
WRONG_EVALUATE = (
    "--bench toolbench", "--level low", "--turn second", "--limit -1", "--data absent",
    "--data raw.json", "--tool-timeout 0", "--tool-timeout nan", "--predictions absent",
    "--predictions m", "--format yaml", "--out raw.json", "--out raw.json/x", "--compat",
    "--bench transcripts --predictions absent", "--bench tooleyes", "--queries queries.json",
    "--tool-library library", "--bench toolbox", "--batch-size 0", "--max-new-tokens -5",
    "--dtype fp8", "--model absent --errors", "--bench bfcl --level heavy",
    "--bench toolalpaca --turn third", "--bench rotbench --queries x", "--show 3",
    "--temperature 1", "--limit 1e3", "--bench rotbench --level heavy")
FLAGS = {  # script: (valid command, wrong flags)
    "sft.py": (SFT, WRONG_SFT),
    "ppo.py": ([*PPO, "--data", "pairs.json"], WRONG_PPO),
    "preferences.py": ([*PREFERENCES, "--data", "pairs.json"], WRONG_PREFERENCES),
    "dpo.py": (DPO, WRONG_DPO),
    "evaluate.py": ([*SCORE, "--predictions", "predictions.jsonl"], WRONG_EVALUATE),
}
GENERATES = ["--device meta", "--device abacus", "--max-new-tokens 1000000000", "--model absent",
             "--model raw.json", "--batch-size 0.5", "--max-new-tokens 99999999999999999999"]


def flag_case(rng, kind, folder):
    """A flag that is unknown, malformed, out of range, names nothing, or contradicts another."""
    script = rng.choice(sorted(FLAGS))
    command, wrong = FLAGS[script]
    words = rng.choice(wrong)
    if script == "evaluate.py" and rng.random() < 0.2:
        command = [*EVALUATE, "--model", "m"]
        words = rng.choice(GENERATES)
    value = words.split()[-1]
    named = [word.split("=")[0] for word in words.split() if word.startswith("--")]
    names = (*named, f" {value}", "--data", "--tool-library", "--predictions", "First_Turn")
    return Case(kind, f"{script} {words}", [*command, *words.split()], names)


# ------------------------------------------------------------------------------------------- paths

NO_FILE = {"too long": "x" * 300, "in a closed folder": "closed/in", "below a file": "raw.json/x",
           "a link to itself": "loop", "not UTF-8": os.fsdecode(b"a\xff")}
NO_INPUT = NO_FILE | {"a device": "/dev/zero", "an empty folder": "empty", "absent": "absent"}
# Commands to which a path is added: one that is read, and one that is written.
READERS = (
    [*SFT, "--model"], [*SFT, "--data"], [*SFT, "--tokenizer"], [*SFT, "--eval-data"],
    [*SFT, "--plan", "8", "--model"], [*PPO, "--data"], [*PPO, "--data", "pairs.json", "--model"],
    [*PPO, "--data", "pairs.json", "--eval-data"], [*EVALUATE, "--model"],
    [*PREFERENCES, "--data"], [*PREFERENCES, "--data", "pairs.json", "--model"],
    [*DPO, "--data"], [*DPO, "--eval-data"], [*DPO, "--model"], [*DPO, "--tokenizer"],
    ["-m plumbing.unpickle"], ["-m toolbox.from_functions"],
    [*SCORE, "--predictions"], ["evaluate.py", "--predictions", "predictions.jsonl", "--data"],
    [*LIBRARY, "--queries"], [*LIBRARY, "--tool-library"],
    ["evaluate.py", "--bench", "transcripts", "--predictions"],
    ["-m evaluation.benchmarks", "rotbench", "--data"], ["-m data.feedback"], ["show.py"],
    ["show.py", "raw.json", "--tokenizer"], ["model.py", "--init", "m/config.json", "new",
                                             "--tokenizer"],
    ["-m pretraining.pretrain", "--out", "new", "--text"],
    ["-m pretraining.pretrain", "--out", "new", "--init"])
WRITERS = (
    [*SFT, "--out"], [*PPO, "--data", "pairs.json", "--out"],
    [*PREFERENCES, "--data", "pairs.json", "--out"], [*DPO, "--out"],
    [*SCORE, "--predictions", "predictions.jsonl", "--out"],
    ["model.py", "--init", "m/config.json"], ["-m pretraining.pretrain", "--out"],
    ["-m toolbox.synthesize", "--out"],
    ["-m evaluation.download", "rotbench", "--base-url", "http://127.0.0.1:9", "--to"])


def path_case(rng, kind, folder):
    """A path at which nothing can be read, or nothing written."""
    (folder / "loop").symlink_to("loop")
    (folder / "empty").mkdir()
    (folder / "closed").mkdir(mode=0o444)  # its names can be read, and nothing else
    commands, paths = rng.choice(((READERS, NO_INPUT), (WRITERS, NO_FILE)))
    command = rng.choice(commands)
    what = rng.choice(sorted(paths))
    path = paths[what]
    shown = path.encode(errors="backslashreplace").decode()
    return Case(kind, f"{' '.join(command[:1] + command[-1:])}: {what}", [*command, path],
                (shown, "First_Turn", "--out new"))


# ------------------------------------------------------------------------------- a run's own files

IDENTITY = ("lr", "epochs", "batch_size", "script", "contents", "seed", "run")
# Damage to a file of answers that leaves what may be a line that a kill cut off.
LIKE_A_KILL = ("cut", "empty", "white space", "another value", "deep", "random bytes", "NUL bytes",
               "UTF-16", "more after the end")


def run_case(rng, kind, folder):
    """What a killed run left: flags.json, the logs, the newest checkpoint, answers."""
    if rng.random() < 0.3:
        return answers_case(rng, kind, folder)
    own = rng.choice(sorted(RUNS))
    out = folder / own
    command = RUNS[own]
    newest = max((out / "checkpoints").iterdir())
    which = rng.choice(["flags", "log", "state", "tensors", "tensors"])
    if which == "tensors":
        path = newest / "rank-0.safetensors"
        how = rng.choice(["cut", "absent", "empty", "NUL bytes", "random bytes", "a directory",
                          "a link to itself", "unreadable", "a flipped bit", "a flipped bit"])
        what = flip_bit(rng, path) if how == "a flipped bit" else break_file(rng, path, how)
        return Case(kind, f"{own}, {path.name}: {what}", command, (newest.name,))
    path = {"flags": out / "flags.json", "state": newest / "state.json",
            "log": out / rng.choice(["metrics.jsonl", "timings.jsonl"])}[which]
    how = rng.choice(["file", "value"])
    if how == "file" and which != "log":
        what = break_file(rng, path, rng.choice([way for way in TEXT_FILE if way != "absent"]))
    elif which == "log":
        what = break_log(rng, path)
    else:
        value = json.loads(path.read_text())
        known = IDENTITY if which == "flags" else ("step", "files", "notes", "run", "sha256")
        keys = [key for key in known if key in value]
        changes = (drop, nothing, wrong_type, twice, misspelt, no_number)
        what = change_a_key(rng, value, keys, changes)
        path.write_text(dumps(value))
    return Case(kind, f"{own}, {path.name}: {what}", command, (path.name, own))


def change_a_key(rng, value, keys, changes):
    """Break one of some keys of a JSON object by one of some changes -> what was done."""
    key = rng.choice(keys)
    change = rng.choice(changes)
    change(value, key, rng)
    return f"{key}: {change.__name__}"


def flip_bit(rng, path):
    """Flip a bit of a file -> what was done."""
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"a bit of byte {at} flipped"


def break_log(rng, path):
    """Damage metrics.jsonl or timings.jsonl -> what was done."""
    lines = path.read_text().splitlines()
    how = rng.choice(["a line is gone", "no JSON", "no object", "no step", "step of a wrong type",
                      "cut", "not UTF-8", "a line twice", "empty", "a directory", "absent"])
    at = rng.randrange(2)  # of the steps that the newest checkpoint has behind it
    if how in ("not UTF-8", "empty", "a directory", "absent"):
        return break_file(rng, path, how)
    if how == "cut":
        path.write_text(path.read_text()[:rng.randrange(1, len(lines[0]))])
        return how
    lines[at:at + 1] = {"a line is gone": [], "no JSON": ["{" + lines[at]], "no object": ["5"],
                        "no step": ["{}"], "step of a wrong type": ['{"step": "1"}'],
                        "a line twice": [lines[at]] * 2}[how]
    path.write_text("\n".join(lines) + "\n")
    return how


def answers_case(rng, kind, folder):
    """What a killed evaluate.py left: run.json and the answers."""
    path = folder / "answers" / rng.choice(["run.json", "answers.0.jsonl"])
    command = [*ANSWER, "--limit", "1"]
    if rng.random() < 0.5:
        ways = [way for way in TEXT_FILE if way != "absent"
                and (path.name == "run.json" or way not in LIKE_A_KILL)]
        what = break_file(rng, path, rng.choice(ways))
    elif path.name == "run.json":
        value = json.loads(path.read_text())
        changes = (drop, wrong_type, twice, misspelt, no_number)
        what = change_a_key(rng, value, sorted(value), changes)
        path.write_text(dumps(value))
    else:
        value = json.loads(path.read_text().splitlines()[0])
        changes = (drop, nothing, wrong_type, twice, misspelt)
        what = change_a_key(rng, value, sorted(value), changes)
        path.write_text(dumps(value) + "\n")
    return Case(kind, f"answers, {path.name}: {what}", command, (path.name, "answers"))


# -------------------------------------------------------------------------------------- predictions

# Marks of the forms in which models write calls, and what may end a value where it is no JSON.
MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>", "[THINK]", "</reasoning>", "\n", " ",
         "[TOOL_CALLS]", "<function=f>", "</parameter>", "Action: f", "Action Input: {}", "{", "}",
         "[f(a=1)]", "f(a=1)\n", "```", "<<function>>", "Observation:", '"', "'", "\\", ")", "(")


def tags_case(rng, kind, folder):
    """Marks inside the values of calls: the calls are whole, in any form, and scored as right."""
    value = "a" + "".join(rng.choices(MARKS, k=rng.randint(1, 6))) + "z"
    arguments = {"city": value}
    gold = write_call("get_weather", arguments)
    record = json.dumps({"name": "get_weather", "arguments": arguments})
    text = json.dumps(arguments)
    forms = [
        gold, f"[{gold}]", f"Sure:\n```python\n{gold}\n```", f"<<function>>{gold}", record,
        f"```json\n{record}\n```", f"<tool_call>\n{record}\n</tool_call>",
        f"[TOOL_CALLS] [{record}]", f"<|python_tag|>{record}", f"<function=get_weather>{text}",
        f"Thought: I look.\nAction: get_weather\nAction Input: {text}\nObservation: 1",
        f"<thinking>f(a=1)</thinking>\n{gold}", f"Plan (short):\n{gold}",
        f"<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{text}<｜tool▁call▁end｜>"]
    files = sorted((folder / "bench").glob("BFCL_v3_*.json"))
    for path in files:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(_lines(each | {"ground_truth": [gold]} for each in records))
    count = 2 * len(files)
    write(folder / "tags.jsonl",
          _lines({"index": i, "prediction": rng.choice(forms)} for i in range(count)))
    command = ["evaluate.py", "--bench", "bfcl", "--data", "bench", "--predictions", "tags.jsonl",
               "--out", "scores"]
    return Case(kind, f"the value {value!r}", command, (), count)


# --------------------------------------------------------------------------------------- the table

KINDS = {**dict.fromkeys(FORMATS, json_case),  # kind of input -> function that makes a case
         "config.json": config_case, "safetensors": weights_case, "safetensors index": index_case,
         "tokenizer.model": tokenizer_case, "not where it seems": moved_case,
         "flags": flag_case, "paths": path_case, "a run's own files": run_case,
         "tags inside values": tags_case}


def make(seed, number, valid, folder):
    """Case `number` in `folder`, which becomes a copy of the valid one with one thing broken."""
    shutil.copytree(valid, folder, symlinks=True)
    rng = random.Random(f"{seed}/{number}")
    kind = list(KINDS)[number % len(KINDS)]
    return KINDS[kind](rng, kind, folder)


def check_valid(valid, folder):
    """End unless every command accepts the undamaged inputs: else a refusal would mean nothing."""
    commands = [*USES_MODEL, *RUNS.values(), [*ANSWER, "--limit", "1"], PARALLEL, BY_ID]
    for formats in FORMATS.values():
        commands += [command for _, _, command in formats]
    different = {" ".join(command): command for command in commands}
    for command in different.values():
        shutil.copytree(valid, folder)
        status, _, err = in_child(command, folder)
        assert status == 0, (command, err)
        shutil.rmtree(folder)


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this case alone, and print all it says")
    parser.add_argument("--processes", type=int, default=6,
                        help="cases to repeat in a process of their own")
    parser.add_argument("--show", type=int, default=10, help="offenders to print in full")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    valid = folder / "valid"
    here = folder / "case"
    valid.mkdir()
    fixtures(valid)
    numbers = range(flags.first, flags.first + flags.count)
    if flags.only is not None:
        numbers = [flags.only]
    elif not flags.first:
        check_valid(valid, here)
    repeated = random.Random(flags.seed).sample(numbers, min(flags.processes, len(numbers)))
    table = {kind: Counter() for kind in KINDS}
    offenders = 0
    for number in numbers:
        ways = (in_child, in_process) if number in repeated else (in_child,)
        for execute in ways:
            case = make(flags.seed, number, valid, here)
            # For root, who may own the process, everything is readable.
            for_root = "unreadable" not in case.what and "closed" not in case.what
            if execute is in_child or for_root:
                result = run(case, here, execute)
                if execute is in_child:
                    table[case.kind][result.verdict] += 1
                if result.verdict not in GOOD or flags.only is not None:
                    offenders += 1
                    show(number, case, result, offenders <= flags.show)
            shutil.rmtree(here)
    shutil.rmtree(folder)
    print_table(table)
    sys.exit(bool(offenders))


def show(number, case, result, in_full):
    """Print an offender as it comes."""
    print(f"\ncase {number}, {case.kind}: {case.what}: {result.verdict}", flush=True)
    if in_full:
        print(f"$ {' '.join(case.command)}\n{result.output}", flush=True)


def print_table(table):
    """Print how many cases of each kind of input had each verdict. table: {kind: Counter}."""
    print(f"\n{'kind of input':<20}{'cases':>7}"
          + "".join(f"{verdict:>13}" for verdict in VERDICTS))
    total = sum(table.values(), Counter())
    for kind, counts in (*table.items(), ("all", total)):
        print(f"{kind:<20}{counts.total():>7}"
              + "".join(f"{counts[verdict]:>13}" for verdict in VERDICTS))


if __name__ == "__main__":
    main()
