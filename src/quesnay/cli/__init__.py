"""The command line: a scenario file becomes constructors, verbs, and a report."""
