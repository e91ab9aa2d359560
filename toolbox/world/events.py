"""Concerts, fairs and festivals: three in every city, all in one year."""

from datetime import date, timedelta

from toolbox.world import Refusal, choose, code, day, filled, find, keyed, pick, varied, whole
from toolbox.world.geography import CITIES

KINDS = ("concert", "exhibition", "festival", "marathon", "theatre", "fair")
NAMES = {"concert": ("Jazz Night", "Summer Concert", "Piano Evening"),
         "exhibition": ("Photo Show", "Modern Art", "Robot Expo"),
         "festival": ("Film Festival", "Food Festival", "Light Festival"),
         "marathon": ("City Run", "Night Run", "River Run"),
         "theatre": ("Hamlet", "The Tempest", "Comedy Gala"),
         "fair": ("Book Fair", "Winter Market", "Flower Fair")}


def _event(city, number):
    kind = KINDS[(varied(range(len(KINDS)), city) + number) % len(KINDS)]
    when = date(2026, 1, 1) + timedelta(days=varied(range(360), city, number))
    return {"event_id": f"E{100 + 3 * list(CITIES).index(city) + number}",
            "kind": kind, "city": city,
            "event": f"{city} {varied(NAMES[kind], city)}", "date": str(when),
            "price": varied(range(5, 95, 5), city, number),
            "seats_left": varied(range(2, 60), city, number)}


EVENTS = keyed("event_id", (_event(city, number) for city in CITIES for number in range(3)))


def search_events(city: str, kind: str = "") -> dict:
    """Search for events in a city.

    city: name of the city
    kind: such as concert, festival or fair
    """
    city = choose(CITIES, city, "city")
    kinds = [choose(KINDS, kind, "kind")] if kind else KINDS
    found = [event for event in EVENTS.values() if event["city"] == city and event["kind"] in kinds]
    return {"city": city, "events": [pick(event, "event_id event") for event in found]}


def search_events_by_date(start_date: str, end_date: str) -> dict:
    """Search for events anywhere between two dates.

    start_date: first date as YYYY-MM-DD
    end_date: last date as YYYY-MM-DD
    """
    start, end = str(day(start_date)), str(day(end_date))
    found = sorted((event["date"], key) for key, event in EVENTS.items()
                   if start <= event["date"] <= end)
    events = [pick(EVENTS[key], "event_id event date") for _, key in found[:4]]
    return {"total": len(found), "events": events}


def get_event(event_id: str) -> dict:
    """Get the name, place and date of an event.

    event_id: id of the event
    """
    return pick(find(EVENTS, event_id, "event id"), "event_id event city date")


def get_event_tickets(event_id: str) -> dict:
    """Get the price of an event's tickets and how many are left.

    event_id: id of the event
    """
    return pick(find(EVENTS, event_id, "event id"), "event_id price seats_left")


def book_event(event_id: str, visitor: str, seats: int = 1) -> dict:
    """Book seats at an event.

    event_id: id of the event
    visitor: name on the tickets
    seats: how many seats
    """
    event = find(EVENTS, event_id, "event id")
    visitor = filled(visitor, "visitor", 60)
    seats = whole(seats, 1, 20, "seats")
    if seats > event["seats_left"]:
        raise Refusal(f"Only {event['seats_left']} seats are left.")
    return {"booking_code": code("B", event["event_id"], visitor, seats), "event": event["event"],
            "total_price": seats * event["price"]}
