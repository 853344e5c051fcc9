"""Sheets of workbooks, of Excel and OpenDocument: the cells of one, by python-calamine in a process of its own."""
