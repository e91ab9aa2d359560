"""Wording for music: songs, artists and playlists."""

from toolbox.wording.samples import some
from toolbox.world.music import ARTISTS, SONGS

ASK = {
    "search_songs": (
        "Which songs are by {artist}?", "What did {artist} record?", "Songs of {artist}, please.",
        "I'd like to hear something by {artist}. What is there?", "Find tracks by {artist}.",
        "Show me every song you have from {artist}.", "What tracks does {artist} play?",
        "Name some tunes by {artist}."),
    "get_song": (
        "Who sings {title}?", "On which album is the song {title}?",
        "What's the id of the song {title}?", "Song {title}: artist and album, please.",
        "I heard {title} on the radio. Whose song is it?", "Look up the track {title}.",
        "Which band plays the song {title}?", "I need the song id of {title}."),
    "get_song_length": (
        "How long is song {song_id}?", "How many seconds does the song {song_id} last?",
        "Running time of track {song_id}, please.",
        "Does track {song_id} last more than three minutes?",
        "I want to play {song_id} on air. What's the duration?", "Duration of song {song_id}?",
        "Tell me how long one listens to the track {song_id}.",
        "For the song {song_id}, give me minutes and seconds."),
    "get_artist": (
        "Where does {artist} come from?", "What kind of music does {artist} play?",
        "Since when has {artist} been playing?", "Background on {artist}, please.",
        "I just discovered {artist}. Tell me about their origin and genre.",
        "From which country is the act {artist}?", "In what year did {artist} start making music?",
        "Who are {artist}? I mean their genre and country."),
    "create_playlist": (
        "Make a playlist called {name} with the songs {song_ids}.",
        "I want a playlist {name} that holds {song_ids}.",
        "Put {song_ids} on a new playlist and call it {name}.",
        "New playlist {name}: {song_ids}, please.",
        "Can you set up a playlist named {name} from {song_ids}?",
        "Gather songs {song_ids} under the name {name} as a playlist.",
        "Start a list of songs, {name}, with {song_ids} on it.",
        "Bundle {song_ids} into my playlist {name}."),
}
DO = {
    "search_songs": (
        "find songs by {artist}", "look up which tracks {artist} recorded",
        "list the songs of {artist}", "search for tunes by {artist}"),
    "get_song": (
        "look up the song id of {title}", "find out who sings {title}",
        "check on which album {title} is", "tell me which artist recorded {title}"),
    "get_song_length": (
        "find out how long {song_id} lasts", "look up the playing time of {song_id}",
        "check the duration of {song_id}", "tell me how many seconds of music {song_id} is"),
    "get_artist": (
        "find out where {artist} comes from", "look up what kind of music {artist} plays",
        "check since when {artist} has been playing",
        "tell me the genre and home country of {artist}"),
    "create_playlist": (
        "make a playlist called {name} with {song_ids}",
        "put {song_ids} on a new playlist called {name}",
        "set up the playlist {name} from {song_ids}",
        "bundle {song_ids} into a playlist by the name of {name}"),
}
TELL = {
    "search_songs": (
        "{artist} recorded {songs.0.song} ({songs.0.song_id}).",
        "Songs by {artist} are {songs.0.song} ({songs.0.song_id}) and {songs.1.song} "
        "({songs.1.song_id})."),
    "get_song": (
        "{song} ({song_id}) is by {artist}, from the album {album}.",
        "{artist} sings {song} on {album}; its id is {song_id}."),
    "get_song_length": (
        "{song} lasts {length}, that is {seconds} seconds.",
        "The length of {song} is {length} ({seconds} seconds)."),
    "get_artist": (
        "{artist} plays {genre}, comes from {country} and started in {founded}.",
        "{artist}: {genre} from {country}, since {founded}."),
    "create_playlist": (
        "The playlist {playlist_id} has {songs} songs and lasts {seconds} seconds.",
        "Done: playlist {playlist_id} with {songs} songs."),
}
EXTRA = {
    "create_playlist.public": (
        "Let others see the playlist.", "The playlist should be public.",
        "Make that playlist visible to everyone."),
}
_FIRST = ("Morning", "Summer", "Rainy Day", "Road Trip", "Kitchen", "Late Night", "Sunday",
          "Workout", "Winter", "Party", "Train Ride", "Beach", "Study", "Garden", "Birthday",
          "Holiday")
_SECOND = ("Mix", "Tunes", "Favorites", "Mood", "Sounds", "Hits", "Songs", "Vibes", "Set",
           "Classics")


def _playlist_name(rng):
    return f"{rng.choice(_FIRST)} {rng.choice(_SECOND)}"


VALUES = {
    "artist": tuple(ARTISTS), "title": tuple(row["song"] for row in SONGS.values()),
    "song_id": tuple(SONGS), "song_ids": some(tuple(SONGS)), "name": _playlist_name,
    "public": (True,)}
