"""What every program does at its edge: settings, logging, command line, page server, retries; it knows no lake."""
