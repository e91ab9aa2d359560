"""Work on words and sentences."""

from toolbox.world import filled, several


def count_words(text: str) -> dict:
    """Count the words and characters of a text.

    text: text to count
    """
    text = filled(text, "text")
    return {"words": len(text.split()), "characters": len(text)}


def count_letter(text: str, letter: str) -> dict:
    """Count how often a letter occurs in a text.

    text: text to search
    letter: letter to count
    """
    letter = filled(letter, "letter", 1).lower()
    return {"letter": letter, "count": filled(text, "text").lower().count(letter)}


def reverse_text(text: str) -> dict:
    """Write a text backwards.

    text: text to reverse
    """
    text = filled(text, "text")
    return {"text": text[::-1], "is_palindrome": text.lower() == text.lower()[::-1]}


def sort_words(words: list[str], descending: bool = False) -> dict:
    """Sort words by the alphabet.

    words: words to sort
    descending: begin with the last one
    """
    words = [filled(word, "each word", 40) for word in several(words, "words")]
    return {"words": sorted(words, key=str.lower, reverse=bool(descending)), "count": len(words)}


def sort_words_by_length(words: list[str]) -> dict:
    """Sort words from the shortest to the longest.

    words: words to sort
    """
    words = [filled(word, "each word", 40) for word in several(words, "words")]
    return {"words": sorted(words, key=len), "longest": max(words, key=len)}


def make_acronym(text: str) -> dict:
    """Make an acronym from the first letters of a phrase.

    text: phrase to shorten
    """
    words = filled(text, "text").split()
    return {"acronym": "".join(word[0] for word in words).upper(), "words": len(words)}
