"""What `clusternet COMMAND` does: each module declares the flags of a command and runs it."""
