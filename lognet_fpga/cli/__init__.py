"""The commands.  Only this package prints, and only its `reporter`."""
