"""The templates of questions and answers: the laptop's GPT-4o, written by hand.

A file per category of toolbox/world says how people ask for each of its tools and how an answer
tells the result. Each file holds the dicts that this file gathers:

    ASK     {tool: whole requests}; each request has every required parameter as a {field}, once
    DO      {tool: infinitive phrases} that JOIN puts together, with the same fields
    TELL    {tool: answers}; a {field} is a key of the result, else an argument, or a path like
            {hotels.0.price}
    NONE    {tool: answers for a result with an empty list}, for the tools that can return one
    EXTRA   {"tool.parameter": sentences after the request that give an optional parameter}
    VALUES  {"tool.parameter": a sequence of values, or a function rng -> value}; in the file of a
            category a key "parameter" is for all of its tools that have this parameter

A request writes a value as the call does, and a list as "a, b and c". A sentence of EXTRA stands
for a boolean; it means the value that is not the default. A field of DO can take a phrase of
REFER ("that city") in place of a value; a field of ASK cannot, since a noun may stand before it
("event {event_id}"). VALUES draws the parameters of a call independently of each other, so that
two can be equal ("from EUR to EUR"); toolbox/chains.py draws such a call again. A sentence of
TELL fits a result only where each of its paths leads to a value that is no empty list. An answer
writes a dict as "10.4 SEK and 10.6 NOK", and a boolean as yes or no.
"""

import inspect

from toolbox.execute import TOOLS
from toolbox.wording import (
    arithmetic,
    books,
    calendar,
    contacts,
    currency,
    education,
    events,
    finance,
    geography,
    health,
    home,
    inventory,
    movies,
    music,
    news,
    recipes,
    sports,
    text,
    travel,
    units,
    weather,
)

_MODULES = (weather, geography, currency, units, arithmetic, text, calendar, events, contacts,
            recipes, travel, inventory, movies, books, music, sports, health, finance, education,
            home, news)


def _values(module):
    """The VALUES of a category's file, every key written as "tool.parameter"."""
    values = {}
    for tool in module.ASK:
        for key in inspect.signature(TOOLS[tool]).parameters:
            own = f"{tool}.{key}"
            values[own] = module.VALUES[own if own in module.VALUES else key]
    return values


ASK = {}
DO = {}
TELL = {}
NONE = {}
EXTRA = {}
VALUES = {}
for _module in _MODULES:
    ASK |= _module.ASK
    DO |= _module.DO
    TELL |= _module.TELL
    NONE |= getattr(_module, "NONE", {})
    EXTRA |= _module.EXTRA
    VALUES |= _values(_module)

# parameter -> phrases that refer to its value, which an earlier call gave or a person just named.
# There is none for `rate`: an exchange rate and a rate of interest are different things.
REFER = {
    "activity": ("that activity", "the same activity"),
    "amount": ("that amount", "the amount you get"),
    "article_id": ("that article", "the article you find"),
    "artist": ("that artist", "the artist you find"),
    "author": ("that author", "the author you find"),
    "away": ("that visiting team", "the visiting team"),
    "base": ("that currency", "the currency you find"),
    "book_id": ("that book", "the book you find"),
    "branch": ("that branch", "the same branch"),
    "brightness": ("that brightness", "the same brightness"),
    "city": ("that city", "the city you find", "that place", "the city in question"),
    "color": ("that color", "the same color"),
    "company": ("that company", "the company you find"),
    "country": ("that country", "the country you find", "the country in question"),
    "course_id": ("that course", "the course you find"),
    "cuisine": ("same",),
    "currency_code": ("that currency", "the currency you find"),
    "date": ("that date", "the date you find"),
    "day": ("that day", "the day you find"),
    "days": ("just as many", "the same number of"),
    "destination": ("that city", "the city you find", "that destination"),
    "device": ("same device",),
    "director": ("that director", "the director you find"),
    "doctor_id": ("that doctor", "the doctor you find"),
    "door": ("same door",),
    "email": ("that address", "the email address you find", "that email address"),
    "event_id": ("that event", "the event you find"),
    "flight_id": ("that flight", "the flight you find"),
    "food": ("that food", "the same food"),
    "genre": ("that genre", "the genre you find"),
    "group": ("that group", "the same group"),
    "holiday": ("that holiday", "the holiday you find"),
    "home": ("that home team", "the home team"),
    "hotel_id": ("that hotel", "the hotel you find"),
    "ingredients": ("those ingredients", "the ingredients you find"),
    "league": ("that league", "the same league"),
    "letter": ("that letter", "the same letter"),
    "level": ("that level", "the level you find"),
    "match_id": ("that match", "the match you find"),
    "minutes": ("just as many", "the same number of"),
    "month": ("that month", "the same month"),
    "movie_id": ("that movie", "the movie you find", "that film"),
    "name": ("that person", "the person you find"),
    "origin": ("that city", "the city you find"),
    "other_city": ("that other city", "the other city"),
    "passenger": ("that passenger", "the same passenger"),
    "percent": ("just as many", "the same number of"),
    "phone": ("that phone number", "the phone number you find"),
    "points": ("those points", "the same points"),
    "product_id": ("that product", "the product you find"),
    "recipe_id": ("that recipe", "the recipe you find"),
    "room": ("same room",),
    "song_id": ("that song", "the song you find", "that track"),
    "specialty": ("doctor of the same kind",),
    "subject": ("that subject", "the same subject"),
    "symbol": ("that symbol", "the symbol you find"),
    "target": ("that currency", "the currency you find"),
    "team": ("that team", "the team you find"),
    "temperature": ("that temperature", "the temperature you find"),
    "text": ("that text", "the text you get"),
    "title": ("that title", "the title you find"),
    "topic": ("that topic", "the same topic"),
    "unit": ("that unit", "the same unit"),
    "value": ("that value", "the value you get"),
    "word": ("that word", "the word you find"),
    "words": ("those words", "the words you get"),
    "year": ("that year", "the year you find"),
}

# Distractors: sentences that have nothing to do with the task.
ASIDES = (
    "By the way, my sister lives in {city}.", "I was in {city} last year and loved it.",
    "{person} told me you could help.", "My train leaves in {number} minutes.",
    "Sorry for the long message.", "I have asked {number} people already.",
    "No hurry, I am still at breakfast.", "{person} says hello, by the way.",
    "We moved here from {city} when I was small.", "It has been a long day.",
    "My phone is at {number} percent, so I may vanish.", "I am writing this from a café in {city}.",
    "My boss {person} wants it today.", "This is for a school project.",
    "Our flat is on floor {number}, not that it matters.", "I hope you are well.",
    "A friend from {city} is staying with us.", "{person} and I have a bet about this.",
    "I turned {number} yesterday.", "My dog has been barking all morning.",
    "Next year I would like to visit {city}.", "I would ask {person}, but he is asleep.",
    "I have {number} other things to do today.", "Thanks in advance!",
    "The radio is playing a song about {city}.", "My neighbour {person} is curious too.",
    "I already tried {number} other websites.", "The coffee in {city} is the best, if you ask me.",
    "{person} is my favourite colleague.", "It is raining cats and dogs here.",
    "My grandmother was born in {city}.", "There are {number} emails waiting for me.",
    "I met {person} on a train to {city}.", "You were a great help last time.",
    "I can't find my glasses, so excuse any typos.", "We have been on the road for {number} hours.",
)

# number of calls -> patterns that put their phrases of DO together.
JOIN = {
    2: ("Please {0} and then {1}.", "I need you to {0}; after that, {1}.", "Could you {0} and {1}?",
        "First {0}, then {1}.", "Can you {0}? Once that is done, {1}.",
        "I'd like you to {0} and also {1}.", "Two things: {0}, and {1}.",
        "Would you {0} and, with that done, {1}?", "{0}, please, and {1}.",
        "Help me out here: {0} and afterwards {1}."),
    3: ("Please {0}, then {1}, and finally {2}.", "I need you to {0}, {1} and {2}.",
        "First {0}. Then {1}. Last, {2}.", "Could you {0}, after that {1}, and then {2}?",
        "Three things: {0}, {1}, and {2}.", "Can you {0} and {1}? When you have that, {2}.",
        "I'd like you to {0}; next, {1}; and in the end {2}.",
        "Start like this: {0}. Next, {1}, and {2}."),
    4: ("Please {0}, then {1}, then {2}, and finally {3}.",
        "First {0} and {1}. After that, {2} and {3}.",
        "I need four things done: {0}, {1}, {2}, and {3}.", "Could you {0}, {1}, {2} and {3}?",
        "Can you {0}? Next {1}, then {2}, and at the end {3}.",
        "I'd like you to {0}; {1}; {2}; and {3}.",
        "Here is my list. One: {0}. Two: {1}. Three: {2}. Four: {3}."),
}
