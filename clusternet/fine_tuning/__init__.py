"""Fine-tuning: classes are learned on labelled pixels, and clusters go on on the others."""
