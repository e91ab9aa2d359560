"""RoTBench: the next call under five levels of noise in names, of the first or the third turn.

Golds are alternatives. The third turn shows two calls with their feedback before it. `ask_to_user`
and `finish` are the last two tools, in this order, under any name that noise gave them; a real tool
may then bear the name "finish".

ToolEyes is by the same authors, and its messages are read by the functions here.
"""

import re

from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.scores import any_gold, upstream_rules
from evaluation.tasks import (
    LEVELS,
    Task,
    check_level,
    get_field,
    make_conversation,
    read_json_golds,
    read_list,
)
from plumbing.files import InputError, parse_json

TURNS = ("first", "third")


def read_rotbench(folder, level="clean", turn="first"):
    """The Tasks of one level and turn, grouped by scenario. Raises InputError."""
    check_level(level)
    if turn not in TURNS:
        raise InputError(f"turn {turn}: must be first or third")
    path = folder / f"{turn.capitalize()}_Turn" / f"{level}.json"
    tasks = []
    for i, record in enumerate(read_list(path)):
        where = f"{path}: item {i}"
        messages = get_field(record, "conversations", list, where) or [None]
        answer = messages[-1]
        texts = get_field(answer, "value", list, where)
        if get_field(answer, "from", str, where) != "assistant":
            raise InputError(f"{where}: the last message must be the assistant's, the golds")
        golds = read_json_golds([split_react(str(text)) for text in texts])
        conversation = read_dialogue(messages[:-1], where)
        tools = conversation.tools
        tasks.append(Task(
            id=f"{level}/{i}", tools=tools, turns=conversation.turns, golds=golds.calls,
            free_text=free_text_tools(tools), finish=finishing_tool(tools),
            group=get_field(record, "scenario", str, where), note=golds.note, unread=golds.unread,
            own_id=str(record.get("id") or "")))
    return tasks


def read_dialogue(messages, where):
    """The Conversation of messages `{"from", "value"}`, with the tools in the system's.

    A call is written `Action: NAME`, `Action Input: JSON`. Raises InputError, led by `where`.
    """
    turns = []
    for message in messages:
        role = get_field(message, "from", str, where)
        turns.append({"role": role, "content": get_field(message, "value", str, where)})
    if not turns or turns[0]["role"] != "system":
        raise InputError(f"{where}: the first message must be the system's")
    system = turns.pop(0)["content"]
    tools = system[system.find("["):].removesuffix("\n\nLet's Begin!")
    schemas = parse_json(tools, f"{where}: tools")
    for turn in turns:
        if turn["role"] == "user":
            turn["content"] = turn["content"].removesuffix("\nBegin!\n")
        elif turn["role"] == "assistant":
            turn["content"] = "\n".join(split_react(turn["content"]))
    return make_conversation(schemas, turns, where)


def split_react(text):
    """`Thought: ...`, `Action: NAME`, `Action Input: JSON` -> (name, JSON text).

    Without a call: ("", text).

    >>> split_react('Thought:\\nAction: search\\nAction Input: {"query": "Action: x"}')
    ('search', '{"query": "Action: x"}')
    """
    match = re.search(r"Action: (.*?)\n?Action Input: (.*)", text, re.DOTALL)
    return match.groups() if match else ("", text)


def free_text_tools(tools):
    """The names of the last two tools, whose values are prose, but not a real tool's name."""
    real = {tool.name for tool in tools[:-2]}
    return frozenset(tool.name for tool in tools[-2:] if tool.name not in real)


def finishing_tool(tools):
    """The name of the last tool, which ends a dialogue; None without tools."""
    return tools[-1].name if tools else None


BENCHMARK = Benchmark(
    name="rotbench", kind="calls", read=read_rotbench,
    scorers={"default": any_gold, "compat": upstream_rules},
    levels=LEVELS, default_level="all",
    flags=("turn", "compat"),
    source=Source("Junjie-Ye/RoTBench", "637e43ae9a978036774c92bb2ab11a83609e304b", "Data", {
        "First_Turn/clean.json":
            "a367dc165c0bb09f4002c89ab9a6884ef2383547d8e6d21511c7c0153e7ff1cd",
        "First_Turn/slight.json":
            "a47aee08eec1d6b9519c227829a076ce05e2737455e0d7589921460f8cbe9825",
        "First_Turn/medium.json":
            "ad73ad3cad2ecd76bd2f0a2c7fb6e8dd3f599d20b6177b07ab5ad5fe6330e4be",
        "First_Turn/heavy.json":
            "061ffc421a9fa8b51abacfeab6880d42b86661d529e048f0cb09f2bee527533b",
        "First_Turn/union.json":
            "61ffacb834ebaac9aa317eb45e1e8b8c3f2c659696139b9dd3b7272491cff911",
        "Third_Turn/clean.json":
            "dee124e3df46b47cb31afb95454131030c09aaf8bc0296b7e9d15266092c125b",
        "Third_Turn/slight.json":
            "9eb3d65ef1322ae1d1281c508e81c716a8c6531678e8e23ac033e1703488327b",
        "Third_Turn/medium.json":
            "9119d71cc2371a5fb6f502a7d0298d70a1ae21908437fdd6e0c0365dbd8e3293",
        "Third_Turn/heavy.json":
            "75928e4bc969d95418883f335125da4368d67df57a1e34c94c0230b3c2ceda3d",
        "Third_Turn/union.json":
            "89427db39c7fc0db183494cc8d08746b77c57d3e720d937167635f9adc11c00d",
    }),
)
