"""What the two commands that look at a whole model do, in order: `deploy`, `inspection`."""
