"""Recount the objects of a lake and compare them with the ledger and with what is published."""
