"""What people know of a scene: classes, legends, label files and strokes."""
