"""What to do about a problem, by its rule, in words for whoever made the file."""

FIXES = {
    "type": "Write the value the way the column is meant: a number in digits, a date as 2026-01-31.",
    "required": "Fill in the value: this column may not be empty.",
    "minimum": "The value is too small: correct it, or ask whoever keeps the contract whether it should be allowed.",
    "maximum": "The value is too large: correct it, or ask whoever keeps the contract whether it should be allowed.",
    "minLength": "The text is too short: write all of it.",
    "maxLength": "The text is too long: shorten it.",
    "pattern": "The value does not have the shape that this column asks for: compare it with one in a good row.",
    "enum": "Choose one of the allowed values; capital letters and spaces count.",
    "fields": "The row has too many or too few values: put text with a comma in double quotes, and leave none out.",
    "quote": "A double quote stands where none may: put the whole text in quotes, and write a quote inside it twice.",
    "size": "The record or the file is longer than allowed: look for a quote that was opened and never closed.",
    "encoding": "Save the file as UTF-8 text: something in it was written in another encoding, or is no text at all.",
    "header": "The first row must have the column names, spelled exactly as the contract has them.",
    "binary": "This is no text file: export it again as CSV; a spreadsheet that was only renamed does not do.",
    "compression": "The packed file is damaged or cut short: pack it and send it again.",
    "key": "This is only a link to a place outside the lake: put the file itself there.",
    "contract": "Nobody has described this kind of file yet: check the folder's name, or add a contract for it.",
    "transform": "The file may be fine: the dataset's own code failed on it. Tell whoever keeps the pipeline.",
    "summary": "A total of this file is too large to be counted: look for numbers with too many digits.",
}
UNKNOWN = "Compare the value with what the message expects, and correct it."


def fix(rule: str) -> str:
    """Give one sentence on what to do about a problem of this rule."""
    return FIXES.get(rule, UNKNOWN)
