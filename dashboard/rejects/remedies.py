"""What to do about a problem, by its rule, in words for whoever made the file.

They name no format, delimiter, quote or encoding: those are the contract's, and the message has them.
"""

FIXES = {
    "type": "Write the value the way the message says that it is expected.",
    "required": "Fill in the value: this column may not be empty, nor have a word that stands for no value.",
    "minimum": "The value is too small: correct it, or ask whoever keeps the contract whether it should be allowed.",
    "maximum": "The value is too large: correct it, or ask whoever keeps the contract whether it should be allowed.",
    "minLength": "The text is too short: write all of it.",
    "maxLength": "The text is too long: shorten it.",
    "pattern": "The value does not have the shape that this column asks for: compare it with one in a good row.",
    "enum": "Choose one of the values that the message lists, written in the same way.",
    "fields": "The row has too many or too few values: quote text that has the delimiter in it, and leave none out.",
    "quote": "A quote stands where none may: put the whole text in quotes, and write a quote inside it twice.",
    "size": "Something is longer than allowed: look for a quote that was never closed, or do as the message says.",
    "encoding": "Save the file in the encoding that its contract names, which is UTF-8 if it names none.",
    "header": "The first row must have the names that the message asks for, spelled exactly so.",
    "binary": "This is no text file: export it again as CSV; a spreadsheet that was only renamed does not do.",
    "compression": "The message says what is wrong with the packed file: pack it again, and send it again.",
    "key": "This is only a link to a place outside the lake: put the file itself there.",
    "contract": "The pipeline has no contract for files in this folder: the message says what to do.",
    "transform": "The file may be fine: the dataset's own code failed on it. Tell whoever keeps the pipeline.",
    "summary": "A total of this file is too large to be counted: look for a number that is far too large.",
}
UNKNOWN = "Compare the value with what the message expects, and correct it."


def fix(rule: str) -> str:
    """Give one sentence on what to do about a problem of this rule."""
    return FIXES.get(rule, UNKNOWN)
