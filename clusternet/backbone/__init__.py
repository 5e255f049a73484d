"""A pretrained network that the user brings, and the features of pixels that it gives."""
