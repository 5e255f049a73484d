"""Classes as people name them: lists, legends, and one numbering for several files."""
