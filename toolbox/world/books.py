"""A library with three branches."""

from toolbox.world import Refusal, choose, code, filled, find, pick, table, varied, whole

BOOKS = table(
    "book_id book author year pages subject",
    ("B1", "The Salt Road", "Ingrid Solberg", 1998, 312, "history"),
    ("B2", "A Map of Rivers", "Ingrid Solberg", 2006, 268, "travel"),
    ("B3", "Numbers at Night", "Paul Okafor", 2012, 190, "science"),
    ("B4", "The Quiet Engine", "Paul Okafor", 2018, 344, "science"),
    ("B5", "House of Nine Doors", "Maya Lin", 2001, 421, "mystery"),
    ("B6", "The Tenth Door", "Maya Lin", 2004, 398, "mystery"),
    ("B7", "Islands of Fog", "Tomas Reyes", 1989, 233, "travel"),
    ("B8", "The Paper Crown", "Tomas Reyes", 1993, 287, "history"),
    ("B9", "Bread and Ashes", "Clara Weiss", 1976, 356, "history"),
    ("B10", "The Orchard Thief", "Clara Weiss", 1984, 302, "mystery"),
    ("B11", "How Birds Remember", "Amir Shah", 2020, 214, "science"),
    ("B12", "Letters to a Glacier", "Amir Shah", 2015, 176, "travel"),
    ("B13", "The Violin Case", "Ruth Ellison", 1967, 245, "mystery"),
    ("B14", "Streets without Names", "Ruth Ellison", 1972, 330, "travel"),
    ("B15", "The Copper King", "Nadia Haddad", 2009, 512, "history"),
    ("B16", "Light in Small Rooms", "Nadia Haddad", 2022, 288, "science"),
)
AUTHORS = tuple(dict.fromkeys(row["author"] for row in BOOKS.values()))
SUBJECTS = tuple(dict.fromkeys(row["subject"] for row in BOOKS.values()))
BRANCHES = ("Central", "Harbour", "University")


def _copies(book_id, branch):
    return varied(range(4), book_id, branch)


def search_books(subject: str, newer_than: int = 0) -> dict:
    """Search for books on a subject.

    subject: history, travel, science or mystery
    newer_than: only books after this year
    """
    subject = choose(SUBJECTS, subject, "subject")
    year = whole(newer_than, 0, 2100, "newer_than")
    found = [row for row in BOOKS.values() if row["subject"] == subject and row["year"] > year]
    return {"subject": subject, "books": [pick(row, "book_id book") for row in found]}


def search_books_by_author(author: str) -> dict:
    """Search for books by who wrote them.

    author: full name
    """
    author = choose(AUTHORS, author, "author")
    found = [row for row in BOOKS.values() if row["author"] == author]
    return {"author": author, "books": [pick(row, "book_id book year") for row in found]}


def get_book(title: str) -> dict:
    """Get the id, author and year of a book.

    title: title of the book
    """
    titles = {row["book"]: row for row in BOOKS.values()}
    return pick(find(titles, title, "book"), "book_id book author year")


def get_book_copies(book_id: str, branch: str) -> dict:
    """Get how many copies of a book are on the shelf of a branch.

    book_id: id of the book
    branch: Central, Harbour or University
    """
    row = find(BOOKS, book_id, "book id")
    branch = choose(BRANCHES, branch, "branch")
    return {"book": row["book"], "branch": branch, "copies": _copies(row["book_id"], branch)}


def reserve_book(book_id: str, branch: str, member: str) -> dict:
    """Reserve a book at a branch of the library.

    book_id: id of the book
    branch: Central, Harbour or University
    member: name of the reader
    """
    row = find(BOOKS, book_id, "book id")
    branch = choose(BRANCHES, branch, "branch")
    member = filled(member, "member", 60)
    if not _copies(row["book_id"], branch):
        raise Refusal(f"No copy of {row['book_id']} on the shelf at {branch}.")
    return {"reservation": code("L", row["book_id"], branch, member), "book": row["book"],
            "shelf": row["subject"]}
