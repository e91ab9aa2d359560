"""Nothing about the papers: files, flags, the optimizer, processes, runs, the memory plan."""
