"""The benchmarks.

    tasks.py             a Task is one item: what the model is shown, and the right calls
    benchmarks/          the one list of benchmarks, a file each
    download.py          fetches their files
    predictions.py       what a model answers, from the model or from a file
    templates.py         the prompts of the models that the paper compares
    openai_format.py     requests and answers in OpenAI's format
    serving.py           what a model on a server answers
    call_formats.py      the calls in what a model wrote
    scores.py            TS, PI, CF and named errors of a call
    report.py            tables and files of these scores
    dialogue.py          a model talks to tools
    dialogue_scores.py   DE, CE, VA of a dialogue
    tool_library.py      tools in the layout of ToolEyes; run_tool.py is the process of one call
"""
