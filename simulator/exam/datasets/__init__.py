"""The contracts and the transform that the exam is about: a copy of its own, for those of a pipeline may be edited."""
