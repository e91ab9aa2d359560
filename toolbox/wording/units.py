"""Wording for units: lengths, weights, volumes, speeds, temperatures, in the names of the units."""

from toolbox.wording.samples import numbers
from toolbox.world.units import LENGTHS, SPEEDS, TEMPERATURES, VOLUMES, WEIGHTS

ASK = {
    "convert_length": (
        "How long is {value} {unit} in {to_unit}?",
        "Turn a length of {value} {unit} into {to_unit}.",
        "I measured a distance of {value} {unit}. What is that in {to_unit}?",
        "Length {value} {unit}, in {to_unit} please.",
        "A rope measures {value} {unit}; give me its length in {to_unit}.",
        "Express a stretch of {value} {unit} in {to_unit}.",
        "What length in {to_unit} equals {value} {unit}?",
        "My fence is {value} {unit} long. How long is it when counted in {to_unit}?",
        "Distance of {value} {unit} as {to_unit}?"),
    "convert_weight": (
        "How heavy is {value} {unit} in {to_unit}?",
        "Turn a weight of {value} {unit} into {to_unit}.",
        "The parcel weighs {value} {unit}. What is that in {to_unit}?",
        "Weight {value} {unit}, in {to_unit} please.",
        "I bought {value} {unit} of flour; how much is that in {to_unit}?",
        "Express a mass of {value} {unit} in {to_unit}.",
        "What weight in {to_unit} equals {value} {unit}?",
        "My scale shows {value} {unit}, but I want the weight in {to_unit}."),
    "convert_volume": (
        "What volume in {to_unit} is {value} {unit}?",
        "Turn a volume of {value} {unit} into {to_unit}.",
        "The recipe wants {value} {unit} of milk. How much liquid is that in {to_unit}?",
        "Volume {value} {unit}, in {to_unit} please.",
        "A tank holds {value} {unit}; what does it hold in {to_unit}?",
        "Express {value} {unit} of water in {to_unit}.",
        "If I pour {value} {unit} into a bucket, how many {to_unit} are in it?",
        "My jug takes {value} {unit}, and I want its capacity in {to_unit}."),
    "convert_speed": (
        "How fast is {value} {unit} in {to_unit}?",
        "Turn a speed of {value} {unit} into {to_unit}.",
        "The wind blows at {value} {unit}. What is that in {to_unit}?",
        "Speed {value} {unit}, in {to_unit} please.",
        "A boat sails at {value} {unit}; how fast is it in {to_unit}?",
        "Express a velocity of {value} {unit} in {to_unit}.",
        "What speed in {to_unit} equals {value} {unit}?",
        "I was driving {value} {unit} and wonder how fast that is in {to_unit}."),
    "convert_temperature": (
        "How hot is {value} {unit} in {to_unit}?",
        "Turn a temperature of {value} {unit} into {to_unit}.",
        "The thermometer shows {value} {unit}. What is that in {to_unit}?",
        "Temperature {value} {unit}, in {to_unit} please.",
        "The oven should be at {value} {unit}; what do I set in {to_unit}?",
        "Express {value} degrees {unit} on the {to_unit} scale.",
        "What temperature in {to_unit} equals {value} {unit}?",
        "My reading is {value} degrees {unit}, but I want degrees {to_unit}."),
}
DO = {
    "convert_length": (
        "convert a length of {value}, in {unit}, to {to_unit}",
        "turn the length {value} from {unit} into {to_unit}",
        "express a distance of {value}, given in {unit}, in {to_unit}",
        "work out the length in {to_unit} of {value} measured in {unit}"),
    "convert_weight": (
        "convert a weight of {value}, in {unit}, to {to_unit}",
        "turn the weight {value} from {unit} into {to_unit}",
        "express a mass of {value}, given in {unit}, in {to_unit}",
        "work out the weight in {to_unit} of {value} weighed in {unit}"),
    "convert_volume": (
        "convert a volume of {value}, in {unit}, to {to_unit}",
        "turn the volume {value} from {unit} into {to_unit}",
        "express a quantity of liquid of {value}, given in {unit}, in {to_unit}",
        "work out the capacity in {to_unit} of {value} poured in {unit}"),
    "convert_speed": (
        "convert a speed of {value}, in {unit}, to {to_unit}",
        "turn the speed {value} from {unit} into {to_unit}",
        "express a velocity of {value}, given in {unit}, in {to_unit}",
        "work out the speed in {to_unit} of something that moves at {value} in {unit}"),
    "convert_temperature": (
        "convert a temperature of {value}, in {unit}, to {to_unit}",
        "turn the temperature {value} from {unit} into {to_unit}",
        "express a reading of {value}, given in {unit}, in {to_unit}",
        "work out the degrees in {to_unit} for {value} on the scale of {unit}"),
}
TELL = {
    "convert_length": ("The length is {value} {unit}.", "That is {value} {unit} long."),
    "convert_weight": ("The weight is {value} {unit}.", "It weighs {value} {unit}."),
    "convert_volume": ("The volume is {value} {unit}.", "That makes a volume of {value} {unit}."),
    "convert_speed": ("The speed is {value} {unit}.", "It moves at {value} {unit}."),
    "convert_temperature": ("The temperature is {value} {unit}.",
                            "That is {value} degrees {unit}."),
}
EXTRA = {}
_UNITS = {"length": LENGTHS, "weight": WEIGHTS, "volume": VOLUMES, "speed": SPEEDS,
          "temperature": TEMPERATURES}
VALUES = {"value": numbers(1, 500, 1), "convert_temperature.value": numbers(1, 350, 1)}
for _quantity, _units in _UNITS.items():
    VALUES[f"convert_{_quantity}.unit"] = tuple(_units)
    VALUES[f"convert_{_quantity}.to_unit"] = tuple(_units)
