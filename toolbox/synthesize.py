"""Write the embedded data by reversed construction, as TTPA does: calls, answers, then questions.

    python -m toolbox.synthesize [--out DIR]      # seconds; the committed files, byte for byte
    python -m toolbox.synthesize --error-share 0.6 --out DIR     # train.json with more errors

For each conversation, toolbox/chains.py draws tools and executes a chain of one to four calls.
toolbox/questions.py writes the answer from the results and the question from the arguments.
toolbox/filters.py drops a draft whose parts do not fit. Some trajectories for stage 1 get a wrong
call before a right one (toolbox/mistakes.py), so that MAE has errors to find.

    train.json             trajectories for stage 1
    rl.json                prompts with gold calls for stage 2, with questions of their own
    heldout_single.json    the same; half of the gold tools are in neither of the files above
    heldout_multi.json     tasks with the text of a value that a right answer holds
    heldout_none.json      conversations in which no offered tool fits (toolbox/no_tool.py), which
                           some of train.json and rl.json are, too
    heldout_slight.json    a fifth of heldout_single.json with noise (toolbox/noise.py); also
                           heldout_medium.json, heldout_heavy.json and heldout_union.json
"""

import json
import os
import random
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

from data.feedback import Feedback
from data.tools import write_call
from plumbing.files import InputError, make_folder, write_text
from plumbing.flags import Parser, cli
from toolbox.chains import noun
from toolbox.execute import CATEGORIES, TOOLS, schemas
from toolbox.filters import Draft, Questions, draw_draft
from toolbox.mistakes import make_mistake
from toolbox.no_tool import KINDS as NO_TOOL_KINDS
from toolbox.no_tool import draw_unmet
from toolbox.noise import LEVELS, add_noise
from toolbox.questions import GIVEN, MISSING, as_text, expected_value
from toolbox.wording import ASK

DATA = Path(__file__).resolve().parents[1] / "data"

# Tools for held-out questions only: two categories, and others with relatives among the seen tools.
UNSEEN = (
    *CATEGORIES["music"], *CATEGORIES["sports"],
    "get_weather_alerts", "get_country_population", "convert_volume", "find_median", "count_letter",
    "sort_words_by_length", "count_workdays", "search_events_by_date", "find_contact_by_phone",
    "get_recipe_nutrition", "get_flight_status", "search_products_by_price", "get_book_copies",
    "calculate_savings")
ALL = tuple(name for name in TOOLS if name in ASK)
SEEN = tuple(name for name in ALL if name not in UNSEEN)

SEED = 0
# Items of each file. Every fifth call of heldout_single.json gets noise.
TRAIN = 1217
RL = 1194
SINGLE = 500  # with seen tools, and as many with unseen ones
MULTI = 500
NONE = 200
NOISY_EVERY = 5
MULTI_CALLS = (1, 2, 3, 2, 1, 3, 2, 4)  # calls of a task of heldout_multi.json, by turns
# Shares:
ERROR_SHARE = 0.17   # trajectories with an error and its recovery
ASKING_SHARE = 0.05  # trajectories that ask the user for a missing value
LATER_SHARE = 0.3    # gold calls that are not the first of their chain
NONE_SHARE = 0.06    # items of train.json and rl.json in which no tool fits
MOST_ERRORS = 0.85   # --error-share at most, since the others ask the user or have no tool
KINDS = [kind for kind in Feedback if kind.is_error]


# --------------------------------------------------------------------------------------- the files

def embedded_files(error_share=ERROR_SHARE):
    """{file name: list of items} of all files; the same in every process.

    error_share: the share of the trajectories of train.json with an error; all else stays.
    """
    questions = Questions()
    unseen = tuple(name for name in ALL if name in UNSEEN)
    tasks = training_tasks(questions)
    made = {"train": [], "rl": single_calls("rl", RL, SEEN, SEEN, questions)}
    single = single_calls("seen", SINGLE, SEEN, SEEN, questions)
    single += single_calls("unseen", SINGLE, unseen, ALL, questions)
    made["heldout_single"] = [
        {"id": item["id"], "tools": item["id"].partition("-")[0], **item} for item in single]
    made["heldout_multi"] = multi_calls(questions)
    for level in LEVELS:
        made[f"heldout_{level}"] = [
            add_noise(_rng(level, place), level, place, item)
            for place, item in enumerate(made["heldout_single"][::NOISY_EVERY])]
    # Last of all, so that the questions of these conversations displace no other.
    plain = plain_places(tasks)
    unmet = plain[:round(TRAIN * NONE_SHARE)]
    tasks = with_errors(tasks, plain[len(unmet):], error_share)
    made["train"] = training_trajectories(tasks, unmet, questions)
    made["rl"] = with_no_tool(made["rl"], questions)
    made["heldout_none"] = no_tool_calls("none", NONE, questions)
    return {f"{name}.json": items for name, items in made.items()}


class TrainingTask(NamedTuple):
    """A conversation of train.json before its turns are written."""

    rng: random.Random  # as it was after the draft was drawn
    draft: Draft
    mistake: tuple | None  # (place in the chain, what `make_mistake` returned)


def training_tasks(questions):
    """The TrainingTasks of seen tools for train.json.

    ERROR_SHARE of them hold an error and its recovery, each kind of error equally often.
    """
    rng = _rng("train")
    n_errors = round(TRAIN * ERROR_SHARE)
    special = rng.sample(range(TRAIN), n_errors + round(TRAIN * ASKING_SHARE))
    asking = special[n_errors:]
    kinds = {place: KINDS[number % len(KINDS)] for number, place in enumerate(special[:n_errors])}
    tasks = []
    for place, first in enumerate(_in_shuffled_rounds(rng, SEEN, TRAIN)):
        rng = _rng("train", place)
        fits = partial(_mistakes, rng, kinds.get(place))
        draft, (mistake,) = draw_draft(rng, (SEEN, SEEN), first, questions, fits, place in asking)
        tasks.append(TrainingTask(rng, draft, mistake))
    return tasks


def plain_places(tasks):
    """The places of the tasks without an error or a question to the user, shuffled."""
    places = [place for place, task in enumerate(tasks)
              if task.mistake is None and not task.draft.missing]
    _rng("plain").shuffle(places)
    return places


def with_errors(tasks, plain, share):
    """The TrainingTasks with as many errors as `share` says, of which ERROR_SHARE are there.

    Of two shares, the tasks with an error of the smaller are among those of the larger. plain:
    places of tasks that can get one.
    """
    failing = [place for place, task in enumerate(tasks) if task.mistake]
    wanted = round(TRAIN * share)
    changed = list(tasks)
    for place in failing[wanted:]:
        changed[place] = tasks[place]._replace(mistake=None)
    for number, place in enumerate(plain[:max(wanted - len(failing), 0)]):
        changed[place] = tasks[place]._replace(mistake=_any_mistake(number, tasks[place].draft))
    return changed


def _any_mistake(number, draft):
    """A mistake of the kind whose turn it is, or of one of the next where that is not possible."""
    rng = _rng("more errors", number)
    for kind in (KINDS * 2)[number % len(KINDS):]:
        possible = _mistakes(rng, kind, draft)
        if possible:
            return possible[0]
    raise RuntimeError(f"no mistake is possible in the calls for {draft.question!r}")


def training_trajectories(tasks, unmet, questions):
    """The items of train.json: tasks, in whose place some at `unmet` have no tool that fits."""
    replaced = dict(zip(unmet, _draw_unmet("train", len(unmet), SEEN, questions), strict=True))
    items = []
    for place, (rng, draft, mistake) in enumerate(tasks):
        if place in replaced:
            turns = [*_opening(replaced[place]),
                     call_turn(replaced[place].name, replaced[place].arguments)]
        else:
            turns = [_system(draft), *task_turns(rng, draft, mistake)]
        items.append({"id": f"train-{place:04}", "conversations": turns})
    return items


def with_no_tool(items, questions):
    """The items of rl.json, NONE_SHARE of which are replaced: their gold call is `finish`."""
    count = round(len(items) * NONE_SHARE)
    changed = list(items)
    places = _rng("rl", "no tool").sample(range(len(items)), count)
    for place, unmet in zip(places, _draw_unmet("rl", count, SEEN, questions), strict=True):
        changed[place] = _no_tool_item(items[place]["id"], unmet)
    return changed


def no_tool_calls(part, count, questions):
    """Held-out conversations in which no tool fits; the second half offers unseen tools, too."""
    half = count // 2
    drawn = _draw_unmet(part, half, SEEN, questions, held_out=True)
    drawn += _draw_unmet(f"{part} unseen", count - half, ALL, questions, held_out=True)
    return [{"kind": unmet.kind, **_no_tool_item(f"{part}-{place:03}", unmet)}
            for place, unmet in enumerate(drawn)]


def _draw_unmet(part, count, names, questions, held_out=False):
    """`count` conversations in which no tool fits, each kind as often as NO_TOOL_KINDS says.

    Those of rl.json all end with `finish`, which is judged by name alone.
    """
    kinds = [kind for kind, percent in NO_TOOL_KINDS.items() for _ in range(percent)]
    kinds = _in_shuffled_rounds(_rng(part, "kinds"), kinds, count)
    if part == "rl":
        kinds = ["small talk" if kind == "vague" else kind for kind in kinds]
    return [draw_unmet(_rng(part, "no tool", place), kind, names, questions, held_out)
            for place, kind in enumerate(kinds)]


def _no_tool_item(name, unmet):
    return {"id": name, "conversations": _opening(unmet),
            "gold": write_call(unmet.name, unmet.arguments)}


def _mistakes(rng, kind, draft):
    """[(place in the chain, what `make_mistake` returned)] for a kind of error.

    [None] for no kind; [] if there is no such mistake.
    """
    if kind is None:
        return [None]
    place = rng.randrange(len(draft.steps))
    wrong = make_mistake(rng, kind, draft.steps[place], draft.offered)
    return [(place, wrong)] if wrong else []


def single_calls(part, count, tools, firsts, questions):
    """Prompts with the gold call that is due: LATER_SHARE of them later calls of their chains.

    part: what the ids begin with. tools: names that a gold call can have. firsts: names that the
    first call of a chain can have whose later call is the gold call.
    """
    rng = _rng(part)
    items = []
    later = set(rng.sample(range(count), round(count * LATER_SHARE)))
    for place, first in enumerate(_in_shuffled_rounds(rng, tools, count)):
        rng = _rng(part, place)
        is_later = place in later
        first = rng.choice(firsts) if is_later else first
        pool = tools if is_later else firsts
        fits = partial(_gold_places, is_later, tools)
        draft, places = draw_draft(rng, (pool, firsts), first, questions, fits)
        gold = rng.choice(places)
        step = draft.steps[gold]
        items.append({"id": f"{part}-{place:04}",
                      "conversations": [*_opening(draft), *_call_turns(draft.steps[:gold])],
                      "gold": write_call(step.name, step.arguments)})
    return items


def _gold_places(is_later, tools, draft):
    """The places in a Draft's chain whose call can be the gold call."""
    places = range(1, len(draft.steps)) if is_later else (0,)
    return [place for place in places if draft.steps[place].name in tools]


def multi_calls(questions):
    """Whole tasks of seen tools: question, gold calls, and a value that a right answer holds."""
    rng = _rng("multi")
    items = []
    for place, first in enumerate(_in_shuffled_rounds(rng, SEEN, MULTI)):
        fits = partial(_expected, MULTI_CALLS[place % len(MULTI_CALLS)])
        draft, value = draw_draft(_rng("multi", place), (SEEN, SEEN), first, questions, fits)
        items.append({"id": f"multi-{place:03}", "conversations": _opening(draft),
                      "calls": [write_call(step.name, step.arguments) for step in draft.steps],
                      "expected": value})
    return items


def _expected(count, draft):
    return len(draft.steps) == count and expected_value(draft.steps, draft.question)


def file_text(items):
    """The JSON text of a file: one line per item."""
    lines = (json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _rng(*key):
    """A random stream of its own for a key. Random seeds itself by the text, not by its hash."""
    return random.Random(" ".join(map(str, (SEED, *key))))


def _in_shuffled_rounds(rng, names, count):
    """`count` names in shuffled rounds of all names, so that each is as frequent as the others."""
    order = []
    while len(order) < count:
        order += rng.sample(names, len(names))
    return order[:count]


# --------------------------------------------------------------------------------------- the turns

def _turn(role, content):
    return {"role": role, "content": content}


def call_turn(name, arguments):
    """A call as a turn of a trajectory file."""
    return _turn("assistant", f"{name}\n{json.dumps(arguments, ensure_ascii=False)}")


def task_turns(rng, draft, mistake=None):
    """The turns of a whole task, from the question to the answer.

    mistake: (place in the chain, what `make_mistake` returned), or None.
    """
    asking = _asking_turns(rng, draft) if draft.missing else []
    return [_turn("user", draft.question), *asking, *_call_turns(draft.steps, mistake),
            call_turn("finish", {"answer": draft.answer})]


def _system(draft):
    tools = json.dumps(schemas(draft.offered), ensure_ascii=False, separators=(",", ":"))
    return _turn("system", tools)


def _opening(draft):
    return [_system(draft), _turn("user", draft.question)]


def _call_turns(steps, mistake=None):
    """The turns of calls with their feedback; the mistake comes before the call at its place."""
    turns = []
    for place, step in enumerate(steps):
        if mistake and mistake[0] == place:
            name, arguments, feedback = mistake[1]
            turns += [call_turn(name, arguments), _turn("function", feedback)]
        turns += [call_turn(step.name, step.arguments), _turn("function", step.feedback)]
    return turns


def _asking_turns(rng, draft):
    """The question to the user for the missing value, and the user's reply."""
    question = rng.choice(MISSING).format(noun(draft.missing))
    reply = rng.choice(GIVEN).format(as_text(draft.steps[0].arguments[draft.missing]))
    return [call_turn("ask_to_user", {"question": question}), _turn("user", reply)]


def share(text):
    """A share of the trajectories, at most what is left beside those without a tool or a value."""
    number = float(text)
    if not 0 <= number <= MOST_ERRORS:
        raise ValueError
    return number


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m toolbox.synthesize", description="Write the embedded data.")
    parser.add_argument("--out", type=Path, default=DATA, help="folder for the files")
    parser.add_argument("--error-share", type=share, default=ERROR_SHARE,
                        help="trajectories with an error in train.json; if given, the only file")
    flags = parser.parse_args()
    folder = flags.out
    is_embedded = flags.error_share == ERROR_SHARE
    if not is_embedded and os.path.realpath(folder) == str(DATA):
        raise InputError("--out: name a folder, since this is not the embedded data")
    make_folder(folder)
    files = embedded_files(flags.error_share)
    if not is_embedded:
        files = {"train.json": files["train.json"]}
    for name, items in files.items():
        write_text(folder / name, file_text(items))
        golds = Counter(item["gold"].partition("(")[0] for item in items if "gold" in item)
        print(f"{name:<24}{len(items):>6} items" + (f", {len(golds)} tools" if golds else ""))


if __name__ == "__main__":
    cli(main)
