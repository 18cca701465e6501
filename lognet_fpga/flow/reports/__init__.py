"""What lognet-deploy and lognet-inspect tell, section by section, as text and JSON."""
