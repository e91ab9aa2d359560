"""Wording for education: courses, grades, and a small dictionary."""

from toolbox.wording.samples import whole_numbers
from toolbox.world.education import COURSES, LEVELS, SUBJECTS, WORDS

ASK = {
    "search_courses": (
        "Which courses in {subject} can I take?",
        "I want to study {subject}. What does the college offer?",
        "What classes do you teach in {subject}?", "Courses in {subject}, please.",
        "Find me a class in {subject}.", "Is there a course in {subject} at the college?",
        "I'd love to learn something in {subject}. Which courses are there?",
        "Show the college programme for {subject}."),
    "get_course": (
        "Who teaches course {course_id}?", "How much is the fee for course {course_id}?",
        "What level is course {course_id}?", "Teacher and fee of course {course_id}, please.",
        "I might enrol in {course_id}. What does it cost, and who gives it?",
        "Is course {course_id} for beginners?",
        "Tell me about class {course_id}: level, fee, teacher.",
        "What would I pay for the class {course_id}?"),
    "get_course_schedule": (
        "When does course {course_id} take place?", "On which day is course {course_id} held?",
        "In what room is the class {course_id}?", "Time and room of course {course_id}, please.",
        "I'm enrolled in {course_id}. When and where must I be?",
        "At what hour does course {course_id} start?", "Timetable for course {course_id}?",
        "Which day of the week do I have class {course_id}?"),
    "calculate_grade": (
        "What grade do I get for exam points of {points}?",
        "My exams gave {points} points. What grade is that?", "Grade for {points}, please.",
        "I scored {points} in my tests. How good is that as a grade?",
        "Work out the mark for exams with {points} points.",
        "A pupil got {points} points in the exams. Which grade follows?",
        "With test results of {points}, what's the final grade?",
        "Turn the exam points {points} into a grade."),
    "get_word_definition": (
        "What does the word {word} mean?", "Define {word}.", 'Meaning of "{word}", please.',
        "I read the word {word} and don't understand it.", "Explain the word {word} to me.",
        "How would a dictionary define {word}?",
        "In what sense is {word} used? I don't know the word.", "What's the definition of {word}?"),
    "get_word_synonym": (
        "What's a synonym of {word}?", "Give me another word for {word}.",
        "Which word means the same as {word}?", 'Synonym for "{word}", please.',
        "I have used {word} too often in my essay. What could I write instead?",
        "Replace the word {word} by one of the same sense.", "What else can I say for {word}?",
        "Find a substitute for the word {word}."),
}
DO = {
    "search_courses": (
        "look for courses in {subject}", "find a class in {subject}",
        "see which courses the college has in {subject}",
        "search the college programme for {subject}"),
    "get_course": (
        "find out who teaches {course_id}", "look up the fee of {course_id}",
        "check what level {course_id} has", "tell me the teacher and the price of {course_id}"),
    "get_course_schedule": (
        "find out when {course_id} takes place", "look up the room and hour of {course_id}",
        "check on which day {course_id} is taught", "see the timetable of {course_id}"),
    "calculate_grade": (
        "work out the grade for exam points of {points}",
        "turn exam results of {points} into a grade",
        "find the final mark for {points} in the tests",
        "tell me which grade one gets for {points} in exams"),
    "get_word_definition": (
        "look up what {word} means", "define {word}",
        "find the meaning of {word} in the dictionary", "explain what is meant by {word}"),
    "get_word_synonym": (
        "find another word for {word}", "look up a synonym of {word}",
        "suggest a word that can replace {word}", "name a word with the same sense as {word}"),
}
TELL = {
    "search_courses": (
        "There is the course {courses.0.course} ({courses.0.course_id}).",
        "In {subject} you can take {courses.0.course} ({courses.0.course_id}) or "
        "{courses.1.course} "
        "({courses.1.course_id})."),
    "get_course": (
        "{course} is taught by {teacher} at {level} level for {fee}.",
        "{teacher} teaches {course}; the fee is {fee}."),
    "get_course_schedule": (
        "{course} is on {day} at {time} in room {room}.",
        "The class meets on {day} at {time}, room {room}."),
    "calculate_grade": (
        "The grade is {grade}, with {percent} percent.",
        "{percent} percent of the points give a {grade}."),
    "get_word_definition": ("The word {word} means {definition}.", "It means {definition}."),
    "get_word_synonym": ("A synonym of {word} is {synonym}.", "You can say {synonym} instead."),
}
NONE = {
    "search_courses": (
        "I found no such course in {subject}.", "The college has no {subject} course like that."),
}
EXTRA = {
    "search_courses.level": (
        "The level of the course should be {level}.", "I want a course at {level} level.",
        "My level is {level}."),
    "calculate_grade.max_points": (
        "Each exam has at most {max_points} points.",
        "The most one can get in one exam is {max_points} points.",
        "Full marks would be {max_points} points."),
}
VALUES = {
    "subject": SUBJECTS, "level": LEVELS, "course_id": tuple(COURSES), "word": tuple(WORDS),
    "points": whole_numbers(20, 100),
    "max_points": (110, 120, 125, 130, 140, 150, 160, 180, 200)}
