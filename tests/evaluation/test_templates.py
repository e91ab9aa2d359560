"""The prompts of the compared models: the paper's examples, later turns, and what schemas become.

tests/evaluation/prompts/ holds the example of each of Tables 6 to 13 as a model reads it. The text
of the paper that we have lost its white space and some marks to typesetting; a test compares all
that is left.
"""

import json
import re
from pathlib import Path

import pytest

from data.turns import Turn, make_call_turn
from evaluation.tasks import make_conversation
from evaluation.templates import TEMPLATES, read_schemas
from plumbing.files import InputError
from tests.conftest import real, schema

QUESTION = "Can you fetch some random advice for me?"
ADVICE = {"name": "random_advice", "description": "Returns a random advice slip as a slip object.",
          "parameters": {"type": "object", "properties": {}, "required": []}}
# Table 6 has "required" beside the parameters.
ODD_ADVICE = {**ADVICE, "parameters": {"type": "object", "properties": {}}, "required": []}
TABLES = {"toolllama2": 6, "nexusraven2": 7, "chatglm4": 8, "qwen2": 9, "llama3.1": 10,
          "qwen2.5": 11, "gpt": 12, "tl-codellama2": 13}
READ_SCHEMAS = ("toolllama2", "chatglm4", "qwen2", "llama3.1", "qwen2.5")  # and gpt's request
# What typesetting did to the tables, white space left out: (as printed, as it was).
REPAIRS = {
    "toolllama2": [("sayIgiveupandrestart:", 'say"Igiveupandrestart".'),
                   ("callFinishfunction", 'call"Finish"function'),
                   ("Finish-;give", "Finish->give")],
    "nexusraven2": [("<human.end>", "<human_end>")],
    "qwen2": [("forme?<|im_start|>", "forme?<|im_end|><|im_start|>")],
    "llama3.1": [("format“name”:", 'format{"name":'), ("“parameters”:", '"parameters":'),
                 ("itsvalue.Donot", "itsvalue}.Donot")],
}


def example(name):
    """The paper's example, rendered by a template."""
    function = ODD_ADVICE if name == "toolllama2" else ADVICE
    shown = make_conversation([{"type": "function", "function": function}],
                              [{"role": "user", "content": QUESTION}], "example")
    return TEMPLATES[name].render(shown.tools, shown.turns)


def squash(text):
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_example_of_the_paper(name):
    golden = Path(__file__).with_name("prompts") / f"{name}.txt"
    prompt = example(name)
    assert (json.dumps(prompt) if name == "gpt" else prompt) == golden.read_text()


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_example_is_what_the_paper_prints(name):
    paper = real("paper/TL-Training.txt").read_text()
    number = TABLES[name]
    table = rf"^Table {number}\. .*?\n(.*?)(?=^Table {number + 1}\.|^C\. Examples)"
    [text] = re.findall(table, paper, re.DOTALL | re.MULTILINE)
    printed = squash(text.replace("```", ""))
    for wrong, right in REPAIRS.get(name, ()):
        assert printed.count(wrong) == 1
        printed = printed.replace(wrong, right)
    prompt = example(name)
    if name == "gpt":
        [message] = prompt
        prompt = message["content"]
    elif name == "llama3.1":  # of the marks that tokenizers add the paper prints this one
        prompt = TEMPLATES[name].begin + prompt
    assert squash(prompt) == printed


# ---- later turns ----

FORECAST = schema("forecast", "Says it.", ["city"], city="string")
ASK = schema("ask_to_user", "Asks.", ["question"], question="string")
CALL = make_call_turn("forecast", {"city": "Tromsø"}, "test")
ASKED = make_call_turn("ask_to_user", {"question": "When?"}, "test")
SHOWN = make_conversation([FORECAST, ASK], [{"role": "user", "content": "Rain?"}], "test")


def after_question(name, *turns):
    """What a template writes from the question on."""
    text = TEMPLATES[name].render(SHOWN.tools, (*SHOWN.turns, *turns))
    return text[text.rindex("Rain?"):]


@pytest.mark.parametrize("name, expected", [
    ("toolllama2",
     'Rain?\nAssistant: \nThought: \nAction: forecast\nAction Input: {"city": "Tromsø"}\n'
     'Function: "wet"\nAssistant:\n'),
    ("chatglm4",
     'Rain?<|assistant|>forecast\n{"city": "Tromsø"}<|observation|>\n"wet"<|assistant|>'),
    ("qwen2",
     'Rain?<|im_end|>\n<|im_start|>assistant\nThought: \nAction: forecast\n'
     'Action Input: {"city": "Tromsø"}\nObservation: "wet"\nThought: '),
    ("llama3.1",
     'Rain?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n'
     '{"name": "forecast", "parameters": {"city": "Tromsø"}}<|eot_id|>'
     '<|start_header_id|>ipython<|end_header_id|>\n\n"\\"wet\\""<|eot_id|>'
     '<|start_header_id|>assistant<|end_header_id|>\n\n'),
    ("qwen2.5",
     'Rain?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n'
     '{"name": "forecast", "arguments": {"city": "Tromsø"}}\n</tool_call><|im_end|>\n'
     '<|im_start|>user\n<tool_response>\n"wet"\n</tool_response><|im_end|>\n'
     '<|im_start|>assistant\n'),
    ("tl-codellama2",
     'Rain?\nAssistant: forecast(city="Tromsø")\nOutput: "wet"\nAssistant:'),
])
def test_a_call_and_its_result(name, expected):
    assert after_question(name, CALL, Turn("function", '"wet"')) == expected


def test_what_a_model_wrote_itself_stays_as_it_is():
    wrote = "Thought: rain?\nAction: forecast\nAction Input: {}"
    end = after_question("qwen2", Turn("assistant", wrote), Turn("function", "no city"))
    assert end.endswith(f"assistant\n{wrote}\nObservation: no city\nThought: ")
    end = after_question("chatglm4", Turn("assistant", "\nWhere?"), Turn("user", "There."))
    assert end == "Rain?<|assistant|>\nWhere?<|user|>\nThere.<|assistant|>"


def test_results_in_a_row_share_a_turn_of_qwen():
    end = after_question("qwen2.5", CALL, CALL, Turn("function", "1"), Turn("function", "2"))
    assert ("<|im_start|>user\n<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n"
            "</tool_response><|im_end|>\n<|im_start|>assistant\n") in end


def test_react_tells_an_answer_to_a_call_from_a_new_question():
    answered = after_question("qwen2", ASKED, Turn("user", "Today."))
    assert answered.endswith("\nObservation: Today.\nThought: ")
    anew = after_question("qwen2", Turn("assistant", "Yes."), Turn("user", "And snow?"))
    assert anew == ("Rain?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\n"
                    "Question: And snow?<|im_end|>\n<|im_start|>assistant\n")


def test_nexusraven_has_no_place_for_a_conversation():
    with pytest.raises(InputError, match="single questions"):
        after_question("nexusraven2", CALL, Turn("function", "wet"))


# ---- messages ----

def messages(*turns):
    return TEMPLATES["gpt"].render(SHOWN.tools, (*SHOWN.turns, *turns))[1:]


def test_every_result_follows_a_call_as_the_api_demands():
    """Calls of the data and of a model, a question to the user, a text without a call."""
    written = Turn("assistant", '{"tool_calls": [{"name": "forecast", "arguments": "{}"}]}')
    made = messages(CALL, Turn("function", "wet"), written, Turn("function", "no city"),
                    ASKED, Turn("user", "Today."), Turn("assistant", "Hm."),
                    Turn("function", "Error: no call"))
    assert [message["role"] for message in made] == [
        "assistant", "tool", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    for i in (0, 2, 4):
        [call] = made[i]["tool_calls"]
        assert made[i + 1]["tool_call_id"] == call["id"]
    assert made[0]["tool_calls"][0]["function"] == {
        "name": "forecast", "arguments": '{"city": "Tromsø"}'}
    assert made[5]["content"] == "Today." and made[7]["content"] == "Error: no call"
    ids = [message["tool_call_id"] for message in made if message["role"] == "tool"]
    assert len(set(ids)) == 3


def test_what_the_user_says_after_finish_is_no_result_of_it():
    """The user's next question was sent as the tool's result."""
    finish = make_call_turn("finish", {"answer": "wet"}, "test")
    made = messages(finish, Turn("user", "And snow?"))
    id = made[0]["tool_calls"][0]["id"]
    assert made[1:] == [{"role": "tool", "tool_call_id": id, "content": ""},
                        {"role": "user", "content": "And snow?"}]
    text = after_question("qwen2", finish, Turn("user", "And snow?"))
    assert text.endswith("<|im_end|>\n<|im_start|>user\nQuestion: And snow?<|im_end|>\n"
                         "<|im_start|>assistant\n")


def test_calls_in_a_row_are_one_message():
    made = messages(CALL, CALL, Turn("function", "1"), Turn("function", "2"))
    assert [call["id"] for call in made[0]["tool_calls"]] == [
        message["tool_call_id"] for message in made[1:]]


# ---- schemas ----

def test_schemas_keep_what_the_file_says_and_have_types_of_json_schema():
    nested = {"name": "f", "description": "d", "parameters": {"type": "dict", "required": ["type"],
              "properties": {"type": {"type": "float", "enum": [1.5], "default": 2},
                             "pair": {"type": "tuple", "items": {"type": "dict"}},
                             "many": {"type": "Array[string]"}}}}
    shown = make_conversation([nested], [], "test")
    [schema] = read_schemas(shown.tools, shown.turns)
    assert schema == {"type": "function", "function": {
        "name": "f", "description": "d", "parameters": {
            "type": "object", "required": ["type"], "properties": {
                "type": {"type": "number", "enum": [1.5], "default": 2},
                "pair": {"type": "array", "items": {"type": "object"}},
                "many": {"type": "array", "items": {"type": "string"}}}}}}


@pytest.mark.parametrize("name", ["gpt", *READ_SCHEMAS])
def test_gemini_s_declarations_are_a_schema_each_in_every_template(name):
    """Two tools in one entry were a traceback, and STRING is no type of OpenAI's API."""
    bare = {"name": "f", "description": "d", "parameters": {
        "type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": None}, "required": ["a"]}}
    shown = make_conversation([{"functionDeclarations": [bare, {**bare, "name": "g"}]}],
                              [{"role": "user", "content": "Rain?"}], "test")
    schemas = [one["function"] for one in read_schemas(shown.tools, shown.turns)]
    assert [one["name"] for one in schemas] == ["f", "g"]
    assert schemas[0]["parameters"] == {
        "type": "object", "properties": {"a": {"type": "string"}, "b": None}, "required": ["a"]}
    text = str(TEMPLATES[name].render(shown.tools, shown.turns))
    assert "Rain?" in text and "STRING" not in text


@pytest.mark.parametrize("written", [
    {"name": "f", "parameters": {"a": {"type": "int", "description": "An a."}}},
    {"name": "f", "input_schema": {"properties": {"a": {"type": "integer", "description": "An a."}},
                                   "required": ["a"]}},
    {"name": "f", "required_parameters": [{"name": "a", "type": "int", "description": "An a."}]},
])
def test_parameters_in_another_form_become_a_json_schema(written):
    shown = make_conversation([written], [], "test")
    [schema] = read_schemas(shown.tools, shown.turns)
    assert schema["function"] == {"name": "f", "description": "", "parameters": {
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "integer", "description": "An a."}}}}
