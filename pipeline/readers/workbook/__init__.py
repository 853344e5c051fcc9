"""Workbooks of Excel and OpenDocument: one sheet of a file, by python-calamine in a process of its own."""
