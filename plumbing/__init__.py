"""Nothing about the papers: files and errors, flags, the optimizer, processes, runs, the memory plan."""
