"""toolbox/execute.py and toolbox/world/: the embedded tools, their schemas and the runner."""

import inspect
import json
import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.calls import Call, parse_call
from data.feedback import Feedback, classify
from data.tools import read_tools
from plumbing.files import InputError
from tests.conftest import ROOT, assert_one_line_error, real_conversations, run_script
from toolbox.execute import CATEGORIES, DIALOGUE, OUTAGES, TOOLS, run, schemas

ALL = schemas(TOOLS)

# One call of every tool, and facts that its result must hold, worked out by hand or read from the
# tables.
EXAMPLES = {
    'finish(answer="It is 12 degrees.")': "It is 12 degrees.",
    'ask_to_user(question="Which city?")': "Which city?",
    # weather
    'get_weather(city="oslo")': {"city": "Oslo"},
    'get_weather_forecast(city="Cape Town", day="friday")': {"city": "Cape Town", "day": "Friday"},
    'get_weather_alerts(city="Lima", severe_only=true)': {"city": "Lima"},
    'get_weather_history(city="Sydney", month="July")': {"month": "July"},
    'get_air_quality(city="Delhi")': {"city": "Delhi"},
    # geography
    'get_country(country="Kenya")':
        {"capital": "Nairobi", "currency_code": "KES", "language": "Swahili"},
    'get_country_population(country="Norway")': {"population": 5500000, "continent": "Europe"},
    'get_city(city="Porto")': {"country": "Portugal", "airport": "OPO"},
    'get_city_distance(city="Oslo", other_city="Oslo")': {"kilometers": 0, "miles": 0},
    'get_city_time_difference(city="Toronto", other_city="Mumbai")': {"hours_ahead": 10.5},
    'list_cities(country="Japan")': {"cities": ["Tokyo", "Osaka"]},
    # currency
    'get_currency(currency_code="eur")': {"currency": "euro"},
    'get_exchange_rate(base="USD", target="JPY")': {"rate": 151},
    'get_exchange_rate_list(base="USD", targets=["SEK", "NOK"])':
        {"rates": {"SEK": 10.4, "NOK": 10.6}},
    'convert_currency(amount=53, base="NOK", target="USD")': {"amount": 5, "currency_code": "USD"},
    'convert_currency_with_fee(amount=200, base="USD", target="EUR")': {"fee": 4, "amount": 180.32},
    # units
    'convert_length(value=3, unit="mile", to_unit="kilometer")':
        {"value": 4.828, "unit": "kilometer"},
    'convert_weight(value=1, unit="pound", to_unit="gram")': {"value": 453.5924},
    'convert_volume(value=2, unit="gallon", to_unit="liter")': {"value": 7.5708},
    'convert_speed(value=90, unit="kilometers per hour", to_unit="meters per second")':
        {"value": 25},
    'convert_temperature(value=212, unit="fahrenheit", to_unit="celsius")': {"value": 100},
    # arithmetic
    'add_numbers(numbers=[12, 30, -2])': {"sum": 40, "count": 3},
    'divide_numbers(dividend=17, divisor=5)': {"quotient": 3, "remainder": 2},
    'find_average(numbers=[1, 2, 6])': {"average": 3},
    'find_median(numbers=[9, 1, 4, 5])': {"median": 4.5},
    'find_prime_factors(number=84)': {"factors": [2, 2, 3, 7], "is_prime": False},
    'calculate_percentage(percent=15, number=80)': {"part": 12, "rest": 68},
    # text
    'count_words(text="a small red house")': {"words": 4, "characters": 17},
    'count_letter(text="Banana", letter="a")': {"count": 3},
    'reverse_text(text="level")': {"text": "level", "is_palindrome": True},
    'sort_words(words=["pear", "Apple", "fig"], descending=true)':
        {"words": ["pear", "fig", "Apple"]},
    'sort_words_by_length(words=["pear", "apple", "fig"])': {"words": ["fig", "pear", "apple"]},
    'make_acronym(text="as soon as possible")': {"acronym": "ASAP"},
    # calendar
    'get_weekday(date="1969-07-20")': {"day": "Sunday", "is_weekend": True},
    'add_days(date="2024-02-28", days=2)': {"date": "2024-03-01", "day": "Friday"},
    'count_days(start_date="2025-01-01", end_date="2025-12-31")': {"days": 364, "weeks": 52},
    'count_workdays(start_date="2025-06-02", end_date="2025-06-15")': {"workdays": 10},
    'get_holiday(holiday="Bastille Day", year=1989)': {"date": "1989-07-14", "day": "Friday"},
    'list_holidays(country="Norway", month="May")':
        {"holidays": ["Labour Day", "Constitution Day"]},
    # events
    'search_events(city="Rome")': {"city": "Rome"},
    'search_events_by_date(start_date="2026-01-01", end_date="2026-12-31")': {"total": 120},
    'get_event(event_id="E100")': {"event_id": "E100", "city": "Oslo"},
    'get_event_tickets(event_id="E130")': {"event_id": "E130"},
    'book_event(event_id="E219", visitor="Ann Lee", seats=2)': {},
    # contacts
    'find_contact(name="Anna Berg")': {"email": "anna.berg@mail.example", "phone": "555-0101"},
    'find_contact_by_phone(phone="555-0120")': {"name": "Tara Wilson"},
    'find_contact_address(name="Hiro Tanaka")': {"city": "Tokyo"},
    'list_contacts(group="family")': {
        "names": ["Anna Berg", "Ines Costa", "Karin Lund", "Nils Holm", "Rosa Vidal"]},
    'get_birthday(name="Mia Novak")': {"birthday": "1998-03-29"},
    'send_message(email="anna.berg@mail.example", text="Hi", urgent=true)': {"priority": "high"},
    'send_message_to_all(emails=["a@b.example", "c@d.example"], text="Hello")': {"sent": 2},
    # recipes
    'search_recipes(cuisine="Japanese", max_minutes=20)': {
        "recipes": [{"recipe_id": "R10", "recipe": "Miso Soup", "minutes": 15}]},
    'search_recipes_by_ingredient(ingredients=["rice", "yogurt"])': {
        "total": 1, "recipes": [{"recipe_id": "R9", "recipe": "Vegetable Biryani"}]},
    'search_recipes_by_calories(max_calories=100)': {
        "recipes": [{"recipe_id": "R10", "recipe": "Miso Soup", "calories": 90}]},
    'get_recipe(recipe_id="R16")': {"ingredients": ["tomato", "cucumber", "cheese", "olives"]},
    'get_recipe_nutrition(recipe_id="R2", portions=1.5)': {"calories": 630},
    # travel
    'search_flights(origin="Oslo", destination="Bergen")': {},
    'search_flights_by_price(origin="Paris", max_price=200)': {},
    'get_flight(flight_id="AL1062")': {"flight_id": "AL1062"},
    'get_flight_status(flight_id="AL1062")': {"flight_id": "AL1062"},
    'book_flight(flight_id="AL1062", passenger="Ann Lee", seats=2)': {"passenger": "Ann Lee"},
    'search_hotels(city="Vienna", min_stars=2)': {"city": "Vienna"},
    'book_hotel(hotel_id="H100", guest="Ann Lee", nights=3, breakfast=true)':
        {"hotel": "Grand Hotel Oslo"},
    # inventory
    'search_products(query="lamp")': {"products": [
        {"product_id": "P10", "product": "desk lamp", "price": 34.5},
        {"product_id": "P11", "product": "floor lamp", "price": 89.0}]},
    'search_products_by_price(category="sport", max_price=20)': {
        "products": [{"product_id": "P31", "product": "water bottle", "price": 15.0}]},
    'get_product(product_id="P24")': {"product": "monitor", "supplier": "Voltix"},
    'get_product_stock(product_id="P12")': {"stock": 0, "available": False},
    'order_product(product_id="P17", quantity=3, express=true)': {"total_price": 150},
    'calculate_order_total(product_ids=["P10", "P18"], discount_percent=10)':
        {"total": 65.25, "items": 2},
    # movies
    'search_movies(genre="drama", min_rating=8.2)': {"movies": [
        {"movie_id": "F12", "movie": "The Long Harvest", "rating": 8.6},
        {"movie_id": "F16", "movie": "Letters from Porto", "rating": 8.2}]},
    'search_movies_by_director(director="Omar Aziz")': {"movies": [
        {"movie_id": "F5", "movie": "The Last Lighthouse", "year": 1987},
        {"movie_id": "F11", "movie": "Desert Signal", "year": 2001}]},
    'get_movie(title="Paper Kites")': {"movie_id": "F6", "director": "Lena Brandt"},
    'get_movie_rating(movie_id="F7")': {"movie": "Silent Orbit", "rating": 8.4},
    'get_movie_showtimes(movie_id="F7", city="Seoul")': {"movie": "Silent Orbit"},
    # books
    'search_books(subject="science", newer_than=2015)': {"books": [
        {"book_id": "B4", "book": "The Quiet Engine"},
        {"book_id": "B11", "book": "How Birds Remember"},
        {"book_id": "B16", "book": "Light in Small Rooms"}]},
    'search_books_by_author(author="Maya Lin")': {"books": [
        {"book_id": "B5", "book": "House of Nine Doors", "year": 2001},
        {"book_id": "B6", "book": "The Tenth Door", "year": 2004}]},
    'get_book(title="The Salt Road")': {"book_id": "B1", "year": 1998},
    'get_book_copies(book_id="B1", branch="Central")': {"book": "The Salt Road"},
    'reserve_book(book_id="B1", branch="Central", member="Ann Lee")': {"shelf": "history"},
    # music
    'search_songs(artist="Aiko Sato")': {"songs": [
        {"song_id": "S15", "song": "Stone Garden"}, {"song_id": "S16", "song": "First Snow"}]},
    'get_song(title="Blue Tram")': {"artist": "Trio Azul", "album": "Night Lines"},
    'get_song_length(song_id="S2")': {"length": "3:07"},
    'get_artist(artist="The Fjords")': {"country": "Norway", "founded": 2008},
    'create_playlist(name="Evening", song_ids=["S1", "S2"])': {"songs": 2, "seconds": 401},
    # sports
    'get_team(team="Oslo Wolves")': {"coach": "Erik Dahl", "stadium": "Wolf Arena"},
    'get_team_results(team="Tokyo Cranes", home_only=true)': {"team": "Tokyo Cranes"},
    'find_match(home="Oslo Wolves", away="Lyon Lions")': {"match_id": "G100"},
    'get_match_score(match_id="G100")': {"home": "Oslo Wolves", "away": "Lyon Lions"},
    'get_league_table(league="football", places=2)': {"league": "football"},
    # health
    'search_doctors(specialty="dentist", city="Paris")': {
        "doctors": [{"doctor_id": "D2", "doctor": "Dr. Moreau", "city": "Paris"}]},
    'book_appointment(doctor_id="D2", patient="Ann Lee", date="2026-03-02")':
        {"doctor": "Dr. Moreau"},
    'calculate_bmi(weight=80, height=2)': {"bmi": 20, "level": "normal"},
    'calculate_calories_burned(activity="swimming", minutes=30)': {"calories": 210},
    'get_food_calories(food="egg", grams=50)': {"calories": 77.5, "protein": 6.5},
    # finance
    'get_share_price(symbol="VLTX")': {"price": 310.4},
    'get_share_price_change(symbol="VLTX", days=1)': {"symbol": "VLTX"},
    'find_share(company="Crane Robotics")': {"symbol": "CRNE"},
    'calculate_tip(bill=60, percent=15)': {"tip": 9, "total": 69},
    'calculate_loan_payment(amount=12000, rate=0, years=2)':
        {"monthly_payment": 500, "total": 12000},
    'calculate_savings(amount=1000, rate=10, years=2)': {"final_amount": 1210, "interest": 210},
    # education
    'search_courses(subject="art", level="beginner")': {
        "courses": [{"course_id": "C5", "course": "Drawing Basics"}]},
    'get_course(course_id="C8")': {"teacher": "Mr. Stone", "fee": 260},
    'get_course_schedule(course_id="C8")': {"course": "Compilers"},
    'calculate_grade(points=[45, 40], max_points=50)': {"percent": 85, "grade": "B"},
    'get_word_definition(word="frugal")': {"definition": "careful with money"},
    'get_word_synonym(word="candid")': {"synonym": "frank"},
    # home
    'get_room(room="office")': {"lights_on": True, "window_open": True},
    'get_room_temperature(room="garage")': {"temperature": 12},
    'set_temperature(room="bedroom", temperature=20.5)': {"temperature": 20.5, "minutes": 30},
    'set_light(room="hall", brightness=40, color="warm")': {"lights_on": True, "color": "warm"},
    'lock_door(door="garden gate")': {"state": "locked", "changed": True},
    'get_device_power(device="heater", hours=4)': {"kilowatt_hours": 6},
    # news
    'get_news(topic="nature")': {"topic": "nature"},
    'get_news_by_author(author="Joan Park")': {"author": "Joan Park"},
    'get_news_article(article_id="N1")': {"title": "Probe reaches a distant moon"},
    'get_local_news(city="Boston")': {"city": "Boston"},
}
# Calls that a tool turns down, with what the reason must name.
REFUSED = {
    'get_weather(city="Atlantis")': "Atlantis",
    'get_weather_forecast(city="Oslo", day="someday")': "someday",
    'convert_currency(amount=5, base="NOK", target="GOLD")': "GOLD",
    'divide_numbers(dividend=1, divisor=0)': "zero",
    'convert_temperature(value=-300, unit="celsius", to_unit="kelvin")': "absolute zero",
    'add_numbers(numbers=[])': "numbers",
    'get_weekday(date="tomorrow")': "tomorrow",
    'get_weekday(date="0001-01-01")': "year",
    'book_event(event_id="E999", visitor="Ann")': "E999",
    'add_days(date="2025-01-01", days=2.5)': "whole number",
    'send_message(email="Anna", text="Hi")': "Anna",
    'order_product(product_id="P12", quantity=1)': "stock",
    'book_flight(flight_id="XX1", passenger="A")': "XX1",
    'find_match(home="Oslo Wolves", away="Boston Bears")': "Boston Bears",
    'book_appointment(doctor_id="D1", patient="Ann", date="2026-03-01")': "Sunday",
    'count_workdays(start_date="2025-06-15", end_date="2025-06-02")': "end_date",
}
# Values of a wrong type break the tool's code, as they break a real one.
BROKEN = {
    'get_weather(city=3)': "'int' object has no attribute 'strip'",
    'calculate_tip(bill="60")': "'<=' not supported between instances of 'int' and 'str'",
    'add_numbers(numbers=5)': "object of type 'int' has no len()",
    'sort_words(words=[1, 2])': "'int' object has no attribute 'strip'",
    'find_average(numbers="123")': "'<=' not supported between instances of 'int' and 'str'",
}


def feedback_of(text, **options):
    return run(parse_call(text, ALL, strict=True), **options)


def kind(text, name, offered=ALL):
    return classify(text, name, offered)


def test_about_a_hundred_tools_in_about_twenty_categories_many_with_the_same_start_of_their_name():
    names = [name for category in CATEGORIES.values() for name in category]
    assert 18 <= len(CATEGORIES) <= 24 and 90 <= len(names) <= 130
    assert set(names) | set(DIALOGUE) == set(TOOLS)
    # get_weather, search_recipes, ...
    starts = Counter("_".join(name.split("_")[:2]) for name in names)
    assert sum(count > 1 for count in starts.values()) >= 20
    assert sum(any(other.startswith(name) for other in names if other != name)
               for name in names) >= 20


def test_no_two_tools_share_a_name_or_a_description():
    names = [name for category in CATEGORIES.values() for name in category]
    assert len(set(names)) == len(names) == len(TOOLS) - 2
    assert len({schema["function"]["description"] for schema in ALL}) == len(ALL)


@pytest.mark.parametrize("schema", ALL, ids=lambda schema: schema["function"]["name"])
def test_a_schema_says_what_the_signature_says_and_describes_every_parameter(schema):
    function = schema["function"]
    json_types = {"str": "string", "int": "integer", "float": "number", "bool": "boolean",
                  "list[str]": "array", "list[int]": "array"}
    code = inspect.getfullargspec(TOOLS[function["name"]])
    assert not (code.varargs or code.varkw or code.kwonlyargs)
    properties = function["parameters"]["properties"]
    assert list(properties) == code.args
    required = code.args[:len(code.args) - len(code.defaults or ())]
    assert function["parameters"]["required"] == required
    for name, value in properties.items():
        written = inspect.formatannotation(code.annotations[name])
        assert value["type"] == json_types[written]
        items = {"type": json_types[written[5:-1]]} if "[" in written else None
        assert value.get("items") == items
        assert value["description"].strip()
    assert function["description"].endswith(".") and "\n" not in function["description"]


def test_schemas_are_read_by_the_readers_of_trajectories_and_refuse_an_unknown_name():
    assert [tool.name for tool in read_tools(ALL)] == list(TOOLS)
    with pytest.raises(InputError, match="get_moon"):
        schemas(["get_weather", "get_moon"])


def test_finish_and_ask_to_user_have_the_parameters_they_have_in_real_trajectories():
    offered = {tool.name: tool for tool in real_conversations()[0].tools}
    for name, ours in zip(DIALOGUE, read_tools(schemas(DIALOGUE)), strict=True):
        assert [p[:2] for p in ours.parameters] == [p[:2] for p in offered[name].parameters]


def test_every_tool_has_an_example():
    assert [parse_call(text, ALL).name for text in EXAMPLES] == list(TOOLS)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_gives_the_expected_facts_as_json_and_is_classified_as_a_success(text):
    feedback, expected = feedback_of(text), EXAMPLES[text]
    result = json.loads(feedback)
    if isinstance(expected, dict):
        assert len(result) >= 1 and {key: result[key] for key in expected} == expected
    else:
        assert result == expected
    assert kind(feedback, text.partition("(")[0]) is Feedback.ALL_RIGHT


def test_results_of_one_tool_are_arguments_of_the_next():
    city = json.loads(feedback_of('find_contact_address(name="Grace Mwangi")'))["city"]
    country = json.loads(run(Call("get_city", {"city": city}, (0, 0))))["country"]
    code = json.loads(run(Call("get_country", {"country": country}, (0, 0))))["currency_code"]
    arguments = {"amount": 10, "base": "USD", "target": code}
    money = json.loads(run(Call("convert_currency", arguments, (0, 0))))
    assert (city, country, money) == ("Nairobi", "Kenya", {"amount": 1300, "currency_code": "KES"})


def test_every_id_that_a_search_finds_is_known_to_the_tools_that_take_it():
    feedback = feedback_of('search_flights(origin="Lima", destination="Tokyo")')
    flights = json.loads(feedback)["flights"]
    events = json.loads(feedback_of('search_events(city="Lyon")'))["events"]
    hotels = json.loads(feedback_of('search_hotels(city="Lyon")'))["hotels"]
    assert (len(flights), len(events), len(hotels)) == (1, 3, 2)
    flight = json.loads(run(Call("get_flight", {"flight_id": flights[0]["flight_id"]}, (0, 0))))
    assert (flight["origin"], flight["destination"]) == ("Lima", "Tokyo")
    event = json.loads(run(Call("get_event", {"event_id": events[2]["event_id"]}, (0, 0))))
    assert event["city"] == "Lyon"
    booked = json.loads(run(Call("book_hotel", {
        "hotel_id": hotels[1]["hotel_id"], "guest": "Ann", "nights": 2}, (0, 0))))
    assert booked["total_price"] == 2 * hotels[1]["price"]


def test_a_loan_is_paid_back_by_its_monthly_payments():
    loan = json.loads(feedback_of('calculate_loan_payment(amount=9000, rate=6, years=1)'))
    debt = 9000
    for _ in range(12):
        debt = debt * 1.005 - loan["monthly_payment"]
    assert abs(debt) < 0.1


def test_distances_are_those_of_an_atlas():
    atlas = {("London", "Paris"): 344, ("Boston", "Chicago"): 1370, ("Tokyo", "Sydney"): 7820}
    for (city, other), kilometers in atlas.items():
        found = json.loads(run(Call("get_city_distance", {"city": city, "other_city": other},
                                    (0, 0))))
        assert found["kilometers"] == pytest.approx(kilometers, rel=0.02)


@pytest.mark.parametrize("name",
                         [name for name in TOOLS if inspect.signature(TOOLS[name]).parameters])
def test_misfitting_arguments_are_reported_in_the_words_of_python_itself(name):
    required = [key for key, p in inspect.signature(TOOLS[name]).parameters.items()
                if p.default is p.empty]
    for arguments in ({}, {"nonsense": 1}, dict.fromkeys(required[1:], 1),
                      {"nonsense": 1, required[0]: 2}):
        if arguments or required:
            with pytest.raises(TypeError) as python:
                TOOLS[name](**arguments)
            said = str(python.value).partition(". Did you mean")[0]
            assert run(Call(name, arguments, (0, 0))) == said


def test_an_unknown_tool_and_one_that_is_not_offered_are_not_defined():
    feedback = feedback_of('get_moon(phase="full")')
    assert feedback == "name 'get_moon' is not defined"
    assert kind(feedback, "get_moon") is kind(feedback, None, ()) is Feedback.TOOL_HALLUCINATION
    offered = schemas(["get_weather", "finish"])
    feedback = feedback_of('get_city(city="Oslo")', offered=["get_weather", "finish"])
    assert feedback == "name 'get_city' is not defined"
    assert kind(feedback, "get_city", offered) is Feedback.TOOL_HALLUCINATION


def test_an_unknown_parameter_is_a_parameter_hallucination():
    feedback = feedback_of('get_weather(town="Oslo")')
    assert feedback == "get_weather() got an unexpected keyword argument 'town'"
    assert kind(feedback, "get_weather") is Feedback.PARAMETER_HALLUCINATION


@pytest.mark.parametrize("text, missing", [
    ('book_appointment(doctor_id="D1", patient="Ann")', "1 required positional argument: 'date'"),
    ('book_appointment(date="2026-03-02")',
     "2 required positional arguments: 'doctor_id' and 'patient'"),
    ('book_appointment()', "3 required positional arguments: 'doctor_id', 'patient', and 'date'")])
def test_a_missing_argument_is_a_parameter_missing(text, missing):
    feedback = feedback_of(text)
    assert feedback == f"book_appointment() missing {missing}"
    assert kind(feedback, "book_appointment") is Feedback.PARAMETER_MISSING


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_is_json_that_names_the_reason_and_counts_as_others(text):
    feedback = feedback_of(text)
    assert REFUSED[text] in json.dumps(json.loads(feedback))
    assert kind(feedback, text.partition("(")[0]) is Feedback.OTHERS


def test_a_refusal_is_an_error_in_the_style_of_every_category():
    """Each category has a tool that refuses this text: every wording and category is met."""
    absurd = {"string": "??", "integer": 10**20, "number": 1e20, "boolean": True, "array": []}
    for names in CATEGORIES.values():
        kinds = set()
        for tool in read_tools(schemas(names)):
            arguments = {p.name: absurd[p.type] for p in tool.parameters}
            kinds.add(kind(run(Call(tool.name, arguments, (0, 0))), tool.name))
        assert Feedback.OTHERS in kinds and kinds <= {Feedback.OTHERS, Feedback.ALL_RIGHT}


@pytest.mark.parametrize("text", BROKEN)
def test_a_value_of_a_wrong_type_is_a_tool_call_failure(text):
    feedback = feedback_of(text)
    assert feedback == BROKEN[text]
    assert kind(feedback, text.partition("(")[0]) is Feedback.TOOL_CALL_FAILURE


def test_every_outage_is_a_tool_instability_and_all_occur():
    rng = random.Random(1)
    seen = {feedback_of('get_weather(city="Oslo")', rng=rng, failure_rate=1.0) for _ in range(99)}
    assert len(seen) == len(OUTAGES)
    assert {kind(feedback, "get_weather") for feedback in seen} == {Feedback.TOOL_INSTABILITY}


def test_outages_follow_the_seed_and_their_rate_and_spare_calls_that_reach_no_server():
    def outcomes(seed, text, rate):
        rng = random.Random(seed)
        return [feedback_of(text, rng=rng, failure_rate=rate) for _ in range(300)]

    first = outcomes(7, 'get_city(city="Oslo")', 0.1)
    assert first == outcomes(7, 'get_city(city="Oslo")', 0.1)
    assert first != outcomes(8, 'get_city(city="Oslo")', 0.1)
    assert 10 <= sum(kind(feedback, "get_city").is_error for feedback in first) <= 60
    assert set(outcomes(7, 'get_city(city="Oslo")', 0.0)) == {feedback_of('get_city(city="Oslo")')}
    for text in ('finish(answer="Yes")', 'get_moon()', 'get_city()'):
        assert set(outcomes(7, text, 1.0)) == {feedback_of(text)}


SCALARS = (st.none() | st.booleans() | st.integers()
           | st.floats(allow_nan=False, allow_infinity=False)
           | st.text(max_size=20)
           | st.sampled_from(["Oslo", "NOK", "2025-05-17", "mile", "P10", 10**400]))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
    st.text(max_size=5), inner, max_size=3), max_leaves=6)


@settings(max_examples=500)
@given(st.sampled_from(list(EXAMPLES)), st.data())
def test_any_arguments_get_a_text_that_is_json_or_is_recognised_as_an_error(text, data):
    """Some arguments of a good call are replaced; the others take the tool past its first check."""
    call = parse_call(text, ALL)
    parameters = inspect.signature(TOOLS[call.name]).parameters
    replaced = st.dictionaries(st.sampled_from(list(parameters)), VALUES, min_size=1)
    call.arguments.update(data.draw(replaced))
    feedback = run(call)
    assert isinstance(feedback, str) and len(feedback) < 3000
    if not kind(feedback, call.name).is_error:
        json.loads(feedback)


@settings(max_examples=200)
@given(st.text(), st.dictionaries(st.text(), VALUES, max_size=3))
def test_any_name_and_any_keywords_get_a_text(name, arguments):
    assert isinstance(run(Call(name, arguments, (0, 0))), str)
    assert isinstance(run(Call("get_weather", arguments, (0, 0))), str)


def test_deep_and_huge_arguments_get_a_short_feedback():
    deep = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, "x" * 10**6, list(range(10**5)), 10**5000, -1e300, {"a": deep},
                  float("nan")):
        for name, tool in TOOLS.items():
            if name in DIALOGUE and value is not deep:
                continue  # their text is for the user, who gets it whole
            arguments = dict.fromkeys(inspect.signature(tool).parameters, value)
            feedback = run(Call(name, arguments, (0, 0)))
            assert len(feedback) < 1000
            # the keys of {"a": deep} are a list of words
            assert kind(feedback, name).is_error or value == {"a": deep}


def test_results_are_the_same_in_another_process_with_another_hash_seed():
    script = """import json, sys
from data.calls import parse_call
from toolbox.execute import run
print(json.dumps([run(parse_call(text)) for text in json.load(sys.stdin)]))"""
    there = subprocess.run([sys.executable, "-c", script], input=json.dumps(list(EXAMPLES)),
                           cwd=ROOT, text=True, check=True, capture_output=True,
                           env={"PYTHONHASHSEED": "4711"})
    assert json.loads(there.stdout) == [feedback_of(text) for text in EXAMPLES]


def test_no_tool_hands_out_the_facts_themselves():
    """Whatever a caller does to a result, the next call finds the facts as they were."""
    before = [feedback_of(text) for text in EXAMPLES]
    for call in (parse_call(text) for text in EXAMPLES if not text.startswith(tuple(DIALOGUE))):
        result = TOOLS[call.name](**call.arguments)
        for value in result.values():
            if isinstance(value, list):
                value.clear()
        result.clear()
    assert [feedback_of(text) for text in EXAMPLES] == before


def test_the_command_line_lists_the_tools_and_executes_a_call():
    listed = run_script("-m", "toolbox.execute").stdout
    assert "weather (5)\n    get_weather(city: string)\n" in listed
    assert "book_flight(flight_id: string, passenger: string, seats: integer = None)" in listed
    done = run_script("-m", "toolbox.execute", 'get_song_length(song_id="S2")')
    assert done.returncode == 0
    assert done.stdout == '{"song": "Cold Water", "seconds": 187, "length": "3:07"}\n'
    done = run_script("-m", "toolbox.execute", "get_moon()")
    assert done.stdout == "name 'get_moon' is not defined\n"
    assert_one_line_error(run_script("-m", "toolbox.execute", "get_moon("), "not a call")
