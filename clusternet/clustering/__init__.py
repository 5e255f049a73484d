"""K-Means over pixel features. This package alone uses faiss."""
