"""Wording for travel: finding and booking flights and hotels."""

from toolbox.wording.samples import PEOPLE
from toolbox.world.geography import CITIES
from toolbox.world.travel import FLIGHTS, HOTELS

ASK = {
    "search_flights": (
        "Which flights go from {origin} to {destination}?",
        "Find me a flight from {origin} to {destination}.",
        "How can I fly from {origin} to {destination}, and for how much?",
        "Flights {origin} to {destination}, please.",
        "I need to get from {origin} to {destination} by plane.",
        "Who flies between {origin} and {destination}?",
        "I'm in {origin} and want to be in {destination} soon. Show me the planes.",
        "What does it cost to fly to {destination} from {origin}?",
        "Is there any air connection from {origin} to {destination}?"),
    "search_flights_by_price": (
        "Where can I fly from {origin} for at most {max_price}?",
        "What are the cheapest flights out of {origin}, up to {max_price}?",
        "I have {max_price} to spend and start in {origin}. Which flights are within reach?",
        "Cheap flights leaving {origin}, {max_price} at most, please.",
        "From {origin}, where does a budget of {max_price} take me by plane?",
        "My limit is {max_price}. Show me cheap departures from {origin}.",
        "Anywhere will do: a flight from {origin} for no more than {max_price}.",
        "Which destinations from {origin} cost less than {max_price} by air?"),
    "get_flight": (
        "When does flight {flight_id} leave?", "Where does flight {flight_id} go?",
        "Route and departure time of {flight_id}, please.",
        "From which city does flight {flight_id} start?",
        "My ticket says {flight_id}. At what hour do I take off, and for where?",
        "Look up the route of {flight_id}.", "What time is take-off for flight {flight_id}?",
        "Tell me the origin and destination of {flight_id}."),
    "get_flight_status": (
        "Is flight {flight_id} on time?", "Which gate does flight {flight_id} board at?",
        "Is {flight_id} delayed?", "Status of flight {flight_id}, please.",
        "I'm at the airport for {flight_id}. To which gate do I go?",
        "Does flight {flight_id} have a delay?", "Gate and punctuality of {flight_id}?",
        "Do I have to hurry, or is {flight_id} late?"),
    "book_flight": (
        "Get a seat on flight {flight_id} for {passenger}.",
        "I want to be on flight {flight_id}. My name is {passenger}.",
        "Please buy a plane ticket on {flight_id} for {passenger}.",
        "Plane ticket: {flight_id}, name {passenger}.",
        "Can you reserve flight {flight_id} in the name of {passenger}?",
        "{passenger} will take flight {flight_id}. Make the reservation.",
        "Put {passenger} on the plane {flight_id}.",
        "Issue the ticket for flight {flight_id} to {passenger}."),
    "search_hotels": (
        "Which hotels are there in {city}?", "Find me a hotel in {city}.",
        "Where can I stay in {city}?", "Hotels in {city}, please.",
        "I need a bed in {city} for a few nights. What do you have?",
        "What does a hotel in {city} cost?", "Show me accommodation in {city}.",
        "I'm looking for somewhere to sleep in {city}."),
    "book_hotel": (
        "Reserve a room in hotel {hotel_id} for {guest}, {nights} nights.",
        "I'd like to stay {nights} nights at {hotel_id}. The guest is {guest}.",
        "Get {guest} a room at hotel {hotel_id} for {nights} nights.",
        "Room wanted: {hotel_id}, {nights} nights, name {guest}.",
        "Can {guest} have {nights} nights in the hotel {hotel_id}? Please arrange it.",
        "{guest} will spend {nights} nights at {hotel_id}. Make the reservation.",
        "For {nights} nights, put {guest} up in hotel {hotel_id}.",
        "Arrange a stay of {nights} nights for {guest} in {hotel_id}."),
}
DO = {
    "search_flights": (
        "look for flights from {origin} to {destination}",
        "find a plane from {origin} to {destination}",
        "see who flies from {origin} to {destination}",
        "search for an air connection to {destination} from {origin}"),
    "search_flights_by_price": (
        "find the cheapest flights from {origin} up to a price of {max_price}",
        "see where one can fly from {origin} for at most {max_price}",
        "look for cheap departures from {origin} within a limit of {max_price}",
        "search for flights that leave {origin} and cost no more than {max_price}"),
    "get_flight": (
        "look up the departure time of {flight_id}", "find out where {flight_id} flies to",
        "check the route of {flight_id}", "tell me when {flight_id} takes off and for where"),
    "get_flight_status": (
        "check whether {flight_id} is on time", "find out at which gate {flight_id} boards",
        "see if {flight_id} is delayed", "look up the gate for {flight_id}"),
    "book_flight": (
        "buy a plane ticket on {flight_id} for {passenger}",
        "reserve a seat aboard {flight_id} in the name of {passenger}",
        "put {passenger} on {flight_id} as a passenger",
        "get {passenger} a seat on board of {flight_id}"),
    "search_hotels": (
        "look for hotels in {city}", "find somewhere to stay in {city}",
        "search for accommodation in {city}", "see which hotels there are in {city}"),
    "book_hotel": (
        "reserve a room in {hotel_id} for {guest} for {nights} nights",
        "get {guest} a room at {hotel_id} for {nights} nights",
        "put {guest} up in {hotel_id} for {nights} nights",
        "arrange a stay of {nights} nights at {hotel_id} for {guest}"),
}
TELL = {
    "search_flights": (
        "{flights.0.airline} flies there with {flights.0.flight_id} for {flights.0.price}.",
        "Take {flights.0.flight_id} of {flights.0.airline}; it costs {flights.0.price}."),
    "search_flights_by_price": (
        "The cheapest is {flights.0.flight_id} to {flights.0.destination} for {flights.0.price}.",
        "You could fly to {flights.0.destination} for {flights.0.price} with "
        "{flights.0.flight_id}."),
    "get_flight": (
        "Flight {flight_id} leaves {origin} for {destination} at {departure}.",
        "It goes from {origin} to {destination} at {departure}."),
    "get_flight_status": (
        "Flight {flight_id} is {status} and boards at gate {gate}.",
        "It is {status}; go to gate {gate}."),
    "book_flight": (
        "The flight is booked for {passenger} with code {booking_code}, at {total_price}.",
        "Booked: code {booking_code}, total {total_price}."),
    "search_hotels": (
        "In {city} there is the {hotels.0.hotel} ({hotels.0.hotel_id}) for {hotels.0.price} a "
        "night.",
        "The {hotels.0.hotel}, id {hotels.0.hotel_id}, costs {hotels.0.price} a night."),
    "book_hotel": (
        "The {hotel} is booked with code {booking_code}, for {total_price}.",
        "Your room in the {hotel} costs {total_price}; the code is {booking_code}."),
}
NONE = {
    "search_flights": ("There is no flight between them.", "I found no flight for that."),
    "search_flights_by_price": ("No flight is that cheap.", "I found no flight at that price."),
    "search_hotels": ("I found no such hotel in {city}.", "No hotel in {city} fits."),
}
EXTRA = {
    "book_flight.seats": (
        "The flight booking is for {seats} seats.", "We are {seats} people on that plane.",
        "Take {seats} seats on the flight."),
    "search_hotels.min_stars": (
        "The hotel should have at least {min_stars} stars.",
        "Nothing below {min_stars} stars, please.", "I want a hotel of {min_stars} stars or more."),
    "book_hotel.breakfast": (
        "Add breakfast to the room.", "The stay should include breakfast.",
        "With breakfast at the hotel, please."),
}
VALUES = {
    "origin": tuple(CITIES), "destination": tuple(CITIES), "city": tuple(CITIES),
    "max_price": range(100, 600, 10), "flight_id": tuple(FLIGHTS), "hotel_id": tuple(HOTELS),
    "passenger": PEOPLE, "guest": PEOPLE, "seats": range(2, 8), "min_stars": (2, 3, 4, 5),
    "nights": range(2, 15), "breakfast": (True,)}
