"""Code shared by all routes: the Route type, requests, responses, problems, cursors and times."""
