"""Courses at a college, and a small dictionary."""

from statistics import fmean

from toolbox.world import between, choose, code, find, pick, several, table, tidy, varied
from toolbox.world.weather import DAYS

COURSES = table(
    "course_id course subject level teacher fee",
    ("C1", "Algebra I", "mathematics", "beginner", "Ms. Reed", 120),
    ("C2", "Statistics", "mathematics", "advanced", "Mr. Osei", 180),
    ("C3", "Norwegian A1", "languages", "beginner", "Ms. Dahl", 150),
    ("C4", "Business Spanish", "languages", "advanced", "Mr. Ruiz", 210),
    ("C5", "Drawing Basics", "art", "beginner", "Ms. Varga", 95),
    ("C6", "Oil Painting", "art", "advanced", "Mr. Conti", 230),
    ("C7", "Python for All", "computing", "beginner", "Ms. Iyer", 160),
    ("C8", "Compilers", "computing", "advanced", "Mr. Stone", 260),
    ("C9", "World History", "history", "beginner", "Mr. Abel", 110),
    ("C10", "Medieval Trade", "history", "advanced", "Ms. Brandt", 190),
    ("C11", "Guitar Group", "music", "beginner", "Mr. Lopes", 140),
    ("C12", "Harmony", "music", "advanced", "Ms. Sato", 200),
)
WORDS = table(
    "word definition synonym",
    ("brisk", "quick and full of energy", "lively"), ("candid", "open and honest", "frank"),
    ("frugal", "careful with money", "thrifty"), ("serene", "calm and at peace", "tranquil"),
    ("vivid", "bright and strong in color", "intense"), ("weary", "very tired", "exhausted"),
    ("humble", "not proud", "modest"), ("keen", "eager to do something", "eager"),
    ("fragile", "easy to break", "delicate"), ("ample", "more than enough", "plentiful"),
    ("novel", "new and unusual", "original"), ("obscure", "hard to see or know", "unclear"),
)
SUBJECTS = tuple(dict.fromkeys(row["subject"] for row in COURSES.values()))
LEVELS = ("beginner", "advanced")


def search_courses(subject: str, level: str = "") -> dict:
    """Search for courses on a subject.

    subject: such as languages, art or computing
    level: beginner or advanced
    """
    subject = choose(SUBJECTS, subject, "subject")
    levels = [choose(LEVELS, level, "level")] if level else LEVELS
    found = [row for row in COURSES.values()
             if row["subject"] == subject and row["level"] in levels]
    return {"subject": subject, "courses": [pick(row, "course_id course") for row in found]}


def get_course(course_id: str) -> dict:
    """Get the teacher, level and fee of a course.

    course_id: id of the course
    """
    return pick(find(COURSES, course_id, "course id"), "course teacher level fee")


def get_course_schedule(course_id: str) -> dict:
    """Get when and where a course takes place.

    course_id: id of the course
    """
    row = find(COURSES, course_id, "course id")
    return {"course": row["course"], "day": varied(DAYS[:5], row["course_id"]),
            "time": f"{varied(range(9, 19), row['course_id'])}:00",
            "room": code("K", row["course_id"])[:4]}


def calculate_grade(points: list[int], max_points: int = 100) -> dict:
    """Calculate the grade for the points of several exams.

    points: points of each exam
    max_points: most points in one exam
    """
    most = between(max_points, 1, 1000, "max_points")
    checked = [between(exam, 0, most, "points") for exam in several(points, "points")]
    share = 100 * fmean(checked) / most
    grade = "A" if share >= 90 else "B" if share >= 75 else "C" if share >= 60 else "D"
    return {"percent": tidy(share, 1), "grade": grade}


def get_word_definition(word: str) -> dict:
    """Get the meaning of a word.

    word: word to explain
    """
    return pick(find(WORDS, word, "word"), "word definition")


def get_word_synonym(word: str) -> dict:
    """Get a word that means the same as another.

    word: word to replace
    """
    return pick(find(WORDS, word, "word"), "word synonym")
