"""What stands in for CodeLLaMA on a laptop: how data/tiny, the embedded base model, was trained.

Skip this room until you want to change the embedded base model.

In reading order:

    vocabulary.py   tables of English words: things, synonyms, cues, and how people ask
    documents.py    conversations about made-up tools, put together from those tables
    renaming.py     conversations about the seen tools of toolbox/, with everything in them renamed
    drills.py       sequences of pieces that teach to copy, and to choose by a description
    nonsense.py     the same choice in whole conversations without a meaning
    pretrain.py     the tokenizer, the induction heads to start from, and the training loop

    make base-model                                   # data/tiny in all its parts, in runs/base
    python -m pretraining.pretrain --out runs/tiny    # the first part alone
"""
