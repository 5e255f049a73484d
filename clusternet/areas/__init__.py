"""Validation samples of class maps, and areas of classes with confidence intervals."""
