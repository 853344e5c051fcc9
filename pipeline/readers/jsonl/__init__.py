"""JSON Lines: lines, objects and their values, and the two readers."""
