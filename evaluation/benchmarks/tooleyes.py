"""ToolEyes: 382 queries without golds. What is judged is the dialogue that a query starts.

Its tools are code of its authors (evaluation/tool_library.py), which --tool-library names; other
queries for them come with --queries.
"""

from evaluation import tool_library
from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.benchmarks.rotbench import finishing_tool, free_text_tools, read_dialogue
from evaluation.tasks import Task, get_field, read_list


def read_tooleyes(folder):
    """The Tasks, grouped by scenario. Raises InputError naming the file and the item.

    The id begins with the sub-category, for names of tools recur in several of them.
    """
    path = folder / "scenario_data_zero_processed.json"
    tasks = []
    for i, record in enumerate(read_list(path)):
        where = f"{path}: item {i}"
        messages = get_field(record, "conversations", list, where)
        conversation = read_dialogue(messages, where)
        place = "/".join(get_field(record, "path", str, where).split("/")[-2:])
        tools = conversation.tools
        tasks.append(Task(
            id=f"{place}/{i}", tools=tools, turns=conversation.turns, golds=(),
            free_text=free_text_tools(tools), finish=finishing_tool(tools),
            group=get_field(record, "scenario", str, where)))
    return tasks


def serve(flags, tasks):
    """The `execute` of evaluation/dialogue.py.

    Raises InputError where the library lacks a tool or a package.
    """
    tool_library.check(flags.tool_library, tasks)
    return tool_library.server(flags.tool_library, flags.tool_timeout, flags.tool_env)


BENCHMARK = Benchmark(
    name="tooleyes", kind="dialogues", read=read_tooleyes, serve=serve,
    flags=("tool_library", "queries", "tool_env", "tool_timeout"),
    needs={"tool_library": "name the directory that holds the tools, Category/Name/tool.py"},
    source=Source("Junjie-Ye/ToolEyes", "c818fcebe017951570a25e552a7984e40093fd52", "Test_Data", {
        "scenario_data_zero_processed.json":
            "a86e878200d14e58be468a266f068f03955512bd61ff4fd481d26897a403f3e8",
    }),
)
