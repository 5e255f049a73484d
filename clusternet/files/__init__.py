"""Write files and folders completely or not at all, lock them, and read formats of ours."""
