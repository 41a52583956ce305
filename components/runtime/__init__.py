"""What a step runs in: schema, frame, stores, reporting and progress; it knows no picture."""
