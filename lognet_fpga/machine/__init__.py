"""The machine that a command runs on: its files, its signals, its programs, and what is kept between runs."""
