"""Procedural portraits: vector faces whose attributes are known exactly."""
