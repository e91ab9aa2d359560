"""Recipes."""

from toolbox.world import between, choose, find, pick, several, table, tidy

RECIPES = table(
    "recipe_id recipe cuisine minutes servings calories ingredients",
    ("R1", "Tomato Soup", "Italian", 30, 4, 180, ("tomato", "onion", "basil")),
    ("R2", "Mushroom Risotto", "Italian", 45, 4, 420, ("rice", "mushroom", "butter", "onion")),
    ("R3", "Spaghetti Carbonara", "Italian", 25, 2, 610, ("pasta", "egg", "bacon", "cheese")),
    ("R4", "Onion Soup", "French", 60, 4, 250, ("onion", "butter", "bread", "cheese")),
    ("R5", "Ratatouille", "French", 50, 6, 160, ("tomato", "eggplant", "pepper", "onion")),
    ("R6", "Apple Tart", "French", 70, 8, 340, ("apple", "butter", "flour", "sugar")),
    ("R7", "Chicken Curry", "Indian", 50, 4, 480, ("chicken", "onion", "tomato", "yogurt")),
    ("R8", "Lentil Dal", "Indian", 35, 4, 290, ("lentils", "onion", "garlic", "tomato")),
    ("R9", "Vegetable Biryani", "Indian", 65, 6, 390, ("rice", "carrot", "peas", "yogurt")),
    ("R10", "Miso Soup", "Japanese", 15, 2, 90, ("miso", "tofu", "seaweed")),
    ("R11", "Salmon Teriyaki", "Japanese", 25, 2, 450, ("salmon", "rice", "ginger")),
    ("R12", "Okonomiyaki", "Japanese", 30, 2, 520, ("cabbage", "flour", "egg", "bacon")),
    ("R13", "Fish Tacos", "Mexican", 30, 4, 380, ("cod", "tortilla", "cabbage", "lime")),
    ("R14", "Guacamole", "Mexican", 10, 4, 210, ("avocado", "lime", "onion", "tomato")),
    ("R15", "Bean Chili", "Mexican", 55, 6, 330, ("beans", "tomato", "pepper", "garlic")),
    ("R16", "Greek Salad", "Greek", 15, 2, 240, ("tomato", "cucumber", "cheese", "olives")),
    ("R17", "Moussaka", "Greek", 90, 6, 560, ("eggplant", "lamb", "tomato", "cheese")),
    ("R18", "Lemon Chicken", "Greek", 60, 4, 430, ("chicken", "lemon", "garlic", "potato")),
    ("R19", "Fish Soup", "Nordic", 40, 4, 310, ("cod", "potato", "cream", "carrot")),
    ("R20", "Meatballs", "Nordic", 45, 4, 540, ("beef", "onion", "cream", "bread")),
    ("R21", "Cinnamon Buns", "Nordic", 120, 12, 290, ("flour", "butter", "sugar", "cinnamon")),
)
CUISINES = tuple(dict.fromkeys(row["cuisine"] for row in RECIPES.values()))


def search_recipes(cuisine: str, max_minutes: int = 120) -> dict:
    """Search for recipes of a cuisine.

    cuisine: such as Italian, Indian or Greek
    max_minutes: longest time to cook
    """
    cuisine = choose(CUISINES, cuisine, "cuisine")
    between(max_minutes, 1, 600, "max_minutes")
    found = [row for row in RECIPES.values()
             if row["cuisine"] == cuisine and row["minutes"] <= max_minutes]
    return {"cuisine": cuisine, "recipes": [pick(row, "recipe_id recipe minutes") for row in found]}


def search_recipes_by_ingredient(ingredients: list[str]) -> dict:
    """Search for recipes that use all of some ingredients.

    ingredients: what must be in the dish
    """
    wanted = {ingredient.strip().lower() for ingredient in several(ingredients, "ingredients")}
    found = [row for row in RECIPES.values() if wanted <= set(row["ingredients"])]
    return {"total": len(found), "recipes": [pick(row, "recipe_id recipe") for row in found]}


def search_recipes_by_calories(max_calories: int) -> dict:
    """Search for the recipes with the fewest calories.

    max_calories: most calories per serving
    """
    between(max_calories, 0, 5000, "max_calories")
    found = sorted((row["calories"], key) for key, row in RECIPES.items()
                   if row["calories"] <= max_calories)
    return {"recipes": [pick(RECIPES[key], "recipe_id recipe calories") for _, key in found[:3]]}


def get_recipe(recipe_id: str) -> dict:
    """Get the ingredients and cooking time of a recipe.

    recipe_id: id of the recipe
    """
    row = find(RECIPES, recipe_id, "recipe id")
    return {**pick(row, "recipe minutes servings"), "ingredients": list(row["ingredients"])}


def get_recipe_nutrition(recipe_id: str, portions: float = 1) -> dict:
    """Get the calories of a dish.

    recipe_id: id of the recipe
    portions: how many servings are eaten
    """
    row = find(RECIPES, recipe_id, "recipe id")
    portions = between(portions, 0.1, 50, "portions")
    return {"recipe": row["recipe"], "calories": tidy(portions * row["calories"])}
