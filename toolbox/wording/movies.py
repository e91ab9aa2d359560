"""Wording for movies: by genre or director, ratings, and where they are shown."""

from toolbox.world.geography import CITIES
from toolbox.world.movies import DIRECTORS, GENRES, MOVIES

ASK = {
    "search_movies": (
        "Which {genre} movies do you know?",
        "I'm in the mood for {genre}. What film could I watch?",
        "Suggest a film of the genre {genre}.", "{genre} films, please.",
        "Find me movies filed under {genre}.",
        "What is there to watch if I like {genre} on screen?",
        "We'd like a movie night with {genre}. What do you propose?", "Show me all {genre} films."),
    "search_movies_by_director": (
        "Which movies did {director} direct?", "What films are by {director}?",
        "Films directed by {director}, please.",
        "I love the work of {director}. What else did this director make?",
        "Show me the filmography of {director}.", "What has {director} made for the cinema?",
        "Find the pictures that {director} shot.", "{director} makes films; name them."),
    "get_movie": (
        "Who directed the movie {title}?", "In what year did the film {title} come out?",
        "What's the id of the movie {title}?", "Movie {title}: director and year, please.",
        "I saw {title} at the cinema. Who made it?", "Look up the film {title}.",
        "When was the movie {title} made, and by whom?", "I need the film id of {title}."),
    "get_movie_rating": (
        "How good is movie {movie_id}?", "What rating does film {movie_id} have?",
        "How long does the movie {movie_id} run?", "Rating of film {movie_id}, please.",
        "Is the film {movie_id} worth watching?",
        "How many minutes does movie {movie_id} take, and do people like it?",
        "I have two hours. Will the film {movie_id} fit?",
        "What do viewers think of movie {movie_id}?"),
    "get_movie_showtimes": (
        "Where in {city} is movie {movie_id} shown?", "When can I see film {movie_id} in {city}?",
        "At what time does a cinema in {city} show {movie_id}?",
        "Screenings of {movie_id} in {city}, please.",
        "I'm in {city} tonight and would like to watch film {movie_id}. Where?",
        "Which cinema in {city} has the movie {movie_id}?",
        "In {city}, what are the hours for film {movie_id}?",
        "Check the cinema programme of {city} for {movie_id}."),
}
DO = {
    "search_movies": (
        "look for movies under {genre}", "find films in {genre}", "suggest a film from {genre}",
        "see which movies there are in {genre}"),
    "search_movies_by_director": (
        "find the movies that {director} directed", "look up the films by {director}",
        "list the filmography of {director}", "see what {director} made for the cinema"),
    "get_movie": (
        "look up the movie id of {title}", "find out who directed {title}",
        "check in what year {title} came to the cinemas", "tell me the director of {title}"),
    "get_movie_rating": (
        "check how viewers rate {movie_id}", "look up the rating of {movie_id}",
        "find out how long {movie_id} runs on screen", "see whether {movie_id} is worth watching"),
    "get_movie_showtimes": (
        "find out when {movie_id} is shown in {city}",
        "look up which cinema in {city} has {movie_id}",
        "check the screenings of {movie_id} in {city}",
        "see where one can watch {movie_id} in {city}"),
}
TELL = {
    "search_movies": (
        "You could watch {movies.0.movie} ({movies.0.movie_id}), rated {movies.0.rating}.",
        "I found {movies.0.movie} ({movies.0.movie_id}) and {movies.1.movie} "
        "({movies.1.movie_id})."),
    "search_movies_by_director": (
        "{director} made {movies.0.movie} ({movies.0.movie_id}) in {movies.0.year}.",
        "Films by {director} are {movies.0.movie} ({movies.0.year}) and {movies.1.movie} "
        "({movies.1.year})."),
    "get_movie": (
        "{movie} ({movie_id}) is by {director}, from {year}.",
        "{director} made {movie} in {year}; its id is {movie_id}."),
    "get_movie_rating": (
        "{movie} has a rating of {rating} and runs {minutes} minutes.",
        "It is rated {rating}; {movie} takes {minutes} minutes."),
    "get_movie_showtimes": (
        "{movie} is on at the {cinema} at {times}.", "The {cinema} shows {movie} at {times}."),
}
NONE = {
    "search_movies": ("I found no {genre} movie like that.", "No {genre} film fits."),
}
EXTRA = {
    "search_movies.min_rating": (
        "The film should be rated {min_rating} or better.",
        "Only movies with a rating of at least {min_rating}.",
        "Nothing rated below {min_rating}, please."),
}
VALUES = {
    "genre": GENRES, "min_rating": (6, 6.5, 7, 7.2, 7.5, 7.8, 8), "director": DIRECTORS,
    "title": tuple(row["movie"] for row in MOVIES.values()), "movie_id": tuple(MOVIES),
    "city": tuple(CITIES)}
