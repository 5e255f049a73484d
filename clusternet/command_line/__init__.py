"""The command line of all scripts. No module of the package uses it."""
