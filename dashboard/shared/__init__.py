"""The pages, one module each: what is below the title, most of it one live fragment.

The folder is not named `pages`: a folder of that name beside the app is run by rules of Streamlit's own, and the first
visitor of a link to a page would see it without the app around it.
"""
