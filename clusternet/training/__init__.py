"""The alternation: cluster pixel features, train on the clusters, repeat."""
