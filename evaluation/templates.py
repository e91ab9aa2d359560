r"""The prompts of the models that the paper compares (TL-Training, appendix B, Tables 6 to 13).

    toolllama2       Table 6: ReAct, with the schemas in AutoGPT's system prompt (ToolBench)
    nexusraven2      Table 7: Python signatures; one question, no later turns
    chatglm4         Table 8: schemas in the system turn; a call is a name, a newline and JSON
    qwen2            Table 9: ReAct in one user turn, as Qwen-Agent writes it
    llama3.1         Table 10: schemas in the user's turn, as in Meta's chat template
    qwen2.5          Table 11: schemas in <tools>, as in Qwen's chat template
    gpt              Table 12: messages and tools, which the server puts into the model's own form
    tl-codellama2    Table 13: ours, as in training

Each renders the tools and turns of a conversation. All but gpt make a text for an engine that
completes texts. A call of the conversation is written as the model would write it; what a model
wrote itself, a turn without `name`, stays as it is. docs/deviations.md lists where these texts
differ from the paper's tables, whose typesetting lost quotes, braces and marks.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from data.tools import declarations, signature
from evaluation.call_formats import find_calls
from plumbing.files import InputError, parse_json
from tokenizer import render

# How benchmarks name types that JSON Schema names otherwise; OpenAI's API refuses other names.
JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array",
              "int": "integer", "str": "string", "bool": "boolean"}

TOOLLLAMA = """\
You are AutoGPT, you can use many tools(functions) to do the following task.
First I will give you the task description, and your task start.
At each step, you need to give your thought to analyze the status now and what to do next, \
with a function call to actually excute your step. Your output should follow this format:
Thought:
Action
Action Input:

After the call, you will get the call result, and you are now in a new state.
Then you will analyze your status now, then decide what to do next...
After many (Thought-call) pairs, you finally perform the task, then you can give your finial answer.
Remember:
1.the state change is irreversible, you can't go back to one of the former state, if you want to \
restart the task, say "I give up and restart".
2.All the thought is short, at most in 5 sentence.
3.You can do more then one trys, so if your plan is to continusly try some conditions, you can do \
one of the conditions per try.
Let's Begin!
Task description: You should use functions to help handle the real time user querys. Remember:
1.ALWAYS call "Finish" function at the end of the task. And the final answer should contain \
enough information to show to the user.If you can't handle the task, or you find that function \
calls always fail(the function is not valid now), use function Finish->give_up_and_restart.
2.Do not use origin tool names, use only subfunctions' names.
Specifically, you have access to the following APIs: """

RAVEN_RETURNS = '''

    Returns:
    string: The feedback from the tool.
    """'''

CHATGLM = """\
你是一个名为 ChatGLM 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，\
你的任务是针对用户的问题和要求提供适当的答复和支持。

# 可用工具"""
CHATGLM_TOOL = "\n\n## {name}\n\n{schema}\n在调用上述函数时，请使用 Json 格式表示调用的参数。"

QWEN2 = """\
Answer the following questions as best you can. You have access to the following tools:

{tools}

Use the following format:

Question: the input question you must answer
Thought: you should always think about what to do
Action: the action to take, should be one of [{names}]
Action Input: the input to the action
Observation: the result of the action
... (this Thought/Action/Action Input/Observation can be repeated zero or more times)
Thought: I now know the final answer
Final Answer: the final answer to the original input question

Begin!

"""
QWEN2_TOOL = (
    "{name}: Call this tool to interact with the {name} API. What is the {name} API useful for? "
    "{description} Parameters: {parameters} Format the arguments as a JSON object.")

LLAMA_SYSTEM = """\
Environment: ipython
Cutting Knowledge Date: December 2023
Today Date: 26 Jul 2024

"""
LLAMA_TOOLS = """\
Given the following functions, please respond with a JSON for a function call with its proper \
arguments that best answers the given prompt.

Respond in the format {"name": function name, "parameters": dictionary of argument name and its \
value}. Do not use variables.

"""

QWEN25 = """\
You are Qwen, created by Alibaba Cloud. You are a helpful assistant.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
%s
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


class Template(NamedTuple):
    """How a model is asked for its next call."""

    render: Callable            # function of (tools, turns) -> the text, without `begin`
    begin: str = ""             # what the model's tokenizer puts before every text
    stop: tuple[str, ...] = ()  # texts that end an answer, beside the model's own token
    is_chat: bool = False       # `render` gives messages for a server that renders them itself


# ------------------------------------------------------------------------------------------ schemas

def read_schemas(tools, turns):
    """The schemas of the tools in OpenAI's form, as the system turn lists them.

    What a file says of a tool is kept, but for names of types that JSON Schema does not have; and
    parameters in another form than OpenAI's are written anew.
    """
    written = []
    for entry in parse_json(turns[0].content, "tools"):
        written += declarations(entry)
    return [_openai_schema(schema, tool) for schema, tool in zip(written, tools, strict=True)]


def _openai_schema(schema, tool):
    function = schema.get("function", schema)
    parameters = function.get("parameters")
    if isinstance(parameters, dict) and isinstance(parameters.get("properties"), dict):
        function = with_json_types(function)
    else:
        function = {"name": tool.name, "description": tool.description,
                    "parameters": _write_parameters(tool)}
    return {"type": "function", "function": function}


def _write_parameters(tool):
    """The JSON Schema of a Tool's parameters."""
    properties = {}
    for parameter in tool.parameters:
        schema = {"type": parameter.type} if parameter.type else {}
        properties[parameter.name] = {**schema, "description": parameter.description}
    required = [parameter.name for parameter in tool.parameters if parameter.required]
    return with_json_types({"type": "object", "properties": properties, "required": required})


def with_json_types(schema):
    """A schema with JSON Schema's names of types.

    >>> with_json_types({"type": "dict", "properties": {"a": {"type": "Array[string]"}}})
    {'type': 'object', 'properties': {'a': {'type': 'array', 'items': {'type': 'string'}}}}
    """
    if isinstance(schema, list):
        return [with_json_types(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {key: with_json_types(value) for key, value in schema.items()}
    kind = schema.get("type")
    if not isinstance(kind, str):  # a parameter may be named "type"
        return converted
    kind = kind.lower() if kind.isupper() else kind  # Gemini's STRING
    listed = re.match(r"Array\[(\w+)", kind)  # ToolAlpaca's simulated APIs
    if listed:
        inner = listed[1].lower()
        return {**converted, "type": "array", "items": {"type": JSON_TYPES.get(inner, inner)}}
    if kind.startswith("Object"):
        return {**converted, "type": "object"}
    return {**converted, "type": JSON_TYPES.get(kind, kind)}


def to_json(value, **options):
    """A value as JSON, with letters of all languages."""
    return json.dumps(value, ensure_ascii=False, **options)


# --------------------------------------------------------------------------------- ReAct and Python

def toolllama2(tools, turns):
    """ToolBench's: `Role: content` a turn; ToolLLaMA answers in ReAct."""
    roles = {"user": "User", "assistant": "Assistant", "function": "Function"}
    lines = [f"System: {TOOLLLAMA}{to_json(read_schemas(tools, turns))}"]
    for turn in turns[1:]:
        content = turn.content
        if turn.name:
            content = f"\nThought: {_react_call(turn)}"
        lines.append(f"{roles[turn.role]}: {content}")
    return "\n".join([*lines, "Assistant:\n"])


def _react_call(turn):
    return f"\nAction: {turn.name}\nAction Input: {to_json(turn.arguments)}"


def nexusraven2(tools, turns):
    """NexusRaven's: signatures and one question. Raises InputError for a conversation."""
    if [turn.role for turn in turns[1:]] != ["user"]:
        raise InputError("--template nexusraven2: NexusRaven-2 answers single questions; its "
                         "prompt has no place for earlier calls")
    functions = []
    for tool in tools:
        block = signature(tool).removesuffix('\n    """')
        functions.append(block + RAVEN_RETURNS)
    return "\n\n".join([*functions, f"User Query: {turns[1].content}<human_end>\n\n"])


def tl_codellama2(tools, turns):
    """Ours, as tokenizer.py renders it for training."""
    lines = [render(turn._replace(content=turn.content.strip(" ")), tools) for turn in turns]
    return "\n".join([*lines, "Assistant:"])


# --------------------------------------------------------------------------------------- chat marks

def chatglm4(tools, turns):
    """ChatGLM-4's: the name of a tool stands behind the assistant's mark."""
    text = f"<|system|>\n{CHATGLM}"
    for schema in read_schemas(tools, turns):
        function = schema["function"]
        text += CHATGLM_TOOL.format(name=function["name"], schema=to_json(function))
    for turn in turns[1:]:
        if turn.role == "user":
            text += f"<|user|>\n{turn.content}"
        elif turn.role == "function":
            text += f"<|observation|>\n{turn.content}"
        elif turn.name:
            text += f"<|assistant|>{turn.name}\n{to_json(turn.arguments)}"
        else:
            text += f"<|assistant|>{turn.content}"
    return text + "<|assistant|>"


def qwen2(tools, turns):
    """Qwen-Agent's ReAct: all steps of an answer stand in one turn of the assistant."""
    described = []
    for schema in read_schemas(tools, turns):
        function = schema["function"]
        described.append(QWEN2_TOOL.format(
            name=function["name"], description=function.get("description", ""),
            parameters=to_json(_list_parameters(function["parameters"]))))
    names = ",".join(tool.name for tool in tools)
    instruction = QWEN2.format(tools="\n\n".join(described), names=names)
    text = _chatml("system", "You are a helpful assistant.")
    before = None  # the turn before
    for turn in turns[1:]:
        answers = before is not None and before.role == "assistant" and _awaits_user(before, tools)
        if turn.role == "assistant":
            thought = "Thought: " if text.endswith("<|im_start|>assistant\n") else ""
            text += f"{thought}{_react_call(turn)}" if turn.name else turn.content
        elif turn.role == "function" or answers:
            text += f"\nObservation: {turn.content}\nThought: "
        else:
            end = "<|im_end|>\n" if before is not None else ""
            text += end + _chatml("user", f"{instruction}Question: {turn.content}")
            text += "<|im_start|>assistant\n"
            instruction = ""
        before = turn
    return text


def _list_parameters(parameters):
    """Parameters as Qwen-Agent lists them: what their schemas say, and whether they are needed."""
    required = parameters.get("required") or ()
    listed = []
    for name, schema in (parameters.get("properties") or {}).items():
        listed.append({"name": name, **(schema or {}), "required": name in required})
    return listed


def llama3_1(tools, turns):
    """Meta's template for Llama 3.1, tools in the user's turn and no system message of ours."""
    schemas = [to_json(schema, indent=2, sort_keys=True) for schema in read_schemas(tools, turns)]
    instruction = LLAMA_TOOLS + "".join(f"{schema}\n\n" for schema in schemas)
    text = _llama("system", LLAMA_SYSTEM)
    for turn in turns[1:]:
        if turn.role == "user":
            text += _llama("user", instruction + turn.content)
            instruction = ""
        elif turn.role == "function":
            text += _llama("ipython", to_json(turn.content))
        elif turn.name:
            call = {"name": turn.name, "parameters": turn.arguments}
            text += _llama("assistant", to_json(call))
        else:
            text += _llama("assistant", turn.content)
    return text + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def _llama(role, content):
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>"


def qwen2_5(tools, turns):
    """Qwen2.5's template; results of calls in a row share a turn of the user."""
    schemas = [to_json(schema, sort_keys=True) for schema in read_schemas(tools, turns)]
    text = _chatml("system", QWEN25 % "\n".join(schemas))
    results = []
    for place, turn in enumerate(turns[1:], 1):
        if turn.role == "function":
            results.append(f"<tool_response>\n{turn.content}\n</tool_response>")
            if place + 1 == len(turns) or turns[place + 1].role != "function":
                text += _chatml("user", "\n".join(results))
                results = []
        elif turn.name:
            call = to_json({"name": turn.name, "arguments": turn.arguments})
            text += _chatml("assistant", f"<tool_call>\n{call}\n</tool_call>")
        else:
            text += _chatml(turn.role, turn.content)
    return text + "<|im_start|>assistant\n"


def _chatml(role, content):
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


# ----------------------------------------------------------------------------------------- messages

def gpt(tools, turns):
    """OpenAI's messages: a call is a tool_call, and what comes back is its result.

    A text without a call is answered by the user: the API takes results of calls alone. What the
    user answers to a call, `ask_to_user`, is its result. `finish` has none that the user gives: its
    result is empty, and what the user says next is a message of its own.
    """
    messages = []
    waiting = []  # (id, whether the user answers) of calls without a result
    for place, turn in enumerate(turns[1:]):
        if turn.role == "assistant":
            call = _call_of(turn, tools)
            if call is None:
                messages.append({"role": "assistant", "content": turn.content})
                continue
            id = f"call_{place}"
            waiting.append((id, _awaits_user(turn, tools)))
            function = {"name": call[0], "arguments": to_json(call[1])}
            called = {"id": id, "type": "function", "function": function}
            if messages and messages[-1].get("tool_calls"):  # calls in a row are made at once
                messages[-1]["tool_calls"].append(called)
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": [called]})
        elif waiting:
            id, user_answers = waiting.pop(0)
            is_result = turn.role == "function" or user_answers
            content = turn.content if is_result else ""
            messages.append({"role": "tool", "tool_call_id": id, "content": content})
            if not is_result:
                messages.append({"role": "user", "content": turn.content})
        else:
            messages.append({"role": "user", "content": turn.content})
    return messages


def _awaits_user(turn, tools):
    """Whether a turn calls a tool to which the user's next words may be the answer."""
    call = _call_of(turn, tools)
    return call is not None and call[0].casefold() != "finish"


def _call_of(turn, tools):
    """(name, arguments) of the first call in a turn, or None."""
    if turn.name:
        return turn.name, turn.arguments
    calls = find_calls(turn.content, tools).calls
    return (calls[0].name, calls[0].arguments) if calls else None


TEMPLATES = {
    "gpt": Template(gpt, is_chat=True),
    "toolllama2": Template(toolllama2, "<s>"),
    "nexusraven2": Template(nexusraven2, "<s>", ("<bot_end>",)),
    "chatglm4": Template(chatglm4, "[gMASK]<sop>", ("<|user|>", "<|observation|>")),
    "qwen2": Template(qwen2, "", ("Observation:", "<|im_end|>")),
    "llama3.1": Template(llama3_1, "<|begin_of_text|>", ("<|eot_id|>", "<|eom_id|>")),
    "qwen2.5": Template(qwen2_5, "", ("<|im_end|>",)),
    "tl-codellama2": Template(tl_codellama2, "<s>"),
}
