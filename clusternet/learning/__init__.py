"""What learns from labels: classifiers of pixel features, shares of classes, smooth maps."""
