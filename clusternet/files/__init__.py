"""Files that appear whole or not at all, locks on them, and what they hold."""
