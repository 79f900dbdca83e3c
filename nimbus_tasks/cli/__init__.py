"""The command line: doit tasks, commands, messages, console, CI output, doctor, completion, watch, stream."""
