"""Workbooks: the header and the rows of a sheet, whose cells go through the checks of all formats."""
