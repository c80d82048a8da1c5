"""Instruments that need a model and data: fitting directions, and measuring what edits do."""
