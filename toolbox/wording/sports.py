"""Wording for sports: teams, their results, matches and leagues."""

from toolbox.world.sports import LEAGUES, MATCHES, TEAMS

ASK = {
    "get_team": (
        "Who coaches the {team}?", "In which stadium do the {team} play?",
        "What city are the {team} from?", "Coach and stadium of the {team}, please.",
        "I'm going to watch the {team} at home. Where is their ground?",
        "Tell me about the club {team}: city, coach, arena.", "Who is the trainer of the {team}?",
        "Which arena is the home of the {team}?"),
    "get_team_results": (
        "How many points do the {team} have?", "How is the season going for the {team}?",
        "What's the highest score of the {team}?", "Points of the {team}, please.",
        "I support the {team}. Are they doing well this season?",
        "What have the {team} achieved so far, in points?",
        "How many points were won by the {team}, and what was their best score?",
        "Season record of the {team}?"),
    "find_match": (
        "What's the id of the match {home} against {away}, with the former at home?",
        "Did the {home} host the {away}? I need that match.",
        "Look up the game where the {away} visited the {home}.",
        "Match {home} versus {away} on the ground of the first, please.",
        "The {home} were at home to the {away}. Under which id is the game?",
        "I'm looking for the home game of the {home} against the {away}.",
        "Get me the id of the fixture {home} v {away}.",
        "In the league, when {home} received {away}, which match was it?"),
    "get_match_score": (
        "How did match {match_id} end?", "What was the final score of game {match_id}?",
        "Who won match {match_id}?", "Score of match {match_id}, please.",
        "I missed the game {match_id}. What was the result?",
        "Tell me the outcome of match {match_id}.",
        "How many goals or points were scored in {match_id} by each side?",
        "Which side was better in match {match_id}, and by how much?"),
    "get_league_table": (
        "Who leads the {league} league?", "Which {league} teams are the best this season?",
        "Show me the top of the {league} table.", "{league} standings, please.",
        "I'd like to see how the {league} league stands.",
        "What are the leading teams in {league}?", "Which team is first in {league}?",
        "Rank the top clubs in {league}."),
}
DO = {
    "get_team": (
        "find out who coaches {team}", "look up the stadium of {team}",
        "check which city {team} is from", "tell me the coach and the home ground of {team}"),
    "get_team_results": (
        "find out how many points {team} got", "look up how the season went for {team}",
        "check the highest score of {team}", "tell me the season record of {team}"),
    "find_match": (
        "look up the match in which {home} hosted {away}",
        "get the id of the home game of {home} against {away}",
        "search for the game where {away} visited {home}",
        "find out under which id {home} met {away} as the hosts"),
    "get_match_score": (
        "look up the final score of {match_id}", "find out who won {match_id}",
        "check how the game ended in {match_id}", "tell me the outcome of {match_id}"),
    "get_league_table": (
        "look up who leads in {league}", "show the top of the standings in {league}",
        "find the best teams in {league}", "see which clubs are ahead in {league}"),
}
TELL = {
    "get_team": (
        "The {team} from {city} are coached by {coach} and play at {stadium}.",
        "{coach} coaches the {team} in {city}, at {stadium}."),
    "get_team_results": (
        "The {team} have {points} points; their highest score is {highest_score}.",
        "{team}: {points} points, best score {highest_score}."),
    "find_match": (
        "The match of {home} against {away} has the id {match_id}.",
        "It is {match_id}, {home} against {away}."),
    "get_match_score": (
        "{home} against {away} ended {home_score} to {away_score}.",
        "The score was {home} {home_score}, {away} {away_score}."),
    "get_league_table": (
        "{teams.0.team} lead the {league} league with {teams.0.points} points.",
        "The {league} league is led by {teams.0.team} with {teams.0.points} points."),
}
EXTRA = {
    "get_team_results.home_only": (
        "For the highest score, count home matches only.", "I only want the best score at home.",
        "Look at home matches alone for the top score."),
    "get_league_table.places": (
        "Show {places} teams of the league.", "I want to see the first {places} places.",
        "Go down to {places} teams in the standings."),
}
_FOOTBALL = tuple(team for team, row in TEAMS.items() if row["league"] == "football")
# Only two teams of one league meet: hosts and guests are of one league, and share a single team.
VALUES = {
    "team": tuple(TEAMS), "home_only": (True,), "home": _FOOTBALL[:4], "away": _FOOTBALL[3:],
    "match_id": tuple(MATCHES), "league": LEAGUES, "places": (2, 4, 5, 6)}
