"""A house that listens."""

from toolbox.world import between, choose, find, pick, table, tidy, whole

ROOMS = table(
    "room temperature lights_on humidity window_open",
    ("kitchen", 21, True, 48, False), ("bedroom", 18, False, 52, True),
    ("living room", 22, True, 45, False), ("bathroom", 23, False, 66, False),
    ("office", 20, True, 41, True), ("hall", 19, False, 50, False),
    ("garage", 12, False, 58, False), ("nursery", 22, False, 47, False),
)
COLORS = ("white", "warm", "blue", "green", "red")
DOORS = {"front door": "locked", "back door": "unlocked", "garage door": "locked",
         "garden gate": "unlocked"}
DEVICES = {"oven": 2200, "dishwasher": 1400, "television": 110, "washing machine": 1900,
           "computer": 180, "fridge": 90, "heater": 1500, "vacuum": 750}  # watts


def get_room(room: str) -> dict:
    """Get whether the lights are on and the window is open in a room.

    room: name of the room
    """
    return pick(find(ROOMS, room, "room"), "room lights_on window_open")


def get_room_temperature(room: str) -> dict:
    """Get how warm and humid a room is.

    room: name of the room
    """
    return pick(find(ROOMS, room, "room"), "room temperature humidity")


def set_temperature(room: str, temperature: float) -> dict:
    """Set the heating of a room.

    room: name of the room
    temperature: degrees Celsius, from 10 to 28
    """
    row = find(ROOMS, room, "room")
    wanted = between(temperature, 10, 28, "temperature")
    minutes = round(12 * abs(wanted - row["temperature"]))
    return {"room": row["room"], "temperature": tidy(wanted), "minutes": minutes}


def set_light(room: str, brightness: int = 100, color: str = "white") -> dict:
    """Set the light of a room.

    room: name of the room
    brightness: percent, 0 is off
    color: color of the light
    """
    room, color = choose(ROOMS, room, "room"), choose(COLORS, color, "color")
    brightness = whole(brightness, 0, 100, "brightness")
    return {"room": room, "lights_on": brightness > 0, "brightness": brightness, "color": color}


def lock_door(door: str, locked: bool = True) -> dict:
    """Lock a door, or unlock it.

    door: such as front door or garden gate
    locked: false to unlock
    """
    door = choose(DOORS, door, "door")
    state = "locked" if locked else "unlocked"
    return {"door": door, "state": state, "changed": DOORS[door] != state}


def get_device_power(device: str, hours: float = 1) -> dict:
    """Get how much electricity a device uses.

    device: such as oven, fridge or heater
    hours: how long it runs
    """
    device = choose(DEVICES, device, "device")
    hours = between(hours, 0, 10000, "hours")
    watts = DEVICES[device]
    return {"device": device, "watts": watts, "kilowatt_hours": tidy(watts * hours / 1000)}
