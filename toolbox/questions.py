"""From an executed chain back to the question that a person would ask, and to its answer.

The second step of reversed construction (TTPA): the answer is written from the results, and the
question from the arguments. The question holds a value as the call does; it only refers ("that
city") to a value that an earlier result gives. The texts are those of toolbox/wording. The
functions that follow the two writers tell whether a question, an answer and a chain fit.
"""

import re

from toolbox.chains import FIRST, NEW, OTHER, SAME, defaults, noun, scalars
from toolbox.wording import ASIDES, ASK, DO, EXTRA, JOIN, NONE, REFER, TELL
from toolbox.wording.samples import PEOPLE
from toolbox.world.geography import CITIES

# Probabilities:
DISTRACTED_SHARE = 0.2  # a question has a distractor
WHOLE_SHARE = 0.4       # the question for several calls begins with a whole request of ASK
FRAMES = ("Please {0}.", "Could you {0}?", "Can you {0}?", "I need you to {0}.",
          "I'd like you to {0}.", "Would you {0}, please?", "Help me: {0}.")
NEXT = ("Then {0}.", "After that, please {0}.", "And then, could you {0}?", "Next, {0}.",
        "Once you know, {0}.")
ALSO = ("Also, {0}.", "And please {0}.", "Besides, could you {0}?", "I also need you to {0}.")
MISSING = ("Which {0} do you mean?", "Which {0} is it?", "Could you tell me which {0} you mean?",
           "I need to know which {0} you mean.")
GIVEN = ("{0}.", "I mean {0}.", "It is {0}.", "{0}, please.", "Sorry, {0}.")


def write_question(rng, steps, missing=None):
    """The question that a chain answers -> (question, the question without its distractor).

    missing: the parameter of the first call that the person forgets to give.
    """
    fields = [_argument_texts(rng, step) for step in steps]
    if missing:
        fields[0][missing] = that_phrase(missing)
    texts = _requests(rng, steps, fields, missing)
    for step, known in zip(steps, fields, strict=True):
        texts += [rng.choice(EXTRA[f"{step.name}.{key}"]).format(**known)
                  for key in step.arguments if defaults(step.name)[key] is not None]
    core = " ".join(text[:1].upper() + text[1:] for text in texts)
    if rng.random() >= DISTRACTED_SHARE:
        return core, core
    distractor = _distractor(rng, steps)
    if rng.random() < 0.5:
        return f"{distractor} {core}", core
    return f"{core} {distractor}", core


def _requests(rng, steps, fields, missing):
    """The sentences that ask for the calls, without their optional parameters."""
    phrases = [rng.choice(DO[step.name]).format(**known)
               for step, known in zip(steps, fields, strict=True)]
    whole = not missing and rng.random() < (1 - WHOLE_SHARE if len(steps) == 1 else WHOLE_SHARE)
    if not whole:
        return [rng.choice(JOIN[len(steps)] if len(steps) > 1 else FRAMES).format(*phrases)]
    texts = [rng.choice(ASK[steps[0].name]).format(**fields[0])]
    if len(steps) == 2:
        texts.append(rng.choice(NEXT if steps[1].links else ALSO).format(phrases[1]))
    elif len(steps) > 2:
        texts.append(rng.choice(JOIN[len(steps) - 1]).format(*phrases[1:]))
    return texts


def write_answer(rng, steps):
    """The answer from the results of a chain; None where no wording fits.

    It leaves out results that are only there for a later call.
    """
    used = set()
    for step in steps:
        used |= {link.step for link in step.links.values() if link.kind != SAME}
    told = [_tell(rng, step) for place, step in enumerate(steps) if place not in used]
    return " ".join(told) if all(told) else None


def expected_value(steps, question):
    """The text of a value of the last result that a right answer must hold; None if there is none.

    Every wording of the answer holds it, and the question does not give it away. Of several values
    it is the longest, since a short number can be in a wrong answer by chance.
    """
    tellings = [_filled(text, steps[-1]) for text in TELL[steps[-1].name]]
    tellings = [text for text in tellings if text]
    if not tellings:
        return None
    certain = []
    for value in scalars(steps[-1].result):
        text = str(value)
        if isinstance(value, bool) or _holds(question, text):
            continue
        if all(text in telling for telling in tellings):
            certain.append(text)
    return max(certain, key=len, default=None)


def that_phrase(key):
    """ "that city" where the first reference to a parameter's value has this form, else None."""
    return REFER[key][0] if key in REFER and REFER[key][0].startswith("that ") else None


def as_text(value):
    """A value as a person writes it: a list with commas and "and".

    >>> as_text(["a", 2, True]), as_text({"SEK": 10.4, "NOK": 10.6})
    ('a, 2 and yes', '10.4 SEK and 10.6 NOK')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return as_text([f"{as_text(amount)} {key}" for key, amount in value.items()])
    if not isinstance(value, list):
        return str(value)
    texts = [as_text(member) for member in value]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def fill_aside(rng, text):
    """A text with {city}, {person} and {number}, filled with any."""
    return text.format(city=rng.choice(list(CITIES)), person=rng.choice(PEOPLE),
                       number=rng.randint(3, 90))


# ----------------------------------------------------------------------- do question and calls fit?

def is_derivable(question, steps):
    """Whether every argument stands in the question or in the result of an earlier call."""
    results = []  # the scalars of earlier results
    for step in steps:
        for key, value in step.arguments.items():
            for scalar in scalars(value):
                if isinstance(scalar, bool):
                    texts = EXTRA[f"{step.name}.{key}"]
                    if not any(text in question for text in texts):
                        return False
                elif not _holds(question, scalar) and scalar not in results:
                    return False
        results += [value for value in scalars(step.result) if not isinstance(value, bool)]
    return True


def jaccard(one, other):
    """Jaccard similarity of two word sets: words in both over words in either; 1 for equal sets.

    >>> jaccard(word_set("Is it warm in Oslo?"), word_set("Is it cold in Oslo?"))
    0.6666666666666666
    """
    return len(one & other) / len(one | other)


def word_set(question):
    """The set of a question's words and numbers, in small letters."""
    return frozenset(re.findall(r"\w+(?:[-.@']\w+)*", question.casefold()))


def _holds(question, value):
    """Whether a question holds a value as it stands, not inside a longer word or number."""
    pattern = rf"(?<![\w.]){re.escape(str(value))}(?!\w|\.\d)"
    return re.search(pattern, question, re.IGNORECASE) is not None


# ------------------------------------------------------------------------------ parts of the texts

def _argument_texts(rng, step):
    """{parameter: text in the question} of a call: its value, or a reference to its value."""
    texts = {key: as_text(value) for key, value in step.arguments.items()}
    for key, link in step.links.items():
        # A person says "the date you find" of a value that is not the argument of that name.
        phrases = [text for text in REFER[key] if link.kind == NEW
                   or (" you " in text) == (link.kind == OTHER)]
        texts[key] = f"the first {noun(key)}" if link.kind == FIRST else rng.choice(phrases)
    return texts


def _distractor(rng, steps):
    """A fact that has nothing to do with the calls; it names nothing that calls or results name."""
    named = " ".join(f"{step.arguments} {step.feedback}" for step in steps)
    city = rng.choice([city for city in CITIES if city not in named])
    person = rng.choice([person for person in PEOPLE if person not in named])
    number = rng.choice([number for number in range(3, 91) if not _holds(named, number)])
    return rng.choice(ASIDES).format(city=city, person=person, number=number)


def _tell(rng, step):
    """A sentence that tells the result of a call; None where no sentence fits."""
    texts = [_filled(text, step) for text in TELL[step.name]]
    texts = [text for text in texts if text]
    if not texts and any(value == [] for value in step.result.values()):
        texts = [_filled(text, step) for text in NONE.get(step.name, ())]
    return rng.choice(texts) if texts else None


def _filled(text, step):
    """A template of TELL or NONE, filled from the result, else the arguments.

    None if a field leads to no value.
    """
    facts = {**step.arguments, **step.result}
    values = {}
    for path in re.findall(r"{(.*?)}", text):
        value = facts
        for key in path.split("."):
            value = _member(value, key)
        if value in (None, [], {}) or (isinstance(value, list) and isinstance(value[0], dict)):
            return None
        values[path] = as_text(value)
    told = re.sub(r"{(.*?)}", lambda field: values[field[1]], text)
    is_word = told.split()[0].isalpha()  # an address or a code keeps its first letter
    return told[:1].upper() + told[1:] if is_word else told


def _member(value, key):
    if isinstance(value, list):
        return value[int(key)] if key.isdigit() and int(key) < len(value) else None
    return value.get(key) if isinstance(value, dict) else None
