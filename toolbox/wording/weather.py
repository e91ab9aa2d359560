"""Wording for weather: now, this week, warnings, the usual month, and the air."""

from toolbox.world.geography import CITIES
from toolbox.world.weather import DAYS, MONTHS

ASK = {
    "get_weather": (
        "What's the weather like in {city} right now?", "How warm is it in {city} at the moment?",
        "Current conditions in {city}, please.", "Is it raining in {city} just now?",
        "I'm about to go out in {city}. What is it like outside?",
        "Tell me the present temperature in {city}.", "Do I need a jacket in {city} right now?",
        "{city}: sun or rain at this moment?", "I want to know how the sky looks over {city} now.",
        "How humid is it in {city} at present?", "Check the weather in {city} as it is now."),
    "get_weather_forecast": (
        "What will the weather be in {city} on {day}?", "Will it rain in {city} on {day}?",
        "I'm planning a picnic in {city} for {day}. What's the outlook?",
        "Outlook for {city}, {day}.", "How warm will it get on {day} in {city}?",
        "Give me the prediction for {day} in {city}.",
        "I arrive in {city} on {day}; what weather should I pack for?",
        "What high and low are expected in {city} on {day}?",
        "Is sunshine expected on {day} in {city}?",
        "Tell me what {day} will be like in {city}, weather-wise."),
    "get_weather_alerts": (
        "Are there any weather warnings for {city}?",
        "Is {city} under a storm warning or anything like that?",
        "Which severe weather notices are in force in {city}?",
        "List the active weather warnings in {city}.",
        "I'm worried about bad weather. Has a warning been issued for {city}?",
        "Weather warnings, {city}?", "Has anyone put out a flood or wind warning for {city}?",
        "Show me the warnings in force in {city}.",
        "Should people in {city} be on guard because of a weather warning?"),
    "get_weather_history": (
        "What is {month} usually like in {city}?", "How warm does {city} tend to be in {month}?",
        "How many rainy days does {city} normally have in {month}?",
        "I'd like the average temperature of {city} in {month}.",
        "Typical {month} climate in {city}, please.",
        "Is {month} a good month to see {city}, going by the climate?",
        "On average, how wet and how warm is {month} in {city}?",
        "We think of going to {city} in {month}. What's normal for that time of year?",
        "Tell me about the climate of {city} in {month}."),
    "get_air_quality": (
        "How clean is the air in {city}?", "What's the air pollution in {city} today?",
        "Is the air in {city} healthy to breathe?", "Give me the air index for {city}.",
        "I have asthma. How bad is the smog in {city}?", "Pollution level in {city}?",
        "Can I jog outside in {city}, or is the air too dirty?", "Check how polluted {city} is.",
        "I need the quality of the air in {city}."),
}
DO = {
    "get_weather": (
        "look up how warm it is in {city} right now", "check the current weather in {city}",
        "tell me what it is like outside in {city} at the moment",
        "see whether it is raining in {city} now", "report the present conditions in {city}"),
    "get_weather_forecast": (
        "find out what the weather will be in {city} on {day}",
        "check the outlook for {city} on {day}", "see if rain is expected in {city} on {day}",
        "tell me how warm it will get on {day} in {city}"),
    "get_weather_alerts": (
        "check for weather warnings in {city}", "see which weather warnings are in force in {city}",
        "find out if a storm or flood warning is active in {city}",
        "list the weather warnings for {city}"),
    "get_weather_history": (
        "find out what {month} is usually like in {city}",
        "look up the average temperature of {city} in {month}",
        "tell me how rainy {city} normally is in {month}",
        "check the typical climate of {city} in {month}"),
    "get_air_quality": (
        "check how clean the air is in {city}", "look up the air pollution in {city}",
        "find the air index for {city}", "tell me whether the air in {city} is healthy"),
}
TELL = {
    "get_weather": (
        "The weather in {city}: {condition}, {temperature} degrees, {humidity} percent humidity.",
        "In {city} it is {temperature} degrees right now, {condition}, with {humidity} percent "
        "humidity.",
        "Currently {condition} in {city}, at {temperature} degrees and {humidity} percent "
        "humidity."),
    "get_weather_forecast": (
        "On {day} it will be {condition} in {city}, between {low} and {high} degrees.",
        "Expect {condition} weather in {city} on {day}, with a high of {high} and a low of {low} "
        "degrees.",
        "{city} on {day}: {condition}, {low} to {high} degrees."),
    "get_weather_alerts": (
        "There is a warning of {alerts.0.alert} in {city} until {alerts.0.until}.",
        "Yes, {city} has a {alerts.0.alert} warning, in force until {alerts.0.until}.",
        "Two warnings in {city}: {alerts.0.alert} until {alerts.0.until} and {alerts.1.alert} "
        "until {alerts.1.until}."),
    "get_weather_history": (
        "In {month}, {city} has {average_temperature} degrees on average and {rainy_days} rainy "
        "days.",
        "{city} usually has about {average_temperature} degrees in {month}, with {rainy_days} days "
        "of rain."),
    "get_air_quality": (
        "The air in {city} is {level}, with an index of {index}.",
        "{city} has an air quality index of {index}, which is {level}."),
}
NONE = {
    "get_weather_alerts": (
        "There are no such weather warnings in {city}.",
        "No, nothing of that kind is in force in {city}."),
}
EXTRA = {
    "get_weather_alerts.severe_only": (
        "Leave out the minor warnings.", "Only the severe warnings matter to me.",
        "Skip any warning that isn't severe.", "I care about severe warnings only."),
}
VALUES = {"city": tuple(CITIES), "day": DAYS, "month": MONTHS, "severe_only": (True,)}
