"""The published measurements; see README.md beside this file."""
