"""Noise on the names of tools and parameters, in four levels like RoTBench's (arXiv:2401.08326).

    slight   characters are inserted, left out, or replaced
    medium   names are reversed, or random letters take their place
    heavy    tools exchange their names, and parameters those of their tool; or a tool gets one more
             required parameter, whose description says what to set it to
    union    tools and parameters at once, each by a level drawn from the three above

As in RoTBench, an item of the first three levels has noise on its tools or on its parameters, by
turns. Descriptions stay, so that a model can tell a tool by what it does. `finish` and
`ask_to_user` keep their names, since the dialogue itself needs them.
"""

import json
import string
from typing import NamedTuple

from data.calls import parse_call
from data.tools import write_call
from toolbox.execute import DIALOGUE

LEVELS = ("slight", "medium", "heavy", "union")
LETTERS = string.ascii_letters


class _NewNames(NamedTuple):
    """What becomes of the names in an item; a name that is not in here stays."""

    tools: dict       # tool -> its new name
    parameters: dict  # tool -> {parameter: its new name}
    extra: dict       # tool -> (name, value) of its further required parameter

    def call(self, name, arguments):
        """A call with the old names -> (name, arguments) with the new ones."""
        keys = self.parameters.get(name, {})
        renamed = {keys.get(key, key): value for key, value in arguments.items()}
        if name in self.extra:
            key, value = self.extra[name]
            renamed[key] = value
        return self.tools.get(name, name), renamed


def add_noise(rng, level, place, item):
    """A copy of an item of single calls with noise on its names.

    rng: a seeded `random.Random`. level: one of LEVELS. place: the item's place in its file; for
    the first three levels an even place gets noise on tools, an odd one on parameters.
    """
    schemas = json.loads(item["conversations"][0]["content"])
    functions = [schema["function"] for schema in schemas
                 if schema["function"]["name"] not in DIALOGUE]
    gold = parse_call(item["gold"], schemas, strict=True)
    names = _draw_names(rng, level, place, functions)
    for function in functions:
        _rename_in_schema(function, names)
    turns = [{**turn, "content": _turn_content(turn, names)} for turn in item["conversations"][1:]]
    system = {"role": "system",
              "content": json.dumps(schemas, ensure_ascii=False, separators=(",", ":"))}
    return {**item, "conversations": [system, *turns],
            "gold": write_call(*names.call(gold.name, gold.arguments))}


def _draw_names(rng, level, place, functions):
    """The _NewNames for some schemas."""
    on_tools = level == "union" or place % 2 == 0
    on_parameters = level == "union" or place % 2 == 1
    levels = LEVELS[:3] if level == "union" else (level,)
    names = _NewNames({}, {}, {})
    if on_tools:
        old = [function["name"] for function in functions]
        names.tools.update(_renamed(rng, rng.choice(levels), old))
    if on_parameters:
        own_level = rng.choice(levels)
        for function in functions:
            name = function["name"]
            parameters = list(function["parameters"]["properties"])
            if own_level == "heavy" and (len(parameters) == 1 or rng.random() < 0.5):
                key = _random_letters(rng, parameters)
                value = _random_letters(rng, parameters)
                names.extra[name] = (key, value)
            else:
                names.parameters[name] = _renamed(rng, own_level, parameters)
    return names


def _turn_content(turn, names):
    """The content of a turn; a call gets the new names."""
    if turn["role"] != "assistant":
        return turn["content"]
    name, _, arguments = turn["content"].partition("\n")
    name, arguments = names.call(name, json.loads(arguments))
    return f"{name}\n{json.dumps(arguments, ensure_ascii=False)}"


def _rename_in_schema(function, names):
    """Change a schema in place: its name, its parameters' names, and its further parameter."""
    name = function["name"]
    keys = names.parameters.get(name, {})
    parameters = function["parameters"]
    properties = {keys.get(key, key): value for key, value in parameters["properties"].items()}
    required = [keys.get(key, key) for key in parameters["required"]]
    if name in names.extra:
        key, value = names.extra[name]
        properties[key] = {"type": "string", "description": f'always set this to "{value}"'}
        required.append(key)
    function["name"] = names.tools.get(name, name)
    parameters["properties"] = properties
    parameters["required"] = required


def _renamed(rng, level, names):
    """{name: its new name} for the names of a set; no two of them become the same."""
    if level == "heavy":
        shift = rng.randrange(1, len(names)) if len(names) > 1 else 0
        return dict(zip(names, names[shift:] + names[:shift], strict=True))
    renamed = {}
    for name in names:
        new = name
        while new == name or new in renamed.values() or new in names:
            if level == "slight":
                new = _misspelt(rng, name)
            elif rng.random() < 0.5 and name[::-1] not in (name, *names):
                new = name[::-1]
            else:
                new = _random_letters(rng, [*names, *renamed.values()])
        renamed[name] = new
    return renamed


def _misspelt(rng, name):
    """A name with an edit for about every six characters."""
    for _ in range(1 + len(name) // 8):
        place = rng.randrange(1, len(name)) if len(name) > 1 else 0
        insertion, rest = rng.choice((("", name[place + 1:]),
                                      (rng.choice(LETTERS), name[place:]),
                                      (rng.choice(LETTERS), name[place + 1:])))
        name = name[:place] + insertion + rest
    return name


def _random_letters(rng, taken):
    """A name of a few random letters that is not taken yet."""
    while True:
        name = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))
        if name not in taken:
            return name
