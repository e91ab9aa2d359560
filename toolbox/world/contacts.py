"""An address book and the messages one can send with it."""

from toolbox.world import Refusal, choose, code, filled, find, pick, several, table

CONTACTS = table(
    "name phone group birthday city",
    ("Anna Berg", "555-0101", "family", "1984-03-12", "Oslo"),
    ("Ben Carter", "555-0102", "work", "1979-11-30", "London"),
    ("Carla Rossi", "555-0103", "friends", "1991-07-08", "Rome"),
    ("David Kim", "555-0104", "work", "1988-01-21", "Seoul"),
    ("Elena Petrova", "555-0105", "friends", "1995-05-17", "Prague"),
    ("Farid Hassan", "555-0106", "work", "1982-09-03", "Cairo"),
    ("Grace Mwangi", "555-0107", "friends", "1990-12-11", "Nairobi"),
    ("Hiro Tanaka", "555-0108", "work", "1976-04-26", "Tokyo"),
    ("Ines Costa", "555-0109", "family", "2001-08-19", "Lisbon"),
    ("Jack Murphy", "555-0110", "friends", "1986-02-14", "Dublin"),
    ("Karin Lund", "555-0111", "family", "1958-06-05", "Bergen"),
    ("Luis Ortega", "555-0112", "work", "1993-10-23", "Mexico City"),
    ("Mia Novak", "555-0113", "friends", "1998-03-29", "Vienna"),
    ("Nils Holm", "555-0114", "family", "2005-01-07", "Stockholm"),
    ("Olivia Brown", "555-0115", "work", "1985-07-31", "Sydney"),
    ("Pierre Blanc", "555-0116", "friends", "1972-11-02", "Lyon"),
    ("Quinn Taylor", "555-0117", "work", "1996-09-15", "Toronto"),
    ("Rosa Vidal", "555-0118", "family", "1963-05-24", "Barcelona"),
    ("Samir Gupta", "555-0119", "work", "1987-12-01", "Mumbai"),
    ("Tara Wilson", "555-0120", "friends", "1999-04-09", "Edinburgh"),
)
GROUPS = ("family", "friends", "work")


def _email(name):
    return f"{name.lower().replace(' ', '.')}@mail.example"


def _checked(email):
    email = filled(email, "email", 60)
    if "@" not in email.strip("@") or " " in email:
        raise Refusal(f"'{email}' has no valid form of an address.")
    return email


def find_contact(name: str) -> dict:
    """Find the email address and phone number of a person.

    name: full name
    """
    row = find(CONTACTS, name, "contact")
    return {"name": row["name"], "email": _email(row["name"]), "phone": row["phone"]}


def find_contact_by_phone(phone: str) -> dict:
    """Find out who has a phone number.

    phone: number to look for
    """
    numbers = {row["phone"]: row for row in CONTACTS.values()}
    row = find(numbers, phone, "phone number")
    return {"name": row["name"], "email": _email(row["name"])}


def find_contact_address(name: str) -> dict:
    """Find the city in which a person lives.

    name: full name
    """
    return pick(find(CONTACTS, name, "contact"), "name city")


def list_contacts(group: str) -> dict:
    """List the people of a group.

    group: family, friends or work
    """
    group = choose(GROUPS, group, "group")
    names = [name for name, row in CONTACTS.items() if row["group"] == group]
    return {"group": group, "names": names}


def get_birthday(name: str) -> dict:
    """Get the birthday of a person.

    name: full name
    """
    return pick(find(CONTACTS, name, "contact"), "name birthday")


def send_message(email: str, text: str, urgent: bool = False) -> dict:
    """Send a message to an email address.

    email: address of the receiver
    text: what to say
    urgent: mark it as urgent
    """
    email = _checked(email)
    text = filled(text, "text")
    return {"sent_to": email, "receipt": code("R", email, text),
            "priority": "high" if urgent else "normal"}


def send_message_to_all(emails: list[str], text: str) -> dict:
    """Send the same message to several email addresses.

    emails: addresses of the receivers
    text: what to say
    """
    emails = [_checked(email) for email in several(emails, "emails")]
    text = filled(text, "text")
    return {"sent": len(emails), "receipt": code("R", emails, text)}
