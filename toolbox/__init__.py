"""What stands in for ToolEyes and GPT-4o on a laptop: executable tools, and the embedded data.

Skip this room until you want to change the embedded data, or the tools that dialogues execute.

In reading order:

    world/           the tools: Python functions with their facts, a file per category
    execute.py       their schemas, and the runner that answers a call with JSON or a worded error
    wording/         templates for questions and answers about each tool, a file per category
    chains.py        random chains of one to four executed calls
    questions.py     the question and the answer that fit a chain
    filters.py       which chains and questions are kept; the tools that a conversation offers
    mistakes.py      wrong calls with their feedback, one kind per category of error (MAE's data)
    no_tool.py       conversations in which no offered tool fits
    noise.py         changed names of tools and parameters, as in RoTBench
    synthesize.py    all of these together: writes data/*.json
    from_functions.py    the schemas of a user's own Python functions

    python -m toolbox.synthesize                              # data/*.json, in seconds
    python -m toolbox.execute 'get_weather(city="Oslo")'      # what a tool answers
"""
