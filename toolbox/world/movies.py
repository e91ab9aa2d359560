"""Films and cinemas."""

from toolbox.world import between, choose, find, pick, table, varied
from toolbox.world.geography import CITIES

MOVIES = table(
    "movie_id movie director year genre minutes rating",
    ("F1", "The Glass Harbor", "Nora Field", 1994, "drama", 118, 8.1),
    ("F2", "Midnight Express Lane", "Victor Hale", 2003, "comedy", 96, 6.9),
    ("F3", "Red Planet Diary", "Yuki Mori", 2015, "science fiction", 131, 7.8),
    ("F4", "A Winter in Bergen", "Nora Field", 2008, "drama", 107, 7.4),
    ("F5", "The Last Lighthouse", "Omar Aziz", 1987, "thriller", 112, 8.0),
    ("F6", "Paper Kites", "Lena Brandt", 2011, "family", 88, 7.2),
    ("F7", "Silent Orbit", "Yuki Mori", 2019, "science fiction", 142, 8.4),
    ("F8", "Two Tickets to Lima", "Victor Hale", 1999, "comedy", 101, 7.0),
    ("F9", "The Clockmaker", "Lena Brandt", 2021, "thriller", 124, 7.7),
    ("F10", "Garden of Foxes", "Sofia Marin", 2017, "family", 92, 7.9),
    ("F11", "Desert Signal", "Omar Aziz", 2001, "thriller", 109, 6.6),
    ("F12", "The Long Harvest", "Sofia Marin", 1979, "drama", 154, 8.6),
    ("F13", "Robots on Holiday", "Yuki Mori", 2022, "family", 99, 7.1),
    ("F14", "Coffee at Nine", "Nora Field", 2013, "comedy", 94, 7.5),
    ("F15", "Beyond the Ninth Moon", "Lena Brandt", 1996, "science fiction", 127, 7.3),
    ("F16", "Letters from Porto", "Sofia Marin", 2005, "drama", 115, 8.2),
)
GENRES = tuple(dict.fromkeys(row["genre"] for row in MOVIES.values()))
DIRECTORS = tuple(dict.fromkeys(row["director"] for row in MOVIES.values()))
CINEMAS = ("Odeon", "Lux", "Palace", "Astor", "Roxy")


def search_movies(genre: str, min_rating: float = 0) -> dict:
    """Search for movies of a genre.

    genre: such as drama, comedy or thriller
    min_rating: lowest rating, up to 10
    """
    genre = choose(GENRES, genre, "genre")
    between(min_rating, 0, 10, "min_rating")
    found = [row for row in MOVIES.values()
             if row["genre"] == genre and row["rating"] >= min_rating]
    return {"genre": genre, "movies": [pick(row, "movie_id movie rating") for row in found]}


def search_movies_by_director(director: str) -> dict:
    """Search for movies by who directed them.

    director: full name
    """
    director = choose(DIRECTORS, director, "director")
    found = [row for row in MOVIES.values() if row["director"] == director]
    return {"director": director, "movies": [pick(row, "movie_id movie year") for row in found]}


def get_movie(title: str) -> dict:
    """Get the id, director and year of a movie.

    title: title of the movie
    """
    titles = {row["movie"]: row for row in MOVIES.values()}
    return pick(find(titles, title, "movie"), "movie_id movie director year")


def get_movie_rating(movie_id: str) -> dict:
    """Get the rating and length of a movie.

    movie_id: id of the movie
    """
    return pick(find(MOVIES, movie_id, "movie id"), "movie rating minutes")


def get_movie_showtimes(movie_id: str, city: str) -> dict:
    """Get where and when a movie is shown in a city.

    movie_id: id of the movie
    city: name of the city
    """
    row = find(MOVIES, movie_id, "movie id")
    city = choose(CITIES, city, "city")
    return {"movie": row["movie"], "cinema": varied(CINEMAS, city, row["movie_id"]),
            "times": [f"{varied(range(14, 19), city, row['movie_id'])}:30", "20:15"]}
