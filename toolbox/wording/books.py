"""Wording for the library: books by subject or author, copies at a branch, reservations."""

from toolbox.wording.samples import PEOPLE
from toolbox.world.books import AUTHORS, BOOKS, BRANCHES, SUBJECTS, get_book_copies

ASK = {
    "search_books": (
        "Which books on {subject} does the library have?",
        "I'd like to read something about {subject}.", "What is there to read on {subject}?",
        "Books on {subject}, please.", "Find me a book about {subject}.",
        "I'm looking for {subject} books.", "Show me the {subject} shelf of the library.",
        "Recommend some {subject} reading."),
    "search_books_by_author": (
        "Which books did {author} write?", "What has {author} published as a book?",
        "Books by {author}, please.",
        "I like how {author} writes novels. What else is in the library?",
        "Show me the works of the writer {author}.",
        "Does the library have anything from the pen of {author}?",
        "Find the books whose author is {author}.",
        "{author} is an author I like. Name the titles."),
    "get_book": (
        "Who wrote the book {title}?", "In which year was the book {title} published?",
        "What's the library id of {title}?", "Book {title}: author and year, please.",
        "I'm reading {title}. Who is the author?", "Look up the book {title}.",
        "When did the book {title} appear, and who wrote it?", "I need the book id of {title}."),
    "get_book_copies": (
        "Is book {book_id} on the shelf at the {branch} branch?",
        "How many copies of {book_id} are at the {branch} branch?",
        "Copies of book {book_id} at {branch}, please.",
        "I'm going to the {branch} branch. Will I find book {book_id} there?",
        "Does the library at {branch} have {book_id} in?",
        "Can one borrow {book_id} from {branch} right away? Check the shelf.",
        "Count the copies of {book_id} in the {branch} library.",
        "At {branch}, is there a copy of book {book_id}?"),
    "reserve_book": (
        "Put book {book_id} aside for {member} at the {branch} branch.",
        "{member} would like to have {book_id} kept at {branch}.",
        "Hold {book_id} at the {branch} library; the reader is {member}.",
        "Library hold at {branch}: {book_id}, name {member}.",
        "I'm {member}. Keep book {book_id} for me at the {branch} branch.",
        "Can {branch} set {book_id} aside for {member}? Please arrange it.",
        "Make a reservation of {book_id} in the name of {member} at {branch}.",
        "Have the {branch} branch keep {book_id} for {member}."),
}
DO = {
    "search_books": (
        "look for books on {subject}", "find something to read about {subject}",
        "search the library for {subject}", "see which books there are on {subject}"),
    "search_books_by_author": (
        "find the books that {author} wrote", "look up the books by {author}",
        "list the works of {author} in the library", "see which books are from {author}"),
    "get_book": (
        "look up the book id of {title}", "find out who wrote {title}",
        "check in which year {title} was published", "tell me the author of {title}"),
    "get_book_copies": (
        "check how many copies of {book_id} are at {branch}",
        "see whether {book_id} is on the shelf at {branch}",
        "find out if {branch} has a copy of {book_id}",
        "count the copies of {book_id} in the library at {branch}"),
    "reserve_book": (
        "have {book_id} put aside for {member} at {branch}",
        "make a library reservation of {book_id} at {branch} for {member}",
        "ask {branch} to hold {book_id} for {member}",
        "set {book_id} aside at {branch} in the name of {member}"),
}
TELL = {
    "search_books": (
        "There is {books.0.book} ({books.0.book_id}).",
        "On {subject} I found {books.0.book} ({books.0.book_id}) and {books.1.book} "
        "({books.1.book_id})."),
    "search_books_by_author": (
        "{author} wrote {books.0.book} ({books.0.book_id}) in {books.0.year}.",
        "Books by {author} are {books.0.book} ({books.0.year}) and {books.1.book} "
        "({books.1.year})."),
    "get_book": (
        "{book} ({book_id}) is by {author}, from {year}.",
        "{author} wrote {book} in {year}; its id is {book_id}."),
    "get_book_copies": (
        "{branch} has {copies} copies of {book} on the shelf.",
        "There are {copies} copies of {book} at {branch}."),
    "reserve_book": (
        "{book} is reserved with number {reservation}; it is on the {shelf} shelf.",
        "Your reservation {reservation} for {book} is made."),
}
NONE = {
    "search_books": ("I found no such book on {subject}.",
                     "The library has no {subject} book like that."),
}
EXTRA = {
    "search_books.newer_than": (
        "Only books from after {newer_than}.", "The books should be newer than {newer_than}.",
        "Nothing from {newer_than} or before, please."),
}


def _every_branch_has(book_id):
    return all(get_book_copies(book_id, branch)["copies"] for branch in BRANCHES)


VALUES = {
    "subject": SUBJECTS, "newer_than": range(1975, 2016), "author": AUTHORS,
    "title": tuple(row["book"] for row in BOOKS.values()), "book_id": tuple(BOOKS),
    "branch": BRANCHES,
    "reserve_book.book_id": tuple(key for key in BOOKS if _every_branch_has(key)),
    "member": PEOPLE}
