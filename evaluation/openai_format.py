"""OpenAI's format: requests for the next call of a conversation, and the answers in responses.

A template that makes a text asks /completions, one that makes messages /chat/completions. In a file
of requests, OpenAI's batch format, each has an object in a line of its own, and so has each answer
in the batch's output. `custom_id` says which item a line is of: it holds the item's place, and a
hash of the conversation, so that answers to other items are never taken for these.
"""

import hashlib
import json
from typing import NamedTuple

from evaluation.templates import TEMPLATES, read_schemas
from plumbing.client import Unreadable
from plumbing.files import InputError, write_text


class Reply(NamedTuple):
    """What a model wrote, without `</s>`, and whether that came before the answer was cut off."""
    text: str
    ended: bool = True
    refusal: str = ""  # why there is no answer; it counts as no prediction


class Form(NamedTuple):
    """How a model is asked."""
    template: str        # of TEMPLATES
    model: str           # its name for the server
    max_new_tokens: int
    raw_chat: bool = False  # a text goes as the one message of a chat
    plain: bool = False     # the text is the content of the last turn, in no template


class Request(NamedTuple):
    path: str   # below /v1
    body: dict


# ----------------------------------------------------------------------------------------- requests

def make_request(form, tools, turns):
    """The Request for what follows the turns of a conversation."""
    template = TEMPLATES[form.template]
    common = {"model": form.model, "temperature": 0}
    if template.is_chat:
        content = turns[-1].content
        messages = ([{"role": "user", "content": content}] if form.plain
                    else template.render(tools, turns))
        body = {**common, "messages": messages, "max_completion_tokens": form.max_new_tokens}
        if tools and not form.plain:
            body["tools"] = read_schemas(tools, turns)
        return Request("/chat/completions", body)
    text = turns[-1].content if form.plain else template.render(tools, turns)
    if template.stop:
        common["stop"] = list(template.stop)
    if form.raw_chat:
        messages = [{"role": "user", "content": template.begin + text}]
        return Request("/chat/completions", {
            **common, "messages": messages, "max_completion_tokens": form.max_new_tokens})
    return Request("/completions", {
        **common, "prompt": text, "max_tokens": form.max_new_tokens})


def request_ids(bench, items):
    """The custom_id of each item's request."""
    ids = []
    for place, item in enumerate(items):
        said = json.dumps([[turn.role, turn.content] for turn in item.turns])
        digest = hashlib.sha256(said.encode()).hexdigest()[:10]
        ids.append(f"{bench}-{place}-{digest}")
    return ids


def write_requests(path, form, bench, items):
    """Write the file of requests for a batch. Raises InputError naming the file."""
    lines = []
    for id, item in zip(request_ids(bench, items), items, strict=True):
        request = make_request(form, item.tools, item.turns)
        line = {"custom_id": id, "method": "POST", "url": f"/v1{request.path}",
                "body": request.body}
        lines.append(json.dumps(line) + "\n")
    write_text(path, "".join(lines))


# ------------------------------------------------------------------------------------------ answers

def read_response(body):
    """The Reply in the body of a response. Raises Unreadable for anything else."""
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise Unreadable("no choices")
    text = _message_text(choice["message"]) if "message" in choice else choice.get("text")
    if not isinstance(text, str):
        raise Unreadable("a choice without a text")
    return Reply(text, choice.get("finish_reason") != "length")


def _message_text(message):
    """A message as a text: its content, or its calls as JSON that evaluation/call_formats.py reads.

    >>> _message_text({"content": None, "tool_calls": [
    ...     {"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}]})
    '{"tool_calls": [{"name": "f", "arguments": "{\\\\"a\\\\": 1}"}]}'
    """
    if not isinstance(message, dict):
        raise Unreadable("a message that is no object")
    content = _content_text(message.get("content"))
    calls = message.get("tool_calls") or []
    if message.get("function_call"):
        calls = [{"function": message["function_call"]}]
    if not isinstance(calls, list):
        raise Unreadable("tool_calls that are no list")
    lines = []  # a line for each: one that is broken leaves the others
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Unreadable("a call without the name of a tool")
        written = {"name": function["name"], "arguments": function.get("arguments") or "{}"}
        lines.append({"tool_calls": [written]})
    if not lines:
        return content
    if content:
        lines[0] = {"content": content, **lines[0]}
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def _content_text(content):
    """A message's content as a text: null is none, and of a list of parts the texts count.

    Parts are the API's other form; some servers put what a model thought in one of another type.
    """
    if content is None:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content if part.get("type") == "text"]
        content = "".join(texts) if all(isinstance(text, str) for text in texts) else None
    if not isinstance(content, str):
        raise Unreadable("a content that is no text")
    return content


def is_batch(records):
    """Whether the records of a file, [(value, where)], are the output of a batch, or its input."""
    first = records[0][0] if records else None
    return isinstance(first, dict) and "custom_id" in first


def read_batch(path, records, bench, items):
    """The Reply to each item in the output of a batch, whose lines come in any order.

    A request that failed counts as no prediction: its Reply has the refusal. Raises InputError for
    a line that is no answer, for one of another item, a second one, and a missing one; and where no
    request at all was answered.
    """
    places = {id: place for place, id in enumerate(request_ids(bench, items))}
    replies = {}
    for record, where in records:
        id = record.get("custom_id") if isinstance(record, dict) else None
        if not isinstance(id, str):
            raise InputError(f"{where}: has no custom_id")
        if id not in places:
            raise InputError(f"{where}: the custom_id {id!r:.60} is of no item here; were the "
                             "requests made with the same --bench, --level, --turn and --limit?")
        if places[id] in replies:
            raise InputError(f"{where}: a second answer to {id}")
        replies[places[id]] = _read_answer(record, where)
    missing = [id for id, place in places.items() if place not in replies]
    if missing:
        some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(f"{path}: {len(replies)} answers to {len(items)} requests; none to "
                         f"{some}; if the batch has a file of errors, append it")
    must_have_answer(path, replies.values())
    return [replies[place] for place in range(len(items))]


def must_have_answer(source, replies):
    """Raises InputError where there are replies and all of them are refusals."""
    refusals = [reply.refusal for reply in replies]
    if refusals and all(refusals):
        raise InputError(f"{source}: all {len(refusals)} requests were refused; the first: "
                         f"{refusals[0]}")


def _read_answer(record, where):
    response = record.get("response")
    error = record.get("error")
    if "method" in record or not ("response" in record or "error" in record):
        raise InputError(f"{where}: a request, not an answer; --predictions takes the output of "
                         "the batch")
    if response is not None and not isinstance(response, dict):
        raise InputError(f"{where}: response must be a JSON object")
    status = (response or {}).get("status_code", 200)
    body = (response or {}).get("body")
    if error or response is None or status != 200:
        nested = body.get("error", body) if isinstance(body, dict) else body
        return Reply("", False, _describe(status, error or nested))
    try:
        return read_response(body if isinstance(body, dict) else {})
    except Unreadable as problem:
        return Reply("", False, f"an answer that cannot be read ({problem})")


def _describe(status, error):
    """A line about a request that failed. error: what the batch's output says of it."""
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or error
    text = " ".join(str(error or "no answer").split())[:300]
    return text if status == 200 else f"HTTP {status}: {text}"


def refusal_lines(refused, total):
    """Lines: how many requests have no answer, and which, by the reason.

    refused: {id of an item: the reason}; total: the number of items.
    """
    if refused:
        yield f"  requests without an answer, counted as no prediction: {len(refused)} of {total}"
    by_reason = {}
    for id, refusal in refused.items():
        by_reason.setdefault(refusal, []).append(id)
    for refusal, ids in by_reason.items():
        yield f"    {refusal}: {', '.join(ids)}"
