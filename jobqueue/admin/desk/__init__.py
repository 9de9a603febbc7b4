"""The desk: one page that says what runs, waits, comes next and went wrong; and the timeline."""
