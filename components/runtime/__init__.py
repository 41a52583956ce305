"""What a step runs in: schema, frame, stores, reporting and progress; it knows no picture."""

# Stands for the bytes that this package publishes, in every fingerprint: raise it when they change.
FORMAT = 1
INTERRUPTED, TERMINATED = 130, 143  # exit codes after Ctrl-C, and after SIGTERM
