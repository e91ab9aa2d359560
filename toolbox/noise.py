"""Noise on the names of tools and parameters, in four levels like those of RoTBench (arXiv:2401.08326).

    slight   characters inserted, left out, or replaced
    medium   names reversed, or random letters in their place
    heavy    tools exchange their names, parameters those of their tool; or a tool has a further required
             parameter, whose description says what to set it to
    union    tools and parameters at once, each by a way drawn from all of the above

As there, one of the first three touches tools or parameters, by turns. Descriptions stay, so that the tool
can be told by what it does. `finish` and `ask_to_user` keep their names: the dialogue itself rests on them.
"""

import json
import string

from data.calls import parse_call
from data.tools import write_call
from toolbox.execute import DIALOGUE

LEVELS = ("slight", "medium", "heavy", "union")
LETTERS = string.ascii_letters


def disturb(rng, level, place, item):
    """An item of a set of single calls with noise; `place` says by turns whether tools or parameters get it.

    rng: a seeded `random.Random`. level: one of LEVELS. The item itself is left as it is.
    """
    schemas = json.loads(item["conversations"][0]["content"])
    functions = [schema["function"] for schema in schemas if schema["function"]["name"] not in DIALOGUE]
    gold = parse_call(item["gold"], schemas, strict=True)
    on_tools, on_parameters = level == "union" or place % 2 == 0, level == "union" or place % 2 == 1
    levels = LEVELS[:3] if level == "union" else (level,)
    tools, keys, extra = {}, {}, {}
    if on_tools:
        tools = _rename(rng, rng.choice(levels), [function["name"] for function in functions])
    if on_parameters:
        way = rng.choice(levels)
        for function in functions:
            name, parameters = function["name"], list(function["parameters"]["properties"])
            if way == "heavy" and (len(parameters) == 1 or rng.random() < 0.5):
                extra[name] = (_nonsense(rng, parameters), _nonsense(rng, parameters))
            else:
                keys[name] = _rename(rng, way, parameters)

    def call(name, arguments):
        renamed = {keys.get(name, {}).get(key, key): value for key, value in arguments.items()}
        return tools.get(name, name), renamed | dict([extra[name]] if name in extra else [])

    for function in functions:
        _rewrite(function, tools, keys.get(function["name"], {}), extra.get(function["name"]))
    turns = [{**turn, "content": _turn(turn, call)} for turn in item["conversations"][1:]]
    system = {"role": "system", "content": json.dumps(schemas, ensure_ascii=False, separators=(",", ":"))}
    return {**item, "conversations": [system, *turns], "gold": write_call(*call(gold.name, gold.arguments))}


def _turn(turn, call):
    """The content of a turn, with the names of a call changed."""
    if turn["role"] != "assistant":
        return turn["content"]
    name, _, arguments = turn["content"].partition("\n")
    name, arguments = call(name, json.loads(arguments))
    return f"{name}\n{json.dumps(arguments, ensure_ascii=False)}"


def _rewrite(function, tools, keys, extra):
    """Change a schema in place: its name, its parameters' names, and a further parameter (name, value)."""
    parameters = function["parameters"]
    function["name"] = tools.get(function["name"], function["name"])
    parameters["properties"] = {keys.get(key, key): value for key, value in parameters["properties"].items()}
    parameters["required"] = [keys.get(key, key) for key in parameters["required"]]
    if extra:
        key, value = extra
        parameters["properties"][key] = {"type": "string", "description": f'always set this to "{value}"'}
        parameters["required"].append(key)


def _rename(rng, level, names):
    """{name: another one} for some names that stand side by side; the others stay apart from each other."""
    if level == "heavy":
        shift = rng.randrange(1, len(names)) if len(names) > 1 else 0
        return dict(zip(names, names[shift:] + names[:shift]))
    renamed = {}
    for name in names:
        new = name
        while new == name or new in renamed.values() or new in names:
            new = _misspelt(rng, name) if level == "slight" else (
                name[::-1] if rng.random() < 0.5 and name[::-1] not in (name, *names)
                else _nonsense(rng, [*names, *renamed.values()]))
        renamed[name] = new
    return renamed


def _misspelt(rng, name):
    """One edit for every six characters or so."""
    for _ in range(1 + len(name) // 8):
        place = rng.randrange(1, len(name)) if len(name) > 1 else 0
        insertion, rest = rng.choice((("", name[place + 1:]), (rng.choice(LETTERS), name[place:]),
                                      (rng.choice(LETTERS), name[place + 1:])))
        name = name[:place] + insertion + rest
    return name


def _nonsense(rng, taken):
    """A few random letters that are no name taken."""
    while True:
        name = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))
        if name not in taken:
            return name
