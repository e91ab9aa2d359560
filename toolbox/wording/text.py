"""Wording for text: counting, turning and sorting words.

The texts are in title case, so that a reader sees where a text begins and ends.
"""

from toolbox.wording.samples import some

ASK = {
    "count_words": (
        'How many words are in "{text}"?', 'Count the words of "{text}".',
        'What\'s the number of words and characters in "{text}"?',
        'Word count of "{text}", please.', 'How long is the phrase "{text}", in words?',
        'I need to know how many characters "{text}" has.',
        'Tell me the length of this text: "{text}".',
        'My heading reads "{text}". How many words is that?'),
    "count_letter": (
        'How many times does the letter {letter} occur in "{text}"?',
        'Count every {letter} in "{text}".',
        'How often do you see the letter {letter} in "{text}"?',
        'Letter {letter} in "{text}": how many?',
        'I want to know how often {letter} appears as a letter of "{text}".',
        'Look through "{text}" and count the letter {letter}.',
        'In "{text}", what\'s the number of times {letter} is used?',
        'Does "{text}" have the letter {letter} more than once? Give me the number.'),
    "reverse_text": (
        'What is "{text}" spelled backwards?', 'Write "{text}" from back to front.',
        'Turn "{text}" around, letter by letter.', '"{text}" backwards, please.',
        'Is "{text}" a palindrome?', 'I want to read "{text}" from right to left.',
        'Flip the letters of "{text}".', 'Give me the mirror writing of "{text}".'),
    "sort_words": (
        "Put {words} in alphabetical order.", "How do {words} go in the alphabet?",
        "Alphabetize {words}.", "Order {words} alphabetically, please.",
        "I need {words} arranged by the alphabet.", "Which order do {words} have in a dictionary?",
        "Arrange these by their first letters: {words}.",
        "What is the alphabetical order of {words}?"),
    "sort_words_by_length": (
        "Put {words} in order of length.", "Which is the longest of {words}? Order them by length.",
        "Arrange {words} from shortest to longest.", "{words}: shortest first, please.",
        "I need {words} ordered by how many letters they have.", "Line up {words} by word length.",
        "From short to long, how do {words} go?", "Rank {words} by their number of letters."),
    "make_acronym": (
        'What acronym does "{text}" make?', 'Shorten "{text}" to its first letters.',
        'Abbreviate "{text}" by its initials.', 'Initials of "{text}", please.',
        'Our club is called "{text}". What is it for short?', 'Build an acronym out of "{text}".',
        'Which letters stand for "{text}"?',
        'I need a short form of "{text}" made of first letters.'),
}
DO = {
    "count_words": (
        "count the words in {text}", "find out how many words {text} has",
        "check how many characters {text} has", "tell me the number of words in {text}"),
    "count_letter": (
        "count how often {letter} occurs as a letter in {text}",
        "find out how many times {letter} is a letter of {text}",
        "check how many letters in {text} are {letter}",
        "go through the letters of {text} and count {letter}"),
    "reverse_text": (
        "write {text} backwards", "spell {text} from back to front", "flip the letters of {text}",
        "check whether {text} is a palindrome"),
    "sort_words": (
        "put {words} in alphabetical order", "alphabetize {words}",
        "arrange {words} by the alphabet", "order {words} as a dictionary does"),
    "sort_words_by_length": (
        "put {words} in order of length", "arrange {words} from shortest to longest",
        "line up {words} by how long they are",
        "find the longest of {words} and order them by length"),
    "make_acronym": (
        "shorten {text} to its first letters", "build an acronym from {text}",
        "take the initials of {text}", "abbreviate {text} by its first letters"),
}
TELL = {
    "count_words": (
        "The text has {words} words and {characters} characters.",
        "It has {words} words, that is {characters} characters."),
    "count_letter": ("The letter {letter} occurs {count} times.",
                     "I count {letter} {count} times."),
    "reverse_text": (
        "Backwards it reads {text}; palindrome: {is_palindrome}.",
        "That gives {text}. Palindrome: {is_palindrome}."),
    "sort_words": ("In order: {words}.", "The sorted words are {words}."),
    "sort_words_by_length": (
        "From short to long: {words}, so {longest} is the longest.",
        "The order is {words}; the longest is {longest}."),
    "make_acronym": ("The acronym is {acronym}.", "Shortened, it is {acronym}."),
}
EXTRA = {
    "sort_words.descending": (
        "Begin with the last word in the alphabet.", "The order of the words should be descending.",
        "Go backwards through the alphabet.",
        "The words should go the other way round, Z before A."),
}
_FIRST = ("Quiet", "Green", "Bright", "Northern", "Old", "Golden", "Open", "Little", "United",
          "Modern", "Early", "Silver", "Wild", "Royal", "Grand", "Hidden")
_SECOND = ("Garden", "River", "Morning", "Winter", "Mountain", "Music", "Science", "City", "Ocean",
           "Paper", "Reading", "Bicycle", "Harbor", "Coffee", "Village", "Railway")
_THIRD = ("Club", "Society", "Project", "Festival", "Path", "Letters", "Network", "Story",
          "Workshop", "Museum")
_PALINDROMES = ("Level", "Never Odd Or Even", "Noon", "Rotator", "Step On No Pets")
_WORDS = ("apple", "river", "candle", "zebra", "umbrella", "bread", "mountain", "ink", "violin",
          "garden", "fox", "lantern", "oak", "telescope", "pepper", "island", "queen", "jacket",
          "harbor", "elephant", "sun", "notebook", "yarn", "dolphin", "kite", "wardrobe", "moss",
          "helicopter")


def _phrase(rng):
    parts = (_FIRST, _SECOND, _THIRD)[:rng.randint(2, 3)]
    return " ".join(rng.choice(words) for words in parts)


def _phrase_or_palindrome(rng):
    if rng.random() < 0.2:
        return rng.choice(_PALINDROMES)
    return _phrase(rng)


VALUES = {
    "text": _phrase, "letter": tuple("aeilnorst"), "words": some(_WORDS, 3, 5),
    "descending": (True,),
    "reverse_text.text": _phrase_or_palindrome,
}
