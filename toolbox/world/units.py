"""Units of measurement."""

from toolbox.world import Refusal, between, choose, tidy

LENGTHS = {"meter": 1, "kilometer": 1000, "centimeter": 0.01, "mile": 1609.344, "yard": 0.9144,
           "foot": 0.3048, "inch": 0.0254}
WEIGHTS = {"gram": 1, "kilogram": 1000, "ton": 1e6, "pound": 453.59237, "ounce": 28.349523125}
VOLUMES = {"liter": 1, "milliliter": 0.001, "gallon": 3.785411784, "pint": 0.473176473,
           "cup": 0.2365882365}
SPEEDS = {"meters per second": 1, "kilometers per hour": 1 / 3.6, "miles per hour": 0.44704,
          "knots": 1852 / 3600}
# (scale, offset): degrees Celsius are scale times the value, plus the offset
TEMPERATURES = {"celsius": (1, 0), "fahrenheit": (5 / 9, -160 / 9), "kelvin": (1, -273.15)}


def _convert(value, unit, to_unit, sizes):
    between(value, 0, 10**9, "value")
    unit, to_unit = choose(sizes, unit, "unit"), choose(sizes, to_unit, "unit")
    return {"value": tidy(value * sizes[unit] / sizes[to_unit], 4), "unit": to_unit}


def convert_length(value: float, unit: str, to_unit: str) -> dict:
    """Convert a length to another unit.

    value: length to convert
    unit: unit of the length, such as mile
    to_unit: unit wanted, such as kilometer
    """
    return _convert(value, unit, to_unit, LENGTHS)


def convert_weight(value: float, unit: str, to_unit: str) -> dict:
    """Convert a weight to another unit.

    value: weight to convert
    unit: unit of the weight, such as pound
    to_unit: unit wanted, such as gram
    """
    return _convert(value, unit, to_unit, WEIGHTS)


def convert_volume(value: float, unit: str, to_unit: str) -> dict:
    """Convert a volume to another unit.

    value: volume to convert
    unit: unit of the volume, such as cup
    to_unit: unit wanted, such as liter
    """
    return _convert(value, unit, to_unit, VOLUMES)


def convert_speed(value: float, unit: str, to_unit: str) -> dict:
    """Convert a speed to another unit.

    value: speed to convert
    unit: unit of the speed, such as knots
    to_unit: unit wanted, such as miles per hour
    """
    return _convert(value, unit, to_unit, SPEEDS)


def convert_temperature(value: float, unit: str, to_unit: str) -> dict:
    """Convert a temperature to another scale.

    value: temperature to convert
    unit: celsius, fahrenheit or kelvin
    to_unit: scale wanted
    """
    between(value, -1000, 10**6, "value")
    scale, offset = TEMPERATURES[choose(TEMPERATURES, unit, "unit")]
    celsius = value * scale + offset
    if celsius < -273.15:
        raise Refusal("The temperature is below absolute zero.")
    to_unit = choose(TEMPERATURES, to_unit, "unit")
    scale, offset = TEMPERATURES[to_unit]
    return {"value": tidy((celsius - offset) / scale), "unit": to_unit}
