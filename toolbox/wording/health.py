"""Wording for health: doctors and appointments, body mass, exercise and food."""

from datetime import timedelta

from toolbox.wording.samples import PEOPLE, dates, numbers
from toolbox.world import day
from toolbox.world.health import ACTIVITIES, DOCTORS, FOODS, SPECIALTIES

ASK = {
    "search_doctors": (
        "Do you know any {specialty}?", "I need to see some {specialty} soon. Who is there?",
        "Which {specialty} can you recommend?", "Any {specialty} on your list?",
        "Find me someone who works as {specialty}.",
        "What are the names of doctors who work as {specialty}?",
        "My friend asked for the name of her {specialty}, or any other.",
        "Where could I find another {specialty}?"),
    "book_appointment": (
        "Make an appointment for {patient} with doctor {doctor_id} on {date}.",
        "{patient} has to see doctor {doctor_id} on {date}. Please arrange it.",
        "Can {doctor_id} see {patient} on {date}? If so, fix it.",
        "Appointment: {doctor_id}, {date}, patient {patient}.",
        "I'm {patient} and want to visit doctor {doctor_id} on {date}.",
        "On {date}, sign {patient} up with the doctor {doctor_id}.",
        "Put {patient} in the diary of doctor {doctor_id} for {date}.",
        "Get a slot with {doctor_id} on {date}; the patient is {patient}."),
    "calculate_bmi": (
        "What's my body mass index at {weight} kilograms and {height} meters?",
        "I weigh {weight} kilograms and am {height} meters tall. Is that healthy?",
        "Body mass index for {weight} kilograms, {height} meters, please.",
        "Am I overweight with {weight} kilograms at a height of {height} meters?",
        "BMI of someone of {height} meters who weighs {weight} kilograms?",
        "My weight is {weight} kilograms, my height {height} meters. Give me the BMI.",
        "Work out the BMI: {weight} kilograms on {height} meters.",
        "A man of {height} meters weighs {weight} kilograms. What's his body mass index?"),
    "calculate_calories_burned": (
        "How many calories do I burn by {activity} for {minutes} minutes?",
        "I did {minutes} minutes of {activity}. What did that burn?",
        "Calories burned in {minutes} minutes of {activity}, please.",
        "What does {activity} burn if I keep it up for {minutes} minutes?",
        "How much energy do {minutes} minutes of {activity} take?",
        "After {minutes} minutes of {activity}, how many calories are gone?",
        "My workout was {activity}, {minutes} minutes long. How many calories did I use?",
        "Is {activity} for {minutes} minutes good exercise? Tell me the calories it uses."),
    "get_food_calories": (
        "How many calories does {food} have?", "How much protein is in {food}?",
        "Calories of {food}, please.", "I had some {food} as a snack. How many calories is that?",
        "Is {food} rich in protein?", "Is {food} good for a diet? Give me its calories.",
        "What's the energy and protein in {food}?", "Tell me how nourishing {food} is as a food."),
}
DO = {
    "search_doctors": (
        "look for any {specialty}", "find the name of some {specialty}",
        "search your list for any {specialty}", "recommend some {specialty}"),
    "book_appointment": (
        "make an appointment for {patient} with {doctor_id} on {date}",
        "get {patient} a slot at the practice of {doctor_id} on {date}",
        "sign {patient} up as a patient of {doctor_id} for {date}",
        "arrange for {patient} to be seen by {doctor_id} on {date}"),
    "calculate_bmi": (
        "work out the body mass index for {weight} kilograms and {height} meters",
        "tell me the BMI of a person of {weight} kilograms and {height} meters",
        "check if {weight} kilograms is healthy at {height} meters",
        "find the BMI at a weight of {weight} kilograms and a height of {height} meters"),
    "calculate_calories_burned": (
        "work out how many calories {activity} burns in {minutes} minutes",
        "find out what {minutes} minutes of {activity} burn",
        "tell me the energy used by {activity} for {minutes} minutes",
        "see how many calories are gone after {minutes} minutes of {activity}"),
    "get_food_calories": (
        "look up the calories in {food}", "find out how much protein {food} has",
        "check how many calories {food} contains", "tell me the protein and energy in {food}"),
}
TELL = {
    "search_doctors": (
        "There is {doctors.0.doctor} ({doctors.0.doctor_id}) in {doctors.0.city}.",
        "{doctors.0.doctor} in {doctors.0.city} is a {specialty}; the id is "
        "{doctors.0.doctor_id}."),
    "book_appointment": (
        "{doctor} will see you at {time}; the appointment is {appointment}.",
        "The appointment {appointment} with {doctor} is at {time}."),
    "calculate_bmi": (
        "The body mass index is {bmi}, which is {level}.",
        "The BMI is {bmi}; that counts as {level}."),
    "calculate_calories_burned": (
        "{activity} for {minutes} minutes burns {calories} calories.",
        "You burn {calories} calories."),
    "get_food_calories": (
        "It has {calories} calories and {protein} grams of protein.",
        "{food} has {calories} calories and {protein} grams of protein."),
}
NONE = {
    "search_doctors": ("I found no {specialty} there.",
                       "There is no such {specialty} on the list."),
}
EXTRA = {
    "search_doctors.city": (
        "It must be a doctor in {city}.", "I can only see doctors in {city}.",
        "The practice has to be in {city}."),
    "calculate_calories_burned.weight": (
        "I weigh {weight} kilograms.", "The person who exercises weighs {weight} kilograms.",
        "Reckon with a body weight of {weight} kilograms."),
    "get_food_calories.grams": (
        "I mean {grams} grams of the food.", "The portion is {grams} grams.",
        "Reckon with {grams} grams of that food."),
}
_DATE = dates()


def _weekday(rng):
    date = day(_DATE(rng))  # doctors see nobody at the weekend
    return str(date - timedelta(days=max(0, date.weekday() - 4)))


def _height(rng):
    return rng.randint(150, 199) / 100


VALUES = {
    "specialty": SPECIALTIES, "city": tuple(row["city"] for row in DOCTORS.values()),
    "doctor_id": tuple(DOCTORS), "patient": PEOPLE, "date": _weekday, "weight": numbers(45, 120, 1),
    "height": _height, "activity": tuple(ACTIVITIES),
    "minutes": range(10, 185, 5), "food": tuple(FOODS), "grams": range(25, 800, 10)}
