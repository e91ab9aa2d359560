"""Weather, the same week over and over; how warm a place is follows from its latitude."""

from math import cos, pi

from toolbox.world import choose, varied
from toolbox.world.geography import CITIES

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")
CONDITIONS = ("sunny", "cloudy", "partly cloudy", "light rain", "heavy rain", "foggy", "windy",
              "stormy")
ALERTS = ("strong wind", "heavy rain", "flood", "heat", "fog", "thunderstorm")


def _season(city, month):
    """1 in the middle of a city's summer, -1 in the middle of its winter."""
    phase = cos(2 * pi * (MONTHS.index(month) - 6) / 12)
    return phase if CITIES[city]["latitude"] > 0 else -phase


def _mean_temperature(city):
    return 29 - 0.38 * abs(CITIES[city]["latitude"])


def get_weather(city: str) -> dict:
    """Get the current weather in a city.

    city: name of the city
    """
    city = choose(CITIES, city, "city")
    return {"city": city, "condition": varied(CONDITIONS, city, "now"),
            "temperature": round(_mean_temperature(city)) + varied(range(-4, 5), city, "now"),
            "humidity": varied(range(30, 96), city, "humidity")}


def get_weather_forecast(city: str, day: str) -> dict:
    """Get the weather forecast for a city on a day of this week.

    city: name of the city
    day: day of the week
    """
    city, day = choose(CITIES, city, "city"), choose(DAYS, day, "day")
    low = round(_mean_temperature(city)) + varied(range(-8, 2), city, day)
    return {"city": city, "day": day, "condition": varied(CONDITIONS, city, day), "low": low,
            "high": low + varied(range(3, 10), city, day, "high")}


def get_weather_alerts(city: str, severe_only: bool = False) -> dict:
    """Get the weather warnings that are in force in a city.

    city: name of the city
    severe_only: leave out minor warnings
    """
    city = choose(CITIES, city, "city")
    alerts = [{"alert": varied(ALERTS, city, number), "until": varied(DAYS, city, number, "until"),
               "severe": varied((True, False), city, number, "severe")}
              for number in range(varied(range(3), city, "alerts"))]
    if severe_only:
        alerts = [alert for alert in alerts if alert["severe"]]
    return {"city": city, "alerts": alerts}


def get_weather_history(city: str, month: str) -> dict:
    """Get the usual weather of a city in a month.

    city: name of the city
    month: name of the month
    """
    city, month = choose(CITIES, city, "city"), choose(MONTHS, month, "month")
    swing = abs(CITIES[city]["latitude"]) / 5
    return {"city": city, "month": month, "rainy_days": varied(range(2, 20), city, month),
            "average_temperature": round(_mean_temperature(city) + swing * _season(city, month))}


def get_air_quality(city: str) -> dict:
    """Get the air quality in a city.

    city: name of the city
    """
    city = choose(CITIES, city, "city")
    index = varied(range(12, 160), city, "air")
    level = "good" if index <= 50 else "fair" if index <= 100 else "poor"
    return {"city": city, "index": index, "level": level}
