"""From an executed chain back to what a person would ask, and to the answer; and what makes both fit.

The answer is written from the results, the question from the arguments: a value stands in it as in the call,
one that an earlier result gives is only referred to ("that city"). `data.wording` holds the texts.
"""

import re

from toolbox.chains import FIRST, NEW, OTHER, SAME, leaves, noun, parameters
from toolbox.wording import ASIDES, ASK, DO, EXTRA, JOIN, NONE, REFER, TELL
from toolbox.wording.samples import PEOPLE
from toolbox.world.geography import CITIES

ASIDE, WHOLE = 0.2, 0.4  # shares of questions with a distractor, and of chains begun with a whole question
FRAMES = ("Please {0}.", "Could you {0}?", "Can you {0}?", "I need you to {0}.", "I'd like you to {0}.",
          "Would you {0}, please?", "Help me: {0}.")
NEXT = ("Then {0}.", "After that, please {0}.", "And then, could you {0}?", "Next, {0}.",
        "Once you know, {0}.")
ALSO = ("Also, {0}.", "And please {0}.", "Besides, could you {0}?", "I also need you to {0}.")
MISSING = ("Which {0} do you mean?", "Which {0} is it?", "Could you tell me which {0} you mean?",
           "I need to know which {0} you mean.")
GIVEN = ("{0}.", "I mean {0}.", "It is {0}.", "{0}, please.", "Sorry, {0}.")


def ask(rng, steps, missing=None):
    """The question to which a chain is the answer -> (question, the same without its distractor).

    missing: the parameter of the first call that the person forgets to give.
    """
    fields = [_fields(rng, step) for step in steps]
    if missing:
        fields[0][missing] = pointed(missing)
    does = [rng.choice(DO[step.name]).format(**known) for step, known in zip(steps, fields)]
    whole = not missing and rng.random() < (1 - WHOLE if len(steps) == 1 else WHOLE)
    if whole:
        texts = [rng.choice(ASK[steps[0].name]).format(**fields[0])]
        if len(steps) == 2:
            texts.append(rng.choice(NEXT if steps[1].links else ALSO).format(does[1]))
        elif len(steps) > 2:
            texts.append(rng.choice(JOIN[len(steps) - 1]).format(*does[1:]))
    else:
        texts = [rng.choice(JOIN[len(steps)] if len(steps) > 1 else FRAMES).format(*does)]
    texts += [rng.choice(EXTRA[f"{step.name}.{key}"]).format(**known) for step, known in zip(steps, fields)
              for key in step.arguments if parameters(step.name)[key] is not None]
    core = " ".join(text[:1].upper() + text[1:] for text in texts)
    if rng.random() >= ASIDE:
        return core, core
    aside = _aside(rng, steps)
    return (f"{aside} {core}" if rng.random() < 0.5 else f"{core} {aside}"), core


def answer(rng, steps):
    """The answer, from the results that no later call was only made for; None where no wording fits."""
    used = {link.step for step in steps for link in step.links.values() if link.kind != SAME}
    told = [_tell(rng, step) for place, step in enumerate(steps) if place not in used]
    return " ".join(told) if all(told) else None


def expected(steps, question):
    """The text of a value of the last result that a right answer must hold: every wording of it does, and the
    question does not give it away. Of several the longest, as a short number may turn up by chance; or None.
    """
    tellings = [text for text in (_filled(text, steps[-1]) for text in TELL[steps[-1].name]) if text]
    values = [str(leaf) for leaf in leaves(steps[-1].result) if not isinstance(leaf, bool)]
    return max((value for value in values if tellings and not _said(value, question)
                and all(value in text for text in tellings)), key=len, default=None)


def pointed(key):
    """ "that city" where the first reference to a parameter's value is of this form, else None."""
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


def derivable(question, steps):
    """Does every argument stand in the question, or in the result of an earlier call?"""
    return all(_derivable(f"{step.name}.{key}", leaf, question, steps[:place])
               for place, step in enumerate(steps) for key, value in step.arguments.items()
               for leaf in leaves(value))


def _derivable(parameter, leaf, question, before):
    if isinstance(leaf, bool):
        return any(text in question for text in EXTRA[parameter])
    results = [value for step in before for value in leaves(step.result) if not isinstance(value, bool)]
    return _said(leaf, question) or leaf in results


def similarity(one, other):
    """Of the words of two questions, the share that both have: 1 for the same words.

    >>> similarity(words("Is it warm in Oslo?"), words("Is it cold in Oslo?"))
    0.6666666666666666
    """
    return len(one & other) / len(one | other)


def words(question):
    """The set of a question's words and numbers, whatever their case and order."""
    return frozenset(re.findall(r"\w+(?:[-.@']\w+)*", question.casefold()))


def _fields(rng, step):
    """The arguments of a call as they stand in a question."""
    texts = {key: as_text(value) for key, value in step.arguments.items()}
    for key, link in step.links.items():
        phrases = [text for text in REFER[key] if link.kind == NEW
                   or (" you " in text) == (link.kind == OTHER)]  # "the date you find"
        texts[key] = f"the first {noun(key)}" if link.kind == FIRST else rng.choice(phrases)
    return texts


def _aside(rng, steps):
    """A fact that has nothing to do with the calls, and names nothing that they or their results name."""
    said = " ".join(f"{step.arguments} {step.feedback}" for step in steps)
    city, person = (rng.choice([name for name in names if name not in said]) for names in (CITIES, PEOPLE))
    number = rng.choice([number for number in range(3, 91) if not _said(number, said)])
    return rng.choice(ASIDES).format(city=city, person=person, number=number)


def _tell(rng, step):
    """A sentence that tells the result of a call; None where none fits."""
    texts = [_filled(text, step) for text in TELL[step.name]]
    texts = [text for text in texts if text]
    if not texts and any(value == [] for value in step.result.values()):
        texts = [_filled(text, step) for text in NONE.get(step.name, ())]
    return rng.choice(texts) if texts else None


def _filled(text, step):
    """A sentence with its fields filled from the result, else the arguments; None if one leads nowhere."""
    values = {}
    for path in re.findall(r"{(.*?)}", text):
        value = {**step.arguments, **step.result}
        for key in path.split("."):
            value = _member(value, key)
        if value in (None, [], {}) or (isinstance(value, list) and isinstance(value[0], dict)):
            return None
        values[path] = as_text(value)
    told = re.sub(r"{(.*?)}", lambda field: values[field[1]], text)
    return told[:1].upper() + told[1:] if told.split()[0].isalpha() else told  # not an address or a code


def _member(value, key):
    if isinstance(value, list):
        return value[int(key)] if key.isdigit() and int(key) < len(value) else None
    return value.get(key) if isinstance(value, dict) else None


def _said(leaf, question):
    """Does the question hold the value as it stands, not in the middle of a longer word or number?"""
    pattern = rf"(?<![\w.]){re.escape(str(leaf))}(?!\w|\.\d)"
    return re.search(pattern, question, re.IGNORECASE) is not None
