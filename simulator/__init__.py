"""Plays the source system: writes CSV files into the lake, on a button and all the time."""
