"""Readers of the benchmark files: ToolAlpaca, RoTBench, BFCL v3 (executable), ToolEyes, embedded -> Task.

    python -m evaluation.benchmarks rotbench [--data DIR]

prints what was read: how many items, golds that do not parse, and those that nobody can know from the prompt,
which bound the score of any model. Files are read as their authors published them.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from data.calls import Call, ParseError, parse_call
from data.tools import Tool
from data.trajectories import Turn, read_item
from evaluation.download import HOME
from plumbing.files import InputError, parse_json, read_json, read_text
from plumbing.flags import Parser, cli

DATA = Path(__file__).resolve().parents[1] / "data"
EMBEDDED = ("embedded", "toolbox")  # of one call and of whole dialogues; toolbox/synthesize.py writes them
BENCHMARKS = ("toolalpaca", "rotbench", "bfcl", "tooleyes", *EMBEDDED)
LEVELS = ("clean", "slight", "medium", "heavy", "union")  # of noise in names, as RoTBench has it
CATEGORIES = ("exec_simple", "exec_multiple", "exec_parallel", "exec_parallel_multiple")  # BFCL without REST


class Task(NamedTuple):
    id: str                   # unique within a set: "AviationAPI/5", "clean/12", "exec_simple_3"
    tools: tuple[Tool, ...]   # in the order of the file; a name may come twice
    turns: tuple[Turn, ...]   # what the model is shown; turns[0] is the system turn, the JSON list of tools
    golds: tuple[Call, ...]   # the right calls, as far as they parse; `kind` says how they belong together
    free_text: frozenset[str] = frozenset()  # tools whose values are prose and are not compared
    finish: str | None = None  # the tool that ends the dialogue, whatever its name
    group: str = ""           # API, scenario or category: the rows of a table by group
    note: str = ""            # what is odd about the golds
    kind: str = "any"         # "any": alternatives; "steps": in turn; "calls": at once; "one": there is one
    unread: tuple[tuple[int, str], ...] = ()  # (place among all golds, tool) of golds that do not parse
    hidden: tuple[Call, ...] = ()  # the golds with a value of which the prompt says nothing
    expected: str = ""        # dialogues: what the final answer must hold, where that is known


def read(benchmark, folder=None, level="clean", turn="first"):
    """The items of a benchmark, in the order of its files. Level: of `rotbench` and `embedded`, turn: of the
    former.

    `folder` holds the benchmark's files; without one, the place where evaluation/download.py puts them, and this
    folder for what is embedded. Raises InputError that names the file and the item.
    """
    folder = Path(folder) if folder else DATA if benchmark in EMBEDDED else HOME / benchmark
    if benchmark == "rotbench":
        return rotbench(folder, level, turn)
    if benchmark == "embedded":
        return embedded(folder, level)
    readers = {"toolalpaca": toolalpaca, "bfcl": bfcl, "tooleyes": tooleyes, "toolbox": toolbox}
    if benchmark not in readers:
        raise InputError(f"{benchmark}: not one of the benchmarks {', '.join(BENCHMARKS)}")
    return readers[benchmark](folder)


def embedded(folder, level):
    """The embedded held-out items of one call, each about tools "seen" or "unseen" in training: its group."""
    if level not in LEVELS:
        raise InputError(f"level {level}: not one of {', '.join(LEVELS)}")
    path = Path(folder) / f"heldout_{'single' if level == 'clean' else level}.json"
    tasks = []
    for i, record in enumerate(_records(path, "embedded")):
        where = f"{path}: item {i}"
        conversation = read_item(record, where)
        text = _get(record, "gold", str, where)
        try:
            gold = parse_call(text, conversation.tools, strict=True)
        except ParseError as error:
            raise InputError(f"{where}: the gold call {text[:80]!r} cannot be parsed: {error}") from None
        tasks.append(Task(f"{level}/{conversation.id}", conversation.tools, conversation.turns, (gold,),
                          group=_get(record, "tools", str, where), kind="one"))
    return tasks


def toolbox(folder):
    """The embedded held-out tasks of several calls, with the value that the final answer must hold."""
    path = Path(folder) / "heldout_multi.json"
    tasks = []
    for i, record in enumerate(_records(path, "toolbox")):
        where = f"{path}: item {i}"
        conversation = read_item(record, where)
        expected = _get(record, "expected", str, where)
        if not expected.strip():
            raise InputError(f"{where}: expected is empty")
        tasks.append(Task(conversation.id, conversation.tools, conversation.turns, (), expected=expected))
    return tasks


def toolalpaca(folder):
    """ToolAlpaca's eval_real.json: 114 instructions for 11 real APIs. Golds are the steps, mostly one."""
    path = Path(folder) / "eval_real.json"
    return [task for i, api in enumerate(_records(path, "toolalpaca"))
            for task in _toolalpaca_api(api, f"{path}: API {i}")]


def _toolalpaca_api(api, where):
    name = _get(api, "Name", str, where)
    texts = _get(api, "Function_Description", dict, where)  # has one key more, which is no tool: "components"
    schemas = [_toolalpaca_schema(tool, _get(texts, tool, str, where), where)
               for tool in _get(api, "Function_Projection", dict, where)]
    instructions, answers = _get(api, "Instructions", list, where), _get(api, "Golden_Answers", list, where)
    if len(instructions) != len(answers):
        raise InputError(f"{where}: {len(instructions)} Instructions but {len(answers)} Golden_Answers")
    secrets = _get(api, "Authentication", dict, where)  # of which the prompt says nothing
    tasks = []
    for i, (instruction, steps) in enumerate(zip(instructions, answers)):
        here = f"{where} ({name}), instruction {i}"
        shown = _conversation(schemas, [{"role": "user", "content": instruction}], here)
        if not isinstance(steps, list):
            raise InputError(f"{here}: Golden_Answers must be a list of steps")
        golds, unread, note = _json_golds(
            [(_get(step, "Action", str, here), _get(step, "Action_Input", str, here)) for step in steps])
        hidden = {key: [gold for gold in golds
                        if str(gold.arguments.get(key, instruction)) not in instruction] for key in secrets}
        notes = [note, *(f"the value of {key} is not in the prompt" for key in hidden if hidden[key])]
        tasks.append(Task(f"{name}/{i}", shown.tools, shown.turns, golds, group=name, kind="steps",
                          note="; ".join(filter(None, notes)), unread=unread,
                          hidden=tuple(sum(hidden.values(), []))))
    return tasks


def _toolalpaca_schema(name, text, where):
    """`DESC`, a line `Parameters: {name: "Required. TYPE. DESC"}`, a description of the output -> schema."""
    description, found, rest = f"\n{text}".partition("\nParameters: ")
    parameters = parse_json(rest.partition("\n")[0], f"{where}: tool {name}: Parameters") if found else None
    if not isinstance(parameters, dict):
        raise InputError(f"{where}: tool {name}: has no object of Parameters")
    properties, required = {}, []
    for key in parameters:
        match = re.fullmatch(r"(Required\. )?([^.]+)\. ?(.*)", _get(parameters, key, str, where), re.DOTALL)
        if not match:
            raise InputError(f"{where}: tool {name}: parameter {key} is not 'Required. TYPE. DESCRIPTION'")
        properties[key] = {"type": match[2], "description": match[3]}
        required += [key] if match[1] else []
    return {"name": name, "description": description.strip(),
            "parameters": {"type": "object", "properties": properties, "required": required}}


def rotbench(folder, level, turn="first"):
    """One level of RoTBench's first or third turn. Golds are alternatives.

    The third turn shows two calls with their feedback before. `ask_to_user` and `finish` are the last two
    tools, in this order, whatever noise made of their names; a real tool may then bear the name "finish".
    """
    if level not in LEVELS:
        raise InputError(f"level {level}: not one of {', '.join(LEVELS)}")
    if turn not in ("first", "third"):
        raise InputError(f"turn {turn}: must be first or third")
    path = Path(folder) / f"{turn.capitalize()}_Turn" / f"{level}.json"
    tasks = []
    for i, record in enumerate(_records(path, "rotbench")):
        where = f"{path}: item {i}"
        *shown, answer = _get(record, "conversations", list, where) or [None]
        texts = _get(answer, "value", list, where)
        if _get(answer, "from", str, where) != "assistant":
            raise InputError(f"{where}: the last message must be the assistant's, the golds")
        golds, unread, note = _json_golds([_split_react(str(text)) for text in texts])
        conversation = _dialogue(shown, where)
        scenario = _get(record, "scenario", str, where)
        tasks.append(Task(f"{level}/{i}", conversation.tools, conversation.turns, golds,
                          *_special(conversation.tools), scenario, note, unread=unread))
    return tasks


def tooleyes(folder):
    """ToolEyes' 382 queries. There are no golds: what is judged is the dialogue that they start.

    The id begins with the sub-category, for names of tools recur in several of them.
    """
    path = Path(folder) / "scenario_data_zero_processed.json"
    tasks = []
    for i, record in enumerate(_records(path, "tooleyes")):
        where = f"{path}: item {i}"
        conversation = _dialogue(_get(record, "conversations", list, where), where)
        library = "/".join(_get(record, "path", str, where).split("/")[-2:])
        tasks.append(Task(f"{library}/{i}", conversation.tools, conversation.turns, (),
                          *_special(conversation.tools), _get(record, "scenario", str, where)))
    return tasks


def _dialogue(messages, where):
    """RoTBench's and ToolEyes' messages, in which a call is written `Action: NAME`, `Action Input: JSON`."""
    turns = [{"role": _get(message, "from", str, where), "content": _get(message, "value", str, where)}
             for message in messages]
    if not turns or turns[0]["role"] != "system":
        raise InputError(f"{where}: the first message must be the system's")
    text = turns.pop(0)["content"]
    schemas = parse_json(text[text.find("["):].removesuffix("\n\nLet's Begin!"), f"{where}: tools")
    for turn in turns:
        if turn["role"] == "user":
            turn["content"] = turn["content"].removesuffix("\nBegin!\n")
        elif turn["role"] == "assistant":
            turn["content"] = "\n".join(_split_react(turn["content"]))
    return _conversation(schemas, turns, where)


def _split_react(text):
    """`Thought: ...`, `Action: NAME`, `Action Input: JSON` -> (name, JSON text); without a call ("", text).

    >>> _split_react('Thought:\\nAction: search\\nAction Input: {"query": "Action: x"}')
    ('search', '{"query": "Action: x"}')
    """
    match = re.search(r"Action: (.*?)\n?Action Input: (.*)", text, re.DOTALL)
    return match.groups() if match else ("", text)


def _special(tools):
    """(free_text, finish): by position, but a name that a real tool bears too is not free."""
    free = {tool.name for tool in tools[-2:]} - {tool.name for tool in tools[:-2]}
    return frozenset(free), tools[-1].name if tools else None


def bfcl(folder):
    """BFCL v3's executable categories but REST: 240 questions. Golds are calls at once, one or several.

    Ground truths are read from the question's record or, as in later versions, from possible_answer/.
    """
    return [task for category in CATEGORIES for task in _bfcl_category(Path(folder), category)]


def _bfcl_category(folder, category):
    path = folder / f"BFCL_v3_{category}.json"
    records = _lines(path, "bfcl")
    answers = {}
    if not all(isinstance(record, dict) and "ground_truth" in record for record in records):
        where = folder / "possible_answer" / path.name
        answers = {_get(record, "id", str, f"{where}: line {i}"): record
                   for i, record in enumerate(_lines(where, "bfcl"), 1)}
    tasks = []
    for i, record in enumerate(records, 1):
        where = f"{path}: line {i}"
        id = _get(record, "id", str, where)
        texts = _get(answers.get(id, record), "ground_truth", list, f"{where} ({id})")
        dialogue = _get(record, "question", list, where)
        if len(dialogue) != 1 or not isinstance(dialogue[0], list):
            raise InputError(f"{where}: question must hold the messages of one turn")
        conversation = _conversation(_get(record, "function", list, where), dialogue[0], where)
        golds, unread, note = _python_golds(texts, conversation.tools)
        tasks.append(Task(id, conversation.tools, conversation.turns, golds, group=category, note=note,
                          kind="calls", unread=unread))
    return tasks


def _json_golds(golds):
    """[(name, JSON text)] -> (calls, unread, note). What does not parse still tells which tool is right."""
    calls, unread = [], []
    for i, (name, text) in enumerate(golds):
        try:
            arguments = parse_json(text, name)
        except InputError:
            arguments = None
        if isinstance(arguments, dict) and name:
            calls.append(Call(name, arguments, (0, len(name))))
        else:
            unread.append((i, name))
    return tuple(calls), tuple(unread), _unread_note(unread, len(golds))


def _python_golds(texts, tools):
    calls, unread = [], []
    for i, text in enumerate(texts):
        try:
            calls.append(parse_call(str(text), tools))
        except ParseError:
            unread.append((i, ""))
    return tuple(calls), tuple(unread), _unread_note(unread, len(texts))


def _unread_note(unread, count):
    return "; ".join(f"gold {i + 1} of {count} does not parse" for i, _ in unread)


def unknowable(task):
    """Why no model can know the item's gold from its prompt: the document lacks a tool or parameter; else "".

    With alternatives each gold must lack something; with steps or parallel calls one is enough, though the
    item's other calls may still be found.
    """
    known = _documented(task)
    reasons = [_unknown(gold, known) for gold in task.golds]
    bad = [reason for reason in reasons if reason]
    if not bad or (task.kind == "any" and len(bad) < len(reasons)):
        return ""
    return bad[0] + (f" ({len(bad)} of {len(reasons)} calls)" if len(bad) < len(reasons) else "")


def knowable(task):
    """(TS, PI, CF), each 0 or 1: the best score of one call that follows from the prompt."""
    known = _documented(task)
    keyed = [gold for gold in task.golds if not _unknown(gold, known)]
    return (int(any(name in known for name in gold_names(task))), int(bool(keyed)),
            int(any(gold not in task.hidden for gold in keyed)))


def _documented(task):
    """{tool: its parameters}; a name that comes twice has those of both."""
    known = {}
    for tool in task.tools:
        known.setdefault(tool.name, set()).update(parameter.name for parameter in tool.parameters)
    return known


def _unknown(gold, known):
    if gold.name not in known:
        return f"tool {gold.name} is not in the document"
    keys = [key for key in gold.arguments if key not in known[gold.name]]
    return f"parameter {', '.join(keys)} of {gold.name} is not in the document" if keys else ""


def _conversation(schemas, turns, where):
    system = {"role": "system", "content": json.dumps(schemas, ensure_ascii=False)}
    return read_item({"conversations": [system, *turns]}, where)


def _records(path, benchmark):
    _expect(path, benchmark)
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path}: must be a JSON list of items")
    return records


def _lines(path, benchmark):
    _expect(path, benchmark)
    lines = read_text(path).rstrip("\n").split("\n")  # not splitlines: a JSON string may hold U+2028
    return [parse_json(line, f"{path}: line {i}") for i, line in enumerate(lines, 1)]


def _expect(path, benchmark):
    if not path.is_file():
        how = "toolbox.synthesize` writes" if benchmark in EMBEDDED else f"evaluation.download {benchmark}` gets"
        raise InputError(f"{path}: no such file; `python -m {how} it")


def gold_names(task):
    """The right tools: a gold whose arguments do not parse has a name all the same."""
    return [gold.name for gold in task.golds] + [name for _, name in task.unread]


def first_of_groups(tasks, limit):
    """The first `limit` items of each group; all for 0."""
    places = Counter()
    kept = []
    for task in tasks:
        places[task.group] += 1
        if not limit or places[task.group] <= limit:
            kept.append(task)
    return kept


def _get(record, key, kind, where):
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind):
        raise InputError(f"{where}: {key} is missing or not a {kind.__name__}")
    return value


def report(name, tasks):
    """Lines about a set: its size by group, golds that do not parse or are odd, and items nobody can know."""
    groups = Counter(task.group for task in tasks)
    calls = sum(len(task.golds) for task in tasks)
    yield f"{name}: {len(tasks)} items, {calls} golds ({', '.join(f'{g} {n}' for g, n in groups.items())})"
    for title, reasons in (("odd golds", [task.note for task in tasks]),
                           ("cannot be known from the prompt", [unknowable(task) for task in tasks])):
        found = [f"    {task.id}: {reason}" for task, reason in zip(tasks, reasons) if reason]
        yield from (f"  {title}: {len(found)}", *found)


def main(arguments=None):
    """The command line; see the top of this file. Raises InputError."""
    parser = Parser(prog="python -m evaluation.benchmarks", description="what a benchmark's files hold")
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--data", type=Path, metavar="DIR", help=f"the benchmark's files ({HOME}/NAME)")
    flags = parser.parse_args(arguments)
    if flags.name != "rotbench":
        print(*report(flags.name, read(flags.name, flags.data)), sep="\n")
        return
    for turn in ("first", "third"):
        for level in LEVELS:
            tasks = read("rotbench", flags.data, level, turn)
            print(*report(f"rotbench {turn} turn {level}", tasks), sep="\n")


if __name__ == "__main__":
    cli(main)
