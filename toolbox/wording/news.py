"""Wording for news: by topic, by journalist, single articles, and the paper of a city."""

from toolbox.world.geography import CITIES
from toolbox.world.news import ARTICLES, AUTHORS, TOPICS

ASK = {
    "get_news": (
        "What's the latest in {topic}?", "Anything new in {topic}?",
        "Recent articles on {topic}, please.", "I want to read the paper's section on {topic}.",
        "What do the papers write about {topic}?", "Show me fresh stories about {topic}.",
        "Bring me up to date on {topic}.", "Which headlines are there on {topic}?"),
    "get_news_by_author": (
        "Which articles did {author} write?",
        "What has the journalist {author} published in the paper?", "Articles by {author}, please.",
        "I like the reporter {author}. What is there to read?",
        "Show me newspaper stories by {author}.", "Find what {author} reported in the paper.",
        "What did {author} write for the newspaper?",
        "Name the articles from the journalist {author}."),
    "get_news_article": (
        "Who wrote article {article_id}?", "How long does it take to read article {article_id}?",
        "What's the title of the article {article_id}?", "Author of article {article_id}, please.",
        "I saved {article_id} for later. How many minutes of reading is it?",
        "Look up {article_id} in the newspaper.",
        "Tell me the journalist and the reading time of {article_id}.",
        "Is article {article_id} a long read?"),
    "get_local_news": (
        "What's the headline in {city} today?", "What does the local paper of {city} report?",
        "News from {city}, please.",
        "I used to live in {city}. What's going on in the papers there?",
        "Is there any news in {city}?", "Top story of the day in {city}?",
        "Show me the front page of the paper of {city}.",
        "Which story do the people of {city} read in their paper?"),
}
DO = {
    "get_news": (
        "fetch the latest articles on {topic}", "see what the papers write about {topic}",
        "look for fresh stories on {topic}", "bring me up to date on {topic}"),
    "get_news_by_author": (
        "find the articles that {author} wrote for the paper",
        "look up the newspaper stories by {author}", "list what {author} reported in the paper",
        "see which articles are by {author}"),
    "get_news_article": (
        "find out who wrote {article_id} for the newspaper",
        "look up the reading time of {article_id}",
        "check who the journalist behind {article_id} is",
        "see how many minutes it takes to read {article_id}"),
    "get_local_news": (
        "see what the local paper of {city} reports", "look up the headline of the day in {city}",
        "find out what the newspaper in {city} writes", "check the front page in {city}"),
}
TELL = {
    "get_news": (
        'The latest on {topic} is "{articles.0.title}" ({articles.0.article_id}).',
        'On {topic} there are "{articles.0.title}" ({articles.0.article_id}) and '
        '"{articles.1.title}" ({articles.1.article_id}).'),
    "get_news_by_author": (
        '{author} wrote "{articles.0.title}" ({articles.0.article_id}).',
        'Articles by {author} are "{articles.0.title}" and "{articles.1.title}".'),
    "get_news_article": (
        '"{title}" is by {author} and takes {minutes} minutes to read.',
        '{author} wrote "{title}", a read of {minutes} minutes.'),
    "get_local_news": ("The {paper} writes: {headline}.", "Headline in {city}: {headline}."),
}
NONE = {
    "get_news_by_author": ("I found no article by {author}.",
                           "{author} has written nothing lately."),
}
EXTRA = {
    "get_news.limit": (
        "Show no more than {limit} article of the topic.",
        "The number of articles should be {limit}.", "I have time for {limit} article only."),
}
VALUES = {
    "topic": tuple(TOPICS), "limit": (1,), "author": AUTHORS, "article_id": tuple(ARTICLES),
    "city": tuple(CITIES)}
