"""A model talks to tools until it calls `finish` or has had nine turns (TL-Training, 4.1).

What the model writes is read in any format (evaluation/call_formats.py) and executed, and the
feedback is what its next turn sees. A turn that is no call gets an error as feedback and the
dialogue goes on, as with a real server. The turns are kept as they were written;
evaluation/dialogue_scores.py judges them.

Left out: a user who answers. A model that asks is told USER, the same each time.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path

import model
from data.calls import ParseError
from data.tools import read_tools
from data.trajectories import read_item
from data.turns import Conversation, Turn
from evaluation import predictions
from evaluation.benchmarks.toolbox import run_toolbox
from evaluation.dialogue_scores import (
    MAX_TURNS,
    count_faults,
    find_fault,
    is_right,
    is_valid,
    make_transcript,
    read_call,
)
from evaluation.tasks import Task
from examples import newest_turns
from plumbing.files import write_json
from plumbing.output import escape, printable
from tokenizer import Tokenizer
from toolbox import execute

USER = "I have no more information."
NOT_A_CALL = "Error: not a call of the form tool_name(parameter=value): {}."
LOOKED_AT = 96  # tokens of an answer to --ask that tell whether it repeats itself
LONGEST_FEEDBACK = 2000  # characters; ToolEyes cuts at 1,024 tokens


# ----------------------------------------------------------------------------------------- the loop

def converse(tasks, answer, execute, hear=lambda turn: None):
    """Hold the dialogue that each task starts -> a Conversation each.

    The model's turns are kept as it wrote them.
    answer: function of the Conversations that still run, all at once -> their next texts.
    execute: function of (task, call) -> the feedback, a text. hear: is given every new Turn.
    """
    dialogues = [Conversation(task.id, task.tools, tuple(task.turns)) for task in tasks]
    running = list(range(len(tasks)))
    for _ in range(MAX_TURNS):
        if not running:
            break
        texts = answer([dialogues[i] for i in running])
        still_running = []
        for i, text in zip(running, texts, strict=True):
            for turn in exchange(tasks[i], text, execute):
                dialogues[i] = dialogues[i]._replace(turns=(*dialogues[i].turns, turn))
                hear(turn)
            if dialogues[i].turns[-1].role != "assistant":
                still_running.append(i)
        running = still_running
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
        yield Turn("function", cut_feedback(execute(task, call)))


def cut_feedback(text):
    """At most LONGEST_FEEDBACK characters of a feedback, and a mark where some are left out."""
    return text if len(text) <= LONGEST_FEEDBACK else text[:LONGEST_FEEDBACK] + " ..."


# ---------------------------------------------------------------------------------------- the model

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

    What goes is what training drops: the oldest turns after System and the first User turn.
    """
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    room = longest - len(tokenizer.call_prefix)
    kept = newest_turns(encoded.turn, conversation.turns, room)
    return encoded.ids[kept].tolist() + tokenizer.call_prefix


def hold_dialogues(flags, folder, tasks, execute):
    """The dialogues of the model in `folder` -> Conversations.

    As in evaluation/predictions.py, torchrun's ranks share them, and a run that was interrupted
    goes on.
    """
    tokenizer = Tokenizer(flags.tokenizer or folder, flags.enums)

    def respond(transformer, batch):
        answer = speaker(transformer, tokenizer, flags.max_new_tokens)
        held = converse([tasks[i] for i in batch], answer, execute)
        return [_new_turns(tasks[i], dialogue) for i, dialogue in zip(batch, held, strict=True)]

    prompts = [tokenizer.prompt(task.tools, task.turns) for task in tasks]
    held = predictions.share_prompts(flags, folder, tokenizer, prompts, respond)
    dialogues = []
    for task, new in zip(tasks, held, strict=True):
        turns = [Turn(role, content) for role, content in new]
        dialogues.append(Conversation(task.id, task.tools, (*task.turns, *turns)))
    return dialogues


def _new_turns(task, dialogue):
    """[(role, content)] of the turns after those of the task."""
    return [(turn.role, turn.content) for turn in dialogue.turns[len(task.turns):]]


# ------------------------------------------------------------------------------------- one question

def ask(flags, folder):
    """Hold and print one dialogue of the model in `folder` about --ask, with a few tools."""
    tokenizer = Tokenizer(flags.tokenizer or folder, flags.enums)
    transformer = predictions.load_model(flags, folder, tokenizer)
    brief = speaker(transformer, tokenizer, min(LOOKED_AT, flags.max_new_tokens))
    whole = speaker(transformer, tokenizer, flags.max_new_tokens)
    print_dialogue(flags.ask, cut_repeats(brief, whole, tokenizer.encode))


def print_dialogue(question, answer):
    """Hold and print one dialogue about a question, with a few tools. answer: as for `converse`."""
    task = make_question(question)
    print("Tools     ", ", ".join(tool.name for tool in task.tools))
    print(turn_line(task.turns[1]))
    converse([task], answer, run_toolbox, lambda turn: print(turn_line(turn), flush=True))


def cut_repeats(brief, whole, encode):
    """The `answer` for one dialogue: that of `whole`, unless that of `brief` repeats itself.

    brief, whole: the same model with a low and a high limit of tokens. encode: text -> ids.
    """
    def answer(conversations):
        [text] = brief(conversations)
        return [text] if repeats_itself(encode(text)) else whole(conversations)

    return answer


def repeats_itself(ids):
    """Whether a text ends in a piece, of 24 tokens at most, four times over.

    >>> repeats_itself([7, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]), repeats_itself([1, 2, 3, 4] * 3)
    (True, False)
    """
    return any(ids[-4 * n:] == ids[-n:] * 4 for n in range(1, 25) if len(ids) >= 4 * n)


def make_question(text):
    """A Task that asks it of the tools of the toolbox that seem to be needed. Raises InputError."""
    schemas = execute.schemas([*choose_tools(text), "ask_to_user", "finish"])
    messages = [{"role": "system", "content": json.dumps(schemas)},
                {"role": "user", "content": text}]
    item = read_item({"conversations": messages}, "--ask")
    return Task("ask", item.tools, item.turns, ())


def choose_tools(question, count=4):
    """Names of the `count` tools that share most with the question, the best first.

    Rare words count more; of equals the order of the toolbox decides.

    >>> choose_tools("What will the weather be in Oslo on Friday?")[0].startswith("get_weather")
    True
    """
    names = [name for name in execute.TOOLS if name not in execute.DIALOGUE]
    tools = read_tools(execute.schemas(names))
    words = {tool.name: _words(f"{tool.name} {tool.description}") for tool in tools}
    tools_with = Counter()  # word -> how many tools have it
    for each in words.values():
        tools_with.update(each)
    rarity = {word: math.log(len(tools) / n) for word, n in tools_with.items()}
    asked = sorted(_words(question) & rarity.keys())
    overlap = {}
    for name, each in words.items():
        overlap[name] = sum(rarity[word] for word in asked if word in each)
    return sorted(overlap, key=overlap.get, reverse=True)[:count]


def _words(text):
    return {word.rstrip("s") for word in re.findall("[a-z]+", text.lower())}


# ------------------------------------------------------------------------------------------- output

def turn_line(turn, longest=400):
    """A turn as a line to read.

    >>> turn_line(Turn("assistant", 'get_time(city="Oslo")'))
    'Assistant  get_time(city="Oslo")'
    """
    title = "Output" if turn.role == "function" else turn.role.capitalize()
    text = escape(" ".join(turn.content.split()))
    return f"{title:<10} {text[:longest]}" + (" ..." if len(text) > longest else "")


def dialogue_lines(task, dialogue):
    """Lines: a dialogue without its system turn, and what became of it."""
    transcript = make_transcript(dialogue, task.expected)
    names = ", ".join(tool.name for tool in dialogue.tools)
    yield "\n" + printable(f"{dialogue.id}, tools: {names}")
    for turn in dialogue.turns[1:]:
        yield f"  {turn_line(turn)}"
    faults = [find_fault(step, transcript.tools) for step in transcript.steps]
    kinds = ", ".join(kind for _, kind in faults if kind) or "none"
    verdict = f"  -> faults: {kinds}; {'an' if is_valid(transcript) else 'no'} answer"
    if task.expected:
        negation = "" if is_right(transcript) else "not "
        verdict += f", and {negation}the one expected: {printable(task.expected)}"
    yield verdict


def make_transcripts(tasks, dialogues):
    """The Transcripts of dialogues that the tasks started."""
    pairs = zip(tasks, dialogues, strict=True)
    return [make_transcript(dialogue, task.expected) for task, dialogue in pairs]


def write_dialogues(folder, bench, tasks, dialogues, refused):
    """Write scores.json, and dialogues.json in the raw trajectory format.

    `--bench transcripts` reads the latter. refused: {id of a task: why a server refused to go on}.
    """
    transcripts = make_transcripts(tasks, dialogues)
    records = []
    for task, dialogue, transcript in zip(tasks, dialogues, transcripts, strict=True):
        messages = [{"role": turn.role, "content": turn.content} for turn in dialogue.turns]
        counts = count_faults([transcript])
        del counts["queries"], counts["kinds"]
        records.append({"id": task.id, "conversations": messages, "expected": task.expected,
                        **counts})
    write_json(Path(folder, "dialogues.json"), records)
    scores = {**count_faults(transcripts), "bench": bench}
    if refused:
        scores["refused"] = refused
    write_json(Path(folder, "scores.json"), scores)
