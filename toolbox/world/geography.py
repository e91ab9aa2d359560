"""Cities and countries."""

from math import asin, cos, radians, sin, sqrt

from toolbox.world import find, pick, table, tidy

CITIES = table(
    "city country population airport utc_offset latitude longitude",
    ("Oslo", "Norway", 709000, "OSL", 1, 59.9, 10.8),
    ("Bergen", "Norway", 291000, "BGO", 1, 60.4, 5.3),
    ("Stockholm", "Sweden", 985000, "ARN", 1, 59.3, 18.1),
    ("Copenhagen", "Denmark", 660000, "CPH", 1, 55.7, 12.6),
    ("Helsinki", "Finland", 675000, "HEL", 2, 60.2, 24.9),
    ("Reykjavik", "Iceland", 140000, "KEF", 0, 64.1, -21.9),
    ("London", "United Kingdom", 8866000, "LHR", 0, 51.5, -0.1),
    ("Edinburgh", "United Kingdom", 514000, "EDI", 0, 56.0, -3.2),
    ("Dublin", "Ireland", 592000, "DUB", 0, 53.3, -6.3),
    ("Paris", "France", 2103000, "CDG", 1, 48.9, 2.4),
    ("Lyon", "France", 520000, "LYS", 1, 45.8, 4.8),
    ("Berlin", "Germany", 3677000, "BER", 1, 52.5, 13.4),
    ("Munich", "Germany", 1512000, "MUC", 1, 48.1, 11.6),
    ("Vienna", "Austria", 1982000, "VIE", 1, 48.2, 16.4),
    ("Zurich", "Switzerland", 427000, "ZRH", 1, 47.4, 8.5),
    ("Geneva", "Switzerland", 203000, "GVA", 1, 46.2, 6.1),
    ("Prague", "Czechia", 1357000, "PRG", 1, 50.1, 14.4),
    ("Warsaw", "Poland", 1863000, "WAW", 1, 52.2, 21.0),
    ("Madrid", "Spain", 3332000, "MAD", 1, 40.4, -3.7),
    ("Barcelona", "Spain", 1660000, "BCN", 1, 41.4, 2.2),
    ("Lisbon", "Portugal", 546000, "LIS", 0, 38.7, -9.1),
    ("Porto", "Portugal", 232000, "OPO", 0, 41.1, -8.6),
    ("Rome", "Italy", 2755000, "FCO", 1, 41.9, 12.5),
    ("Milan", "Italy", 1371000, "MXP", 1, 45.5, 9.2),
    ("Athens", "Greece", 643000, "ATH", 2, 38.0, 23.7),
    ("Cairo", "Egypt", 10203000, "CAI", 2, 30.0, 31.2),
    ("Nairobi", "Kenya", 4397000, "NBO", 3, -1.3, 36.8),
    ("Cape Town", "South Africa", 4773000, "CPT", 2, -33.9, 18.4),
    ("Mumbai", "India", 12442000, "BOM", 5.5, 19.1, 72.9),
    ("Delhi", "India", 16788000, "DEL", 5.5, 28.6, 77.2),
    ("Tokyo", "Japan", 14095000, "HND", 9, 35.7, 139.7),
    ("Osaka", "Japan", 2754000, "KIX", 9, 34.7, 135.5),
    ("Seoul", "South Korea", 9386000, "ICN", 9, 37.6, 127.0),
    ("Sydney", "Australia", 5451000, "SYD", 10, -33.9, 151.2),
    ("Toronto", "Canada", 2794000, "YYZ", -5, 43.7, -79.4),
    ("Vancouver", "Canada", 662000, "YVR", -8, 49.3, -123.1),
    ("Boston", "United States", 654000, "BOS", -5, 42.4, -71.1),
    ("Chicago", "United States", 2665000, "ORD", -6, 41.9, -87.6),
    ("Mexico City", "Mexico", 9209000, "MEX", -6, 19.4, -99.1),
    ("Lima", "Peru", 10092000, "LIM", -5, -12.0, -77.0),
)
COUNTRIES = table(
    "country capital currency_code language continent population",
    ("Norway", "Oslo", "NOK", "Norwegian", "Europe", 5500000),
    ("Sweden", "Stockholm", "SEK", "Swedish", "Europe", 10600000),
    ("Denmark", "Copenhagen", "DKK", "Danish", "Europe", 5900000),
    ("Finland", "Helsinki", "EUR", "Finnish", "Europe", 5600000),
    ("Iceland", "Reykjavik", "ISK", "Icelandic", "Europe", 390000),
    ("United Kingdom", "London", "GBP", "English", "Europe", 68300000),
    ("Ireland", "Dublin", "EUR", "English", "Europe", 5300000),
    ("France", "Paris", "EUR", "French", "Europe", 68200000),
    ("Germany", "Berlin", "EUR", "German", "Europe", 83300000),
    ("Austria", "Vienna", "EUR", "German", "Europe", 9130000),
    ("Switzerland", "Bern", "CHF", "German", "Europe", 8890000),
    ("Czechia", "Prague", "CZK", "Czech", "Europe", 10900000),
    ("Poland", "Warsaw", "PLN", "Polish", "Europe", 36700000),
    ("Spain", "Madrid", "EUR", "Spanish", "Europe", 48300000),
    ("Portugal", "Lisbon", "EUR", "Portuguese", "Europe", 10600000),
    ("Italy", "Rome", "EUR", "Italian", "Europe", 58800000),
    ("Greece", "Athens", "EUR", "Greek", "Europe", 10400000),
    ("Egypt", "Cairo", "EGP", "Arabic", "Africa", 112700000),
    ("Kenya", "Nairobi", "KES", "Swahili", "Africa", 55100000),
    ("South Africa", "Pretoria", "ZAR", "Zulu", "Africa", 60400000),
    ("India", "Delhi", "INR", "Hindi", "Asia", 1428600000),
    ("Japan", "Tokyo", "JPY", "Japanese", "Asia", 124500000),
    ("South Korea", "Seoul", "KRW", "Korean", "Asia", 51700000),
    ("Australia", "Canberra", "AUD", "English", "Oceania", 26600000),
    ("Canada", "Ottawa", "CAD", "English", "North America", 40100000),
    ("United States", "Washington", "USD", "English", "North America", 334900000),
    ("Mexico", "Mexico City", "MXN", "Spanish", "North America", 128500000),
    ("Peru", "Lima", "PEN", "Spanish", "South America", 34400000),
)
EARTH_RADIUS = 6371  # kilometers
KILOMETERS_PER_MILE = 1.609344


def get_country(country: str) -> dict:
    """Get the capital, currency and language of a country.

    country: name of the country
    """
    return pick(find(COUNTRIES, country, "country"), "country capital currency_code language")


def get_country_population(country: str) -> dict:
    """Get how many people live in a country.

    country: name of the country
    """
    return pick(find(COUNTRIES, country, "country"), "country continent population")


def get_city(city: str) -> dict:
    """Get the country, population and airport of a city.

    city: name of the city
    """
    return pick(find(CITIES, city, "city"), "city country population airport")


def get_city_distance(city: str, other_city: str) -> dict:
    """Get the distance between two cities.

    city: first city
    other_city: second city
    """
    start, end = find(CITIES, city, "city"), find(CITIES, other_city, "city")
    north, south = radians(start["latitude"]), radians(end["latitude"])
    east = radians(end["longitude"] - start["longitude"])
    # the haversine formula
    chord = sin((south - north) / 2) ** 2 + cos(north) * cos(south) * sin(east / 2) ** 2
    distance = 2 * EARTH_RADIUS * asin(sqrt(chord))
    return {"kilometers": round(distance), "miles": round(distance / KILOMETERS_PER_MILE)}


def get_city_time_difference(city: str, other_city: str) -> dict:
    """Get how many hours the clocks of two cities differ in winter.

    city: city to start from
    other_city: city to compare with
    """
    start, end = find(CITIES, city, "city"), find(CITIES, other_city, "city")
    hours = end["utc_offset"] - start["utc_offset"]
    return {"city": start["city"], "other_city": end["city"], "hours_ahead": tidy(hours)}


def list_cities(country: str) -> dict:
    """List the cities that are known in a country.

    country: name of the country
    """
    country = find(COUNTRIES, country, "country")["country"]
    cities = [city for city, row in CITIES.items() if row["country"] == country]
    return {"country": country, "cities": cities}
