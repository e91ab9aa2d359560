"""Wording for events: search by city or by dates, facts, tickets, and the booking of seats."""

from toolbox.wording.samples import PEOPLE, dates
from toolbox.world.events import EVENTS, KINDS
from toolbox.world.geography import CITIES

ASK = {
    "search_events": (
        "What's on in {city}?", "Which events are there in {city}?",
        "Find something to go to in {city}.", "Events in {city}, please.",
        "I'm visiting {city} and want to go out. What is happening?",
        "Show me what {city} has to offer in the way of events.",
        "Is anything going on in {city} this year?", "What can one attend in {city}?"),
    "search_events_by_date": (
        "Which events take place between {start_date} and {end_date}?",
        "What's on anywhere from {start_date} to {end_date}?",
        "Events from {start_date} until {end_date}, please.",
        "I have time from {start_date} to {end_date}. What events fall into it, wherever they are?",
        "Show all events dated {start_date} to {end_date}.",
        "Is there any event after {start_date} and before {end_date}?",
        "How many events do you have for {start_date} through {end_date}?",
        "Between {start_date} and {end_date}, what can one attend?"),
    "get_event": (
        "When and where is event {event_id}?", "What is the event {event_id}?",
        "Details of {event_id}, the event, please.", "On which date does {event_id} take place?",
        "I have a flyer for {event_id}. What is it called, and where is it?",
        "In what city is the event with the id {event_id}?",
        "Look up {event_id} on the event list.", "Tell me the name and date of event {event_id}."),
    "get_event_tickets": (
        "What do tickets for event {event_id} cost?", "Are there any tickets left for {event_id}?",
        "Ticket price of event {event_id}, please.", "How many seats are still free at {event_id}?",
        "I'd like to go to event {event_id}. How much is the entry?",
        "Is {event_id} sold out, or are tickets left?",
        "How expensive is it to get into {event_id}?",
        "Check availability and price of tickets for {event_id}."),
    "book_event": (
        "Reserve a place at event {event_id} for {visitor}.",
        "I want a ticket for {event_id} in the name of {visitor}.",
        "Please get {visitor} into event {event_id}.",
        "Tickets for {event_id}, name {visitor}, please.",
        "Can you sign up {visitor} for the event {event_id}?",
        "{visitor} wants to attend {event_id}. Make the booking.",
        "Put {visitor} down for event {event_id}.", "Buy entry to {event_id} for {visitor}.",
        "Secure tickets to {event_id}; the visitor is {visitor}."),
}
DO = {
    "search_events": (
        "look for events in {city}", "find out what is on in {city}",
        "search for something to attend in {city}", "see which events take place in {city}"),
    "search_events_by_date": (
        "find the events between {start_date} and {end_date}",
        "search for events dated from {start_date} to {end_date}",
        "see what is on anywhere from {start_date} until {end_date}",
        "list what takes place between {start_date} and {end_date}"),
    "get_event": (
        "look up when and where {event_id} takes place",
        "find the name and date of {event_id} on the list of events",
        "check in which city {event_id} is held", "tell me what sort of occasion {event_id} is"),
    "get_event_tickets": (
        "find out what tickets for {event_id} cost",
        "check how many tickets are left for {event_id}", "look up the ticket price of {event_id}",
        "see whether {event_id} has tickets left"),
    "book_event": (
        "buy tickets for {event_id} in the name of {visitor}",
        "sign up {visitor} to attend {event_id}", "reserve seats at {event_id} for {visitor}",
        "get {visitor} into {event_id}"),
}
TELL = {
    "search_events": (
        "In {city} there is {events.0.event}, with id {events.0.event_id}.",
        "{events.0.event} ({events.0.event_id}) and {events.1.event} ({events.1.event_id}) are on "
        "in "
        "{city}."),
    "search_events_by_date": (
        "There are {total} events; the first is {events.0.event} on {events.0.date}.",
        "I found {total}, beginning with {events.0.event} ({events.0.event_id})."),
    "get_event": ("{event} takes place in {city} on {date}.",
                  "It is {event}, on {date} in {city}."),
    "get_event_tickets": (
        "A ticket costs {price}, and {seats_left} seats are left.",
        "{seats_left} tickets are left, at {price} each."),
    "book_event": (
        "{event} is booked, with code {booking_code}, for {total_price}.",
        "Done: booking {booking_code}, total {total_price}."),
}
NONE = {
    "search_events": ("I found no such event in {city}.", "Nothing of that kind is on in {city}."),
    "search_events_by_date": ("No event takes place in that time.",
                              "I found no events between those dates."),
}
EXTRA = {
    "search_events.kind": (
        "The kind of event I want is {kind}.", "It should be of the type {kind}.",
        "I'm after this sort of event only: {kind}."),
    "book_event.seats": (
        "The event booking is for {seats} seats.", "We need {seats} tickets for the event.",
        "Make it {seats} places at the event."),
}
VALUES = {
    "city": tuple(CITIES), "kind": KINDS, "start_date": dates(last="2026-06-30"),
    "end_date": dates(first="2026-07-01", last="2026-12-31"), "event_id": tuple(EVENTS),
    "visitor": PEOPLE,
    "seats": range(2, 7),
    "book_event.event_id": tuple(key for key, event in EVENTS.items() if event["seats_left"] >= 6)}
