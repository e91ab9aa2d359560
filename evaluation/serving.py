"""Answers of a model that a server runs: any that speaks OpenAI's API, such as vLLM or llama.cpp.

Requests go out in parallel, at temperature 0. With --out the answers are kept as they come, and a
run that was cut short goes on there, as one of a model of ours does. A dialogue is held by one of
the threads, and kept when it ends.
"""

import hashlib
import json

from data.turns import Conversation, Turn
from evaluation.dialogue import converse
from evaluation.openai_format import (
    Form,
    Reply,
    make_request,
    must_have_answer,
    read_response,
)
from evaluation.predictions import is_turn, run_identity
from plumbing.answers import NoAnswer, answer_all
from plumbing.client import Refused, Server
from plumbing.files import InputError
from plumbing.parallel import processes

REFUSED = "refused"  # in place of a role: the server refused to go on with the dialogue


def make_form(flags, plain=False):
    """How the flags want a model to be asked."""
    return Form(flags.template, flags.served_model, flags.max_new_tokens, flags.raw_chat, plain)


def open_server(flags):
    """The Server of the flags. Raises InputError."""
    _, ranks = processes()
    if ranks > 1:
        raise InputError("--server: one process is enough, which asks --parallel requests at once")
    return Server(flags.server, flags.key_env, flags.deadline, patience=2 * flags.parallel + 6)


def make_speaker(flags):
    """The `answer` of the flags' server. Raises InputError, also where a request gets no answer."""
    answer = speaker(open_server(flags), make_form(flags))

    def answer_or_end(conversations):
        try:
            return answer(conversations)
        except (Refused, NoAnswer) as error:
            raise InputError(f"--server: no answer: {error}") from None

    return answer_or_end


def speaker(server, form):
    """The `answer` of evaluation/dialogue.py: the next text of each conversation, in turn.

    Raises Refused, NoAnswer and InputError.
    """
    def answer(conversations):
        return [ask(server, form, conversation).text for conversation in conversations]

    return answer


def ask(server, form, conversation):
    """The Reply to one conversation. Raises Refused, NoAnswer and InputError."""
    request = make_request(form, conversation.tools, conversation.turns)
    reply = server.ask(request.path, request.body, read_response)
    return reply._replace(text=server.without_key(reply.text))


# ------------------------------------------------------------------------------------- single calls

def answer_tasks(flags, tasks, plain=False):
    """The Reply of the server to each task. Raises InputError naming those without an answer."""
    server = open_server(flags)
    form = make_form(flags, plain)

    def respond(batch):
        task = tasks[batch[0]]
        try:
            reply = ask(server, form, task)
        except Refused as error:
            reply = Reply("", False, str(error))
        except NoAnswer as error:
            raise NoAnswer(f"{task.id}: {error}") from None
        return [list(reply)]

    values = _answer_each(flags, form, tasks, respond, _is_reply)
    replies = [Reply(*value) for value in values]
    must_have_answer(server.title, replies)
    return replies


def _answer_each(flags, form, tasks, respond, is_answer):
    """What `respond` makes of each task, in the order of the tasks."""
    batches = [[place] for place in range(len(tasks))]
    return answer_all(respond, batches, flags.out, identity(flags, form, tasks), is_answer,
                      f"{flags.bench}, {flags.served_model}", workers=flags.parallel)


def identity(flags, form, tasks):
    """What the answers depend on. The address is left out: the model may move to another one."""
    digest = hashlib.sha256()
    for task in tasks:
        request = make_request(form, task.tools, task.turns)
        digest.update(json.dumps(request).encode())
    return {**run_identity(flags), "model": flags.served_model, "template": flags.template,
            "prompts": digest.hexdigest()[:16]}


def _is_reply(value):
    """Whether it is a Reply to keep, as JSON. What was refused may be the server's own fault."""
    is_reply = isinstance(value, list) and tuple(map(type, value)) == (str, bool, str)
    return is_reply and not value[2]


# ---------------------------------------------------------------------------------------- dialogues

def hold_dialogues(flags, tasks, execute):
    """The dialogues of the server's model -> (Conversations, {id of a task: why it was refused}).

    One that the server refuses to go on with, as too long, ends in an empty turn.
    """
    server = open_server(flags)
    form = make_form(flags)
    answer = speaker(server, form)

    def respond(batch):
        task = tasks[batch[0]]
        turns = []
        try:
            converse([task], answer, execute, lambda turn: turns.append([turn.role, turn.content]))
        except Refused as error:
            turns.append([REFUSED, str(error)])
        except NoAnswer as error:
            raise NoAnswer(f"{task.id}: {error}") from None
        return [turns]

    held = _answer_each(flags, form, tasks, respond, _is_dialogue)
    firsts = [Reply("", False, new[0][1] if new[0][0] == REFUSED else "") for new in held]
    must_have_answer(server.title, firsts)
    dialogues = []
    refused = {}
    for task, new in zip(tasks, held, strict=True):
        turns = [Turn(role, content) for role, content in new]
        if turns[-1].role == REFUSED:
            refused[task.id] = turns[-1].content
            turns[-1] = Turn("assistant", "")
        dialogues.append(Conversation(task.id, task.tools, (*task.turns, *turns)))
    return dialogues, refused


def _is_dialogue(value):
    """Whether it holds the turns of a dialogue to keep."""
    if not isinstance(value, list) or not value:
        return False
    return all(is_turn(turn) and turn[0] != REFUSED for turn in value)
