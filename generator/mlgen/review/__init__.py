"""What a change of a project means: two sides in, changes out, in words, amounts, objects and a picture. Pure."""
