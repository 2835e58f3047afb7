"""Lines out of files and standard input, and the joining of lines that are one event."""
