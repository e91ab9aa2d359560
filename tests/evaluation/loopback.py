"""A small server on the loopback address that speaks OpenAI's API, and fails as it is told to."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from data.tools import write_call
from evaluation.openai_format import make_request

SLOW = 1.2  # seconds, longer than the deadline of the tests
TROUBLES = ("429", "500", "slow", "drip", "cut", "half", "garbage", "empty")


class Loopback:
    """In a `with`: a server whose address is `url`.

    respond: function of (path, body) -> the body of the answer, or (status, body).
    trouble: function of the number of the request, from 0 -> one of TROUBLES, or None.
    """

    def __init__(self, respond, trouble=lambda number: None):
        self.respond = respond
        self.trouble = trouble
        self.seen = []  # (path, headers, body) of every request
        self.lock = threading.Lock()

    def __enter__(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                owner.answer(self)

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # the client may have gone

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler):
        """Answer one request, or fail."""
        length = int(handler.headers["Content-Length"])
        body = json.loads(handler.rfile.read(length))
        with self.lock:
            number = len(self.seen)
            self.seen.append((handler.path, dict(handler.headers), body))
        trouble = self.trouble(number)
        if trouble in ("429", "500"):
            # A server may repeat the key in what it says.
            said = f"no, {handler.headers.get('Authorization')}"
            send(handler, int(trouble), {"error": {"message": said}})
            return
        if trouble == "cut":
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if trouble == "slow":
            time.sleep(SLOW)
        result = self.respond(handler.path, body)
        status, value = result if isinstance(result, tuple) else (200, result)
        data = json.dumps(value).encode()
        if trouble == "garbage":
            data = b"\xff<html>" + data[:20]
        elif trouble == "empty":
            data = b'{"id": "x", "choices": []}'
        elif trouble == "half":
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data[:len(data) // 2])
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        elif trouble == "drip":  # a byte now and then, for longer than any deadline
            handler.send_response(status)
            handler.end_headers()
            for byte in data:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(SLOW / 20)
        send(handler, status, data)


def send(handler, status, value):
    """Send bytes, or a value as JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def completion(text, finish_reason="stop"):
    """The body of an answer of /completions. The id is that of every other answer, too."""
    return {"id": "cmpl-1", "choices": [{"index": 0, "text": text,
                                         "finish_reason": finish_reason}]}


def chat(text=None, calls=(), finish_reason="stop"):
    """The body of an answer of /chat/completions. calls: [(name, arguments)]."""
    message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": "call-1", "type": "function",
             "function": {"name": name, "arguments": json.dumps(arguments)}}
            for name, arguments in calls]
    return {"id": "chat-1", "choices": [{"index": 0, "message": message,
                                         "finish_reason": finish_reason}]}


def golds_of(task):
    """[(name, arguments)] of the right answer to a task: all calls where all are asked for."""
    golds = task.golds if task.gold_kind == "calls" else task.golds[:1]
    return [(gold.name, gold.arguments) for gold in golds]


WRITERS = {  # how the model of a template writes a call
    "toolllama2": lambda name, arguments: f"Thought: I call it.\n{react(name, arguments)}",
    "nexusraven2": write_call,
    "chatglm4": lambda name, arguments: f"\n{name}\n{json.dumps(arguments)}",
    "qwen2": lambda name, arguments: f"Thought: I call it.\n{react(name, arguments)}\n",
    "llama3.1": lambda name, arguments: json.dumps({"name": name, "parameters": arguments}),
    "qwen2.5": lambda name, arguments:
        f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>",
    "tl-codellama2": lambda name, arguments: f" {write_call(name, arguments)}",
}


def react(name, arguments):
    return f"Action: {name}\nAction Input: {json.dumps(arguments)}"


def right_answer(template, task):
    """The body of the answer of the model of a template, with the golds of a task."""
    golds = golds_of(task)
    if template == "gpt":
        return chat(calls=golds) if golds else chat("I do not know.")
    write = WRITERS[template]
    texts = [write(name, arguments) for name, arguments in golds]
    if template == "nexusraven2":
        return completion(f"Call: {'; '.join(texts)}<bot_end>")
    return completion("\n".join(texts))


def answer_sheet(form, tasks):
    """The `respond` of a Loopback that knows the golds of the tasks."""
    tasks_of = {}
    for task in tasks:
        request = make_request(form, task.tools, task.turns)
        tasks_of[json.dumps(request.body)] = task
    return lambda path, body: right_answer(form.template, tasks_of[json.dumps(body)])


def write_batch(path, requests, tasks, template):
    """Write the output of a batch, last request first; requests: the file of them."""
    lines = []
    for line, task in zip(requests.read_text().splitlines(), tasks, strict=True):
        response = {"status_code": 200, "request_id": "r", "body": right_answer(template, task)}
        lines.append(json.dumps({"id": "b", "custom_id": json.loads(line)["custom_id"],
                                 "response": response, "error": None}))
    path.write_text("\n".join(reversed(lines)) + "\n")
