"""Maps and labels to scores."""
