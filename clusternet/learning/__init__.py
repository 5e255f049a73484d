"""Learning from labels: classifiers of pixel features, their comparison, and smoothed maps."""
