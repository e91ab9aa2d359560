"""Conversations in which no offered tool fits, so that no tool may be called.

A model that has only seen tasks calls a tool whatever it is told. Of these conversations some are
small talk; some ask for what no tool in toolbox/world does; some ask for what a tool does that is
not offered, beside tools that have nothing to do with it or beside its nearest relatives; and some
say nothing yet. The right turn is `finish`, which answers or says that no tool fits, and
`ask_to_user` where nothing was said yet.
"""

from typing import NamedTuple

from toolbox.chains import Step
from toolbox.execute import CATEGORY_OF
from toolbox.filters import ATTEMPTS, Draft, draw_offered, draw_task
from toolbox.questions import fill_aside
from toolbox.wording import ASIDES
from toolbox.wording.no_tool import ASKING, DECLINING, GREETINGS, OUTSIDE, SMALL_TALK, VAGUE

# kind -> percent of the conversations
KINDS = {"small talk": 25, "outside": 25, "absent": 20, "taken out": 25, "vague": 5}
TEXTS = {"small talk": (SMALL_TALK, GREETINGS), "outside": (OUTSIDE, DECLINING),
         "vague": (VAGUE, ASKING)}
ASIDE_SHARE = 0.6  # such a text comes with an aside


class Unmet(NamedTuple):
    """A conversation of one question and the call that ends it."""

    kind: str
    question: str
    name: str         # finish or ask_to_user
    text: str         # what it says
    offered: list[str]
    needed: str | None  # the tool that is not offered, where one of toolbox/world would fit

    @property
    def arguments(self):
        """The arguments of the call that is due."""
        return {"question" if self.name == "ask_to_user" else "answer": self.text}


def draw_unmet(rng, kind, names, questions, held_out=False):
    """A new Unmet of a kind of KINDS. Raises RuntimeError if no question is left.

    names: those of the tools that can be asked for and offered. questions: the `filters.Questions`
    so far. held_out: use the texts that are kept for held-out conversations. rng: a seeded
    `random.Random`.
    """
    for _ in range(ATTEMPTS):
        needed = None
        if kind in TEXTS:
            question, offered = _draw_text(rng, kind, names, held_out)
        else:
            question, offered, needed = _draw_request(rng, kind, names)
        draft = Draft(question, question, None, [], "", offered)
        if not any(name in question for name in offered) and questions.admit(draft):
            name = "ask_to_user" if kind == "vague" else "finish"
            answers = TEXTS[kind][1] if kind in TEXTS else DECLINING
            return Unmet(kind, question, name, rng.choice(answers), offered, needed)
    raise RuntimeError(f"no question of the kind {kind} is left")


def _draw_text(rng, kind, names, held_out):
    """(a text of the kind, perhaps with an aside; any tools)."""
    texts = TEXTS[kind][0]
    kept = texts[3::4]
    question = fill_aside(rng, rng.choice(kept if held_out else sorted(set(texts) - set(kept))))
    if rng.random() < ASIDE_SHARE:
        question = f"{question} {fill_aside(rng, rng.choice(ASIDES))}"
    return question, draw_offered(rng, [_step(rng.choice(names))], names)


def _draw_request(rng, kind, names):
    """(a request for one call of a tool; tools without it; the tool)."""
    draft = None
    while draft is None or len(draft.steps) > 1:
        draft = draw_task(rng, names, rng.choice(names))
    needed = draft.steps[0].name
    if kind == "taken out":
        offered = draw_offered(rng, draft.steps, names)
        others = [name for name in names if name not in offered]
        offered[offered.index(needed)] = rng.choice(others)
        return draft.question, offered, needed
    others = [name for name in names if CATEGORY_OF[name] != CATEGORY_OF[needed]]
    return draft.question, draw_offered(rng, [_step(rng.choice(others))], others), needed


def _step(name):
    """What `draw_offered` needs to know of a call."""
    return Step(name, {}, "", {})
