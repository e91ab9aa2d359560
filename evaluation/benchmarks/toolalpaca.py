"""ToolAlpaca's eval_real.json: 114 instructions for 11 real APIs.

eval_simulated.json, 100 instructions for 10 made-up APIs, is read where --data names the file, or
a folder that holds no other. Golds are the steps, mostly one.
"""

import re

from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.scores import any_gold, first_gold
from evaluation.tasks import Task, get_field, make_conversation, read_json_golds, read_list
from plumbing.files import InputError, kind_of, parse_json


def read_toolalpaca(folder):
    """The Tasks, grouped by API. Raises InputError naming the file and the API."""
    path = folder if folder.is_file() else folder / "eval_real.json"
    simulated = folder / "eval_simulated.json"
    if kind_of(simulated) == "file" and not kind_of(path):
        path = simulated
    tasks = []
    for i, api in enumerate(read_list(path)):
        tasks += _read_api(api, f"{path}: API {i}")
    return tasks


def _read_api(api, where):
    name = get_field(api, "Name", str, where)
    schemas = _read_schemas(api, where)
    instructions = get_field(api, "Instructions", list, where)
    answers = get_field(api, "Golden_Answers", list, where)
    if len(instructions) != len(answers):
        raise InputError(
            f"{where}: {len(instructions)} Instructions but {len(answers)} Golden_Answers")
    secrets = {}  # keys, which the prompt does not tell; simulated APIs have none
    if "Authentication" in api:
        secrets = get_field(api, "Authentication", dict, where)
    tasks = []
    for i, (instruction, steps) in enumerate(zip(instructions, answers, strict=True)):
        here = f"{where} ({name}), instruction {i}"
        message = {"role": "user", "content": instruction}
        conversation = make_conversation(schemas, [message], here)
        golds = _read_steps(steps, here)
        hidden = {key: _hidden(golds.calls, key, instruction) for key in secrets}
        notes = [golds.note] if golds.note else []
        notes += [f"the value of {key} is not in the prompt" for key in hidden if hidden[key]]
        tasks.append(Task(
            id=f"{name}/{i}", tools=conversation.tools, turns=conversation.turns,
            golds=golds.calls, group=name, note="; ".join(notes), gold_kind="steps",
            unread=golds.unread, hidden=tuple(sum(hidden.values(), []))))
    return tasks


def _read_steps(steps, where):
    if not isinstance(steps, list):
        raise InputError(f"{where}: Golden_Answers must be a list of steps")
    texts = []
    for step in steps:
        name = get_field(step, "Action", str, where)
        texts.append((name, get_field(step, "Action_Input", str, where)))
    return read_json_golds(texts)


def _hidden(golds, key, instruction):
    """The golds whose parameter `key` has a value that the instruction does not tell."""
    return [gold for gold in golds
            if key in gold.arguments and str(gold.arguments[key]) not in instruction]


def _read_schemas(api, where):
    """The schemas of an API's tools; "components" in Function_Description is no tool."""
    texts = get_field(api, "Function_Description", dict, where)
    schemas = []
    for tool in get_field(api, "Function_Projection", dict, where):
        schemas.append(_read_schema(tool, get_field(texts, tool, str, where), where))
    return schemas


def _read_schema(name, text, where):
    """A tool's schema of its name and its text, which has three parts.

    They are a description; a line `Parameters: {name: "Required. TYPE. DESCRIPTION"}`; and a
    description of the output.
    """
    here = f"{where}: tool {name}"
    description, found, rest = f"\n{text}".partition("\nParameters: ")
    parameters = parse_json(rest.partition("\n")[0], f"{here}: Parameters") if found else None
    if not isinstance(parameters, dict):
        raise InputError(f"{here}: has no object of Parameters")
    properties = {}
    required = []
    for key in parameters:
        written = get_field(parameters, key, str, where)
        match = re.fullmatch(r"(Required\. )?([^.]+)\. ?(.*)", written, re.DOTALL)
        if not match:
            raise InputError(f"{here}: parameter {key} is not 'Required. TYPE. DESCRIPTION'")
        properties[key] = {"type": match[2], "description": match[3]}
        if match[1]:
            required.append(key)
    return {"name": name, "description": description.strip(),
            "parameters": {"type": "object", "properties": properties, "required": required}}


BENCHMARK = Benchmark(
    name="toolalpaca", kind="calls", read=read_toolalpaca,
    scorers={"default": any_gold, "first_only": first_gold},
    source=Source("tangqiaoyu/ToolAlpaca", "189069998d64a7baf1b4a1c3c4b2e75eb9d05532", "data", {
        "eval_real.json": "86d1392c786060e00dd6feaa963d8a87660e3042380b0abbd8ccad2b931e2778",
    }),
)
