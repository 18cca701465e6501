"""What each board needs, one folder a board."""
