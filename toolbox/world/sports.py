"""Two leagues in which every team plays every other once at home."""

from itertools import permutations

from toolbox.world import Refusal, choose, find, keyed, pick, table, varied, whole

TEAMS = table(
    "team league city coach stadium capacity",
    ("Oslo Wolves", "football", "Oslo", "Erik Dahl", "Wolf Arena", 28000),
    ("Lyon Lions", "football", "Lyon", "Marc Petit", "Lion Park", 41000),
    ("Porto Waves", "football", "Porto", "Rui Matos", "Wave Stadium", 36000),
    ("Munich Stars", "football", "Munich", "Jonas Keller", "Star Field", 62000),
    ("Milan Hawks", "football", "Milan", "Paolo Conti", "Hawk Ground", 55000),
    ("Dublin Rovers", "football", "Dublin", "Sean Byrne", "Rover Road", 22000),
    ("Boston Bears", "basketball", "Boston", "Ted Marsh", "Bear Hall", 18500),
    ("Toronto Foxes", "basketball", "Toronto", "Amy Chen", "Fox Dome", 19800),
    ("Athens Owls", "basketball", "Athens", "Nikos Pappas", "Owl Hall", 12000),
    ("Tokyo Cranes", "basketball", "Tokyo", "Ken Ito", "Crane Dome", 15000),
    ("Madrid Bulls", "basketball", "Madrid", "Raul Vega", "Bull Hall", 13500),
    ("Sydney Sharks", "basketball", "Sydney", "Kate Hill", "Shark Arena", 16500),
)
LEAGUES = ("football", "basketball")
SCORES = {"football": range(5), "basketball": range(70, 110)}


def _match(number, home, away):
    scores = SCORES[TEAMS[home]["league"]]
    return {"match_id": f"G{100 + number}", "home": home, "away": away,
            "home_score": varied(scores, home, away, "home"),
            "away_score": varied(scores, home, away, "away")}


MATCHES = keyed("match_id", (
    _match(number, home, away) for number, (home, away) in enumerate(permutations(TEAMS, 2))
    if TEAMS[home]["league"] == TEAMS[away]["league"]))


def _points(team):
    """Three for a win, one for a draw."""
    total = 0
    for match in MATCHES.values():
        if team in (match["home"], match["away"]):
            lead = match["home_score"] - match["away_score"]
            if team == match["away"]:
                lead = -lead
            total += 3 if lead > 0 else lead == 0
    return total


def get_team(team: str) -> dict:
    """Get the city, coach and stadium of a team.

    team: name of the team
    """
    return pick(find(TEAMS, team, "team"), "team city coach stadium")


def get_team_results(team: str, home_only: bool = False) -> dict:
    """Get the points of a team and its highest score.

    team: name of the team
    home_only: look for the highest score at home only
    """
    team = choose(TEAMS, team, "team")
    scores = [match["home_score"] for match in MATCHES.values() if match["home"] == team]
    if not home_only:
        scores += [match["away_score"] for match in MATCHES.values() if match["away"] == team]
    return {"team": team, "points": _points(team), "highest_score": max(scores)}


def find_match(home: str, away: str) -> dict:
    """Find the match of two teams.

    home: team that plays at home
    away: team that visits
    """
    home, away = choose(TEAMS, home, "team"), choose(TEAMS, away, "team")
    for match_id, match in MATCHES.items():
        if (match["home"], match["away"]) == (home, away):
            return {"match_id": match_id, "home": home, "away": away}
    raise Refusal(f"{home} do not meet {away}.")


def get_match_score(match_id: str) -> dict:
    """Get the final score of a match.

    match_id: id of the match
    """
    return pick(find(MATCHES, match_id, "match id"), "home home_score away away_score")


def get_league_table(league: str, places: int = 3) -> dict:
    """Get the best teams of a league.

    league: football or basketball
    places: how many teams to show
    """
    league = choose(LEAGUES, league, "league")
    places = whole(places, 1, 6, "places")
    teams = sorted((-_points(team), team) for team, row in TEAMS.items() if row["league"] == league)
    best = [{"team": team, "points": -points} for points, team in teams[:places]]
    return {"league": league, "teams": best}
