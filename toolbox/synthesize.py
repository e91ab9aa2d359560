"""Write the embedded data by reversed construction, as the TTPA paper does: calls, answers, then questions.

    python -m toolbox.synthesize [--out DIR]      # seconds; the committed files, byte for byte

Tools are chosen and a chain of one to four calls is executed (toolbox/chains.py); the answer is written from
the results, the question from the arguments (toolbox/questions.py), and filters look at both (toolbox/filters.py).
Some of the trajectories get an error with its recovery (toolbox/mistakes.py).

    train.json             trajectories for stage 1
    rl.json                prompts with gold calls for stage 2, of other questions
    heldout_single.json    the same, half of them for tools that neither of the two shows
    heldout_multi.json     tasks with the text of a value that a right answer holds
    heldout_slight.json    a fifth of heldout_single.json with noise (toolbox/noise.py); _medium, _heavy, _union
"""

import json
import random
from collections import Counter
from functools import partial
from pathlib import Path

from data.feedback import Feedback
from data.tools import write_call
from plumbing.flags import Parser, cli
from toolbox.chains import noun
from toolbox.execute import CATEGORIES, TOOLS, schemas
from toolbox.filters import Questions, draw
from toolbox.mistakes import err
from toolbox.noise import LEVELS, disturb
from toolbox.questions import GIVEN, MISSING, as_text, expected
from toolbox.wording import ASK

UNSEEN = (  # tools for held-out questions only: two categories, and others with relatives that are seen
    *CATEGORIES["music"], *CATEGORIES["sports"],
    "get_weather_alerts", "get_country_population", "convert_volume", "find_median", "count_letter",
    "sort_words_by_length", "count_workdays", "search_events_by_date", "find_contact_by_phone",
    "get_recipe_nutrition", "get_flight_status", "search_products_by_price", "get_book_copies",
    "calculate_savings")
ALL = tuple(name for name in TOOLS if name in ASK)
SEEN = tuple(name for name in ALL if name not in UNSEEN)

SEED = 0
TRAIN, RL, SINGLE, MULTI, NOISY = 1217, 1194, 500, 100, 5  # NOISY: every fifth single call
MULTI_CALLS = (1, 2, 3, 2, 1, 3, 2, 4)  # calls of a task, by turns
ERRONEOUS, ASKING, LATER = 0.17, 0.05, 0.3  # shares: an error, a question to the user, calls after the first
KINDS = [kind for kind in Feedback if kind.is_error]


def train(questions):
    """Trajectories of seen tools; 17% of them hold an error, of each kind equally often, and its recovery."""
    rng = _rng("train")
    special = rng.sample(range(TRAIN), round(TRAIN * ERRONEOUS) + round(TRAIN * ASKING))
    erroneous, asking = special[:round(TRAIN * ERRONEOUS)], special[round(TRAIN * ERRONEOUS):]
    kinds = {place: KINDS[number % len(KINDS)] for number, place in enumerate(erroneous)}
    items = []
    for place, first in enumerate(_rota(rng, SEEN, TRAIN)):
        rng = _rng("train", place)
        fits = partial(_mistakes, rng, kinds.get(place))
        draft, (mistake,) = draw(rng, (SEEN, SEEN), first, questions, fits, place in asking)
        items.append({"id": f"train-{place:04}",
                      "conversations": [_system(draft), *task_turns(rng, draft, mistake)]})
    return items


def _mistakes(rng, kind, draft):
    """[(place in the chain, wrong call and feedback)]; [None] for no kind, [] where none came out."""
    if kind is None:
        return [None]
    place = rng.randrange(len(draft.steps))
    wrong = err(rng, kind, draft.steps[place], draft.offered)
    return [(place, wrong)] if wrong else []


def single_calls(part, count, tools, firsts, questions):
    """Prompts with the gold call that is due: 70% first calls of their chains, the others later ones.

    tools: the names that a gold call may have. firsts: of tools that begin a chain whose later call is gold.
    """
    rng, items = _rng(part), []
    later = set(rng.sample(range(count), round(count * LATER)))
    for place, first in enumerate(_rota(rng, tools, count)):
        rng = _rng(part, place)
        first = rng.choice(firsts) if place in later else first

        def due(draft):
            places = range(1, len(draft.steps)) if place in later else (0,)
            return [number for number in places if draft.steps[number].name in tools]

        pool = tools if place in later else firsts
        draft, places = draw(rng, (pool, firsts), first, questions, due)
        step = rng.choice(places)
        items.append({"id": f"{part}-{place:04}",
                      "conversations": [*_opening(draft), *_calls(draft.steps[:step])],
                      "gold": write_call(draft.steps[step].name, draft.steps[step].arguments)})
    return items


def multi_calls(questions):
    """Whole tasks of seen tools: the question, the gold calls, and a value that a right answer holds."""
    rng, items = _rng("multi"), []
    for place, first in enumerate(_rota(rng, SEEN, MULTI)):
        fits = partial(_expected, MULTI_CALLS[place % len(MULTI_CALLS)])
        draft, value = draw(_rng("multi", place), (SEEN, SEEN), first, questions, fits)
        items.append({"id": f"multi-{place:03}", "conversations": _opening(draft),
                      "calls": [write_call(step.name, step.arguments) for step in draft.steps],
                      "expected": value})
    return items


def _expected(count, draft):
    return len(draft.steps) == count and expected(draft.steps, draft.question)


def files():
    """{file name: list of items} of all files; the same in every process."""
    questions = Questions()
    made = {"train": train(questions), "rl": single_calls("rl", RL, SEEN, SEEN, questions)}
    seen = single_calls("seen", SINGLE, SEEN, SEEN, questions)
    unseen = single_calls("unseen", SINGLE, tuple(name for name in ALL if name in UNSEEN), ALL, questions)
    made["heldout_single"] = [{"id": item["id"], "tools": item["id"].partition("-")[0], **item}
                              for item in seen + unseen]
    made["heldout_multi"] = multi_calls(questions)
    for level in LEVELS:
        made[f"heldout_{level}"] = [disturb(_rng(level, place), level, place, item)
                                    for place, item in enumerate(made["heldout_single"][::NOISY])]
    return {f"{name}.json": items for name, items in made.items()}


def text(items):
    """The JSON text of a file: an item a line."""
    lines = (json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _rng(*key):
    return random.Random(" ".join(map(str, (SEED, *key))))  # seeded by the text itself, not its hash


def _rota(rng, names, count):
    """`count` names, each as often as the others, in shuffled rounds."""
    rounds = -(-count // len(names))
    return [name for _ in range(rounds) for name in rng.sample(names, len(names))][:count]


def _turn(role, content):
    return {"role": role, "content": content}


def call_turn(name, arguments):
    """A call as a turn of a trajectory file."""
    return _turn("assistant", f"{name}\n{json.dumps(arguments, ensure_ascii=False)}")


def task_turns(rng, draft, mistake=None):
    """The turns of a whole task, from its question to the answer; mistake: see `_calls`."""
    return [_turn("user", draft.question), *(_exchange(rng, draft) if draft.missing else []),
            *_calls(draft.steps, mistake), call_turn("finish", {"answer": draft.answer})]


def _system(draft):
    return _turn("system", json.dumps(schemas(draft.offered), ensure_ascii=False, separators=(",", ":")))


def _opening(draft):
    return [_system(draft), _turn("user", draft.question)]


def _calls(steps, mistake=None):
    """The turns of some calls with their feedback; a mistake (place, what `err` gave) before one of them."""
    turns = []
    for place, step in enumerate(steps):
        if mistake and mistake[0] == place:
            name, arguments, feedback = mistake[1]
            turns += [call_turn(name, arguments), _turn("function", feedback)]
        turns += [call_turn(step.name, step.arguments), _turn("function", step.feedback)]
    return turns


def _exchange(rng, draft):
    """The question to the user for the missing value, and what the user says."""
    return [call_turn("ask_to_user", {"question": rng.choice(MISSING).format(noun(draft.missing))}),
            _turn("user", rng.choice(GIVEN).format(as_text(draft.steps[0].arguments[draft.missing])))]


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m toolbox.synthesize", description="Write the embedded data.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "data", help="folder for the files")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in files().items():
        (folder / name).write_text(text(items), encoding="utf-8")
        golds = Counter(item["gold"].partition("(")[0] for item in items if "gold" in item)
        print(f"{name:<24}{len(items):>6} items" + (f", {len(golds)} tools" if golds else ""))


if __name__ == "__main__":
    cli(main)
