"""A run and a raster to a cluster map."""
