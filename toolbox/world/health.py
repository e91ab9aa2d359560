"""Doctors, food and exercise."""

from toolbox.world import (
    Refusal,
    between,
    choose,
    code,
    day,
    filled,
    find,
    pick,
    table,
    tidy,
    varied,
)
from toolbox.world.weather import DAYS

DOCTORS = table(
    "doctor_id doctor specialty city fee",
    ("D1", "Dr. Lind", "dentist", "Oslo", 90), ("D2", "Dr. Moreau", "dentist", "Paris", 80),
    ("D3", "Dr. Evans", "dentist", "London", 95), ("D4", "Dr. Haas", "dentist", "Vienna", 70),
    ("D5", "Dr. Nagy", "eye doctor", "Prague", 60), ("D6", "Dr. Silva", "eye doctor", "Lisbon", 75),
    ("D7", "Dr. Walsh", "eye doctor", "Dublin", 85), ("D8", "Dr. Aoki", "eye doctor", "Tokyo", 110),
    ("D9", "Dr. Fischer", "skin doctor", "Berlin", 100),
    ("D10", "Dr. Greco", "skin doctor", "Rome", 90),
    ("D11", "Dr. Patel", "skin doctor", "Mumbai", 40),
    ("D12", "Dr. Dubois", "heart doctor", "Lyon", 120),
    ("D13", "Dr. Larsen", "heart doctor", "Bergen", 150),
    ("D14", "Dr. Cohen", "heart doctor", "Boston", 210),
)
FOODS = table(  # in 100 grams
    "food calories protein",
    ("apple", 52, 0.3), ("banana", 89, 1.1), ("bread", 265, 9), ("rice", 130, 2.7),
    ("egg", 155, 13), ("salmon", 208, 20), ("chicken", 165, 31), ("potato", 77, 2),
    ("cheese", 402, 25), ("yogurt", 61, 3.5), ("almonds", 579, 21), ("lentils", 116, 9),
    ("tomato", 18, 0.9), ("chocolate", 546, 5),
)
# calories an hour and kilogram, about the metabolic equivalent
ACTIVITIES = {"walking": 3.5, "running": 9.8, "cycling": 7.5, "swimming": 6.0, "yoga": 2.5,
              "rowing": 7.0, "dancing": 5.0, "hiking": 6.5}
SPECIALTIES = tuple(dict.fromkeys(row["specialty"] for row in DOCTORS.values()))


def search_doctors(specialty: str, city: str = "") -> dict:
    """Search for doctors of a kind.

    specialty: such as dentist or eye doctor
    city: only in this city
    """
    specialty = choose(SPECIALTIES, specialty, "specialty")
    city = city.strip().casefold()
    found = [row for row in DOCTORS.values()
             if row["specialty"] == specialty and city in ("", row["city"].casefold())]
    return {"specialty": specialty,
            "doctors": [pick(row, "doctor_id doctor city") for row in found]}


def book_appointment(doctor_id: str, patient: str, date: str) -> dict:
    """Book an appointment with a doctor.

    doctor_id: id of the doctor
    patient: name of the patient
    date: date as YYYY-MM-DD
    """
    row = find(DOCTORS, doctor_id, "doctor id")
    patient = filled(patient, "patient", 60)
    date = day(date)
    if date.weekday() >= 5:
        raise Refusal(f"{row['doctor']} sees nobody on a {DAYS[date.weekday()]}.")
    return {"appointment": code("A", row["doctor_id"], patient, str(date)), "doctor": row["doctor"],
            "time": f"{varied(range(8, 17), row['doctor_id'], str(date))}:15"}


def calculate_bmi(weight: float, height: float) -> dict:
    """Calculate the body mass index.

    weight: weight in kilograms
    height: height in meters
    """
    bmi = between(weight, 2, 400, "weight") / between(height, 0.4, 2.6, "height") ** 2
    level = "low" if bmi < 18.5 else "normal" if bmi < 25 else "high"
    return {"bmi": tidy(bmi, 1), "level": level}


def calculate_calories_burned(activity: str, minutes: int, weight: float = 70) -> dict:
    """Calculate the calories that exercise burns.

    activity: such as running, cycling or yoga
    minutes: how long
    weight: weight in kilograms
    """
    activity = choose(ACTIVITIES, activity, "activity")
    minutes = between(minutes, 1, 1440, "minutes")
    burned = ACTIVITIES[activity] * between(weight, 2, 400, "weight") * minutes / 60
    return {"activity": activity, "calories": round(burned)}


def get_food_calories(food: str, grams: int = 100) -> dict:
    """Get the calories and the protein of a food.

    food: name of the food
    grams: how much of it
    """
    row = find(FOODS, food, "food")
    share = between(grams, 1, 10000, "grams") / 100
    calories, protein = row["calories"] * share, row["protein"] * share
    return {"food": row["food"], "calories": tidy(calories), "protein": tidy(protein)}
