"""Where memories go."""

BLOCK_RAM_DEPTH = 65  # memories at least this deep go to block RAM, shallower ones to LUTs
