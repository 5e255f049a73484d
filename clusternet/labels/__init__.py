"""Label files of a command: rasters, vectors and strokes, read as classes on a map's grid."""
