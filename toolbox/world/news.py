"""A newspaper: two articles on every topic."""

from toolbox.world import choose, find, pick, varied, whole
from toolbox.world.geography import CITIES

TOPICS = {"science": ("Probe reaches a distant moon", "New battery lasts a week"),
          "economy": ("Exports rise again", "Bank lowers its rate"),
          "sports": ("Underdogs win the cup", "Record at the city run"),
          "culture": ("Museum opens a new wing", "Lost painting found"),
          "travel": ("Night trains return", "Ferry line to start in May"),
          "health": ("Doctors advise more sleep", "Clinic tests a new vaccine"),
          "nature": ("Wolves seen near the border", "River is clean again"),
          "technology": ("Robots deliver the mail", "Chip maker builds a plant")}
AUTHORS = ("Lise Moen", "Carl Becker", "Joan Park", "Mateo Diaz")
LOCAL = ("Bridge closed for repair", "New tram line opens", "Mayor plants a thousand trees",
         "School gets a science lab", "Market moves to the harbour", "Old cinema reopens")
PAPERS = ("Post", "Times", "Herald")
ARTICLES = {f"N{2 * place + number + 1}": {
    "article_id": f"N{2 * place + number + 1}", "title": title, "topic": topic,
    "author": varied(AUTHORS, title), "minutes": varied(range(2, 12), title)}
    for place, (topic, titles) in enumerate(TOPICS.items()) for number, title in enumerate(titles)}


def get_news(topic: str, limit: int = 2) -> dict:
    """Get the latest articles on a topic.

    topic: such as science, economy or nature
    limit: how many articles
    """
    topic = choose(TOPICS, topic, "topic")
    limit = whole(limit, 1, 2, "limit")
    found = [row for row in ARTICLES.values() if row["topic"] == topic]
    return {"topic": topic, "articles": [pick(row, "article_id title") for row in found[:limit]]}


def get_news_by_author(author: str) -> dict:
    """Get the articles that a journalist wrote.

    author: full name
    """
    author = choose(AUTHORS, author, "author")
    found = [row for row in ARTICLES.values() if row["author"] == author]
    return {"author": author, "articles": [pick(row, "article_id title") for row in found[:3]]}


def get_news_article(article_id: str) -> dict:
    """Get the author and reading time of an article.

    article_id: id of the article
    """
    return pick(find(ARTICLES, article_id, "article id"), "title author minutes")


def get_local_news(city: str) -> dict:
    """Get the headline of a city's own paper.

    city: name of the city
    """
    city = choose(CITIES, city, "city")
    return {"city": city, "headline": varied(LOCAL, city),
            "paper": f"{city} {varied(PAPERS, city)}"}
