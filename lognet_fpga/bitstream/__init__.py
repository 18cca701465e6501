"""From a bundle to a bitstream: Vivado on the user's machine or another one, or open tools.

A bundle goes in and a bundle with a bitstream comes out; how that was made is written into its manifest and report.
docs/bitstream.md has the user's steps.
"""
