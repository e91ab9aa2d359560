"""Wording for geography: facts of a country or city, and what lies between two cities."""

from toolbox.world.geography import CITIES, COUNTRIES

ASK = {
    "get_country": (
        "What is the capital of {country}?", "Which language do people speak in {country}?",
        "What money do they use in {country}?",
        "Capital, language and currency of {country}, please.",
        "I'm going to {country}. Which currency do I need?",
        "Tell me the seat of government of {country}.",
        "Give me the basic facts about {country}, such as its capital.",
        "{country}: what's the capital, and what's spoken there?",
        "I need to know what they speak and what they pay with in {country}."),
    "get_country_population": (
        "How many people live in {country}?", "What's the population of {country}?",
        "Number of inhabitants of {country}?",
        "On which continent is {country}, and how many live there?",
        "I want to know how populous {country} is.", "How big is the population in {country}?",
        "Tell me how many inhabitants the country of {country} has.",
        "Count of residents in {country}, please."),
    "get_city": (
        "Which country is {city} in?", "What's the code of the airport of {city}?",
        "How many people live in the city of {city}?",
        "Tell me about {city}: country, airport, inhabitants.", "I need the airport of {city}.",
        "Basic facts on the city of {city}, please.",
        "How large is {city}, and where in the world is it?",
        "{city}, in which country does it lie?", "What airport serves {city}?"),
    "get_city_distance": (
        "How far is {city} from {other_city}?",
        "What's the distance between {city} and {other_city}?",
        "How many kilometers lie between {city} and {other_city}?",
        "Distance {city} to {other_city}?",
        "I wonder how many miles it is from {city} to {other_city}.",
        "Measure the way from {city} to {other_city} as the crow flies.",
        "Is it a long way from {city} to {other_city}?",
        "Work out how far apart {city} and {other_city} are."),
    "get_city_time_difference": (
        "What's the time difference between {city} and {other_city}?",
        "I live in {city}. How many hours ahead is {other_city}?",
        "Seen from {city}, how far ahead are the clocks in {other_city}?",
        "How many hours apart are {city} and {other_city}?",
        "Time gap from {city} to {other_city}?",
        "By how many hours do I change my watch when going from {city} to {other_city}?",
        "I'm in {city} and want to phone {other_city}. What's the difference on the clock?",
        "Compare the clocks of {city} and {other_city} for me.",
        "When it's noon in {city}, how many hours later or earlier is it in {other_city}?"),
    "list_cities": (
        "Which cities do you know in {country}?", "Name the cities in {country}.",
        "What cities are there in {country}?", "Give me a list of cities in {country}.",
        "I'm touring {country}. Which cities could I visit?", "Cities in {country}, please.",
        "Show every city you have for {country}.", "Which towns of {country} are on your list?"),
}
DO = {
    "get_country": (
        "look up the capital of {country}", "find out which language is spoken in {country}",
        "tell me what currency is used in {country}",
        "find the capital and the currency of {country}"),
    "get_country_population": (
        "find out how many people live in {country}", "look up the population of {country}",
        "check how many inhabitants {country} has",
        "tell me on which continent {country} is and how populous"),
    "get_city": (
        "look up which country {city} is in", "find the airport of {city}",
        "find out the country and airport of {city}", "tell me the basic facts about {city}"),
    "get_city_distance": (
        "work out how far {city} is from {other_city}",
        "find the distance between {city} and {other_city}",
        "measure how many kilometers lie between {city} and {other_city}",
        "tell me how many miles it is from {city} to {other_city}"),
    "get_city_time_difference": (
        "find out how many hours {other_city} is ahead of {city}",
        "check the time difference between {city} and {other_city}",
        "compare the clocks of {city} and {other_city}",
        "see by how many hours the time in {other_city} differs from {city}"),
    "list_cities": (
        "list the cities in {country}", "name the cities you know in {country}",
        "show which cities there are in {country}", "find cities in {country}"),
}
TELL = {
    "get_country": (
        "The capital of {country} is {capital}; people speak {language} and pay in "
        "{currency_code}.",
        "{country}: capital {capital}, language {language}, currency {currency_code}."),
    "get_country_population": (
        "{population} people live in {country}, which is in {continent}.",
        "{country} in {continent} has a population of {population}."),
    "get_city": (
        "{city} is in {country}; it has {population} inhabitants and the airport {airport}.",
        "{city}, {country}: {population} people, airport {airport}."),
    "get_city_distance": (
        "{city} and {other_city} are {kilometers} kilometers, or {miles} miles, apart.",
        "The distance is {kilometers} kilometers ({miles} miles)."),
    "get_city_time_difference": (
        "From {city} to {other_city} the clock changes by {hours_ahead} hours.",
        "Seen from {city}, the difference to {other_city} is {hours_ahead} hours."),
    "list_cities": ("I know these cities in {country}: {cities}.",
                    "Cities in {country}: {cities}."),
}
EXTRA = {}
VALUES = {"city": tuple(CITIES), "other_city": tuple(CITIES), "country": tuple(COUNTRIES)}
