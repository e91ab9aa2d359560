"""Feedback: cases of every category, rules that hold for all texts, and labels of real feedback."""

import datetime
import decimal
import json
import random
import re
import subprocess
import sys
import uuid
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import trajectories
from data.feedback import Feedback, classify, shares
from tests.conftest import ROOT, real

RIGHT = Feedback.ALL_RIGHT
UNSTABLE = Feedback.TOOL_INSTABILITY
FAILED = Feedback.TOOL_CALL_FAILURE
NO_TOOL = Feedback.TOOL_HALLUCINATION
NO_PARAMETER = Feedback.PARAMETER_HALLUCINATION
MISSING = Feedback.PARAMETER_MISSING
OTHERS = Feedback.OTHERS

CASES = [
    # the call does not fit the function
    (MISSING, "plan_trip() missing 2 required positional arguments: 'start' and 'end'"),
    (MISSING, '{"get": "cups", "errors": {"year": "The Year field is required."}, "response": []}'),
    (MISSING, '{"error": "Missing required parameter: \'city\'"}'),
    (NO_PARAMETER, "plan_trip() got an unexpected keyword argument 'mood'"),
    (NO_PARAMETER, '{"errors": {"mood": "The Mood field do not exist."}, "response": []}'),
    (NO_TOOL, "name 'plan_trips' is not defined"),
    # the tool's code breaks
    (FAILED, "'results'"),
    (FAILED, "'<=' not supported between instances of 'str' and 'int'"),
    (FAILED, "'NoneType' object is not subscriptable"),
    (FAILED, "Object of type bytes is not JSON serializable"),
    (FAILED, "local variable 'page' referenced before assignment"),
    (FAILED, "list index out of range"),
    # the service
    (UNSTABLE,
     "HTTPSConnectionPool(host='api.example.org', port=443): Max retries exceeded with url: /v1"),
    (UNSTABLE, "502 Server Error: Bad Gateway for url: https://api.example.org/v1"),
    (UNSTABLE, "<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head></html>"),
    (UNSTABLE, "403 - Forbidden"),
    (UNSTABLE,
     '{"message": "You have exceeded the DAILY quota for Requests on your current plan, BASIC."}'),
    (UNSTABLE, '{"message": "Endpoint \'/v9/cups\' does not exist"}'),
    (UNSTABLE, '{"status": 500, "error": "Internal Server Error", "path": "/v1/cups"}'),
    (UNSTABLE, '{"status_code": 400, "request_result": "Bad Request"}'),
    (UNSTABLE,
     '{"status_code": 400, "request_result": "Bad Request", "response": ["see the manual"]}'),
    (UNSTABLE,
     '{"error": "Timeout error...HTTPConnectionPool(host=\'h\'): Timed out.", "response": ""}'),
    # values that the tool does not accept
    (OTHERS, "Error: seat 14C is taken"),
    (OTHERS, "Not found"),
    (OTHERS, "mkdir: cannot create directory 'cups': File exists\n"),
    (OTHERS, 'ZeroDivisionError("division by zero")'),
    (OTHERS, '{"status": "FAILED", "comment": "cup: Cup with id 12 not found"}'),
    (OTHERS, '{"ip": "999.1.1.1", "success": false, "message": "Invalid IP address"}'),
    (OTHERS, '{"error_code": "58001", "error_msg": "INVALID_TO_PARAM"}'),
    (OTHERS,
     '{"status": {"error_code": 400, "error_message": "Category not found", "elapsed": 0}}'),
    (OTHERS, '{"year": ["Enter a whole number."]}'),
    (OTHERS,
     '{"errors": {"year": "The Year field is required.", "cup": "The Cup field must be even."}}'),
    (OTHERS,
     '{"error": "", "response": "{\'success\': False, \'message\': \'Parcel not found\'}"}'),
    (OTHERS,
     '{"error": "Message error...", "response": "{\'statusCode\': 400, \'message\': \'No cup\'}"}'),
    (OTHERS, '{"error": "no such cup: ' + "x" * 4000),  # cut off in the middle
    (OTHERS, '{"status": "error", "request_id": "7f", "error": {"message": "No such cup"}}'),
    (OTHERS, '{"code": 404, "message": "No such cup", "total": 0}'),
    (UNSTABLE, "[401]\ninvalid_client\nClient credentials are invalid"),
    # no errors: words and codes of success
    *((RIGHT, '{"error": "%s"}' % word) for word in ("N/A", "null", "No errors")),
    *((RIGHT, '{"error_code": %s, "cups": [1]}' % code)
      for code in ('"OK"', '"SUCCESS"', '200', '"0000"')),
    # no errors: numbers and states of what was asked for
    (RIGHT, "500 units in stock"),
    (RIGHT, "512 notes found"),
    (RIGHT, "404 Methodist Road, Austin"),
    (RIGHT, '{"country": "Mexico", "code": 484}'),
    (RIGHT, '{"order": 12, "status": "failed"}'),
    # no errors: empty error fields
    (RIGHT, '{"get": "cups", "parameters": [], "errors": [], "results": 0, "response": []}'),
    (RIGHT, '{"finance": {"result": [{"symbol": "X"}], "error": null}}'),
    (RIGHT, '{"status": {"error_code": 0, "error_message": null, "elapsed": 404}, "data": [1]}'),
    (RIGHT, '{"status": {"code": "0", "msg": "OK"}, "title": "Bad Request"}'),
    (RIGHT, '{"jokes": ["a", "b"], "status": 200, "total": 404}'),
    (RIGHT, '{"message": ["boston", "french"], "status": "success"}'),
    (RIGHT, '{"Count": 0, "Message": "Results returned successfully", "Results": []}'),
    (RIGHT, '{"error": "", "response": ""}'),
    (RIGHT, '{"error": false, "success": null, "errno": null, "count": 3}'),
    (RIGHT, '{"error": "", "response": "[{\\"title\\":\\"A cup\\"},{\\"title\\":\\"Anoth...'),
    (RIGHT,
     '{"error": "Message error...", "response": "{\'result\': [{\'title\': \'A cup\'}, {\'ti'),
    # no errors: nothing was found
    *((RIGHT, text) for text in ("", "  \n", "null", "[]", "{}", '{"total": 0, "results": []}',
                                 "No good result was found", '{"query_status": "no_results"}')),
    # no errors: the words of an error inside the data
    (RIGHT, '{"result": [{"id": 1, "verdict": "COMPILATION_ERROR"}]}'),
    (RIGHT, '{"Variable": "Error Code", "Value": "5", "error_positions": [4]}'),
    (RIGHT, '{"facts": ["Dogs cannot sweat.", "An error is not found."]}'),
    (RIGHT, '[{"lines": ["Not found", "Error: none"]}, {"lines": ["failed"]}]'),
    (RIGHT, "Missing Link is a 2019 stop-motion film. " * 9),
    (RIGHT, "You can't imagine the error of my ways."),
    (RIGHT, "404"),
    (RIGHT, "Today is Thursday."),
    (RIGHT,
     '<html><head><title>All cups</title></head><body><p>No error: 404 cups.</p></body></html>'),
]


def in_mcp(text, is_error):
    return json.dumps({"content": [{"type": "text", "text": text}], "isError": is_error})


# Of the protocols and services that today's tools speak; all of them had counted as All Right.
PROTOCOLS = [
    # MCP, and what its clients and Anthropic make of it
    (OTHERS, in_mcp("boom", True)), (RIGHT, in_mcp("Issue 9: no Error: in it", False)),
    (OTHERS, in_mcp("Error: no such issue", False)),
    (OTHERS, in_mcp('{"error": "no issue"}', False)),
    (NO_TOOL, in_mcp("Tool get_isue not found", True)),
    (MISSING, in_mcp("Input validation error: 'number' is a required property", True)),
    (OTHERS, '[{"type": "text", "text": "Error executing tool get_issue: boom"}]'),
    (RIGHT, '[{"type": "text", "text": "An error is not found in the log."}]'),
    (OTHERS, '{"type": "tool_result", "tool_use_id": "t", "content": "boom", "is_error": true}'),
    (RIGHT, '{"type": "tool_result", "tool_use_id": "t", "content": "Sunny", "is_error": false}'),
    (OTHERS, '{"toolUseId": "x", "status": "error", "content": [{"text": "boom"}]}'),
    (OTHERS, "MCP error -32602: Invalid arguments for tool get_issue: number must be an integer"),
    (UNSTABLE, "MCP error -32001: Request timed out"), (NO_TOOL, "MCP error -32601: no method"),
    (OTHERS, '{"code": -32602, "message": "Invalid params"}'),
    (OTHERS, '{"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Bad number"}}'),
    (RIGHT, '{"jsonrpc": "2.0", "id": 1, "result": {"content": [], "isError": false}}'),
    # GitHub
    (OTHERS, '{"message": "Not Found", "documentation_url": "https://x.org", "status": "404"}'),
    (OTHERS, '{"message": "Bad credentials", "documentation_url": "https://x.org"}'),
    (RIGHT, '{"id": 5, "message": "page not found", "documentation_url": "https://x.org"}'),
    # AWS
    (OTHERS, '{"__type": "ValidationException", "message": "The key does not match"}'),
    (OTHERS, '{"__type": "com.aws.dynamo#ResourceNotFoundException", "Message": "No cup"}'),
    (OTHERS, "An error occurred (NoSuchKey) when calling the GetObject operation: No cup"),
    (RIGHT, '{"__type": "Pointer", "className": "Cup", "objectId": "c1"}'),
    (OTHERS, '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'),
    # Google
    (UNSTABLE, '{"error": {"status": "PERMISSION_DENIED"}}'),
    (OTHERS, '{"error": {"code": 404, "message": "No cup", "status": "NOT_FOUND"}}'),
    (OTHERS, '{"code": 5, "message": "Not Found", "details": []}'),
    (RIGHT, '{"code": 5, "message": "All cups", "details": []}'),
    # FastAPI
    (MISSING, '{"detail": [{"loc": ["query", "n"], "msg": "field required", "type": "missing"}]}'),
    (NO_PARAMETER, '{"detail": [{"loc": ["x"], "msg": "Extra inputs are not permitted"}]}'),
    (OTHERS, '{"detail": [{"loc": ["query", "n"], "msg": "must be even", "type": "value"}]}'),
    (RIGHT, '{"detail": [{"loc": "Oslo", "msg": "Hello"}], "count": 1}'),
    # tags
    (OTHERS, '<tool_response>\n{"name": "cups", "content": {"error": "no cup"}}\n</tool_response>'),
    (OTHERS, "<tool_response>\nError: no cup\n</tool_response>"),
    (RIGHT, '<tool_response>\n{"name": "cups", "content": {"title": "Error"}}\n</tool_response>'),
    (RIGHT, '<tool_response>\n{"a": "</tool_response>"}\n</tool_response>'),
    (OTHERS, "<function_results>\n<error>no cup</error>\n</function_results>"),
    (OTHERS, '[TOOL_RESULTS] {"content": {"error": "x"}} [/TOOL_RESULTS]'),
    (RIGHT, "<error></error>"), (RIGHT, '<?xml version="1.0"?><cups><cup>1</cup></cups>'),
    # JSON inside a text
    (OTHERS, '{"role": "tool", "tool_call_id": "c", "content": "{\\"error\\": \\"bad\\"}"}'),
    (RIGHT, '{"role": "tool", "tool_call_id": "c", "content": "{\\"error\\": null, \\"n\\": 3}"}'),
    (OTHERS, '{"result": "{\\"error\\": {\\"message\\": \\"Invalid city\\"}}"}'),
    (RIGHT, '{"path": "a.json", "content": "{\\"error\\": \\"x\\"}"}'),
    (OTHERS, "Error code: 400 - {'error': {'message': 'Invalid city'}}"),
    # others
    (OTHERS, '{"object": "error", "status": 404, "code": "object_not_found", "message": "No cup"}'),
    (OTHERS, '{"errorMessages": ["No cup"], "errors": {}}'), (OTHERS, '{"hasError": true, "x": 1}'),
    (OTHERS, '{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no pods"}'),
    (OTHERS, "rpc error: code = NotFound desc = no cup"), (NO_TOOL, "Unknown tool: cupz"),
    (UNSTABLE, "Request failed with status code 404"), (UNSTABLE, "HTTP Error 404: Not Found"),
    (OTHERS, "1 validation error for Model\nnumber\n  Field required"),
    (RIGHT, "Standard error: 0.05\nMean: 3"), (RIGHT, "Error-free since 1999"),
    (RIGHT, '{"hasError": false, "x": 1}'),
    (RIGHT, '{"message": "Sent. You cannot reply.", "id": 1}'),
    (RIGHT, "Could not find A cup. Similar: ['B cup']"),
]


def in_str_of_mcp(text, is_error):
    part = f"TextContent(type='text', text='{text}', annotations=None)"
    return f"meta=None content=[{part}] structuredContent=None isError={is_error}"


# str() and repr() of the objects of Python's clients, and other objects.
OBJECTS = [
    (OTHERS, in_str_of_mcp("boom", True)), (OTHERS, in_str_of_mcp("Error: no cup", False)),
    (RIGHT, in_str_of_mcp("Set isError=True in it", False)),
    (OTHERS, "CallToolResult(content=[TextContent(type='text', text='boom')], isError=True)"),
    (RIGHT, "CallToolResult(content=[TextContent(type='text', text='boom')], isError=False)"),
    (OTHERS, "[TextContent(type='text', text='Error executing tool f: boom')]"),
    (OTHERS, "content='boom' name='f' tool_call_id='1' status='error'"),
    (OTHERS, "content='boom' additional_kwargs={'a': 1} tool_call_id='1' status='error'"),
    (RIGHT, "content='Sunny' name='f' tool_call_id='1' status='success'"),
    (OTHERS, "ToolMessage(content='boom', name='f', tool_call_id='1', status='error')"),
    (OTHERS, "ToolResult(success=False, error='boom')"),
    (RIGHT, "ToolResult(success=True, error=None)"),
    (RIGHT, "[Job(id=1, status='error'), Job(id=2, status='done')]"),
    (RIGHT, "Cup(size=3, name='status=error')"),
    # objects within a dict
    (OTHERS, "{'success': False, 'id': ObjectId('5f')}"),
    (OTHERS, "{'error': 'boom', 'at': datetime.datetime(2020, 1, 1, tzinfo=timezone('x'))}"),
    (RIGHT, "{'error': None, 'at': datetime.datetime(2020, 1, 1), 'cups': array([1, 2])}"),
]
# Of refused calls behind a label, or of a function within a function.
REFUSED = [
    (MISSING, "make.<locals>.cups() missing 1 required positional argument: 'n'"),
    (FAILED, "make.<locals>.cups() takes 0 positional arguments but 1 was given"),
    (MISSING, "TypeError: cups() missing 1 required positional argument: 'n'"),
    (NO_PARAMETER, "Error executing tool cups: cups() got an unexpected keyword argument 'n'"),
    (NO_TOOL, "Error: cups is not a valid tool, try one of [plates]."),
    (NO_TOOL, "No tool named cups"),
    (OTHERS, "Error: 'cups'"),  # the tool's own label
]
# An error in a report with more than its status; errors that are measured.
MEMBERS = [
    (UNSTABLE, '{"statusCode": 500, "headers": {"a": 1}, "body": "Internal server error"}'),
    (UNSTABLE, '{"status": "error", "output": "boom"}'),
    (UNSTABLE, '{"tool": "cups", "status": "failed", "result": null}'),
    (RIGHT, '{"tool": "cups", "status": "done", "output": "boom"}'),
    (RIGHT, '{"error": 0.02, "mean": 3.4}'), (RIGHT, '{"slope": 1.2, "error": "-1.5e-7"}'),
    (RIGHT, '{"error": 1e-05}'), (OTHERS, '{"error": "403.14"}'), (UNSTABLE, '{"error": 3}'),
    (RIGHT, '{"mean": 3.4, "errors": [0.1, 0.2]}'), (OTHERS, '{"errors": [0.1, "no such unit"]}'),
]


@pytest.mark.parametrize("kind, text", [*OBJECTS, *REFUSED, *MEMBERS])
def test_feedback_of_python_objects_and_reports(kind, text):
    assert classify(text) is kind


@pytest.mark.parametrize("kind, text", PROTOCOLS)
def test_feedback_of_protocols_and_services(kind, text):
    assert classify(text) is kind


@pytest.mark.parametrize("kind, text", CASES)
def test_hand_written_feedback(kind, text):
    assert classify(text) is kind


def test_only_all_right_is_no_error():
    assert [kind.value for kind in Feedback if not kind.is_error] == ["All Right"]
    assert [kind.value for kind in Feedback if kind.is_error] == [
        "Tool Instability", "Tool Call Failure", "Tool Hallucination", "Parameter Hallucination",
        "Parameter Missing", "Others"]


def test_offered_tools_tell_a_tool_hallucination():
    tools = [{"type": "function", "function": {"name": "cups"}}, {"name": "plates"}]
    assert classify("Not found", "cups", tools) is OTHERS
    assert classify("Not found", "bowls", tools) is NO_TOOL
    assert classify("name 'bowls' is not defined", "bowls", tools) is NO_TOOL
    missing = classify("name 'cups' is not defined", "cups", tools)
    assert missing is FAILED, "offered, but its code is missing"
    assert classify('{"cups": 3}', "bowls", tools) is RIGHT, "it answered, so it was there"
    assert classify("Not found", "bowls") is OTHERS, "not known without the tools"


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
KEYS = st.sampled_from(
    ["error", "errors", "status", "code", "message", "response", "success", "data", "x"])


@given(st.text() | st.text(alphabet="{}[]\"'\\,: a1") | JSON.map(json.dumps) | JSON.map(repr)
       | st.dictionaries(KEYS, JSON).map(json.dumps))
def test_every_text_has_a_category_and_padding_does_not_change_it(text):
    kind = classify(text)
    assert isinstance(kind, Feedback)
    assert classify(f" \n{text}\t\n ") is kind


@pytest.mark.parametrize("text", [
    "[" * 100_000, "[1," * 50_000, '{"a":' * 50_000, "9" * 5_000, "['" * 5_000, "<body" * 2_000,
    '{"data": ' * 400 + "1" + "}" * 400])
def test_hostile_text_is_no_trouble(text):
    """Deep nesting once raised RecursionError, and integers too long for json.loads ValueError."""
    assert classify(text) is RIGHT


@pytest.mark.parametrize("key", ["data", "result", "answer"])
def test_an_envelope_does_not_change_the_verdict_on_json(key):
    for kind, text in CASES:
        assert classify(json.dumps({"error": "", "response": text})).is_error == kind.is_error
        try:
            value = json.loads(text)
        except ValueError:
            continue
        within = classify(json.dumps({key: value, "errors": [], "status": "success"}))
        assert within is RIGHT or kind.is_error, text
        if isinstance(value, dict):
            assert classify(json.dumps({key: value})) is kind, text
            assert classify(json.dumps({"error": "", "response": repr(value)})) is kind, text


@pytest.mark.parametrize("key", ["result", "output", "data", "body"])
def test_a_text_alone_in_an_envelope_has_its_own_verdict(key):
    for is_error, text in ((True, "Error: no cup"), (True, "'results'"), (True, "Not found"),
                           (False, "3 cups"), (False, "No cups found")):
        assert classify(json.dumps({key: text})).is_error is is_error, text
        assert classify(json.dumps({key: text, "cups": 3})) is RIGHT, "it is part of the data"


@pytest.mark.parametrize("broken", [
    lambda: max([]), lambda: 1 % 0, lambda: 1 // 0, lambda: [].pop(), lambda: set().pop(),
    lambda: 1 in "a", lambda: int("x"), lambda: {}["a"], lambda: None.x, lambda: 1 + "a",
    lambda: len(5), lambda: (lambda: 1)(2), lambda: 10.0 ** 400, lambda: chr(-1),
    lambda: round("a"), lambda: uuid.UUID("x"), lambda: decimal.Decimal("x"),
    lambda: re.compile("*"), lambda: random.randint(5, 1), lambda: random.sample([], 2),
    lambda: zipfile.ZipFile("/dev/null"),
    lambda: datetime.datetime.strptime("2020 x", "%Y"),
    lambda: subprocess.run("exit 3", shell=True, check=True)])
def test_what_python_itself_says_of_a_broken_tool_is_an_error(broken):
    with pytest.raises(Exception) as raised:  # noqa: B017 - of any class
        broken()
    assert classify(str(raised.value)).is_error


@given(st.dictionaries(st.sampled_from("abcdef"), JSON, max_size=5), st.integers(0, 3000))
def test_a_success_cut_off_anywhere_stays_a_success(data, at):
    text = json.dumps(
        {"errors": [], "error_code": 0, "results": len(data), "response": [data] * 20})
    assert classify(text[:at]) is RIGHT


CONVERSATION = {"id": "1", "conversations": [
    {"role": "system", "content": '[{"name": "cups"}]'},
    {"role": "user", "content": "How many cups?"},
    {"role": "assistant", "content": "cups\n{}"},
    {"role": "function", "content": "name 'cups' is not defined"},
    {"role": "assistant", "content": "plates\n{}"},
    {"role": "function", "content": "Not found"},
    {"role": "assistant", "content": "cups\n{}"},
    {"role": "function", "content": "3"},
    {"role": "assistant", "content": 'finish\n{"answer": "3"}'}]}
MESSAGES = CONVERSATION["conversations"]
FINE = {"id": "2", "conversations": MESSAGES[:2] + MESSAGES[6:]}  # without the two errors


def test_shares_count_only_calls_that_have_feedback():
    conversations = [trajectories.read_item(item) for item in (CONVERSATION, FINE)]
    assert shares(conversations) == (Counter({FAILED: 1, NO_TOOL: 1, RIGHT: 2}), 1)


def report(path):
    command = [sys.executable, "-m", "data.feedback", path]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_report_is_a_table_with_bars(tmp_path):
    path = tmp_path / "two.json"
    path.write_text(json.dumps([CONVERSATION, FINE]))
    lines = report(path).stdout.splitlines()
    assert lines[0].split() == ["All", "Right", "2", "50.0%", "█" * 25]
    assert lines[1].split() == ["Tool", "Instability", "0", "0.0%"]
    assert lines[-2] == "2 of 4 calls with feedback are erroneous (50.0%)"
    assert lines[-1] == "1 of 2 trajectories have one or more (50.0%)"


def test_a_missing_file_is_one_line_and_status_2(tmp_path):
    run = report(tmp_path / "absent.json")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1 and "absent.json" in run.stderr


def test_the_mcp_server_that_a_user_reported():
    counts, _ = shares(trajectories.read(real("field/mcp_is_error/data.json")))
    assert (counts.total(), counts[RIGHT]) == (9, 2)


def test_feedback_of_many_services_by_hand():
    """Of servers, shells, databases, browsers, and of data that speaks of errors.

    The bounds are what the rules reach; of most of the texts they were not written on.
    """
    lines = Path(__file__).with_name("feedback_labels.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    judged = [(row["error"], classify(row["text"]).is_error, row["text"]) for row in rows]
    false_alarms = [text for label, found, text in judged if found and not label]
    missed = [text for label, found, text in judged if label and not found]
    assert len(rows) == 1995 and sum(row["error"] for row in rows) == 1012
    assert len(false_alarms) <= 25, false_alarms
    assert len(missed) <= 23, missed


def test_a_message_in_a_script_that_is_not_known_is_judged_by_its_code():
    assert classify('{"code": 500, "message": "서버 오류"}').is_error
    for right in ('{"message": "안녕", "timestamp": "2026"}', '{"code": 200, "message": "안녕"}'):
        assert classify(right) is RIGHT, right


def test_statuses_of_programs_and_counts_of_errors():
    failed = {"stdout": "", "stderr": "cat: x: Permission denied", "exit_code": 1}
    assert classify(json.dumps(failed)).is_error
    for right in (failed | {"exit_code": 0}, failed | {"stderr": ""}, {"errors": 3, "lines": 90}):
        assert classify(json.dumps(right)) is RIGHT, right
    assert classify('{"errors": 3, "message": "no cup"}').is_error


@pytest.fixture(scope="module")
def labelled():
    """[(label, category given the tools that were offered)] of the hand-labelled real feedbacks."""
    tools = {}
    for name in ("rottuning_gpt4", "taubench_gpt4o_airline", "toolbench_chatgpt_example"):
        for conversation in trajectories.read(real(f"trajectories/{name}.json")):
            tools[conversation.id] = conversation.tools
    labels = json.loads(real("trajectories/error_labels_dev.json").read_text())
    return [(label, classify(label["feedback"], label["tool"], tools[label["id"]]))
            for label in labels]


@pytest.mark.parametrize("with_tools", [True, False])
def test_errors_among_real_labels(labelled, with_tools):
    rows = []
    for label, kind in labelled:
        if label["ambiguous"] != "error":
            found = kind if with_tools else classify(label["feedback"])
            rows.append((label["label_error"], found.is_error))
    both = sum(label and found for label, found in rows)
    assert both / sum(found for _, found in rows) >= 0.97, "precision"
    assert both / sum(label for label, _ in rows) >= 0.97, "recall"


@pytest.mark.parametrize("unclear", [(), ("category",), ("category", "error")])
def test_kinds_among_real_labels(labelled, unclear):
    """Every kind of five rows or more, without and with the rows whose label was ambiguous."""
    clear = [(label, kind) for label, kind in labelled if label["ambiguous"] in (None, *unclear)]
    rows = [(label["category"], kind.value) for label, kind in clear]
    counts = Counter(category for category, _ in rows)
    right = Counter(category for category, kind in rows if category == kind)
    common = [category for category, count in counts.items() if count >= 5]
    assert all(right[category] / counts[category] >= 0.7 for category in common), (right, counts)
