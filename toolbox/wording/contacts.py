"""Wording for contacts: who is who in the address book, and short messages, in title case."""

from toolbox.wording.samples import some
from toolbox.world.contacts import CONTACTS, GROUPS, find_contact

ASK = {
    "find_contact": (
        "What's the email address of {name}?", "How can I reach {name}?",
        "Phone number of {name}, please.", "I need to call {name}. What number do I dial?",
        "Look up {name} in my address book.", "Give me the contact details of {name}.",
        "Do we have an email for {name}?", "Under which number do I get hold of {name}?"),
    "find_contact_by_phone": (
        "Who has the phone number {phone}?", "Whose number is {phone}?",
        "I missed a call from {phone}. Who was it?", "Owner of {phone}, please.",
        "Someone rang me from {phone}; tell me who that is.",
        "Which of my contacts uses the number {phone}?", "Identify the caller {phone}.",
        "Do you know who is behind {phone}?"),
    "find_contact_address": (
        "Where does {name} live?", "In which city is {name} at home?",
        "Home town of {name}, please.", "I want to visit {name}. To what city do I have to go?",
        "Which city should I put on a letter to {name}?", "Tell me where {name} has a home.",
        "What's the place of residence of {name}?", "{name} moved, I think. Which city is it now?"),
    "list_contacts": (
        "Which people are in the group {group}?", "List everyone in my {group} group.",
        "Who belongs to {group} in my address book?", "Names in the group {group}, please.",
        "I'm making invitations. Whom do I have under {group}?",
        "Show me all contacts filed under {group}.", "Who is in {group}?",
        "Read me the members of my contact group {group}."),
    "get_birthday": (
        "When was {name} born?", "When is the birthday of {name}?",
        "Date of birth of {name}, please.", "I want to congratulate {name}. On what day?",
        "How old is {name}? Look up the date of birth.",
        "When do I have to buy a present for the birthday of {name}?",
        "On which date does {name} turn a year older?",
        "Tell me the day on which {name} was born."),
    "send_message": (
        'Write "{text}" to {email}.', 'Email {email} and say "{text}".',
        'Send "{text}" to {email}, please.', 'Let {email} know: "{text}".',
        'I want {email} to read this: "{text}".', 'Drop a line to {email} saying "{text}".',
        'Message for {email}: "{text}".', 'Could you tell {email} "{text}"?',
        'Deliver the words "{text}" to the address {email}.'),
    "send_message_to_all": (
        'Write "{text}" to all of {emails}.', 'Send the same lines, "{text}", to {emails}.',
        'Let everyone at {emails} know: "{text}".', 'Round mail to {emails}: "{text}".',
        'Email "{text}" to each of {emails}.',
        'I want all of these people, {emails}, to read "{text}".',
        'Tell the whole list {emails} this: "{text}".',
        'One text for several people, {emails}, please: "{text}".'),
}
DO = {
    "find_contact": (
        "look up the email address of {name}", "find the phone number of {name}",
        "get the contact details of {name}", "see how {name} can be reached"),
    "find_contact_by_phone": (
        "find out whose number {phone} is", "look up who called from {phone}",
        "identify the person behind {phone}", "check which of my contacts belongs to {phone}"),
    "find_contact_address": (
        "find out where {name} lives", "look up the city in which {name} is at home",
        "check which city {name} lives in", "tell me the home town of {name}"),
    "list_contacts": (
        "list everyone I have under {group}", "find out who belongs to {group} in my address book",
        "show the people filed under {group}", "name all contacts in {group}"),
    "get_birthday": (
        "find out when {name} was born", "look up the date of birth of {name}",
        "check when {name} has a birthday", "tell me on which day {name} was born"),
    "send_message": (
        "write {text} to {email}", "send {text} to {email}", "email {text} to {email}",
        "drop {email} a line saying {text}"),
    "send_message_to_all": (
        "write {text} to all of {emails}", "send {text} to each of {emails}",
        "email {text} to the whole list {emails}", "let everyone at {emails} know {text}"),
}
TELL = {
    "find_contact": (
        "{name} has the email {email} and the phone number {phone}.",
        "You reach {name} at {email} or {phone}."),
    "find_contact_by_phone": (
        "The number belongs to {name}, whose email is {email}.", "That is {name} ({email})."),
    "find_contact_address": ("{name} lives in {city}.", "The home of {name} is in {city}."),
    "list_contacts": ("In {group} there are {names}.", "Your {group} contacts are {names}."),
    "get_birthday": ("{name} was born on {birthday}.", "The birthday of {name} is {birthday}."),
    "send_message": (
        "The message was sent to {sent_to}, receipt {receipt}.",
        "Sent to {sent_to} with {priority} priority; the receipt is {receipt}."),
    "send_message_to_all": (
        "The message went to {sent} people; the receipt is {receipt}.",
        "Sent to {sent} addresses, receipt {receipt}."),
}
EXTRA = {
    "send_message.urgent": (
        "Mark the message as urgent.", "The message is urgent.", "It is an urgent message."),
}
_EMAILS = tuple(find_contact(name)["email"] for name in CONTACTS)
VALUES = {
    "name": tuple(CONTACTS), "phone": tuple(row["phone"] for row in CONTACTS.values()),
    "group": GROUPS,
    "email": _EMAILS, "emails": some(_EMAILS), "urgent": (True,),
    "text": (
        "Happy Birthday", "Meeting Moved to Monday", "See You at Noon", "Running Late",
        "Call Me Back", "Dinner at Eight", "The Report Is Ready", "Train Delayed", "Bring the Keys",
        "Thanks for the Book", "Lunch on Friday", "Welcome to the Team", "Please Confirm",
        "Good Luck Today", "The Parcel Arrived", "New Office Address", "Game Night Cancelled",
        "Invoice Paid", "Door Code Changed", "Get Well Soon", "Concert Tickets Booked", "I Am Home",
        "Congratulations on the Job", "Rehearsal at Seven", "Lost My Phone", "Water the Plants")}
