"""What will happen: references resolved, order fixed, every default filled in; immutable."""
