"""Tests, one folder a stage.  Run with the repository root on PYTHONPATH."""
