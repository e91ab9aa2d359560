"""The laptop's ToolEyes and GPT-4o: executable tools, and how the embedded data is made from them."""
