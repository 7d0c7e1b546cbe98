"""One file a revision, numbered in order: a higher number is a later schema."""
