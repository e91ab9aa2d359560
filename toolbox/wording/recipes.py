"""Wording for recipes: by cuisine, ingredients or calories; what goes in, and how much one eats."""

from toolbox.wording.samples import some
from toolbox.world.recipes import CUISINES, RECIPES

ASK = {
    "search_recipes": (
        "Which {cuisine} recipes do you have?", "I'd like to cook something {cuisine} tonight.",
        "What {cuisine} dishes can I make?", "{cuisine} recipes, please.",
        "Suggest a meal from the {cuisine} kitchen.", "Find me dishes of {cuisine} cuisine.",
        "My guests love {cuisine} food. What could I cook?",
        "Show what you have in {cuisine} cooking."),
    "search_recipes_by_ingredient": (
        "What can I cook with {ingredients}?", "Which recipes use {ingredients}?",
        "I have {ingredients} left in the fridge. What dish could that become?",
        "Recipes with {ingredients}, please.", "Find a dish that has {ingredients} in it.",
        "Is there a meal made from {ingredients}?", "Use up my {ingredients}: what shall I make?",
        "Give me ideas for dinner that contain {ingredients}."),
    "search_recipes_by_calories": (
        "Which dishes have no more than {max_calories} calories?",
        "I'm on a diet. What can I eat for up to {max_calories} calories?",
        "Light meals, {max_calories} calories at most, please.",
        "Find me something to cook below {max_calories} calories a serving.",
        "What recipes stay within {max_calories} calories?",
        "Show the leanest dishes up to {max_calories} calories.",
        "Dinner must not exceed {max_calories} calories; what do you suggest?",
        "Is there a dish that keeps to {max_calories} calories?"),
    "get_recipe": (
        "What goes into recipe {recipe_id}?", "Which ingredients do I need for {recipe_id}?",
        "How long does recipe {recipe_id} take to cook?",
        "Shopping list for recipe {recipe_id}, please.",
        "I'm going to cook {recipe_id}. What must I buy?", "Look up {recipe_id} in the cookbook.",
        "How many people does recipe {recipe_id} feed, and what's in it?",
        "Read me the ingredients of {recipe_id}."),
    "get_recipe_nutrition": (
        "How many calories does recipe {recipe_id} have?",
        "Is {recipe_id} fattening? Tell me the calories of the dish.",
        "Calories of dish {recipe_id}, please.",
        "I ate {recipe_id} for lunch. How many calories was that?",
        "What's the energy in a plate of {recipe_id}?", "Count the calories in recipe {recipe_id}.",
        "I watch my weight. What does the dish {recipe_id} cost me in calories?",
        "How nourishing is {recipe_id}, in calories?"),
}
DO = {
    "search_recipes": (
        "look for dishes of the {cuisine} kind", "search for recipes from the {cuisine} kitchen",
        "find recipes of the {cuisine} cuisine", "suggest a meal in the {cuisine} style"),
    "search_recipes_by_ingredient": (
        "find a dish that uses {ingredients}", "look for recipes with {ingredients}",
        "see what can be cooked with {ingredients}", "search for meals that contain {ingredients}"),
    "search_recipes_by_calories": (
        "find dishes with no more than {max_calories} calories",
        "look for light meals of up to {max_calories} calories",
        "search for recipes that stay within {max_calories} calories",
        "suggest something to eat for at most {max_calories} calories"),
    "get_recipe": (
        "look up the ingredients of {recipe_id}", "find out what goes into {recipe_id}",
        "check how long {recipe_id} takes to cook", "see what I must buy for {recipe_id}"),
    "get_recipe_nutrition": (
        "find out how many calories {recipe_id} has", "work out the calories in {recipe_id}",
        "count the calories of a meal of {recipe_id}", "check how fattening {recipe_id} is"),
}
TELL = {
    "search_recipes": (
        "You could make {recipes.0.recipe} ({recipes.0.recipe_id}) in {recipes.0.minutes} minutes.",
        "From {cuisine} cooking I found {recipes.0.recipe} ({recipes.0.recipe_id}) and "
        "{recipes.1.recipe} ({recipes.1.recipe_id})."),
    "search_recipes_by_ingredient": (
        "With {ingredients} you can make {recipes.0.recipe} ({recipes.0.recipe_id}).",
        "I found {total} recipes, such as {recipes.0.recipe} ({recipes.0.recipe_id})."),
    "search_recipes_by_calories": (
        "The lightest is {recipes.0.recipe} ({recipes.0.recipe_id}) with {recipes.0.calories} "
        "calories.",
        "Try {recipes.0.recipe} ({recipes.0.calories} calories) or {recipes.1.recipe} "
        "({recipes.1.calories} calories)."),
    "get_recipe": (
        "{recipe} takes {minutes} minutes, serves {servings} and needs {ingredients}.",
        "For {recipe} you need {ingredients}; it takes {minutes} minutes and serves {servings}."),
    "get_recipe_nutrition": ("{recipe} has {calories} calories.",
                             "That is {calories} calories of {recipe}."),
}
NONE = {
    "search_recipes": ("I found no such {cuisine} recipe.",
                       "There is no {cuisine} recipe that fits."),
    "search_recipes_by_ingredient": (
        "I found no recipe that uses all of them.",
        "No dish in the collection has all of {ingredients}."),
    "search_recipes_by_calories": ("No dish is as light as that.",
                                   "I found nothing within those calories."),
}
EXTRA = {
    "search_recipes.max_minutes": (
        "The cooking should take {max_minutes} minutes at most.",
        "I have only {max_minutes} minutes to cook.",
        "Nothing that takes longer than {max_minutes} minutes to make, please."),
    "get_recipe_nutrition.portions": (
        "Count {portions} portions of the dish.", "The calories should be for {portions} servings.",
        "I mean {portions} portions of the recipe."),
}
VALUES = {
    "cuisine": CUISINES, "max_minutes": range(15, 100, 5), "recipe_id": tuple(RECIPES),
    "ingredients": some(("onion", "tomato", "butter", "cheese", "rice", "flour", "garlic",
                         "chicken"), 1, 2),
    "max_calories": range(120, 600, 10), "portions": (0.5, 1.5, 2, 2.5, 3, 4, 5, 6)}
