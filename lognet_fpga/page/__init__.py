"""Reports as HTML pages that need nothing beside them: no network, no script, no other file.

A page is made of a report's data alone (report.json), so that whoever has those can make it again, byte for byte.
"""
