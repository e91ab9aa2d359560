"""A model talks to tools that answer until it calls `finish` or has had nine turns (TL-Training, 4.1).

What the model writes is read in any form (evaluation/call_formats.py) and executed, and the feedback is what its next
turn sees. A turn that is no call gets an error as feedback and the dialogue goes on, as with a real server.
The turns are kept as they were written; evaluation/dialogue_scores.py judges them.

Left out: a user who answers. Whoever asks is told USER, the same each time.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path

import model
from data.calls import ParseError
from data.tools import read_tools
from data.trajectories import Conversation, Turn, read_item
from evaluation import dialogue_scores, predictions
from evaluation.benchmarks import Task
from evaluation.dialogue_scores import MAX_TURNS, fault, is_right, is_valid, read_call, transcript
from plumbing.files import write_json
from tokenizer import Tokenizer
from toolbox import execute

USER = "I have no more information."
NOT_A_CALL = "Error: not a call of the form tool_name(parameter=value): {}."
LONGEST_FEEDBACK = 2000  # characters; ToolEyes cuts at 1,024 tokens


# ------------------------------------------------------------------------------------------------ the loop

def converse(tasks, answer, execute, hear=lambda turn: None):
    """Hold the dialogue that each task starts -> a Conversation each, the model's turns as it wrote them.

    answer: function of the Conversations that still run, all at once -> their next texts.
    execute: function of (task, call) -> the feedback, a text. hear: is given every new Turn as it comes.
    """
    dialogues = [Conversation(task.id, task.tools, tuple(task.turns)) for task in tasks]
    running = list(range(len(tasks)))
    for _ in range(MAX_TURNS):
        if not running:
            break
        said = zip(running, answer([dialogues[i] for i in running]), strict=True)
        running = []
        for i, text in said:
            for turn in exchange(tasks[i], text, execute):
                dialogues[i] = dialogues[i]._replace(turns=(*dialogues[i].turns, turn))
                hear(turn)
            if turn.role != "assistant":
                running.append(i)
    return dialogues


def exchange(task, text, execute):
    """Yields the model's turn and, unless it ends the dialogue, the turn that answers it."""
    yield Turn("assistant", text)
    try:
        call = read_call(text, task.tools)
    except ParseError as error:
        yield Turn("function", NOT_A_CALL.format(error))
        return
    if call.name == "ask_to_user":
        yield Turn("user", USER)
    elif call.name != "finish":
        feedback = execute(task, call)
        cut = len(feedback) > LONGEST_FEEDBACK
        yield Turn("function", feedback[:LONGEST_FEEDBACK] + " ..." if cut else feedback)


def run_toolbox(task, call):
    """`execute` of the embedded toolbox: there are the tools that the task offers."""
    return execute.run(call, {tool.name for tool in task.tools})


# ------------------------------------------------------------------------------------------------- the model

def speaker(transformer, tokenizer, max_new_tokens):
    """The `answer` of a model: greedy, for all dialogues at once."""
    context = transformer.config.max_position_embeddings
    longest = max(context - max_new_tokens, context // 2)

    def answer(conversations):
        prompts = [fit(tokenizer, conversation, longest) for conversation in conversations]
        answers = model.generate(transformer, prompts, max_new_tokens, tokenizer.eos_id)
        return [tokenizer.decode(answer.ids) for answer in answers]

    return answer


def fit(tokenizer, conversation, longest):
    """Ids of the prompt for the next turn, at most `longest` unless two turns alone are longer.

    As in training (examples.py) System and the first User turn stay, the oldest later turns go first.
    """
    turns = conversation.turns
    head = 1 + next((i for i, turn in enumerate(turns) if turn.role == "user"), 0)
    for oldest in range(head, len(turns) + 1):
        prompt = tokenizer.prompt(conversation.tools, turns[:head] + turns[oldest:])
        if len(prompt) <= longest:
            break
    return prompt


def hold(flags, folder, tasks, execute):
    """The dialogues of the model in `folder` -> Conversations.

    As in evaluation/predictions.py, torchrun's ranks share them, and a run that was interrupted goes on.
    """
    tokenizer = Tokenizer(folder)

    def respond(transformer, batch):
        answer = speaker(transformer, tokenizer, flags.max_new_tokens)
        held = converse([tasks[i] for i in batch], answer, execute)
        return [[turn[:2] for turn in dialogue.turns[len(tasks[i].turns):]]
                for i, dialogue in zip(batch, held)]

    prompts = [tokenizer.prompt(task.tools, task.turns) for task in tasks]
    new = predictions.share(flags, folder, tokenizer, prompts, respond)
    return [Conversation(task.id, task.tools, (*task.turns, *(Turn(*turn) for turn in turns)))
            for task, turns in zip(tasks, new, strict=True)]


# ----------------------------------------------------------------------------------------------- one question

def ask(flags, folder):
    """One dialogue of the model in `folder` about --ask with a few embedded tools, printed as it goes."""
    tokenizer = Tokenizer(folder)
    answer = speaker(predictions.load(flags, folder, tokenizer), tokenizer, flags.max_new_tokens)
    task = question(flags.ask)
    print("Tools     ", ", ".join(tool.name for tool in task.tools))
    print(line(task.turns[1]))
    converse([task], answer, run_toolbox, lambda turn: print(line(turn), flush=True))


def question(text):
    """A Task that asks it of the tools of the toolbox that seem to be needed. Raises InputError."""
    schemas = execute.schemas([*choose(text), "ask_to_user", "finish"])
    item = read_item({"conversations": [{"role": "system", "content": json.dumps(schemas)},
                                        {"role": "user", "content": text}]}, "--ask")
    return Task("ask", item.tools, item.turns, ())


def choose(question, count=4):
    """Names of the `count` tools that share most with the question, rare words counting more; the best first.

    >>> choose("What will the weather be in Oslo on Friday?")[0].startswith("get_weather")
    True
    """
    tools = [tool for tool in read_tools(execute.schemas(execute.TOOLS)) if tool.name not in execute.DIALOGUE]
    words = {tool.name: _words(f"{tool.name} {tool.description}") for tool in tools}
    spread = Counter(word for each in words.values() for word in each)
    asked = sorted(_words(question) & spread.keys())
    overlap = {name: sum(math.log(len(tools) / spread[word]) for word in asked if word in each)
               for name, each in words.items()}
    return sorted(overlap, key=overlap.get, reverse=True)[:count]  # ties: the order of the toolbox


def _words(text):
    return {word.rstrip("s") for word in re.findall("[a-z]+", text.lower())}


# ----------------------------------------------------------------------------------------------------- output

def line(turn, longest=400):
    """A turn as a line to read.

    >>> line(Turn("assistant", 'get_time(city="Oslo")'))
    'Assistant  get_time(city="Oslo")'
    """
    title = {"function": "Output"}.get(turn.role, turn.role.capitalize())
    text = " ".join(turn.content.split())
    return f"{title:<10} {text[:longest]}" + (" ..." if len(text) > longest else "")


def show(task, dialogue):
    """Lines: a dialogue without its system turn, and what it came to."""
    held = transcript(dialogue, task.expected)
    yield f"\n{dialogue.id}, tools: {', '.join(tool.name for tool in dialogue.tools)}"
    yield from (f"  {line(turn)}" for turn in dialogue.turns[1:])
    kinds = [kind for step in held.steps for _, kind in [fault(step, held.tools)] if kind]
    right = f", and {'' if is_right(held) else 'not '}the one expected: {task.expected}"
    yield (f"  -> faults: {', '.join(kinds) or 'none'}; {'an' if is_valid(held) else 'no'} answer"
           + (right if task.expected else ""))


def report(tasks, dialogues):
    """Lines: DE and CE of calls, VA of queries."""
    yield from dialogue_scores.report(_transcripts(tasks, dialogues))


def _transcripts(tasks, dialogues):
    return [transcript(dialogue, task.expected) for task, dialogue in zip(tasks, dialogues, strict=True)]


def write(folder, bench, tasks, dialogues):
    """scores.json, and dialogues.json in the raw trajectory format, which `--bench transcripts` reads."""
    records, held = [], _transcripts(tasks, dialogues)
    for task, dialogue, each in zip(tasks, dialogues, held, strict=True):
        counts = dialogue_scores.count([each])
        records.append({
            "id": task.id, "conversations": [{"role": t.role, "content": t.content} for t in dialogue.turns],
            "expected": task.expected,
            **{key: counts[key] for key in counts if key not in ("queries", "kinds")}})
    write_json(Path(folder, "dialogues.json"), records)
    write_json(Path(folder, "scores.json"), {**dialogue_scores.count(held), "bench": bench})
