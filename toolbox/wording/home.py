"""Wording for the house: its rooms, heating, lights, doors and devices."""

from toolbox.wording.samples import numbers
from toolbox.world.home import COLORS, DEVICES, DOORS, ROOMS

ASK = {
    "get_room": (
        "Are the lights on in the {room}?", "Is the window open in the {room}?",
        "Did I leave the light on in the {room}?",
        "State of window and lights in the {room}, please.",
        "I left in a hurry. Is everything shut and dark in the {room}?",
        "Check the {room}: light off, window closed?",
        "Is it dark in the {room}, or is a lamp burning?",
        "Has someone opened the window of the {room}?"),
    "get_room_temperature": (
        "How warm is it in the {room}?", "What does the thermometer in the {room} show?",
        "How humid is the {room}?", "Temperature in the {room}, please.",
        "I feel cold in the {room}. How many degrees are there?", "Is the air damp in the {room}?",
        "Read the sensors for warmth and humidity in the {room}.",
        "Is the {room} warm enough for the baby at the moment?"),
    "set_temperature": (
        "Heat the {room} to {temperature} degrees.",
        "I'd like {temperature} degrees in the {room}.",
        "Turn the heating in the {room} to {temperature}.",
        "{temperature} degrees in the {room}, please.",
        "Can you make it {temperature} degrees in the {room}?",
        "Bring the {room} to {temperature} degrees Celsius.",
        "It's chilly. The {room} should have {temperature} degrees.",
        "Adjust the thermostat of the {room} to {temperature}."),
    "set_light": (
        "Turn on the light in the {room}.", "I need light in the {room}.",
        "Lights in the {room}, please.", "It's too dark in the {room}. Switch a lamp on.",
        "Can you put the lights on in the {room}?", "Make it bright in the {room}.",
        "Adjust the lamps in the {room} for me.", "Let there be light in the {room}."),
    "lock_door": (
        "Lock the {door}.", "Please make sure that the {door} is locked.",
        "I'm off to bed. Secure the {door}.", "{door}: lock it, please.",
        "Can you turn the key in the {door}?", "The {door} should not stay open; bolt it.",
        "Bolt the {door} for me.", "I forgot to lock up. Do the {door}."),
    "get_device_power": (
        "How much electricity does the {device} use?", "What power does the {device} draw?",
        "Electricity use of the {device}, please.", "Is the {device} a power hog?",
        "How many watts does my {device} need?",
        "I'm worried about the bill. What does running the {device} use up?",
        "How many kilowatt-hours go into the {device}?", "Find the consumption of the {device}."),
}
DO = {
    "get_room": (
        "check whether the lights are on in the {room}", "see if the window is open in the {room}",
        "find out if the {room} is dark and its window shut",
        "look at the light and the window in the {room}"),
    "get_room_temperature": (
        "check how warm it is in the {room}", "read the thermometer in the {room}",
        "find out how humid the {room} is", "see how many degrees there are in the {room}"),
    "set_temperature": (
        "turn the heating in the {room} to {temperature}",
        "adjust the thermostat of the {room} to {temperature}", "bring the {room} to {temperature}",
        "make the heating hold the {room} at {temperature}"),
    "set_light": (
        "turn on the light in the {room}", "switch the lamps on in the {room}",
        "put the lights on in the {room}", "make it bright in the {room}"),
    "lock_door": (
        "lock the {door}", "bolt the {door}", "secure the {door} for the night",
        "turn the key in the {door}"),
    "get_device_power": (
        "find out how much electricity the {device} uses",
        "look up how many watts the {device} draws", "check the power consumption of the {device}",
        "tell me what running the {device} takes in kilowatt-hours"),
}
TELL = {
    "get_room": (
        "In the {room}: lights on, {lights_on}, and window open, {window_open}.",
        "Light on in the {room}: {lights_on}. Window open: {window_open}."),
    "get_room_temperature": (
        "It is {temperature} degrees in the {room}, with {humidity} percent humidity.",
        "The {room} has {temperature} degrees and {humidity} percent humidity."),
    "set_temperature": (
        "The {room} will have {temperature} degrees in {minutes} minutes.",
        "The {room} is being brought to {temperature} degrees, which takes {minutes} minutes."),
    "set_light": (
        "The light in the {room} is at {brightness} percent, in {color}.",
        "{room}: {color} light at {brightness} percent."),
    "lock_door": ("The {door} is {state}.", "The {door} is now {state}."),
    "get_device_power": (
        "The {device} draws {watts} watts and uses {kilowatt_hours} kilowatt-hours.",
        "{kilowatt_hours} kilowatt-hours, at {watts} watts."),
}
EXTRA = {
    "set_light.brightness": (
        "The brightness should be {brightness} percent.", "Put the lamps at {brightness} percent.",
        "I want {brightness} percent of the light."),
    "set_light.color": (
        "The color of the light should be {color}.", "I want the lamps in {color}.",
        "Let the lamps shine in {color}."),
    "lock_door.locked": (
        "Correction about the door: unlock it, don't lock it.",
        "No, wait, I mean the opposite: unlock that door.",
        "Sorry, I was wrong about the door: it must be unlocked."),
    "get_device_power.hours": (
        "The device runs for {hours} hours.", "Count {hours} hours of use.",
        "It is a device that is on for {hours} hours."),
}
VALUES = {
    "room": tuple(ROOMS), "temperature": numbers(15, 26, 1), "brightness": range(5, 100, 5),
    "color": tuple(color for color in COLORS if color != "white"), "door": tuple(DOORS),
    "locked": (False,),
    "device": tuple(DEVICES), "hours": (0.5, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 24)}
