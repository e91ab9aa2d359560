"""The laptop's CodeLLaMA: how data/tiny, the embedded base model, is made."""
