"""Songs, albums and playlists."""

from toolbox.world import choose, code, filled, find, pick, several, table

SONGS = table(
    "song_id song artist album year seconds",
    ("S1", "Northern Lights", "The Fjords", "Cold Water", 2011, 214),
    ("S2", "Cold Water", "The Fjords", "Cold Water", 2011, 187),
    ("S3", "Driftwood", "The Fjords", "Tides", 2016, 243),
    ("S4", "Paper Moon City", "Luna Park", "Neon Rain", 2019, 201),
    ("S5", "Neon Rain", "Luna Park", "Neon Rain", 2019, 226),
    ("S6", "Elevator Love", "Luna Park", "Neon Rain", 2019, 178),
    ("S7", "Samba for Rosa", "Trio Azul", "Open Windows", 1998, 265),
    ("S8", "Open Windows", "Trio Azul", "Open Windows", 1998, 312),
    ("S9", "Blue Tram", "Trio Azul", "Night Lines", 2003, 254),
    ("S10", "Thunder Road Home", "Hank Miller", "Dust", 1985, 233),
    ("S11", "Dust and Honey", "Hank Miller", "Dust", 1985, 198),
    ("S12", "Two Horses", "Hank Miller", "Prairie", 1990, 221),
    ("S13", "Static Heart", "Voltage Kids", "Amplify", 2007, 169),
    ("S14", "Amplify", "Voltage Kids", "Amplify", 2007, 193),
    ("S15", "Stone Garden", "Aiko Sato", "Seasons", 2014, 287),
    ("S16", "First Snow", "Aiko Sato", "Seasons", 2014, 301),
)
ARTISTS = table(
    "artist genre country founded",
    ("The Fjords", "folk", "Norway", 2008), ("Luna Park", "pop", "Spain", 2015),
    ("Trio Azul", "jazz", "Portugal", 1994), ("Hank Miller", "country", "United States", 1981),
    ("Voltage Kids", "rock", "United Kingdom", 2004), ("Aiko Sato", "classical", "Japan", 2010),
)


def search_songs(artist: str) -> dict:
    """Search for the songs of an artist.

    artist: name of the artist or band
    """
    artist = choose(ARTISTS, artist, "artist")
    found = [row for row in SONGS.values() if row["artist"] == artist]
    return {"artist": artist, "songs": [pick(row, "song_id song") for row in found]}


def get_song(title: str) -> dict:
    """Get the id, artist and album of a song.

    title: title of the song
    """
    titles = {row["song"]: row for row in SONGS.values()}
    return pick(find(titles, title, "song"), "song_id song artist album")


def get_song_length(song_id: str) -> dict:
    """Get how long a song is.

    song_id: id of the song
    """
    row = find(SONGS, song_id, "song id")
    length = f"{row['seconds'] // 60}:{row['seconds'] % 60:02}"
    return {**pick(row, "song seconds"), "length": length}


def get_artist(artist: str) -> dict:
    """Get where an artist comes from and since when they play.

    artist: name of the artist or band
    """
    return pick(find(ARTISTS, artist, "artist"), "artist genre country founded")


def create_playlist(name: str, song_ids: list[str], public: bool = False) -> dict:
    """Create a playlist of songs.

    name: name of the playlist
    song_ids: ids of its songs
    public: let others see it
    """
    name = filled(name, "name", 60)
    rows = [find(SONGS, key, "song id") for key in several(song_ids, "song_ids")]
    return {"playlist_id": code("L", name, [row["song_id"] for row in rows]), "songs": len(rows),
            "seconds": sum(row["seconds"] for row in rows),
            "visible_to": "all" if public else "you"}
