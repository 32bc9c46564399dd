"""What all routes share: reading requests, writing responses, problems, cursors, times, and what a route is."""
