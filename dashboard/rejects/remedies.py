"""Remedies for problems, by rule, in words for the person who made the file.

They name no format, delimiter, quote or encoding: those depend on the contract, and the message has them.
"""

REMEDIES = {
    "type": "Write the value in the form that the message names.",
    "required": "Fill in the value: this column may not be empty, nor contain a word that means no value.",
    "minimum": "The value is too small: correct it, or ask the owner of the contract to allow it.",
    "maximum": "The value is too large: correct it, or ask the owner of the contract to allow it.",
    "exclusiveMinimum": "The value is too small: correct it, or ask the owner of the contract to allow it.",
    "exclusiveMaximum": "The value is too large: correct it, or ask the owner of the contract to allow it.",
    "minLength": "The text is too short: write the whole text.",
    "maxLength": "The text is too long: shorten it.",
    "pattern": "The value does not have the form that this column requires: compare it with the value in a good row.",
    "enum": "Choose one of the values that the message lists, written in the same way.",
    "unique": "The same value is in an earlier row: correct one of the two, or remove the row that is there twice.",
    "primaryKey": "The same key is in an earlier row: correct one of the two, or remove the row that is there twice.",
    "uniqueKeys": "The same values are in an earlier row: correct one of the two, or remove the later row.",
    "fields": "The row has too many or too few values: quote text that contains the delimiter, and leave no value out.",
    "quote": "A quote stands in a wrong place: put the whole text in quotes, and write each quote inside it twice.",
    "size": "A record or the file is too large: look for a quote that is never closed, or do as the message says.",
    "lineTerminator": "The row ends in another way than the others: put a text that has a line end into quotes.",
    "encoding": "Save the file in the encoding that its contract names, or in UTF-8 if the contract names no encoding.",
    "header": "The first row must have the names in the message, spelled exactly as there.",
    "json": "Each line must be one object in JSON: the message says what is wrong with this line or this file.",
    "parquet": "The file is damaged, encrypted or no Parquet: write it again, and send the whole file.",
    "binary": "This is not a text file: name it as what it is, or export it as CSV.",
    "workbook": "The message says why: open it in a spreadsheet program, and save it as .xlsx, without a password.",
    "compression": "The message says what is wrong with the compressed file: compress it again, and send it again.",
    "key": "This is only a link to a place outside the lake: put the file itself into the lake.",
    "contract": "The pipeline has no contract for files in this folder: the message says what to do.",
    "bytes": "This is not the file that its contract describes: send the right file, or have the contract corrected.",
    "hash": "This is not the file that its contract describes: send the right file, or have the contract corrected.",
    "transform": "The file may be correct: the dataset's own code failed on it. Tell the operator of the pipeline.",
    "rejects": "Too many rows are wrong, so no row was taken: correct those that are listed, and send the file again.",
    "summary": "A sum over this file is too large: look for a number that is far too large.",
}
UNKNOWN = "Compare the value with what the message expects, and correct it."


def remedy(rule: str) -> str:
    """Return a sentence on what to do about a problem of this rule."""
    return REMEDIES.get(rule, UNKNOWN)
