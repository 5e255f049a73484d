"""Work beside the main thread: threads, processes, progress, and the signals that end it."""
