"""Edge of every program: settings, logging, command line, page server, retries; and the reader of workbooks' sheets.

This package knows no lake.
"""
