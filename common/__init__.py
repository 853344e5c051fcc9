"""Edge of every program: settings, logging, command line, page server, retries. This package knows no lake."""
