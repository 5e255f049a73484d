"""HTML pages that hold their styles and pictures in themselves."""
