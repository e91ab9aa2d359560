"""The schemas of the tools in toolbox/world, and the runner that answers any call of a model.

The runner answers as a tool server would. A success is JSON. Each category of error in TL-Training,
Figure 1, is worded as in real trajectories, so that `data.feedback` names it. Nothing that a model
writes is evaluated: the runner looks the name up and compares the parameters with the signature
before it calls the function.

    python -m toolbox.execute                              # categories and signatures
    python -m toolbox.execute 'get_weather(city="Oslo")'   # the feedback of one call
"""

import inspect
import json

from data.calls import ParseError, parse_call
from data.tools import read_tool, signature
from plumbing.files import InputError
from plumbing.flags import Parser, cli
from toolbox.world import (
    Refusal,
    arithmetic,
    books,
    calendar,
    contacts,
    currency,
    education,
    events,
    finance,
    geography,
    health,
    home,
    inventory,
    movies,
    music,
    news,
    recipes,
    sports,
    text,
    travel,
    units,
    weather,
)


def finish(answer: str) -> str:
    """End the task and give the answer.

    answer: the answer to the task
    """
    return answer


def ask_to_user(question: str) -> str:
    """Ask the user when more information is needed, but use this tool as little as you can.

    question: the question to the user
    """
    return question


def public_functions(module):
    """{name: function} of the public functions that a module defines, in the order of the file.

    functools.lru_cache makes an object of a function, which counts as the function.
    """
    functions = {}
    for name, value in vars(module).items():
        is_function = callable(value) and inspect.isfunction(inspect.unwrap(value))
        if is_function and value.__module__ == module.__name__ and not name.startswith("_"):
            functions[name] = value
    return functions


_MODULES = (weather, geography, currency, units, arithmetic, text, calendar, events, contacts,
            recipes, travel, inventory, movies, books, music, sports, health, finance, education,
            home, news)
DIALOGUE = {"finish": finish, "ask_to_user": ask_to_user}  # offered in every dialogue; no server
TOOLS = dict(DIALOGUE)  # name -> function
CATEGORIES = {}         # category -> names of its tools
CATEGORY_OF = {}        # name -> category
for _module in _MODULES:
    _category = _module.__name__.rpartition(".")[2]
    _functions = public_functions(_module)
    TOOLS |= _functions
    CATEGORIES[_category] = tuple(_functions)
    CATEGORY_OF |= dict.fromkeys(_functions, _category)

TYPES = {str: {"type": "string"}, int: {"type": "integer"},
         float: {"type": "number"}, bool: {"type": "boolean"},
         list[str]: {"type": "array", "items": {"type": "string"}},
         list[int]: {"type": "array", "items": {"type": "integer"}}}


def schemas(names):
    """The schemas of some tools, as a trajectory's system turn holds them.

    Raises InputError for a name that is no tool.
    """
    for name in names:
        if name not in TOOLS:
            raise InputError(f"no tool {name} in the toolbox")
    return [{"type": "function", "function": _schema(name)} for name in names]


def _schema(name):
    description, lines = inspect.getdoc(TOOLS[name]).split("\n\n")
    meanings = dict(line.split(": ", 1) for line in lines.splitlines())
    parameters = inspect.signature(TOOLS[name]).parameters.values()
    properties = {p.name: {**TYPES[p.annotation], "description": meanings[p.name]}
                  for p in parameters}
    required = [p.name for p in parameters if p.default is p.empty]
    return {"name": name, "description": description,
            "parameters": {"type": "object", "properties": properties, "required": required}}


def _refusal(category, reason):
    """What the server of a category answers when a tool refuses a value; the forms go by turns."""
    forms = ({"error": reason},
             {"status": "failure", "code": 400, "message": reason},
             {"success": False, "message": reason},
             {"error": {"code": 1006, "message": reason}})
    return forms[list(CATEGORIES).index(category) % len(forms)]


# What comes back when the server of a category cannot be reached or does not want to answer.
OUTAGES = ("HTTPSConnectionPool(host='api.{server}.example', port=443): "
           "Max retries exceeded with url: /",
           "HTTPSConnectionPool(host='api.{server}.example', port=443): "
           "Read timed out. (read timeout=10)",
           "503 Server Error: Service Unavailable for url: https://api.{server}.example/{tool}",
           "429 Client Error: Too Many Requests for url: https://api.{server}.example/{tool}",
           '{{"message": "Too many requests. Please try again later."}}',
           '{{"error": "The service is temporarily unavailable."}}',
           "Request timed out after 10 seconds.")


def run(call, offered=None, rng=None, failure_rate=0.0):
    """Execute a `data.calls.Call` -> the feedback, which is a text for any call.

    offered: names of the tools that exist for the caller, None for all. With rng, a seeded
    `random.Random`, a call that fits its tool meets an outage with probability failure_rate.

    >>> run(parse_call('get_country(country="Kenya")'))
    '{"country": "Kenya", "capital": "Nairobi", "currency_code": "KES", "language": "Swahili"}'
    >>> run(parse_call('get_country(name="Kenya")'))
    "get_country() got an unexpected keyword argument 'name'"
    >>> run(parse_call('get_country(country="Atlantis")'))
    '{"status": "failure", "code": 400, "message": "Unknown country \\'Atlantis\\'."}'
    """
    if call.name not in TOOLS or (offered is not None and call.name not in offered):
        return f"name '{call.name:.80}' is not defined"
    tool = TOOLS[call.name]
    error = _signature_error(call.name, tool, call.arguments)
    if error:
        return error
    if rng is not None and call.name not in DIALOGUE and rng.random() < failure_rate:
        return rng.choice(OUTAGES).format(server=CATEGORY_OF[call.name], tool=call.name)
    return _execute(call.name, tool, call.arguments)


def _signature_error(name, tool, arguments):
    """What Python says of arguments that do not fit the function; None for arguments that fit."""
    parameters = inspect.signature(tool).parameters
    for key in arguments:
        if key not in parameters:
            return f"{name}() got an unexpected keyword argument '{key:.80}'"
    missing = [repr(p.name) for p in parameters.values()
               if p.default is p.empty and p.name not in arguments]
    if not missing:
        return None
    names = " and ".join(missing)
    if len(missing) > 2:
        names = f"{', '.join(missing[:-1])}, and {missing[-1]}"
    plural = "s" if len(missing) > 1 else ""
    return f"{name}() missing {len(missing)} required positional argument{plural}: {names}"


def _execute(name, tool, arguments):
    try:
        return json.dumps(tool(**arguments), ensure_ascii=False)
    except Refusal as refusal:
        answer = _refusal(CATEGORY_OF[name], str(refusal))
        return json.dumps(answer, ensure_ascii=False)
    except RecursionError:  # an argument nested deeper than JSON can be written
        return '{"error": "Value nested too deeply."}'
    except (TypeError, AttributeError) as error:  # a value of a wrong type
        return str(error)


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m toolbox.execute",
                    description="List the tools, or execute one call.")
    parser.add_argument("call", nargs="?", help="""a call, such as 'get_weather(city="Oslo")'""")
    written = parser.parse_args().call
    if written is None:
        for category, names in CATEGORIES.items():
            print(f"{category} ({len(names)})")
            for tool in map(read_tool, schemas(names)):
                print("   ", signature(tool).splitlines()[1].removeprefix("def ").removesuffix(":"))
        return
    try:
        call = parse_call(written, schemas(TOOLS), strict=True)
    except ParseError as error:
        raise InputError(f"not a call: {error}") from None
    print(run(call))


if __name__ == "__main__":
    cli(main)
