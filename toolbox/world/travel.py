"""Flights, one from every city to every other, and two hotels in each."""

from itertools import permutations

from toolbox.world import between, choose, code, filled, find, keyed, pick, varied, whole
from toolbox.world.geography import CITIES

AIRLINES = ("Northwind", "Skylark", "Meridian", "Bluebird", "Albatross")
HOTELS_OF_A_CITY = ("Grand", "Park", "Central", "Harbour", "Garden", "Station", "Royal", "Old Town")


def _flight(number, origin, destination):
    airline = varied(AIRLINES, origin, destination)
    hour = varied(range(6, 23), origin, destination)
    minute = varied((0, 15, 30, 45), destination, origin)
    delay = varied((0, 0, 0, 15, 40, 90), origin, destination)
    return {"flight_id": f"{airline[:2].upper()}{1000 + number}", "airline": airline,
            "origin": origin, "destination": destination, "departure": f"{hour:02}:{minute:02}",
            "price": varied(range(60, 900, 10), origin, destination),
            "status": f"delayed by {delay} minutes" if delay else "on time",
            "gate": code("G", origin, destination)[:3]}


def _hotel(number, city, name):
    return {"hotel_id": f"H{100 + number}", "hotel": f"{name} Hotel {city}", "city": city,
            "stars": varied(range(2, 6), city, name),
            "price": varied(range(50, 320, 5), city, name)}


FLIGHTS = keyed("flight_id", (
    _flight(number, *cities) for number, cities in enumerate(permutations(CITIES, 2))))
CITIES_TWICE = [city for city in CITIES for _ in range(2)]
HOTELS = keyed("hotel_id", (
    _hotel(number, city, HOTELS_OF_A_CITY[(number + number // 8) % 8])
    for number, city in enumerate(CITIES_TWICE)))


def search_flights(origin: str, destination: str) -> dict:
    """Search for flights between two cities.

    origin: city to leave from
    destination: city to fly to
    """
    origin, destination = choose(CITIES, origin, "city"), choose(CITIES, destination, "city")
    found = [row for row in FLIGHTS.values()
             if row["origin"] == origin and row["destination"] == destination]
    return {"flights": [pick(row, "flight_id airline price") for row in found]}


def search_flights_by_price(origin: str, max_price: int) -> dict:
    """Search for the cheapest flights that leave from a city.

    origin: city to leave from
    max_price: most that a seat may cost
    """
    origin = choose(CITIES, origin, "city")
    between(max_price, 0, 10**6, "max_price")
    found = sorted((row["price"], key) for key, row in FLIGHTS.items()
                   if row["origin"] == origin and row["price"] <= max_price)
    return {"flights": [pick(FLIGHTS[key], "flight_id destination price") for _, key in found[:3]]}


def get_flight(flight_id: str) -> dict:
    """Get the route and departure time of a flight.

    flight_id: id of the flight
    """
    return pick(find(FLIGHTS, flight_id, "flight id"), "flight_id origin destination departure")


def get_flight_status(flight_id: str) -> dict:
    """Get whether a flight is on time and where it boards.

    flight_id: id of the flight
    """
    return pick(find(FLIGHTS, flight_id, "flight id"), "flight_id status gate")


def book_flight(flight_id: str, passenger: str, seats: int = 1) -> dict:
    """Book seats on a flight.

    flight_id: id of the flight
    passenger: name on the ticket
    seats: how many seats
    """
    row = find(FLIGHTS, flight_id, "flight id")
    passenger = filled(passenger, "passenger", 60)
    seats = whole(seats, 1, 9, "seats")
    return {"booking_code": code("F", row["flight_id"], passenger, seats), "passenger": passenger,
            "total_price": seats * row["price"]}


def search_hotels(city: str, min_stars: int = 1) -> dict:
    """Search for hotels in a city.

    city: name of the city
    min_stars: least number of stars
    """
    city = choose(CITIES, city, "city")
    between(min_stars, 1, 5, "min_stars")
    found = [row for row in HOTELS.values() if row["city"] == city and row["stars"] >= min_stars]
    return {"city": city, "hotels": [pick(row, "hotel_id hotel price") for row in found]}


def book_hotel(hotel_id: str, guest: str, nights: int, breakfast: bool = False) -> dict:
    """Book a room in a hotel.

    hotel_id: id of the hotel
    guest: name of the guest
    nights: how many nights
    breakfast: add breakfast for 12 a night
    """
    row = find(HOTELS, hotel_id, "hotel id")
    guest = filled(guest, "guest", 60)
    nights = whole(nights, 1, 60, "nights")
    return {"booking_code": code("H", row["hotel_id"], guest, nights), "hotel": row["hotel"],
            "total_price": nights * (row["price"] + (12 if breakfast else 0))}
