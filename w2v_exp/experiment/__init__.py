"""The application: a command line becomes runs."""
